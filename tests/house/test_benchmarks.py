"""The measure that calls a result good, against hand-computed values; and the rivals we time against."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pxr import Gf, Usd, UsdGeom
from skeletons import BODY, figure
from torch import Tensor

import usdstylize
from benchmarks import authoring, draft, engines, judge, nnfm, pictures, textures, visibility
from benchmarks.baselines import baselines
from benchmarks.judge_network import DEFAULT_WEIGHTS, GoogLeNet
from benchmarks.measures import lab, palette_difference, pearson, seam_ratio
from benchmarks.results import read_result, read_style
from benchmarks.scores import Scores, judge_cameras, match_distance, quality, style_rows
from usdstylize import inspect, styles
from usdstylize.errors import OutputError, WeightsError
from usdstylize.imaging.encoding import encode_base
from usdstylize.losses import objective
from usdstylize.model.base_colors import Wrap
from usdstylize.model.objects import Mesh, ObjectData, StyleImage, StyleSet
from usdstylize.render import EmbreeVisibility, Hits, look_at
from usdstylize.usd import read
from usdstylize.usd.write.bake import combine

SAMPLES = Path(__file__).parents[2] / "sample_stages"
REPEAT: tuple[Wrap, Wrap] = ("repeat", "repeat")
GREY = np.full((8, 8, 3), 0.5, np.float32)
"""A source without a seam."""
GOOD = Scores(
    quality=0.9,
    half_quality=0.9,
    correlation=0.8,
    difference=8.0,
    seam=1.2,
    render_to_style=0.4,
    style_to_render=0.4,
)


def drum(sides: int = 4, *, split_points: bool = False) -> Mesh:
    """The side of a prism: ``sides`` squares whose UVs lie in a row from u = 0 to 1, one seam."""
    corners, uvs = [], []
    for side in range(sides):
        ring = [
            (math.cos(2 * math.pi * k / sides), math.sin(2 * math.pi * k / sides))
            for k in (side % sides, (side + 1) % sides)
        ]
        (x0, z0), (x1, z1) = ring
        a, b, c, d = (x0, -0.7, z0), (x1, -0.7, z1), (x1, 0.7, z1), (x0, 0.7, z0)
        u0, u1, v1 = side / sides, (side + 1) / sides, 1 / sides
        corners += [[a, b, c], [a, c, d]]
        uvs += [[(u0, 0), (u1, 0), (u1, v1)], [(u0, 0), (u1, v1), (u0, v1)]]
    flat = np.array(corners, np.float32).reshape(-1, 3)
    points, index = (
        (flat, np.arange(len(flat))) if split_points else np.unique(flat, axis=0, return_inverse=True)
    )
    normals = flat * (1, 0, 1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(
        points,
        index.reshape(-1, 3).astype(np.int32),
        normals.reshape(-1, 3, 3).astype(np.float32),
        np.array(uvs, np.float32),
    )


def along_u(values: np.ndarray) -> np.ndarray:
    """A square grey texture that changes with u alone."""
    size = len(values)
    return np.broadcast_to(values[None, :, None], (size, size, 3)).astype(np.float32)


def style_of(*colors: tuple[float, float, float]) -> StyleSet:
    """Stripes of the colours, which are also the palette."""
    palette = np.array(colors, np.float32)
    stripes = palette[np.arange(128) // 8 % len(palette)]
    pixels = np.ascontiguousarray(np.broadcast_to(stripes, (128, 128, 3)))
    return StyleSet("stripes", (StyleImage(Path("stripes.png"), pixels, ""),), palette)


class Colors:
    """Stands where the judge's network does in checkouts without its weights: 8 × 8 mean colours."""

    device = "cpu"

    def __call__(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, 8)


def scores(base: np.ndarray, result: np.ndarray, style: StyleSet) -> Scores:
    data = ObjectData(drum(), (base,))
    return judge.judge(data, result - base, style, Colors(), cameras=judge_cameras(4))


# What the numbers mean


@pytest.mark.parametrize(
    ("color", "published"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((1, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 1, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 1), (32.2970, 79.1875, -107.8602)),
        ((119 / 255, 119 / 255, 119 / 255), (50.0344, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_lab_of_known_colors(color: tuple[float, ...], published: tuple[float, ...]) -> None:
    np.testing.assert_allclose(lab(np.array(color)), published, atol=0.02)


def test_palette_difference_is_the_mean_distance_to_the_nearest_color() -> None:
    black_and_white = np.array([[0, 0, 0], [1, 1, 1]])
    assert palette_difference(black_and_white, black_and_white) == 0
    assert palette_difference(black_and_white, black_and_white[1:]) == pytest.approx(50, abs=0.01)
    # Red is nearer to white (114.5) than to black (117.3).
    red = math.dist((53.2408, 80.0925, 67.2032), (100, 0, 0))
    assert palette_difference(np.array([[1, 0, 0]]), black_and_white) == pytest.approx(red, abs=0.02)


def test_pearson_of_identical_inverted_and_flat_series() -> None:
    series = np.random.default_rng(0).random(100)
    assert pearson(series, series) == pytest.approx(1)
    assert pearson(1 - series, series) == pytest.approx(-1)
    assert pearson(np.full(100, 0.3), series) == 0
    assert pearson(series, np.full(100, 0.3)) is None


def test_a_ramp_that_breaks_at_the_seam() -> None:
    # Value = u, so a jump is the distance in u of two points one texel (1/256) off the edge, each
    # towards the corner opposite. In a square of side w that is (w, w/2) from an upright edge
    # and (w/2, w/2) from the diagonal. 3 upright edges and 4 diagonals lie inside, 1 is the seam.
    upright, diagonal = 2 / math.sqrt(5) / 256, 1 / math.sqrt(2) / 256
    inside = (3 * 2 * upright + 4 * 2 * diagonal) / 7
    ramp = along_u((np.arange(256) + 0.5) / 256)
    expected = (1 - 2 * upright) / inside
    assert seam_ratio(drum(), ramp, GREY, REPEAT, texel=1 / 256) == pytest.approx(expected, rel=1e-3)
    # A file may give every triangle points of its own.
    split = drum(split_points=True)
    assert seam_ratio(split, ramp, GREY, REPEAT, texel=1 / 256) == pytest.approx(expected, rel=1e-3)


def test_no_seam_shows_in_a_constant_or_periodic_texture() -> None:
    assert seam_ratio(drum(), along_u(np.full(64, 0.4)), GREY, REPEAT, texel=1 / 64) == 0
    wave = along_u(0.5 + 0.5 * np.sin(2 * np.pi * 9 * (np.arange(64) + 0.5) / 64 + 0.4))
    assert seam_ratio(drum(6), wave, GREY, REPEAT, texel=1 / 64) < 1.8


def test_a_texture_that_is_flat_but_for_its_seam_fails() -> None:
    halves = along_u((np.arange(64) >= 32).astype(np.float32))
    assert seam_ratio(drum(3), halves, GREY, REPEAT, texel=1 / 64) > 1.8


def test_the_sources_own_change_of_color_at_a_seam_does_not_count() -> None:
    """It breaks from dark to light at its seam. The style is a wave that meets itself there."""
    texels = (np.arange(256) + 0.5) / 256
    source = along_u(0.2 + 0.5 * texels)
    wave = along_u(0.1 * np.sin(2 * np.pi * 9 * texels + 0.4))
    assert seam_ratio(drum(6), source + wave, GREY, REPEAT, texel=1 / 256) > 10
    assert seam_ratio(drum(6), source + wave, source, REPEAT, texel=1 / 256) < 1.5
    assert seam_ratio(drum(6), source, source, REPEAT, texel=1 / 256) < 1.5
    painted_over = along_u(np.full(256, 0.5)) + wave
    assert seam_ratio(drum(6), painted_over, source, REPEAT, texel=1 / 256) < 1.5


@pytest.mark.parametrize("laid", ["on", "over"])
def test_a_style_that_is_laid_on_by_uv_shows_its_seam_on_a_source_that_has_one_too(laid: str) -> None:
    """Its pattern does not meet itself: at u = 0 it is light and at u = 1 dark, the source the reverse."""
    texels = (np.arange(256) + 0.5) / 256
    source = along_u(0.4 + 0.2 * texels)
    pattern = along_u(0.5 + 0.3 * np.cos(2 * np.pi * 9.5 * texels))
    shown = pattern if laid == "over" else np.clip(source + pattern - 0.5, 0, 1)
    assert seam_ratio(drum(6), shown, source, REPEAT, texel=1 / 256) > 1.8
    assert seam_ratio(drum(6), shown[:, ::-1], source, REPEAT, texel=1 / 256) > 1.8, (
        "the same way as the source"
    )


@pytest.mark.slow
@pytest.mark.parametrize("style", ["gouache", "ink", "stained_glass"])
def test_on_every_sample_a_style_that_is_laid_on_by_uv_shows_its_seams(style: str) -> None:
    """The samples change their colours at seams, up to 30 times as much as inside."""
    contents = inspect(SAMPLES / "still_life.usda")
    images = styles.load(SAMPLES / "styles" / style, primary=None, palette="#808080", clusters=1, seed=0)
    ratios = {}
    for obj in contents.objects:
        data = read.load(contents, obj)
        base = encode_base(data.bases[0], data.transfer)
        laid = base + baselines(data, images, obj.wrap)["style by UV"] if base.shape[0] > 1 else None
        if laid is not None:
            ratios[obj.path] = seam_ratio(data.mesh, laid, base, obj.wrap, texel=1 / len(laid))
    assert len(ratios) == 7
    assert min(ratios.values()) > 1.8, ratios


@pytest.mark.parametrize(
    "bad",
    [{"quality": 0.79}, {"half_quality": 0.69}, {"correlation": 0.69}, {"difference": 12.1}, {"seam": 1.81}],
)
def test_each_gate_alone_fails_a_result(bad: dict[str, float]) -> None:
    assert GOOD.passed
    assert replace(GOOD, correlation=None).passed, "a flat original has no light and dark to keep"
    assert not replace(GOOD, **bad).passed


# A whole object


def test_the_original_keeps_itself_and_its_negative_does_not() -> None:
    style = style_of((0.9, 0.5, 0.1), (0.1, 0.4, 0.5))
    base = along_u(np.linspace(0.1, 0.9, 64))
    original, negative = scores(base, base, style), scores(base, 1 - base, style)
    assert original.quality == 0
    assert original.correlation == pytest.approx(1)
    assert negative.correlation == pytest.approx(-1)


def test_texels_are_compared_with_the_palette_after_the_clamp_and_where_they_are_seen() -> None:
    base = along_u(np.linspace(0.1, 0.9, 64))
    style = style_of((1.0, 1.0, 1.0), (0.1, 0.4, 0.5))
    result = np.full_like(base, 1.5)
    # The UVs reach v = 1/4 only: the upper rows are on no camera, whatever they hold.
    result[:32] = 0.3
    assert scores(base, result, style).difference == pytest.approx(0, abs=1e-3)
    assert scores(base, result - 1, style).difference > 20


def test_baselines_are_what_they_say_once_added_to_the_original() -> None:
    base = np.random.default_rng(1).random((1024, 1024, 3), dtype=np.float32)
    style = style_of((0.9, 0.5, 0.1), (0.1, 0.4, 0.5))
    textures = baselines(ObjectData(drum(), (base,)), style, REPEAT)
    assert not textures["original"].any()
    recolored = base + textures["recolour"]
    distance = np.abs(recolored[:, :, None] - style.palette).max(-1).min(-1)
    assert distance.max() < 1e-6
    np.testing.assert_allclose(
        (base + textures["style by UV"])[::257, 500], style.primary.pixels[::33, 62][:4], atol=0.1
    )


@pytest.fixture(scope="module")
def network() -> GoogLeNet:
    if not DEFAULT_WEIGHTS.is_file():
        pytest.skip(f"the judge's weights {DEFAULT_WEIGHTS.name} are not beside this checkout")
    return GoogLeNet()


def test_a_crop_of_the_style_scores_one_and_a_recolour_nearly_zero(network: GoogLeNet) -> None:
    folder = SAMPLES / "styles" / "stained_glass"
    style = styles.load(folder, primary=None, palette=None, clusters=8, seed=0)
    rows, floor = style_rows(style, network)

    def distance(image: np.ndarray) -> float:
        found = network(torch.from_numpy(image).permute(2, 0, 1)[None])
        return sum(match_distance(found.permute(0, 2, 3, 1).reshape(-1, 480), rows)) / 2

    wood = np.asarray(
        Image.open(SAMPLES / "assets/table/textures/wood_base.png").convert("RGB").resize((512, 512))
    )
    original = (wood / 255).astype(np.float32)
    nearest = np.linalg.norm(original[:, :, None] - style.palette, axis=-1).argmin(-1)
    crops = np.concatenate(
        [objective.cover_crop(image.pixels, 512)[100:400, 50:450] for image in style.images], axis=1
    )
    original_distance = distance(original)
    assert quality(distance(crops), original_distance, floor) > 0.9
    assert quality(distance(style.palette[nearest]), original_distance, floor) < 0.4
    assert quality(original_distance, original_distance, floor) == 0


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "googlenet.safetensors"
    with pytest.raises(WeightsError, match=r"googlenet\.safetensors cannot be read .*--judge-weights"):
        GoogLeNet(file)
    file.write_bytes(b"not these")
    with pytest.raises(WeightsError, match=r"googlenet\.safetensors is not the judge's"):
        GoogLeNet(file)


# Reading a result back


def test_a_result_is_read_as_its_bake_shows_it(tiny_stage: Path, style_folder: Path) -> None:
    options = usdstylize.Options(
        preset="draft", iterations=2, texture_resolution=64, strength=0.5, palette="#102030,#ff8000"
    )
    result = usdstylize.stylize(tiny_stage, style_folder, options)
    assert result.root_layer is not None
    style = read_style(result.root_layer, style_folder)
    assert styles.hex_colors(style.palette) == ("#102030", "#ff8000")
    found = {item.object.path: item for item in read_result(result.root_layer, style)}
    assert set(found) == {"/World/Left", "/World/Right"}
    for item in found.values():
        assert np.abs(item.style_texture).max() > 1e-3
        shown = combine(item.data.bases[0], [(item.style_texture, 1.0)], item.object.wrap, item.data.transfer)
        bake = (
            tiny_stage.parent
            / "tiny.style"
            / style.name
            / item.object.name
            / f"{item.object.name}.{style.name}.baked.png"
        )
        with Image.open(bake) as image:
            np.testing.assert_allclose(shown, np.asarray(image) / 255, atol=0.51 / 255)


def test_a_result_is_read_as_its_run_read_the_source(tmp_path: Path, style_folder: Path) -> None:
    """Posed at the frame and refined, from a stage whose name has a dot."""
    stage = Usd.Stage.Open(str(figure(tmp_path)))
    UsdGeom.Mesh.Get(stage, BODY).CreateSubdivisionSchemeAttr("catmullClark")
    source = tmp_path / "shot" / "tiny.v002.usda"
    stage.GetRootLayer().Export(str(source))
    options = usdstylize.Options(
        preset="draft", iterations=1, texture_resolution=16, frame=10.0, refine=1, mask=(BODY,)
    )
    result = usdstylize.stylize(source, style_folder, options)
    assert result.root_layer is not None
    style = read_style(result.root_layer, style_folder)
    (item,) = read_result(result.root_layer, style)
    assert len(item.data.mesh.triangles) == 8, "a quad refined once"
    # The joint has risen by 9.
    assert item.data.mesh.points[:, 1].min() >= 9
    assert len(pictures.style_images(result.root_layer, style.name)) == 2
    with pytest.raises(OutputError, match="holds no style other"):
        read_style(result.root_layer, style_folder.rename(tmp_path / "other"))


@pytest.mark.parametrize("axis", ["Y", "Z"])
def test_cameras_stand_around_a_result_whichever_axis_is_up(tmp_path: Path, axis: str) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "ball.usda"))
    UsdGeom.SetStageUpAxis(stage, axis)
    UsdGeom.Sphere.Define(stage, "/Ball")
    stage.Save()
    path, cameras = pictures.with_cameras(tmp_path / "ball.usda", tmp_path, None)
    opened = Usd.Stage.Open(str(path))
    for camera, (across, up, deep) in zip(cameras, pictures.DIRECTIONS, strict=True):
        world = UsdGeom.XformCache().GetLocalToWorldTransform(opened.GetPrimAtPath(camera))
        eye = np.array(world.ExtractTranslation())
        wanted = np.array([across, up, deep] if axis == "Y" else [across, -deep, up])
        np.testing.assert_allclose(eye / np.linalg.norm(eye), wanted / np.linalg.norm(wanted), atol=1e-6)
        # The camera's own up leans towards the stage's.
        assert world.TransformDir(Gf.Vec3d(0, 1, 0))["XYZ".index(axis)] > 0.3


def test_judging_something_else_is_refused_in_a_sentence(
    tiny_stage: Path, style_folder: Path, capsys: pytest.CaptureFixture[str], network: GoogLeNet
) -> None:
    assert judge.main(tiny_stage, style_set=style_folder) == 2
    assert "tiny.usda is not a result of usdstylize" in capsys.readouterr().err


# The rivals


def test_nnfm_has_the_gradient_of_the_whole_matrix() -> None:
    rows, keys = nnfm.features(views=2, images=3, side=16)
    difference, plain_difference, _ = nnfm.compare_gradients(rows, keys)
    assert difference == 0
    assert plain_difference < 1e-6 * float(nnfm.gradient(nnfm.naive_nnfm_loss, rows, keys).abs().max())


def test_the_bare_embreex_call_sees_what_our_visibility_sees() -> None:
    points, triangles = visibility.bumpy_sphere(2000)
    assert 1900 < len(triangles) <= 2000
    camera = look_at(np.array([1.5, 1.0, -2.0]), np.ones(3), 45.0)
    (ours,) = EmbreeVisibility(points, triangles).trace([camera], 64)
    (bare,) = visibility.BareEmbree(points, triangles).run([visibility.make_rays(camera, 64)])
    assert 0.1 < (ours.triangle >= 0).float().mean() < 0.9
    np.testing.assert_array_equal(bare["primID"].reshape(64, 64), ours.triangle.numpy())


def test_the_parts_of_an_iteration_add_up(tiny_stage: Path, style_folder: Path) -> None:
    paint = vars(objective)["paint"]
    options = usdstylize.Options(preset="draft", iterations=3, texture_resolution=64)
    result, objects = draft.timed_stylize(tiny_stage, style_folder, options)
    assert vars(objective)["paint"] is paint, "the product is left as it was"
    assert {times.path for times in objects} == {found.path for found in result.objects}
    for times in objects:
        assert all(times.parts[name] > 0 for name in draft.PARTS)
        assert times.parts["other"] >= 0
        assert sum(times.parts.values()) == pytest.approx(times.loop)
        assert times.loop <= times.wall


def test_authoring_writes_what_it_times(tmp_path: Path) -> None:
    root = authoring.build_stage(tmp_path, 7, 16)
    times = authoring.timed_authoring(root, 16)
    assert (times.objects, times.problems) == (7, ())
    assert times.layer_bytes == (tmp_path / "props.style.usda").stat().st_size > 0
    ours, alone = tmp_path / "props.style" / "ink", tmp_path / "floor"
    assert len(list(ours.rglob("*.exr"))) == len(list(ours.rglob("*.png"))) == 7
    assert {path.name for path in alone.iterdir()} == {
        p.name for p in ours.rglob("*.???") if p.name != "run.json"
    }
    assert all(times.seconds[part] > 0 for part in ("inspect", "load", "write objects", "commit", "floor"))


@pytest.mark.parametrize(("goal", "code", "verdict"), [(float("inf"), 0, "met"), (0.0, 1, "missed")])
def test_reading_baking_and_filling_are_held_to_their_goal(
    goal: float, code: int, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(textures, "GOAL", goal)
    assert textures.main(side=256, triangles=500, runs=1) == code
    shown = capsys.readouterr().out
    assert shown.count(verdict) == 5, "one for each row"
    assert "Peak memory" in shown


def test_engines_agree_by_pixels_and_barycentrics(tmp_path: Path) -> None:
    def hits(triangle: list[list[int]], share: float) -> Hits:
        return Hits(torch.tensor(triangle, dtype=torch.int32), torch.full((2, 2, 2), share))

    found = engines.agreement([hits([[-1, 3], [4, 5]], 0.25)], [hits([[-1, 3], [4, 6]], 0.25 + 2e-4)])
    assert (found.same, found.close) == (0.75, 0.0)
    found = engines.agreement([hits([[-1, 3], [4, 5]], 0.25)], [hits([[-1, 3], [4, 6]], 0.25 + 5e-5)])
    assert (found.same, found.close) == (0.75, 1.0)
    (tmp_path / "quad.obj").write_text("v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nvt 0 0\nf 1/1 2/1 3/1 4/1\n")
    mesh = engines.read_obj(tmp_path / "quad.obj")
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert np.linalg.norm(mesh.points, axis=1) == pytest.approx(1)
