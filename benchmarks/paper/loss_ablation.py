"""Figure 4: all losses, without the palette loss, and NNFM alone, best with a line drawing as the style.

python -m benchmarks.paper.loss_ablation --subject … --style … --out OUT
"""

import sys
from typing import Any

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command

__all__ = ["EXPERIMENT"]

_ABLATIONS: dict[str, dict[str, Any]] = {
    "all losses": {},
    "no colour loss": {"palette_weight": 0.0},
    "NNFM only": {"palette_weight": 0.0, "content_weight": 0.0},
}

EXPERIMENT = Experiment(
    "loss_ablation",
    "What each loss does (Figure 4).",
    tuple(
        Column(f"{name}\n{label}", {"method": method, **options})
        for method, name in (("vgg-nnfm", "VGG"), ("clip-nnfm", "CLIP"))
        for label, options in _ABLATIONS.items()
    ),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT)())
