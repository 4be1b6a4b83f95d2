"""Visibility on the CPU, by Intel Embree."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from usdstylize.render.cameras import Camera, pixel_directions
from usdstylize.render.visibility.protocol import Hits

__all__ = ["EmbreeVisibility", "available_cores"]


class EmbreeVisibility:
    """Ray casting on the CPU; one thread per core, one camera at a time each."""

    def __init__(
        self, points: NDArray[np.float32], triangles: NDArray[np.int32], device: str = "cpu"
    ) -> None:
        """points: (V, 3) float32. triangles: (F, 3) int32. device: where the hits are needed."""
        self._device = device
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(
            self._scene,
            np.ascontiguousarray(points, dtype=np.float32),
            np.ascontiguousarray(triangles, dtype=np.int32),
        )
        self._trace_one(_any_camera(), 1)  # the first ray builds the tree, in one thread

    def trace(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        with ThreadPoolExecutor(available_cores()) as pool:
            return list(pool.map(lambda camera: self._trace_one(camera, resolution), cameras))

    def _trace_one(self, camera: Camera, resolution: int) -> Hits:
        directions = pixel_directions(camera, resolution)[0].reshape(-1, 3)
        origins = np.broadcast_to(camera.eye, directions.shape)
        hit = self._scene.run(
            np.ascontiguousarray(origins), np.ascontiguousarray(directions), query="INTERSECT", output=True
        )
        shape = (resolution, resolution)
        triangle = torch.from_numpy(hit["primID"]).view(shape)
        barycentrics = torch.from_numpy(np.stack([hit["u"], hit["v"]], -1)).view(*shape, 2)
        return Hits(triangle.to(self._device), barycentrics.to(self._device))


def available_cores() -> int:
    """Cores that this process may use: a farm often gives it fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _any_camera() -> Camera:
    """A camera to start an engine with; what it sees does not matter."""
    return Camera(np.full(3, 10.0, np.float32), np.eye(3, dtype=np.float32), 1e-3, np.ones(3, np.float32))
