"""What a killed run leaves, met by another run than the same one again."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import add_third, failing
from conftest import QUICK, process, read_until, started
from instance_stages import make_shot
from pxr import Sdf, Usd
from still import without_optimising

from usdstylize import Options, OutputError, RunResult, stylize, verify
from usdstylize.usd import write
from usdstylize.usd.write import disk, writer

OPTIONS = Options(preset="draft", device="cpu", texture_resolution=32, iterations=1)


@pytest.fixture
def stage(tiny_stage: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of three objects, for runs without an optimisation."""
    add_third(tiny_stage)
    without_optimising(monkeypatch)
    return tiny_stage


def leave_unfinished(
    monkeypatch: pytest.MonkeyPatch, stage: Path, style: Path, options: Options = OPTIONS
) -> None:
    """What a run leaves that is killed before it commits."""

    def full(*arguments: object) -> None:
        raise OutputError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(writer.Writer, "commit", full)
        with pytest.raises(OutputError):
            stylize(stage, style, options)


def statuses(result: RunResult) -> list[str]:
    return [found.status for found in result.objects]


def folders(stage: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in stage.with_name("tiny.style").iterdir())


def test_a_mask_costs_no_finished_object_that_it_leaves_out(
    stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_unfinished(monkeypatch, stage, style_folder)
    first = stylize(stage, style_folder, replace(OPTIONS, mask=("/World/Right",)))
    assert statuses(first) == ["kept"]
    rest = stylize(stage, style_folder, replace(OPTIONS, resume=True))
    assert statuses(rest) == ["kept", "kept", "kept"]
    assert rest.root_layer is not None
    assert verify(rest.root_layer).ok
    assert write.existing_styles(rest.root_layer) == {
        "ink_stripes": ["World__Left", "World__Right", "World__Third"]
    }
    assert folders(stage) == ["ink_stripes"]


def test_a_mask_with_force_replaces_only_what_it_names(
    stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_unfinished(monkeypatch, stage, style_folder)
    other = replace(OPTIONS, seed=7, force=True, mask=("/World/Right",))
    assert statuses(stylize(stage, style_folder, other)) == ["done"]
    rest = stylize(stage, style_folder, replace(OPTIONS, mask=("/World/Left", "/World/Third")))
    assert statuses(rest) == ["kept", "kept"]


def test_a_killed_run_that_had_only_made_the_folder_of_its_style_is_no_obstacle(
    stage: Path, style_folder: Path
) -> None:
    stage.with_name("tiny.style").joinpath("ink_stripes").mkdir(parents=True)
    assert statuses(stylize(stage, style_folder, OPTIONS)) == ["done"] * 3


def test_an_object_may_be_called_lock(stage: Path, style_folder: Path) -> None:
    """Nothing else in the folder of a run that has not ended may have that name."""
    layer = Sdf.Layer.FindOrOpen(str(stage))
    Sdf.CopySpec(layer, "/World/Left", layer, "/lock")
    layer.Save()
    result = stylize(stage, style_folder, replace(OPTIONS, unique=True))
    assert [found.name for found in result.objects] == [
        "World__Left", "World__Right", "World__Third", "lock",
    ]  # fmt: skip
    assert (statuses(result), result.problems) == (["done"] * 4, ())


def test_who_wears_a_look_that_is_lost_is_made_anew(
    stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, share_materials=True)
    leave_unfinished(monkeypatch, stage, style_folder, options)
    folder = next(stage.with_name("tiny.style").iterdir())
    (folder / "World__Left/World__Left.ink_stripes.TS.exr").unlink()
    without_optimising(monkeypatch, failing("/World/Left", KeyboardInterrupt()))
    interrupted = stylize(stage, style_folder, options)
    assert interrupted.interrupted
    assert interrupted.root_layer is None
    without_optimising(monkeypatch)
    result = stylize(stage, style_folder, options)
    assert result.problems == ()


def test_an_object_that_another_run_takes_meanwhile_is_made_anew(
    stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_unfinished(monkeypatch, stage, style_folder)
    real = writer.Writer.__enter__

    def after_another(self: writer.Writer) -> writer.Writer:
        with monkeypatch.context() as patched:
            patched.setattr(writer.Writer, "__enter__", real)
            one = replace(OPTIONS, mask=("/World/Right",))
            assert statuses(stylize(stage, style_folder, one)) == ["kept"]
        return real(self)

    monkeypatch.setattr(writer.Writer, "__enter__", after_another)
    result = stylize(stage, style_folder, OPTIONS)
    assert statuses(result) == ["kept", "done", "kept"]
    assert result.problems == ()


def test_a_hero_is_none_in_the_result_of_a_run_without_it(
    tmp_path: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every object's opinions hold all heroes of its run."""
    without_optimising(monkeypatch)
    shot = make_shot(tmp_path / "shot")
    leave_unfinished(monkeypatch, shot, style_folder, replace(OPTIONS, per_instance=("/World/A2",)))
    with pytest.raises(OutputError, match="that a killed run finished from other inputs"):
        stylize(shot, style_folder, OPTIONS)
    result = stylize(shot, style_folder, replace(OPTIONS, force=True))
    assert result.root_layer is not None
    assert Usd.Stage.Open(str(result.root_layer)).GetPrimAtPath("/World/A2").IsInstance()


def test_what_was_moved_to_another_place_is_made_anew(
    stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its opinions name the source's textures as seen from where they were."""
    leave_unfinished(monkeypatch, stage, style_folder, replace(OPTIONS, output=stage.parent / "out"))
    deeper = stage.parent / "deeper/out"
    deeper.parent.mkdir()
    (stage.parent / "out").rename(deeper)
    result = stylize(stage, style_folder, replace(OPTIONS, output=deeper, force=True))
    assert (statuses(result), result.problems) == (["done"] * 3, ())


def test_a_run_waits_until_another_has_committed(tiny_stage: Path, style_folder: Path) -> None:
    """Each reads the style layer as it is, and replaces it: at once, the second would lose the first's."""
    textures = tiny_stage.with_name("tiny.style")
    textures.mkdir()
    with started(*process(tiny_stage, "--style-set", style_folder, *QUICK)) as running:
        with disk.alone(textures):
            read_until(running, "2 objects to stylise")
            with pytest.raises(subprocess.TimeoutExpired):
                running.wait(5.0)  # longer than the rest takes where it does not wait
            assert not tiny_stage.with_name("tiny.stylized.usda").exists()
        assert running.wait() == 0


def test_resume_does_not_trust_what_was_not_committed(
    stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with another strength, killed when one of its objects was in place and no layer was."""
    first = stylize(stage, style_folder, OPTIONS)
    assert first.root_layer is not None
    stronger = replace(OPTIONS, strength=0.5, force=True)
    leave_unfinished(monkeypatch, stage, style_folder, stronger)
    textures = stage.with_name("tiny.style")
    unfinished = next(path for path in textures.iterdir() if path.name.startswith("."))
    placed = textures / "ink_stripes/World__Left"
    shutil.rmtree(placed)
    (unfinished / "World__Left").rename(placed)
    hashes = json.loads((placed / "World__Left.ink_stripes.object.json").read_text())["facts"]
    run = textures / "ink_stripes/run.json"
    report = json.loads(run.read_text())
    report["written"]["World__Left"] = hashes
    run.write_text(json.dumps(report))
    result = stylize(stage, style_folder, replace(OPTIONS, resume=True))
    assert statuses(result) == ["done", "kept", "kept"]
    assert result.problems == ()


def test_what_is_kept_is_reported_even_when_the_run_is_interrupted_at_once(
    stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_unfinished(monkeypatch, stage, style_folder, replace(OPTIONS, mask=("/World/Third",)))
    without_optimising(monkeypatch, failing("/World/Left", KeyboardInterrupt()))
    result = stylize(stage, style_folder, OPTIONS)
    assert [(found.name, found.status) for found in result.objects] == [("World__Third", "kept")]
    assert result.interrupted
    assert result.root_layer is not None
    assert write.existing_styles(result.root_layer) == {"ink_stripes": ["World__Third"]}
