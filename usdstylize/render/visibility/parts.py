"""Visibility of several objects, and of those without one of them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from usdstylize.render.cameras import Camera
from usdstylize.render.visibility.protocol import Hits, Visibility

__all__ = ["PartVisibility"]


class PartVisibility:
    """An engine of all objects, and one without each object that some camera does not see."""

    def __init__(
        self,
        engine: Callable[[NDArray[np.int32]], Visibility],
        triangles: NDArray[np.int32],
        object_of_triangle: NDArray[np.int64],
    ) -> None:
        """engine: makes one of some of the triangles (F, 3). object_of_triangle: (F,)."""
        self._engine, self._triangles, self._objects = engine, triangles, object_of_triangle
        self._all = engine(triangles)
        self._without: dict[int, tuple[Visibility, torch.Tensor]] = {}

    def trace(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        found: list[Hits | None] = [None] * len(cameras)
        for number in dict.fromkeys(camera.without for camera in cameras):
            places = [index for index, camera in enumerate(cameras) if camera.without == number]
            for index, hits in zip(
                places, self._trace(number, [cameras[index] for index in places], resolution), strict=True
            ):
                found[index] = hits
        return [hits for hits in found if hits is not None]

    def _trace(self, number: int | None, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        if number is None:
            return self._all.trace(cameras, resolution)
        if number not in self._without:
            some = np.flatnonzero(self._objects != number).astype(np.int32)
            self._without[number] = self._engine(self._triangles[some]), torch.from_numpy(some)
        engine, left = self._without[number]
        return [
            Hits(_renumbered(hits.triangle, left), hits.barycentrics)
            for hits in engine.trace(cameras, resolution)
        ]


def _renumbered(triangle: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Numbers among the triangles that are left as those among all; -1 stays."""
    everywhere = numbers.to(triangle.device)[triangle.clamp_min(0).long()]
    return torch.where(triangle < 0, triangle, everywhere)
