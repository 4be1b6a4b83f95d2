"""Figure 6: one, two and three style images, the first giving palette and background.

python -m benchmarks.paper.style_images --subject … --style A --style B --style C --out OUT

All ``--style`` images together are one row's style set.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, command
from benchmarks.paper.subjects import PaperSubject
from usdstylize.model.objects import StyleSet

__all__ = ["EXPERIMENT"]


def _first(count: int) -> Callable[[StyleSet], StyleSet]:
    return lambda style: replace(style, images=style.images[:count])


def _joined(
    subjects: Sequence[PaperSubject], sets: Sequence[StyleSet]
) -> list[tuple[PaperSubject, StyleSet]]:
    images = tuple(image for style in sets for image in style.images)
    return [(subject, replace(sets[0], images=images)) for subject in subjects]


EXPERIMENT = Experiment(
    "style_images",
    "More style images bring more patterns (Figure 6).",
    tuple(
        Column(f"{count} style image{'s' * (count > 1)}\n{name}", {"method": method}, style=_first(count))
        for method, name in (("vgg-nnfm", "VGG NNFM"), ("clip-nnfm", "CLIP NNFM"))
        for count in (1, 2, 3)
    ),
    rows=_joined,
)

if __name__ == "__main__":
    sys.exit(command(EXPERIMENT)())
