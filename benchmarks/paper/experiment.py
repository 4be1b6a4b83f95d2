"""What every experiment does: its columns for each subject and style, then a sheet and a table."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from PIL import Image

from benchmarks.judge_network import DEFAULT_WEIGHTS, GoogLeNet
from benchmarks.paper.cells import Cell, Column, Run, run_row
from benchmarks.paper.sheets import sheet, style_thumbnail
from benchmarks.paper.subjects import PaperSubject, read_subject
from benchmarks.paper.tables import caption, write_tables
from usdstylize import Options, optimize, styles
from usdstylize.config.options import PresetName
from usdstylize.errors import UsdStylizeError, WeightsError
from usdstylize.model.objects import StyleSet

__all__ = ["Experiment", "Settings", "command", "perform", "prepare"]


@dataclass(frozen=True)
class Settings:
    """The command line of every experiment."""

    subject: tuple[str, ...]
    """``STAGE:/PRIM``, ``NAME=STAGE:/PRIM`` or a packed subject; several by repeating it."""
    style: tuple[Path, ...]
    """An image or a folder of images; several by repeating it."""
    out: Path
    """Folder of the sheet and the tables."""
    preset: PresetName = "standard"
    """The product's, for whatever a column leaves open."""
    iterations: int | None = None
    texture_resolution: int | None = None
    resolution: int | None = None
    """Of a render; for a quick look."""
    batch: int | None = None
    """Views an iteration; for a quick look."""
    seed: int = 0
    weights: Path | None = None
    """Folder of the encoders' weights."""
    judge_weights: Path = DEFAULT_WEIGHTS
    device: str = "auto"
    measure: bool = True
    """Judge every cell."""


@dataclass(frozen=True)
class Experiment:
    """name: of the files. title: what the paper shows there. columns: of the sheet."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Callable[[Sequence[PaperSubject], Sequence[StyleSet]], Sequence[tuple[PaperSubject, StyleSet]]] = (
        lambda subjects, sets: [(subject, style) for style in sets for subject in subjects]
    )
    show_style: bool = True


def prepare(settings: Settings) -> tuple[Run, list[PaperSubject], list[StyleSet]]:
    """Everything read that the cells need.

    Raises UsdStylizeError. Without a judge's weights it is left out, with a note.
    """
    device = optimize.choose_device(settings.device)
    judge = None
    if settings.measure:
        try:
            judge = GoogLeNet(settings.judge_weights, device)
        except WeightsError as error:
            print(f"not measured: {error}", file=sys.stderr)
    options = Options(
        preset=settings.preset,
        iterations=settings.iterations,
        texture_resolution=settings.texture_resolution,
        seed=settings.seed,
        weights=settings.weights,
        color_start=0.0,  # the paper has neither
        variety=0.0,
        device="cuda" if device.startswith("cuda") else "cpu",
    )
    quick = {"resolution": settings.resolution, "batch": settings.batch}
    run = Run(options, judge, device, method={k: v for k, v in quick.items() if v is not None})
    sets = [
        styles.load(path, primary=None, palette=None, clusters=8, seed=settings.seed)
        for path in settings.style
    ]
    return run, [read_subject(text) for text in settings.subject], sets


def perform(
    experiment: Experiment, run: Run, subjects: Sequence[PaperSubject], sets: Sequence[StyleSet], out: Path
) -> list[tuple[str, list[Cell]]]:
    """Make every cell, print each, and write ``NAME.jpg``, ``NAME.md`` and ``NAME.json`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, list[Cell]]] = []
    pictures: list[tuple[str, list[Any]]] = []
    captions: list[list[str]] = []
    for subject, style in experiment.rows(subjects, sets):
        if time.monotonic() > run.until:
            break
        title = f"{subject.name}, {style.name}"
        cells, _ = run_row(subject, style, experiment.columns, run)
        for cell in cells:
            text = cell.missing or caption(cell).replace("\n", "  ")
            label = cell.label.replace("\n", " ")
            print(f"{experiment.name}: {title}: {label}: {text} ({cell.seconds:.1f} s)", flush=True)
        rows.append((title, cells))
        shown: list[Any] = [cell.missing if cell.picture is None else cell.picture for cell in cells]
        first = [style_thumbnail([image.pixels for image in style.images])] if experiment.show_style else []
        pictures.append((title, [*first, *shown]))
        captions.append([*([""] if first else []), *(caption(cell) for cell in cells)])
        # after every row: what is done is there, whatever comes
        labels = [*(["style"] if first else []), *(column.label for column in experiment.columns)]
        sheet(labels, pictures, captions, out / f"{experiment.name}.jpg")
        _keep(experiment, len(rows), cells, out / "cells")
        about = {"title": experiment.title, "device": run.device, "settings": _plain(run)}
        write_tables(rows, about, out, experiment.name)
    return rows


def _keep(experiment: Experiment, row: int, cells: Sequence[Cell], folder: Path) -> None:
    """The pictures themselves, for a sheet of another layout."""
    folder.mkdir(exist_ok=True)
    for number, cell in enumerate(cells, start=1):
        if cell.picture is not None:
            Image.fromarray(cell.picture).save(folder / f"{experiment.name}_{row}_{number}.jpg", quality=92)


def command(*experiments: Experiment) -> App:
    """The command line of one or several that belong together: ``sys.exit(command(EXPERIMENT)())``."""
    title = " ".join(experiment.title for experiment in experiments)
    app = App(name=f"benchmarks.paper.{experiments[0].name}", help=title, result_action="return_value")

    @app.default
    def main(*, settings: Annotated[Settings, Parameter(name="*")]) -> int:
        try:
            run, subjects, sets = prepare(settings)
            for experiment in experiments:
                perform(experiment, run, subjects, sets, settings.out)
        except UsdStylizeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0

    return app


def _plain(run: Run) -> dict[str, Any]:
    given = {name: value for name, value in vars(run.options).items() if value not in (None, (), False)}
    return {name: str(value) for name, value in {**given, **run.method}.items() if name != "weights"}
