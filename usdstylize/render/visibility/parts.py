"""Visibility of several objects, and of some of them without the others."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from usdstylize.render.cameras import Camera
from usdstylize.render.visibility.protocol import Hits, Visibility

__all__ = ["PartVisibility"]


class PartVisibility:
    """An engine of all objects, and one of each choice of them that some camera sees."""

    def __init__(
        self,
        engine: Callable[[NDArray[np.int32]], Visibility],
        triangles: NDArray[np.int32],
        object_of_triangle: NDArray[np.int64],
    ) -> None:
        """engine: makes one of some of the triangles (F, 3). object_of_triangle: (F,)."""
        self._engine, self._triangles, self._objects = engine, triangles, object_of_triangle
        self._all = engine(triangles)
        self._some: dict[frozenset[int], tuple[Visibility, torch.Tensor]] = {}

    def trace(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        found: dict[int, Hits] = {}
        for seen in dict.fromkeys(camera.sees for camera in cameras):
            places = [index for index, camera in enumerate(cameras) if camera.sees == seen]
            hits = self._trace(seen, [cameras[index] for index in places], resolution)
            found |= dict(zip(places, hits, strict=True))
        return [found[index] for index in range(len(cameras))]

    def _trace(self, seen: frozenset[int] | None, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        if seen is None:
            return self._all.trace(cameras, resolution)
        if seen not in self._some:
            chosen = np.flatnonzero(np.isin(self._objects, list(seen))).astype(np.int32)
            self._some[seen] = self._engine(self._triangles[chosen]), torch.from_numpy(chosen)
        engine, chosen_triangles = self._some[seen]
        return [
            Hits(_renumbered(hits.triangle, chosen_triangles), hits.barycentrics)
            for hits in engine.trace(cameras, resolution)
        ]


def _renumbered(triangle: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Numbers among the chosen triangles as those among all; -1 stays."""
    everywhere = numbers.to(triangle.device)[triangle.clamp_min(0).long()]
    return torch.where(triangle < 0, triangle, everywhere)
