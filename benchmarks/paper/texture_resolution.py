"""Supplement, Figure 3, and the hierarchy of textures beside it.

python -m benchmarks.paper.texture_resolution --subject … --style … --out OUT
"""

import sys

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command

__all__ = ["EXPERIMENT", "HIERARCHY"]

EXPERIMENT = Experiment(
    "texture_resolution",
    "Resolution of the style texture (supplement, Figure 3).",
    tuple(
        Column(f"{size} × {size}", {"method": "vgg-nnfm", "texture_resolution": size})
        for size in (64, 128, 256, 512)
    ),
)

HIERARCHY = Experiment(
    "texture_hierarchy",
    "Coarse to fine against one texture (supplement, section 2).",
    (
        Column("1024 × 1024", {"method": "vgg-nnfm", "texture_resolution": 1024}),
        Column("512, 1024", {"method": "vgg-nnfm", "texture_hierarchy": (512, 1024)}),
        Column("128, 256,\n512, 1024", {"method": "vgg-nnfm", "texture_hierarchy": (128, 256, 512, 1024)}),
    ),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT, HIERARCHY)())
