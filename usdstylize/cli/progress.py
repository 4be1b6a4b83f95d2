"""Progress on stderr: bars on a terminal, lines in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from usdstylize.cli.console import count, note, seconds, terminal
from usdstylize.config.options import PerformanceOptions
from usdstylize.encoders import weights
from usdstylize.model.objects import Losses, StageObject
from usdstylize.model.results import ObjectResult, Observer, Plan, Silent

__all__ = ["BarProgress", "LineProgress", "download", "observe"]


@contextmanager
def observe(options: PerformanceOptions, *, quiet: bool) -> Iterator[Observer]:
    """The observer that fits: bars on a terminal, a line per object in a log, nothing when quiet."""
    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield BarProgress(options, bars)
    else:
        yield LineProgress(options)


class LineProgress:
    """A line when an object starts and when it ends."""

    def __init__(self, options: PerformanceOptions) -> None:
        self._options = options
        self._total = 0
        self._started = 0
        self._ended = 0

    def planned(self, plan: Plan) -> None:
        self._total = len(plan.objects)
        for line in _announcement(plan, self._options):
            note(line)

    def object_started(self, obj: StageObject, iterations: int) -> None:
        self._started += 1
        note(f"[{self._started}/{self._total}] {obj.path}: {iterations} iterations")

    def iteration(self, obj: StageObject, number: int, losses: Losses) -> None: ...

    def object_ended(self, result: ObjectResult) -> None:
        self._ended += 1
        note(f"[{self._ended}/{self._total} done] {result.path}: {_outcome(result)}")


class BarProgress:
    """A bar over all objects with the time left, and one with the losses for each object in progress."""

    def __init__(self, options: PerformanceOptions, bars: Progress) -> None:
        self._options = options
        self._bars = bars
        self._iterations = 1
        self._overall = bars.add_task("All objects", total=None, visible=False, losses="")
        self._current: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}

    def planned(self, plan: Plan) -> None:
        for line in _announcement(plan, self._options):
            self._bars.console.print(line, soft_wrap=True)
        self._iterations = int(plan.settings["iterations"])
        # Counted in iterations, so that the time left is known before the first object is done.
        self._bars.update(self._overall, total=len(plan.objects) * self._iterations)

    def object_started(self, obj: StageObject, iterations: int) -> None:
        self._bars.update(self._overall, visible=True)
        self._current[obj.path] = self._bars.add_task(obj.path, total=iterations, losses="")

    def iteration(self, obj: StageObject, number: int, losses: Losses) -> None:
        text = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
        self._bars.update(self._current[obj.path], completed=number, losses=text)
        self._count(obj.path, number)

    def object_ended(self, result: ObjectResult) -> None:
        if result.path in self._current:
            self._bars.refresh()  # its last losses, which may not be drawn yet
            self._bars.remove_task(self._current.pop(result.path))
        self._count(result.path, self._iterations)
        self._bars.console.print(f"{result.path}: {_outcome(result)}", soft_wrap=True)

    def _count(self, path: str, iterations: int) -> None:
        self._done[path] = iterations
        self._bars.update(self._overall, completed=sum(self._done.values()))


@contextmanager
def download(name: str, *, quiet: bool) -> Iterator[weights.Progress]:
    """A callback for `weights.fetch`: a bar on a terminal, a line in a log, nothing before the first byte."""
    title = f"Fetching the weights of {name}"
    if quiet:
        yield lambda received, total: None
    elif not sys.stderr.isatty():
        announced: list[str] = []

        def announce(received: int, total: int | None) -> None:
            if not announced:
                announced.append(title)
                note(f"{title} ...")

        yield announce
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=terminal(sys.stderr)) as bars:
            task = bars.add_task(title, total=None, visible=False)
            yield lambda received, total: bars.update(task, completed=received, total=total, visible=True)


def _announcement(plan: Plan, options: PerformanceOptions) -> Iterator[str]:
    """One line with preset, device and encoder, and one with stage, style and number of objects."""
    where = f"{plan.device}, {plan.parallelism}" if plan.parallelism else plan.device
    chosen = f"preset {plan.preset} on {where} (encoder {plan.settings['encoder']})"
    if options.preset != "auto":
        yield f"Using {chosen}."
    elif plan.preset == "standard":
        yield f"CUDA GPU found: {chosen}."
    else:
        why = "On the CPU as asked" if options.device == "cpu" else "No CUDA GPU"
        yield f"{why}: {chosen}; --preset standard for the full quality, far slower without a GPU."
    if plan.settings["visibility"] == "nvdiffrast":
        yield "Note: visible surfaces by nvdiffrast, whose licence forbids commercial use."
    for text in plan.notes:
        yield f"Note: {text}"
    left_out = f", {len(plan.skipped)} left out" if plan.skipped else ""
    yield (
        f"{plan.stage.name}: {count(len(plan.objects), 'object')} to stylise with {plan.style} "
        f"({count(len(plan.style_images), 'image')}, palette {' '.join(plan.palette)}){left_out}."
    )


def _outcome(result: ObjectResult) -> str:
    if result.status == "failed":
        return f"failed: {result.reason}"
    if result.status == "kept":
        return "kept, it was done before"
    if result.copy_of:
        return f"done, a copy of {result.copy_of}"
    coverage = "" if result.coverage is None else f", coverage {result.coverage:.0%}"
    return f"done in {seconds(result.seconds)}{coverage}"


def _bars() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}", markup=False),
        console=terminal(sys.stderr),
        transient=True,
    )
