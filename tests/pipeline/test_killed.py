"""A killed run loses no object that it has finished: the same call again goes on from there."""

import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import build_style_folder, build_tiny_stage, define_quad
from killed import Moment, run_in_process
from pxr import Sdf, Usd, UsdShade

from usdstylize import Options, OutputError, stylize

pytestmark = pytest.mark.slow

OPTIONS = Options(preset="draft", device="cpu", texture_resolution=32, iterations=2)
OBJECTS = 6
READ = ("usdstylize.usd.read", "load")
STEP = ("usdstylize.optimize.step", "Step.__call__")
TEXTURE = ("usdstylize.usd.write.textures", "write_half")
FINISH = ("usdstylize.usd.write.writer", "write_finished")
RENAME = ("usdstylize.usd.write.disk", "os.replace")
CLEAN = ("usdstylize.usd.write.writer", "Path.unlink")


def moments() -> list[Moment]:
    """After 1 … 5 finished objects, and at 15 calls drawn from all that read, optimise, write and commit."""
    chosen = [Moment(*FINISH, done + 1) for done in range(1, OBJECTS)]
    draw = random.Random(14)
    places = [
        (READ, OBJECTS),
        (STEP, 2 * OBJECTS),
        (TEXTURE, OBJECTS),
        (RENAME, 3 * OBJECTS),
        (CLEAN, OBJECTS),
    ]
    for place, calls in places:
        chosen += [Moment(*place, number) for number in sorted(draw.sample(range(1, calls + 1), 3))]
    return chosen


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stage of six objects, a style, and the result of one run in ``shot/out``."""
    folder = tmp_path_factory.mktemp("undisturbed")
    stage = build_tiny_stage(folder / "shot")
    build_style_folder(folder / "ink")
    opened = Usd.Stage.Open(str(stage))
    paint = UsdShade.Material(opened.GetPrimAtPath("/World/Looks/Paint"))
    for number in range(OBJECTS - 2):
        define_quad(opened, f"/World/More{number}", paint, x=4.0 + 2.0 * number)
    opened.Save()
    assert (
        run_in_process(stage, folder / "ink", replace(OPTIONS, output=folder / "shot/out"))
        == ["done"] * OBJECTS
    )
    return folder


def written(folder: Path) -> dict[str, bytes]:
    """Every file of a result but run.json, which holds timings, with the date of the run taken out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "run.json"]
    date = re.compile(rb"\d{4}-\d\d-\d\dT[\d:+]+")
    return {str(path.relative_to(folder)): date.sub(b"", path.read_bytes()) for path in files}


@pytest.mark.parametrize("moment", moments(), ids=str)
def test_the_same_call_keeps_what_was_finished_and_ends_as_an_undisturbed_run(
    undisturbed: Path, moment: Moment
) -> None:
    folder = undisturbed / f"shot/{moment}"
    options, style = replace(OPTIONS, output=folder), undisturbed / "ink"
    assert run_in_process(undisturbed / "shot/tiny.usda", style, options, moment) is None
    whole = {
        path.parent.name for path in folder.rglob("*.object.json") if not path.parent.name.startswith(".")
    }
    is_committed = (folder / "tiny.style.usda").exists()
    statuses = run_in_process(undisturbed / "shot/tiny.usda", style, replace(options, resume=is_committed))
    assert statuses is not None
    assert statuses.count("kept") == (OBJECTS if is_committed else len(whole))
    assert statuses.count("done") == OBJECTS - statuses.count("kept")
    assert written(folder) == written(undisturbed / "shot/out")
    shutil.rmtree(folder)


def test_a_killed_run_that_replaces_a_result_leaves_it_until_all_is_done(undisturbed: Path) -> None:
    folder = undisturbed / "shot/again"
    stage, style = undisturbed / "shot/tiny.usda", undisturbed / "ink"
    first = replace(OPTIONS, output=folder, seed=1)
    assert run_in_process(stage, style, first) == ["done"] * OBJECTS
    before = written(folder)
    anew = replace(OPTIONS, output=folder, force=True)
    assert run_in_process(stage, style, anew, Moment(*FINISH, 4)) is None
    after = written(folder)
    assert {name: after[name] for name in before} == before
    statuses = run_in_process(stage, style, anew)
    assert statuses is not None
    assert statuses.count("kept") == 3
    assert written(folder) == written(undisturbed / "shot/out")
    shutil.rmtree(folder)


def test_what_was_finished_with_other_settings_or_is_damaged_is_made_anew(undisturbed: Path) -> None:
    folder = undisturbed / "shot/other"
    stage, style = undisturbed / "shot/tiny.usda", undisturbed / "ink"
    options = replace(OPTIONS, output=folder)
    assert run_in_process(stage, style, options, Moment(*FINISH, 4)) is None
    with pytest.raises(OutputError, match="3 objects of the style ink that a killed run finished from other"):
        stylize(stage, style, replace(options, seed=1))
    assert len(list(folder.rglob("*.object.json"))) == 3, "a refusal costs nothing"
    plan = stylize(stage, style, replace(options, seed=1, resume=True), dry_run=True).plan
    assert plan.notes == (
        "A killed run finished 3 objects from other inputs or settings, which will be made anew.",
    )
    plan = stylize(stage, style, options, dry_run=True).plan
    assert plan.notes == ("A killed run finished 3 objects, which will be kept.",)
    record = next(folder.rglob("*.object.json"))
    damaged = record.with_name(record.name.replace("object.json", "TS.exr"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    statuses = run_in_process(stage, style, options)
    assert statuses is not None
    assert statuses.count("kept") == 2
    assert written(folder) == written(undisturbed / "shot/out")
    shutil.rmtree(folder)


def test_resume_makes_anew_what_does_not_match_its_recorded_hash(undisturbed: Path) -> None:
    folder = undisturbed / "shot/damaged"
    shutil.copytree(undisturbed / "shot/out", folder)
    options = replace(OPTIONS, output=folder, resume=True)
    (folder / "tiny.style/ink/World__Left/World__Left.ink.TS.exr").write_bytes(b"")
    (folder / "tiny.style/ink/World__More2/World__More2.ink.baked.png").unlink()
    statuses = run_in_process(undisturbed / "shot/tiny.usda", undisturbed / "ink", options)
    assert statuses == ["done", "kept", "kept", "kept", "done", "kept"]
    assert written(folder) == written(undisturbed / "shot/out")
    shutil.rmtree(folder)


# Groups


TOGETHER = replace(OPTIONS, views="scene")
GROUPS = [{"World__Left", "World__Right", "World__More0"}, {"World__More1", "World__More2"}]


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with five objects in two groups, for `--views scene`."""
    folder = tmp_path_factory.mktemp("neighbours")
    stage = build_tiny_stage(folder / "shot")
    build_style_folder(folder / "ink")
    opened = Usd.Stage.Open(str(stage))
    paint = UsdShade.Material(opened.GetPrimAtPath("/World/Looks/Paint"))
    for number in range(3):
        prim = define_quad(opened, f"/World/More{number}", paint, x=4.0 + 2.0 * number).GetPrim()
        if number:
            prim.AddAppliedSchema("StylizeAPI")
            prim.CreateAttribute("stylize:seed", Sdf.ValueTypeNames.Int).Set(7)
    opened.Save()
    options = replace(TOGETHER, output=folder / "shot/out")
    assert run_in_process(stage, folder / "ink", options) == ["done"] * 5
    return folder


@pytest.mark.parametrize(
    "moment",
    [Moment(*TEXTURE, 2), Moment(*FINISH, 3), Moment(*FINISH, 5), Moment(*RENAME, 7)],
    ids=str,
)
def test_a_killed_group_is_kept_whole_or_made_anew(neighbours: Path, moment: Moment) -> None:
    stage, style, folder = neighbours / "shot/tiny.usda", neighbours / "ink", neighbours / f"shot/{moment}"
    undisturbed, options = written(neighbours / "shot/out"), replace(TOGETHER, output=folder)
    assert run_in_process(stage, style, options, moment) is None
    visible = {name: data for name, data in written(folder).items() if "/." not in name}
    assert {name for name in visible if name.endswith(".stylized.usda")} <= {
        name.replace(".style.", ".stylized.") for name in visible if name.endswith(".style.usda")
    }
    textures = {name: data for name, data in visible.items() if name.endswith((".exr", ".png"))}
    assert textures.items() <= undisturbed.items(), "none is half-written"
    done = {path.parent.name for path in folder.rglob("*.object.json") if path.parent.name[0] != "."}
    is_committed = (folder / "tiny.style.usda").exists()
    kept = sum(len(group) for group in GROUPS if group <= done or is_committed)
    again = replace(options, resume=is_committed)
    plan = stylize(stage, style, again, dry_run=True).plan
    assert is_committed or len(plan.finished) == kept, "what the plan announces"
    statuses = run_in_process(stage, style, again)
    assert statuses is not None
    assert statuses.count("kept") == kept
    assert statuses.count("done") == 5 - kept
    assert written(folder) == undisturbed


def test_half_a_group_of_a_killed_run_does_not_join_half_of_an_earlier_one(neighbours: Path) -> None:
    """Right was made alone, then Left with its neighbours; their textures are not of one optimisation."""
    stage, style, folder = neighbours / "shot/tiny.usda", neighbours / "ink", neighbours / "shot/halves"
    alone = replace(TOGETHER, output=folder, mask=("/World/More0", "/World/Right"))
    assert run_in_process(stage, style, alone) == ["done"] * 2
    three = replace(TOGETHER, output=folder, resume=True, mask=("/World/Left", *alone.mask))
    assert run_in_process(stage, style, three, Moment(*FINISH, 2)) is None
    assert run_in_process(stage, style, three) == ["done"] * 3
    assert run_in_process(stage, style, replace(three, output=neighbours / "shot/whole")) == ["done"] * 3
    found, whole = (
        {name: data for name, data in written(at).items() if name.endswith(".TS.exr")}
        for at in (folder, neighbours / "shot/whole")
    )
    assert len(found) == 3
    assert found == whole
