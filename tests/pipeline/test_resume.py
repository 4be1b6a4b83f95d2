"""A run that leaves objects of an earlier one says where the two differ."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import unchanged
from PIL import Image
from pxr import Sdf, Usd

from usdstylize import Options, RunResult, stylize
from usdstylize.cli import commands
from usdstylize.errors import OutputError

LEFT = Options(preset="draft", device="cpu", texture_resolution=32, iterations=1, mask=("/World/Left",))
REST = replace(LEFT, mask=(), resume=True)


def run_json(result: RunResult) -> dict[str, object]:
    folder = result.plan.root_layer.parent / "tiny.style/ink_stripes"
    return dict(json.loads((folder / "run.json").read_text()))


def test_a_resume_with_the_same_settings_has_nothing_to_say(tiny_stage: Path, style_folder: Path) -> None:
    stylize(tiny_stage, style_folder, LEFT)
    result = stylize(tiny_stage, style_folder, REST)
    assert [item.status for item in result.objects] == ["kept", "done"]
    assert result.plan.remarks == ()


def test_a_resume_with_other_settings_names_them_now_and_later(
    tiny_stage: Path, style_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stylize(tiny_stage, style_folder, LEFT)
    with Image.open(style_folder / "a.png") as image:
        image.rotate(90).save(style_folder / "a.png")
    arguments = [str(tiny_stage), "--style-set", str(style_folder), "--preset", "draft", "--device", "cpu"]
    arguments += ["--texture-resolution", "32", "--iterations", "2", "--seed", "4", "--resume"]
    remark = (
        "1 object stays as an earlier run made it, with other settings "
        "(iterations 1 (now 2), covering iterations 1 (now 2), seed 0 (now 4), style images); "
        "--force makes all anew."
    )
    assert commands.run([*arguments, "--dry-run"]) == 0
    shown = capfd.readouterr()
    assert f"Note: {remark}" in shown.out
    assert f"Note: {remark}" in shown.err
    options = replace(REST, iterations=2, seed=4)
    assert run_json(stylize(tiny_stage, style_folder, options))["plan"]["remarks"] == [remark]  # type: ignore[index]
    again = stylize(tiny_stage, style_folder, options)
    assert again.plan.remarks == (remark,), "what is mixed stays mixed"
    anew = stylize(tiny_stage, style_folder, replace(options, resume=False, force=True))
    assert anew.plan.remarks == ()


def test_what_the_stage_asks_counts_too(tiny_stage: Path, style_folder: Path) -> None:
    stylize(tiny_stage, style_folder, LEFT)
    stage = Usd.Stage.Open(str(tiny_stage))
    stage.GetPrimAtPath("/World/Left").AddAppliedSchema("StylizeAPI")
    stage.GetPrimAtPath("/World/Left").CreateAttribute("stylize:seed", Sdf.ValueTypeNames.Int).Set(3)
    stage.Save()
    plan = stylize(tiny_stage, style_folder, REST, dry_run=True).plan
    assert "other settings (what the stage asks for /World/Left)" in plan.remarks[0]


@pytest.mark.parametrize("options", [REST, replace(LEFT, mask=("/World/Right",))])
def test_two_folders_of_one_name_are_not_mixed(
    tiny_stage: Path, style_folder: Path, tmp_path: Path, options: Options
) -> None:
    stylize(tiny_stage, style_folder, LEFT)
    other = tmp_path / "ink-stripes"
    shutil.copytree(style_folder, other)
    for path in other.iterdir():
        with Image.open(path) as image:
            image.rotate(90).save(path)
    with (
        unchanged(tiny_stage.parent),
        pytest.raises(OutputError, match=r"holds a style ink_stripes already, made from .*/ink stripes,"),
    ):
        stylize(tiny_stage, other, options)


def test_a_style_folder_that_was_moved_is_the_same(
    tiny_stage: Path, style_folder: Path, tmp_path: Path
) -> None:
    stylize(tiny_stage, style_folder, LEFT)
    moved = style_folder.rename(tmp_path / "ink-stripes")
    assert stylize(tiny_stage, moved, REST, dry_run=True).plan.remarks == ()
