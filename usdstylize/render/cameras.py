"""Cameras and lights around an object whose bounding sphere is the unit sphere at the origin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usdstylize.config.method import ViewpointMethod

__all__ = [
    "Camera",
    "direction",
    "draw_cameras",
    "look_at",
    "look_from",
    "pixel_directions",
    "pixel_projections",
]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera, and the point light that goes with it.

    eye, light: (3,) float32, in radii of the object's bounding sphere, +Y up.
    axes: (3, 3) float32, rows are the camera's right, up and backward unit vectors.
    tangent: tangent of half the field of view.
    pixel: what a pixel spans, in radii, where it counts; 0: all of them count.
    sees: the numbers of the objects that it sees; None: all of them.
    """

    eye: Float32
    axes: Float32
    tangent: float
    light: Float32
    pixel: float = 0.0
    sees: frozenset[int] | None = None


def look_at(eye: NDArray[np.floating], light: NDArray[np.floating], field_of_view: float) -> Camera:
    """A camera at ``eye`` that looks at the origin; ``field_of_view`` in degrees."""
    backward = eye / np.linalg.norm(eye)
    up = np.array([0.0, 1.0, 0.0]) if abs(backward[1]) < 0.999 else np.array([0.0, 0.0, 1.0])
    return _oriented(eye, backward, up, light, float(np.tan(np.radians(field_of_view) / 2)))


def look_from(
    eye: NDArray[np.floating], backward: NDArray[np.floating], light: NDArray[np.floating], tangent: float
) -> Camera:
    """A camera at ``eye`` that looks against ``backward``, a unit vector.

    Upright; one that looks up or down has -Z above, however it is tilted, so that neighbours on a table
    agree about it. tangent: of half the field of view.
    """
    up = np.array([0.0, 1.0, 0.0]) if abs(backward[1]) < 0.8 else np.array([0.0, 0.0, -1.0])
    return _oriented(eye, backward, up, light, tangent)


def _oriented(
    eye: NDArray[np.floating],
    backward: NDArray[np.floating],
    up: NDArray[np.floating],
    light: NDArray[np.floating],
    tangent: float,
) -> Camera:
    right = np.cross(up, backward)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(backward, right), backward]).astype(np.float32)
    return Camera(eye.astype(np.float32), axes, tangent, light.astype(np.float32))


def pixel_directions(camera: Camera, resolution: int) -> tuple[Float32, Float32, Float32]:
    """Ray directions (R, R, 3) through pixel centres, and their change (3,) per pixel in x and y.

    Not normalised: the component along the view axis is 1. Row 0 is the top of the picture.
    """
    right, up, backward = camera.axes
    step = 2 * camera.tangent / resolution
    offsets = ((np.arange(resolution, dtype=np.float32) + 0.5) * step - camera.tangent).astype(np.float32)
    across = offsets[:, None] * right
    down = -offsets[:, None] * up - backward
    return down[:, None] + across[None], step * right, -step * up


def pixel_projections(cameras: Sequence[Camera], resolution: int) -> NDArray[np.float64]:
    """(C, 4, 3): a row (x, y, z, 1) times one is (column · depth, row · depth, depth).

    Depth is along the view axis. Columns and rows are whole numbers at pixel centres, row 0 the
    top: the same rays as those of `pixel_directions`.
    """
    eyes = np.stack([camera.eye for camera in cameras]).astype(np.float64)
    # inverted, not turned over: float32 axes are not quite orthonormal
    to_camera = np.linalg.inv(np.stack([camera.axes for camera in cameras]).astype(np.float64))
    step = np.array([2 * camera.tangent / resolution for camera in cameras])
    middle = (resolution - 1) / 2
    to_pixels = np.zeros((len(cameras), 3, 3))
    to_pixels[:, 0, 0] = 1 / step
    to_pixels[:, 1, 1] = -1 / step
    to_pixels[:, 2] = [-middle, -middle, -1.0]
    matrix = to_camera @ to_pixels
    return np.concatenate([matrix, -eyes[:, None] @ matrix], 1)


def draw_cameras(method: ViewpointMethod, random: np.random.Generator) -> Iterator[Camera]:
    """Endless random views: eyes over the whole sphere, lights over the upper hemisphere."""
    while True:
        light = direction(random)
        light[1] = abs(light[1])
        eye = direction(random) * random.uniform(*method.camera_distance)
        yield look_at(eye, light * random.uniform(*method.light_distance), method.field_of_view)


def direction(random: np.random.Generator) -> NDArray[np.float64]:
    """A uniformly distributed unit vector."""
    vector = random.standard_normal(3)
    return vector / np.linalg.norm(vector)
