"""Convolutions with constant weights, and batch norms folded into them."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usdstylize.encoders.maps import gate_, rectify_

__all__ = ["Frozen", "FrozenConvolution", "exact", "fold", "scale_and_shift"]


cudnn_fuses = True
"""Whether to try cuDNN's convolution with sum, bias and ReLU in one; False after it failed once."""


class Frozen(nn.Module):
    """A module whose vectors keep their own dtype when ``to`` gives the network another."""

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> "Frozen":
        exact = {name: value for name, value in self.named_buffers(recurse=False) if value.dim() == 1}
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        for name, value in exact.items():
            setattr(self, name, value.to(self.get_buffer(name).device))
        return self


class FrozenConvolution(Frozen):
    """A convolution of odd size and stride 1, padded with zeros to the size of its input.

    weight: (O, I, k, k) float. bias: (O,) float, kept as `exact` gives it; None is 0.
    input_scale: (I,) float, where the input is ``input_scale · y``; `gradient` is then that of y.
    """

    weight: Tensor
    flipped: Tensor
    bias: Tensor
    rounded: Tensor
    """(1, O): the bias in the network's dtype."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None = None, *, input_scale: Tensor | None = None
    ) -> None:
        super().__init__()
        back = weight if input_scale is None else weight * input_scale.view(1, -1, 1, 1)
        # Its gradient is a convolution, too: with the kernel turned by 180° and the channels exchanged.
        back = back.flip(2, 3).transpose(0, 1)
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        self._padding = weight.shape[2] // 2
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("flipped", back.contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("bias", exact(bias), persistent=False)
        self.register_buffer("rounded", bias[None].clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of x (B, I, h, w), without the bias."""
        return self._convolve(x, self.weight)

    def rectified(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """``relu(convolution + bias + shortcut)``."""
        if (found := self._rectified_by_cudnn(x, shortcut)) is not None:
            return found
        if x.is_cuda:
            return rectify_(self(x), self.bias, shortcut)
        y = F.conv2d(x, self.weight, self.rounded[0], padding=self._padding)
        return (y if shortcut is None else y.add_(shortcut)).relu_()

    def _rectified_by_cudnn(self, x: Tensor, shortcut: Tensor | None) -> Tensor | None:
        """`rectified` as one call of cuDNN, where it has one; else None."""
        global cudnn_fuses
        if not (cudnn_fuses and x.is_cuda and x.dtype == torch.bfloat16):
            return None
        outputs, inputs, size, _ = self.weight.shape
        if shortcut is None and (inputs != outputs or size != 3):
            return None
        # Without a shortcut x is added, times 0. PyTorch's own call would add uninitialised memory
        # times 0, which is NaN where that memory holds NaN or infinity.
        other, factor = (x, 0.0) if shortcut is None else (shortcut, 1.0)
        padding = [self._padding] * 2
        try:
            return torch.cudnn_convolution_add_relu(
                x, self.weight, other, factor, self.rounded[0], [1, 1], padding, [1, 1], 1
            )
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # an older cuDNN or GPU, where the other ways below do it in more passes
            cudnn_fuses = False
            return None

    def gradient(self, gradient: Tensor, gate: Tensor | None = None, plus: Tensor | None = None) -> Tensor:
        """The gradient of the input, from that of the result; plus ``plus``; 0 where ``gate`` is not above 0.

        gate: the input itself, if a ReLU made it and the gradient before that ReLU is wanted.
        """
        found = self._convolve(gradient, self.flipped)
        return found if gate is None else gate_(found, gate, plus)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if not x.is_cuda:
            return F.conv2d(x, weight, padding=self._padding)
        # Never benchmarked, whatever torch.backends asks for: a choice by timing changes bits between runs.
        return torch.ops.aten.cudnn_convolution(  # type: ignore[no-any-return]
            x, weight, [self._padding] * 2, [1, 1], [1, 1], 1, False, True, torch.backends.cudnn.allow_tf32
        )


def fold(weight: Tensor, norm: Sequence[Tensor], *, epsilon: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Weight (O, I, k, k) and bias (O,), as `exact` gives them, of a convolution and its batch norm in one.

    norm: weight, bias, running mean and running variance, each (O,).
    """
    scale, shift = scale_and_shift(norm, epsilon=epsilon)
    return exact(weight) * scale.view(-1, 1, 1, 1), shift


def scale_and_shift(norm: Sequence[Tensor], *, epsilon: float = 1e-5) -> tuple[Tensor, Tensor]:
    """A batch norm as ``x · scale + shift``, each (O,), as `exact` gives them."""
    dtype = exact(norm[0]).dtype
    weight, bias, mean, variance = (value.double() for value in norm)
    scale = weight / torch.sqrt(variance + epsilon)
    return scale.to(dtype), (bias - mean * scale).to(dtype)


def exact(value: Tensor) -> Tensor:
    """The same as float32; float64 stays."""
    return value if value.dtype == torch.float64 else value.float()
