"""Whether every style arrives on every object: subject × style × variant.

    python -m benchmarks.pairs draw DIR                                       six styles of our own making
    python -m benchmarks.pairs run --subjects A.npz … --styles IMAGE_OR_FOLDER … --out OUT \
        --variants plain: --variants both:color_start=0.3,variety=1.0 [--share 0/4]
    python -m benchmarks.pairs sheet OUT … --before plain --after both --to pairs
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import App, Parameter
from PIL import Image

from benchmarks.judge_network import DEFAULT_WEIGHTS, GoogLeNet
from benchmarks.pairs import drawn_styles
from benchmarks.pairs.cells import Settings, parse_values, parse_variant, run_pairs
from benchmarks.pairs.sheet import contact_sheet, read_lines, table
from benchmarks.paper.cells import Run
from benchmarks.paper.subjects import read_subject
from usdstylize import Options, optimize, styles
from usdstylize.config.options import PresetName
from usdstylize.errors import OptionsError, UsdStylizeError
from usdstylize.render import available_cores

app = App(name="benchmarks.pairs", help="Whether every style arrives on every object.")

_Many = Parameter(consume_multiple=True)


@app.command
def draw(out: Path, /, *, seed: int = 0) -> int:
    """Draw woodcut, watercolour, pixel art, blueprint, mosaic and pastel as NAME.png.

    Parameters
    ----------
    out
        The folder, made where it is missing.
    """
    for path in drawn_styles.write(out, seed):
        print(path)
    return 0


@app.command
def run(
    *,
    subjects: Annotated[tuple[str, ...], _Many],
    styles_: Annotated[tuple[Path, ...], Parameter(name="--styles", consume_multiple=True)],
    out: Path,
    variants: Annotated[tuple[str, ...], _Many] = ("plain:",),
    encoder: str | None = None,
    preset: PresetName = "standard",
    iterations: int | None = None,
    seeds: Annotated[tuple[int, ...], _Many] = (0,),
    common: str = "",
    pattern_width: float = 0.0,
    share: str = "0/1",
    seconds: float = float("inf"),
    weights: Path | None = None,
    judge_weights: Path = DEFAULT_WEIGHTS,
    device: str = "auto",
    rivals: bool = False,
) -> int:
    """Make, judge and keep every cell; what is there already is not made again.

    Parameters
    ----------
    subjects
        Packed subjects, or what else `benchmarks.paper.subjects` reads.
    styles_
        Images, or folders of them, each a style set of its own.
    out
        Folder of JSON lines and pictures; processes that divide the cells may share it.
    variants
        Each ``name:field=value,field=value``, fields of `Method`.
    encoder
        Instead of the preset's.
    common
        ``field=value,field=value`` for all variants, such as ``resolution=64,batch=1``.
    pattern_width
        Of the object's diameter, from 0.5 to 1 or so; 0: each object is seen as a whole.
    share
        ``i/n``: of the pairs, dealt to n processes in turn, those of process i, from 0.
    seconds
        After which no cell is begun.
    rivals
        Measure the original, a recolour, noise and the style laid on by UV, too.
    """
    until = time.monotonic() + seconds
    try:
        number, _, count = share.partition("/")
        part = (int(number), int(count))
        if not 0 <= part[0] < part[1]:
            raise ValueError
    except ValueError:
        print(f"error: --share {share} is no share; give i/n with i from 0 to n - 1.", file=sys.stderr)
        return 2
    torch.set_num_threads(max(1, available_cores() // part[1]))
    try:
        where = optimize.choose_device(device)
        own = Options(
            preset=preset, encoder=encoder, iterations=iterations, weights=weights,
            device="cuda" if where.startswith("cuda") else "cpu",
        )  # fmt: skip
        judge = GoogLeNet(judge_weights, where)
        shared = Run(own, judge, where, method=parse_values(common), until=until)
        sets = [styles.load(path, primary=None, palette=None, clusters=8, seed=0) for path in styles_]
        settings = Settings(
            shared, out, seeds, [parse_variant(text) for text in variants], part, pattern_width, rivals
        )
        run_pairs([read_subject(text) for text in subjects], sets, settings)
    except UsdStylizeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


@app.command
def sheet(
    found: Annotated[tuple[Path, ...], _Many],
    /,
    *,
    to: Path,
    before: str | None = None,
    after: str | None = None,
    styles_: Annotated[tuple[Path, ...], Parameter(name="--styles", consume_multiple=True)] = (),
) -> int:
    """Join lines and pictures into ``TO.md`` and ``TO.jpg``.

    Parameters
    ----------
    found
        Folders of `run`, or files of JSON lines beside their pictures.
    to
        The files to write, without suffix.
    before, after
        Names of variants; else the first two.
    styles_
        The style images, for the sheet's top row.
    """
    lines = read_lines(found)
    names = list(dict.fromkeys(str(line["variant"]) for line in lines))
    if not names:
        print("error: there are no cells; give folders that `run` has written.", file=sys.stderr)
        return 2
    before = before or names[0]
    after = after or next((name for name in names if name != before), before)
    if wrong := [name for name in (before, after) if name not in names]:
        error = OptionsError(f"There is no variant {wrong[0]}; give one of {', '.join(names)}.")
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = table(lines, before, after)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.with_suffix(".md").write_text(text)
    files = {path.stem if path.is_file() else path.name: path for path in styles_}

    def picture(name: str) -> Image.Image | None:
        path = files.get(name)
        first = path if path is None or path.is_file() else min(path.iterdir())
        return None if first is None else Image.open(first)

    contact_sheet(lines, before, after, to.with_suffix(".jpg"), picture)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
