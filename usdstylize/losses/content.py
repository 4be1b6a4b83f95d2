"""Content loss (paper §3): it keeps features of the original, such as a cow's eyes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from usdstylize.kernels.availability import fused
from usdstylize.losses.nnfm import weighted_mean

__all__ = ["content_loss"]

_CHUNK = 1024
"""Rows compared at a time, so that they stay in the processor's cache."""


def content_loss(
    rows: Tensor, targets: Tensor, weights: Tensor | None = None, *, total: Tensor | None = None
) -> Tensor:
    """Mean squared difference of one map's feature rows, a scalar.

    rows, targets: (M, C), the render with T + T_S and the render with T from the same camera and
    under the same light. weights: (M,), the share of each position that the object covers; None
    counts all alike. total: as for `nnfm_loss`.
    """
    if fused(rows.device):
        from usdstylize.kernels import rows as kernels  # needs Triton

        return kernels.content_mean(rows, targets, weights=weights, total=total)
    squared: Tensor = _MeanSquare.apply(rows, targets)  # type: ignore[no-untyped-call]
    return squared.mean() if weights is None else weighted_mean(squared, weights, total)


class _MeanSquare(torch.autograd.Function):
    """Mean over the channels of the squared difference of rows (M, C), in float32: (M,)."""

    @staticmethod
    def forward(ctx, rows: Tensor, targets: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(rows, targets)
        pairs = zip(_split(rows), _split(targets), strict=True)
        return torch.cat([(row.float() - target.float()).square_().mean(1) for row, target in pairs])

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        rows, targets = ctx.saved_tensors
        factor = (gradient * (2 / rows.shape[1]))[:, None]
        result = torch.empty_like(rows)
        parts = (_split(part) for part in (rows, targets, factor, result))
        for row, target, scale, out in zip(*parts, strict=True):
            out.copy_((row.float() - target.float()).mul_(scale))
        return result, None


def _split(rows: Tensor) -> Sequence[Tensor]:
    """Views of at most a chunk of the rows; of all at once on a GPU, which has no such cache."""
    return (rows,) if rows.is_cuda else torch.split(rows, _CHUNK)
