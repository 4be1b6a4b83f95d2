"""The first convolution of a trunk: from images to a map, and from the map's gradient to the images'."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.encoders.frozen import Frozen, exact
from usdstylize.encoders.maps import gate_

__all__ = ["FirstConvolution"]


class FirstConvolution(Frozen):
    """``relu(conv(images - mean) + bias)``: 3 × 3, padded with zeros after the subtraction.

    weight: (O, 3, 3, 3) float, for RGB. bias: (O,) and mean: (3,) float. The mean is subtracted in
    float32; what follows is in the network's own precision.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, mean: Sequence[float], *, stride: int = 1) -> None:
        super().__init__()
        self._stride = stride
        buffers = {
            "weight": weight.contiguous(memory_format=torch.channels_last),
            "bias": exact(bias),
            "mean": torch.tensor(mean, dtype=exact(bias).dtype),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W). The result is the map (B, O, h, w), channels_last."""
        x = (images - self.mean.view(3, 1, 1)).to(self.weight.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, self.weight, self.bias.to(x.dtype), self._stride, padding=1).relu_()

    def gradient(self, gradient: Tensor, activated: Tensor, dtype: torch.dtype) -> Tensor:
        """The gradient of the images (B, 3, H, W), in ``dtype``, from that of the map.

        activated: the map itself, as `forward` gave it.
        """
        batch, _, height, width = gradient.shape
        images = gradient.new_empty((batch, 3, height * self._stride, width * self._stride))
        found: Tensor = torch.ops.aten.convolution_backward(
            gate_(gradient, activated),
            images.contiguous(memory_format=torch.channels_last),  # only its shape is read
            self.weight,
            None,
            [self._stride] * 2,
            [1, 1],
            [1, 1],
            False,
            [0, 0],
            1,
            [True, False, False],
        )[0]
        return found.to(dtype)
