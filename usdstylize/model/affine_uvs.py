"""Affine maps of texture coordinates: as USD authors them, and as matrices.

UVs are USD's: (0, 0) is the bottom left corner. Angles are in degrees, counter-clockwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Placement",
    "UVTransform",
    "as_transform",
    "placement_of",
    "rotation_matrix",
    "same_uvs",
    "single_transform",
    "transform_uvs",
]

Float64 = NDArray[np.float64]

_PROBES = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
"""UVs; two affine maps that agree on them are the same."""


@dataclass(frozen=True)
class UVTransform:
    """A UsdTransform2d: ``uv * scale``, rotated counter-clockwise, then translated.

    A single one cannot shear, so a chain that shears is kept as a chain.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    """Degrees, counter-clockwise."""
    translation: tuple[float, float] = (0.0, 0.0)
    then: "UVTransform | None" = None
    """The next one of a chain: applied to what this one gives."""

    def chain(self) -> tuple["UVTransform", ...]:
        """This one and all that follow, in the order in which they are applied."""
        return (self,) if self.then is None else (self, *self.then.chain())


@dataclass(frozen=True, eq=False)
class Placement:
    """``matrix @ uv + offset`` of a primvar, (N, 2) and (N,) float64; N is 2 for texture coordinates."""

    primvar: str
    matrix: Float64
    offset: Float64

    def then(self, matrix: Float64, offset: Float64) -> "Placement":
        """This, followed by another affine map."""
        return Placement(self.primvar, matrix @ self.matrix, matrix @ self.offset + offset)

    def relative_to(self, frame: "Placement") -> "Placement":
        """From coordinates in ``frame`` to these."""
        back = self.matrix @ np.linalg.inv(frame.matrix)
        return Placement("", back, self.offset - back @ frame.offset)

    def equals(self, other: "Placement") -> bool:
        """Whether both are the same map of the same primvar."""
        same = np.allclose(self.matrix, other.matrix, atol=1e-6)
        return self.primvar == other.primvar and same and np.allclose(self.offset, other.offset, atol=1e-6)


def rotation_matrix(degrees: float) -> Float64:
    """The (2, 2) matrix that turns a column counter-clockwise."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def transform_uvs(uvs: Float64, transform: UVTransform | None) -> Float64:
    """(…, 2) UVs after a chain of UsdTransform2d, step by step as viewers do it; the shape is kept."""
    for step in transform.chain() if transform else ():
        turn = np.ascontiguousarray(rotation_matrix(step.rotation).T)
        uvs = (uvs * np.array(step.scale, np.float64)) @ turn + np.array(step.translation, np.float64)
    return uvs


def same_uvs(first: UVTransform | None, second: UVTransform | None) -> bool:
    """Whether two chains of UsdTransform2d map UVs to the same places, up to rounding."""
    places = transform_uvs(_PROBES, first), transform_uvs(_PROBES, second)
    return np.allclose(*places, rtol=1e-5, atol=1e-5)


def placement_of(primvar: str, transform: UVTransform | None = None) -> Placement:
    """A primvar through a chain of UsdTransform2d, or as it is."""
    placement = Placement(primvar, np.eye(2), np.zeros(2))
    for step in transform.chain() if transform else ():
        placement = placement.then(
            rotation_matrix(step.rotation) @ np.diag(step.scale), np.array(step.translation)
        )
    return placement


def as_transform(placement: Placement) -> UVTransform | None:
    """The same map as UsdTransform2d: one, or two where it shears; None where it does nothing."""
    matrix, (x, y) = placement.matrix, placement.offset
    if np.allclose(matrix, np.eye(2), atol=1e-9) and abs(x) + abs(y) < 1e-9:
        return None
    single = _single(placement)
    if single is not None and matrix[0, 1] == matrix[1, 0] == 0:
        # A negative width is the same map as half a turn, and easier to read.
        return UVTransform((float(matrix[0, 0]), float(matrix[1, 1])), 0.0, single.translation)
    if single is not None:
        return single
    left, sizes, right = np.linalg.svd(matrix)
    flip = np.diag([1.0, np.linalg.det(right)])
    right, left = flip @ right, left @ flip
    mirror = np.linalg.det(left)
    left, sizes = left @ np.diag([1.0, mirror]), sizes * (1.0, mirror)
    second = UVTransform((float(sizes[0]), float(sizes[1])), _angle(left[:, 0]), (float(x), float(y)))
    return UVTransform((1.0, 1.0), _angle(right[:, 0]), (0.0, 0.0), then=second)


def single_transform(transform: UVTransform | None) -> UVTransform | None:
    """A chain as a single transform where one equals it: viewers draw a chain wrongly or not at all."""
    if transform is None or transform.then is None:
        return transform
    origin, across, up = transform_uvs(_PROBES, transform)
    return _single(Placement("", np.stack([across - origin, up - origin], axis=1), origin)) or transform


def _single(placement: Placement) -> UVTransform | None:
    """One UsdTransform2d that maps as ``placement`` does; None where it shears or squeezes to a line."""
    matrix, (x, y) = placement.matrix, placement.offset
    first, second = matrix[:, 0], matrix[:, 1]
    lengths = np.linalg.norm(matrix, axis=0)
    if lengths.min() == 0 or abs(first @ second) > 1e-6 * lengths[0] * lengths[1]:
        return None
    # Columns at right angles: scaled, then turned; a mirror image scales by a negative height.
    height = lengths[1] * np.sign(np.linalg.det(matrix))
    return UVTransform((float(lengths[0]), float(height)), _angle(first), (float(x), float(y)))


def _angle(direction: Float64) -> float:
    return float(np.degrees(np.arctan2(direction[1], direction[0])))
