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

    A self-intersecting outline has no clean answer; its sharpest corner goes where no ear is
    found, so that the count always comes out.
    """
    left = list(range(len(outline)))
    triangles = []
    while len(left) > 3:
        ring = outline[left]
        before, after = np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0)
        turns = _cross(ring - before, after - ring)
        reflex = ring[turns <= 0]
        convex = np.flatnonzero(turns > 0)
        ear = next(
            (i for i in convex if not _any_inside(reflex, before[i], ring[i], after[i])),
            int(np.argmax(turns)),
        )
        triangles.append([left[ear - 1], left[ear], left[(ear + 1) % len(left)]])
        del left[ear]
    triangles.append(left)
    return np.array(triangles, np.int64)


def _any_inside(points: Float64, a: Float64, b: Float64, c: Float64) -> bool:
    """Whether a point lies in or on triangle abc; its own corners do not count."""
    inside = (
        (_cross(b - a, points - a) >= 0) & (_cross(c - b, points - b) >= 0) & (_cross(a - c, points - c) >= 0)
    )
    for corner in (a, b, c):
        inside &= (points != corner).any(axis=1)
    return bool(inside.any())


def _cross(a: Float64, b: Float64) -> Float64:
    product: Float64 = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
