"""A UsdGeomMesh as arrays: checked, in metres, in world space, +Y up."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

from usdstylize.errors import MeshError
from usdstylize.model.geometry import Geometry, corner_values
from usdstylize.model.objects import Mesh
from usdstylize.usd.io.arrays import read_floats, read_integers
from usdstylize.usd.io.axes import to_metres_y_up
from usdstylize.usd.read.triangulate import triangulate

__all__ = ["build_mesh", "covers_area", "read_geometry", "smooth_normals"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_FARTHEST, _SMALLEST = 1e15, 1e-15
"""Metres. What renders is in single precision, whose squares must neither overflow nor vanish."""
_FARTHEST_UV, _SMALLEST_UV = 1e6, 1e-7
"""Beyond, single precision holds no place within a texture; below, no texel is reached."""


def read_geometry(prim: Usd.Prim, time: Usd.TimeCode) -> Geometry:
    """Reads and checks one mesh.

    Raises MeshError where it is empty, has NaN points, or indices out of range.
    """
    mesh, path = UsdGeom.Mesh(prim), prim.GetPath()
    points = read_floats(mesh.GetPointsAttr(), time, 3)
    counts = read_integers(mesh.GetFaceVertexCountsAttr(), time)
    indices = read_integers(mesh.GetFaceVertexIndicesAttr(), time)
    if not len(points) or not len(counts):
        raise MeshError(f"Mesh {path} is empty; give it points and faces, or deactivate it.")
    if counts.min() < 0 or counts.sum() != len(indices):
        raise MeshError(
            f"Mesh {path} has faceVertexCounts that ask for {counts.sum()} indices and "
            f"{len(indices)} faceVertexIndices; export it again."
        )
    if len(indices) and not 0 <= indices.min() <= indices.max() < len(points):
        raise MeshError(
            f"Mesh {path} has faceVertexIndices beyond its {len(points)} points; export it again."
        )
    if not np.isfinite(points).all():
        raise MeshError(f"Mesh {path} has NaN or infinite points; repair or export it again.")

    left_handed = mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded
    scheme = mesh.GetSubdivisionSchemeAttr().Get()
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{len(points)} {len(counts)} {left_handed} {scheme}".encode())
    for array in (points, counts, indices):
        digest.update(array.data)
    matrix = _to_metres_y_up(prim, time)
    to_metres = linear = matrix[:3, :3]
    with np.errstate(all="ignore"):
        points = points @ linear + matrix[3, :3]
    if not np.abs(points).max() < _FARTHEST:
        raise MeshError(
            f"Mesh {path} reaches {np.abs(points).max():.3g} metres from the origin; repair its points, "
            "its transform or the stage's metersPerUnit."
        )
    # Only the direction counts from here on; a determinant of huge or tiny scales would overflow.
    linear = linear / (np.abs(linear).max() or 1.0)
    flipped = left_handed != (np.linalg.det(linear) < 0)

    drawn = counts >= 3
    holes = read_integers(mesh.GetHoleIndicesAttr(), time)
    drawn[holes[(holes >= 0) & (holes < len(counts))]] = False

    face_normals = _face_normals(points[indices], counts) * (-1.0 if flipped else 1.0)
    normals, notes, authored = _corner_normals(mesh, time, linear, points, counts, indices, face_normals)
    digest.update(drawn.data)
    if authored is not None:
        digest.update(np.ascontiguousarray(authored).data)
    return Geometry(
        points, counts, indices, drawn, flipped, normals, notes, linear=to_metres, digest=digest.digest()
    )


def build_mesh(
    geometry: Geometry, faces: NDArray[np.bool_] | None, corner_uvs: Float64 | None, label: str
) -> tuple[Mesh, Int64]:
    """The triangles of the chosen faces, and the face corners (F, 3) that they came from.

    faces: (N,) bool, None for all. corner_uvs: (C, 2); None leaves the mesh's at zero. ``label``
    names the prim in an error.
    Points that no triangle uses are left out, so that the mesh's bounds are the object's.
    Raises MeshError where nothing is left, or nothing that has an area in space and in UVs.
    """
    corner_points = geometry.points[geometry.point_of_corner]
    corners = _triangles(geometry, faces)
    if not len(corners):
        raise MeshError(f"{label} has no face that is drawn; give it faces of 3 corners or more.")
    if geometry.flipped:
        corners = corners[:, ::-1].copy()
    # As single precision will have it: far from the origin, small things collapse.
    spanned = corner_points[corners].astype(np.float32).astype(np.float64)
    double_area = np.linalg.norm(
        np.cross(spanned[:, 1] - spanned[:, 0], spanned[:, 2] - spanned[:, 0]), axis=1
    )
    if double_area.max() < _SMALLEST**2:
        raise MeshError(f"{label} has zero area; repair its points or its transform.")
    uvs = np.zeros((*corners.shape, 2)) if corner_uvs is None else corner_uvs[corners]
    if not np.abs(uvs).max() < _FARTHEST_UV:
        raise MeshError(
            f"{label} has UVs as far out as {np.abs(uvs).max():.3g}; unwrap it again or fix what moves them."
        )
    if corner_uvs is not None and not _has_area(uvs):
        raise MeshError(f"{label} has UVs that span no area; unwrap it again.")
    used, triangles = np.unique(geometry.point_of_corner[corners], return_inverse=True)
    mesh = Mesh(
        points=geometry.points[used].astype(np.float32),
        triangles=triangles.reshape(-1, 3).astype(np.int32),
        normals=geometry.normals[corners].astype(np.float32),
        uvs=uvs.astype(np.float32),
    )
    return mesh, corners


def covers_area(geometry: Geometry, faces: NDArray[np.bool_] | None, corner_uvs: Float64) -> bool:
    """Whether UVs (C, 2) lay out any triangle of the chosen faces; faces: (N,) bool, None for all.

    What lies too far out counts, too: `build_mesh` refuses it.
    """
    uvs = corner_uvs[_triangles(geometry, faces)]
    return _has_area(uvs) or not np.abs(uvs).max(initial=0.0) < _FARTHEST_UV


def _triangles(geometry: Geometry, faces: NDArray[np.bool_] | None) -> Int64:
    """(F, 3) face corners of the chosen faces' triangles, in the mesh's own winding."""
    chosen = geometry.drawn if faces is None else geometry.drawn & faces
    corner_points = geometry.points[geometry.point_of_corner]
    return triangulate(corner_points, geometry.counts, np.flatnonzero(chosen))[0]


def _has_area(uvs: Float64) -> bool:
    """Whether a triangle of (F, 3, 2) has an area."""
    edge_1, edge_2 = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    doubled = np.abs(edge_1[:, 0] * edge_2[:, 1] - edge_1[:, 1] * edge_2[:, 0])
    return bool(doubled.max(initial=0.0) >= _SMALLEST_UV**2)


def _to_metres_y_up(prim: Usd.Prim, time: Usd.TimeCode) -> Float64:
    """(4, 4) for row vectors: the prim's points to metres in world space, +Y up."""
    matrix = np.array(UsdGeom.XformCache(time).GetLocalToWorldTransform(prim), dtype=np.float64)
    to_metres = to_metres_y_up(prim.GetStage())
    if not np.isfinite(matrix).all() or not np.isfinite(to_metres).all():
        raise MeshError(
            f"Mesh {prim.GetPath()} has a NaN or infinite transform; repair its xformOps or metersPerUnit."
        )
    with np.errstate(all="ignore"):  # the check of the points reports what overflows
        return np.asarray(matrix @ to_metres, dtype=np.float64)


def _corner_normals(
    mesh: UsdGeom.Mesh,
    time: Usd.TimeCode,
    linear: Float64,
    points: Float64,
    counts: Int64,
    indices: Int64,
    face_normals: Float64,
) -> tuple[Float64, tuple[str, ...], Float64 | None]:
    """(C, 3) unit normals: authored, smooth or flat as USD and Hydra choose, and remarks.

    And the authored ones, (C, 3) before the mesh's transform; None where they do not count.
    """
    scheme = mesh.GetSubdivisionSchemeAttr().Get()
    normals: Float64
    flat: Float64 = np.repeat(face_normals, counts, axis=0)
    notes: tuple[str, ...] = ()
    used: Float64 | None = None
    if scheme in (UsdGeom.Tokens.none, UsdGeom.Tokens.bilinear):
        normals = flat
        authored, interpolation = _authored_normals(mesh, time)
        if authored is not None and scheme == UsdGeom.Tokens.none:
            values = corner_values(interpolation, authored, len(points), counts, indices)
            if values is None or not np.isfinite(values).all():
                notes = (
                    f"Its {len(authored)} {interpolation} normals do not fit the mesh; flat ones are used.",
                )
            else:
                normals, used = values @ _cofactors(linear), values
    else:
        # Normals authored on a subdivision surface are ignored by USD; its cage is shaded smooth.
        summed = np.zeros_like(points)
        np.add.at(summed, indices, flat)
        normals = summed[indices]
    normals = _normalised(normals, instead=_normalised(flat, instead=np.array([0.0, 1.0, 0.0])))
    return normals, notes, used


def smooth_normals(points: Float64, counts: Int64, point_of_corner: Int64, flipped: bool) -> Float64:
    """(C, 3) unit normals of a surface without authored ones, the mean around every point by area."""
    flat = np.repeat(_face_normals(points[point_of_corner], counts), counts, axis=0)
    flat *= -1.0 if flipped else 1.0
    summed = np.zeros_like(points)
    np.add.at(summed, point_of_corner, flat)
    return _normalised(summed[point_of_corner], instead=_normalised(flat, instead=np.array([0.0, 1.0, 0.0])))


def _authored_normals(mesh: UsdGeom.Mesh, time: Usd.TimeCode) -> tuple[Float64 | None, str]:
    """Values and interpolation; ``primvars:normals`` goes before ``normals``."""
    primvar = UsdGeom.PrimvarsAPI(mesh.GetPrim()).GetPrimvar("normals")
    if primvar and primvar.HasValue():
        values = primvar.ComputeFlattened(time)
        interpolation = primvar.GetInterpolation()
    else:
        attribute = mesh.GetNormalsAttr()
        values = attribute.Get(time) if attribute else None
        interpolation = mesh.GetNormalsInterpolation()
    if not values:
        return None, str(interpolation)
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] != 3:
        array = np.zeros((0, 3))  # of another type: like normals that do not fit
    return array.astype(np.float64), str(interpolation)


def _face_normals(corner_points: Float64, counts: Int64) -> Float64:
    """(N, 3) Newell normals, as long as twice the face's area."""
    offsets = np.cumsum(counts) - counts
    normals = np.zeros((len(counts), 3))
    filled = counts > 0
    if not filled.any():
        return normals
    first = np.repeat(corner_points[offsets[filled]], counts[filled], axis=0)
    arms = corner_points - first
    # The last corner's successor is the first, whose arm is zero.
    following = np.vstack([arms[1:], np.zeros((1, 3))])
    following[(offsets + counts - 1)[filled]] = 0.0
    normals[filled] = np.add.reduceat(np.cross(arms, following), offsets[filled], axis=0)
    return normals


def _cofactors(linear: Float64) -> Float64:
    """The normal matrix: like the inverse transpose, but sound for a flattening scale, too."""
    x, y, z = linear
    sign = -1.0 if np.linalg.det(linear) < 0 else 1.0
    return sign * np.stack([np.cross(y, z), np.cross(z, x), np.cross(x, y)])


def _normalised(vectors: Float64, instead: Float64) -> Float64:
    with np.errstate(over="ignore"):
        length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    usable = (length > 0) & np.isfinite(length)
    return np.where(usable, vectors / np.where(usable, length, 1.0), instead)
