# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-decorators=False, disallow-untyped-calls=False
# ruff: noqa: N803
"""One mip level from the finer one by a tent, and back, as one Triton kernel each, for CUDA only.

Import it only where a tensor is on a GPU. A texture's levels are small: what costs is launches.
The reference is `render.texture.mip_table` on a CPU.
"""

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["halve", "halve_gradient"]

_VALUES = 512


def halve(fine: Tensor, coarse: Tensor, circular: tuple[bool, bool]) -> None:
    """Write ``coarse`` (h, w, 3), each axis of ``fine`` (H, W, 3) halved by 1 3 3 1 eighths.

    Both float32 and contiguous; an axis of one texel stays. circular: in s and in t; else the
    edge continues.
    """
    count = coarse.numel()
    _halve[(triton.cdiv(count, _VALUES),)](
        fine, coarse, *fine.shape[:2], *coarse.shape[:2], count, *circular, _VALUES
    )


def halve_gradient(coarse: Tensor, fine: Tensor, circular: tuple[bool, bool]) -> None:
    """Add the transpose of `halve`: what the gradient ``coarse`` is to ``fine``."""
    count = fine.numel()
    _halve_gradient[(triton.cdiv(count, _VALUES),)](
        coarse, fine, *fine.shape[:2], *coarse.shape[:2], count, *circular, _VALUES
    )


@triton.jit
def _from_fine(place, offset: tl.constexpr, fine, coarse, circular: tl.constexpr):
    """Which fine texel the tap at ``offset`` (-1 to 2) of a coarse one is, and its weight."""
    index = 2 * place + offset
    if circular:
        index = tl.where(index < 0, index + fine, tl.where(index >= fine, index - fine, index))
    else:
        index = tl.minimum(tl.maximum(index, 0), fine - 1)
    weight = 0.375 if (offset == 0) or (offset == 1) else 0.125
    stays = fine == coarse
    return tl.where(stays, place, index), tl.where(stays, 1.0 if offset == 0 else 0.0, weight)


@triton.jit
def _halve(
    fine, coarse, H, W, h, w, count, CIRCULAR_S: tl.constexpr, CIRCULAR_T: tl.constexpr, VALUES: tl.constexpr
):
    at = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
    inside = at < count
    channel, x, y = at % 3, at // 3 % w, at // 3 // w
    total = tl.zeros((VALUES,), tl.float32)
    for dy in tl.static_range(-1, 3):
        row, row_weight = _from_fine(y, dy, H, h, CIRCULAR_T)
        line = tl.zeros((VALUES,), tl.float32)
        for dx in tl.static_range(-1, 3):
            column, weight = _from_fine(x, dx, W, w, CIRCULAR_S)
            line += weight * tl.load(fine + (row * W + column) * 3 + channel, mask=inside, other=0.0)
        total += row_weight * line
    tl.store(coarse + at, total, mask=inside)


@triton.jit
def _from_coarse(place, number: tl.constexpr, fine, coarse, circular: tl.constexpr):
    """The ``number``th (0 to 2) of the coarse texels that have this fine one as a tap, and its weight."""
    odd = place % 2
    if number == 0:
        # the one that it is in
        index, weight = place // 2, 0.375 + tl.zeros_like(place).to(tl.float32)
    elif number == 1:
        # the one beside it
        index, weight = place // 2 - 1 + 2 * odd, 0.125 + tl.zeros_like(place).to(tl.float32)
    else:
        # the one whose tap has left the other edge, or this one
        if circular:
            first, last = place == fine - 1, (place == 0) & (fine == 2 * coarse)
        else:
            first, last = place == 0, (place == fine - 1) & (fine == 2 * coarse)
        index = tl.where(last, coarse - 1, 0)
        weight = tl.where(first | last, 0.125, 0.0)
    weight = tl.where((index >= 0) & (index < coarse), weight, 0.0)
    stays = fine == coarse
    index = tl.where(stays, place, tl.minimum(tl.maximum(index, 0), coarse - 1))
    return index, tl.where(stays, 1.0 if number == 0 else 0.0, weight)


@triton.jit
def _halve_gradient(
    coarse, fine, H, W, h, w, count, CIRCULAR_S: tl.constexpr, CIRCULAR_T: tl.constexpr, VALUES: tl.constexpr
):
    at = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
    inside = at < count
    channel, x, y = at % 3, at // 3 % W, at // 3 // W
    total = tl.load(fine + at, mask=inside, other=0.0)
    for row_number in tl.static_range(3):
        row, row_weight = _from_coarse(y, row_number, H, h, CIRCULAR_T)
        line = tl.zeros((VALUES,), tl.float32)
        for number in tl.static_range(3):
            column, weight = _from_coarse(x, number, W, w, CIRCULAR_S)
            line += weight * tl.load(coarse + (row * w + column) * 3 + channel, mask=inside, other=0.0)
        total += row_weight * line
    tl.store(fine + at, total, mask=inside)
