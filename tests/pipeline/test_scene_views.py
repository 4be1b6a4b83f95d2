"""`--views scene`, from the command to what is written."""

from dataclasses import replace
from pathlib import Path

import pytest
from author_results import hold, problems
from conftest import unchanged
from copied_stages import build_lamps
from test_pattern_width import quad, stage

from usdstylize import Options, OptionsError, stylize
from usdstylize.cli import commands

__all__ = ["stage"]

QUICK = Options(preset="draft", device="cpu", iterations=1, views="scene")


def test_neighbours_are_optimised_together_each_with_its_own_texture(stage: Path, style_folder: Path) -> None:
    """By hand, as each alone: 90 cm are 576 pixels, 12 cm are 77."""
    with unchanged(stage.parent, may_add=True):
        result = stylize(stage, style_folder, replace(QUICK, iterations=4))
    assert (result.failed, result.problems) == ((), ())
    assert result.root_layer is not None
    hold(result.root_layer)
    assert problems(result.root_layer) == []
    framed = {done.path: done.framed for done in result.objects}
    wall, card = framed["/World/Wall"], framed["/World/Card"]
    assert wall is not None
    assert card is not None
    assert (wall.texture_resolution, card.texture_resolution) == (512, 64)
    assert wall.pixel == card.pixel == pytest.approx(0.4 / 256)
    assert wall.windows == card.windows > 0
    assert min(done.coverage for done in result.objects if done.coverage is not None) > 0.95


def test_copies_share_the_texture_of_one_that_is_seen(tmp_path: Path, style_folder: Path) -> None:
    lamps = build_lamps(tmp_path / "shot")
    result = stylize(lamps, style_folder, replace(QUICK, texture_resolution=32))
    assert [done.status for done in result.objects] == ["done"] * 3
    assert [done.copy_of for done in result.objects] == ["", *["/World/Lamp/Mesh"] * 2]
    assert result.problems == ()


def test_an_object_that_cannot_be_read_costs_itself_alone(stage: Path, style_folder: Path) -> None:
    from pxr import Usd, UsdGeom

    opened = Usd.Stage.Open(str(stage))
    quad(opened, "Broken", 10.0, 120.0)
    UsdGeom.Mesh.Get(opened, "/World/Broken").GetFaceVertexIndicesAttr().Set([0, 1, 2, 9])
    opened.Save()
    result = stylize(stage, style_folder, QUICK)
    assert {done.path: done.status for done in result.objects} == {
        "/World/Wall": "done",
        "/World/Card": "done",
    }
    assert [skipped.path for skipped in result.plan.skipped if skipped.broken] == ["/World/Broken"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"framing": "object"}, "--views scene and --framing object contradict each other"),
        ({"field": True}, "--views scene and --field contradict each other"),
        ({"camera_distance": (2.0, 3.0)}, "--views scene and --camera-distance contradict each other"),
        ({"direct_texture": True}, "--views scene and --direct-texture contradict each other"),
        ({"preset": "paper"}, "--views scene needs a pattern width"),
    ],
)
def test_what_it_cannot_go_with_is_one_sentence(
    stage: Path, style_folder: Path, others: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        stylize(stage, style_folder, Options(**{**vars(QUICK), **others}), dry_run=True)  # type: ignore[arg-type]


def test_inspect_says_who_goes_together(stage: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["inspect", str(stage), "--views", "scene"]) == 0
    assert "It is optimised together with World__Wall." in capfd.readouterr().out
