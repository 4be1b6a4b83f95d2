"""Backward from the middle of a graph."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["backward"]


def backward(tensor: Tensor, gradient: Tensor) -> None:
    """Backward from ``tensor``, whose gradient is known: ``tensor.backward(gradient)``.

    That of PyTorch imports SymPy when it first gets a gradient, which takes two seconds.
    """
    _Known.apply(tensor, gradient).backward()  # type: ignore[no-untyped-call]


class _Known(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return tensor.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient, None
