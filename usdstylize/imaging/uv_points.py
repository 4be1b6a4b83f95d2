"""Which points of a surface a texel shows: none, one, or several where UVs overlap or repeat."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usdstylize.imaging.uv_raster import fold
from usdstylize.model.base_colors import Wrap

__all__ = ["TexelPoints", "texel_points"]

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_MOST = 8
"""Points of one texel that count; where more parts of a surface share it, the first ones do."""
_REACH = 1.0
"""Texels beyond a triangle, along each axis, that a bilinear sample on it reads."""
_SAME = 1e-3
"""Texels. A triangle that is this much farther from a texel's centre than the nearest one is as near."""
_STEEP = 2.0
"""Mean texel sizes that the surface may go on for, per texel beyond a triangle's edge."""
_PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class TexelPoints:
    """Points of a surface, and the texels that show them.

    texels: (N,) int64, row * R + column, row 0 the top; rising, and repeated where a texel shows
    several points. points: (N, C) float32.
    """

    texels: Int64
    points: Float32


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Texels beside triangles. distance: (N,), of the texel's centre from the triangle, in texels.

    nearest, here: (N, 3), barycentrics of the triangle's nearest point, and of the centre itself.
    """

    texels: Int64
    triangles: Int64
    distance: Float64
    nearest: Float64
    here: Float64

    def of(self, chosen: NDArray[np.generic]) -> "_Pairs":
        return _Pairs(*(column[chosen] for column in vars(self).values()))


def texel_points(
    uvs: NDArray[np.floating],
    corners: NDArray[np.floating],
    wrap: tuple[Wrap, Wrap],
    resolution: int,
    spacing: float,
) -> TexelPoints:
    """The points that texels' centres show, for every texel that a bilinear sample on the surface reads.

    uvs: (F, 3, 2), of any range. corners: (F, 3, C), points at the triangles' corners. spacing: the mean
    distance of neighbouring texels on the surface.

    A centre inside several triangles shows a point of each, of eight at most. One inside none shows where
    the nearest triangle's plane goes on: a sample between both then shows the point at the edge.
    """
    copies, owners, _ = fold(np.asarray(uvs, dtype=np.float64), wrap)
    copies = copies * [resolution, -resolution] + [0, resolution]  # in texels, rows downwards
    first = np.floor(copies.min(axis=1) - _REACH - 0.5).astype(np.int64) + 1
    last = np.ceil(copies.max(axis=1) + _REACH - 0.5).astype(np.int64) - 1
    for axis in (0, 1):
        beyond = int(wrap[axis] == "repeat")
        first[:, axis] = first[:, axis].clip(-beyond, None)
        last[:, axis] = last[:, axis].clip(None, resolution - 1 + beyond)
    some = (first <= last).all(axis=1)
    pairs = _chosen(_pairs(copies[some], first[some], last[some], resolution))
    where = np.asarray(corners, dtype=np.float64)[owners[some][pairs.triangles]]
    nearest = np.einsum("nk,nkc->nc", pairs.nearest, where)
    onward = np.einsum("nk,nkc->nc", pairs.here - pairs.nearest, where)
    length, longest = np.linalg.norm(onward, axis=1), _STEEP * spacing * pairs.distance
    onward *= np.divide(longest, length, out=np.ones_like(length), where=length > longest)[:, None]
    return TexelPoints(pairs.texels, (nearest + onward).astype(np.float32))


def _pairs(copies: Float64, first: Int64, last: Int64, resolution: int) -> _Pairs:
    """Every texel beside every triangle (F, 3, 2), but no further ones of a texel that has enough.

    first, last: (F, 2), the columns and rows of texels to ask; those beyond the border mean texels across it.
    """
    counts = np.zeros(resolution**2, dtype=np.int64)
    open_texels = _sums(counts < _MOST, resolution)
    found = [_beside(copies[:0], first[:0], last[:0], resolution)]
    for portion in _portions((last - first + 1).prod(axis=1)):
        low = first[portion].clip(0, resolution - 1)
        high = last[portion].clip(0, resolution - 1) + 1
        left = (
            open_texels[high[:, 1], high[:, 0]] - open_texels[low[:, 1], high[:, 0]]
            - open_texels[high[:, 1], low[:, 0]] + open_texels[low[:, 1], low[:, 0]]
        )  # fmt: skip
        chosen = np.arange(portion.start, portion.stop)[left > 0]
        pairs = _beside(copies[chosen], first[chosen], last[chosen], resolution)
        pairs = pairs.of(counts[pairs.texels] < _MOST)
        if not len(pairs.texels):
            continue
        counts += np.bincount(pairs.texels[pairs.distance < _SAME], minlength=resolution**2)
        open_texels = _sums(counts < _MOST, resolution)
        found.append(_Pairs(pairs.texels, chosen[pairs.triangles], pairs.distance, pairs.nearest, pairs.here))
    return _Pairs(
        *(np.concatenate(column) for column in zip(*(vars(p).values() for p in found), strict=True))
    )


def _portions(sizes: Int64) -> Iterator[slice]:
    """Slices with a sum of sizes of about a million, or a single one that is larger."""
    ends = np.cumsum(sizes)
    begin = 0
    while begin < len(ends):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _PAIRS_AT_ONCE, side="right")))
        yield slice(begin, end)
        begin = end


def _sums(values: Bool, resolution: int) -> Int64:
    """(R + 1, R + 1): how many of the texels above and left of each corner are True."""
    sums = np.zeros((resolution + 1, resolution + 1), dtype=np.int64)
    sums[1:, 1:] = values.reshape(resolution, resolution).cumsum(0).cumsum(1)
    return sums


def _beside(copies: Float64, first: Int64, last: Int64, resolution: int) -> _Pairs:
    """The texels of each triangle's window whose centres are within reach of it."""
    across = last[:, 0] - first[:, 0] + 1
    sizes = across * (last[:, 1] - first[:, 1] + 1)
    triangles = np.repeat(np.arange(len(copies)), sizes)
    nth = np.arange(len(triangles)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = first[triangles] + np.stack([nth % across[triangles], nth // across[triangles]], axis=1)
    texels = places[:, 1] % resolution * resolution + places[:, 0] % resolution
    corners = copies[triangles]
    distance, nearest, here = _barycentrics(corners, places + 0.5)
    near = distance < _REACH * np.sqrt(2)
    return _Pairs(texels, triangles, distance, nearest, here).of(near)


def _barycentrics(corners: Float64, points: Float64) -> tuple[Float64, Float64, Float64]:
    """Of points (N, 2) and triangles (N, 3, 2): as `_Pairs` has them. A triangle without area is an edge."""
    sides = np.roll(corners, -1, axis=1) - corners  # from each corner to the next
    towards = points[:, None] - corners
    parts = sides[..., 0] * towards[..., 1] - sides[..., 1] * towards[..., 0]  # opposite to the corner before
    area = parts.sum(axis=1)
    flat = np.abs(area) < 1e-9
    here = np.roll(parts, -1, axis=1) / np.where(flat, 1.0, area)[:, None]
    inside = ~flat & (here >= 0).all(axis=1)
    lengths = (sides**2).sum(axis=2)
    along = ((towards * sides).sum(axis=2) / np.where(lengths > 0, lengths, 1.0)).clip(0, 1)
    gaps = ((towards - along[..., None] * sides) ** 2).sum(axis=2)
    edge, each = gaps.argmin(axis=1), np.arange(len(points))
    nearest = np.zeros((len(points), 3))
    nearest[each, edge] = 1 - along[each, edge]
    nearest[each, (edge + 1) % 3] = along[each, edge]
    nearest[inside] = here[inside]
    here[flat] = nearest[flat]
    return np.where(inside, 0.0, np.sqrt(gaps[each, edge])), nearest, here


def _chosen(pairs: _Pairs) -> _Pairs:
    """Of each texel the nearest triangles alone, the first ones of equals, sorted by texel."""
    pairs = pairs.of(np.argsort(pairs.texels, kind="stable"))
    if not len(pairs.texels):
        return pairs
    start = np.flatnonzero(np.diff(pairs.texels, prepend=-1))
    of_texel = np.cumsum(np.diff(pairs.texels, prepend=-1) != 0) - 1
    near = pairs.distance <= np.minimum.reduceat(pairs.distance, start)[of_texel] + _SAME
    pairs = pairs.of(near)
    start = np.flatnonzero(np.diff(pairs.texels, prepend=-1))
    rank = np.arange(len(pairs.texels)) - np.repeat(start, np.diff(start, append=len(pairs.texels)))
    return pairs.of(rank < _MOST)
