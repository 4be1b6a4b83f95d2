"""Polygons to triangles, in NumPy.

A convex polygon becomes the fan that Hydra draws; a fan of a concave one would cover ground
outside it, so concave quads take their inner diagonal and larger polygons are ear-clipped in
their best-fit plane.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["triangulate"]

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

_TOLERANCE = 1e-9
"""Relative to the polygon's area: a corner bent inwards by less counts as straight."""
_TESTS_PER_CORNER = 4
"""Searches for an ear, for each corner of a polygon, before the rest becomes a fan; a clean
outline needs two or three."""
_FORCED = 16
"""Corners of an outline that crosses itself which go without being an ear, before the same."""
_POINT_TESTS = 6e8
"""The same for the whole polygon, counted in points looked at: seconds."""


def triangulate(corner_points: Float64, counts: Int64, faces: Int64) -> tuple[Int64, Int64]:
    """Triangles of the chosen polygons, in the polygons' own winding.

    corner_points: (C, 3) float64, the position of every face corner of the mesh, face by face.
    counts: (N,) corners of each face.
    faces: (M,) the faces wanted, each of 3 corners or more.
    Returns corners (F, 3), indices into ``corner_points``, and the face (F,) of each
    triangle, ordered by face; F is the sum of ``counts - 2``.
    """
    offsets = np.cumsum(counts) - counts
    corner_lists: list[Int64] = [np.zeros((0, 3), np.int64)]
    face_lists: list[Int64] = [np.zeros(0, np.int64)]
    for sides in np.unique(counts[faces]):
        polygons = faces[counts[faces] == sides]
        local = _triangulate_equal(corner_points[offsets[polygons][:, None] + np.arange(sides)])
        corner_lists.append((local + offsets[polygons][:, None, None]).reshape(-1, 3))
        face_lists.append(np.repeat(polygons, sides - 2))
    corners, owners = np.concatenate(corner_lists), np.concatenate(face_lists)
    order = np.argsort(owners, kind="stable")
    return corners[order], owners[order]


def _triangulate_equal(polygons: Float64) -> Int64:
    """(M, n, 3) positions of polygons of n sides -> (M, n - 2, 3) local corner indices."""
    count, sides = polygons.shape[:2]
    steps = np.arange(1, sides - 1)
    fan = np.stack([np.zeros_like(steps), steps, steps + 1], axis=-1)
    triangles = np.broadcast_to(fan, (count, sides - 2, 3)).copy()
    if sides == 3:
        return triangles
    edges = np.roll(polygons, -1, axis=1) - polygons
    from_first = polygons - polygons[:, :1]
    normals = np.cross(from_first, np.roll(from_first, -1, axis=1)).sum(axis=1)
    turns = np.einsum("mnk,mk->mn", np.cross(np.roll(edges, 1, axis=1), edges), normals)
    reflex = turns < -_TOLERANCE * np.einsum("mk,mk->m", normals, normals)[:, None]
    if sides == 4:
        triangles[reflex[:, 1] | reflex[:, 3]] = [[0, 1, 3], [1, 2, 3]]
        return triangles
    for index in np.flatnonzero(reflex.any(axis=1)):
        triangles[index] = _clip_ears(_flatten(polygons[index], normals[index]))
    return triangles


def _flatten(polygon: Float64, normal: Float64) -> Float64:
    """(n, 3) -> (n, 2) in the polygon's plane, counter-clockwise."""
    normal = normal / np.linalg.norm(normal)
    first = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    first /= np.linalg.norm(first)
    flat: Float64 = (polygon - polygon[0]) @ np.stack([first, np.cross(normal, first)], axis=1)
    return flat


def _clip_ears(outline: Float64) -> Int64:
    """(n, 2) counter-clockwise outline -> (n - 2, 3) corner indices.

    A self-intersecting outline has no clean answer: where no ear is found its sharpest corner
    goes, and where the search takes too long the rest becomes a fan, so that the count always
    comes out and in time.
    """
    count = len(outline)
    before = np.roll(np.arange(count), 1)
    after = np.roll(np.arange(count), -1)
    turns = _cross(outline - outline[before], outline[after] - outline)
    alive, reflex = np.ones(count, dtype=bool), turns <= 0
    tests = int(min(_TESTS_PER_CORNER * count, _POINT_TESTS / count))
    triangles: list[list[int]] = []
    corner, passed, stuck = 0, 0, 0
    while count - len(triangles) > 3 and tests > 0 and stuck < _FORCED:
        a, c = before[corner], after[corner]
        is_ear = False
        if turns[corner] > 0:
            tests -= 1
            is_ear = not _any_inside(outline, reflex, outline[[a, corner, c]])
        passed += 1
        if not is_ear and passed < count - len(triangles):
            corner = c
            continue
        if not is_ear:
            stuck += 1
            corner = int(np.argmax(np.where(alive, turns, -np.inf)))
            a, c = before[corner], after[corner]
        triangles.append([a, corner, c])
        alive[corner] = reflex[corner] = False
        after[a], before[c] = c, a
        for moved in (a, c):
            turns[moved] = _cross(
                outline[moved] - outline[before[moved]], outline[after[moved]] - outline[moved]
            )
            reflex[moved] = turns[moved] <= 0
        corner, passed = c, 0
    rest = [corner]
    while len(rest) < count - len(triangles):
        rest.append(after[rest[-1]])
    triangles += [[rest[0], rest[i], rest[i + 1]] for i in range(1, len(rest) - 1)]
    return np.array(triangles, np.int64)


def _any_inside(outline: Float64, among: NDArray[np.bool_], triangle: Float64) -> bool:
    """Whether a point of those lies in or on the triangle (3, 2); its own corners do not count."""
    low, high = triangle.min(axis=0), triangle.max(axis=0)
    x, y = outline[:, 0], outline[:, 1]
    near = among & (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
    points = outline[near]
    if not len(points):
        return False
    a, b, c = triangle
    inside = (
        (_cross(b - a, points - a) >= 0) & (_cross(c - b, points - b) >= 0) & (_cross(a - c, points - c) >= 0)
    )
    for corner in triangle:
        inside &= (points != corner).any(axis=1)
    return bool(inside.any())


def _cross(a: Float64, b: Float64) -> Float64:
    product: Float64 = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
