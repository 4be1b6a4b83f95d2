"""Figure 3 and the supplement's Figure 5: the style losses side by side, without the palette loss.

python -m benchmarks.paper.methods --subject … --style … --out OUT

`WITH_PALETTE` is the same with it, the palette's gate being one of the measure's: what the order
of methods by Q under all gates is read from; the recolour is the rival that has no network.
"""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.baselines import baselines
from benchmarks.paper.cells import Column, Run
from benchmarks.paper.experiment import Experiment, command
from benchmarks.paper.subjects import PaperSubject
from usdstylize.model.objects import StyleSet

__all__ = ["EXPERIMENT", "WITH_PALETTE", "baseline"]

_METHODS = {
    "clip-embedding": "CLIP embedding",
    "vgg-gram": "VGG Gram",
    "clip-gram": "CLIP Gram",
    "vgg-nnfm": "VGG NNFM",
    "clip-nnfm": "CLIP NNFM (ours)",
}


def baseline(name: str) -> Callable[[PaperSubject, StyleSet, Run], np.ndarray]:
    """A T_S of `benchmarks.baselines`."""

    def make(subject: PaperSubject, style: StyleSet, run: Run) -> np.ndarray:
        return baselines(subject.data, style, subject.object.wrap)[name]

    return make


EXPERIMENT = Experiment(
    "methods",
    "Style losses without the palette loss (Figures 3 and S5).",
    (
        Column("original", making=baseline("original")),
        *(Column(label, {"method": name, "palette_weight": 0.0}) for name, label in _METHODS.items()),
    ),
)

WITH_PALETTE = replace(
    EXPERIMENT,
    name="methods_with_palette",
    title="Style losses with the palette loss, beside a plain recolour.",
    columns=(
        Column("recolour", making=baseline("recolour")),
        Column("VGG Gram", {"method": "vgg-gram"}),
        Column("VGG NNFM", {"method": "vgg-nnfm"}),
        Column("CLIP Gram", {"method": "clip-gram"}),
        Column("CLIP NNFM (ours)", {"method": "clip-nnfm"}),
    ),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT, WITH_PALETTE)())
