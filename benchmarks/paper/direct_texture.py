"""Supplement, Figure 1: losses on the flat texture instead of renders, and the seams that follow.

python -m benchmarks.paper.direct_texture --subject … --style … --out OUT
"""

import sys

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command

__all__ = ["EXPERIMENT"]

EXPERIMENT = Experiment(
    "direct_texture",
    "Without the renderer, seams show (supplement, Figure 1).",
    (
        Column("texture optimisation", {"method": "vgg-nnfm", "direct_texture": True}),
        Column("differentiable rendering", {"method": "vgg-nnfm"}),
    ),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT)())
