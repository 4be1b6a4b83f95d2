"""One cell of an experiment: subject × style × settings, to T_S, a picture and the judge's scores."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.judge_network import FeatureNetwork
from benchmarks.paper.subjects import PaperSubject
from benchmarks.scores import Scores, judge_all
from usdstylize import Options, optimize, render
from usdstylize.config.method import Method
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.errors import ObjectError, WeightsError
from usdstylize.model.objects import StyleSet

__all__ = ["Cell", "Column", "Making", "Run", "picture", "run_row"]

Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]
Making = Callable[[PaperSubject, StyleSet, "Run"], Float32]
"""A T_S (H, W, 3) without the product's optimisation."""

_EYE, _LIGHT = (1.4, 0.85, -1.9), (2.4, 2.8, -1.6)
"""Where the pictures are taken from, in bounding radii, and where their light is."""


@dataclass(frozen=True)
class Column:
    """Settings that a column of a sheet stands for: options of the product, over the run's.

    method: values that no option sets. style: what becomes of the row's style, such as another
    palette. making: a T_S made otherwise.
    """

    label: str
    options: Mapping[str, Any] = field(default_factory=dict)
    method: Mapping[str, Any] = field(default_factory=dict)
    style: Callable[[StyleSet], StyleSet] | None = None
    making: Making | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """What all cells of a run share. options: the run's own, under those of the columns."""

    options: Options
    judge: FeatureNetwork | None
    device: str
    picture_side: int = 512
    method: Mapping[str, Any] = field(default_factory=dict)
    """Values that no option sets, for a quick look: resolution, batch, view_pool."""
    until: float = math.inf
    """`time.monotonic` after which no cell is begun."""
    made: dict[Any, tuple[Float32, float]] = field(default_factory=dict)
    """T_S and coverage of cells that several experiments share."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A column's outcome. missing: why there is none, in a sentence; then all else is None."""

    label: str
    seconds: float = 0.0
    texture: Float32 | None = None
    picture: UInt8 | None = None
    scores: Scores | None = None
    coverage: float | None = None
    missing: str = ""

    def numbers(self) -> dict[str, Any]:
        """The cell as plain values, for a table."""
        found: dict[str, Any] = {"cell": self.label, "seconds": round(self.seconds, 1)}
        if self.missing:
            return found | {"missing": self.missing}
        if self.coverage is not None:
            found["coverage"] = self.coverage
        if self.scores is not None:
            found |= asdict(self.scores)
            found["failed"] = [name for name, good in self.scores.gates.items() if not good]
        return found


def run_row(
    subject: PaperSubject, style: StyleSet, columns: Sequence[Column], run: Run
) -> tuple[list[Cell], list[StyleSet]]:
    """Every column's cell for one subject and style, and the style each was made and judged with.

    A cell whose weights are missing says so; one object that fails fails alone.
    """
    sets = [column.style(style) if column.style else style for column in columns]
    cells = [_make(subject, own, column, run) for column, own in zip(columns, sets, strict=True)]
    if run.judge is None:
        return cells, sets
    for own in {id(own): own for own in sets}.values():
        mine = [n for n, cell in enumerate(cells) if sets[n] is own and cell.texture is not None]
        textures = {str(n): _texture(cells[n]) for n in mine}
        scores = judge_all(subject.data, textures, own, run.judge, wrap=subject.object.wrap) if mine else {}
        for n in mine:
            cells[n] = replace(cells[n], scores=scores[str(n)])
    return cells, sets


def resolved(column: Column, run: Run) -> Method:
    """The method of a column's optimisation."""
    own = replace(run.options, **column.options)
    return replace(resolve(own, cuda=run.device.startswith("cuda")), **{**run.method, **column.method})


def _make(subject: PaperSubject, style: StyleSet, column: Column, run: Run) -> Cell:
    started = time.perf_counter()
    coverage = None
    if time.monotonic() > run.until:
        return Cell(column.label, missing="Not run: the time was over.")
    try:
        if column.making is not None:
            texture = column.making(subject, style, run)
        else:
            method = resolved(column, run)
            hashes = tuple(image.sha256 for image in style.images)
            key = (subject.name, hashes, style.palette.tobytes(), method)
            if key not in run.made:
                optimizer = optimize.Optimizer(style, method, run.device, weights=run.options.weights)
                found = optimizer.optimize([subject.object], [subject.data])[0]
                run.made[key] = found.images[0], found.coverage
            texture, coverage = run.made[key]
    except WeightsError as error:  # short: where it was looked for is of no interest in a sheet
        missing = str(error).partition(":")[0].rstrip(".") + "."
        return Cell(column.label, time.perf_counter() - started, missing=missing)
    except ObjectError as error:
        return Cell(column.label, time.perf_counter() - started, missing=str(error))
    seconds = time.perf_counter() - started
    return Cell(column.label, seconds, texture, picture(subject, texture, run), coverage=coverage)


def _texture(cell: Cell) -> Float32:
    assert cell.texture is not None
    return cell.texture


def picture(subject: PaperSubject, texture: Float32, run: Run) -> UInt8:
    """(R, R, 3) uint8: one lit view on white."""
    side = run.picture_side
    method = replace(PRESETS["standard"], resolution=2 * side)
    mesh = render.normalize(subject.data.mesh)
    size = (texture.shape[0], texture.shape[1])
    sheet = render.one_sheet(mesh, subject.data.bases[0], subject.object.wrap, subject.data.transfer)
    scene = render.Subject(sheet, size, run.device)
    visibility = render.choose_visibility("auto", mesh.points, mesh.triangles, run.device)
    camera = render.look_at(np.array(_EYE), np.array(_LIGHT), method.field_of_view)
    views = render.trace_views(scene, visibility, [camera], method)
    table = render.mip_table(torch.from_numpy(np.ascontiguousarray(texture)).to(run.device))
    white = torch.ones(3, 2 * side, 2 * side, device=run.device)
    image = torch.nn.functional.avg_pool2d(render.paint(render.join(views), table, white), 2)[0]
    shown: UInt8 = (image.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().cpu().numpy()
    return shown
