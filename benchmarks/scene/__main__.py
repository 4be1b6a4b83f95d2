"""One style across a scene: measures of written results.

    python -m benchmarks.scene street OUT               a stage of 27 objects whose sizes differ by 20
    python -m benchmarks.scene circles OUT              a style set of one image of equal discs: OUT/circles
    python -m benchmarks.scene objects RESULT.stylized.usda [--mask PRIM]
    python -m benchmarks.scene compare A.stylized.usda B.stylized.usda …
    python -m benchmarks.scene sheet OUT.jpg A.stylized.usda B.stylized.usda …
    python -m benchmarks.scene distances RESULT.stylized.usda --style-set DIR

`compare` prints a Markdown table, a column for every style of every result. README.md here says what
each number means and where its goal lies.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from cyclopts import App
from rich.console import Console

from benchmarks.judge_network import DEFAULT_WEIGHTS, GoogLeNet
from benchmarks.results import read_style, style_layout, style_names
from benchmarks.scene.circle_style import RADIUS, write_style_set
from benchmarks.scene.distances import quality_by_distance
from benchmarks.scene.measured import (
    MeasuredObject,
    MeasuredResult,
    measure_result,
    metres_per_unit,
    settings_of,
)
from benchmarks.scene.sheet import sheet as make_sheet
from benchmarks.scene.street import CAMERA, write_street
from tests.storm.storm_python import STORM_PYTHON
from usdstylize.errors import UsdStylizeError
from usdstylize.usd.write.provenance import read_run

app = App(name="benchmarks.scene", help="One style across a scene: measures of written results.")

_MM = 1e3


@app.command
def street(out: Path, /) -> int:
    """Write the generated street, `street.usda` with its textures, into a folder.

    Parameters
    ----------
    out
        The folder, made where it is missing.
    """
    print(write_street(out))
    return 0


@app.command
def circles(out: Path, /, *, radius: float = RADIUS, size: int = 1024) -> int:
    """Draw the style set of equal discs into a folder `circles` in another.

    Parameters
    ----------
    out
        The folder around it, made where it is missing.
    radius
        Of a disc, as a fraction of the image's width.
    size
        Width and height of the image, in pixels.
    """
    print(write_style_set(out, size, radius))
    return 0


@app.command
def objects(result: Path, /, *, style: str | None = None, pixel: float | None = None, mask: str = "/") -> int:
    """Measure a result object by object.

    Parameters
    ----------
    result
        The .stylized.usda that a run has written.
    style
        Which of its styles; all where not given.
    pixel
        Length on the surface, metres, that a pixel of the encoder covers; as the run's settings say where
        not given.
    mask
        Only objects at or under this prim path.
    """

    def show() -> None:
        for name in (style,) if style else style_names(result):
            print(f"{result.name}, {name}; lengths in mm on the surface\n")
            print(_line(_HEADINGS))
            print(_line(["---", *["---:"] * (len(_HEADINGS) - 1)]))
            for item in measure_result(result, name, pixel=pixel, mask=mask):
                print(_line(_object_cells(item)), flush=True)
            print()

    return _run(show)


@app.command
def sheet(out: Path, /, *results: Path, camera: str = CAMERA, width: int = 640) -> int:
    """Pictures of results beside each other: from the camera, and from a half and a quarter of its distance.

    Parameters
    ----------
    out
        The picture to write, .jpg or .png.
    results
        The .stylized.usda of each run; every style in it gets a column.
    camera
        Prim path of the stage's camera.
    width
        Of a picture, in pixels.
    """

    def show() -> None:
        make_sheet(results, camera, width).save(out, quality=84)

    return _run(show)


@app.command
def compare(*results: Path, pixel: float | None = None, patch: float | None = None, mask: str = "/") -> int:
    """Measure several results and print one Markdown table.

    Parameters
    ----------
    results
        The .stylized.usda of each run; every style in it gets a column.
    pixel
        Length on the surface, metres, that a pixel of the encoder covers; as each run's settings say where
        not given.
    patch
        Width, metres, of the patches that are equally wide on all objects; 1/16 of each run's pattern width
        where not given.
    mask
        Only objects at or under this prim path.
    """

    def show() -> None:
        found = []
        console = Console(stderr=True)
        for result in results:
            for style in style_names(result):
                console.print(f"measuring {result}, {style}")
                measured = tuple(measure_result(result, style, pixel=pixel, patch=patch, mask=mask))
                seconds = float(read_run(style_layout(result, style)).get("seconds", float("nan")))
                name = f"{result.parent.name}/{result.name.partition('.')[0]}"
                found.append(MeasuredResult(name, style, measured, seconds, metres_per_unit(result)))
        print(table(found))

    return _run(show)


@app.command
def distances(
    result: Path,
    /,
    *,
    style_set: Path,
    camera: str = CAMERA,
    pattern_width: float | None = None,
    judge_weights: Path = DEFAULT_WEIGHTS,
) -> int:
    """Judge what the stage's camera sees, and the same from a half and a quarter of the distance.

    Parameters
    ----------
    result
        The .stylized.usda that a run has written.
    style_set
        The folder of concept art that it was made with.
    camera
        Prim path of the stage's camera.
    pattern_width
        Metres; judges, too, pictures as wide as that. The run's own where not given and it has one.
    judge_weights
        The file of BVLC GoogLeNet.
    """
    if not STORM_PYTHON.is_file():
        print(f"error: {STORM_PYTHON} is missing; .ci/run makes it, or set USDSTYLIZE_STORM_PYTHON.")
        return 2

    def show() -> None:
        style = read_style(result, style_set)
        width = pattern_width or settings_of(result, style.name).get("pattern_width")
        network = GoogLeNet(judge_weights)
        found = quality_by_distance(result, style, network, camera=camera, pattern_width=width)
        print(_line(["distance", *found]))
        print(_line(["---", *["---:"] * len(found)]))
        print(_line(["Q", *(f"{value:.2f}" for value in found.values())]))

    return _run(show)


def table(results: Sequence[MeasuredResult]) -> str:
    """A row per measure, a column per result."""
    lines = [
        _line(["measure", *(f"{result.name} ({result.style})" for result in results)]),
        _line(["---", *["---:"] * len(results)]),
    ]
    lines += [_line([name, *(measure(result) for result in results)]) for name, measure in _ROWS]
    return "\n".join(lines)


def _run(work: Callable[[], None]) -> int:
    try:
        work()
    except UsdStylizeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str = ".2f") -> str:
    return "–" if value is None else f"{value:{form}}"


def _median(result: MeasuredResult, what: str) -> float | None:
    values = result.values(what)
    return float(np.median(values)) if values else None


def _variation(what: str) -> Callable[[MeasuredResult], str]:
    def cell(result: MeasuredResult) -> str:
        count, found = len(result.values(what)), result.variation(what)
        return "–" if found is None else f"{found:.2f} ({count} of {len(result.objects)})"

    return cell


def _range(values: Sequence[float], form: str = ".2f") -> str:
    return f"{min(values):{form}} to {max(values):{form}}" if values else "–"


def _lengths(what: str) -> Callable[[MeasuredResult], str]:
    """Median, least and most, in millimetres and, the median, in the stage's units."""

    def cell(result: MeasuredResult) -> str:
        values, middle = result.values(what), _median(result, what)
        if middle is None:
            return "–"
        return (
            f"{middle * _MM:.2f} mm ({_range([_MM * value for value in values])}), "
            f"{middle / result.metres_per_unit:.3g} units"
        )

    return cell


def _shares(result: MeasuredResult) -> str:
    values = result.values("above_band")
    return f"{100 * max(values):.2f} %, {100 * float(np.mean(values)):.2f} %" if values else "–"


def _borders(result: MeasuredResult) -> str:
    color, direction = _median(result, "borders.color"), _median(result, "borders.direction")
    count = len(result.values("borders.color"))
    return f"{_number(color)}, {_number(direction)} ({count})" if count else "–"


def _specks(result: MeasuredResult) -> str:
    isolated = sum(item.specks.isolated for item in result.objects)
    every = sum(item.specks.count for item in result.objects)
    worst = max((item.specks.per_million for item in result.objects), default=0.0)
    return f"{isolated}, {worst:.0f}; {every}"


def _regions(result: MeasuredResult) -> str:
    found = [f"{name} {value:.2f}" for item in result.objects for name, value in item.regions.items()]
    return ", ".join(found) or "–"


def _texels(result: MeasuredResult) -> str:
    areas = [item.size[0] * item.size[1] for item in result.objects]
    return f"{sum(areas) / 2**20:.1f} Mi, {int(np.sqrt(max(areas, default=0)))}²"


_ROWS: tuple[tuple[str, Callable[[MeasuredResult], str]], ...] = (
    ("disc radius, CV (objects)", _variation("discs.radius")),
    ("disc radius, median (range)", _lengths("discs.radius")),
    ("disc stretch, median", lambda result: _number(_median(result, "discs.stretch"))),
    ("autocorrelation length, CV (objects)", _variation("length")),
    ("autocorrelation length, median (range)", _lengths("length")),
    ("the same within equally wide patches, CV (objects)", _variation("stroke_length")),
    ("the same within equally wide patches, median (range)", _lengths("stroke_length")),
    ("depth of the objects, m", lambda result: _range(result.values("depth"))),
    ("energy above the seen band, most, mean", _shares),
    ("window borders, colour, direction (surfaces)", _borders),
    ("isolated specks, most per million texels; all outliers", _specks),
    ("regions, correlation", _regions),
    ("texels of T_S, largest", _texels),
    ("seconds of the run", lambda result: f"{result.seconds:.0f}"),
)

_HEADINGS = (
    "object", "radius", "depth, m", "T_S", "texel", "seen pixel", "disc radius", "stretch", "discs",
    "autocorrelation", "above band", "specks", "outliers", "regions",
)  # fmt: skip


def _object_cells(item: MeasuredObject) -> list[str]:
    discs = item.discs
    length = None if item.length is None else item.length * _MM
    share = None if item.above_band is None else 100 * item.above_band
    return [
        item.path,
        f"{item.radius * _MM:.0f}",
        _number(item.depth),
        f"{item.size[0]} × {item.size[1]}",
        f"{item.texel * _MM:.2f}",
        f"{item.seen * _MM:.2f}",
        _number(discs.radius * _MM if discs else None),
        _number(discs.stretch if discs else None),
        str(discs.count if discs else 0),
        _number(length),
        "–" if share is None else f"{share:.2f} %",
        str(item.specks.isolated),
        str(item.specks.count),
        ", ".join(f"{name} {value:.2f}" for name, value in item.regions.items()),
    ]


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
