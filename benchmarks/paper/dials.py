"""Every dial of an art director from little to much: a sheet for each.

python -m benchmarks.paper.dials DIAL --subject … --style … --out OUT, where DIAL is one of `DIALS`.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command
from usdstylize import styles
from usdstylize.model.objects import StyleSet

__all__ = ["DIALS"]

_PRESET: Mapping[str, Any] = {"color_start": 0.3, "variety": 0.5}


def _columns(name: str, values: Sequence[float], others: Mapping[str, Any]) -> tuple[Column, ...]:
    return tuple(Column(f"{name} {value:g}", {**others, name: value}) for value in values)


def _weighted(style: StyleSet, weights: Sequence[float]) -> StyleSet:
    files = [image.path for image in style.images]
    return styles.from_files(
        style.name, files, palette=None, clusters=8, seed=0, weights=tuple(map(float, weights))
    )


DIALS: dict[str, Experiment] = {
    name: Experiment(f"dial_{name}", title, columns)
    for name, title, columns in (
        (
            "color_start",
            "Begin with the style's colours.",
            _columns("color_start", (0, 0.15, 0.3, 0.6, 1), {"variety": 0.5}),
        ),
        (
            "variety",
            "Use all of the style's features.",
            _columns("variety", (0, 0.25, 0.5, 1), {"color_start": 0.0}),
        ),
        (
            "style_colors",
            "Strokes with the original's colours.",
            _columns("style_colors", (0, 0.33, 0.67, 1), _PRESET),
        ),
        (
            "style_weight",
            "Style images by weight.",
            tuple(
                Column("weights " + " : ".join(map(str, own)), _PRESET, style=partial(_weighted, weights=own))
                for own in ((8, 1, 1), (1, 1, 1), (1, 8, 1), (1, 1, 8))
            ),
        ),
    )
}
"""By name; columns are options of the product."""


if __name__ == "__main__":
    sys.exit(command(DIALS[sys.argv.pop(1)])())
