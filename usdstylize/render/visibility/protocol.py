"""What every visibility engine takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from usdstylize.render.cameras import Camera

__all__ = ["Hits", "Visibility"]


@dataclass(frozen=True, eq=False)
class Hits:
    """What one camera sees, on the engine's device.

    triangle: (R, R) int32, -1 where no triangle is hit; row 0 is the top.
    barycentrics: (R, R, 2) float32, weights of the triangle's second and third corner; of no
    meaning where no triangle is hit.
    """

    triangle: Tensor
    barycentrics: Tensor


class Visibility(Protocol):
    """An engine that holds one mesh. Both sides of a triangle are seen; the nearest one counts."""

    def trace(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        """Square renders of ``resolution`` pixels a side, one per camera."""
