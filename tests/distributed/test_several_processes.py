"""Several processes: the same bits as one, and what happens where one of them fails."""

import dataclasses
import math
import multiprocessing
import os
import queue
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import interruptible
import pytest
import torch
from balls import METHOD, ball, describe, stripes
from conftest import (
    HANG_SECONDS,
    build_style_folder,
    build_tiny_stage,
    define_quad,
    process,
    read_until,
    started,
)
from pxr import Sdf, Usd, UsdShade
from torch.distributed import TCPStore

from usdstylize import Options
from usdstylize.config.presets import PRESETS
from usdstylize.distributed import choose_parallelism, torchrun
from usdstylize.distributed.workers import Workers
from usdstylize.errors import OptionsError, WorkerError
from usdstylize.losses.objective import Objective
from usdstylize.model.objects import ObjectData, StyleTexture
from usdstylize.optimize import Optimizer
from usdstylize.optimize.batches import Share

pytestmark = pytest.mark.slow

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

ONE_VIEW = 0.001
"""A limit of memory, in GiB, that lets one view through at a time."""

SCENE = ["--preset", "draft", "--device", "cpu", "--texture-resolution", "32", "--iterations", "2"]
SCENE += ["--batch", "2", "--memory-limit", str(ONE_VIEW)]

SHARED = dataclasses.replace(METHOD, batch=8, view_pool=8, iterations=46, plateau=True, texture_resolution=32)


def in_process_group(count: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What ``work`` returns in each of ``count`` processes, which join as those of a torchrun do."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["usdstylize.distributed", "balls"])  # import torch once
    # As torchrun does: the process that starts them has the store, at a port that the system chooses.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    answers = context.Queue()
    members = [
        context.Process(target=_member, args=(answers, rank, count, store.port, work, arguments))
        for rank in range(count)
    ]
    for member in members:
        member.start()
    try:
        found = dict(answers.get(timeout=HANG_SECONDS) for _ in members)
    except queue.Empty:  # one waits for another, and would for ever
        for member in members:
            member.kill()
        raise
    for member in members:
        member.join()
    return [found[rank] for rank in range(count)]


def _member(answers: Any, rank: int, count: int, port: int, work: Any, arguments: Any) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    answers.put((rank, work(torchrun.TorchProcessGroup(), *arguments)))


def share_and_fail(process_group: torchrun.TorchProcessGroup) -> tuple[StyleTexture | None, list[str]]:
    """A texture made together, and the errors in each where the third cannot begin, or cannot continue."""
    optimizer = Optimizer(stripes(), SHARED, "cpu", memory_limit=ONE_VIEW, process_group=process_group)
    textures = optimizer.optimize([describe()], [ball()])
    third = process_group.share.index == 2
    errors = []
    for data in (ObjectData(None, ()) if third else ball(), ball()):
        try:
            optimizer.optimize([describe()], [data])
        except (MemoryError, AttributeError) as error:
            errors.append(type(error).__name__)
        if third:
            _run_out_of_memory_at(3)
    return (textures[0] if textures else None), errors


def _run_out_of_memory_at(call: int) -> None:
    real, calls = Objective.backward, []

    def backward(self: Objective, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            torch.empty(1 << 60)
        return real(self, *arguments)

    Objective.backward = backward  # type: ignore[method-assign]


def test_eight_processes_make_the_texture_of_one_and_fail_together() -> None:
    """Views are shared, gradients summed; the plateau is found by validation views that are shared, too."""
    alone = Optimizer(stripes(), SHARED, "cpu", memory_limit=ONE_VIEW).optimize([describe()], [ball()])[0]
    answers = in_process_group(8, share_and_fail)
    together = answers[0][0]
    assert together.images[0].tobytes() == alone.images[0].tobytes()
    assert (together.iterations, together.coverage) == (alone.iterations, alone.coverage)
    assert together.losses.total == pytest.approx(alone.losses.total, rel=1e-6)
    assert [texture for texture, _ in answers[1:]] == [None] * 7, "one of them is enough to finish it"
    assert [errors for _, errors in answers] == [["AttributeError", "MemoryError"]] * 8


def written(folder: Path) -> dict[str, bytes]:
    """Every file of a result but run.json, with the date of the run taken out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "run.json"]
    date = re.compile(rb"\d{4}-\d\d-\d\dT[\d:+]+")
    return {str(path.relative_to(folder)): date.sub(b"", path.read_bytes()) for path in files}


def test_torchrun_writes_the_same_files_once(tmp_path: Path) -> None:
    stage, style = build_tiny_stage(tmp_path / "shot"), build_style_folder(tmp_path / "ink")
    options = ["--preset", "draft", "--device", "cpu", "--texture-resolution", "32", "--iterations", "3"]
    options += ["--batch", "2", "--memory-limit", str(ONE_VIEW), "--style-set", str(style)]
    alone = subprocess.run(
        process(stage, *options, "-o", tmp_path / "alone"),
        capture_output=True,
        text=True,
    )
    assert alone.returncode == 0, alone.stderr
    together = subprocess.run(
        [*TORCHRUN, *process(stage, *options, "-o", tmp_path / "together")[1:]],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert "2 processes, all on each object" in together.stderr
    assert together.returncode == 0, together.stderr
    assert together.stderr.count("/World/Left: done") == 1, "one process alone reports"
    assert written(tmp_path / "together") == written(tmp_path / "alone")
    assert len(written(tmp_path / "alone")) >= 6


def test_an_interrupt_of_torchrun_keeps_what_is_done(tmp_path: Path) -> None:
    stage, style = build_tiny_stage(tmp_path / "shot"), build_style_folder(tmp_path / "ink")
    options = ["--preset", "draft", "--device", "cpu", "--texture-resolution", "32", *interruptible.ENDLESS]
    command = [*TORCHRUN, interruptible.__file__, stage, *options, "--batch", "2", "--style-set", style]
    with started(*command) as run:
        read_until(run, "/World/Right: iteration")
        run.send_signal(signal.SIGINT)  # torchrun hands it on to every process
        log = run.stderr.read()
    assert "1 of 2 objects are kept" in log
    assert "rank1" not in log, "the others end in silence"
    assert {path.parent.name for path in stage.parent.rglob("*.TS.exr")} == {"World__Left"}


class Deadly:
    """Ends the process that reads it."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


def test_workers_make_the_textures_of_one_process_and_a_lost_one_costs_its_object_alone() -> None:
    names = ["World__A", "World__Deadly", "World__B", "World__C"]
    results: dict[str, Any] = {}
    reported: set[str] = set()

    def work(group: Any) -> None:
        name = group[0].name
        data: Any = Deadly() if name == "World__Deadly" else ball()
        try:
            results[name] = workers.optimize([group[0]], [data], on_iteration=lambda *_: reported.add(name))[
                0
            ]
        except WorkerError as error:
            results[name] = str(error)

    with Workers(2, stripes(), METHOD, "cpu") as workers:
        workers.each([(describe(name),) for name in names], work)
    assert "exit code 3" in results["World__Deadly"]
    assert "/World/Ball" in results["World__Deadly"]
    alone: dict[str, bytes] = {}
    optimizer = Optimizer(stripes(), METHOD, "cpu")

    def work_here(group: Any) -> None:
        alone[group[0].name] = optimizer.optimize([group[0]], [ball()])[0].images[0].tobytes()

    kept = [name for name in names if name != "World__Deadly"]
    optimizer.each([(describe(name),) for name in kept], work_here)
    assert {name: results[name].images[0].tobytes() for name in kept} == alone
    assert reported == set(kept)


def test_an_interrupt_ends_the_workers_and_leaves_nothing(tmp_path: Path) -> None:
    stage, style = build_tiny_stage(tmp_path / "shot"), build_style_folder(tmp_path / "ink")
    options = ["--preset", "draft", "--device", "cpu", "--texture-resolution", "32", *interruptible.ENDLESS]
    command = [sys.executable, interruptible.__file__, stage, *options, "--style-set", style, "--gpus", "2"]
    with started(*command) as run:
        log = read_until(run, "/World/Left: iteration", "/World/Right: iteration")
        assert "2 processes, an object each" in log
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to every process
        assert "interrupted" in run.stderr.read()
        assert run.wait() == 130
        with pytest.raises(ProcessLookupError):
            os.killpg(run.pid, 0)
    assert not list(stage.parent.glob("*stylized*"))


def test_how_a_run_is_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    method = dataclasses.replace(PRESETS["standard"], batch=8)
    assert str(choose_parallelism(Options(), method, "cpu", 5)) == ""
    assert choose_parallelism(Options(gpus=4), method, "cpu", 3).processes == 3, "none without an object"
    monkeypatch.setattr(torchrun, "_process_group", SimpleNamespace(share=Share(0, 3)))
    with pytest.raises(OptionsError, match="--batch 24"):
        choose_parallelism(Options(), method, "cpu", 5)
    monkeypatch.setattr(torchrun, "_process_group", SimpleNamespace(share=Share(0, 4)))
    assert choose_parallelism(Options(), method, "cpu", 5).together
    with pytest.raises(OptionsError, match="leave one out"):
        choose_parallelism(Options(gpus=2), method, "cpu", 5)
    for wrong in ({"gpus": 0}, {"batch": 0}, {"memory_limit": 0.0}, {"memory_limit": math.inf}):
        with pytest.raises(OptionsError):
            Options(**wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stage of two groups, a style, and the result of one process in `alone`."""
    folder = tmp_path_factory.mktemp("neighbours")
    stage = build_tiny_stage(folder / "shot")
    opened = Usd.Stage.Open(str(stage))
    paint = UsdShade.Material(opened.GetPrimAtPath("/World/Looks/Paint"))
    for number in range(3):
        prim = define_quad(opened, f"/World/More{number}", paint, x=4.0 + 2.0 * number).GetPrim()
        if number:
            prim.AddAppliedSchema("StylizeAPI")
            prim.CreateAttribute("stylize:seed", Sdf.ValueTypeNames.Int).Set(7)
    opened.Save()
    build_style_folder(folder / "ink")
    run = run_together(folder, "alone")
    assert run.returncode == 0, run.stderr
    return folder


def run_together(
    folder: Path, output: str, *options: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`--views scene` on that stage. before: what starts the command, in place of Python."""
    command = process(folder / "shot/tiny.usda", "--views", "scene", "-o", folder / output)
    return subprocess.run(
        [*(before or command[:1]), *command[1:], *SCENE, "--style-set", str(folder / "ink"), *options],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


def test_torchrun_makes_the_same_textures_of_a_group(neighbours: Path) -> None:
    run = run_together(neighbours, "together", before=tuple(TORCHRUN))
    assert run.returncode == 0, run.stderr
    assert "2 processes, all on each object" in run.stderr
    assert written(neighbours / "together") == written(neighbours / "alone")


def test_workers_with_a_group_each_make_the_same_textures(neighbours: Path) -> None:
    run = run_together(neighbours, "workers", "--gpus", "2")
    assert run.returncode == 0, run.stderr
    assert "2 processes, an object each" in run.stderr
    assert written(neighbours / "workers") == written(neighbours / "alone")
    names = {Path(name).parent.name for name in written(neighbours / "alone") if name.endswith(".TS.exr")}
    assert names == {"World__Left", "World__Right", *(f"World__More{number}" for number in range(3))}
