"""Windows over several objects that stand together: they see what stands before what."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from usdstylize.config.method import Method
from usdstylize.model.objects import StageCamera
from usdstylize.render.cameras import Camera
from usdstylize.render.sheets import Assembly
from usdstylize.render.windows import (
    CLEAR,
    WIDEST,
    FreeDistance,
    Spread,
    Surface,
    jittered,
    window_at,
)

__all__ = ["added_area", "draw_scene"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_LEAST_SHARE = 0.25
"""Squares of a window that each object counts as at least: a small one has sides, too."""
_TURNS = 8
"""Batches in which the windows of small objects come to every side of each, where there is no pool of
batches; in one, they come to some."""
_SIDES = 2.5
"""Windows on small objects differ so many times as much by the side that they see as by the place."""
_HIDDEN = 0.25
"""What is nearer to a surface than this share of a window's width is taken away from before it."""
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

    As `draw_coverings`, with all objects in the picture; small ones get their windows in turns. What
    something touches or covers closely is seen without it. The last ``method.camera_windows`` of
    a batch look from the stage's cameras, in turns, each at a part of what is seen from there, by a lens
    with which a pixel spans as much as elsewhere.
    """
    free = _Free(assembly, method.window)
    eyes = _Eyes(assembly, stage_cameras, Surface(assembly.mesh), free.all)
    coverings = _coverings(assembly, method, random)
    tangent = float(np.tan(np.radians(method.field_of_view) / 2))
    distance = method.window / (2 * tangent)
    pixel = method.window / method.resolution
    while True:
        targets, facing, triangle = next(coverings)
        backward = jittered(facing, random)
        before = free(targets, backward, triangle, distance, _HIDDEN * method.window, random)
        for target, back, (space, sees) in zip(targets, backward, before, strict=True):
            far = min(distance, CLEAR * space)
            wide = min(WIDEST, method.window / (2 * far)) if far < distance else tangent
            yield replace(window_at(target, back, far, wide, method, random), pixel=pixel, sees=sees)
        for target, back, far in eyes.draw(method.camera_windows, random):
            wide = min(WIDEST, method.window / (2 * far))
            yield replace(window_at(target, back, far, wide, method, random), pixel=pixel)


def added_area(assembly: Assembly, window: float) -> float:
    """Square radii by which small objects count as more than their area; window: its width in radii."""
    return float(np.maximum(_LEAST_SHARE * window**2 - _object_areas(assembly), 0.0).sum())


def _coverings(assembly: Assembly, method: Method, random: np.random.Generator) -> Iterator[Spread]:
    """What the windows of each batch look at: large objects whole in each, small ones in turns."""
    parts = assembly.object_of_triangle
    assert parts is not None
    areas, small = _object_areas(assembly), _small(assembly, method.window)
    counted = np.maximum(areas, _LEAST_SHARE * method.window**2)
    turns_taken = method.view_pool // method.batch or _TURNS
    shares = np.where(small, counted / np.maximum(areas, 1e-30), 0.0)
    count = method.batch - method.camera_windows
    in_turns = round(count * counted[small].sum() / counted.sum())
    if small.any() and not small.all():
        in_turns = min(max(in_turns, 1), count - 1)
    small_ones = Surface(assembly.mesh, shares[parts]) if in_turns else None
    large_ones = Surface(assembly.mesh, np.where(small, 0.0, 1.0)[parts]) if in_turns < count else None
    while True:
        turns: list[Spread] = []
        if small_ones is not None:
            places = turns_taken * in_turns
            points, facing, triangle = small_ones.spread(places, _SIDES * method.window, random)
            order = np.split(random.permutation(places), turns_taken)
            turns = [(points[own], facing[own], triangle[own]) for own in order]
        for turn in range(turns_taken):
            chosen = turns[turn : turn + 1]
            if large_ones is not None:
                chosen = [*chosen, large_ones.spread(count - in_turns, method.window, random)]
            points, facing, triangle = (np.concatenate(own) for own in zip(*chosen, strict=True))
            yield points, facing, triangle


def _small(assembly: Assembly, window: float) -> NDArray[np.bool_]:
    """By object, whether its surface is smaller than a window."""
    small: NDArray[np.bool_] = _object_areas(assembly) < window**2
    return small


def _object_areas(assembly: Assembly) -> Float64:
    """By object, square radii."""
    parts = assembly.object_of_triangle
    assert parts is not None
    corners = assembly.mesh.points[assembly.mesh.triangles].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas: Float64 = np.bincount(parts, np.linalg.norm(across, axis=1) / 2).astype(np.float64)
    return areas


class _Free:
    """How far the surfaces of an assembly can be left, and what must be taken away for it."""

    def __init__(self, assembly: Assembly, window: float) -> None:
        """window: how wide one is, in radii."""
        parts = assembly.object_of_triangle
        assert parts is not None
        self._mesh, self._parts = assembly.mesh, parts
        self._large = ~_small(assembly, window)
        self.all = FreeDistance(assembly.mesh)
        self._some: dict[frozenset[int], FreeDistance] = {}

    def __call__(
        self,
        points: Float64,
        directions: Float64,
        triangles: Int64,
        most: float,
        close: float,
        random: np.random.Generator,
    ) -> list[tuple[float, frozenset[int] | None]]:
        """For each point on a triangle, how far it can be left along a unit direction, and what is then seen.

        What is nearer than ``close`` is taken away, unless it is of the same object. In every second window
        on a large object all others are: what always stands before it would hide a part of it.
        """
        space = self.all(points, directions, most, _SKIPPED)
        first = self.all.first(points, directions, _SKIPPED * most)
        numbers = frozenset(self._parts.tolist())
        found: list[tuple[float, frozenset[int] | None]] = []
        for point, back, own, far, met in zip(points, directions, triangles, space, first, strict=True):
            number = int(self._parts[own])
            sees: frozenset[int] | None = None
            if self._large[number] and random.random() < 0.5:
                sees = frozenset([number])
            elif far < close and met >= 0 and self._parts[met] != number:
                sees = numbers - {int(self._parts[met])}
            if sees is not None:
                far = self._free_among(sees)(point[None], back[None], most, _SKIPPED)[0]
            found.append((float(far), sees))
        return found

    def _free_among(self, numbers: frozenset[int]) -> FreeDistance:
        if numbers not in self._some:
            chosen = self._mesh.triangles[np.isin(self._parts, list(numbers))]
            self._some[numbers] = FreeDistance(replace(self._mesh, triangles=chosen))
        return self._some[numbers]


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
