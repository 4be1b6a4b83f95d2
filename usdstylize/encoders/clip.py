"""CLIP RN50's trunk: the outputs of conv2 of every bottleneck in layer3 and layer4 (paper §3).

The network is open_clip's own module, fully convolutional here: the attention pool at its end
is never run, and images are not resized to 224.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from usdstylize.encoders.rows import feature_rows
from usdstylize.encoders.standardize import Standardize

__all__ = ["ClipResNet50", "image_tower", "image_tower_state"]


def image_tower() -> Any:
    """open_clip's RN50 image tower, with random weights."""
    from open_clip.modified_resnet import ModifiedResNet

    return ModifiedResNet(layers=[3, 4, 6, 3], output_dim=1024, heads=32, width=64).eval()


def image_tower_state(path: Path) -> dict[str, Tensor]:
    """The tower's weights in float32: of OpenAI's ``RN50.pt``, a TorchScript archive, or a ``.safetensors``.

    The caller has checked the file's sha256: TorchScript runs code from the file.
    """
    if path.suffix == ".safetensors":
        state = load_file(path)
    else:
        # PyTorch calls TorchScript deprecated; OpenAI's file will not change.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            state = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
    prefix = "visual."
    return {name[len(prefix) :]: value.float() for name, value in state.items() if name.startswith(prefix)}


class ClipResNet50(nn.Module):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output the rows (K, C) of nine feature maps.

    At 512² the maps are one (B, 256, 64, 64) and five (B, 256, 32, 32) of layer3, one
    (B, 512, 32, 32) and two (B, 512, 16, 16) of layer4. They are the raw convolution outputs,
    before batch norm; with ``bn_relu`` those after batch norm and ReLU.
    """

    smooth = True
    strides = (8, 16, 16, 16, 16, 16, 16, 32, 32)

    def __init__(self, *, bn_relu: bool = False) -> None:
        super().__init__()
        from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

        self.visual = image_tower()
        self.bn_relu = bn_relu
        self.standardize = Standardize(OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)

    @classmethod
    def from_file(cls, path: Path, *, bn_relu: bool = False) -> "ClipResNet50":
        """Read OpenAI's ``RN50.pt`` (a TorchScript archive) or open_clip's ``.safetensors``.

        The caller has checked the file's sha256: TorchScript runs code from the file.
        """
        model = cls(bn_relu=bn_relu)
        model.visual.load_state_dict(image_tower_state(path))
        return model

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        x = self.standardize(images)
        x = self.visual.stem(x.to(self.visual.conv1.weight.dtype))
        x = self.visual.layer2(self.visual.layer1(x))
        features: list[Tensor] = []
        for stage in (self.visual.layer3, self.visual.layer4):
            for block in stage:
                x, feature = self._bottleneck(block, x)
                features.append(feature_rows(feature, rows[len(features)] if rows is not None else None))
        return features

    def _bottleneck(self, block: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """open_clip's Bottleneck.forward, which keeps conv2's output.

        Written out since a hook would read the tensor after an in-place ReLU has changed it.
        """
        shortcut = x if block.downsample is None else block.downsample(x)
        convolved = block.conv2(block.act1(block.bn1(block.conv1(x))))
        activated = block.act2(block.bn2(convolved))
        out = block.bn3(block.conv3(block.avgpool(activated)))
        return block.act3(out + shortcut), activated if self.bn_relu else convolved
