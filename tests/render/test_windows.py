"""Windows over a large surface: together they see all of it, upright, in front of what stands before it."""

import dataclasses
from itertools import islice

import numpy as np
import pytest
from balls import METHOD
from surfaces import assembled, box, plane

from usdstylize import render
from usdstylize.model.objects import Mesh
from usdstylize.optimize.framing import frame

WORLD = dataclasses.replace(METHOD, resolution=64, border=8, pattern_width=0.64, texture_limit=512)


def counted(camera: render.Camera, points: np.ndarray, size: int, border: int) -> np.ndarray:
    """Which of the points lie in the picture, off its border; nothing is behind anything here."""
    at = (points - camera.eye) @ camera.axes.T
    place = at[:, :2] / -at[:, 2:] / camera.tangent
    return (np.abs(place) < 1 - 2 * border / size).all(1) & (at[:, 2] < 0)


def test_one_covering_sees_nearly_all_and_three_see_everything() -> None:
    assembly = assembled(plane(5.0, 3.0))
    method = frame(WORLD, assembly).method
    across, up = np.meshgrid(np.linspace(-2.5, 2.5, 60), np.linspace(-1.5, 1.5, 40))
    points = np.stack([across, up, 0 * up], -1).reshape(-1, 3) / assembly.radius
    draw = render.draw_coverings(assembly.mesh, method, np.random.default_rng(3))
    seen = [
        np.any([counted(camera, points, method.resolution, method.border) for camera in covering], axis=0)
        for covering in (list(islice(draw, method.batch)) for _ in range(3))
    ]
    assert min(own.mean() for own in seen) > 0.85
    assert np.any(seen, axis=0).mean() > 0.995
    assert not np.array_equal(seen[0], seen[1]), "windows end elsewhere in every covering"


def test_neighbours_agree_about_what_is_up() -> None:
    """Also on a table, where +Y is no direction in the picture."""
    assembly = assembled(box(3.0))
    method = frame(WORLD, assembly).method
    draw = render.draw_coverings(assembly.mesh, method, np.random.default_rng(0))
    cameras = list(islice(draw, 3 * method.batch))
    top = [camera for camera in cameras if camera.axes[2][1] > 0.85]
    sides = [camera for camera in cameras if abs(camera.axes[2][1]) < 0.5]
    assert len(top) > 3
    assert len(sides) > 3
    assert min(camera.axes[1] @ (0, 0, -1) for camera in top) > 0.8
    assert min(camera.axes[1] @ (0, 1, 0) for camera in sides) > 0.8


def join(first: Mesh, second: Mesh) -> Mesh:
    return Mesh(
        np.concatenate([first.points, second.points]),
        np.concatenate([first.triangles, second.triangles + np.int32(len(first.points))]),
        np.concatenate([first.normals, second.normals]),
        np.concatenate([first.uvs, second.uvs]),
    )


def test_a_camera_stands_between_a_wall_and_what_is_close_before_it() -> None:
    """And still sees as wide a piece of the wall."""
    assembly = assembled(join(plane(4.0, 4.0), plane(4.0, 4.0, z=0.8)))
    method = dataclasses.replace(frame(WORLD, assembly).method, batch=40)
    draw = render.draw_coverings(assembly.mesh, method, np.random.default_rng(0))
    near = assembly.mesh.points[:, 2].min()
    gap = 0.8 / assembly.radius
    inside = [
        camera for camera in islice(draw, 40) if camera.axes[2][2] > 0.9 and near < camera.eye[2] < near + gap
    ]
    assert len(inside) > 10, "those of the wall; the others look at the plate"
    for camera in inside:
        width = 2 * camera.tangent * (camera.eye[2] - near) / camera.axes[2][2]
        assert width == pytest.approx(method.window, rel=0.1)


def test_every_window_is_lit() -> None:
    """Also those of a surface that faces down, where no light over the upper hemisphere comes."""
    assembly = assembled(box(3.0))
    method = frame(WORLD, assembly).method
    draw = render.draw_coverings(assembly.mesh, method, np.random.default_rng(0))
    for camera in islice(draw, method.batch):
        target = camera.eye - camera.axes[2] * method.window / (2 * camera.tangent)
        light = (camera.light - target) / np.linalg.norm(camera.light - target)
        assert light @ camera.axes[2] == pytest.approx(0.8, abs=0.02)
