"""VGG16 (Simonyan & Zisserman) up to relu3_3: content, and style by strokes and lines.

Its three maps are torchvision's layers 11, 13 and 15, which the paper uses for both.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from usdstylize.encoders.rows import feature_rows
from usdstylize.encoders.standardize import Standardize

__all__ = ["Vgg16"]

_TAPS = (11, 13, 15)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# Features of the original Caffe weights, fed with 0..255, divided by this have the size of
# torchvision's, so that one content weight serves both files.
_CAFFE_SCALE = 57.6


class Vgg16(nn.Module):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output per map the rows (K, 256) asked for.

    ``caffe`` says which preprocessing the weights were trained with: the original release's
    (BGR, 0..255, mean subtracted) or torchvision's ``IMAGENET1K_V1`` mean and deviation.
    """

    smooth = False
    strides = (4, 4, 4)

    def __init__(self, *, caffe: bool) -> None:
        super().__init__()
        from torchvision.models import vgg16  # importing torchvision takes a second

        self.features = vgg16(weights=None).features[: _TAPS[-1] + 1]
        self.caffe = caffe
        mean = [m / 255 for m in reversed(_CAFFE_MEAN_BGR)] if caffe else list(_IMAGENET_MEAN)
        deviation = [1 / 255] * 3 if caffe else list(_IMAGENET_STD)
        self.standardize = Standardize(mean, deviation)

    @classmethod
    def from_file(cls, path: Path) -> "Vgg16":
        """Read torchvision's ``.pth`` or the original release as ``.safetensors``."""
        caffe = path.suffix == ".safetensors"
        state = load_file(path) if caffe else torch.load(path, map_location="cpu", weights_only=True)
        model = cls(caffe=caffe)
        wanted = model.state_dict().keys()
        model.load_state_dict({name: state[name].float() for name in wanted})
        return model

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        x = self.standardize(images)
        if self.caffe:
            x = x.flip(1)
        x = x.to(self.features[0].weight.dtype)
        features: list[Tensor] = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _TAPS:
                wanted = feature_rows(x, rows[len(features)] if rows is not None else None)
                features.append(wanted / _CAFFE_SCALE if self.caffe else wanted)
        return features
