"""Networks that turn a render into feature maps: CLIP RN50, VGG16 and the draft encoder."""
