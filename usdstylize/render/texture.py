"""Mipmapped, wrap-correct texture sampling, differentiable in the texture only.

A texture and its mip levels lie one after the other as rows of one (N, 3) table. A sample is
a weighted sum of eight rows (four neighbours in each of two levels), and neither the rows nor
their weights depend on colours: they are found once per view, as `Taps`, and reused for
every iteration and for every texture of the same size.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.kernels.availability import fused
from usdstylize.model.base_colors import Wrap

__all__ = ["Taps", "find_taps", "level_rows", "level_sizes", "mip_table", "sample"]


@dataclass(frozen=True, eq=False)
class Taps:
    """rows: (P, 8) int32 into the mip table. weights: (P, 8) float32, summing to 1.

    With wrap ``black`` the weights of taps outside the texture are 0.
    """

    rows: Tensor
    weights: Tensor


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """(height, width) of every mip level, each half of the one before, down to 1 × 1."""
    sizes = [(height, width)]
    while sizes[-1] != (1, 1):
        height, width = max(1, height // 2), max(1, width // 2)
        sizes.append((height, width))
    return sizes


def level_rows(size: tuple[int, int], level: int) -> slice:
    """Which rows of the mip table of a (height, width) texture are its level ``level``."""
    areas = [height * width for height, width in level_sizes(*size)]
    start = sum(areas[:level])
    return slice(start, start + areas[level])


def mip_table(texture: Tensor, tent: tuple[Wrap, Wrap] | None = None) -> Tensor:
    """(H, W, C) float texture, row 0 the top, to the (N, C) table of all its levels; with ``tent`` C is 3.

    Each level is the box-filtered half of the one before, as in a viewer. With ``tent``, the
    texture's own wrap in s and t, it is the tent-filtered half (1 3 3 1): a gradient that
    arrives at a coarse level then spreads smoothly over the texels below it. A box would stamp
    its square footprint into every texture that no camera sees texel by texel.
    """
    if tent is not None:
        return _TentTable.apply(texture, tent)  # type: ignore[no-any-return, no-untyped-call]
    level = texture.permute(2, 0, 1)[None]
    rows = [texture.flatten(0, 1)]
    for size in level_sizes(*texture.shape[:2])[1:]:
        level = _box_half(level, size)
        rows.append(level[0].permute(1, 2, 0).flatten(0, 1))
    return torch.cat(rows)


def _box_half(level: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, C, H, W) to (1, C, *size)."""
    even = level.shape[2] == 2 * size[0] and level.shape[3] == 2 * size[1]
    return F.avg_pool2d(level, 2) if even else F.adaptive_avg_pool2d(level, size)


class _TentTable(torch.autograd.Function):
    """`mip_table` with a tent: halves the rows of each level, then its columns.

    Sums are taken in place, where they are in the processor's cache, and whole rows at a time:
    a quarter of the time of PyTorch's own graph of it.
    """

    @staticmethod
    def forward(ctx, texture: Tensor, wrap: tuple[Wrap, Wrap]) -> Tensor:  # type: ignore[no-untyped-def]
        sizes = level_sizes(*texture.shape[:2])
        areas = [height * width for height, width in sizes]
        ctx.sizes, ctx.areas = sizes, areas
        ctx.circular = (wrap[0] == "repeat", wrap[1] == "repeat")
        table = texture.new_empty(sum(areas), 3)
        levels = [level.view(*size, 3) for level, size in zip(torch.split(table, areas), sizes, strict=True)]
        levels[0].copy_(texture)
        if fused(texture.device):
            from usdstylize.kernels import mips

            for fine, coarse in pairwise(levels):
                mips.halve(fine, coarse, ctx.circular)
            return table
        for fine, coarse in pairwise(levels):
            if coarse.shape[0] < fine.shape[0]:
                rows = texture.new_empty(coarse.shape[0], fine.shape[1], 3)
                _tent_half(fine, rows, 0, ctx.circular[1])
                fine = rows
            if coarse.shape[1] < fine.shape[1]:
                _tent_half(fine, coarse, 1, ctx.circular[0])
            else:
                coarse.copy_(fine)
        return table

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        if fused(gradient.device):
            return _tent_gradient(gradient, ctx.areas, ctx.sizes, ctx.circular), None
        parts = zip(torch.split(gradient.contiguous(), ctx.areas), ctx.sizes, strict=True)
        *finer, below = (part.view(*size, 3) for part, size in parts)
        for own in reversed(finer):
            if below.shape[1] < own.shape[1]:
                columns = own.new_empty(below.shape[0], own.shape[1], 3)
                _tent_half_gradient(below, columns, 1, ctx.circular[0])
                below = columns
            if below.shape[0] < own.shape[0]:
                rows = torch.empty_like(own)
                _tent_half_gradient(below, rows, 0, ctx.circular[1])
                below = rows
            below = below.add_(own)
        return below, None


def _tent_gradient(
    gradient: Tensor, areas: list[int], sizes: list[tuple[int, int]], circular: tuple[bool, bool]
) -> Tensor:
    """`_TentTable.backward` on a GPU."""
    from usdstylize.kernels import mips

    table = gradient.clone(memory_format=torch.contiguous_format)
    levels = [level.view(*size, 3) for level, size in zip(torch.split(table, areas), sizes, strict=True)]
    for fine, coarse in reversed(list(pairwise(levels))):
        mips.halve_gradient(coarse, fine, circular)
    return levels[0]


def _tent_half(fine: Tensor, coarse: Tensor, axis: int, circular: bool) -> None:
    """Write half as many texels along ``axis`` (0 or 1) of (H, W, 3), each 1 3 3 1 eighths of four."""
    first, second, edge = _pairs(fine, axis, coarse.shape[axis])
    torch.add(first, second, out=coarse).mul_(0.375)
    inner = coarse.shape[axis] - 1
    coarse.narrow(axis, 1, inner).add_(second.narrow(axis, 0, inner), alpha=0.125)
    coarse.narrow(axis, 0, inner).add_(first.narrow(axis, 1, inner), alpha=0.125)
    before, after = _beyond(first, second, edge, axis, circular)
    coarse.narrow(axis, 0, 1).add_(before, alpha=0.125)
    coarse.narrow(axis, inner, 1).add_(after, alpha=0.125)


def _tent_half_gradient(coarse: Tensor, fine: Tensor, axis: int, circular: bool) -> None:
    """The transpose of `_tent_half`: write to ``fine`` the gradient that follows from ``coarse``'s."""
    first, second, edge = _pairs(fine, axis, coarse.shape[axis])
    torch.mul(coarse, 0.375, out=first)
    second.copy_(first)
    inner = coarse.shape[axis] - 1
    second.narrow(axis, 0, inner).add_(coarse.narrow(axis, 1, inner), alpha=0.125)
    first.narrow(axis, 1, inner).add_(coarse.narrow(axis, 0, inner), alpha=0.125)
    if edge is not None:
        edge.zero_()
    before, after = _beyond(first, second, edge, axis, circular)
    before.add_(coarse.narrow(axis, 0, 1), alpha=0.125)
    after.add_(coarse.narrow(axis, inner, 1), alpha=0.125)


def _pairs(fine: Tensor, axis: int, count: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """The first and the second texels of ``count`` pairs along an axis, and the one left over, if any."""
    pairs = torch.unflatten(fine.narrow(axis, 0, 2 * count), axis, (count, 2))
    edge = fine.narrow(axis, 2 * count, 1) if fine.shape[axis] > 2 * count else None
    return pairs.select(axis + 1, 0), pairs.select(axis + 1, 1), edge


def _beyond(
    first: Tensor, second: Tensor, edge: Tensor | None, axis: int, circular: bool
) -> tuple[Tensor, Tensor]:
    """The texels before the first pair and after the last one: across the border, or the border's own."""
    start, end = first.narrow(axis, 0, 1), second.narrow(axis, second.shape[axis] - 1, 1)
    last = end if edge is None else edge
    after = edge if edge is not None else start if circular else end
    return (last if circular else start), after


def find_taps(uvs: Tensor, footprint: Tensor, size: tuple[int, int], wrap: tuple[Wrap, Wrap]) -> Taps:
    """The eight table rows and weights of each sample point.

    uvs: (P, 2) float32, (0, 0) the bottom left. footprint: (P, 2, 2) float32, the change of uv
    per pixel in x (``[:, 0]``) and in y (``[:, 1]``). size: (height, width) of level 0.
    """
    sizes = level_sizes(*size)
    extent = torch.tensor([size[1], size[0]], dtype=torch.float32, device=uvs.device)
    squared = (footprint * extent).square()
    squared = squared[:, :, 0] + squared[:, :, 1]  # sums over two take a CPU three times as long
    texels = torch.maximum(squared[:, 0], squared[:, 1]).clamp_min(1e-16)
    level = (texels.log2() / 2).clamp(0, len(sizes) - 1)
    fine = level.floor()
    blend = level - fine
    lods = torch.cat([fine, (fine + 1).clamp_max(len(sizes) - 1)]).int()  # the finer level's, the coarser's
    shares = torch.stack([1 - blend, blend])
    areas = torch.tensor([height * width for height, width in sizes])
    height, width, start = (
        column.to(uvs.device).index_select(0, lods).view(2, -1)
        for column in (*torch.tensor(sizes).float().unbind(1), (areas.cumsum(0) - areas).int())
    )
    columns, across = _neighbours(uvs[:, 0] * width - 0.5, width, wrap[0])
    lines, down = _neighbours((1 - uvs[:, 1]) * height - 0.5, height, wrap[1])
    rows = start.new_empty(len(uvs), 2, 4)
    weights = uvs.new_empty(len(uvs), 2, 4)
    for number, (line, vertical) in enumerate(zip(lines, down, strict=True)):
        # Whole numbers as float32 up to here; a row of the table may be beyond 2^24.
        first = line.int().mul_(width.int()).add_(start)
        part = shares * vertical
        for second, (column, horizontal) in enumerate(zip(columns, across, strict=True)):
            rows[:, :, 2 * number + second] = (first + column.int()).T
            weights[:, :, 2 * number + second] = (part * horizontal).T
    return Taps(rows.view(-1, 8), weights.view(-1, 8))


def _neighbours(at: Tensor, size: Tensor, wrap: Wrap) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The texels before and after a position along an axis, inside 0..size - 1, and their weights.

    All float32: whole numbers up to 2^24 are exact, and a CPU divides integers ten times slower.
    """
    before = at.floor()
    share = at - before
    after = before + 1
    weights = (1 - share, share)
    if wrap == "repeat":
        before = _remainder(before, size)
        after = before + 1
        return (before, after.mul_(after < size)), weights
    if wrap == "mirror":
        twice = 2 * size
        folded = [_remainder(index, twice) for index in (before, after)]
        first, second = (torch.minimum(index, twice - 1 - index) for index in folded)
        return (first, second), weights
    if wrap == "black":
        first, second = (
            weight * ((index >= 0) & (index < size))
            for weight, index in zip(weights, (before, after), strict=True)
        )
        weights = (first, second)
    last = size - 1
    return (before.clamp_min(0).minimum(last), after.clamp_min(0).minimum(last)), weights


def _remainder(index: Tensor, size: Tensor) -> Tensor:
    """``index`` modulo ``size``, also where a UV is so large that its division is not exact."""
    return (index - (index / size).floor() * size).clamp_min(0).minimum(size - 1)


def sample(table: Tensor, taps: Taps) -> Tensor:
    """(P, 3) samples of a mip table; the gradient goes to the table."""
    return _Sample.apply(table, taps.rows, taps.weights)  # type: ignore[no-any-return, no-untyped-call]


class _Sample(torch.autograd.Function):
    """A weighted sum of rows. PyTorch's own backward for it is eight times slower on a CPU."""

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(rows, weights)
        ctx.length = table.shape[0]
        return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        rows, weights = ctx.saved_tensors
        table = gradient.new_zeros(ctx.length, 3)
        # int64: with int32 indices index_add_ is fourteen times slower on a CPU
        flat = rows.reshape(-1).long()
        if table.is_cuda:  # there index_add_ adds in any order; this one sorts first
            shares = (weights[:, :, None] * gradient[:, None, :]).reshape(-1, 3)
            return table.index_put_((flat,), shares, accumulate=True), None, None
        # A channel at a time, in half the time: rows of three would be sorted first. In the same order.
        for own, channel in zip(table.unbind(1), gradient.unbind(1), strict=True):
            own.index_add_(0, flat, (weights * channel[:, None]).view(-1))
        return table, None, None
