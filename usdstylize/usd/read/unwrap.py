"""UVs for meshes that have none, by xatlas (extra `unwrap`).

xatlas unwraps triangles, USD stores a UV per face corner: so a polygon must lie in one chart
with all of its triangles. A hint keeps most of them together; those that xatlas tears apart
become charts of their own, and everything is packed once more.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

from usdstylize.errors import MeshError
from usdstylize.model.geometry import Geometry
from usdstylize.model.objects import NewUVs
from usdstylize.usd.read.triangulate import triangulate

__all__ = ["free_primvar", "has_unwrapper", "unwrap"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_NAME = "stylizeSt"
_RESOLUTION = 1024
"""Texels on a side for which the gutters are measured; the default of `--texture-resolution`."""
_PADDING = 6
"""Texels between two charts at that resolution: half as many at 512, and so on."""
_HINT_WEIGHT = 0.1
"""What it costs a chart to grow across the border of a polygon, relative to within it. A larger cost
tears fewer polygons and makes more charts: on Spot's 2,928 quads 95 torn at 0, 31 at 0.1, 6 at 0.5, and
46, 63, 177 charts."""


def has_unwrapper() -> bool:
    """Whether the extra `unwrap` is installed."""
    try:
        import xatlas  # noqa: F401
    except ImportError:
        return False
    return True


def free_primvar(mesh: Usd.Prim, face_set: Usd.Prim) -> str:
    """A name for new UVs that no primvar of the mesh has: one for the mesh, one for each subset."""
    stem = _NAME if face_set == mesh else f"{_NAME}_{face_set.GetName()}"
    api, name, number = UsdGeom.PrimvarsAPI(mesh), stem, 1
    while api.FindPrimvarWithInheritance(name):
        number += 1
        name = f"{stem}{number}"
    return name


def unwrap(geometry: Geometry, faces: NDArray[np.bool_] | None, label: str) -> NewUVs:
    """UVs of the chosen faces in one atlas, 0..1; corners of other faces get (0, 0).

    faces: (N,) bool, None for all. ``label`` names the prim in an error. The same geometry gives
    the same UVs, whatever else the run does, since styles of several runs share them.
    Raises MeshError where xatlas is not installed or gives up.
    """
    chosen = geometry.drawn if faces is None else geometry.drawn & faces
    corner_points = geometry.points[geometry.point_of_corner]
    corners, owners = triangulate(corner_points, geometry.counts, np.flatnonzero(chosen))
    if not len(corners):
        raise MeshError(f"{label} has no face that is drawn; give it faces of 3 corners or more.")
    # xatlas drops triangles below an absolute area.
    edges = corner_points[corners[:, 1]] - corner_points[corners[:, 0]]
    size = float(np.linalg.norm(edges, axis=1).mean()) or 1.0
    positions = (corner_points - corner_points[corners[0, 0]]) / size
    face_of_corner = np.repeat(np.arange(len(geometry.counts)), geometry.counts)

    uvs = np.zeros((len(corner_points), 2))
    if (geometry.counts[chosen] == 3).all():
        points = (geometry.points - corner_points[corners[0, 0]]) / size
        laid, vertices, _ = _generate(label, points, geometry.point_of_corner[corners])
        uvs[corners] = laid[vertices]
    else:
        hint = _separated(face_of_corner, geometry.counts)
        laid, vertices, scale = _generate(label, positions, corners, hint)
        lowest, highest = np.full(len(uvs), len(laid)), np.full(len(uvs), -1)
        np.minimum.at(lowest, corners, vertices)
        np.maximum.at(highest, corners, vertices)
        seen = highest >= 0
        torn = np.zeros(len(geometry.counts), dtype=bool)
        torn[face_of_corner[seen & (lowest != highest)]] = True
        uvs[seen] = laid[highest[seen]]
        if torn.any():
            uvs = _pack_again(label, uvs * scale, positions, corners, owners, geometry.counts, torn)
    used = np.zeros(len(uvs), dtype=bool)
    used[corners] = True
    uvs[~used] = 0.0
    values, indices = np.unique(uvs.astype(np.float32), axis=0, return_inverse=True)
    return NewUVs(values=values, indices=indices.reshape(-1).astype(np.int32))


def _generate(
    label: str, positions: Float64, triangles: Int64, hint: Float64 | None = None
) -> tuple[Float64, Int64, float]:
    """UVs (V, 2) of new vertices, the new vertex (F, 3) of every triangle corner, UV to position scale."""
    atlas, charts, packing = _atlas(label)
    charts.texture_seam_weight = _HINT_WEIGHT
    extra = {} if hint is None else {"uvs": hint.astype(np.float32)}
    try:
        atlas.add_mesh(positions.astype(np.float32), triangles.astype(np.uint32), **extra)
        atlas.generate(charts, packing)
    except RuntimeError as error:
        raise MeshError(f"{label} cannot be unwrapped ({error}); author primvars:st.") from error
    return _result(label, atlas)


def _separated(face_of_corner: Int64, counts: Int64) -> Float64:
    """(C, 2) UVs that keep every polygon to itself: xatlas sees seams where polygons meet."""
    nth = np.arange(len(face_of_corner)) - np.repeat(np.cumsum(counts) - counts, counts)
    turn = 2 * np.pi * nth / counts[face_of_corner]
    across = max(1, int(np.sqrt(len(counts))))
    cells = np.stack([face_of_corner % across, face_of_corner // across], axis=1)
    uvs: Float64 = 3.0 * cells + np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return uvs


def _pack_again(
    label: str,
    laid: Float64,
    positions: Float64,
    corners: Int64,
    owners: Int64,
    counts: Int64,
    torn: NDArray[np.bool_],
) -> Float64:
    """UVs (C, 2) with each torn polygon laid flat as a chart of its own.

    laid: (C, 2), as long as ``positions`` are, right where a polygon is whole.
    """
    offsets = np.cumsum(counts) - counts
    flat = laid.copy()
    right = laid[:, 0].max() + 1.0
    for face in np.flatnonzero(torn):
        polygon = slice(offsets[face], offsets[face] + counts[face])
        flat[polygon] = _flatten(positions[polygon])
        flat[polygon, 0] += right - flat[polygon, 0].min()  # away from all others, or they would be one chart
        right = flat[polygon, 0].max() + 1.0
    # Corners at one UV of one chart are one vertex; a torn polygon's are its own.
    atlas, charts, packing = _atlas(label)
    values, vertex = np.unique(flat.astype(np.float32), axis=0, return_inverse=True)
    try:
        atlas.add_uv_mesh(values, vertex.reshape(-1)[corners].astype(np.uint32))
        atlas.generate(charts, packing)
    except RuntimeError as error:
        raise MeshError(f"{label} cannot be unwrapped ({error}); author primvars:st.") from error
    packed, vertices, _ = _result(label, atlas)
    uvs = np.zeros_like(laid)
    uvs[corners] = packed[vertices]
    return uvs


def _flatten(polygon: Float64) -> Float64:
    """(n, 3) -> (n, 2) in the polygon's best-fit plane."""
    arms = polygon - polygon.mean(axis=0)
    normal = np.cross(arms, np.roll(arms, -1, axis=0)).sum(axis=0)
    first = arms[np.argmax(np.linalg.norm(arms, axis=1))]
    length = np.linalg.norm(normal) * np.linalg.norm(first)
    if length == 0:
        return np.zeros((len(polygon), 2))
    first = first / np.linalg.norm(first)
    flat: Float64 = arms @ np.stack([first, np.cross(normal / np.linalg.norm(normal), first)], axis=1)
    return flat


def _atlas(label: str) -> tuple[Any, Any, Any]:
    try:
        import xatlas
    except ImportError as error:
        raise MeshError(
            f"{label} has no UVs, and xatlas that would unwrap it is not installed; "
            "install usdstylize[unwrap], or author primvars:st."
        ) from error
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    # No chart is mirrored: xatlas turns one by exchanging u and v.
    charts.fix_winding, packing.rotate_charts = True, False
    packing.resolution, packing.padding, packing.bilinear = _RESOLUTION, _PADDING, True
    return xatlas.Atlas(), charts, packing


def _result(label: str, atlas: Any) -> tuple[Float64, Int64, float]:
    if atlas.atlas_count != 1:
        raise MeshError(f"{label} has faces that cannot be laid out flat; author primvars:st.")
    _, triangles, uvs = atlas.get_mesh(0)
    # Both axes are scaled by the same side, so that a texel stays a square.
    side = max(atlas.width, atlas.height)
    texels = uvs.astype(np.float64) * (atlas.width, atlas.height)
    return texels / side, triangles.astype(np.int64).reshape(-1, 3), side / atlas.texels_per_unit
