"""The pairs of subject and style: drawings, the measures beside Q, cells that outlive a stop, the table."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from test_scene_benchmark import plane

from benchmarks.pairs import __main__ as pairs
from benchmarks.pairs.cells import Made, Measuring, Settings, Variant, parse_variant, run_pairs
from benchmarks.pairs.drawn_styles import STYLES, draw
from benchmarks.pairs.measures import FeatureClusters, line_histogram, overlap, palette_histogram
from benchmarks.pairs.sheet import contact_sheet, read_lines, table
from benchmarks.paper.cells import Run
from benchmarks.paper.subjects import PaperSubject
from usdstylize import Options
from usdstylize.config.method import Method
from usdstylize.errors import MeshError, OptionsError
from usdstylize.model.base_colors import ConstantColor
from usdstylize.model.objects import ObjectData, StageObject, StyleImage, StyleSet

Float32 = NDArray[np.float32]


def stripes(size: int, period: int, thickness: int) -> Float32:
    """Upright black lines on white, none at the sides."""
    line = np.ones(size, np.float32)
    for start in range(period // 4, size, period):
        line[start : start + thickness] = 0
    return np.repeat(np.tile(line, (size, 1))[..., None], 3, axis=2)


# The drawn styles


@pytest.mark.parametrize("name", ["pixel_art", "blueprint"])
def test_a_style_is_drawn_twice_alike_and_another_seed_differs(name: str) -> None:
    first, again, other = (hashlib.sha256(draw(name, seed).tobytes()).hexdigest() for seed in (0, 0, 1))
    assert first == again != other


def test_pixel_art_is_16_colours_on_a_grid() -> None:
    pixels = np.asarray(draw("pixel_art"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) <= 16
    assert (pixels == pixels[::8, ::8].repeat(8, 0).repeat(8, 1)).all()
    assert set(STYLES) == {"woodcut", "watercolour", "pixel_art", "blueprint", "mosaic", "pastel"}


# The measures


def test_the_overlap_of_distributions() -> None:
    assert overlap(np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.5, 0.0])) == 1
    assert overlap(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.5, 0.5])) == 0
    assert overlap(np.array([0.75, 0.25]), np.array([0.25, 0.75])) == pytest.approx(0.5)


def test_the_shares_of_a_palette() -> None:
    palette = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    colors = np.array([[1, 0, 0], [0.98, 0.02, 0], [0, 0, 1], [0, 1, 0]], np.float32)
    assert palette_histogram(colors, palette) == pytest.approx([0.5, 0.25, 0.25])


def test_straight_edges_are_coherent_and_noise_is_not() -> None:
    noise = np.random.default_rng(0).random((128, 128, 1), np.float32).repeat(3, axis=2)
    directed = line_histogram([stripes(128, 16, 4)]).sum(0)
    scattered = line_histogram([noise]).sum(0)
    # No edge, and edges that run in all, in some and in one direction.
    assert directed[3] > 0.9
    assert directed[1:3].sum() < 1e-6
    assert scattered[0] < 0.01
    assert scattered[3] < 0.15
    assert line_histogram([np.full((64, 64, 3), 0.4, np.float32)])[0, 0] == 1


@pytest.mark.parametrize(("thickness", "kind"), [(2, 0), (3, 1), (4, 1), (8, 3), (15, 6), (24, None)])
def test_dark_and_light_lines_have_their_width(thickness: int, kind: int | None) -> None:
    # Kinds of up to about 2, 4, 6, 8, 10, 14 pixels and wider; 24 pixels are no line any more.
    dark = line_histogram([stripes(256, 64, thickness)]).sum(1)
    light = line_histogram([1 - stripes(256, 64, thickness)]).sum(1)
    expected = np.zeros(15)
    if kind is not None:
        expected[1 + kind] = thickness / 64
    expected[0] = 1 - expected.sum()
    assert dark == pytest.approx(expected)
    assert light == pytest.approx(np.concatenate([expected[:1], expected[8:], expected[1:8]]))


def test_an_outline_is_no_line() -> None:
    image = np.ones((96, 96, 3), np.float32)
    image[24:72, 24:72] = 0.1
    mask = np.zeros((96, 96), bool)
    mask[24:72, 24:72] = True
    assert line_histogram([image], [mask])[0, 0] == 1


def test_used_clusters_are_those_used_half_as_much_as_the_style_does() -> None:
    rows = torch.eye(4).repeat_interleave(torch.tensor([40, 40, 10, 10]), 0)
    clusters = FeatureClusters(rows, clusters=4)
    assert clusters.used(rows) == 1
    assert clusters.used(torch.eye(4)[:1].expand(50, 4)) == 0.25
    # 18 of 100 rows are less than half of 40, 5 of 100 are half of 10.
    assert clusters.used(torch.eye(4).repeat_interleave(torch.tensor([18, 72, 5, 5]), 0)) == 0.75


# Cells


def test_variants_are_fields_of_the_method() -> None:
    parsed = parse_variant("both:color_start=0.3,batch=4,smooth=true,palette_weight=900,visibility=embree")
    assert parsed == Variant(
        "both",
        {"color_start": 0.3, "batch": 4, "smooth": True, "palette_weight": (900.0, 900.0),
         "visibility": "embree"},
    )  # fmt: skip
    assert parse_variant("plain:") == Variant("plain")
    for text in (":variety=1", "a:colour=1", "a:encoder=vgg16", "a:batch=many", "a:smooth=1"):
        with pytest.raises(OptionsError):
            parse_variant(text)


def subject() -> PaperSubject:
    mesh = plane(1.0, 1.0)
    mesh = replace(mesh, normals=mesh.normals.copy())
    obj = StageObject(
        path="/plane", mesh_path="/plane", name="plane", material_path=None, surface="none",
        surface_path=None, base=ConstantColor((0.5, 0.5, 0.5)), uv_primvar="st", uv_transform=None,
        triangle_count=2,
    )  # fmt: skip
    return PaperSubject("plane", obj, ObjectData(mesh, (np.full((1, 1, 3), 0.2, np.float32),)))


def style(pixels: Float32) -> StyleSet:
    image = StyleImage(Path("lines.png"), pixels, "0" * 64)
    return StyleSet("lines", (image,), np.array([[0, 0, 0], [1, 1, 1]], np.float32))


def run() -> Run:
    return Run(Options(preset="draft", device="cpu"), None, "cpu")


def test_a_cell_that_is_there_is_not_made_again_and_a_failed_one_is(tmp_path: Path) -> None:
    calls = []

    def make(one: PaperSubject, own: StyleSet, method: Method, shared: Run) -> Made:
        calls.append((method.seed, method.variety))
        if method.variety:
            raise MeshError("/plane: it fails.")
        return Made(np.zeros((64, 64, 3), np.float32), 5, 1.5)

    settings = Settings(run(), tmp_path, (3, 4), (Variant("plain"), Variant("more", {"variety": 0.5})))
    assert run_pairs([subject()], [style(stripes(128, 16, 4))], settings, make) == 4
    assert calls == [(3, 0.0), (3, 0.5), (4, 0.0), (4, 0.5)]
    assert run_pairs([subject()], [style(stripes(128, 16, 4))], replace(settings, seeds=(3,)), make) == 1
    lines = read_lines([tmp_path])
    assert [line.get("missing") for line in lines] == [None, "/plane: it fails.", None, "/plane: it fails."]
    with Image.open(tmp_path / lines[0]["picture"]) as picture:
        assert picture.size == (384, 192)


def test_pairs_are_dealt_to_processes(tmp_path: Path) -> None:
    def make(one: PaperSubject, own: StyleSet, method: Method, shared: Run) -> Made:
        raise MeshError("none")

    subjects = [replace(subject(), name=name) for name in "abc"]
    for number in (0, 1):
        settings = Settings(run(), tmp_path / str(number), share=(number, 2))
        run_pairs(subjects, [style(stripes(128, 16, 4))], settings, make)
    found = [[line["subject"] for line in read_lines([tmp_path / str(number)])] for number in (0, 1)]
    assert found == [["a", "c"], ["b"]]


def test_the_style_itself_has_its_lines_and_a_plain_surface_none() -> None:
    # Lines of many widths, since cameras see the plane from all sides.
    lines = np.concatenate([stripes(512, 6 * width, 2 * width)[:64] for width in range(1, 9)])
    measuring = Measuring(style(lines), run())
    own = subject()
    laid_on = measuring.of(own, lines - np.float32(0.2), 1.0, 512)
    plain = measuring.of(own, np.zeros((512, 512, 3), np.float32), 1.0, 512)
    assert plain["lines"] == pytest.approx(0, abs=1e-9)
    assert laid_on["lines"] > 0.3
    assert laid_on["palette"] > plain["palette"] + 0.5


# The table and the sheet


def line(
    variant: str, quality: float, *, subject: str = "egg", style: str = "ink", **other: Any
) -> dict[str, Any]:
    base = {
        "subject": subject, "style": style, "variant": variant, "seed": 0, "picture": "pictures/none.jpg",
        "quality": quality, "half_quality": 0.9, "correlation": None, "difference": 5.0, "seam": 1.0,
        "render_to_style": 0.3, "style_to_render": 0.4, "variety": 0.5, "palette": 0.6, "lines": 0.2,
        "ms": 10.0,
    }  # fmt: skip
    return base | other


def test_the_table_has_the_means_and_names_what_is_lost(tmp_path: Path) -> None:
    lines = [
        line("plain", 0.7),
        line("plain", 0.8, seed=1),
        line("both", 0.9, variety=0.75, style_to_render=0.35),
        line("plain", 0.95, subject="mug"),
        line("both", 0.85, subject="mug", seam=2.5, style_to_render=0.5),
        line("both", 0.5, subject="cup", missing="It is invisible."),
    ]
    path = tmp_path / "cells-0-of-1.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in lines) + '\n{"subject": "e')
    text = table(read_lines([tmp_path]), "plain", "both")
    # egg 0.75 (the mean of two seeds) and mug 0.95 before, 0.9 and 0.85 after
    assert "| ink | 0.85 / 0.88 | 0.90 | 0.400 / 0.425 | 0.50 / 0.62 |" in text
    assert "| 1 of 2 | 9 of 10 |" in text
    assert "2 pairs have both. Pass all five gates: 1 before, 1 after." in text
    assert "Pass before and fail after: mug, ink (seam)." in text
    assert "Fail before and pass after: egg, ink." in text
    assert "nnR falls on 1 of 2 pairs." in text
    assert "Of the variety that is missing before, 25% is gained." in text
    assert "cup, ink, both: It is invisible." in text


def test_the_sheet_is_small_and_frames_what_passes_in_green(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (192, 384, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "pictures" / "none.jpg")
    styles = [f"style {number}" for number in range(12)]
    lines = [
        line(variant, 0.9 if variant == "both" else 0.1, style=style, root=str(tmp_path), subject=subject)
        for style in styles
        for subject in ("egg", "mug", "pear")
        for variant in ("plain", "both")
    ]
    contact_sheet(lines, "plain", "both", tmp_path / "sheet.jpg", side=40)
    with Image.open(tmp_path / "sheet.jpg") as file:
        page = np.asarray(file, int)
    assert (tmp_path / "sheet.jpg").stat().st_size <= 400_000
    left, top = 14 + 3, 14 + 40 + 3
    before, after = (page[y : y + 2, left + 4 : left + 36].mean((0, 1)) for y in (top, top + 43))
    assert before[0] > before[1] + 60
    assert after[1] > after[0] + 60


def test_bad_words_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["run", "--subjects", "a.npz", "--styles", str(tmp_path), "--out", str(tmp_path)]
    assert pairs.app([*given, "--share", "4/4"], result_action="return_value") == 2
    assert "--share 4/4" in capsys.readouterr().err
    (tmp_path / "cells-0-of-1.jsonl").write_text(json.dumps(line("plain", 0.5)))
    wrong = ["sheet", str(tmp_path), "--to", str(tmp_path / "t"), "--before", "plan"]
    assert pairs.app(wrong, result_action="return_value") == 2
    assert "no variant plan" in capsys.readouterr().err
