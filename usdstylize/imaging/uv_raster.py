"""UV space as an image: which texels the triangles cover, and which triangle lies on each.

Triangles are rasterised by rays: they are laid into the (u, v) plane, and embreex is asked
what lies under each sample. Images are square, ``resolution`` texels a side; row 0 is the
top, so texel (row, column) has its centre at u = (column + ½) / R, v = 1 - (row + ½) / R.
"""

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray
from scipy import ndimage

from usdstylize.model.base_colors import Wrap

__all__ = ["centers_covered", "covered_texels", "fold", "rasterize", "rasterize_vertex_colors", "udim_tiles"]

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

_TILE_LIMIT = 4096
"""A triangle that touches more tiles is not cut up but taken to cover every texel."""
_COPY_LIMIT = 4_000_000
"""Triangles after cutting up; beyond it, those of more than one tile are taken like that."""
_RAYS_AT_ONCE = 1 << 20
_EDGE_STEPS_AT_ONCE = 1 << 21
_EDGE_STEPS_LIMIT = 200_000_000
"""Texels that edges run over, counted as often as they do; beyond it, every texel is taken as covered."""
_TOUCH = 1e-6
"""Texels. An edge this near a border between texels touches both."""
_FIRST_TILE = 1001


def covered_texels(uvs: NDArray[np.floating], wrap: tuple[Wrap, Wrap], resolution: int) -> Bool:
    """(R, R) bool: the texels that the triangles touch, once wrapped into 0..1.

    uvs: (F, 3, 2), of any range. A triangle that only reaches into a texel, or touches it, counts,
    too. A triangle across thousands of tiles counts as covering everything.
    """
    exact = np.asarray(uvs, dtype=np.float64)
    folded, _, everything = fold(exact, wrap)
    covered = np.zeros((resolution, resolution), dtype=bool)
    if everything or not _cover_edges(folded, covered):
        return np.ones((resolution, resolution), dtype=bool)
    # No edge runs through the rest, so each connected part of it is inside or outside as a whole.
    parts, count = ndimage.label(~covered)
    first = np.zeros(count + 1, dtype=np.int64)
    starts = np.flatnonzero(np.diff(parts, axis=1, prepend=-1))
    first[parts.ravel()[starts]] = starts
    centers = np.stack([first % resolution, first // resolution], axis=-1)
    inside = _Scene(folded).under((centers + 0.5) / resolution)[0] >= 0
    inside[0] = False
    covered |= inside[parts]
    del parts
    for axis, edge in ((0, covered[:, [0, -1]]), (1, covered[[0, -1], :].T)):
        if wrap[axis] == "clamp":
            _cover_clamped(exact, axis, edge)
            if axis == 0:
                covered[:, [0, -1]] = edge
            else:
                covered[[0, -1], :] = edge.T
    return covered[::-1].copy()


def centers_covered(uvs: NDArray[np.floating], wrap: tuple[Wrap, Wrap], texels: Bool) -> Bool:
    """(R, R) bool: those of ``texels`` whose centres the triangles cover, once wrapped into 0..1.

    uvs: (F, 3, 2), of any range. Where some lie beyond a border that is clamped, all texels at it count.
    """
    found = np.zeros_like(texels)
    rows, columns = np.nonzero(texels)
    if not len(rows):
        return found
    points = (np.stack([columns, len(texels) - 1 - rows], axis=1) + 0.5) / len(texels)
    inside = _Scene(fold(np.asarray(uvs, dtype=np.float64), wrap)[0]).under(points)[0] >= 0
    last = len(texels) - 1
    for axis, place in ((0, columns), (1, last - rows)):
        if wrap[axis] == "clamp":
            inside |= (place == 0) & bool(uvs[..., axis].min() < 0)
            inside |= (place == last) & bool(uvs[..., axis].max() > 1)
    found[rows, columns] = inside
    return found


def rasterize(uvs: NDArray[np.floating], resolution: int) -> tuple[Int32, Float32]:
    """The triangle at every texel's centre. Nothing is wrapped: what leaves 0..1 is cut off.

    uvs: (F, 3, 2). Returns triangles (R, R) int32, -1 where there is none and the lowest index
    where several overlap, and barycentrics (R, R, 3) float32 of its three corners.
    """
    samples = (np.arange(resolution) + 0.5) / resolution
    triangles = np.full((resolution, resolution), -1, dtype=np.int32)
    barycentrics = np.zeros((resolution, resolution, 3), dtype=np.float32)
    scene = _Scene(np.asarray(uvs, dtype=np.float64))
    step = max(1, _RAYS_AT_ONCE // resolution)
    for start in range(0, resolution, step):
        # Rows of v upwards, rows of the image downwards.
        band, rows = slice(start, start + step), slice(resolution - start - step, resolution - start)
        rows = slice(max(rows.start, 0), rows.stop)
        grid = np.stack(np.meshgrid(samples, samples[band]), axis=-1)
        found, weights = scene.under(grid.reshape(-1, 2))
        triangles[rows] = found.reshape(-1, resolution)[::-1]
        barycentrics[rows] = weights.reshape(-1, resolution, 3)[::-1]
    return triangles, barycentrics


def rasterize_vertex_colors(
    uvs: NDArray[np.floating],
    colors: NDArray[np.floating],
    resolution: int,
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat"),
) -> tuple[Float32, Bool]:
    """Colours at triangle corners, interpolated into a texture.

    uvs: (F, 3, 2), of any range; colors: (F, 3, C), of any encoding. Returns the image
    (R, R, C) float32, zero where no triangle lies, and (R, R) bool where one does.
    """
    folded, owners, _ = fold(np.asarray(uvs, dtype=np.float64), wrap)
    triangles, weights = rasterize(folded, resolution)
    covered = triangles >= 0
    image = np.zeros((resolution, resolution, colors.shape[-1]), dtype=np.float32)
    corner_colors = np.asarray(colors, dtype=np.float32)[owners[triangles[covered]]]
    image[covered] = np.einsum("nk,nkc->nc", weights[covered], corner_colors)
    return image, covered


def udim_tiles(uvs: NDArray[np.floating]) -> NDArray[np.int64]:
    """The UDIM tile (F,) that each triangle (F, 3, 2) lies on by its centroid; -1 where none can be."""
    corner = np.floor(uvs.mean(axis=1, dtype=np.float64)).astype(np.int64)
    valid = (corner >= 0).all(axis=1) & (corner[:, 0] < 10) & (corner[:, 1] < 100)
    tiles: NDArray[np.int64] = np.where(valid, _FIRST_TILE + corner @ [1, 10], -1)
    return tiles


def fold(uvs: Float64, wrap: tuple[Wrap, Wrap]) -> tuple[Float64, NDArray[np.int64], bool]:
    """Copies of the triangles for every tile they touch, each moved so that the tile is 0..1.

    Returns the copies (G, 3, 2), the triangle (G,) that each came from, and whether some
    triangle is too large for that; then a single copy of it stands for all.
    """
    tiled = np.array([mode in ("repeat", "mirror") for mode in wrap])
    first = np.where(tiled, np.floor(uvs.min(axis=1)), 0.0)
    last = np.where(tiled, np.maximum(np.ceil(uvs.max(axis=1)) - 1, first), 0.0)
    spans = last - first + 1
    too_large = spans.prod(axis=1) > _TILE_LIMIT
    if spans[~too_large].prod(axis=1).sum() > _COPY_LIMIT:
        too_large |= spans.prod(axis=1) > 1
    first[too_large] = np.where(tiled, np.floor(uvs[too_large].mean(axis=1)), 0.0)
    spans[too_large] = 1.0
    copies = spans.prod(axis=1).astype(np.int64)
    owners = np.repeat(np.arange(len(uvs)), copies)
    nth = np.arange(len(owners)) - np.repeat(np.cumsum(copies) - copies, copies)
    across = spans[owners, 0].astype(np.int64)
    tiles = first[owners] + np.stack([nth % across, nth // across], axis=1)
    moved = uvs[owners] - tiles[:, None, :]
    for axis in (0, 1):
        if wrap[axis] == "mirror":
            odd = tiles[:, axis] % 2 == 1
            moved[odd, :, axis] = 1.0 - moved[odd, :, axis]
    return moved, owners, bool(too_large.any())


def _cover_edges(uvs: Float64, covered: Bool) -> bool:
    """Marks every texel that an edge of a triangle runs through or touches, but no edge of a triangle
    without area. False where the edges are too long to finish (`_EDGE_STEPS_LIMIT`)."""
    resolution = len(covered)
    corners = uvs * resolution
    first = corners[:, 1] - corners[:, 0]
    second = corners[:, 2] - corners[:, 0]
    corners = corners[first[:, 0] * second[:, 1] != first[:, 1] * second[:, 0]]
    start = corners.reshape(-1, 2)
    stop = corners[:, [1, 2, 0]].reshape(-1, 2)
    steep = np.abs(stop - start).argmax(axis=-1) == 1
    for axis, chosen in ((0, ~steep), (1, steep)):
        # Along the axis on which the edge is longer, a step of one texel crosses two at most.
        a, b = start[chosen][:, [axis, 1 - axis]], stop[chosen][:, [axis, 1 - axis]]
        backward = a[:, 0] > b[:, 0]
        a[backward], b[backward] = b[backward], a[backward]
        seen = (b[:, 0] >= 0) & (a[:, 0] <= resolution)
        seen &= (np.maximum(a[:, 1], b[:, 1]) >= 0) & (np.minimum(a[:, 1], b[:, 1]) <= resolution)
        if not _cover_runs(a[seen], b[seen], covered if axis == 0 else covered.T):
            return False
    return True


def _cover_runs(start: Float64, stop: Float64, covered: Bool) -> bool:
    """`_cover_edges` for edges (E, 2) that run along the second axis of ``covered``."""
    resolution = len(covered)
    low = np.clip(np.floor(start[:, 0] - _TOUCH), 0, resolution - 1).astype(np.int64)
    high = np.clip(np.floor(stop[:, 0] + _TOUCH), 0, resolution - 1).astype(np.int64)
    length = stop[:, 0] - start[:, 0]
    slope = (stop[:, 1] - start[:, 1]) / np.where(length > 0, length, 1.0)
    ends = np.cumsum(high - low + 1)
    if len(ends) and ends[-1] > _EDGE_STEPS_LIMIT:
        return False
    begin = 0
    while begin < len(ends):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _EDGE_STEPS_AT_ONCE)))
        counts = (high - low + 1)[begin:end]
        edge = np.repeat(np.arange(begin, end), counts)
        along = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + low[edge]
        left = np.clip(along, start[edge, 0], stop[edge, 0]) - start[edge, 0]
        right = np.clip(along + 1, start[edge, 0], stop[edge, 0]) - start[edge, 0]
        across = start[edge, 1], slope[edge]
        ends_of_step = across[0] + left * across[1], across[0] + right * across[1]
        for side in (np.minimum(*ends_of_step) - _TOUCH, np.maximum(*ends_of_step) + _TOUCH):
            row = np.floor(side).astype(np.int64)
            within = (row >= 0) & (row < resolution)
            covered[row[within], along[within]] = True
        begin = end
    return True


def _cover_clamped(uvs: Float64, axis: int, edge: Bool) -> None:
    """Marks border texels that a triangle reaches beyond 0..1 on ``axis``, by its extent along them.

    edge: (R, 2) bool, the texels at 0 and at 1 of ``axis``, in order of the other coordinate.
    """
    length = len(edge)
    along = np.clip(uvs[..., 1 - axis], 0.0, 1.0) * length
    start = np.minimum(np.floor(along.min(axis=1)), length - 1).astype(np.int64)
    stop = np.maximum(np.ceil(along.max(axis=1)), start + 1).astype(np.int64)
    for side, outside in ((0, uvs[..., axis].min(axis=1) < 0), (1, uvs[..., axis].max(axis=1) > 1)):
        steps = np.bincount(start[outside], minlength=length + 1) - np.bincount(
            stop[outside], minlength=length + 1
        )
        edge[:, side] |= np.cumsum(steps)[:length] > 0


class _Scene:
    """Triangles laid into the (u, v) plane, to be asked what lies under a point."""

    def __init__(self, uvs: Float64) -> None:
        """uvs: (F, 3, 2)."""
        self._empty = not len(uvs)
        if self._empty:
            return
        # Each triangle lies a little deeper than the one before, so that the first wins where they
        # overlap, however embree builds its tree.
        depth = np.broadcast_to(-np.arange(len(uvs))[:, None, None] / len(uvs), (len(uvs), 3, 1))
        self._scene = rtcore_scene.EmbreeScene()
        self._mesh = TriangleMesh(self._scene, np.concatenate([uvs, depth], axis=-1).astype(np.float32))

    def under(self, points: Float64) -> tuple[Int32, Float32]:
        """The triangle under each point (N, 2), -1 for none, and barycentrics (N, 3) of its corners."""
        weights = np.zeros((len(points), 3), dtype=np.float32)
        if self._empty:
            return np.full(len(points), -1, dtype=np.int32), weights
        origins = np.concatenate([points, np.ones((len(points), 1))], axis=-1).astype(np.float32)
        directions = np.broadcast_to(np.array([0, 0, -1], np.float32), origins.shape).copy()
        hits = self._scene.run(origins, directions, query="INTERSECT", output=True)
        triangles: Int32 = hits["primID"].astype(np.int32)
        weights[:, 1], weights[:, 2] = hits["u"], hits["v"]
        weights[:, 0] = 1 - weights[:, 1] - weights[:, 2]
        weights[triangles < 0] = 0
        return triangles, weights
