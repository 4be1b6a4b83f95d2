"""Where the paper is silent: what each of our choices does, one change at a time.

python -m benchmarks.paper.choices --subject … --style … --out OUT
"""

import sys
from typing import Any

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command

__all__ = ["EXPERIMENT"]

_CHANGES: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("as it ships", {}, {}),
    # the paper's mean over all positions, at the λs that make it equal at 27 % coverage
    ("background\nin the mean", {"nnfm_weight": 2200.0, "content_weight": 0.37}, {"object_only": False}),
    ("content 0", {"content_weight": 0.0}, {}),
    ("content 0.3", {"content_weight": 0.3}, {}),
    ("palette\n2000 → 200", {}, {"palette_weight": (2000.0, 200.0)}),
    ("plain L2\n2000 → 200", {}, {"palette_weight": (2000.0, 200.0), "palette_squared": False}),
    ("camera 2 to 4", {"camera_distance": (2.0, 4.0)}, {}),
    ("no ambient", {}, {"ambient": 0.0}),
    ("even light", {}, {"ambient": 1.0, "light_power": 0.0}),
)

EXPERIMENT = Experiment(
    "choices",
    "Where the paper leaves it open: one change at a time.",
    tuple(Column(label, {"method": "vgg-nnfm", **options}, method) for label, options, method in _CHANGES),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT)())
