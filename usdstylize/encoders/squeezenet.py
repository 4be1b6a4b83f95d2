"""SqueezeNet 1.1 (Iandola et al.) up to fire5: a real network that is a tenth of VGG16's work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from usdstylize.encoders.rows import feature_rows
from usdstylize.encoders.standardize import Standardize

__all__ = ["SqueezeNet"]

# torchvision's numbers of the fire modules with their channels (squeezed, and of each half of the
# output), by stage; a stage begins with a maximum of 3 × 3 at every second position.
_STAGES = (((3, 16, 64), (4, 16, 64)), ((6, 32, 128), (7, 32, 128)))
_TAPPED = (4, 6, 7)
_CAFFE_MEAN_BGR = (104.0, 117.0, 123.0)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# As for VGG16: features of the Caffe weights, fed with 0..255, divided by this have about the size of
# those of a network that is fed with standardised pictures.
_CAFFE_SCALE = 57.6


class SqueezeNet(nn.Module):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output the rows (K, C) of fire3, fire4 and fire5.

    The first convolution is padded by a pixel, which it was not when it was trained: so that every
    map has the picture's size divided by its stride.

    caffe: whether the weights are the original release's (BGR, 0..255, mean subtracted), else
    torchvision's. state: the weights, by torchvision's names, of which those of later layers are not
    used; random ones without it.
    """

    smooth = False
    strides = (4, 8, 8)

    def __init__(self, *, caffe: bool, state: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        first = nn.Conv2d(3, 64, 3, 2, padding=1)
        layers: dict[str, nn.Module] = {"0": first}
        channels = first.out_channels
        for stage in _STAGES:
            for number, squeezed, half in stage:
                layers[str(number)] = _Fire(channels, squeezed, half)
                channels = 2 * half
        self.features = nn.ModuleDict(layers)
        if state is not None:
            names = self.state_dict()
            self.load_state_dict({name: state[name].float() for name in names})
        mean, deviation = _IMAGENET_MEAN, _IMAGENET_STD
        if caffe:
            mean = cast(tuple[float, float, float], tuple(value / 255 for value in reversed(_CAFFE_MEAN_BGR)))
            deviation = (_CAFFE_SCALE / 255,) * 3
            self._take_bgr_in_smaller_units()
        self._standardize = Standardize(mean, deviation)

    @classmethod
    def from_file(cls, path: Path) -> "SqueezeNet":
        """Read torchvision's ``.pth`` or the original release as ``.safetensors``."""
        caffe = path.suffix == ".safetensors"
        state = load_file(path) if caffe else torch.load(path, map_location="cpu", weights_only=True)
        return cls(caffe=caffe, state=state)

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        first = cast(nn.Conv2d, self.features["0"])
        x = F.relu(first(self._standardize(images).to(first.weight.dtype)))
        features: list[Tensor] = []
        for stage in _STAGES:
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            for number, *_ in stage:
                x = self.features[str(number)](x)
                if number in _TAPPED:
                    features.append(feature_rows(x, None if rows is None else rows[len(features)]))
        return features

    @torch.no_grad()
    def _take_bgr_in_smaller_units(self) -> None:
        """Blue is first in the weights; where picture and biases are divided by a factor, so is every map."""
        for name, value in self.named_parameters():
            if name.endswith("bias"):
                value.div_(_CAFFE_SCALE)
        first = self.features["0"].get_parameter("weight")
        first.copy_(first.flip(1))


class _Fire(nn.Module):
    """A convolution to few channels, and two from those, whose maps are joined; a ReLU behind each."""

    def __init__(self, channels: int, squeezed: int, half: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, half, 1)
        self.expand3x3 = nn.Conv2d(squeezed, half, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))
