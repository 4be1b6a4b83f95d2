"""The command line: exit codes, what goes to which stream, and what a run leaves on disk."""

import doctest
import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import interruptible
import pytest
from conftest import (
    QUICK,
    SMALL,
    build_style_folder,
    build_tiny_stage,
    define_quad,
    digests,
    process,
    read_until,
    started,
    unchanged,
)
from PIL import Image
from pxr import Usd, UsdShade, UsdValidation

import usdstylize
from usdstylize.cli import commands
from usdstylize.usd import verify

BAKE = "ink_stripes/World__Left/World__Left.ink_stripes.baked.png"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def command(capfd: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run the command line in this process; C++ output is captured too."""
    capfd.readouterr()
    code = commands.run([str(argument) for argument in arguments])
    return Outcome(code, *capfd.readouterr())


def looks(root_layer: Path) -> dict[str, str]:
    """Each quad's variant that its bound material shows."""
    stage = Usd.Stage.Open(str(root_layer))
    found = {}
    for name in ("Left", "Right"):
        prim = stage.GetPrimAtPath(f"/World/{name}")
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        sets = material.GetPrim().GetVariantSets()
        found[name] = " ".join(sets.GetVariantSet(each).GetVariantSelection() for each in sets.GetNames())
    return found


# What needs no work done


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["weights"], ["inspect", "shot/tiny.usda"], ["missing.usda"]]
)
def test_what_needs_no_optimising_answers_without_importing_torch(
    tiny_stage: Path, tmp_path: Path, arguments: list[str]
) -> None:
    if arguments == ["missing.usda"]:
        arguments = ["missing.usda", "--style-set", str(tmp_path)]
    script = f"import sys; from usdstylize.cli import run; run({arguments}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout + done.stderr


def test_help_names_every_option_of_options(capfd: pytest.CaptureFixture[str]) -> None:
    text = command(capfd, "--help").out
    for field in fields(usdstylize.Options):
        assert f"--{field.name.replace('_', '-')} " in text
    assert "-o " in text


def test_options_reach_the_plan_and_a_dry_run_writes_nothing(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path, tmp_path: Path
) -> None:
    with unchanged(tmp_path):
        outcome = command(
            capfd, tiny_stage, "--style-set", style_folder, "--dry-run", "--json", "--preset", "paper",
            "--encoder", "vgg16", "--mask", "/World/Right", "--palette", "#010203,#ffffff", "--seed", "7",
            "--primary-image", "b.png", "--strength", "0.5", "--content-weight", "3",
            "--camera-distance", "2,4", "--texture-hierarchy", "32,64,128", "--iterations", "9",
            "--nnfm-weight", "250", "--palette-weight", "1000", "--direct-texture",
            "-o", tmp_path / "elsewhere",
        )  # fmt: skip
    assert outcome.code == 0
    plan = json.loads(outcome.out)["plan"]
    assert plan["preset"] == "paper"
    assert [item["path"] for item in plan["objects"]] == ["/World/Right"]
    assert plan["palette"] == ["#010203", "#ffffff"]
    assert [Path(path).name for path in plan["style_images"]] == ["b.png", "a.png"]
    assert plan["root_layer"] == str(tmp_path / "elsewhere" / "tiny.stylized.usda")
    expected = {
        "encoder": "vgg16", "seed": 7, "strength": 0.5, "content_weight": 3.0, "camera_distance": [2.0, 4.0],
        "texture_resolution": 128, "texture_hierarchy": [32, 64, 128], "iterations": 9, "nnfm_weight": 250.0,
        "palette_weight": [1000.0, 100.0], "direct_texture": True, "style_loss": "nnfm",
    }  # fmt: skip
    assert {name: plan["settings"][name] for name in expected} == expected


def test_one_camera_distance_is_both_ends(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path
) -> None:
    outcome = command(
        capfd, tiny_stage, "--style-set", style_folder, "--dry-run", "--json", "--camera-distance", "3"
    )
    assert json.loads(outcome.out)["plan"]["settings"]["camera_distance"] == [3.0, 3.0]


def test_a_dry_run_says_what_it_would_do(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path
) -> None:
    outcome = command(capfd, tiny_stage, "--style-set", style_folder, "--dry-run", *QUICK)
    assert outcome.code == 0
    for words in (
        r"/World/Left +\./textures/color\.png \(32 x 32, srgb\)",
        r"iterations +2\b",
        "Would write .*",
    ):
        assert re.search(words, outcome.out)
    assert "Using preset draft on cpu (encoder draft)." in outcome.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["/World/Left", "/World/Right"]),
        (["--mask", "/World/Left,/World/Right"], ["/World/Left", "/World/Right"]),
        (["--mask", "/World/Left", "--mask", "/World/Right"], ["/World/Left", "/World/Right"]),
        (["--mask", "/World/Right"], ["/World/Right"]),
        (["--purposes", "proxy"], []),
    ],
)
def test_inspect_lists_what_is_in_scope(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, arguments: list[str], expected: list[str]
) -> None:
    with unchanged(tiny_stage.parent):
        outcome = command(capfd, "inspect", tiny_stage, *arguments, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert [item["path"] for item in json.loads(outcome.out)["objects"]] == expected


def test_a_reader_that_has_seen_enough_is_no_error(tiny_stage: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(process("inspect", tiny_stage, "--json"), stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_name_that_the_log_cannot_spell_is_escaped(tiny_stage: Path) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    define_quad(stage, "/World/花瓶", UsdShade.Material(stage.GetPrimAtPath("/World/Looks/Paint")))
    stage.Save()
    done = subprocess.run(
        process("inspect", tiny_stage),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "/World/\\u82b1\\u74f6" in done.stdout


def test_weights_lists_every_network_and_fails_only_for_a_wrong_file(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("USDSTYLIZE_WEIGHTS", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    outcome = command(capfd, "weights", "--json")
    assert outcome.code == 0
    states = {status["name"]: status["state"] for status in json.loads(outcome.out)}
    assert states == {"draft": "ok", "clip-rn50": "missing", "vgg16": "missing", "squeezenet": "missing"}
    (tmp_path / "RN50.pt").write_text("not it")
    outcome = command(capfd, "weights", "--weights", tmp_path)
    assert outcome.code == 1
    assert re.search(r"clip-rn50 +standard, paper +refused", outcome.out)


# A run


def test_a_run_in_a_log_is_plain_lines_and_ends_with_a_summary(finished: Path) -> None:
    out, err = (finished / "stdout").read_text(), (finished / "stderr").read_text()
    assert err.splitlines()[0] == "Using preset draft on cpu (encoder draft)."
    assert "tiny.usda: 2 objects to stylise with ink_stripes (2 images, palette #" in err
    for number in (1, 2):  # side by side, so either may be first
        assert re.search(rf"^\[{number}/2\] /World/(Left|Right): 2 iterations$", err, re.MULTILINE)
    for name in ("Left", "Right"):
        assert re.search(
            rf"^\[\d/2 done\] /World/{name}: done in [\d.]+ s, coverage 100%$", err, re.MULTILINE
        )
        assert re.search(rf"^/World/{name} +done +[\d.]+ s +100%", out, re.MULTILINE)
    assert "\x1b" not in out + err, "no escape sequences and no bar outside a terminal"
    for word in ("tiny.stylized.usda", "usdview", "--style original"):
        assert word in out


def test_a_run_writes_the_files_of_the_design_and_binds_the_style(finished: Path) -> None:
    shot = finished / "shot"
    written = {str(path.relative_to(shot)) for path in digests(shot)} - {"tiny.usda", "textures/color.png"}
    folder = "tiny.style/ink_stripes"
    assert written == {
        "tiny.stylized.usda",
        "tiny.style.usda",
        f"{folder}/run.json",
        *(
            f"{folder}/World__{name}/World__{name}.ink_stripes.{file}"
            for name in ("Left", "Right")
            for file in ("TS.exr", "baked.png")
        ),
    }
    assert looks(shot / "tiny.stylized.usda") == {"Left": "ink_stripes", "Right": "ink_stripes"}
    stage = Usd.Stage.Open(str(shot / "tiny.stylized.usda"))
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    errors = UsdValidation.ValidationContext(validators).Validate(stage)
    # this build of USD knows no MaterialX nodes, so it cannot know their identifiers
    assert {error.GetName() for error in errors} <= {"MissingShaderIdInRegistry"}


def test_verify_passes_on_a_fresh_result_wherever_it_was_moved(
    capfd: pytest.CaptureFixture[str], result: Path
) -> None:
    with unchanged(result.parents[1]):
        outcome = command(capfd, "verify", result, "--json")
    report = json.loads(outcome.out)
    assert (outcome.code, outcome.err, report["ok"]) == (0, "", True)
    assert {"source", "validation", "binding", "live", "bake"} <= {
        check["name"] for check in report["checks"]
    }


@pytest.mark.parametrize(
    "damaged",
    [
        "tiny.usda",
        "textures/color.png",
        "tiny.style/ink_stripes/World__Left/World__Left.ink_stripes.baked.png",
    ],
)
@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_verify_fails_and_names_what_was_changed(
    capfd: pytest.CaptureFixture[str], result: Path, damaged: str, quiet: list[str]
) -> None:
    path = result.parent / damaged
    if path.suffix == ".usda":
        path.write_text(path.read_text() + "\n")
    else:
        Image.new("RGB", (64, 64), "red").save(path)
    outcome = command(capfd, "verify", result, *quiet)
    assert outcome.code == 1
    subject = "/World/Left" if "World__Left" in damaged else damaged
    assert re.search(rf"^usdstylize: \w+: .*{subject}", outcome.err, re.MULTILINE), outcome.err
    assert ("FAILED" in outcome.out) == (not quiet)


def test_select_switches_the_style_and_touches_only_the_style_layer(
    capfd: pytest.CaptureFixture[str], result: Path
) -> None:
    before = digests(result.parent)
    outcome = command(capfd, "select", result, "--style", "original", "--mask", "/World/Left")
    assert (outcome.code, outcome.err) == (0, "")
    assert "original is now selected on 1 object." in outcome.out
    assert looks(result) == {"Left": "original", "Right": "ink_stripes"}
    after = digests(result.parent)
    assert {path.name for path in after if after[path] != before.get(path)} == {"tiny.style.usda"}

    outcome = command(capfd, "select", result, "--style", "ink_stripes", "--json")
    assert json.loads(outcome.out)["objects"] == 2
    assert looks(result) == {"Left": "ink_stripes", "Right": "ink_stripes"}


def test_on_a_terminal_there_are_bars_with_losses_and_stdout_stays_clean(
    tiny_stage: Path, style_folder: Path
) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        process(tiny_stage, "--style-set", style_folder, *QUICK, "--mask", "/World/Left", "--json"),
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160"},
    ) as running:
        os.close(follower)
        shown = b""
        try:
            while block := os.read(leader, 1 << 16):
                shown += block
        except OSError:  # how Linux says that the other end is closed
            pass
        assert running.stdout is not None
        run = json.loads(running.stdout.read())
    os.close(leader)
    assert running.returncode == 0
    assert run["objects"][0]["status"] == "done"
    text = shown.decode()
    assert "\x1b[" in text
    assert "All objects" in text
    assert re.search(r"/World/Left.*2/2.*nnfm [\d.]+ +content [\d.]+ +palette [\d.]+", text)


def test_the_example_of_the_python_api_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_tiny_stage(tmp_path / "shot").rename(tmp_path / "shot" / "stage.usda")
    (tmp_path / "concept").mkdir()
    build_style_folder(tmp_path / "concept" / "gouache")
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(usdstylize, raise_on_error=True) == (0, 4)
    assert looks(tmp_path / "shot" / "stage.stylized.usda")["Left"] == "gouache"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_keeps_what_is_done_and_resume_does_the_rest(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path, ending: signal.Signals
) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    paint = UsdShade.Material(stage.GetPrimAtPath("/World/Looks/Paint"))
    for number in range(6):  # more than are ever computed side by side
        define_quad(stage, f"/World/More{number}", paint, x=4.0 + 2.0 * number)
    stage.Save()
    before = digests(tiny_stage.parent, style_folder)
    arguments = [tiny_stage, "--style-set", style_folder, *SMALL]
    with started(sys.executable, interruptible.__file__, *arguments, *interruptible.ENDLESS) as running:
        # The first object is done, and another one under way.
        read_until(running, "done in", "iteration 5")
        running.send_signal(ending)
        err = running.stderr.read()
        assert running.wait() == 128 + ending
    found = re.search(
        r"^usdstylize: interrupted; (\d) of 8 objects are kept, --resume does the others\.$",
        err,
        re.MULTILINE,
    )
    assert found, err
    root_layer = tiny_stage.with_name("tiny.stylized.usda")
    textures = tiny_stage.parent / "tiny.style" / "ink_stripes"
    kept = sorted(path.name for path in textures.iterdir() if path.is_dir())
    assert len(kept) == int(found[1])
    assert verify.verify(root_layer).failed == ()
    first = digests(*(textures / name for name in kept))

    outcome = command(capfd, *arguments, "--iterations", "2", "--resume", "--json")
    assert outcome.code == 0
    statuses = {item["name"]: item["status"] for item in json.loads(outcome.out)["objects"]}
    assert sorted(name for name, status in statuses.items() if status == "kept") == kept
    assert len(statuses) == 8
    assert set(statuses.values()) == {"kept", "done"}
    assert digests(*(textures / name for name in kept)) == first
    after = digests(tiny_stage.parent, style_folder)
    assert {path: after[path] for path in before} == before
