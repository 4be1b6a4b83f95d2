"""Mipmapped, wrap-correct texture sampling, differentiable in the texture only.

A texture and its mip levels lie one after the other as rows of one (N, 3) table. A sample is
a weighted sum of eight rows (four neighbours in each of two levels), and neither the rows nor
their weights depend on colours: they are found once per view, as `Taps`, and reused for
every iteration and for every texture of the same size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.base_colors import Wrap

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
    """(H, W, 3) float texture, row 0 the top, to the (N, 3) table of all its levels.

    Each level is the box-filtered half of the one before, as in a viewer. With ``tent``, the
    texture's own wrap in s and t, it is the tent-filtered half (1 3 3 1): a gradient that
    arrives at a coarse level then spreads smoothly over the texels below it. A box would stamp
    its square footprint into every texture that no camera sees texel by texel.
    """
    level = texture.permute(2, 0, 1)[None]
    rows = [texture.reshape(-1, 3)]
    for size in level_sizes(*texture.shape[:2])[1:]:
        level = _box_half(level, size) if tent is None else _tent_half(level, tent)
        rows.append(level[0].permute(1, 2, 0).reshape(-1, 3))
    return torch.cat(rows)


def _box_half(level: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 3, H, W) to (1, 3, *size)."""
    even = level.shape[2] == 2 * size[0] and level.shape[3] == 2 * size[1]
    return F.avg_pool2d(level, 2) if even else F.adaptive_avg_pool2d(level, size)


def _tent_half(level: Tensor, wrap: tuple[Wrap, Wrap]) -> Tensor:
    """(1, 3, H, W) to half of both; an axis of one texel stays."""
    for axis, kind in ((3, wrap[0]), (2, wrap[1])):
        if level.shape[axis] == 1:
            continue
        half = level.shape[axis] // 2
        pad = (1, 1, 0, 0) if axis == 3 else (0, 0, 1, 1)
        padded = F.pad(level, pad, mode="circular" if kind == "repeat" else "replicate")
        before, first, second, after = (_every_second(padded, axis, start, half) for start in range(4))
        level = 0.375 * (first + second) + 0.125 * (before + after)
    return level


def _every_second(level: Tensor, axis: int, start: int, count: int) -> Tensor:
    """``count`` slices along ``axis``: start, start + 2, …"""
    index = [slice(None)] * 4
    index[axis] = slice(start, start + 2 * count - 1, 2)
    return level[tuple(index)]


def find_taps(uvs: Tensor, footprint: Tensor, size: tuple[int, int], wrap: tuple[Wrap, Wrap]) -> Taps:
    """The eight table rows and weights of each sample point.

    uvs: (P, 2) float32, (0, 0) the bottom left. footprint: (P, 2, 2) float32, the change of uv
    per pixel in x (``[:, 0]``) and in y (``[:, 1]``). size: (height, width) of level 0.
    """
    sizes = level_sizes(*size)
    extent = torch.tensor([size[1], size[0]], dtype=torch.float32, device=uvs.device)
    texels = (footprint * extent).norm(dim=2).amax(1).clamp_min(1e-8)
    level = texels.log2().clamp(0, len(sizes) - 1)
    fine = level.floor().long().clamp(max=len(sizes) - 1)
    blend = level - fine
    heights = torch.tensor([s[0] for s in sizes], device=uvs.device)
    widths = torch.tensor([s[1] for s in sizes], device=uvs.device)
    areas = heights * widths
    starts = areas.cumsum(0) - areas
    rows, weights = [], []
    for lod, share in ((fine, 1 - blend), ((fine + 1).clamp(max=len(sizes) - 1), blend)):
        height, width = heights[lod], widths[lod]
        x = uvs[:, 0] * width - 0.5
        y = (1 - uvs[:, 1]) * height - 0.5
        left, top = x.floor(), y.floor()
        right_share, bottom_share = x - left, y - top
        for dy, vertical in ((0, 1 - bottom_share), (1, bottom_share)):
            row, row_inside = _wrap(top.long() + dy, height, wrap[1])
            for dx, horizontal in ((0, 1 - right_share), (1, right_share)):
                column, column_inside = _wrap(left.long() + dx, width, wrap[0])
                rows.append(starts[lod] + row * width + column)
                weights.append(share * vertical * horizontal * (row_inside & column_inside))
    return Taps(torch.stack(rows, 1).int(), torch.stack(weights, 1))


def _wrap(index: Tensor, size: Tensor, wrap: Wrap) -> tuple[Tensor, Tensor]:
    """Texel index inside 0..size-1, and whether the tap counts at all."""
    everywhere = torch.ones_like(index, dtype=torch.bool)
    if wrap == "repeat":
        return index.remainder(size), everywhere
    if wrap == "mirror":
        folded = index.remainder(2 * size)
        return torch.minimum(folded, 2 * size - 1 - folded), everywhere
    inside = (index >= 0) & (index < size)
    return index.clamp_min(0).minimum(size - 1), inside if wrap == "black" else everywhere


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
        spread = (weights[:, :, None] * gradient[:, None, :]).reshape(-1, 3)
        table = gradient.new_zeros(ctx.length, 3)
        # int64: with int32 indices index_add_ is fourteen times slower on a CPU
        flat = rows.reshape(-1).long()
        if table.is_cuda:  # there index_add_ adds in any order; this one sorts first
            return table.index_put_((flat,), spread, accumulate=True), None, None
        return table.index_add_(0, flat, spread), None, None
