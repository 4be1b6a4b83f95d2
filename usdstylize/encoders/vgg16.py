"""VGG16 (Simonyan & Zisserman) up to relu3_3: content, and style by strokes and lines.

Its three maps are torchvision's layers 11, 13 and 15, which the paper uses for both.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from usdstylize.encoders.first import FirstConvolution
from usdstylize.encoders.frozen import FrozenConvolution, exact
from usdstylize.encoders.maps import max_pool, max_pool_gradient, put_rows_, take_rows
from usdstylize.encoders.trunk import Tape, Trunk

__all__ = ["Vgg16", "random_weights"]

# torchvision's numbers of the convolutions, by stage; a stage ends in a maximum of 2 × 2.
_STAGES = ((0, 2), (5, 7), (10, 12, 14))
_CHANNELS = (64, 128, 256)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# Features of the original Caffe weights, fed with 0..255, divided by this have the size of
# torchvision's, so that one content weight serves both files.
_CAFFE_SCALE = 57.6


class Vgg16(Trunk):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output per map the rows (K, 256) asked for.

    caffe: whether the weights were trained with the original release's preprocessing (BGR, 0..255,
    mean subtracted), else with torchvision's ``IMAGENET1K_V1`` mean and standard deviation.
    state: the weights, by torchvision's names; random ones without it.
    """

    smooth = False
    strides = (4, 4, 4)

    def __init__(self, *, caffe: bool, state: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        state = random_weights() if state is None else state
        stages = []
        for numbers in _STAGES:
            convolutions = []
            for number in numbers:
                weight, bias = (exact(state[f"features.{number}.{part}"]) for part in ("weight", "bias"))
                if caffe and numbers is _STAGES[-1]:
                    # A positive factor commutes with ReLU: the first map's weight and every bias scale all
                    # three maps.
                    bias = bias / _CAFFE_SCALE
                    weight = weight / _CAFFE_SCALE if number == numbers[0] else weight
                if number > 0:
                    convolutions.append(FrozenConvolution(weight, bias))
                elif caffe:
                    mean = [value / 255 for value in reversed(_CAFFE_MEAN_BGR)]
                    self.first = FirstConvolution(weight.flip(1) * 255, bias, mean)
                else:
                    scaled = weight / torch.tensor(_IMAGENET_STD).view(3, 1, 1)
                    self.first = FirstConvolution(scaled, bias, _IMAGENET_MEAN)
            stages.append(nn.ModuleList(convolutions))
        self.stages = nn.ModuleList(stages)

    @classmethod
    def from_file(cls, path: Path) -> "Vgg16":
        """Read torchvision's ``.pth`` or the original release as ``.safetensors``."""
        caffe = path.suffix == ".safetensors"
        state = load_file(path) if caffe else torch.load(path, map_location="cpu", weights_only=True)
        return cls(caffe=caffe, state=state)

    def _features(self, x: Tensor, rows: Sequence[Tensor] | None, tape: Tape | None) -> list[Tensor]:
        *before, last = self._convolutions()
        for stage in before:
            for convolution in stage:
                x = convolution.rectified(x)
                if tape is not None:
                    tape.append(x)
            x, where = max_pool(x)
            if tape is not None:
                tape.append(where)
        features = []
        for index, convolution in enumerate(last):
            x = convolution.rectified(x)
            if tape is not None:
                tape.append(x)
            features.append(take_rows(x, None if rows is None else rows[index]))
        return features

    def _gradient(
        self, gradients: Sequence[Tensor | None], rows: Sequence[Tensor] | None, tape: Tape
    ) -> Tensor:
        first, second, last = self._convolutions()
        activated = cast(Tensor, tape.pop())
        gradient = torch.zeros_like(activated)
        for index in reversed(range(len(last))):
            if (added := gradients[index]) is not None:
                put_rows_(gradient, None if rows is None else rows[index], added, activated)
            if index:
                activated = cast(Tensor, tape.pop())
                gradient = last[index].gradient(gradient, activated)
        gradient = last[0].gradient(gradient)
        for stage in (second, first):
            where = tape.pop()
            gradient = max_pool_gradient(gradient, cast(Tensor, tape.pop()), where)
            for convolution in reversed(stage):
                # The ReLU before a stage is the business of `max_pool_gradient` or `FirstConvolution`.
                gate = None if convolution is stage[0] else cast(Tensor, tape.pop())
                gradient = convolution.gradient(gradient, gate)
        return gradient

    def _convolutions(self) -> list[list[FrozenConvolution]]:
        return cast(list[list[FrozenConvolution]], self.stages)


def random_weights() -> dict[str, Tensor]:
    """Initialised as torchvision does it."""
    state = {}
    inputs = 3
    for numbers, channels in zip(_STAGES, _CHANNELS, strict=True):
        for number in numbers:
            weight = torch.randn(channels, inputs, 3, 3) * math.sqrt(2 / (channels * 9))
            state[f"features.{number}.weight"] = weight
            state[f"features.{number}.bias"] = torch.zeros(channels)
            inputs = channels
    return state
