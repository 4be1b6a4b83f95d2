"""Bad input: one sentence that names it, the right exit code, nothing written, no source touched."""

import json
import os
import re
import resource
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, build_tiny_stage, define_material, define_quad, digests, process, unchanged
from pxr import Gf, Usd, UsdGeom

from usdstylize.cli import commands
from usdstylize.config.options import Options
from usdstylize.errors import OptionsError


def refused(
    capfd: pytest.CaptureFixture[str], root: Path, *arguments: object, code: int = 2, quiet: bool = True
) -> str:
    """The one sentence on stderr of a command that must fail and leave everything below root alone."""
    capfd.readouterr()
    with unchanged(root):
        found = commands.run([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert (found, out) == (code, ""), err
    assert len(lines) == 1, err
    assert lines[0].startswith("usdstylize: "), err
    assert lines[0].endswith("."), err
    assert "Traceback" not in err
    return lines[0].removeprefix("usdstylize: ")


# The command line itself


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["STAGE"]),
        (["{stage}"], ["--style-set"]),
        (["{stage}", "--style-set", "{style}", "--sead", "1"], ["--sead", "did you mean --seed"]),
        (["{stage}", "--style-set", "{style}", "--seed", "one"], ["--seed", '"one"']),
        (["{stage}", "--style-set", "{style}", "--preset", "fast"], ["fast", "draft", "standard", "paper"]),
        (["{stage}", "--style-set", "{style}", "--camera-distance", "near"], ["camera-distance", "near"]),
        (["{stage}", "--style-set", "{style}", "--camera-distance", "1,2,3"], ["camera-distance", "1,2,3"]),
        (["{stage}", "--style-set", "{style}", "--camera-distance", "4,2"], ["--camera-distance 4.0 2.0"]),
        (["{stage}", "--style-set", "{style}", "--iterations", "0"], ["--iterations 0", "1 or more"]),
        (
            ["{stage}", "--style-set", "{style}", "--texture-resolution", "5"],
            ["--texture-resolution 5", "16"],
        ),
        (["{stage}", "--style-set", "{style}", "--force", "--resume"], ["--force", "--resume"]),
        (["{stage}", "--style-set", "{style}", "--purposes", "guide"], ["--purposes", "guide"]),
        (["{stage}", "--style-set", "{style}", "--purposes", ""], ["--purposes", "empty"]),
        (["{stage}", "--style-set", "{style}", "--mask", ""], ["--mask", "empty"]),
        (["{stage}", "--style-set", "{style}", "--seed", "-1"], ["--seed -1", "0 to"]),
        (["{stage}", "--style-set", "{style}", "--strength", "nan"], ["--strength nan"]),
        (
            ["{stage}", "--style-set", "{style}", "--content-weight", "-1"],
            ["--content-weight -1", "0 or more"],
        ),
        (["{stage}", "--style-set", "{style}", "--frame", "inf"], ["--frame inf", "time code"]),
        (["{stage}", "--style-set", "{style}", "--palette-weight", "-1"], ["--palette-weight -1"]),
        (["{stage}", "--style-set", "{style}", "--nnfm-weight", "inf"], ["--nnfm-weight inf"]),
        (["{stage}", "--style-set", "{style}", "--texture-hierarchy", "64,soon"], ["64,soon"]),
        (["{stage}", "--style-set", "{style}", "--texture-hierarchy", "256,128"], ["256,128", "rising"]),
        (
            [
                "{stage}",
                "--style-set",
                "{style}",
                "--texture-hierarchy",
                "64,128",
                "--texture-resolution",
                "64",
            ],
            ["--texture-hierarchy 64,128", "--texture-resolution 64"],
        ),
        (
            ["{stage}", "--style-set", "{style}", "--method", "vgg-gram", "--encoder", "vgg16"],
            ["--method vgg-gram", "--encoder vgg16"],
        ),
        (["{stage}", "--style-set", "{style}", "--camera-distance", "2,inf"], ["--camera-distance 2.0 inf"]),
        (["inspect"], ["STAGE"]),
        (["inspect", "{stage}", "--mask", ","], ["--mask", "empty"]),
        (["inspect", "{stage}", "extra"], ["extra is more than this command takes"]),
        (["select", "{stage}"], ["--style"]),
        (["weights", "--weights", "nowhere"], ["nowhere is not a folder"]),
    ],
)
def test_a_usage_error(
    capfd: pytest.CaptureFixture[str],
    tiny_stage: Path,
    style_folder: Path,
    arguments: list[str],
    words: list[str],
) -> None:
    filled = [word.format(stage=tiny_stage, style=style_folder) for word in arguments]
    sentence = refused(capfd, tiny_stage.parents[1], *filled)
    for word in words:
        assert word in sentence


def test_one_word_where_python_wants_a_tuple_is_refused() -> None:
    with pytest.raises(OptionsError, match="--mask /World/Left is one word"):
        Options(mask="/World/Left")  # type: ignore[arg-type]


def test_json_prints_the_error_on_stdout_too_and_verbose_the_trace(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert commands.run(["inspect", str(tmp_path / "gone.usda"), "--json", "--verbose"]) == 2
    out, err = capfd.readouterr()
    error = json.loads(out)["error"]
    assert error["type"] == "StageError"
    assert err.startswith("Traceback")
    assert err.endswith(f"usdstylize: {error['message']}\n")


# The stage


@pytest.mark.parametrize("verb", [[], ["inspect"]])
@pytest.mark.parametrize(
    "kind", ["missing", "too long", "folder", "garbage.usda", "garbage.usdc", "truncated", "picture"]
)
def test_a_stage_that_cannot_be_read(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path, kind: str, verb: list[str]
) -> None:
    folder = tiny_stage.parent
    path = {
        "missing": folder / "gone.usda",
        "too long": folder / f"{'shot' * 80}.usda",
        "folder": folder,
        "picture": folder / "textures" / "color.png",
    }.get(kind, folder / (kind if "." in kind else "cut.usdc"))
    if kind.startswith("garbage"):
        path.write_bytes(b"this is no stage" * 20)
    if kind == "truncated":
        Usd.Stage.Open(str(tiny_stage)).Export(str(path))
        path.write_bytes(path.read_bytes()[:400])
    arguments = [*verb, path] + ([] if verb else ["--style-set", style_folder])
    assert str(path) in refused(capfd, folder.parent, *arguments)


def test_a_mask_that_names_no_prim(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path
) -> None:
    for arguments in (["inspect", tiny_stage], [tiny_stage, "--style-set", style_folder]):
        sentence = refused(capfd, tiny_stage.parents[1], *arguments, "--mask", "/World/Left,/World/Nope")
        assert "/World/Nope" in sentence


def test_a_stage_with_nothing_to_stylise_says_why(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path
) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    stage.RemovePrim("/World/Right")
    UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Left")).GetPrimvar("st").Set([Gf.Vec2f(0)] * 3)
    stage.Save()
    sentence = refused(capfd, tiny_stage.parents[1], tiny_stage, "--style-set", style_folder)
    for word in ("tiny.usda", "/World/Left", "primvars:st"):
        assert word in sentence


# The style set and the palette


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("empty", ["holds no image"]),
        ("missing", ["does not exist"]),
        ("corrupt", ["a.png cannot be decoded"]),
        ("truncated", ["a.png cannot be decoded"]),
        ("small", ["a.png is 32 x 96 pixels"]),
    ],
)
def test_a_style_set_that_cannot_be_used(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path, damage: str, words: list[str]
) -> None:
    from PIL import Image

    image = style_folder / "a.png"
    content = image.read_bytes()
    if damage in ("empty", "missing"):
        for path in style_folder.iterdir():
            path.unlink()
    if damage == "missing":
        style_folder.rmdir()
    if damage == "corrupt":
        image.write_bytes(content[:40] + bytes(60) + content[100:])
    if damage == "truncated":
        image.write_bytes(content[: len(content) - 60])
    if damage == "small":
        Image.new("RGB", (32, 96)).save(image)
    sentence = refused(capfd, tiny_stage.parents[1], tiny_stage, "--style-set", style_folder)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--palette", "#112233,blueish"], ["--palette", "colour 2 of 2", '"blueish"']),
        (["--palette", ""], ["--palette", "holds no colour"]),
        (["--primary-image", "c.png"], ["c.png", "a.png, b.png"]),
    ],
)
def test_a_palette_or_primary_image_that_is_none(
    capfd: pytest.CaptureFixture[str],
    tiny_stage: Path,
    style_folder: Path,
    arguments: list[str],
    words: list[str],
) -> None:
    sentence = refused(capfd, tiny_stage.parents[1], tiny_stage, "--style-set", style_folder, *arguments)
    for word in words:
        assert word in sentence


# Weights and devices


def test_missing_weights_are_an_error_and_no_reason_to_fall_back(
    capfd: pytest.CaptureFixture[str],
    tiny_stage: Path,
    style_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("USDSTYLIZE_WEIGHTS", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    arguments = [
        tiny_stage,
        "--style-set",
        style_folder,
        "--preset",
        "standard",
        "--device",
        "cpu",
        "--quiet",
    ]
    sentence = refused(capfd, tmp_path, *arguments)
    for word in ("RN50.pt", str(tmp_path / "home"), "--fetch", "--weights", "--preset draft"):
        assert word in sentence
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "RN50.pt").write_text("not it")
    sentence = refused(capfd, tmp_path, *arguments, "--weights", tmp_path / "own")
    assert f"{tmp_path / 'own' / 'RN50.pt'} is not the RN50.pt expected" in sentence


# The output


@pytest.mark.parametrize("place", ["a file", "below a file", "/proc"])
def test_an_output_that_cannot_be_written(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path, place: str
) -> None:
    taken = tiny_stage.parent / "taken"
    taken.write_text("in the way")
    output = {"a file": taken, "below a file": taken / "deep" / "er", "/proc": Path("/proc/look")}[place]
    arguments = [tiny_stage, "--style-set", style_folder, *QUICK, "--quiet", "-o", output]
    sentence = refused(capfd, tiny_stage.parents[1], *arguments)
    assert ("/proc" if place == "/proc" else str(taken)) in sentence


def test_a_foreign_file_in_the_place_of_the_result_is_not_replaced(
    capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path
) -> None:
    foreign = tiny_stage.with_name("tiny.stylized.usda")
    foreign.write_text('#usda 1.0\n(\n    doc = "an artist\'s own"\n)\n')
    for force in ([], ["--force"]):
        sentence = refused(
            capfd, tiny_stage.parents[1], tiny_stage, "--style-set", style_folder, *QUICK, "--quiet", *force
        )
        assert str(foreign) in sentence


def test_a_style_that_the_result_holds_is_refused_without_force_or_resume(
    capfd: pytest.CaptureFixture[str], result: Path
) -> None:
    folder = result.parents[1]
    stage, style = folder / "shot" / "tiny.usda", folder / "ink stripes"
    sentence = refused(capfd, folder, stage, "--style-set", style, *QUICK, "--quiet")
    for word in (str(result), "ink_stripes", "--force", "--resume"):
        assert word in sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "{stage}"], ["{stage}", "not a result of usdstylize"]),
        (["verify", "gone.usda"], ["gone.usda"]),
        (["select", "{stage}", "--style", "original"], ["{stage}", "not a result of usdstylize"]),
        (["select", "{result}", "--style", "oil"], ["holds no style oil", "ink_stripes, original"]),
        (
            ["select", "{result}", "--style", "original", "--mask", "/World/Nope"],
            ["/World/Nope", "/World/Left"],
        ),
    ],
)
def test_verify_and_select_say_what_they_cannot_use(
    capfd: pytest.CaptureFixture[str], result: Path, arguments: list[str], words: list[str]
) -> None:
    names = {"result": result, "stage": result.with_name("tiny.usda")}
    sentence = refused(capfd, result.parents[1], *(word.format(**names) for word in arguments))
    for word in words:
        assert word.format(**names) in sentence


def test_a_full_disk_leaves_nothing_half_written(tiny_stage: Path, style_folder: Path) -> None:
    # No file may grow past a few KB, as on a full disk: EFBIG instead of ENOSPC, at the same calls.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    arguments = [tiny_stage, "--style-set", style_folder, *QUICK, "--quiet"]
    with unchanged(tiny_stage.parents[1]):
        done = subprocess.run(
            process(*arguments),
            preexec_fn=limit,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert str(tiny_stage.parent) in done.stderr


# Objects: each costs only itself


def test_bad_objects_cost_only_themselves(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, style_folder: Path
) -> None:
    path = build_tiny_stage(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    (path.parent / "textures" / "broken.png").write_bytes(b"no picture" * 9)
    good = define_material(stage, "/World/Looks/Good", "./textures/color.png")
    gone = define_material(stage, "/World/Looks/Gone", "./textures/gone.png")
    broken = define_material(stage, "/World/Looks/Broken", "./textures/broken.png")
    st = UsdGeom.PrimvarsAPI(define_quad(stage, "/World/FewUVs", good)).GetPrimvar("st")
    st.Set([Gf.Vec2f(0)] * 3)
    define_quad(stage, "/World/NaN", good).GetPointsAttr().Set([Gf.Vec3f(np.nan, 0, 0)] * 4)
    define_quad(stage, "/World/Range", good).GetFaceVertexIndicesAttr().Set([0, 1, 2, 9])
    define_quad(stage, "/World/Flat", good).GetPointsAttr().Set([Gf.Vec3f(0)] * 4)
    define_quad(stage, "/World/Gone", gone)
    define_quad(stage, "/World/Broken", broken)
    stage.Save()
    before = digests(tmp_path)

    capfd.readouterr()
    code = commands.run([str(path), "--style-set", str(style_folder), *QUICK, "--mask", "/World", "--json"])
    run = json.loads(capfd.readouterr().out)
    assert code == 1
    assert {item["path"]: item["status"] for item in run["objects"]} == {
        "/World/Left": "done",
        "/World/Right": "done",
    }
    reasons = {item["path"]: item["reason"] for item in run["plan"]["skipped"]}
    words = {
        "/World/FewUVs": "primvars:st",
        "/World/NaN": "NaN",
        "/World/Range": "faceVertexIndices",
        "/World/Flat": "area",
        "/World/Gone": "./textures/gone.png",
        "/World/Broken": "broken.png",
    }
    assert set(reasons) == set(words)
    for prim, word in words.items():
        assert re.search(rf"{re.escape(word)}.*\.$", reasons[prim]), reasons[prim]
    after = digests(tmp_path)
    assert {file: after[file] for file in before} == before
