"""Every exit code of every verb, in text, with --json and with --quiet; and what is printed beside it."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import MODES, SMALL, Command, add_third, break_uvs, failing, is_refused
from conftest import define_material, define_quad, unchanged
from PIL import Image
from pxr import Usd, UsdGeom
from still import without_optimising

from usdstylize.cli import console
from usdstylize.encoders import weights
from usdstylize.errors import MeshError, OutputError, ProcessGroupError
from usdstylize.model import checks
from usdstylize.usd import verify, write


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path) -> Command:
    return Command(capfd, tiny_stage, style_folder)


# stylize


@MODES
def test_all_is_done(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    without_optimising(monkeypatch)
    assert command.stylize(*mode) == 0
    command.is_right_for(mode)
    assert "not right" not in command.err
    assert (command.err == "") == (mode == ["--quiet"])


def test_a_log_has_a_line_when_an_object_begins_and_ends(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_third(command.stage)
    break_uvs(command.stage, "/World/Right")
    reason = "Mesh /World/Third is seen by no camera; look at it."
    without_optimising(monkeypatch, failing("/World/Third", MeshError(reason)))
    assert command.stylize() == 1
    lines = command.err.splitlines()
    assert lines[0] == "Using preset draft on cpu (encoder draft)."
    assert re.fullmatch(
        r"tiny.usda: 2 objects to stylise with ink_stripes \(2 images, palette #.*\), 1 left out\.", lines[1]
    )
    assert lines[2:] == [
        "[1/2] /World/Left: 150 iterations",
        "[1/2 done] /World/Left: done in 0.0 s, coverage 50%",
        "[2/2] /World/Third: 150 iterations",
        f"[2/2 done] /World/Third: failed: {reason}",
    ]
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in command.out.splitlines() if line.strip()}
    assert rows["/World/Left"] == "done 50%"
    assert rows["/World/Third"] == f"failed {reason}"
    assert rows["/World/Right"].startswith("broken Mesh /World/Right has primvars:st")
    assert "tiny.stylized.usda" in command.out


def test_a_log_names_what_is_kept(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    without_optimising(monkeypatch)
    assert command.stylize("--mask", "/World/Left") == 0
    assert "1 object to stylise with ink_stripes" in command.err
    assert command.stylize("--resume") == 0
    assert command.err.splitlines()[2:] == [
        "[1/2 done] /World/Left: kept, it was done before",
        "[1/2] /World/Right: 150 iterations",
        "[2/2 done] /World/Right: done in 0.0 s, coverage 50%",
    ]
    assert re.search(r"^/World/Left +kept *$", command.out, re.MULTILINE)
    assert re.search(r"^/World/Right +done +50%", command.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (12.34, "12.3 s"), (59.9, "59.9 s"), (60.0, "1 min 0 s"), (3725.4, "62 min 5 s")],
)
def test_how_long_it_took(seconds: float, text: str) -> None:
    assert console.seconds(seconds) == text


@MODES
@pytest.mark.parametrize("resume", [[], ["--resume"]], ids=["anew", "kept"])
def test_a_result_that_verify_calls_wrong(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str], resume: list[str]
) -> None:
    without_optimising(monkeypatch)
    if resume:
        assert command.stylize() == 0
    wrong = checks.Check("bake", "/World/Left (ink)", False, "differs by 0.01200 at most")
    fine = checks.Check("bake", "/World/Right (ink)", True, "differs by 0.00400 at most")
    report = checks.VerifyReport(command.root_layer, (fine, wrong))
    monkeypatch.setattr(verify, "verify", lambda root_layer: report)
    assert command.stylize(*mode, *resume) == 1
    command.is_right_for(mode)
    sentence = "bake: /World/Left (ink): differs by 0.01200 at most"
    notes = [line for line in command.err.splitlines() if "differs" in line]
    assert notes == [f"usdstylize: the written result is not right: {sentence}"]
    if mode == ["--json"]:
        assert json.loads(command.out)["problems"] == [sentence]


@MODES
def test_a_stale_object_that_stays(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    """Its texture has changed since; what --resume makes of the other is fresh."""
    without_optimising(monkeypatch)
    assert command.stylize("--mask", "/World/Left") == 0
    Image.new("RGB", (32, 32), (90, 20, 10)).save(command.stage.parent / "textures/color.png")
    assert command.stylize("--resume", *mode) == 1
    command.is_right_for(mode)
    assert re.search(r"not right: source: \S+color.png: It has changed since it was stylised", command.err)
    assert re.search(r"not right: bake: /World/Left \(ink_stripes\): differs", command.err)
    assert "/World/Right" not in "".join(line for line in command.err.splitlines() if "not right" in line)
    assert command.run("verify", command.root_layer) == 1
    assert command.stylize("--force", *mode) == 0
    assert command.run("verify", command.root_layer) == 0


@MODES
def test_a_problem_of_the_package(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    without_optimising(monkeypatch)

    def write_package(root_layer: Path, package: Path) -> None:
        raise OutputError(f"{package} cannot be written; free some space.")

    monkeypatch.setattr(write, "write_package", write_package)
    assert command.stylize("--package", *mode) == 1
    command.is_right_for(mode)
    assert "tiny.stylized.usdz cannot be written; free some space." in command.err
    assert command.root_layer.is_file()


@MODES
def test_one_object_fails(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    reason = "Mesh /World/Left is seen by no camera; look at it."
    without_optimising(monkeypatch, failing("/World/Left", MeshError(reason)))
    assert command.stylize(*mode) == 1
    command.is_right_for(mode)
    assert reason in command.err
    if mode == ["--quiet"]:
        assert command.err == f"usdstylize: /World/Left: {reason}\n"
    assert command.run("verify", command.root_layer) == 0


@MODES
def test_every_object_fails(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    def before(path: str) -> None:
        raise MeshError(f"{path} is seen by no camera; look at it.")

    without_optimising(monkeypatch, before)
    with unchanged(command.stage.parent):
        assert command.stylize(*mode) == 2
    command.is_right_for(mode, path=False)
    for name in ("Left", "Right"):
        assert f"/World/{name} is seen by no camera" in command.err


@MODES
@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_a_broken_asset_among_good_ones(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str], dry_run: list[str]
) -> None:
    without_optimising(monkeypatch)
    break_uvs(command.stage, "/World/Left")
    assert command.stylize(*mode, *dry_run) == 1
    if not dry_run:
        command.is_right_for(mode)
    if mode == ["--quiet"]:
        assert re.fullmatch(r"usdstylize: /World/Left: .*primvars:st.*\.\n", command.err)
    elif not mode:
        assert "primvars:st" in command.out


@MODES
def test_what_is_merely_out_of_scope_is_no_failure(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    without_optimising(monkeypatch)
    stage = Usd.Stage.Open(str(command.stage))
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/Left")).MakeInvisible()
    stage.Save()
    assert command.stylize(*mode) == 0


@MODES
def test_nothing_can_be_done(command: Command, mode: list[str]) -> None:
    break_uvs(command.stage, "/World/Left")
    break_uvs(command.stage, "/World/Right")
    with unchanged(command.stage.parent):
        assert command.stylize(*mode) == 2
    is_refused(command, mode, "StageError", "tiny.usda holds nothing that can be stylised: /World/Left: ")


def test_a_stage_without_a_mesh(command: Command) -> None:
    stage = Usd.Stage.Open(str(command.stage))
    for name in ("Left", "Right"):
        stage.RemovePrim(f"/World/{name}")
    stage.Save()
    assert command.stylize() == 2
    message = "usdstylize: tiny.usda holds nothing that can be stylised: it holds no mesh.\n"
    assert command.err == message


@MODES
@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["--iterations", "0"], "OptionsError", "--iterations 0 is out of range; give 1 or more."),
        (["--force", "--resume"], "OptionsError", "--force and --resume contradict each other"),
        (["--mask", "/World/Nope"], "StageError", "--mask names /World/Nope"),
        (["--palette", "blueish"], "PaletteError", "blueish"),
        (["--primary-image", "c.png"], "StyleSetError", "c.png"),
        (["--sead", "1"], "UnknownOptionError", "--sead"),
    ],
)
def test_what_is_asked_cannot_be_done(
    command: Command, mode: list[str], arguments: list[str], kind: str, words: str
) -> None:
    with unchanged(command.stage.parents[1]):
        assert command.stylize(*arguments, *mode) == 2
    is_refused(command, mode, kind, words)


@MODES
def test_a_mistake_of_our_own(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    def breaks(root_layer: Path) -> None:
        raise ZeroDivisionError("of our own making")

    monkeypatch.setattr(verify, "verify", breaks)
    assert command.run("verify", command.stage, *mode) == 2
    words = "internal error (ZeroDivisionError: of our own making); please report it with what --verbose"
    is_refused(command, mode, "ZeroDivisionError", words)


@MODES
@pytest.mark.parametrize("error", [OutputError("/out is full; free it."), ProcessGroupError("One is lost.")])
def test_what_concerns_every_object_keeps_what_is_done(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str], error: Exception
) -> None:
    without_optimising(monkeypatch, failing("/World/Right", error))
    assert command.stylize(*mode) == 1
    command.is_right_for(mode)
    assert str(error) in command.err
    assert command.run("verify", command.root_layer) == 0
    assert list(write.existing_styles(command.root_layer).values()) == [["World__Left"]]


@MODES
def test_what_concerns_every_object_before_one_is_done(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    without_optimising(monkeypatch, failing("/World/Left", OutputError("/out is full; free it.")))
    with unchanged(command.stage.parent):
        assert command.stylize(*mode) == 2
    assert command.err.endswith("usdstylize: /out is full; free it.\n")
    if mode == ["--json"]:
        assert json.loads(command.out)["error"]["type"] == "OutputError"


@MODES
@pytest.mark.parametrize("left", ["kept", "failed"])
def test_what_concerns_every_object_where_this_run_has_done_none(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str], left: str
) -> None:
    """Nothing could be done: what an earlier run has made is as it was."""
    if left == "kept":
        without_optimising(monkeypatch)
        assert command.stylize("--mask", "/World/Left") == 0

    def before(path: str) -> None:
        raise (
            MeshError("Left is lost; look.")
            if path == "/World/Left"
            else OutputError("/out is full; free it.")
        )

    without_optimising(monkeypatch, before)
    with unchanged(command.stage.parent):
        assert command.stylize(*mode, *(["--resume"] if left == "kept" else [])) == 2
    assert command.err.endswith("usdstylize: /out is full; free it.\n")
    if mode == ["--json"]:
        assert json.loads(command.out)["error"]["type"] == "OutputError"
    else:
        assert command.out == ""


# The other verbs


@pytest.mark.parametrize("verb", [[], ["inspect"], ["verify"], ["select"], ["dial"], ["mix"], ["weights"]])
def test_help(command: Command, verb: list[str]) -> None:
    assert command.run(*verb, "--help") == 0
    assert command.out.startswith("Usage: usdstylize")
    assert command.err == ""


def test_version(command: Command) -> None:
    assert command.run("--version") == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", command.out)


@MODES
def test_inspect(command: Command, mode: list[str]) -> None:
    """It lists what is broken, which is no failure of its own."""
    stage = Usd.Stage.Open(str(command.stage))
    define_quad(stage, "/World/Gone", define_material(stage, "/World/Looks/Gone", "./textures/gone.png"))
    stage.Save()
    assert command.run("inspect", command.stage, *mode) == 0
    assert "gone.png" in command.out
    assert command.err == ""
    assert command.run("inspect", command.stage.with_name("gone.usda"), *mode) == 2
    is_refused(command, mode, "StageError", "gone.usda")
    assert command.run("inspect", *mode) == 2
    is_refused(command, mode, "MissingArgumentError", "STAGE")


@MODES
def test_verify(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    without_optimising(monkeypatch)
    assert command.stylize("--quiet") == 0
    assert command.run("verify", command.root_layer, *mode) == 0
    assert command.err == ""
    assert (command.out == "") == (mode == ["--quiet"])
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(
        command.stage.parent / "tiny.style/ink_stripes/World__Left/World__Left.ink_stripes.baked.png"
    )
    assert command.run("verify", command.root_layer, *mode) == 1
    assert re.fullmatch(
        r"usdstylize: bake: /World/Left \(ink_stripes\): differs by 0\.\d{5} at most\n", command.err
    )
    if mode == ["--json"]:
        report = json.loads(command.out)
        assert report["ok"] is False
        assert [check["name"] for check in report["checks"] if not check["ok"]] == ["bake"]
    assert len(re.findall("FAILED", command.out)) == (not mode)
    assert command.run("verify", command.stage, *mode) == 2
    is_refused(command, mode, "OutputError", "is not a result of usdstylize")


@MODES
def test_select(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    without_optimising(monkeypatch)
    assert command.stylize("--quiet") == 0
    for mask, number in (([], "2 objects"), (["--mask", "/World/Left"], "1 object")):
        assert command.run("select", command.root_layer, "--style", "original", *mask, *mode) == 0
        expected = f"{command.root_layer}: original is now selected on {number}.\n"
        if mode == ["--json"]:
            assert json.loads(command.out)["objects"] == int(number[0])
        else:
            assert command.out == ("" if mode else expected)
        assert command.err == ""
    assert command.run("select", command.root_layer, "--style", "oil", *mode) == 2
    is_refused(command, mode, "StageError", "holds no style oil; choose from ink_stripes, original.")


@MODES
def test_mix(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    without_optimising(monkeypatch)
    assert command.stylize("--quiet") == 0
    oil = command.style.rename(command.style.with_name("oil"))
    assert command.run(command.stage, "--style-set", oil, *SMALL, "--mask", "/World/Left", "--quiet") == 0
    assert command.run("mix", command.root_layer, "oil=0.5", "ink_stripes=1.25", *mode) == 0
    text = "1 of 2 objects held only some of these styles: mixed of those."
    assert command.err == ("" if mode == ["--quiet"] else f"Note: {text}\n")
    if mode == ["--json"]:
        mixed = json.loads(command.out)
        assert mixed["root_layer"] == str(command.root_layer)
        assert mixed["strengths"] == {"oil": 0.5, "ink_stripes": 1.25}
        assert (mixed["objects"], mixed["remarks"]) == (["/World/Left", "/World/Right"], [text])
    else:
        expected = f"{command.root_layer}: a mix of oil 0.5, ink_stripes 1.25 is now selected on 2 objects.\n"
        assert command.out.startswith("" if mode else expected)
        assert bool(command.out) == (not mode)
    assert command.run("select", command.root_layer, "--style", "mix", *mode) == 0
    assert command.run("verify", command.root_layer, *mode) == 0
    refused = [
        (["oil=1", "ink=1"], "StageError", "holds no style ink to mix; choose from ink_stripes, oil."),
        ([], "OptionsError", "A mix needs styles with their strengths, such as ink_stripes=0.5 oil=0.5;"),
        (["oil=1", "oil=0"], "OptionsError", "The mix names oil twice; give each style one strength."),
        (["oil=nan"], "OptionsError", "The strength nan of oil is out of range; give 0 to 2."),
        *(([w], "OptionsError", f'"{w}" is no style with its strength') for w in ("oil", "oil=much", "=1")),
    ]
    for words, kind, sentence in refused:
        with unchanged(command.stage.parent):
            assert command.run("mix", command.root_layer, *words, *mode) == 2
        is_refused(command, mode, kind, sentence)
    (command.stage.parent / "tiny.style/oil/World__Left/World__Left.oil.TS.exr").unlink()
    assert command.run("mix", command.root_layer, "oil=1", "ink_stripes=1", *mode) == 1
    assert command.run("mix", command.root_layer, "oil=1", *mode) == 2
    assert "World__Left.oil.TS.exr" in command.err


@MODES
def test_dial(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    without_optimising(monkeypatch)
    assert command.stylize("--quiet", "--creator", "Ada", "--usage-terms", "CC BY 4.0") == 0
    assert command.run("dial", command.root_layer, "0.5", "--mask", "/World/Left", *mode) == 0
    assert command.err == ""
    if mode == ["--json"]:
        dialled = json.loads(command.out)
        assert (dialled["strength"], dialled["styles"]) == (0.5, ["ink_stripes"])
        assert (dialled["root_layer"], dialled["objects"]) == (str(command.root_layer), ["/World/Left"])
    else:
        expected = f"{command.root_layer}: ink_stripes at strength 0.5 on 1 object.\n"
        assert command.out == ("" if mode else expected)
    assert command.run("verify", command.root_layer, *mode) == 0
    # A later run keeps it and says so, and one that asks for a strength learns of the verb.
    with unchanged(command.stage.parent / "tiny.style"):
        assert command.stylize("--resume", "--dry-run", *mode) == 0
    if mode != ["--quiet"]:
        assert "strength 0.5 of /World/Left (now 1)" in " ".join((command.out + command.err).split())
    assert command.stylize("--strength", "0.25", *mode) == 2
    is_refused(
        command, mode, "OutputError", f"`usdstylize dial {command.root_layer} 0.25` changes its strength"
    )
    refused = [
        (["much"], "CoercionError", "much"),
        (["nan"], "OptionsError", "The strength nan is out of range; give 0 to 2."),
        (["2.5"], "OptionsError", "The strength 2.5 is out of range; give 0 to 2."),
        (["--", "-1"], "OptionsError", "The strength -1 is out of range; give 0 to 2."),
        (["1", "--style", "oil"], "StageError", "holds no style oil; choose from ink_stripes."),
    ]
    for words, kind, sentence in refused:
        with unchanged(command.stage.parent):
            assert command.run("dial", command.root_layer, *mode, *words) == 2
        is_refused(command, mode, kind, sentence)
    (command.stage.parent / "tiny.style/ink_stripes/World__Left/World__Left.ink_stripes.TS.exr").unlink()
    assert command.run("dial", command.root_layer, "1", *mode) == 1
    assert command.run("dial", command.root_layer, "1", "--mask", "/World/Left", *mode) == 2
    assert "World__Left.ink_stripes.TS.exr is lost" in command.err


@MODES
@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("missing", 0), ("refused", 1)])
def test_weights(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str], state: Any, code: int
) -> None:
    fine = weights.WeightStatus("draft", ("draft",), "ok", Path("/w/draft"), None, ())
    status = weights.WeightStatus("vgg16", ("paper",), state, Path("/w/vgg16.pth"), "It is not that.", ())
    monkeypatch.setattr(weights, "report", lambda folder: (fine, status))
    assert command.run("weights", *mode) == code
    if mode == ["--json"]:
        assert [item["state"] for item in json.loads(command.out)] == ["ok", state]
    elif not mode:
        assert re.search(rf"^vgg16 +paper +{state} ", command.out, re.MULTILINE)
        assert "It is not that." in command.out
    else:
        assert command.out == ""
    assert command.run("weights", "--weights", "/nowhere", *mode) == code


@MODES
def test_a_reader_that_is_gone(command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    """As a shell reports SIGPIPE; stdout then leads nowhere, so that nothing fails at exit."""
    turned: list[tuple[int, int]] = []

    def gone(*arguments: Any) -> None:
        raise BrokenPipeError

    for name in ("show_json", "show_contents"):
        monkeypatch.setattr(console, name, gone)
    monkeypatch.setattr("os.dup2", lambda new, old: turned.append((new, old)))
    assert command.run("inspect", command.stage, *mode) == 141
    assert command.err == ""
    ((new, _),) = turned
    os.close(new)
