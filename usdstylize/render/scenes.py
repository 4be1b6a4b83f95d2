"""Windows over several objects that stand together: they see what stands before what."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from usdstylize.config.method import Method
from usdstylize.model.objects import Mesh, StageCamera
from usdstylize.render.cameras import Camera
from usdstylize.render.sheets import Assembly
from usdstylize.render.windows import CLEAR, WIDEST, FreeDistance, Surface, jittered, window_at

__all__ = ["LEAST_SHARE", "draw_scene"]

Float64 = NDArray[np.float64]

LEAST_SHARE = 0.25
"""Squares of a window that each object counts as at least: a small one has sides, too."""
_HIDDEN = 0.25
"""Where less than this share of a window's width is free before a surface, it is seen without the others."""
_SKIPPED = 3e-5
"""Share of a camera's distance within which nothing can cover a surface: its own triangles are there."""
_POINTS = 4000
"""Of which those that a camera of the stage sees are looked at through it."""
_FACING = 0.2
"""Cosine of the steepest angle at which they are."""


def draw_scene(
    assembly: Assembly, stage_cameras: Sequence[StageCamera], method: Method, random: np.random.Generator
) -> Iterator[Camera]:
    """Endless cameras, of which each ``method.batch`` together see all surfaces of all objects.

    As `draw_coverings`, with all objects in the picture. What something touches or covers closely is seen
    with the others away. The last ``method.camera_windows`` of a batch look from the stage's cameras, in
    turns, each at a part of what is seen from there, by a lens with which a pixel spans as much as elsewhere.
    """
    least = LEAST_SHARE * method.window**2
    surface = Surface(assembly.mesh, assembly.object_of_triangle, least)
    free = FreeDistance(assembly.mesh)
    alone = _Alone(assembly)
    eyes = _Eyes(assembly, stage_cameras, surface, free)
    tangent = float(np.tan(np.radians(method.field_of_view) / 2))
    distance = method.window / (2 * tangent)
    pixel = method.window / method.resolution
    while True:
        targets, facing, triangle = surface.spread(
            method.batch - method.camera_windows, method.window, random
        )
        backward = jittered(facing, random)
        before = free(targets, backward, distance, _SKIPPED)
        for target, back, own, space in zip(targets, backward, triangle, before, strict=True):
            number = alone.object_of(own) if space < _HIDDEN * method.window else None
            if number is not None:
                space = alone.free(number)(target[None], back[None], distance)[0]
            far = min(distance, CLEAR * float(space))
            wide = min(WIDEST, method.window / (2 * far)) if far < distance else tangent
            yield replace(window_at(target, back, far, wide, method, random), pixel=pixel, alone=number)
        for target, back, far in eyes.draw(method.camera_windows, random):
            wide = min(WIDEST, method.window / (2 * far))
            yield replace(window_at(target, back, far, wide, method, random), pixel=pixel)


class _Alone:
    """The objects of an assembly, each without the others."""

    def __init__(self, assembly: Assembly) -> None:
        self._mesh, self._objects = assembly.mesh, assembly.object_of_triangle
        self._free: dict[int, FreeDistance] = {}

    def object_of(self, triangle: int) -> int | None:
        return None if self._objects is None else int(self._objects[triangle])

    def free(self, number: int) -> FreeDistance:
        if number not in self._free:
            triangles = self._mesh.triangles[self._objects == number]
            self._free[number] = FreeDistance(
                Mesh(self._mesh.points, triangles, self._mesh.normals[:0], self._mesh.uvs[:0])
            )
        return self._free[number]


class _Eyes:
    """The stage's cameras that see something of the objects."""

    def __init__(
        self, assembly: Assembly, cameras: Sequence[StageCamera], surface: Surface, free: FreeDistance
    ) -> None:
        self._eyes = [(camera.eye - assembly.center) / assembly.radius for camera in cameras]
        self._cameras, self._surface, self._free = cameras, surface, free
        self._turn = 0

    def draw(self, count: int, random: np.random.Generator) -> Iterator[tuple[Float64, Float64, float]]:
        """So many places that are seen, for each the direction to the eye and the distance to it.

        Where no camera sees anything, places are drawn as windows are.
        """
        left = count
        for _ in range(len(self._cameras)):
            if not left:
                return
            number = self._turn % len(self._cameras)
            self._turn += 1
            share = -(-left // len(self._cameras))
            for found in self._seen_by(number, min(left, share), random):
                left -= 1
                yield found
        if left:
            points, normals, _ = self._surface.draw(left, random)
            space = self._free(points, normals, 1.0)
            for point, normal, far in zip(points, normals, space, strict=True):
                yield point, normal, CLEAR * min(float(far), 1.0)

    def _seen_by(
        self, number: int, count: int, random: np.random.Generator
    ) -> Iterator[tuple[Float64, Float64, float]]:
        camera, eye = self._cameras[number], self._eyes[number]
        points, normals, _ = self._surface.draw(_POINTS, random)
        away = eye - points
        far = np.linalg.norm(away, axis=1)
        place = -away @ camera.axes.T
        depth = -place[:, 2]
        within = (depth > 0) & (np.abs(place[:, :2]) <= depth[:, None] * camera.tangents).all(1)
        away /= np.maximum(far, 1e-9)[:, None]
        within &= np.abs((away * normals).sum(1)) > _FACING
        chosen = np.flatnonzero(within)
        clear = self._free(points[chosen], away[chosen], 1.0) >= np.minimum(far[chosen], 2.0) - 1e-3
        for index in chosen[clear][:count]:
            yield points[index], away[index], float(far[index])
