"""The measures of a scene, on surfaces whose pattern, detail and specks are known."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom
from scipy import ndimage, signal

from benchmarks.results import StylizedObject, style_names
from benchmarks.scene import __main__ as scene
from benchmarks.scene.borders import window_borders
from benchmarks.scene.circle_style import draw_circles
from benchmarks.scene.detail import band_share, count_specks, specks_of
from benchmarks.scene.distances import aim_points, nearer_cameras
from benchmarks.scene.measured import measure_result, seen_pixel
from benchmarks.scene.pattern import autocorrelation_length, disc_pattern, length_within, variation
from benchmarks.scene.regions import REGIONS, Region, region_correlation
from benchmarks.scene.street import CAMERA, write_street
from benchmarks.scene.surface import Surface
from usdstylize.config.options import StageOptions
from usdstylize.errors import StageError
from usdstylize.model.objects import Mesh, ObjectData
from usdstylize.usd import read

SAMPLES = Path(__file__).parents[2] / "sample_stages"
GREY = np.full((1, 1, 3), 0.5, np.float32)

Float32 = NDArray[np.float32]


def plane(width: float, height: float, repeats: float = 1.0) -> Mesh:
    """A rectangle, metres, that faces +Z; UVs from 0 to ``repeats``."""
    uvs = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    points = np.zeros((4, 3), np.float32)
    points[:, :2] = uvs * (width, height)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    normals = np.broadcast_to(np.array([0, 0, 1], np.float32), (2, 3, 3))
    return Mesh(points, triangles, normals, uvs[triangles] * np.float32(repeats))


def sphere(radius: float, rows: int = 48, columns: int = 96) -> Mesh:
    """A sphere by longitude (u) and latitude (v), the poles' triangles included."""
    v, u = np.meshgrid(np.linspace(0, 1, rows + 1), np.linspace(0, 1, columns + 1), indexing="ij")
    points = on_sphere(np.stack([u, v], -1)).reshape(-1, 3).astype(np.float32) * radius
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).reshape(-1)
    corners = np.stack([first, first + 1, first + columns + 2, first + columns + 1], 1)
    triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]]).astype(np.int32)
    uvs = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    return Mesh(points, triangles, points[triangles] / np.float32(radius), uvs[triangles])


def on_sphere(uvs: NDArray[np.floating]) -> NDArray[np.float64]:
    longitude, latitude = 2 * np.pi * uvs[..., 0], np.pi * (uvs[..., 1] - 0.5)
    around = np.cos(latitude)
    return np.stack([around * np.sin(longitude), np.sin(latitude), around * np.cos(longitude)], -1)


def texel_uvs(size: int) -> NDArray[np.float64]:
    at = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(at, 1 - at), -1)


def circles(size: int, radius: float) -> Float32:
    return np.asarray(draw_circles(size, radius), np.float32) / 255


def grey(values: NDArray[np.floating]) -> Float32:
    return np.repeat(values[..., None], 3, axis=-1).astype(np.float32)


# Pattern size


@pytest.mark.parametrize("width", [0.05, 0.5, 20.0])
def test_discs_on_a_plane_have_their_size_in_metres(width: float) -> None:
    found = disc_pattern(Surface(plane(width, width), GREY, circles(512, 0.04) - 0.5))
    assert found is not None
    assert found.count > 50
    assert found.radius == pytest.approx(0.04 * width, rel=0.04)
    assert found.stretch < 1.06


def test_a_stretched_texture_stretches_discs() -> None:
    found = disc_pattern(Surface(plane(2.0, 1.0), GREY, circles(512, 0.03) - 0.5))
    assert found is not None
    assert found.radius == pytest.approx(0.03 * math.sqrt(2), rel=0.04)
    assert found.stretch == pytest.approx(2, rel=0.06)


@pytest.mark.parametrize("angle", [0.06, 0.2])
def test_discs_on_a_sphere_are_not_flattened_by_its_slope(angle: float) -> None:
    count = round(1.2 / angle**2)  # as many points of a Fibonacci lattice as leave discs apart
    at = np.arange(count) + 0.5
    height, turn = 1 - 2 * at / count, np.pi * (1 + math.sqrt(5)) * at
    around = np.sqrt(1 - height**2)
    centers = np.stack([around * np.cos(turn), height, around * np.sin(turn)], -1)
    texels = on_sphere(texel_uvs(512))
    cosine = np.full((512, 512), -1.0)
    for center in centers:
        np.maximum(cosine, texels @ center, out=cosine)
    picture = np.where(cosine > math.cos(angle), 0.1, 0.9)
    found = disc_pattern(Surface(sphere(0.3), GREY, grey(picture) - np.float32(0.5)))
    assert found is not None
    # The area of a cap of that angle, on a sphere of 0.3 m.
    cap = 2 * 0.3 * math.sin(angle / 2)
    assert found.radius == pytest.approx(cap, rel=0.05)
    assert found.stretch < 1.12


def test_discs_are_found_on_light_and_dark_parts_of_the_original() -> None:
    halves = np.full((512, 512, 3), 0.9, np.float32)
    halves[:, 256:] = 0.4
    shown = np.where(circles(512, 0.03).mean(-1, keepdims=True) < 0.5, halves - 0.25, halves)
    found = disc_pattern(Surface(plane(1, 1), halves, (shown - halves).astype(np.float32)))
    assert found is not None
    assert found.radius == pytest.approx(0.03, rel=0.05)
    assert found.share > 0.15


def test_the_originals_own_discs_are_none_of_the_style() -> None:
    picture = circles(512, 0.03)
    assert disc_pattern(Surface(plane(1, 1), picture, np.zeros_like(picture)), pixels=160) is None
    grain = np.random.default_rng(0).normal(0, 0.1, (512, 512, 3)).astype(np.float32)
    assert disc_pattern(Surface(plane(1, 1), GREY, grain), pixels=160) is None


@pytest.mark.parametrize("sigma", [3.0, 12.0])
@pytest.mark.parametrize("width", [0.2, 3.0])
def test_autocorrelation_of_blurred_noise(sigma: float, width: float) -> None:
    # Noise that a Gaussian has blurred has the autocorrelation exp(-d² / 4σ²): 1/e at 2σ.
    noise = np.random.default_rng(3).normal(size=(512, 512))
    blurred = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    style = grey(0.1 * blurred / blurred.std())
    found = autocorrelation_length(Surface(plane(width, width), GREY, style))
    assert found == pytest.approx(2 * sigma * width / 512, rel=0.12)
    # Where the style only recolours, the length is not that of what it recolours.
    sails = np.where(np.indices((512, 512)).sum(0) // 128 % 2, 0.9, 0.2)
    recolored = style + grey(0.8 * (0.55 - sails))
    found = autocorrelation_length(Surface(plane(width, width), grey(sails), recolored))
    assert found == pytest.approx(2 * sigma * width / 512, rel=0.15)


def test_patches_of_one_width_measure_strokes_and_not_patches_of_color() -> None:
    random = np.random.default_rng(5)
    fine, broad = (
        noise / noise.std()
        for noise in (
            ndimage.gaussian_filter(random.normal(size=(1024, 1024)), s, mode="wrap") for s in (2, 64)
        )
    )
    surface = Surface(plane(1.0, 1.0), GREY, grey(0.1 * fine + 0.1 * broad))
    whole = autocorrelation_length(surface)
    assert whole is not None
    assert whole > 20 / 1024
    assert length_within(surface, 64 / 1024) == pytest.approx(4 / 1024, rel=0.2)
    assert length_within(surface, 8 / 1024) is None, "8 texels"


def test_a_flat_style_has_no_autocorrelation() -> None:
    assert autocorrelation_length(Surface(plane(1, 1), GREY, np.zeros((64, 64, 3), np.float32))) is None


def test_variation_of_known_values() -> None:
    assert variation([1.0, 3.0]) == pytest.approx(0.5)
    assert variation([2.0, 2.0, 2.0]) == 0
    assert variation([1.0]) is None


# Window borders


SIDE, WINDOW = 1024, 512


def strokes(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise (n, n) in strokes of some 20 pixels that lie along ``direction`` (n, n), radians."""
    noise = np.random.default_rng(4).normal(size=direction.shape)
    down, across = np.mgrid[-20:21, -20:21]
    total, weights = np.zeros_like(noise), np.zeros_like(noise)
    for angle in np.pi * np.arange(12) / 12:
        along, aside = (
            across * np.cos(angle) + down * np.sin(angle),
            down * np.cos(angle) - across * np.sin(angle),
        )
        weight = np.maximum(0, np.cos(2 * (direction - angle))) ** 8
        total += weight * signal.fftconvolve(noise, np.exp(-(along**2) / 128 - aside**2 / 8), "same")
        weights += weight
    return np.asarray(total / weights / (total / weights).std())


def windows(tilt: float) -> NDArray[np.int64]:
    """By pixel (n, n), which of 16 windows lies uppermost, their edges along ``tilt``, degrees."""
    random, found = np.random.default_rng(8), np.zeros((SIDE, SIDE), np.int64)
    down, across = np.indices((SIDE, SIDE))
    cos, sin = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    for number, (y, x) in enumerate(random.uniform(0, SIDE, (16, 2)), 1):
        along = (across - x) * cos + (down - y) * sin
        aside = (down - y) * cos - (across - x) * sin
        found[np.maximum(np.abs(along), np.abs(aside)) < WINDOW / 2] = number
    return found


@pytest.mark.slow
def test_windows_on_a_wall_are_measured_by_their_straight_edges() -> None:
    random = np.random.default_rng(6)
    first, second = ndimage.gaussian_filter(random.normal(size=(2, SIDE, SIDE)), (0, 40, 40), mode="wrap")
    tints, turns = random.normal(size=(17, 3)), random.uniform(-np.pi / 2, np.pi / 2, 17)

    def measured(tint: float, turn: float, tilt: float = 0.0, leaning: float = 0.0) -> tuple[float, float]:
        """tint, turn: what windows change. leaning: of all strokes, towards the horizontal."""
        of_window = windows(tilt)
        direction = np.arctan2(second, first + leaning * first.std()) / 2 + turn * turns[of_window]
        image = 0.06 * strokes(direction)[..., None] + tint * tints[of_window]
        found = window_borders(Surface(plane(1.0, 1.0), GREY, image.astype(np.float32)), WINDOW / SIDE)
        assert found is not None
        return found.color, found.direction

    none = measured(0.0, 0.0)
    assert none == pytest.approx((1, 1), abs=0.1)
    assert measured(0.0, 0.0, leaning=1.5) == pytest.approx((1, 1), abs=0.15), "long strokes are no borders"
    weak, strong = (measured(tint, 0.0)[0] for tint in (0.015, 0.03))
    assert none[0] + 0.05 < weak < strong - 0.2
    assert measured(0.0, 1.0)[1] > none[1] + 0.1
    assert max(measured(0.03, 1.0, tilt=30)) < 1, "edges in other directions are none of a frame's"


def test_borders_are_looked_for_where_the_original_is_one_colour_and_flat() -> None:
    style = circles(64, 0.1) - np.float32(0.5)
    assert window_borders(Surface(plane(1.0, 1.0), GREY, style), 1.2) is None, "smaller than a window"
    assert window_borders(Surface(sphere(1.0), GREY, style), 0.1) is None
    assert window_borders(Surface(plane(1.0, 1.0), circles(64, 0.1), style), 0.5) is None


# Detail


def wave(texels: float, size: int = 512) -> Float32:
    """A sine of that wavelength along u, which repeats at the edge."""
    turns = round(size / texels)
    return grey(
        0.2 * np.broadcast_to(np.sin(2 * np.pi * turns * (np.arange(size) + 0.5) / size), (size, size))
    )


@pytest.mark.parametrize(("texels", "share"), [(32.0, 0.0), (20.0, 0.0), (12.0, 1.0), (7.0, 1.0)])
def test_energy_above_the_band_of_a_sine(texels: float, share: float) -> None:
    # A pixel of 8 texels sees wavelengths down to 16.
    surface = Surface(plane(2.56, 2.56), GREY, wave(texels))
    assert band_share(surface, 8 * 2.56 / 512) == pytest.approx(share, abs=0.01)


def test_energy_above_the_band_of_two_sines_is_the_share_of_the_finer() -> None:
    # Amplitudes 2 and 1, of which the bilinear filter leaves sinc² of a texel's share of the wavelength:
    # energies 3.99 and 0.874. Metres count, not how often the texture repeats.
    style = 2 * wave(64.0) + wave(7.0)
    for repeats in (1.0, 2.0):
        surface = Surface(plane(2.56 * repeats, 2.56 * repeats, repeats), GREY, style)
        assert band_share(surface, 8 * 2.56 / 512) == pytest.approx(0.18, abs=0.005)


def test_coarse_texels_have_no_energy_above_the_band() -> None:
    noise = np.random.default_rng(0).normal(size=(32, 32, 3)).astype(np.float32)
    assert band_share(Surface(plane(1, 1), GREY, noise), 1 / 32) == 0
    assert band_share(Surface(plane(1, 1), GREY, noise), 1 / 64) == 0


SPECKS = ((40, 50), (40, 60), (100, 9), (200, 128), (3, 200))


def speckled() -> Float32:
    """A slow ramp with specks: one of them has 2 × 2 texels."""
    style = grey(np.broadcast_to(np.linspace(-0.1, 0.1, 256), (256, 256)))
    for row, column in SPECKS:
        style[row, column] += (0.1, 0, -0.1)
    style[150:152, 30:32] -= np.float32(0.1)
    return style


def test_specks_are_counted_where_uvs_cover_and_the_texture_is_smooth() -> None:
    everywhere = np.ones((256, 256), bool)
    flat = np.full((256, 256, 3), 0.5, np.float32)
    clean = grey(np.broadcast_to(np.linspace(-0.1, 0.1, 256), (256, 256)))
    assert specks_of(flat, clean, everywhere, ("clamp", "clamp")).count == 0
    found = specks_of(flat, speckled(), everywhere, ("clamp", "clamp"))
    assert (found.count, found.isolated) == (9, 9)
    assert found.per_million == pytest.approx(9e6 / 256**2)
    upper = everywhere.copy()
    upper[120:] = False
    assert specks_of(flat, speckled(), upper, ("clamp", "clamp")).isolated == 4
    # Beyond the limit of a smooth neighbourhood nothing stands out.
    rough = speckled() + np.random.default_rng(1).normal(0, 0.06, (256, 256, 3)).astype(np.float32)
    assert specks_of(flat, rough, everywhere, ("clamp", "clamp")).count <= 1
    # An edge is no speck; the corners of a square and a line stand out but are not isolated.
    edge = clean.copy()
    edge[:, 128:] += np.float32(0.2)
    assert specks_of(flat, edge, everywhere, ("clamp", "clamp")).count == 0
    line = clean.copy()
    line[80] += np.float32(0.2)
    assert specks_of(flat, line, everywhere, ("clamp", "clamp")).count == 256
    assert specks_of(flat, line, everywhere, ("clamp", "clamp")).isolated == 0


def test_what_hides_or_keeps_the_originals_dots_is_no_speck() -> None:
    everywhere = np.ones((256, 256), bool)
    dots = speckled() + np.float32(0.5)
    hidden = np.float32(0.5) - dots
    assert specks_of(dots, hidden, everywhere, ("repeat", "repeat")).count == 0
    assert specks_of(dots, np.zeros_like(dots), everywhere, ("repeat", "repeat")).count == 0


# Regions


def test_a_region_keeps_what_the_style_leaves() -> None:
    letters = circles(256, 0.02)
    mesh = plane(0.1, 0.1)
    region = Region("letters", "", (0.2, 0.2, 0.8, 0.8))

    def correlation(style: Float32) -> float | None:
        return region_correlation(Surface(mesh, letters, style), mesh, region, 0.1 / 128)

    assert correlation(np.zeros_like(letters)) == pytest.approx(1)
    assert correlation((1 - 2 * letters).astype(np.float32)) == pytest.approx(-1, abs=0.01)
    elsewhere = np.zeros_like(letters)
    elsewhere[:40] = 0.5
    assert correlation(elsewhere) == pytest.approx(1)
    flat = Surface(mesh, GREY, letters - np.float32(0.5))
    assert region_correlation(flat, mesh, region, 0.1 / 128) is None


def test_the_title_lies_in_its_box() -> None:
    (title, _) = REGIONS
    found = read.discover(SAMPLES / "still_life.usda", StageOptions(mask=("/World/Book",)))
    (cover,) = [obj for obj in found.objects if obj.path.endswith(title.path)]
    data = read.load(found, cover)
    height, width = data.bases[0].shape[:2]
    gold = data.bases[0][..., 0] > 0.6
    (left, low), (right, high) = title.box[:2], title.box[2:]
    rows = slice(round((1 - high) * height), round((1 - low) * height))
    inside = gold[rows, round(left * width) : round(right * width)]
    assert 0.15 < inside.mean() < 0.4
    # Nothing of a letter is cut off at the sides or below.
    assert not inside[5:, [0, -1]].any()
    assert not inside[-1].any()


# Whole results


def test_nearer_cameras_stand_on_the_way_to_what_the_camera_sees(result: Path, tmp_path: Path) -> None:
    (style,) = style_names(result)
    stage = Usd.Stage.Open(str(result))
    (left,) = measure_result(result, style, mask="/World/Left")
    camera = UsdGeom.Camera.Define(stage, "/Camera")
    box = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    middle = box.ComputeWorldBound(stage.GetPrimAtPath(left.path)).ComputeAlignedRange().GetMidpoint()
    eye = middle + Gf.Vec3d(300, 400, 0) * left.radius
    view = Gf.Matrix4d().SetLookAt(eye, middle, Gf.Vec3d(0, 1, 0))
    camera.AddTransformOp().Set(view.GetInverse())
    camera.CreateFocalLengthAttr(50.0)
    camera.CreateHorizontalApertureAttr(20.0)
    camera.CreateVerticalApertureAttr(10.0)
    stage.Save()
    lens = camera.GetCamera(Usd.TimeCode.Default())
    aims = aim_points(result, style, lens)
    path, views = nearer_cameras(result, style, tmp_path, "/Camera", 0.3)
    assert [view.name for view in views] == ["1", "0.5", "0.25", "pattern"]
    assert views[0].paths == ("/Camera",)
    opened = Usd.Stage.Open(str(path))
    unit = UsdGeom.GetStageMetersPerUnit(stage)
    for view, share in zip(views[1:], (0.5, 0.25, None), strict=True):
        for aim, name in zip(aims, view.paths, strict=True):
            own = UsdGeom.Camera.Get(opened, name).GetCamera(Usd.TimeCode.Default())
            at = np.array(own.transform.ExtractTranslation())
            wanted = share * np.linalg.norm(np.array(eye) - aim) if share else 0.3 / unit * 50 / 20
            assert np.linalg.norm(at - aim) == pytest.approx(wanted, rel=1e-4)
            towards = np.array(own.transform.TransformDir(Gf.Vec3d(0, 0, -1)))
            np.testing.assert_allclose(towards, (aim - at) / np.linalg.norm(aim - at), atol=1e-5)
    with pytest.raises(StageError, match="has no camera /Other; give another with --camera"):
        nearer_cameras(result, style, tmp_path, "/Other", None)


@dataclass(frozen=True)
class _Found:
    """As much of a StageObject as specks need."""

    wrap: tuple[str, str] = ("repeat", "repeat")


def test_gutters_have_no_specks() -> None:
    mesh = plane(1, 1, 0.5)  # UVs cover a quarter, the rows below
    item = StylizedObject(_Found(), ObjectData(mesh, (GREY,)), speckled())  # type: ignore[arg-type]
    found = count_specks(item)
    # Rows from 127 and columns to 128, which the UVs touch: only the speck of 2 × 2 is well inside.
    assert found.isolated == 4
    assert found.texels == 125**2


def test_what_a_pixel_of_the_encoder_covers() -> None:
    settings = {"resolution": 256, "camera_distance": [2.0, 3.0], "field_of_view": 90.0}
    # Half of the frame is 2.5 radii of 0.1 m.
    assert seen_pixel(settings, 0.1) == pytest.approx(0.5 / 256)
    assert seen_pixel({**settings, "pattern_width": 0.32}, 0.1) == pytest.approx(0.32 / 256)
    assert seen_pixel({**settings, "pattern_width": None}, 0.1) == pytest.approx(0.5 / 256)


def test_a_result_is_measured_object_by_object(result: Path) -> None:
    (style,) = style_names(result)
    found = list(measure_result(result, style))
    assert {item.path for item in found} == {"/World/Left", "/World/Right"}
    for item in found:
        assert item.length is not None
        assert item.texel < item.length < item.radius
        assert item.discs is None, "the style is not that of the circles"


def test_the_table_has_a_column_for_each_result(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scene.compare(result, result, mask="/World/Left") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(scene._ROWS)
    assert {line.count("|") for line in lines} == {4}
    assert scene.objects(result, mask="/World/Right") == 0
    assert "| /World/Right |" in capsys.readouterr().out
    assert scene.compare(SAMPLES / "still_life.usda") == 2
    assert "is not a result of usdstylize" in capsys.readouterr().err


def test_the_street_has_many_objects_of_many_sizes(tmp_path: Path) -> None:
    path = write_street(tmp_path)
    found = read.discover(path, StageOptions())
    assert not found.skipped
    assert len(found.objects) >= 20
    stage = Usd.Stage.Open(str(path))
    assert stage.GetPrimAtPath(CAMERA).IsA(UsdGeom.Camera)
    assert UsdGeom.GetStageMetersPerUnit(stage) == 0.01
    box = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    sizes = [
        box.ComputeWorldBound(stage.GetPrimAtPath(obj.mesh_path)).ComputeAlignedRange().GetSize().GetLength()
        for obj in found.objects
    ]
    assert max(sizes) > 20 * min(sizes)
    assert any(obj.path != obj.mesh_path for obj in found.objects), "a subset"
