"""Triton kernels that treat each row of features by itself, in one pass over memory.

A program holds whole rows. Means over rows are sums of one number per row, which PyTorch
adds in an order of its own that never varies: nothing here adds with atomics. The references are
`losses.nnfm` and `losses.content` on a CPU.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["content_mean", "nearest_mean", "smoothed_offsets"]

_ELEMENTS = 2048
"""Numbers that a program holds of each tensor: 16 a thread."""
_WARPS = 4


def nearest_mean(
    rows: Tensor,
    keys: Tensor,
    index: Tensor,
    *,
    smooth: bool = False,
    weights: Tensor | None = None,
    total: Tensor | None = None,
) -> Tensor:
    """Weighted mean of the cosine distance of each row to its key, a float32 scalar.

    rows: (M, C) of any float dtype, the only input with a gradient. keys: (N, C) float32 unit
    vectors. index: (M,) int64, a row's key. smooth: softmax over the channels of a row first,
    in float32. weights: (M,) float32; None counts all alike. total: float32 scalar, what to divide by,
    at least 1; None is the sum of the weights.

    The distance is half the squared difference of unit vectors, and not one less their product:
    smoothed features are so near each other that the product would lose most of its digits.
    """
    total = _total(rows, weights, total)
    result: Tensor = _NearestMean.apply(rows.contiguous(), keys, index, weights, total, smooth)
    return result


def content_mean(
    rows: Tensor, targets: Tensor, *, weights: Tensor | None = None, total: Tensor | None = None
) -> Tensor:
    """Weighted mean over rows of the mean squared difference over channels, a float32 scalar.

    rows, targets: (M, C) of any float dtypes; only ``rows`` has a gradient. weights, total: as
    for `nearest_mean`.
    """
    total = _total(rows, weights, total)
    result: Tensor = _ContentMean.apply(rows.contiguous(), targets.contiguous(), weights, total)
    return result


def smoothed_offsets(rows: Tensor, centre: Tensor, dtype: torch.dtype) -> Tensor:
    """(M, C) of ``dtype``: ``softmax(row) - centre``, in float32 until the end.

    rows: (M, C) of any float dtype. centre: (C,) float32.
    """
    rows = rows.contiguous()
    result = torch.empty(rows.shape, dtype=dtype, device=rows.device)
    if len(rows):
        with torch.cuda.device_of(rows):
            _offset_rows[_grid(rows)](rows, centre, result, len(rows), **_shape(rows))
    return result


def _total(rows: Tensor, weights: Tensor | None, total: Tensor | None) -> Tensor:
    if total is not None:
        return total
    return rows.new_full((), len(rows), dtype=torch.float32) if weights is None else weights.sum()


def _shape(rows: Tensor) -> dict[str, int]:
    """Constants that every kernel here is compiled for."""
    padded = triton.next_power_of_2(rows.shape[1])
    return {
        "channels": rows.shape[1],
        "padded": padded,
        "tile_rows": max(1, _ELEMENTS // padded),
        "num_warps": _WARPS,
    }


def _grid(rows: Tensor) -> tuple[int]:
    return (triton.cdiv(len(rows), _shape(rows)["tile_rows"]),)


class _NearestMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, keys, index, weights, total, smooth) -> Tensor:
        inputs = (rows, keys, index, total if weights is None else weights, total)
        ctx.constants = {"smooth": smooth, "weighted": weights is not None}
        ctx.save_for_backward(*inputs)
        return _per_row(_distances, inputs, ctx.constants).sum()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        result = _per_element(_distance_gradients, ctx.saved_tensors, gradient, ctx.constants)
        return result, None, None, None, None, None


class _ContentMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, targets, weights, total) -> Tensor:
        inputs = (rows, targets, total if weights is None else weights, total)
        ctx.constants = {"weighted": weights is not None}
        ctx.save_for_backward(*inputs)
        return _per_row(_squares, inputs, ctx.constants).sum()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        result = _per_element(_square_gradients, ctx.saved_tensors, gradient, ctx.constants)
        return result, None, None, None


def _per_row(kernel: Any, inputs: Sequence[Tensor], constants: dict[str, bool]) -> Tensor:
    """(M,) float32 from a kernel of the rows ``inputs[0]`` and what else it takes."""
    rows = inputs[0]
    result = rows.new_empty(len(rows), dtype=torch.float32)
    if len(rows):
        with torch.cuda.device_of(rows):
            kernel[_grid(rows)](*inputs, result, len(rows), **constants, **_shape(rows))
    return result


def _per_element(
    kernel: Any, inputs: Sequence[Tensor], gradient: Tensor, constants: dict[str, bool]
) -> Tensor:
    """Gradient of the rows ``inputs[0]``, in their dtype; ``gradient`` is a float32 scalar."""
    rows = inputs[0]
    result = torch.empty_like(rows)
    if len(rows):
        with torch.cuda.device_of(rows):
            kernel[_grid(rows)](*inputs, gradient, result, len(rows), **constants, **_shape(rows))
    return result


@triton.jit
def _softmax(own):
    powers = tl.exp(own - tl.max(own, axis=1)[:, None])
    return powers / tl.sum(powers, axis=1)[:, None]


@triton.jit
def _share(weights_at, total_at, row, inside, weighted: tl.constexpr):
    """What a row counts: its weight over the total."""
    share = 1.0 / tl.maximum(tl.load(total_at), 1e-12)
    if weighted:
        share = share * tl.load(weights_at + row, inside, 0.0)
    return share


@triton.jit
def _unit_and_key(
    rows_at,
    keys_at,
    index_at,
    row,
    inside,
    channel,
    channels: tl.constexpr,
    smooth: tl.constexpr,
):
    """Feature (smoothed or as it is), its length, the unit vector, and the unit key; each per row."""
    real = inside[:, None] & (channel < channels)[None, :]
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    if smooth:
        own = tl.load(rows_at + at, real, float("-inf")).to(tl.float32)
        # rows past the end would be -inf throughout, and their softmax not a number
        feature = _softmax(tl.where(inside[:, None], own, 0.0))
    else:
        feature = tl.load(rows_at + at, real, 0.0).to(tl.float32)
    key_at = tl.load(index_at + row, inside, 0)[:, None] * channels + channel[None, :]
    key = tl.load(keys_at + key_at, real, 0.0)
    length = tl.maximum(tl.sqrt(tl.sum(feature * feature, axis=1)), 1e-12)
    return feature, length, feature / length[:, None], key


@triton.jit
def _distance(unit, length, key):
    """Cosine distance per row. A row of zeros has no direction: it is 1 away from every key."""
    difference = unit - key
    return tl.where(length > 1e-12, 0.5 * tl.sum(difference * difference, axis=1), 1.0)


@triton.jit(do_not_specialize=["count"], do_not_specialize_on_alignment=["total_at"])
def _distances(
    rows_at,
    keys_at,
    index_at,
    weights_at,
    total_at,
    result_at,
    count,
    weighted: tl.constexpr,
    smooth: tl.constexpr,
    channels: tl.constexpr,
    padded: tl.constexpr,
    tile_rows: tl.constexpr,
):
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    inside = row < count
    channel = tl.arange(0, padded)
    _feature, length, unit, key = _unit_and_key(
        rows_at, keys_at, index_at, row, inside, channel, channels, smooth
    )
    share = _share(weights_at, total_at, row, inside, weighted)
    tl.store(result_at + row, _distance(unit, length, key) * share, inside)


@triton.jit(do_not_specialize=["count"], do_not_specialize_on_alignment=["total_at", "gradient_at"])
def _distance_gradients(
    rows_at,
    keys_at,
    index_at,
    weights_at,
    total_at,
    gradient_at,
    result_at,
    count,
    weighted: tl.constexpr,
    smooth: tl.constexpr,
    channels: tl.constexpr,
    padded: tl.constexpr,
    tile_rows: tl.constexpr,
):
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    inside = row < count
    channel = tl.arange(0, padded)
    feature, length, unit, key = _unit_and_key(
        rows_at, keys_at, index_at, row, inside, channel, channels, smooth
    )
    factor = _share(weights_at, total_at, row, inside, weighted) * tl.load(gradient_at)
    # (cosine · unit − key) / length, written so that nothing cancels where they nearly agree
    result = ((unit - key) - _distance(unit, length, key)[:, None] * unit) * (factor / length)[:, None]
    if smooth:
        result = feature * (result - tl.sum(feature * result, axis=1)[:, None])
    real = inside[:, None] & (channel < channels)[None, :]
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    tl.store(result_at + at, result.to(result_at.dtype.element_ty), real)


@triton.jit
def _difference(rows_at, targets_at, row, inside, channel, channels: tl.constexpr):
    real = inside[:, None] & (channel < channels)[None, :]
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    own = tl.load(rows_at + at, real, 0.0).to(tl.float32)
    return own - tl.load(targets_at + at, real, 0.0).to(tl.float32)


@triton.jit(do_not_specialize=["count"], do_not_specialize_on_alignment=["total_at"])
def _squares(
    rows_at,
    targets_at,
    weights_at,
    total_at,
    result_at,
    count,
    weighted: tl.constexpr,
    channels: tl.constexpr,
    padded: tl.constexpr,
    tile_rows: tl.constexpr,
):
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    inside = row < count
    difference = _difference(rows_at, targets_at, row, inside, tl.arange(0, padded), channels)
    share = _share(weights_at, total_at, row, inside, weighted) / channels
    tl.store(result_at + row, tl.sum(difference * difference, axis=1) * share, inside)


@triton.jit(do_not_specialize=["count"], do_not_specialize_on_alignment=["total_at", "gradient_at"])
def _square_gradients(
    rows_at,
    targets_at,
    weights_at,
    total_at,
    gradient_at,
    result_at,
    count,
    weighted: tl.constexpr,
    channels: tl.constexpr,
    padded: tl.constexpr,
    tile_rows: tl.constexpr,
):
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    inside = row < count
    channel = tl.arange(0, padded)
    difference = _difference(rows_at, targets_at, row, inside, channel, channels)
    factor = _share(weights_at, total_at, row, inside, weighted) * tl.load(gradient_at) * (2.0 / channels)
    real = inside[:, None] & (channel < channels)[None, :]
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    tl.store(result_at + at, (difference * factor[:, None]).to(result_at.dtype.element_ty), real)


@triton.jit(do_not_specialize=["count"])
def _offset_rows(
    rows_at,
    centre_at,
    result_at,
    count,
    channels: tl.constexpr,
    padded: tl.constexpr,
    tile_rows: tl.constexpr,
):
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    inside = row < count
    channel = tl.arange(0, padded)
    real = inside[:, None] & (channel < channels)[None, :]
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    own = tl.load(rows_at + at, real, float("-inf")).to(tl.float32)
    smooth = _softmax(tl.where(inside[:, None], own, 0.0))
    centre = tl.load(centre_at + channel, channel < channels, 0.0)
    tl.store(result_at + at, (smooth - centre[None, :]).to(result_at.dtype.element_ty), real)
