"""Catmull-Clark: a cage refined as viewers refine it, with creases, boundaries and UVs.

The rules are OpenSubdiv's, which has no Python package: uniform refinement, semi-sharp creases and
corners that lose one of sharpness a level, and face-varying values on a topology of their own.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom
from scipy.sparse import csr_array

from usdstylize.errors import MeshError
from usdstylize.model.geometry import Geometry
from usdstylize.usd.io.arrays import read_integers
from usdstylize.usd.io.primvars import find_primvar
from usdstylize.usd.read.geometry import smooth_normals

__all__ = ["Refined", "can_refine", "refine", "uv_corner_indices"]

Bool = NDArray[np.bool_]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_INFINITE = 10.0
"""USD's sharpness of what stays sharp at every level."""
_MOST_CORNERS = 4_000_000
"""Face corners beyond which no further level is made."""


@dataclass(frozen=True, eq=False)
class Refined:
    """A mesh after refinement; ``parents`` (N',) is the face of the cage that each face came from."""

    geometry: Geometry
    uvs: Float64
    colors: Float64
    parents: Int64


@dataclass(frozen=True, eq=False)
class _Topology:
    """Faces over vertices; ``sharpness`` (C,) is that of the edge which starts at each corner.

    pinned: (V,) sharpness of vertices.
    """

    counts: Int64
    vertices: Int64
    sharpness: Float64
    pinned: Float64


def can_refine(mesh: Usd.Prim) -> bool:
    """Whether it is a Catmull-Clark surface; those of Loop are read as their cage."""
    return bool(UsdGeom.Mesh(mesh).GetSubdivisionSchemeAttr().Get() == UsdGeom.Tokens.catmullClark)


def refine(
    mesh: Usd.Prim,
    geometry: Geometry,
    uv_indices: Int64 | None,
    uvs: Float64,
    colors: Float64,
    levels: int,
    time: Usd.TimeCode,
) -> Refined:
    """The mesh after ``levels`` of refinement, or fewer where it would become too large.

    uv_indices: (C,) the value of every corner as indexed on the stage, since seams lie between
        indices; None for UVs that vary linearly over each face. uvs: (C, 2). colors: (C, K),
        which vary linearly, of as many channels as there are.
    Raises MeshError where creases or corners do not fit the mesh.
    """
    schema = UsdGeom.Mesh(mesh)
    surface = _surface(schema, geometry, time)
    laid = None
    rule = str(schema.GetFaceVaryingLinearInterpolationAttr().Get(time) or UsdGeom.Tokens.cornersPlus1)
    if (
        uv_indices is not None and rule != UsdGeom.Tokens.all
    ):  # UVs of the points themselves follow the surface
        own = np.array_equal(uv_indices, geometry.point_of_corner)
        laid = surface if own else _layout(rule, surface, uv_indices)
    points, values = geometry.points, _by_vertex(uvs, laid)
    parents, drawn = np.arange(len(geometry.counts)), geometry.drawn
    for _ in range(levels):
        if 4 * len(surface.vertices) > _MOST_CORNERS:
            break
        parents = np.repeat(parents, surface.counts)
        drawn = np.repeat(drawn, surface.counts)
        colors = _halve(surface.counts, colors)
        if laid is None:
            uvs = _halve(surface.counts, uvs)
        else:
            laid, values = _subdivide(laid, values)
            uvs = values[laid.vertices]
        surface, points = _subdivide(surface, points)
    normals = smooth_normals(points, surface.counts, surface.vertices, geometry.flipped)
    finer = replace(
        geometry,
        points=points,
        counts=surface.counts,
        point_of_corner=surface.vertices,
        drawn=drawn,
        normals=normals,
    )
    return Refined(finer, uvs, colors, parents)


def _surface(mesh: UsdGeom.Mesh, geometry: Geometry, time: Usd.TimeCode) -> _Topology:
    """The cage with its creases, corners and the rule for its boundary. Raises MeshError."""
    counts, vertices = geometry.counts, geometry.point_of_corner
    edges, corner_edge, _ = _edges(counts, vertices)
    edge_sharpness = np.zeros(len(edges))
    pairs, values = _creases(mesh, len(geometry.points), time)
    if len(pairs):
        known = csr_array(
            (np.arange(1, len(edges) + 1), (edges[:, 0], edges[:, 1])), shape=(len(geometry.points),) * 2
        )
        number = np.asarray(known[pairs[:, 0], pairs[:, 1]]).reshape(-1)
        edge_sharpness[number[number > 0] - 1] = values[number > 0]
    pinned = np.zeros(len(geometry.points))
    corners = read_integers(mesh.GetCornerIndicesAttr(), time)
    corner_sharpness = _sharpnesses(mesh.GetCornerSharpnessesAttr(), time)
    if len(corners) != len(corner_sharpness) or ((corners < 0) | (corners >= len(pinned))).any():
        raise MeshError(f"Mesh {mesh.GetPath()} has corners that do not fit it; export it again.")
    pinned[corners] = corner_sharpness
    if mesh.GetInterpolateBoundaryAttr().Get(time) != UsdGeom.Tokens.edgeOnly:
        pinned[_with_one_face(vertices, len(pinned))] = _INFINITE
    return _Topology(counts, vertices, edge_sharpness[corner_edge], pinned)


def _creases(mesh: UsdGeom.Mesh, point_count: int, time: Usd.TimeCode) -> tuple[Int64, Float64]:
    """The edges of all creases (K, 2), lower point first, and their sharpness (K,)."""
    indices = read_integers(mesh.GetCreaseIndicesAttr(), time)
    lengths = read_integers(mesh.GetCreaseLengthsAttr(), time)
    values = _sharpnesses(mesh.GetCreaseSharpnessesAttr(), time)
    fits = (lengths >= 2).all() and lengths.sum() == len(indices)
    if not fits or ((indices < 0) | (indices >= point_count)).any() or (
        len(values) not in (len(lengths), int((lengths - 1).sum()))
    ):  # fmt: skip
        raise MeshError(f"Mesh {mesh.GetPath()} has creases that do not fit it; export it again.")
    inside = np.ones(len(indices), dtype=bool)
    inside[np.cumsum(lengths) - 1] = False
    starts = np.flatnonzero(inside)
    if len(values) != len(starts):
        values = np.repeat(values, lengths - 1)
    return np.sort(np.stack([indices[starts], indices[starts + 1]], axis=1), axis=1), values


def _sharpnesses(attribute: Usd.Attribute, time: Usd.TimeCode) -> Float64:
    """(N,) sharpnesses, 0 where negative. Raises MeshError where they are no numbers."""
    value = attribute.Get(time) if attribute else None
    values = np.zeros(0) if value is None else np.asarray(value)
    if values.size and (values.ndim != 1 or values.dtype.kind not in "fiu" or np.isnan(values).any()):
        raise MeshError(f"{attribute.GetPath()} holds no array of sharpnesses; export it again.")
    return np.maximum(values.astype(np.float64), 0.0)


def _layout(rule: str, surface: _Topology, uv_indices: Int64) -> _Topology:
    """The topology of the UVs, sharp where the ``rule`` (``faceVaryingLinearInterpolation``) asks for it."""
    # A value that two points share is two vertices of the layout.
    keys, vertices = np.unique(np.stack([surface.vertices, uv_indices], axis=1), axis=0, return_inverse=True)
    vertices = vertices.reshape(-1)
    pinned = surface.pinned[keys[:, 0]].copy()
    _, corner_edge, faces_of_edge = _edges(surface.counts, vertices)
    border = np.zeros(len(keys), dtype=bool)
    on_border = faces_of_edge[corner_edge] != 2
    border[vertices[on_border]] = True
    border[vertices[_next(surface.counts)[on_border]]] = True
    if rule == UsdGeom.Tokens.boundaries:
        pinned[border] = _INFINITE
    elif rule != UsdGeom.Tokens.none:
        corner = _with_one_face(vertices, len(keys))
        pinned[corner] = _INFINITE
        regions = np.bincount(keys[:, 0], minlength=len(surface.pinned))[keys[:, 0]]
        if rule in (UsdGeom.Tokens.cornersPlus1, UsdGeom.Tokens.cornersPlus2):
            pinned[border & (regions > 2)] = _INFINITE
        if rule == UsdGeom.Tokens.cornersPlus2:
            # Concave corners lie opposite a corner; a dart is the end of a seam within one region.
            has_corner = np.bincount(keys[:, 0], corner, minlength=len(surface.pinned))[keys[:, 0]] > 0
            outline = np.zeros(len(surface.pinned), dtype=bool)
            _, surface_edge, faces = _edges(surface.counts, surface.vertices)
            outer = faces[surface_edge] != 2
            outline[surface.vertices[outer]] = True
            outline[surface.vertices[_next(surface.counts)[outer]]] = True
            dart = border & (regions == 1) & ~outline[keys[:, 0]]
            pinned[dart | (has_corner & (regions == 2))] = _INFINITE
    return _Topology(surface.counts, vertices, surface.sharpness, pinned)


def _by_vertex(corner_values: Float64, topology: _Topology | None) -> Float64:
    values = np.zeros((0 if topology is None else len(topology.pinned), corner_values.shape[1]))
    if topology is not None:
        values[topology.vertices] = corner_values
    return values


def _with_one_face(vertices: Int64, count: int) -> Bool:
    alone: Bool = np.bincount(vertices, minlength=count) == 1
    return alone


def _next(counts: Int64) -> Int64:
    """(C,) the corner that follows each corner around its face."""
    following = np.arange(1, int(counts.sum()) + 1)
    ends = np.cumsum(counts)
    filled = counts > 0
    following[ends[filled] - 1] = (ends - counts)[filled]
    return following


def _edges(counts: Int64, vertices: Int64) -> tuple[Int64, Int64, Int64]:
    """Edges (E, 2), lower vertex first; the edge (C,) that starts at each corner; faces (E,) per edge."""
    pairs = np.sort(np.stack([vertices, vertices[_next(counts)]], axis=1), axis=1)
    edges, corner_edge, faces = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    return edges, corner_edge.reshape(-1), faces


def _halve(counts: Int64, corner_values: Float64) -> Float64:
    """Values at the corners of the four-sided children, linear over each face."""
    following = _next(counts)
    middle = (corner_values + corner_values[following]) / 2
    before = np.empty_like(middle)
    before[following] = middle
    face = np.repeat(np.arange(len(counts)), counts)
    sums = np.zeros((len(counts), corner_values.shape[1]))
    np.add.at(sums, face, corner_values)
    center = (sums / np.maximum(counts, 1)[:, None])[face]
    corners, channels = corner_values.shape
    return np.stack([corner_values, middle, center, before], axis=1).reshape(4 * corners, channels)


def _subdivide(mesh: _Topology, values: Float64) -> tuple[_Topology, Float64]:
    """One level: vertices, then a new one per edge, then one per face."""
    counts, vertices = mesh.counts, mesh.vertices
    vertex_count, face_count = len(values), len(counts)
    following = _next(counts)
    edges, corner_edge, faces_of_edge = _edges(counts, vertices)
    face = np.repeat(np.arange(face_count), counts)

    def gather(rows: Int64, columns: Int64, height: int, width: int) -> csr_array:
        return csr_array((np.ones(len(rows)), (rows, columns)), shape=(height, width))

    centers = (gather(face, vertices, face_count, vertex_count) @ values) / np.maximum(counts, 1)[:, None]
    edge_sharpness = np.zeros(len(edges))
    np.maximum.at(edge_sharpness, corner_edge, mesh.sharpness)
    edge_sharpness[faces_of_edge != 2] = _INFINITE
    middles = (values[edges[:, 0]] + values[edges[:, 1]]) / 2
    around = (gather(corner_edge, face, len(edges), face_count) @ centers) / faces_of_edge[:, None]
    share = np.clip(edge_sharpness, 0, 1)[:, None]
    on_edges = share * middles + (1 - share) * (middles + around) / 2

    ends, others = edges.ravel(), edges[:, ::-1].ravel()
    valence = np.maximum(np.bincount(ends, minlength=vertex_count), 1)[:, None]
    neighbours = gather(ends, others, vertex_count, vertex_count) @ values
    touching = gather(vertices, face, vertex_count, face_count)
    faces_here = np.maximum(np.bincount(vertices, minlength=vertex_count), 1)[:, None]
    smooth = values * (valence - 2) / valence + neighbours / valence**2
    smooth += (touching @ centers) / faces_here / valence
    sharp = np.repeat(edge_sharpness > 0, 2)
    sharp_count = np.bincount(ends[sharp], minlength=vertex_count)
    along = gather(ends[sharp], others[sharp], vertex_count, vertex_count) @ values
    creased = np.where((sharp_count == 2)[:, None], 0.75 * values + 0.125 * along, values)
    total = np.bincount(ends[sharp], np.repeat(edge_sharpness, 2)[sharp], minlength=vertex_count)
    weight = np.clip(total / np.maximum(sharp_count, 1), 0, 1) * (sharp_count > 1)
    on_vertices = weight[:, None] * creased + (1 - weight[:, None]) * smooth
    share = np.clip(mesh.pinned, 0, 1)[:, None]
    on_vertices = share * values + (1 - share) * on_vertices

    before = np.empty(len(vertices), dtype=np.int64)
    before[following] = corner_edge
    left = _softer(edge_sharpness)[corner_edge]
    left_before = _softer(edge_sharpness)[before]
    first_face = vertex_count + len(edges)
    children = np.stack(
        [vertices, vertex_count + corner_edge, first_face + face, vertex_count + before], axis=1
    )
    zero = np.zeros(len(vertices))
    finer = _Topology(
        counts=np.full(len(vertices), 4),
        vertices=children.reshape(-1),
        sharpness=np.stack([left, zero, zero, left_before], axis=1).reshape(-1),
        pinned=np.concatenate([_softer(mesh.pinned), np.zeros(len(edges) + face_count)]),
    )
    return finer, np.concatenate([on_vertices, on_edges, centers])


def _softer(sharpness: Float64) -> Float64:
    """After a level: one less, but what is infinite stays."""
    return np.where(sharpness >= _INFINITE, _INFINITE, np.maximum(sharpness - 1, 0))


def uv_corner_indices(prim: Usd.Prim, name: str, geometry: Geometry, time: Usd.TimeCode) -> Int64 | None:
    """(C,) the value of every corner as the stage indexes them; None where UVs are linear over faces."""
    primvar = find_primvar(prim, name)
    if primvar is None or primvar.GetInterpolation() not in ("vertex", "faceVarying"):
        return None
    indices = np.array(primvar.GetIndices(time), dtype=np.int64) if primvar.IsIndexed() else None
    if primvar.GetInterpolation() == "vertex":
        return geometry.point_of_corner
    return np.arange(len(geometry.point_of_corner)) if indices is None else indices
