"""Triton kernels that read and write a channels_last map once, in float32 between.

The references are the functions of the same names in `encoders.maps`, on a CPU. Here a map is
(positions, channels), contiguous. Channels are a multiple of 32 (of 64 above that), and a map has fewer
than 2^31 positions.
"""

# Triton's language knows no annotations but constexpr's, and writes constants in capitals.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False,
# mypy: disallow-untyped-decorators=False, disallow-untyped-calls=False
# ruff: noqa: N803

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = [
    "affine_rectify_",
    "gate_",
    "max_pool",
    "max_pool_gradient",
    "mean_pool",
    "mean_pool_gradient",
    "put_rows_",
    "rectify_",
]

_ROWS = 32


@triton.jit
def _tile(length, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Positions (ROWS,) and columns (COLUMNS,) of this program, and which positions exist."""
    positions = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    return positions, columns, (positions < length)[:, None] & (columns >= 0)[None, :]


@triton.jit
def _at(positions, columns, channels):
    return positions.to(tl.int64)[:, None] * channels + columns[None, :]


@triton.jit
def _corner(positions, width):
    """The position of the top left of the 2 × 2 that a pooled position stands for."""
    return (positions // width) * (4 * width) + (positions % width) * 2


@triton.jit(do_not_specialize=["length"])
def _rectify(x, scale, shift, plus, length, channels, SCALE: tl.constexpr, PLUS: tl.constexpr,
             ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    positions, columns, inside = _tile(length, channels, ROWS, COLUMNS)
    at = _at(positions, columns, channels)
    value = tl.load(x + at, mask=inside).to(tl.float32)
    if SCALE:
        value = value * tl.load(scale + columns)[None, :]
    value += tl.load(shift + columns)[None, :]
    if PLUS:
        value += tl.load(plus + at, mask=inside).to(tl.float32)
    tl.store(x + at, tl.maximum(value, 0.0).to(x.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["length"])
def _gate(gradient, activated, plus, length, channels, PLUS: tl.constexpr,
          ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    positions, columns, inside = _tile(length, channels, ROWS, COLUMNS)
    at = _at(positions, columns, channels)
    value = tl.load(gradient + at, mask=inside).to(tl.float32)
    if PLUS:
        value += tl.load(plus + at, mask=inside).to(tl.float32)
    passes = tl.load(activated + at, mask=inside) > 0
    tl.store(gradient + at, tl.where(passes, value, 0.0).to(gradient.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["length", "width"])
def _mean_pool(x, result, length, width, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    positions, columns, inside = _tile(length, channels, ROWS, COLUMNS)
    corner = _corner(positions, width)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for step in tl.static_range(4):
        source = _at(corner + (step // 2) * 2 * width + step % 2, columns, channels)
        total += tl.load(x + source, mask=inside).to(tl.float32)
    at = _at(positions, columns, channels)
    tl.store(result + at, (total * 0.25).to(result.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["length", "width"])
def _mean_pool_gradient(gradient, activated, result, length, width, channels, PLUS: tl.constexpr,
                        ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    positions, columns, inside = _tile(length, channels, ROWS, COLUMNS)
    corner = _corner(positions, width)
    share = tl.load(gradient + _at(positions, columns, channels), mask=inside).to(tl.float32) * 0.25
    for step in tl.static_range(4):
        target = _at(corner + (step // 2) * 2 * width + step % 2, columns, channels)
        value = share
        if PLUS:
            value += tl.load(result + target, mask=inside).to(tl.float32)
        passes = tl.load(activated + target, mask=inside) > 0
        tl.store(result + target, tl.where(passes, value, 0.0).to(result.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["length", "width"])
def _max_pool(x, result, length, width, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    positions, columns, inside = _tile(length, channels, ROWS, COLUMNS)
    corner = _corner(positions, width)
    top = tl.load(x + _at(corner, columns, channels), mask=inside)
    for step in tl.static_range(1, 4):
        source = _at(corner + (step // 2) * 2 * width + step % 2, columns, channels)
        top = tl.maximum(top, tl.load(x + source, mask=inside))
    tl.store(result + _at(positions, columns, channels), top, mask=inside)


@triton.jit(do_not_specialize=["length", "width"])
def _max_pool_gradient(gradient, activated, result, length, width, channels,
                       ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    positions, columns, inside = _tile(length, channels, ROWS, COLUMNS)
    corner = _corner(positions, width)
    value = tl.load(gradient + _at(positions, columns, channels), mask=inside)
    top = tl.zeros((ROWS, COLUMNS), activated.dtype.element_ty)
    for step in tl.static_range(4):
        source = _at(corner + (step // 2) * 2 * width + step % 2, columns, channels)
        top = tl.maximum(top, tl.load(activated + source, mask=inside))
    # ReLU's gradient is 0 at 0, so where the maximum is 0 nothing passes.
    open_ = inside & (top > 0)
    for step in tl.static_range(4):
        target = _at(corner + (step // 2) * 2 * width + step % 2, columns, channels)
        here = open_ & (tl.load(activated + target, mask=inside) == top)
        tl.store(result + target, tl.where(here, value, 0.0).to(result.dtype.element_ty), mask=inside)
        open_ = open_ & (here == 0)


@triton.jit
def _put_rows(flat, rows, added, activated, channels, GATE: tl.constexpr, COLUMNS: tl.constexpr):
    columns = tl.arange(0, COLUMNS)
    inside = columns < channels
    number = tl.program_id(0).to(tl.int64)
    value = tl.load(added + number * channels + columns, mask=inside, other=0.0).to(tl.float32)
    # A padding row may stand for a position that another program adds to at the same time.
    something = tl.max((value != 0).to(tl.int32), 0) > 0
    at = tl.load(rows + number) * channels + columns
    if GATE:
        value = tl.where(tl.load(activated + at, mask=inside, other=0.0) > 0, value, 0.0)
    value += tl.load(flat + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(flat + at, value.to(flat.dtype.element_ty), mask=inside & something)


def rectify_(x: Tensor, bias: Tensor, shortcut: Tensor | None) -> None:
    """`maps.rectify_`."""
    grid, length, tile = _layout(x, shortcut)
    _rectify[grid](x, bias, bias, x if shortcut is None else shortcut, length, x.shape[1],
                   SCALE=False, PLUS=shortcut is not None, **tile)  # fmt: skip


def affine_rectify_(x: Tensor, scale: Tensor, shift: Tensor) -> None:
    """`maps.affine_rectify_`."""
    grid, length, tile = _layout(x)
    _rectify[grid](x, scale, shift, x, length, x.shape[1], SCALE=True, PLUS=False, **tile)


def gate_(gradient: Tensor, activated: Tensor, plus: Tensor | None) -> None:
    """`maps.gate_`."""
    grid, length, tile = _layout(gradient, activated, plus)
    _gate[grid](gradient, activated, gradient if plus is None else plus, length, gradient.shape[1],
                PLUS=plus is not None, **tile)  # fmt: skip


def mean_pool(x: Tensor) -> Tensor:
    """`maps.mean_pool`."""
    return _pooled(_mean_pool, x)


def max_pool(x: Tensor) -> Tensor:
    """`maps.max_pool`'s first result."""
    return _pooled(_max_pool, x)


def mean_pool_gradient(gradient: Tensor, activated: Tensor, plus: Tensor | None) -> Tensor:
    """`maps.mean_pool_gradient`."""
    grid, length, tile = _layout(gradient)
    result = torch.empty_like(activated) if plus is None else plus
    _layout(activated, result)
    _mean_pool_gradient[grid](gradient, activated, result, length, gradient.shape[3], gradient.shape[1],
                              PLUS=plus is not None, **tile)  # fmt: skip
    return result


def max_pool_gradient(gradient: Tensor, activated: Tensor) -> Tensor:
    """`maps.max_pool_gradient`."""
    grid, length, tile = _layout(gradient)
    result = torch.empty_like(activated)
    _layout(activated, result)
    _max_pool_gradient[grid](
        gradient, activated, result, length, gradient.shape[3], gradient.shape[1], **tile
    )
    return result


def put_rows_(flat: Tensor, rows: Tensor, added: Tensor, activated: Tensor | None) -> None:
    """`maps.put_rows_` on (positions, C) views."""
    if len(rows):
        _put_rows[(len(rows),)](flat, rows, added, flat if activated is None else activated, flat.shape[1],
                                GATE=activated is not None, COLUMNS=triton.next_power_of_2(flat.shape[1]),
                                num_warps=1)  # fmt: skip


def _pooled(kernel: triton.JITFunction, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    result = torch.empty(
        (batch, channels, height // 2, width // 2),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    _layout(x)
    grid, length, tile = _layout(result)
    kernel[grid](x, result, length, width // 2, channels, **tile)
    return result


def _layout(*maps: Tensor | None) -> tuple[tuple[int, int], int, dict[str, int]]:
    """Grid, positions and tile size for maps of one shape, which must lie as the kernels read them."""
    first = maps[0]
    assert first is not None
    for x in maps:
        if x is not None and not (
            x.shape == first.shape and x.is_contiguous(memory_format=torch.channels_last)
        ):
            raise ValueError(f"a map of shape {tuple(x.shape)}, strides {x.stride()} is not channels_last")
    channels = first.shape[1]
    columns = min(64, channels)
    if channels % columns or columns % 32:
        raise ValueError(f"{channels} channels: a multiple of 32 is needed, of 64 above it")
    length = first.numel() // channels
    return (triton.cdiv(length, _ROWS), channels // columns), length, {"ROWS": _ROWS, "COLUMNS": columns}
