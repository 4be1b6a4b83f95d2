"""The draft preset on still_life: wall time, peak memory, and where an iteration's time goes.

python -m benchmarks.draft

The product's own stopwatch separates visibility, forward and backward. Shading, encoder and
matching are timed from here, by wrapping those functions for the time of the run: the product
has no such hooks and pays nothing for them. Their gradients run inside `backward`, which PyTorch
does in one piece. On a CUDA device work is asynchronous and the split means little.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from cyclopts import App
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_bytes
from usdstylize import Options, RunResult, StageObject, pipeline
from usdstylize.encoders import weights
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.encoders.draft import Architecture, DraftEncoder
from usdstylize.encoders.loading import precision
from usdstylize.encoders.vgg16 import Vgg16
from usdstylize.errors import UsdStylizeError
from usdstylize.losses import objective, terms
from usdstylize.model.results import ObjectResult, Silent
from usdstylize.render import Subject

__all__ = ["PARTS", "ObjectTimes", "main", "timed_stylize"]

MEMORY_GOAL = 4.0
"""GB."""
WALL_GOAL = 180.0
"""Seconds, on 2 cores."""
ENCODER_GOAL = 0.2
"""Of VGG16's time, forward and backward."""
BEFORE_GOAL = 0.5
"""Of the time of the checkout given as ``--before``."""
PARTS = ("visibility", "shading", "encoder", "matching", "backward")

_SAMPLES = Path(__file__).parents[1] / "sample_stages"
_LOOP = ("visibility", "targets", "iterations")
"""Laps of the product's stopwatch that belong to iterations."""
_WRAPPED: tuple[tuple[str, Any, str], ...] = (
    ("shading", objective, "paint"),
    ("shading", Subject, "style_table"),
    ("encoder", DraftEncoder, "forward"),
    ("encoder", Vgg16, "forward"),
    ("encoder", ClipResNet50, "forward"),
    ("matching", terms, "nnfm_loss"),
    ("backward", torch.Tensor, "backward"),
)

app = App(name="benchmarks.draft", help="The draft preset on still_life.")


@dataclass(frozen=True)
class ObjectTimes:
    """One object's seconds: all of it, its iterations', and those by part ("other" is the rest)."""

    path: str
    iterations: int
    wall: float
    loop: float
    parts: dict[str, float]


@dataclass
class _Watch(Silent):
    """Adds up what the wrapped functions take, object by object, each in the thread it runs in."""

    local: threading.local = field(default_factory=threading.local)
    objects: list[ObjectTimes] = field(default_factory=list)

    def object_started(self, obj: StageObject, iterations: int) -> None:
        self.local.seconds = {}
        self.local.started = time.perf_counter()

    def object_ended(self, result: ObjectResult) -> None:
        laps = result.stages or {}
        parts = {
            **self.local.seconds,
            "visibility": laps.get("visibility", 0.0),
        }
        loop = sum(laps.get(name, 0.0) for name in _LOOP)
        parts["other"] = loop - sum(parts.values())
        wall = time.perf_counter() - self.local.started
        self.objects.append(ObjectTimes(result.path, result.iterations, wall, loop, parts))

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its time added to ``part``."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - started
                seconds = vars(self.local).setdefault("seconds", {})
                seconds[part] = seconds.get(part, 0.0) + spent

        return timed


def timed_stylize(stage: Path, style_set: Path, options: Options) -> tuple[RunResult, list[ObjectTimes]]:
    """`usdstylize.stylize`, with every object's times."""
    watch = _Watch()
    with _wrapped(watch):
        result = pipeline.stylize(stage, style_set, options, observer=watch)
    return result, watch.objects


@contextmanager
def _wrapped(watch: _Watch) -> Iterator[None]:
    with ExitStack() as stack:
        for part, owner, name in _WRAPPED:
            stack.enter_context(patch.object(owner, name, watch.wrap(part, getattr(owner, name))))
        yield


@app.default
def main(
    *,
    stage: Path = _SAMPLES / "still_life.usda",
    style_set: Path = _SAMPLES / "styles" / "gouache",
    iterations: int | None = None,
    mask: str = "/",
    before: Path | None = None,
) -> int:
    """Stylise into a temporary folder; the exit code is 1 where a goal is missed or an object fails.

    Parameters
    ----------
    stage
        The stage to stylise.
    style_set
        The folder of concept art.
    iterations
        Fewer than the preset's, for a quick look at the split.
    mask
        Only what lies at or under this prim path.
    before
        An older checkout: the same command is run with it, too, each in a process of its own.
    """
    ratio = encoder_ratio()
    versus: tuple[float, float] | None = None
    if before is not None:
        trees = (before, _SAMPLES.parent)
        (old, old_peak), (new, new_peak) = (_command(tree, stage, style_set, mask) for tree in trees)
        print(f"the command: {old:.1f} s, {old_peak:.2f} GB before; {new:.1f} s, {new_peak:.2f} GB now")
        versus = new / old, new_peak / old_peak
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            preset="draft",
            output=Path(folder),
            iterations=iterations,
            mask=() if mask == "/" else (mask,),
        )
        started = time.perf_counter()
        try:
            result, objects = timed_stylize(stage, style_set, options)
        except UsdStylizeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        wall = time.perf_counter() - started
    memory = peak_bytes() / 1e9

    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_split_table(result, objects))
    met = [wall <= WALL_GOAL, memory < MEMORY_GOAL, ratio <= ENCODER_GOAL]
    rows = [
        ("wall time, s", f"{wall:.1f}", f"≤ {WALL_GOAL:g}"),
        ("peak memory, GB", f"{memory:.2f}", f"< {MEMORY_GOAL:g}"),
        ("encoder over VGG16, 4 × 256²", f"{ratio:.3f}", f"≤ {ENCODER_GOAL:g}"),
    ]
    if versus is not None:
        met += [versus[0] <= BEFORE_GOAL, versus[1] <= 1]
        rows.append(("the command over --before", f"{versus[0]:.2f}", f"≤ {BEFORE_GOAL:g}"))
        rows.append(("its memory over --before", f"{versus[1]:.2f}", "≤ 1"))
    table = Table()
    for heading in ("", "measured", "goal", ""):
        table.add_column(heading, justify="right" if heading else "left")
    for (name, value, goal), good in zip(rows, met, strict=True):
        table.add_row(name, value, goal, "met" if good else "[red]missed[/red]")
    console.print(table)
    for failed in result.failed:
        print(f"failed: {failed.reason}", file=sys.stderr)
    return 0 if all(met) and not result.failed else 1


def encoder_ratio() -> float:
    """The draft encoder's time over VGG16's at 4 × 256², forward and backward to the images, on one core.

    Their weights are random: they do not change the time.
    """
    dtype = precision("cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    best = {}
    images = torch.rand(4, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    try:
        for network in (DraftEncoder(_shipped_architecture()), Vgg16(caffe=True)):
            network = network.eval().requires_grad_(False).to(dtype, memory_format=torch.channels_last)
            seconds = []
            for _ in range(4):
                started = time.perf_counter()
                given = images.clone().requires_grad_(True)
                found = network(given)
                torch.autograd.backward(found, [torch.ones_like(rows) for rows in found])
                seconds.append(time.perf_counter() - started)
            best[type(network)] = min(seconds)
    finally:
        torch.set_num_threads(threads)
    return best[DraftEncoder] / best[Vgg16]


def _shipped_architecture() -> Architecture:
    return DraftEncoder.from_file(weights.locate("draft", None)).architecture


def _command(tree: Path, stage: Path, style_set: Path, mask: str) -> tuple[float, float]:
    """Wall time, imports included, and peak memory in GB of the whole command with a checkout's package.

    It runs a second time, as on any day but the first: its bytecode is there, and the files are cached.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "usdstylize", str(stage.absolute())]
        command += [
            "--style-set",
            str(style_set.absolute()),
            "--preset",
            "draft",
            "--device",
            "cpu",
            "--quiet",
        ]
        command += [] if mask == "/" else ["--mask", mask]
        environment = {**os.environ, "PYTHONPATH": str(tree.absolute())}
        environment["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for output, fewer in (("first", ["--iterations", "1"]), ("second", [])):
            started = time.perf_counter()
            process = subprocess.Popen(
                [*command, *fewer, "--output", f"{folder}/{output}"],
                env=environment,
                cwd=tree,
                stdout=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, process.args)
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def _split_table(result: RunResult, objects: list[ObjectTimes]) -> Table:
    settings = result.plan.settings
    table = Table(
        title=f"{result.plan.stage.name}, {result.plan.preset}, {settings['batch']} × "
        f"{settings['resolution']}², up to {settings['objects_at_once']} objects side by side; "
        "parts in ms per iteration",
        title_justify="left",
    )
    table.add_column("object")
    for heading in ("iterations", "seconds", "s/iteration", *PARTS, "other"):
        table.add_column(heading, justify="right")
    for times in objects:
        table.add_row(times.path, *_cells(times))
    total = ObjectTimes(
        "all",
        sum(times.iterations for times in objects),
        sum(times.wall for times in objects),
        sum(times.loop for times in objects),
        {name: sum(times.parts.get(name, 0.0) for times in objects) for name in (*PARTS, "other")},
    )
    table.add_section()
    table.add_row(total.path, *_cells(total))
    return table


def _cells(times: ObjectTimes) -> list[str]:
    count = max(1, times.iterations)
    return [
        str(times.iterations),
        f"{times.wall:.1f}",
        f"{times.loop / count:.3f}",
        *(f"{1e3 * times.parts.get(name, 0.0) / count:.1f}" for name in (*PARTS, "other")),
    ]


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
