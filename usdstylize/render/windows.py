"""Windows over a surface that is too large to be seen as a whole: cameras that together cover all of it."""

from collections.abc import Iterator

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from usdstylize.config.method import Method, ViewpointMethod
from usdstylize.model.objects import Mesh
from usdstylize.render.cameras import Camera, direction, look_from

__all__ = ["CLEAR", "WIDEST", "FreeDistance", "Spread", "Surface", "draw_coverings", "jittered", "window_at"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Spread = tuple[Float64, Float64, Int64]
"""Points (N, 3), the mean normal around each (N, 3), and the triangle on which each is (N,)."""

_POINTS_PER_WINDOW = 48
_MOST_POINTS = 40_000
_ROUNDS = 4
"""Of Lloyd's: the windows are spread evenly, and where they end differs from one covering to the next."""
_NORMAL = 0.6
"""What a difference of unit normals counts beside a distance in windows: the sides of a board are apart."""
_JITTER = 0.2
"""Standard deviation of what is added to a camera's direction, whose length is 1."""
CLEAR = 0.9
"""Share of the free distance in front of a surface that a camera keeps to."""
WIDEST = 1.0
"""Tangent of half the widest angle of view, for a camera that something keeps from standing back."""


def draw_coverings(mesh: Mesh, method: Method, random: np.random.Generator) -> Iterator[Camera]:
    """Endless cameras, of which each ``method.batch`` together see all of the surface.

    Upright, from near its normals, each ``method.window`` radii wide.
    mesh: in the unit sphere, +Y up. Where something stands close before the surface, the camera moves between
    the two, and sees as much by a wider angle.
    """
    surface, free = Surface(mesh), FreeDistance(mesh)
    tangent = float(np.tan(np.radians(method.field_of_view) / 2))
    distance = method.window / (2 * tangent)
    while True:
        targets, facing, _ = surface.spread(method.batch, method.window, random)
        backward = jittered(facing, random)
        away = np.minimum(distance, CLEAR * free(targets, backward, distance))
        for target, back, far in zip(targets, backward, away, strict=True):
            wide = min(WIDEST, method.window / (2 * far)) if far < distance else tangent
            yield window_at(target, back, far, wide, method, random)


class Surface:
    """A mesh from which points are drawn by area."""

    def __init__(self, mesh: Mesh, shares: Float64 | None = None) -> None:
        """shares: (F,), by which each triangle gets more or fewer points than its area asks for."""
        self._corners = mesh.points[mesh.triangles].astype(np.float64)
        edges = self._corners[:, 1:] - self._corners[:, :1]
        across = np.cross(edges[:, 0], edges[:, 1])
        areas = np.linalg.norm(across, axis=1)
        self._normals = across / np.maximum(areas, 1e-30)[:, None]
        areas = areas if shares is None else areas * shares
        self._share = areas.cumsum() / areas.sum()

    def draw(self, count: int, random: np.random.Generator) -> Spread:
        """Points, their own normals, and the triangles."""
        triangle = np.searchsorted(self._share, random.random(count)).clip(max=len(self._share) - 1)
        return _points(self._corners[triangle], random), self._normals[triangle], triangle

    def spread(self, count: int, window: float, random: np.random.Generator) -> Spread:
        """``count`` points that are evenly spread.

        window: how wide what is seen around each is.
        """
        drawn = min(_MOST_POINTS, _POINTS_PER_WINDOW * count)
        points, normals, triangle = self.draw(drawn, random)
        chosen, facing = _spread(points, normals, count, window, random)
        return points[chosen], facing, triangle[chosen]


def jittered(facing: Float64, random: np.random.Generator) -> Float64:
    """Unit vectors (N, 3) near those given."""
    backward = facing + _JITTER * random.standard_normal(facing.shape)
    jittered: Float64 = backward / np.linalg.norm(backward, axis=1, keepdims=True)
    return jittered


def window_at(
    target: Float64,
    backward: Float64,
    away: float,
    tangent: float,
    method: ViewpointMethod,
    random: np.random.Generator,
) -> Camera:
    """A camera so far ``away`` from what it looks at, and its light."""
    light = target + _towards_light(backward, random) * random.uniform(*method.light_distance)
    return look_from(target + backward * away, backward, light, tangent)


def _points(corners: Float64, random: np.random.Generator) -> Float64:
    """A uniformly distributed point (N, 3) in each triangle (N, 3, 3)."""
    first, second = random.random((2, len(corners), 1))
    folded = first + second > 1
    first, second = np.where(folded, 1 - first, first), np.where(folded, 1 - second, second)
    found: Float64 = corners[:, 0] * (1 - first - second) + corners[:, 1] * first + corners[:, 2] * second
    return found


def _spread(
    points: Float64, normals: Float64, count: int, window: float, random: np.random.Generator
) -> tuple[Int64, Float64]:
    """Which ``count`` of the points lie evenly over the surface, and the mean normal around each."""
    features = np.concatenate([points / window, _NORMAL * normals], axis=1)
    centres = features[random.permutation(len(features))[:count]]
    for _ in range(_ROUNDS):
        nearest = cKDTree(centres).query(features)[1]
        counts = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, column, count) for column in features.T], axis=1)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
    chosen = cKDTree(features).query(centres)[1]
    facing = centres[:, 3:] / _NORMAL
    length = np.linalg.norm(facing, axis=1, keepdims=True)
    return chosen, np.where(length > 0.3, facing / np.maximum(length, 1e-9), normals[chosen])


def _towards_light(backward: Float64, random: np.random.Generator) -> Float64:
    """A unit vector about 37 degrees from the camera's: windows that are lit alike get strokes alike."""
    aside = np.cross(direction(random), backward)
    found: Float64 = 0.8 * backward + 0.6 * aside / np.linalg.norm(aside)
    return found


class FreeDistance:
    """How far a surface can be left before another is met."""

    def __init__(self, mesh: Mesh) -> None:
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(
            self._scene,
            np.ascontiguousarray(mesh.points, dtype=np.float32),
            np.ascontiguousarray(mesh.triangles, dtype=np.int32),
        )

    def __call__(self, points: Float64, directions: Float64, most: float, skipped: float = 1e-3) -> Float64:
        """(N,): along unit directions from each point; ``2 * most`` where nothing is met before.

        skipped: share of ``most`` that counts as free: it hides the surface itself.
        """
        start = skipped * most
        found = self._scene.run(
            np.ascontiguousarray(points + start * directions, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            query="DISTANCE",
        )
        return np.clip(np.asarray(found, np.float64) + start, 10 * start, 2 * most)

    def first(self, points: Float64, directions: Float64, skipped: float) -> Int64:
        """(N,): the triangle that is met first, farther than ``skipped`` away; -1 for none."""
        found = self._scene.run(
            np.ascontiguousarray(points + skipped * directions, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            query="INTERSECT",
        )
        return np.asarray(found, np.int64)
