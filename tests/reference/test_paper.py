"""The paper's experiments: what stands in a sheet and a table, and what a packed subject keeps."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.paper import cheats, methods, palettes, teaser
from benchmarks.paper.cells import Cell, Column, Run, run_row
from benchmarks.paper.experiment import Experiment, perform
from benchmarks.paper.sheets import sheet
from benchmarks.paper.subjects import PaperSubject, pack, read_subject
from benchmarks.paper.tables import caption, markdown
from benchmarks.scores import Scores
from usdstylize import Options, inspect, styles
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.encoders.embedding import ClipEmbedding
from usdstylize.losses import objective
from usdstylize.model.objects import StyleSet

QUICK = {"resolution": 64, "batch": 1, "view_pool": 2}


@pytest.fixture
def subject(tiny_stage: Path) -> PaperSubject:
    return read_subject(f"tiny={tiny_stage}:/World/Left")


@pytest.fixture
def style(style_folder: Path) -> StyleSet:
    return styles.load(style_folder, primary=None, palette=None, clusters=4, seed=0)


def quick(**options: object) -> Run:
    given = Options(preset="standard", iterations=2, texture_resolution=32, device="cpu", **options)  # type: ignore[arg-type]
    return Run(given, None, "cpu", picture_side=32, method=QUICK)


def test_a_packed_subject_is_stylised_as_the_stage_is(
    subject: PaperSubject, style: StyleSet, tmp_path: Path
) -> None:
    pack(subject, tmp_path / "tiny.npz")
    again = read_subject(str(tmp_path / "tiny.npz"))
    assert (again.name, again.object.path, again.object.wrap) == (
        "tiny",
        subject.object.path,
        subject.object.wrap,
    )
    column = Column("draft", {"encoder": "draft"})
    first, second = (run_row(item, style, [column], quick())[0][0].texture for item in (subject, again))
    assert first is not None
    assert second is not None
    assert np.abs(first).max() > 0
    # normals are kept in half precision
    assert np.abs(first - second).max() < 0.1 * np.abs(first).max()


def test_a_column_whose_weights_are_missing_says_so_and_the_others_are_made(
    subject: PaperSubject, style: StyleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("USDSTYLIZE_WEIGHTS", raising=False)
    columns = (Column("CLIP", {"method": "clip-nnfm"}), Column("draft", {"encoder": "draft"}))
    experiment = Experiment("probe", "A probe.", columns)
    ((title, (clip, draft)),) = perform(experiment, quick(), [subject], [style], tmp_path / "out")
    assert clip.missing == "The weights of clip-rn50 are missing."
    assert clip.picture is None
    assert draft.picture is not None
    with Image.open(tmp_path / "out" / "probe.jpg") as page:
        assert page.width > 3 * 200  # the style and two cells
    table = (tmp_path / "out" / "probe.md").read_text()
    assert f"| {title} | CLIP | The weights of clip-rn50 are missing. |" in table
    cells = json.loads((tmp_path / "out" / "probe.json").read_text())["cells"]
    assert [cell.get("missing", "") for cell in cells] == [clip.missing, ""]


def test_every_method_of_the_comparison_runs_on_random_weights(
    subject: PaperSubject, style: StyleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = ClipResNet50().eval().requires_grad_(False)
    embedding = ClipEmbedding(64).eval().requires_grad_(False)
    monkeypatch.setattr(objective, "load_encoder", lambda name, **_: network)
    monkeypatch.setattr(objective, "load_embedding", lambda *_, **__: embedding)
    columns = [column for column in methods.EXPERIMENT.columns if column.label.startswith("CLIP")]
    cells, _ = run_row(subject, style, columns, quick())
    assert [cell.missing for cell in cells] == ["", "", ""]
    made = [cell.texture for cell in cells]
    assert all(texture is not None and np.isfinite(texture).all() and texture.any() for texture in made)


def test_a_palette_by_hand_replaces_the_k_means_one(
    subject: PaperSubject, style: StyleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [replace(column, options={"encoder": "draft"}) for column in palettes.EXPERIMENT.columns[:2]]
    _, sets = run_row(subject, style, columns, quick())
    assert sets[0] is style
    assert styles.hex_colors(sets[1].palette) == palettes.MANUAL


def test_a_sheet_has_its_pictures_in_their_columns(tmp_path: Path) -> None:
    red, blue = (np.full((64, 64, 3), color, np.uint8) for color in ((200, 0, 0), (0, 0, 200)))
    out = tmp_path / "sheet.jpg"
    sheet(["a", "b", "c"], [("row", [red, "no weights here", blue])], [["", "", "Q 1\nseam 2"]], out, side=64)
    with Image.open(out) as image:
        page = np.asarray(image).astype(int)
    middle = page[17 + 6 + 17 + 32]
    assert abs(middle[6 + 32] - (200, 0, 0)).max() < 12
    assert abs(middle[6 + 70 + 60] - (238, 238, 238)).max() < 20
    assert abs(middle[6 + 140 + 32] - (0, 0, 200)).max() < 12


def test_what_fails_its_gate_is_marked_in_sheet_and_table() -> None:
    scores = Scores(
        quality=0.91, half_quality=0.5, correlation=None, difference=3.0, seam=2.5, render_to_style=0.4,
        style_to_render=0.4,
    )  # fmt: skip
    cell = Cell("probe", scores=scores)
    assert caption(cell) == "Q 0.91 half 0.50*  albcorr flat\ndE 3.0  seam 2.50*"
    assert "| 0.91 | **0.50** | flat | 3.0 | **2.50** |" in markdown([("row", [cell])])


def test_shuffled_crops_hold_the_styles_pixels_alone(subject: PaperSubject, style: StyleSet) -> None:
    run = quick()
    shown = cheats.shuffle(subject, style, run) + cheats._base(subject)
    own = objective.cover_crop(style.primary.pixels, 512).reshape(-1, 3)
    few = shown[::97, ::89].reshape(-1, 3)
    assert np.abs(few[:, None] - own[None]).max(-1).min(-1).max() < 1e-5


def test_each_object_of_the_teaser_asks_for_a_style_of_its_own(tmp_path: Path) -> None:
    teaser.write_stage(tmp_path / "teaser.usda", teaser.OWN_STYLES)
    contents = inspect(tmp_path / "teaser.usda")
    asked = {obj.path.split("/")[2]: obj.settings.style_images[0].name for obj in contents.objects}
    expected = dict(zip(teaser.OBJECTS, (path.name for path in teaser.OWN_STYLES), strict=True))
    assert asked == expected
