"""Can the measure be gamed? Textures that are no style transfer, and the gate that catches each.

python -m benchmarks.paper.attack_measures --subject … --style … --out OUT
"""

import sys

from benchmarks.paper import cheats
from benchmarks.paper.adversary import Adversary
from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command
from benchmarks.paper.methods import baseline

__all__ = ["EXPERIMENT"]

EXPERIMENT = Experiment(
    "attack_measures",
    "The measure attacked on purpose: which gate catches what.",
    (
        Column("recolour", making=baseline("recolour")),
        Column("noise", making=baseline("noise")),
        Column("dither", making=cheats.dither),
        Column("style by UV", making=baseline("style by UV")),
        Column("style, triplanar", making=cheats.triplanar),
        Column("shuffled crops", making=cheats.shuffle),
        Column("mosaic of crops", making=cheats.mosaic),
        Column("detail overlay", making=cheats.overlay),
        Column("faint noise\nagainst VGG16", making=Adversary("vgg16")),
        Column("faint noise\nagainst the judge", making=Adversary("the judge")),
        Column("the same, knowing\nthe half size", making=Adversary("the judge", halved=True)),
        Column("VGG NNFM", {"method": "vgg-nnfm"}),
    ),
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT)())
