"""One mesh as arrays, before any of its faces are chosen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Geometry", "corner_values"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """All faces of one mesh, before any are chosen.

    points: (P, 3) float64, metres, world space, +Y up.
    counts: (N,) corners per face; point_of_corner: (C,) the point of each face corner.
    drawn: (N,) bool, False for holes and for faces of fewer than 3 corners.
    flipped: the winding must be reversed to be counter-clockwise seen from outside.
    normals: (C, 3) float64, a unit normal per face corner, pointing outside.
    linear: (3, 3) float64, what turns and scales a row of the mesh's own points to metres in world space.
    digest: of the mesh before its transform: points, faces, authored normals; equal for equal meshes.
    """

    points: Float64
    counts: Int64
    point_of_corner: Int64
    drawn: NDArray[np.bool_]
    flipped: bool
    normals: Float64
    notes: tuple[str, ...]
    linear: Float64
    digest: bytes

    def corner_values(self, interpolation: str, values: Float64) -> Float64 | None:
        """As the function `corner_values`, for this mesh."""
        return corner_values(interpolation, values, len(self.points), self.counts, self.point_of_corner)


def corner_values(
    interpolation: str, values: Float64, point_count: int, counts: Int64, point_of_corner: Int64
) -> Float64 | None:
    """Values of a primvar to (C, …), one per face corner; None where the length does not fit."""
    if interpolation in ("vertex", "varying"):
        return values[point_of_corner] if len(values) == point_count else None
    if interpolation == "faceVarying":
        return values if len(values) == len(point_of_corner) else None
    if interpolation == "uniform":
        return np.repeat(values, counts, axis=0) if len(values) == len(counts) else None
    return np.repeat(values, len(point_of_corner), axis=0) if len(values) == 1 else None
