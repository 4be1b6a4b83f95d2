"""Feature maps as rows, one per position; only the positions that a loss asks for."""

import torch
from torch import Tensor

__all__ = ["feature_rows"]


def feature_rows(features: Tensor, rows: Tensor | None = None) -> Tensor:
    """(B, C, h, w) to (B·h·w, C), positions in (b, y, x) order; with ``rows`` only those.

    rows: (K,) int64, each position at most once.
    """
    flat = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
    return flat if rows is None else _Gather.apply(flat, rows)  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    """index_select whose backward copies instead of adding, since no position comes twice.

    That is several times faster on a CPU, and deterministic on every device.
    """

    @staticmethod
    def forward(ctx, flat: Tensor, rows: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(rows)
        ctx.length = flat.shape[0]
        return flat.index_select(0, rows)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        (rows,) = ctx.saved_tensors
        flat = gradient.new_zeros(ctx.length, gradient.shape[1])
        return flat.index_copy_(0, rows, gradient), None
