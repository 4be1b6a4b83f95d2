"""Convolutions with constant weights, and batch norms folded into them."""

from collections.abc import Callable, Sequence
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usdstylize.encoders.maps import gate_, rectify_
from usdstylize.fusing import fused

__all__ = ["Frozen", "FrozenConvolution", "exact", "fold", "scale_and_shift"]


trusts_cudnn_fusion = False
"""Whether PyTorch's call of cuDNN's fused convolution, bias and ReLU is used: it hands over memory
that nobody has written, and asks for no deterministic routine. `benchmarks.trunks` tries it."""


trusts_cudnn_sums = False
"""The same for the one that adds a shortcut too."""


class Frozen(nn.Module):
    """A module whose vectors keep their precision when the network is turned into another."""

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> "Frozen":
        exact = {name: value for name, value in self.named_buffers(recurse=False) if value.dim() == 1}
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        for name, value in exact.items():
            setattr(self, name, value.to(self.get_buffer(name).device))
        return self


class FrozenConvolution(Frozen):
    """A convolution of odd size, stride 1, that keeps a map's size; zeros around the map.

    weight: (O, I, k, k) float. bias: (O,) float, kept as `exact` gives it; None is 0.
    ``input_scale`` (I,): the input is ``scale · y``, and the gradient that `gradient` gives is
    that of y.
    """

    weight: Tensor
    flipped: Tensor
    bias: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor | None = None, *, input_scale: Tensor | None = None
    ) -> None:
        super().__init__()
        back = weight if input_scale is None else weight * input_scale.view(1, -1, 1, 1)
        # The gradient of such a convolution is one itself: turned around, channels exchanged.
        back = back.flip(2, 3).transpose(0, 1)
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        self._padding = weight.shape[2] // 2
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("flipped", back.contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("bias", exact(bias), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Without the bias."""
        return self._convolve(x, self.weight)

    def rectified(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """``relu(convolution + bias + shortcut)``."""
        if x.is_cuda and x.dtype == torch.bfloat16:
            bias, padding = self.bias.to(x.dtype), [self._padding] * 2
            if shortcut is None and trusts_cudnn_fusion:
                return torch.cudnn_convolution_relu(x, self.weight, bias, [1, 1], padding, [1, 1], 1)
            if shortcut is not None and trusts_cudnn_sums:
                return torch.cudnn_convolution_add_relu(
                    x, self.weight, shortcut, 1.0, bias, [1, 1], padding, [1, 1], 1
                )
        if kernel := _whole(x, self.weight):
            result: Tensor = kernel.convolve(x, self.weight, shift=self.bias, plus=shortcut, rectify=True)
            return result
        if x.is_cuda:
            return rectify_(self(x), self.bias, shortcut)
        y = F.conv2d(x, self.weight, self.bias.to(x.dtype), padding=self._padding)
        return (y if shortcut is None else y.add_(shortcut)).relu_()

    def gradient(self, gradient: Tensor, gate: Tensor | None = None, plus: Tensor | None = None) -> Tensor:
        """That of the input from that of `forward`'s result, plus ``plus``, where ``gate`` is above 0.

        gate: the input itself, where it comes from a ReLU whose input's gradient is wanted.
        """
        kernel = None if gate is None else _whole(gradient, self.flipped)
        if kernel:
            result: Tensor = kernel.convolve(gradient, self.flipped, plus=plus, gate=gate)
            return result
        found = self._convolve(gradient, self.flipped)
        return found if gate is None else gate_(found, gate, plus)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        kernel = _whole(x, weight)
        if kernel and kernel.faster(x, weight):
            result: Tensor = kernel.convolve(x, weight)
            return result
        if not x.is_cuda:
            return F.conv2d(x, weight, padding=self._padding)
        # Asked for by name, whatever the process has set: a choice by timing would change bits
        # from run to run.
        return torch.ops.aten.cudnn_convolution(  # type: ignore[no-any-return]
            x, weight, [self._padding] * 2, [1, 1], [1, 1], 1, False, True, torch.backends.cudnn.allow_tf32
        )


def _whole(x: Tensor, weight: Tensor) -> ModuleType | None:
    """The module whose kernel convolves this map and does the rest in the same pass, where there is one."""
    if not fused(x.device):
        return None
    try:
        from usdstylize.encoders import convolution
    except ImportError:  # a Triton without tensor descriptors
        return None
    return convolution if convolution.suits(x, weight) else None


def fold(weight: Tensor, norm: Sequence[Tensor], *, epsilon: float = 1e-5) -> tuple[Tensor, Tensor]:
    """A convolution's weight and its batch norm as one weight (O, I, k, k) and bias (O,), `exact`.

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
    """In float32, or in float64 what is that already."""
    return value if value.dtype == torch.float64 else value.float()
