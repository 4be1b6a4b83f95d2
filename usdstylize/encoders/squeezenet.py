"""SqueezeNet 1.1 (Iandola et al.) up to fire3: a real network with a fraction of VGG16's work."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from usdstylize.encoders.rows import feature_rows
from usdstylize.encoders.standardize import Standardize

__all__ = ["SqueezeNet"]

_CAFFE_MEAN_BGR = (104.0, 117.0, 123.0)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# As for VGG16: features of the Caffe weights, fed with 0..255, divided by this have about the size of
# those of a network that is fed with standardised pictures.
_CAFFE_SCALE = 57.6


class SqueezeNet(nn.Module):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output the rows (K, 128) of fire2 and fire3.

    The first convolution is padded by a pixel, unlike in training, so that every map has the picture's
    size divided by its stride.

    caffe: whether the weights are the original release's (BGR, 0..255, mean subtracted), else
    torchvision's. state: the weights, by torchvision's names, those of later layers ignored; random
    ones without it.
    """

    smooth = False
    strides = (4, 4)

    def __init__(self, *, caffe: bool, state: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, 2, padding=1)
        self.fires = nn.ModuleList((_Fire(64, 16, 64), _Fire(128, 16, 64)))
        if state is not None:
            for number, module in ((0, self.first), (3, self.fires[0]), (4, self.fires[1])):
                names = module.state_dict()
                module.load_state_dict({name: state[f"features.{number}.{name}"].float() for name in names})
        if caffe:
            # Where the picture and every bias are divided by a factor, so is every map. Blue comes first.
            with torch.no_grad():
                for name, value in self.named_parameters():
                    if name.endswith("bias"):
                        value.div_(_CAFFE_SCALE)
                self.first.weight.copy_(self.first.weight.flip(1))
            mean = [value / 255 for value in reversed(_CAFFE_MEAN_BGR)]
            self._standardize = Standardize(mean, [_CAFFE_SCALE / 255] * 3)
        else:
            self._standardize = Standardize(_IMAGENET_MEAN, _IMAGENET_STD)

    @classmethod
    def from_file(cls, path: Path) -> "SqueezeNet":
        """Read torchvision's ``.pth`` or the original release as ``.safetensors``."""
        caffe = path.suffix == ".safetensors"
        state = load_file(path) if caffe else torch.load(path, map_location="cpu", weights_only=True)
        return cls(caffe=caffe, state=state)

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        x = F.relu(self.first(self._standardize(images).to(self.first.weight.dtype)))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        features = []
        for index, fire in enumerate(self.fires):
            x = fire(x)
            features.append(feature_rows(x, None if rows is None else rows[index]))
        return features


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
