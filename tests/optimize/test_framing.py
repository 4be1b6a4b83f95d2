"""Cameras that stand by a pattern width: what a pixel spans, how large T_S is, what has a limit."""

import dataclasses
import math
from itertools import islice

import numpy as np
import pytest
from balls import METHOD, ball
from surfaces import assembled, box, plane

from usdstylize import render
from usdstylize.config.method import Method
from usdstylize.model.objects import Mesh
from usdstylize.optimize.framing import Framing, frame

WORLD = dataclasses.replace(
    METHOD, resolution=64, border=8, pattern_width=0.64, texture_limit=512, covering_iterations=5
)
PIXEL = 0.01
"""Metres."""


def spheres(radius: float) -> render.Assembly:
    mesh = ball().mesh
    return assembled(dataclasses.replace(mesh, points=mesh.points * np.float32(radius)))


def pixels_on_surface(assembly: render.Assembly, method: Method) -> np.ndarray:
    """Metres that a pixel spans across the line of sight, wherever a surface is seen from straight before."""
    draw = (
        render.draw_coverings(assembly.mesh, method, np.random.default_rng(0))
        if method.window
        else (render.draw_cameras(method, np.random.default_rng(0)))
    )
    mesh = assembly.mesh
    engine = render.EmbreeVisibility(mesh.points, mesh.triangles)
    found = []
    for camera in islice(draw, 6):
        hits = engine.trace([camera], method.resolution)[0]
        seen = hits.triangle.numpy() >= 0
        triangles = mesh.triangles[hits.triangle.numpy()[seen]]
        second, third = hits.barycentrics.numpy()[seen].T
        shares = np.stack([1 - second - third, second, third], 1)
        points = np.einsum("nk,nkc->nc", shares, mesh.points[triangles])
        normals = np.einsum("nk,nkc->nc", shares, mesh.normals[hits.triangle.numpy()[seen]])
        rays = points - camera.eye
        facing = -(normals * rays).sum(1) / np.linalg.norm(rays, axis=1) > 0.8
        depth = -(rays @ camera.axes[2])[facing]
        found.append(depth * 2 * camera.tangent / method.resolution * assembly.radius)
    return np.concatenate(found)


@pytest.mark.parametrize(
    "assembly",
    [spheres(0.2), spheres(0.45), assembled(box(0.3)), assembled(plane(3.0, 2.0)), assembled(box(2.0))],
    ids=["small ball", "ball", "small box", "wall", "large box"],
)
def test_a_pixel_spans_the_same_on_every_object(assembly: render.Assembly) -> None:
    framing = frame(WORLD, assembly)
    spans = pixels_on_surface(assembly, framing.method)
    assert np.median(spans) == pytest.approx(PIXEL, rel=0.08)
    assert np.std(spans) / np.mean(spans) < 0.1
    assert framing.pixel == pytest.approx(PIXEL)
    assert framing.remarks_of([0]) == ()


def test_the_papers_way_spans_as_much_as_the_object_is_large() -> None:
    small, large = (frame(dataclasses.replace(WORLD, pattern_width=0.0), spheres(r)) for r in (0.2, 2.0))
    assert large.pixel == pytest.approx(10 * small.pixel, rel=1e-4)
    assert small.method == dataclasses.replace(WORLD, pattern_width=0.0, border=0)


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.3, 0.5])
def test_a_whole_object_lies_inside_the_part_of_the_picture_that_counts(radius: float) -> None:
    assembly = spheres(radius)
    method = frame(dataclasses.replace(WORLD, pattern_width=1.28), assembly).method
    assert not method.window
    assert method.resolution % 32 == 0
    engine = render.EmbreeVisibility(assembly.mesh.points, assembly.mesh.triangles)
    cameras = list(islice(render.draw_cameras(method, np.random.default_rng(1)), 4))
    for hits in engine.trace(cameras, method.resolution):
        rows, columns = np.nonzero(hits.triangle.numpy() >= 0)
        assert min(rows.min(), columns.min()) >= method.border
        assert max(rows.max(), columns.max()) < method.resolution - method.border


def texels(mesh: Mesh, **changes: object) -> int:
    return frame(dataclasses.replace(WORLD, **changes), assembled(mesh)).method.texture_resolution  # type: ignore[arg-type]


def test_a_texel_is_about_a_pixel() -> None:
    """By hand: 1.28 m in 0..1 at 1 cm are 128 texels; twice as many for twice the metres, or half the UVs."""
    square = plane(1.28, 1.28)
    assert texels(square) == 128
    assert texels(plane(2.56, 2.56)) == 256
    assert texels(dataclasses.replace(square, uvs=square.uvs / 2)) == 256
    assert texels(dataclasses.replace(square, uvs=square.uvs * 4)) == 32, "a texture that repeats"
    assert texels(square, texture_limit=0, texture_resolution=48) == 48, "as asked"


def test_small_objects_have_small_pictures_and_more_of_them() -> None:
    preset = dataclasses.replace(WORLD, resolution=256, pattern_width=2.56, batch=1)
    small, large = (frame(preset, spheres(radius)).method for radius in (0.2, 1.2))
    assert small.resolution < large.resolution
    assert small.batch > large.batch == 1
    assert small.batch * small.resolution**2 <= 256**2


def test_windows_follow_the_area_and_what_repeats_counts_once() -> None:
    def windows(mesh: Mesh, wrap: tuple[str, str] = ("clamp", "clamp")) -> int:
        return frame(WORLD, assembled(mesh, wrap)).method.batch

    wall = plane(4.0, 4.0)
    assert windows(plane(8.0, 4.0)) == pytest.approx(2 * windows(wall), rel=0.1)
    # 1.28 m less the border: 1.12 m squared, of 16 m², and two fifths more for what overlaps
    assert windows(wall) == math.ceil(1.4 * 16 / 1.12**2)
    repeats = dataclasses.replace(wall, uvs=wall.uvs * 2)
    assert windows(repeats, ("repeat", "repeat")) == math.ceil(windows(wall) / 4)


def test_what_has_no_room_for_its_pattern_has_a_wider_one_and_a_remark() -> None:
    framing = frame(WORLD, assembled(plane(100.0, 100.0)))
    assert framing.method.texture_resolution == WORLD.texture_limit
    assert framing.pixel == pytest.approx(100.0 / 512 / 2)
    assert framing.method.batch <= 192
    [remark] = framing.remarks_of([0])
    assert remark == (
        "Its pattern is 9.8 times as wide as elsewhere, since 512 texels are the most that its style texture "
        "may have."
    )


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_an_object_a_thousand_times_as_small_or_large_has_limits_and_a_remark(factor: float) -> None:
    framing = frame(WORLD, spheres(0.3 * factor))
    assert 32 <= framing.method.texture_resolution <= 512
    assert framing.method.resolution <= 2 * WORLD.resolution
    assert framing.method.batch <= 192
    assert len(framing.remarks_of([0])) == 1
    assert isinstance(framing, Framing)


@pytest.mark.parametrize("assembly", [spheres(0.05), assembled(plane(3.0, 2.0))], ids=["small", "windows"])
@pytest.mark.parametrize("processes", [2, 3, 8])
def test_processes_share_every_batch_evenly(assembly: render.Assembly, processes: int) -> None:
    alone = frame(dataclasses.replace(WORLD, batch=24), assembly).method
    shared = frame(dataclasses.replace(WORLD, batch=24), assembly, processes).method
    assert shared.batch % processes == 0
    assert 0 <= shared.batch - alone.batch < 6 * processes
