"""Windows over several objects: what stands before what, the stage's cameras, what is hidden."""

import dataclasses
from itertools import islice

import numpy as np
import pytest
from balls import METHOD
from surfaces import plane, together

from usdstylize import render
from usdstylize.model.objects import StageCamera
from usdstylize.optimize.framing import frame

WORLD = dataclasses.replace(
    METHOD, resolution=64, border=8, pattern_width=0.64, texture_limit=512, views="scene"
)
BEFORE = StageCamera(np.array([0.3, 0.0, 4.0]), np.eye(3), (0.5, 0.5))
"""Looks along -Z at what is about the origin, and sees 4 m of it."""


def drawn(
    assembly: render.Assembly, cameras: tuple[StageCamera, ...] = (), batches: int = 1
) -> list[render.Camera]:
    method = frame(WORLD, assembly, cameras=len(cameras)).method
    draw = render.draw_scene(assembly, cameras, method, np.random.default_rng(2))
    return list(islice(draw, batches * method.batch))


def views(assembly: render.Assembly, cameras: list[render.Camera]) -> list[render.View]:
    method = frame(WORLD, assembly).method
    engine = render.choose_visibility(
        "embree", assembly.mesh.points, assembly.mesh.triangles, "cpu", assembly.object_of_triangle
    )
    size = method.texture_resolution
    subject = render.Subject(assembly, (size, size), "cpu")
    return render.trace_views(subject, engine, cameras, method)


def sheets_in(assembly: render.Assembly, view: render.View) -> set[int]:
    """Numbers of the objects whose textures are in a picture."""
    rows = view.style.rows[view.style.weights > 0]
    size = frame(WORLD, assembly).method.texture_resolution
    return set((rows // sum(h * w for h, w in render.level_sizes(size, size))).unique().tolist())


def test_a_picture_holds_an_object_and_what_stands_before_it() -> None:
    assembly = together(plane(3.0, 3.0), plane(0.3, 0.3, z=0.4))
    found = [sheets_in(assembly, view) for view in views(assembly, drawn(assembly))]
    assert {0, 1} in found


def test_what_another_object_covers_is_seen_without_it() -> None:
    """Two boards, a millimetre apart: their inner sides have windows, in which the other is not."""
    assembly = together(plane(3.0, 3.0), plane(3.0, 3.0, z=0.001))
    cameras = drawn(assembly, batches=3)
    hidden = [camera for camera in cameras if camera.sees == {0}]
    assert len(hidden) > 3
    for view in views(assembly, hidden):
        assert sheets_in(assembly, view) == {0}
        assert float(view.mask().mean()) > 0.2
    assert None in {camera.sees for camera in cameras}, "the front board is seen from the free side"


def test_some_windows_look_from_the_stages_camera_and_span_as_much() -> None:
    assembly = together(plane(3.0, 3.0), plane(0.3, 0.3, z=0.4))
    method = frame(WORLD, assembly, cameras=1).method
    assert method.camera_windows > 0
    cameras = drawn(assembly, (BEFORE,))
    place = (BEFORE.eye - assembly.center) / assembly.radius
    own = cameras[-method.camera_windows :]
    for camera in own:
        assert camera.eye == pytest.approx(place, abs=1e-5)
        depth = place[2] - assembly.mesh.points[:, 2].min()
        assert 2 * camera.tangent * depth / camera.axes[2][2] == pytest.approx(method.window, rel=0.25)
    others = cameras[: -method.camera_windows]
    assert all(np.linalg.norm(camera.eye - place) > 0.1 for camera in others)


def test_pixels_that_span_too_much_do_not_count() -> None:
    """A wall far behind a card: strokes on it would be several times as wide."""
    assembly = together(plane(8.0, 8.0), plane(0.3, 0.3, z=3.0))
    cameras = [camera for camera in drawn(assembly, batches=2) if camera.sees is None]
    far = assembly.mesh.points[:, 2].min()
    seen = 0
    for camera, view in zip(cameras, views(assembly, cameras), strict=True):
        assert view.counted is not None
        rows = view.style.rows.amax(1)
        size = frame(WORLD, assembly).method.texture_resolution
        wall = rows < sum(h * w for h, w in render.level_sizes(size, size))
        depth = abs(camera.eye[2] - far) / abs(camera.axes[2][2])
        span = 2 * camera.tangent * depth / view.resolution / camera.pixel
        if span > 1.6 and bool(wall.any()):
            seen += 1
            assert not bool(view.counted[wall].any())
    assert seen > 0


def test_each_object_has_about_a_texel_for_a_pixel() -> None:
    """By hand: 3 m and 0.3 m at a centimetre a pixel, in powers of two."""
    assembly = together(plane(3.0, 3.0), plane(0.3, 0.3, z=0.4))
    framing = frame(WORLD, assembly)
    assert framing.sizes == (256, 32)
    assert framing.method.texture_resolution == 256
    assert framing.pixel == pytest.approx(0.01)


def test_a_small_object_gets_windows_of_its_own() -> None:
    assembly = together(plane(6.0, 6.0), plane(0.1, 0.1, z=0.4))
    found = [sheets_in(assembly, view) for view in views(assembly, drawn(assembly, batches=3))]
    assert sum(1 in own for own in found) >= 3


def test_only_what_lacks_texels_says_so() -> None:
    """By hand: 20 m at a centimetre a pixel, two of which a texel may span, in 512 texels."""
    framing = frame(WORLD, together(plane(20.0, 20.0), plane(0.3, 0.3, z=0.4)))
    assert framing.sizes == (512, 32)
    assert framing.pixel == pytest.approx(0.01), "the small one is not made coarser for it"
    [remark] = framing.remarks_of([0])
    assert "it would need 2.0 times as many texels on a side as the 512" in remark
    assert framing.remarks_of([1]) == ()


def test_an_object_without_neighbours_is_seen_as_ever() -> None:
    alone = together(plane(3.0, 3.0))
    assert frame(WORLD, alone, cameras=1) == frame(dataclasses.replace(WORLD, views="object"), alone)
