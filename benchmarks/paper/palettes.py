"""Figure 5: palettes by k-means and by hand, for both encoders.

python -m benchmarks.paper.palettes --subject … --style … --out OUT
"""

import sys
from dataclasses import replace

import numpy as np

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command
from usdstylize.model.objects import StyleSet

__all__ = ["EXPERIMENT", "MANUAL"]

MANUAL = ("#1d1147", "#7a1f6d", "#d8456c", "#f9a26c", "#fdeecd")
"""Dusk: none of the paintings has these colours, which is the figure's point."""


def _by_hand(style: StyleSet) -> StyleSet:
    levels = [[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in MANUAL]
    return replace(style, palette=np.asarray(levels, np.float32) / np.float32(255))


EXPERIMENT = Experiment(
    "palettes",
    "The palette decides the colours, even very different ones (Figure 5).",
    tuple(
        Column(f"{palette} ({name})", {"method": method}, style=_by_hand if palette == "manual" else None)
        for method, name in (("vgg-nnfm", "VGG16"), ("clip-nnfm", "CLIP-RN50"))
        for palette in ("k-means", "manual")
    ),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT)())
