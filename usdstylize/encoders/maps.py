"""What a frozen network does to a feature map besides convolving it, and the gradients of that.

A map is a (B, C, h, w) tensor, channels_last; h and w are even where it is pooled. Functions whose
name ends in an underscore change their first argument. On CUDA each function is one Triton kernel
that computes in float32; elsewhere PyTorch computes in the map's own dtype.
"""

from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.kernels.availability import fused

__all__ = [
    "affine_rectify_",
    "gate_",
    "max_pool",
    "max_pool_gradient",
    "mean_pool",
    "mean_pool_gradient",
    "put_rows_",
    "rectify_",
    "take_rows",
]

_aten = torch.ops.aten


def _kernels(x: Tensor) -> ModuleType | None:
    """The module of the Triton kernels, for a map on CUDA; None where PyTorch computes."""
    if not fused(x.device):
        return None
    from usdstylize.kernels import maps

    return maps


def rectify_(x: Tensor, bias: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """``relu(x + bias + shortcut)``; bias (C,) float32."""
    if kernels := _kernels(x):
        kernels.rectify_(x, bias, shortcut)
        return x
    x += bias.to(x.dtype).view(1, -1, 1, 1)
    if shortcut is not None:
        x += shortcut
    return x.relu_()


def affine_rectify_(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``relu(x · scale + shift)``; scale and shift (C,) float32."""
    if kernels := _kernels(x):
        kernels.affine_rectify_(x, scale, shift)
        return x
    x *= scale.to(x.dtype).view(1, -1, 1, 1)
    return rectify_(x, shift)


def gate_(gradient: Tensor, activated: Tensor, plus: Tensor | None = None) -> Tensor:
    """``gradient + plus`` where ReLU's output ``activated`` is above 0, else 0."""
    if kernels := _kernels(gradient):
        kernels.gate_(gradient, activated, plus)
        return gradient
    if plus is not None:
        gradient += plus
    _aten.threshold_backward.grad_input(gradient, activated, 0, grad_input=gradient)
    return gradient


def mean_pool(x: Tensor) -> Tensor:
    """(B, C, h/2, w/2): the means of 2 × 2 positions each."""
    kernels = _kernels(x)
    return kernels.mean_pool(x) if kernels else F.avg_pool2d(x, 2)


def mean_pool_gradient(gradient: Tensor, activated: Tensor, plus: Tensor | None = None) -> Tensor:
    """The gradient of `mean_pool`'s input, plus ``plus``, before the ReLU whose output is ``activated``.

    ``plus`` is overwritten with the result.
    """
    if kernels := _kernels(gradient):
        result: Tensor = kernels.mean_pool_gradient(gradient, activated, plus)
        return result
    unpooled = _aten.avg_pool2d_backward(gradient, activated, [2, 2], [2, 2], [0, 0], False, True, None)
    return gate_(unpooled if plus is None else plus.add_(unpooled), activated)


def max_pool(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """(B, C, h/2, w/2): the maxima of 2 × 2 positions each; and ``where`` for `max_pool_gradient`."""
    if kernels := _kernels(x):
        return kernels.max_pool(x), None
    return _aten.max_pool2d_with_indices(x, [2, 2])  # type: ignore[no-any-return]


def max_pool_gradient(gradient: Tensor, activated: Tensor, where: Tensor | None) -> Tensor:
    """The gradient of `max_pool`'s input, before the ReLU whose output ``activated`` that input is.

    Of several equal maxima the first in row order gets it, as in PyTorch.
    """
    if kernels := _kernels(gradient):
        result: Tensor = kernels.max_pool_gradient(gradient, activated)
        return result
    return gate_(
        _aten.max_pool2d_with_indices_backward(
            gradient, activated, [2, 2], [2, 2], [0, 0], [1, 1], False, where
        ),
        activated,
    )


def take_rows(x: Tensor, rows: Tensor | None) -> Tensor:
    """(K, C), a copy: the positions ``rows`` of a map, numbered in (b, y, x) order; all where it is None.

    rows: (K,) int64.
    """
    flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    return flat.clone() if rows is None else flat[rows] if x.is_cuda else flat.index_select(0, rows)


def put_rows_(gradient: Tensor, rows: Tensor | None, added: Tensor, activated: Tensor | None = None) -> None:
    """Add the gradient (K, C) of `take_rows`'s result to that of its map, where ``activated`` is above 0.

    ``rows`` may name a position more than once if all but one of its rows in ``added`` are zero
    (padding): then the sum is the same in every order.
    """
    flat = gradient.permute(0, 2, 3, 1).view(-1, gradient.shape[1])
    gate = None if activated is None else activated.permute(0, 2, 3, 1).view(-1, gradient.shape[1])
    if rows is None:
        flat += added if gate is None else _aten.threshold_backward(added, gate, 0)
        return
    if kernels := _kernels(gradient):
        kernels.put_rows_(flat, rows, added.contiguous(), gate)
        return
    if gate is not None:
        added = _aten.threshold_backward(added, gate.index_select(0, rows), 0)
    flat.index_add_(0, rows, added)
