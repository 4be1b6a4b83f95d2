"""Supplement, Figure 2: nearer cameras make smaller patterns.

python -m benchmarks.paper.camera_distance --subject … --style … --out OUT
"""

import sys

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command

__all__ = ["EXPERIMENT"]

_RADII = (1.25, 2.0, 4.0)
"""The paper's 1 is in a unit of its own: at one bounding radius the camera would touch the object."""

EXPERIMENT = Experiment(
    "camera_distance",
    "Camera distance sets the size of the patterns (supplement, Figure 2).",
    tuple(
        Column(f"r = {radius:g}", {"method": "vgg-nnfm", "camera_distance": (radius, radius)})
        for radius in _RADII
    ),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT)())
