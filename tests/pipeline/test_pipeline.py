"""A run keeps what is done, whatever happens to the rest of it."""

import hashlib
import json
import logging
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from conftest import unchanged
from pxr import Usd

from usdstylize import Options, stylize
from usdstylize.cli import commands
from usdstylize.imaging import uv_raster
from usdstylize.model.objects import StageObject
from usdstylize.model.results import ObjectResult, Silent
from usdstylize.usd import verify

QUICK = Options(preset="draft", device="cpu", texture_resolution=64, iterations=2)


def shown(root_layer: Path | None) -> list[str]:
    """Objects that have a stylised material."""
    assert root_layer is not None
    stage = Usd.Stage.Open(str(root_layer))
    return [prim.GetName() for prim in stage.GetPrimAtPath("/World/StylizedLooks").GetChildren()]


def fail_first(monkeypatch: pytest.MonkeyPatch, problem: object) -> None:
    """``problem`` is called in the middle of the first object's optimisation, then never again."""
    real, calls = uv_raster.covered_texels, []

    def covered_texels(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            problem()  # type: ignore[operator]
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(uv_raster, "covered_texels", covered_texels)


def test_running_out_of_memory_costs_one_object(
    tiny_stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_first(monkeypatch, lambda: torch.empty(1 << 60))
    with unchanged(tiny_stage.parent, may_add=True):
        result = stylize(tiny_stage, style_folder, QUICK)
    assert sorted(item.status for item in result.objects) == ["done", "failed"]
    assert result.failed[0].reason == (
        f"{result.failed[0].path} needs more memory than there is; "
        "lower --texture-resolution or scale its texture down."
    )
    assert result.problems == ()
    assert shown(result.root_layer) == [item.name for item in result.objects if item.status == "done"]


def test_an_internal_error_costs_one_object_and_verbose_shows_its_trace(
    tiny_stage: Path,
    style_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def problem() -> None:
        raise ZeroDivisionError("of our own making")

    fail_first(monkeypatch, problem)
    arguments = ["--preset", "draft", "--device", "cpu", "--texture-resolution", "64", "--iterations", "2"]
    before = logging.getLogger("usdstylize").level
    try:
        code = commands.run(
            [str(tiny_stage), "--style-set", str(style_folder), *arguments, "--json", "--verbose"]
        )
    finally:
        logging.getLogger("usdstylize").setLevel(before)
    objects = {item["status"]: item for item in json.loads(capfd.readouterr().out)["objects"]}
    assert (code, set(objects)) == (1, {"done", "failed"})
    assert "internal error (ZeroDivisionError: of our own making)" in objects["failed"]["reason"]
    assert "in covered_texels" in caplog.text


def test_a_disk_that_fills_up_keeps_what_is_done(
    tiny_stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})  # one object after the other
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    class FillsUp(Silent):
        def object_ended(self, result: ObjectResult) -> None:
            # No file grows beyond this: the layers fit, another texture does not.
            resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))

    options = Options(preset="draft", device="cpu", texture_resolution=256, iterations=2)
    try:
        with unchanged(tiny_stage.parent, may_add=True):
            result = stylize(tiny_stage, style_folder, options, observer=FillsUp())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [item.status for item in result.objects] == ["done", "failed"]
    assert "cannot be written" in str(result.failed[0].reason)
    assert shown(result.root_layer) == ["World__Left"]
    folder = tiny_stage.parent / "tiny.style"
    assert [path.name for path in folder.iterdir()] == ["ink_stripes"], "no staging folder is left"
    assert verify.verify(tiny_stage.with_name("tiny.stylized.usda")).failed == ()


def test_an_interrupt_while_verifying_keeps_the_result_and_says_so(
    tiny_stage: Path,
    style_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def interrupted(root_layer: Path) -> None:
        raise KeyboardInterrupt

    arguments = ["--preset", "draft", "--device", "cpu", "--texture-resolution", "64", "--iterations", "2"]
    with monkeypatch.context() as patched:
        patched.setattr(verify, "verify", interrupted)
        code = commands.run([str(tiny_stage), "--style-set", str(style_folder), *arguments, "--quiet"])
    assert code == 130
    assert "the result is written, but not verified" in capfd.readouterr().err
    assert verify.verify(tiny_stage.with_name("tiny.stylized.usda")).failed == ()


def test_resume_of_a_complete_result_names_its_place(result: Path) -> None:
    stage, style = result.with_name("tiny.usda"), result.parents[1] / "ink stripes"
    started: list[str] = []

    class Started(Silent):
        def object_started(self, obj: StageObject, iterations: int) -> None:
            started.append(obj.path)

    options = Options(preset="draft", device="cpu", texture_resolution=64, iterations=2, resume=True)
    with unchanged(result.parent):
        again = stylize(stage, style, options, observer=Started())
    assert started == []
    assert (again.root_layer, again.problems) == (result, ())


def test_run_json_says_which_images_made_the_style(finished: Path) -> None:
    run = json.loads((finished / "shot/tiny.style/ink_stripes/run.json").read_text())
    images = sorted((finished / "ink stripes").iterdir())
    assert run["plan"]["style_hashes"] == [hashlib.sha256(p.read_bytes()).hexdigest() for p in images]
    assert run["plan"]["settings"]["network"] == "both"
