"""UV space as an image: which texels the triangles cover, which triangle each one shows, gutters.

Triangles are rasterised by rays: they are laid into the (u, v) plane, and embreex is asked
what lies under each sample. Images are square, ``resolution`` texels a side; row 0 is the
top, so texel (row, column) has its centre at u = (column + ½) / R, v = 1 - (row + ½) / R.
"""

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray
from scipy import ndimage

from usdstylize.objects import Wrap

__all__ = ["covered_texels", "dilate", "rasterize", "rasterize_vertex_colors"]

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

_TILE_LIMIT = 4096
"""A triangle that touches more tiles is not cut up but taken to cover every texel."""
_COPY_LIMIT = 4_000_000
"""Triangles after cutting up; beyond it, those of more than one tile are taken like that."""
_RAYS_AT_ONCE = 1 << 20


def covered_texels(uvs: NDArray[np.floating], wrap: tuple[Wrap, Wrap], resolution: int) -> Bool:
    """The texels that the triangles show, once wrapped into 0..1. Returns (R, R) bool.

    uvs: (F, 3, 2), of any range. Every texel is probed at 3 x 3 points, its borders included,
    so that a triangle which only reaches into it counts, too. A triangle across thousands of
    tiles counts as covering everything.
    """
    exact = np.asarray(uvs, dtype=np.float64)
    folded, _, everything = _fold(exact, wrap)
    if everything:
        return np.ones((resolution, resolution), dtype=bool)
    # Odd samples lie on texel centres, even ones on borders and corners: 2 R + 1 a side.
    samples = np.arange(2 * resolution + 1) / (2 * resolution)
    hits = _cast(folded, samples)[0] >= 0
    covered = np.zeros((resolution, resolution), dtype=bool)
    for row in range(3):
        for column in range(3):
            covered |= hits[row : row + 2 * resolution : 2, column : column + 2 * resolution : 2]
    _cover_centroids(folded, covered)
    for axis, edge in ((0, covered[:, [0, -1]]), (1, covered[[0, -1], :].T)):
        if wrap[axis] == "clamp":
            _cover_clamped(exact, axis, edge)
            if axis == 0:
                covered[:, [0, -1]] = edge
            else:
                covered[[0, -1], :] = edge.T
    return covered[::-1].copy()


def rasterize(uvs: NDArray[np.floating], resolution: int) -> tuple[Int32, Float32]:
    """The triangle at every texel's centre. Nothing is wrapped: what leaves 0..1 is cut off.

    uvs: (F, 3, 2). Returns triangles (R, R) int32, -1 where there is none and the lowest index
    where several overlap, and barycentrics (R, R, 3) float32 of its three corners.
    """
    samples = (np.arange(resolution) + 0.5) / resolution
    triangles, weights = _cast(np.asarray(uvs, dtype=np.float64), samples, weights=True)
    barycentrics = np.concatenate([1 - weights.sum(axis=-1, keepdims=True), weights], axis=-1)
    barycentrics[triangles < 0] = 0
    return triangles[::-1].copy(), barycentrics[::-1].copy()


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
    folded, owners, _ = _fold(np.asarray(uvs, dtype=np.float64), wrap)
    triangles, weights = rasterize(folded, resolution)
    covered = triangles >= 0
    image = np.zeros((resolution, resolution, colors.shape[-1]), dtype=np.float32)
    corner_colors = np.asarray(colors, dtype=np.float32)[owners[triangles[covered]]]
    image[covered] = np.einsum("nk,nkc->nc", weights[covered], corner_colors)
    return image, covered


def dilate(image: Float32, valid: Bool, wrap: tuple[Wrap, Wrap] = ("clamp", "clamp")) -> Float32:
    """Fills every invalid texel with the nearest valid one; a copy where none is valid.

    image: (H, W, C), valid: (H, W). All gutters are filled, not a margin, because every mip
    level reaches twice as far. ``wrap`` is (s, t): across an axis that repeats, the texel
    at the opposite border is a neighbour.
    """
    if valid.all() or not valid.any():
        return image.copy()
    height, width = valid.shape
    # Nothing is farther than half the image across a border that repeats.
    rows = (height + 1) // 2 if wrap[1] == "repeat" else 0
    columns = (width + 1) // 2 if wrap[0] == "repeat" else 0
    padded = np.pad(valid, ((rows, rows), (columns, columns)), mode="wrap")
    nearest = ndimage.distance_transform_edt(~padded, return_distances=False, return_indices=True)
    nearest = nearest[:, rows : rows + height, columns : columns + width]
    filled: Float32 = image[(nearest[0] - rows) % height, (nearest[1] - columns) % width]
    return filled


def _fold(uvs: Float64, wrap: tuple[Wrap, Wrap]) -> tuple[Float64, NDArray[np.int64], bool]:
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


def _cover_centroids(uvs: Float64, covered: Bool) -> None:
    """Marks the texel under each triangle's centroid: a tiny one may lie between all probes."""
    edges = uvs[:, 1:] - uvs[:, :1]
    solid = edges[:, 0, 0] * edges[:, 1, 1] != edges[:, 0, 1] * edges[:, 1, 0]
    texels = np.floor(uvs[solid].mean(axis=1) * len(covered)).astype(np.int64)
    texels = texels[((texels >= 0) & (texels < len(covered))).all(axis=1)]
    covered[texels[:, 1], texels[:, 0]] = True


def _cover_clamped(uvs: Float64, axis: int, edge: Bool) -> None:
    """Marks border texels that a triangle shows beyond 0..1 on ``axis``, by its extent along them.

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


def _cast(uvs: Float64, samples: Float64, *, weights: bool = False) -> tuple[Int32, Float32]:
    """What lies under a square grid of samples, its rows upwards: the triangle (S, S), -1 for none.

    Where ``weights`` is set, also the barycentrics (S, S, 2) of its 2nd and 3rd corner.
    """
    size = len(samples)
    triangles = np.full((size, size), -1, dtype=np.int32)
    barycentrics = np.zeros((size, size, 2) if weights else (0, 0, 2), dtype=np.float32)
    if not len(uvs):
        return triangles, barycentrics
    # Each triangle lies a little deeper than the last, so that overlaps have one answer:
    # the first wins, however embree happened to build its tree.
    depth = np.broadcast_to(-np.arange(len(uvs))[:, None, None] / len(uvs), (len(uvs), 3, 1))
    scene = rtcore_scene.EmbreeScene()
    TriangleMesh(scene, np.concatenate([uvs, depth], axis=-1).astype(np.float32))
    step = max(1, _RAYS_AT_ONCE // size)
    for start in range(0, size, step):
        band = slice(start, start + step)
        grid = np.stack(np.meshgrid(samples, samples[band]), axis=-1).reshape(-1, 2)
        origins = np.concatenate([grid, np.ones((len(grid), 1))], axis=-1).astype(np.float32)
        directions = np.broadcast_to(np.array([0, 0, -1], np.float32), origins.shape).copy()
        if weights:
            hits = scene.run(origins, directions, query="INTERSECT", output=True)
            triangles[band] = hits["primID"].reshape(-1, size)
            barycentrics[band] = np.stack([hits["u"], hits["v"]], axis=-1).reshape(-1, size, 2)
        else:
            triangles[band] = scene.run(origins, directions).reshape(-1, size)
    return triangles, barycentrics
