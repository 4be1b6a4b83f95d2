"""Views of several sheets, several cameras and several batches, each against what it is alone."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from usdstylize import render
from usdstylize.config.presets import PRESETS
from usdstylize.imaging.encoding import linear_to_srgb
from usdstylize.model.base_colors import Transfer, Wrap
from usdstylize.model.objects import Mesh
from usdstylize.optimize.texels import palette_texels
from usdstylize.render import views as module

METHOD = dataclasses.replace(PRESETS["draft"], resolution=48)
STYLE_SIZE = (16, 32)
LINEAR = Transfer("linear", 0.25, (0.9, 0.7, 1.1), (0.02, 0.1, 0.0))


def leaf(x: float, tilt: float, width: float) -> Mesh:
    """Two triangles about (x, 0, 0), aslant, whose UVs are ``width`` wide and begin at -0.2."""
    points = np.array([[-0.3, -0.5, -tilt], [0.3, -0.4, tilt], [0.35, 0.5, tilt], [-0.25, 0.6, -tilt]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uvs = np.array([[0, 0.1], [1, 0], [0.9, 1], [0.05, 0.8]]) * width - 0.2
    normals = np.array([[-0.3, 0.1, 1], [0.2, 0.3, 1], [0.4, -0.2, 1], [0, 0, 1]])[triangles]
    points[:, 0] += x
    uvs = uvs.astype(np.float32)[triangles]
    return Mesh(points.astype(np.float32), triangles, normals.astype(np.float32), uvs)


def random_texture(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.9, (height, width, 3)).astype(np.float32)


LEAVES = (leaf(-0.45, 0.1, 1.3), leaf(0.0, 0.3, 0.7), leaf(0.5, -0.2, 2.1))
SHEETS = (
    render.Sheet(random_texture(8, 20, 1), ("repeat", "clamp")),
    render.Sheet(random_texture(33, 5, 2), ("mirror", "repeat"), LINEAR),
    render.Sheet(random_texture(6, 6, 3), ("black", "mirror")),
)
CAMERAS = tuple(
    render.look_at(np.array(eye), np.array(light), 45.0)
    for eye, light in (([0.3, 0.4, 1.8], [1.0, 3.0, 2.0]), ([-0.9, -0.2, 2.0], [-3.0, 1.0, 0.5]))
)
TABLES = torch.from_numpy(np.random.default_rng(4).uniform(-0.3, 0.3, (3, *STYLE_SIZE, 3))).float()


def assembly(*numbers: int) -> render.Assembly:
    """Some of the leaves, each with its own sheet."""
    meshes = [LEAVES[number] for number in numbers]
    mesh = Mesh(
        np.concatenate([m.points for m in meshes]),
        np.concatenate([m.triangles + 4 * i for i, m in enumerate(meshes)]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uvs for m in meshes]),
    )
    sheets = tuple(SHEETS[number] for number in numbers)
    sheet_of_triangle = np.arange(len(meshes)).repeat(2)
    return render.Assembly(mesh, sheets, sheet_of_triangle, tuple((i,) for i in range(len(meshes))))


def subject_and_engine(*numbers: int) -> tuple[render.Subject, render.EmbreeVisibility]:
    together = assembly(*numbers)
    engine = render.EmbreeVisibility(together.mesh.points, together.mesh.triangles)
    return render.Subject(together, STYLE_SIZE, "cpu"), engine


def colors(view: render.View, subject: render.Subject, style: torch.Tensor) -> dict[int, list[float]]:
    """By pixel: T, T_S, diffuse and specular there."""
    offsets = render.sample(subject.style_table(style), view.style)
    rows = torch.cat([view.base, offsets, view.diffuse, view.specular], 1)
    return dict(zip(view.pixels.tolist(), rows.tolist(), strict=True))


def same(one: render.View, other: render.View) -> bool:
    names = ("pixels", "base", "diffuse", "specular")
    taps = zip((one.style.rows, one.style.weights), (other.style.rows, other.style.weights), strict=True)
    return (
        (one.slot, one.level, one.resolution) == (other.slot, other.level, other.resolution)
        and all(torch.equal(a, b) for a, b in taps)
        and all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)
    )


def test_each_of_several_sheets_shows_what_it_shows_alone() -> None:
    subject, engine = subject_and_engine(0, 1, 2)
    (view,) = render.trace_views(subject, engine, CAMERAS[:1], METHOD)
    together = colors(view, subject, TABLES)
    seen = 0
    for number in range(3):
        own, own_engine = subject_and_engine(number)
        (alone,) = render.trace_views(own, own_engine, CAMERAS[:1], METHOD)
        expected = colors(alone, own, TABLES[number : number + 1])
        common = sorted(expected.keys() & together.keys())
        equal = [np.allclose(together[pixel], expected[pixel], atol=1e-6) for pixel in common]
        # The leaves cover one another a little.
        assert np.mean(equal) > 0.7
        seen += sum(equal)
    assert seen >= len(together) > 300


def test_several_cameras_at_once_see_what_each_sees() -> None:
    """As on a GPU, where all views are made in the same few operations."""
    subject, engine = subject_and_engine(0, 1, 2)
    hits = engine.trace(CAMERAS, METHOD.resolution)
    for found, expected in zip(
        subject._views(CAMERAS, hits, METHOD, 3), subject.views(CAMERAS, hits, METHOD, 3), strict=True
    ):
        assert found.level == expected.level
        assert (found.slot, found.resolution) == (expected.slot, expected.resolution)
        assert torch.equal(found.pixels, expected.pixels)
        for name in ("base", "diffuse", "specular"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-5, atol=1e-6)
        assert (found.style.rows == expected.style.rows).float().mean() > 0.99


def test_views_do_not_depend_on_how_many_are_traced_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, engine = subject_and_engine(0, 2)
    cameras = [*CAMERAS, CAMERAS[0], CAMERAS[1], CAMERAS[0]]
    whole = render.trace_views(subject, engine, cameras, METHOD)
    assert [view.slot for view in whole] == [0, 1, 2, 3, 4]
    traced: list[int] = []
    trace = engine.trace
    monkeypatch.setattr(engine, "trace", lambda some, size: traced.append(len(some)) or trace(some, size))
    monkeypatch.setattr(module, "_PIXELS_AT_ONCE", 2 * 48 * 48 + 47)
    parts = render.trace_views(subject, engine, cameras, METHOD)
    assert traced == [2, 2, 1]
    assert all(same(one, other) for one, other in zip(whole, parts, strict=True))
    monkeypatch.setattr(module, "_PIXELS_AT_ONCE", 1)
    assert all(
        same(a, b) for a, b in zip(whole, render.trace_views(subject, engine, cameras, METHOD), strict=True)
    )


def test_a_batch_is_the_pictures_of_its_views_in_its_own_order() -> None:
    subject, engine = subject_and_engine(0, 1, 2)
    views = render.trace_views(subject, engine, [*CAMERAS, CAMERAS[0]], METHOD)
    table = subject.style_table(TABLES)
    background = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0))
    chosen = [views[1], views[2], views[1], views[0]]
    pictures = render.paint(render.join(chosen), table, background)
    assert pictures.shape == (4, 3, 48, 48)
    for picture, view in zip(pictures, chosen, strict=True):
        alone = render.paint(render.join([view]), table, background)[0]
        torch.testing.assert_close(picture, alone, rtol=0, atol=1e-6)
        outside = view.mask() == 0
        assert torch.equal(picture[:, outside], background[:, outside])
        assert int(view.mask().sum()) == len(view.pixels)
    assert (pictures[0] - pictures[3]).abs().max() > 0.1


def test_a_views_level_is_the_median_of_the_texels_that_a_pixel_spans() -> None:
    points = np.array([[-0.7, -0.7, 0], [0.7, -0.7, 0], [0.7, 0.7, 0], [-0.7, 0.7, 0]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)[triangles]
    mesh = Mesh(points, triangles, np.tile(np.float32([0, 0, 1]), (2, 3, 1)), uvs)
    sheet = render.one_sheet(mesh, np.zeros((4, 4, 3), np.float32), ("clamp", "clamp"))
    engine = render.EmbreeVisibility(points, triangles)
    # Straight on from 2.5 away: a pixel is 2 · tan(22.5°) · 2.5 / 48 wide, and the texture 1.4.
    straight = render.look_at(np.array([0.0, 0.0, 2.5]), np.array([0.0, 0.0, 3.0]), 45.0)
    width = 2 * math.tan(math.radians(22.5)) * 2.5 / 48
    for size in (32, 256):
        (view,) = render.trace_views(render.Subject(sheet, (size, size), "cpu"), engine, [straight], METHOD)
        assert view.level == pytest.approx(max(0.0, math.log2(size / 1.4 * width)), abs=1e-4)
    beside = render.EmbreeVisibility(points + np.float32([9, 0, 0]), triangles)
    (nothing,) = render.trace_views(render.Subject(sheet, (256, 256), "cpu"), beside, [straight], METHOD)
    assert (len(nothing.pixels), nothing.level) == (0, 0.0)


@pytest.mark.parametrize("transfer", [Transfer(), Transfer("linear", 0.0, (0.5, 2.0, 1.0), (0.1, 0.0, 0.0))])
def test_a_smaller_texture_is_filtered_before_it_is_encoded(transfer: Transfer) -> None:
    rows = np.array([0.0, 0.2, 0.6, 1.0], np.float32)
    base = np.broadcast_to(rows[:, None, None], (4, 6, 3))
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")
    subject = render.Subject(render.one_sheet(LEAVES[0], base, wrap, transfer), (8, 8), "cpu")
    found = subject.base_at(0, (2, 3)).numpy()
    # A tent over two texels of the smaller image: 3, 3 and 1 parts of 7 at the border.
    values = np.array([(3 * 0.0 + 3 * 0.2 + 0.6) / 7, (0.2 + 3 * 0.6 + 3 * 1.0) / 7])
    expected = np.broadcast_to(values[:, None, None], (2, 3, 3))
    if transfer.scale != (1.0, 1.0, 1.0):
        expected = linear_to_srgb(expected * transfer.scale + transfer.bias)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("sheet", [0, 2])
def test_a_flat_view_shows_the_texels_of_its_own_sheet(sheet: int) -> None:
    """At the centre of every texel of T, in a picture's second slot; T_S has texels of its own."""
    subject, _ = subject_and_engine(0, 1, 2)
    base = SHEETS[sheet].base
    height, width = base.shape[:2]
    rows, columns = np.divmod(np.arange(height * width), width)
    uvs = torch.from_numpy(np.stack([(columns + 0.5) / width, 1 - (rows + 0.5) / height], -1)).float()
    footprint = (torch.eye(2) * 1e-3).expand(len(uvs), 2, 2)
    view = subject.flat_view(sheet, uvs, footprint, torch.arange(len(uvs)), 16, 1)
    np.testing.assert_allclose(view.base.numpy(), base.reshape(-1, 3), atol=1e-5)
    assert view.pixels.tolist() == [256 + pixel for pixel in range(len(uvs))]
    assert (view.diffuse == 1).all()
    assert (view.specular == 0).all()
    # A T_S that says where its texels are and on which sheet, away from its border.
    ramp = np.stack(np.mgrid[0:16, 0:32], -1)
    style = np.stack([np.concatenate([ramp, np.full((16, 32, 1), number)], -1) for number in range(3)])
    found = render.sample(subject.style_table(torch.from_numpy(style).float()), view.style).numpy()
    places = [(rows + 0.5) * 16 / height - 0.5, (columns + 0.5) * 32 / width - 0.5]
    inner = (rows > 0) & (rows < height - 1) & (columns > 0) & (columns < width - 1)
    expected = np.stack([*places, np.full(len(rows), sheet)], -1)
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-4)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_texels_of_the_palette_loss_are_those_of_their_sheet_and_level(level: int) -> None:
    """As rows of the table of T_S: a texture that says where it is."""
    subject = render.Subject(assembly(0, 2), (16, 16), "cpu")
    covered = np.zeros((2, 16, 16), bool)
    covered[0, :8, 8:] = True
    covered[1, 8:] = True
    texels = palette_texels(subject, covered, [level + 0.49] * 2, "cpu")
    step = 2**level
    down, across = np.mgrid[0 : 16 // step, 0 : 16 // step] * step + (step - 1) / 2
    places = np.broadcast_to(np.stack([down, across], -1), (2, 16 // step, 16 // step, 2))
    sheet = np.broadcast_to(np.arange(2.0)[:, None, None, None], (*places.shape[:3], 1))
    expected = np.concatenate([places, sheet], -1)[covered[:, ::step, ::step]]
    ramp = np.stack(np.mgrid[0:16, 0:16], -1)
    style = np.stack([np.concatenate([ramp, np.full((16, 16, 1), number)], -1) for number in (0, 1)])
    found = subject.style_table(torch.from_numpy(style).float())[texels.rows]
    # The tents at a texture's border reach around or stay inside; the middle is exact.
    inner = (np.abs(expected[:, :2] - 7.5) < 7.5 - 2 * step).all(1) if level else slice(None)
    assert len(found) == len(expected) == len(texels.base)
    np.testing.assert_allclose(found.numpy()[inner], expected[inner], atol=1e-4)
    bases = [subject.base_at(number, (16 // step,) * 2).numpy() for number in (0, 1)]
    np.testing.assert_allclose(texels.base.numpy(), np.stack(bases)[covered[:, ::step, ::step]], atol=1e-6)


def test_a_sheet_that_no_uv_covers_has_no_texel_for_the_palette() -> None:
    subject = render.Subject(assembly(0, 2), (16, 16), "cpu")
    covered = np.zeros((2, 16, 16), bool)
    covered[1, 3, 5] = True
    assert palette_texels(subject, covered, [0.0, 0.0], "cpu").rows.tolist() == [
        subject.rows_per_sheet + 3 * 16 + 5
    ]
    # At a level where it fills a quarter of a texel, it is still that texel; and no level is too coarse.
    assert len(palette_texels(subject, covered, [1.0, 1.0], "cpu").rows) == 1
    last = palette_texels(subject, covered, [9.0, 9.0], "cpu").rows.tolist()
    assert last == [2 * subject.rows_per_sheet - 1]
