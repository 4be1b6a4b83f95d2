"""All experiments but the teaser, the most telling first, until the time is over.

python -m benchmarks.paper.everything --inputs DIR --out OUT --weights DIR --judge-weights FILE

DIR holds spot.npz, bunny.npz and vase.npz (benchmarks.paper.subjects packs them) and the styles
starry_night_google.jpg, the_scream.jpg, shipwreck.jpg, gouache_bouquet.jpg and ink_hills.png.
Several processes share one GPU, whose gaps the judge and the rest on the CPU would else make.
"""

import multiprocessing
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import torch
from cyclopts import App

from benchmarks.judge_network import DEFAULT_WEIGHTS
from benchmarks.paper import (
    attack_measures,
    camera_distance,
    choices,
    direct_texture,
    loss_ablation,
    methods,
    palettes,
    style_images,
    texture_resolution,
)
from benchmarks.paper.experiment import Experiment, Settings, perform, prepare
from usdstylize.render import available_cores

__all__ = ["main"]

_STARRY, _SCREAM, _WRECK = "starry_night_google.jpg", "the_scream.jpg", "shipwreck.jpg"
_BOUQUET, _INK = "gouache_bouquet.jpg", "ink_hills.png"

Part = tuple[Experiment, tuple[str, ...], tuple[str, ...]]
"""An experiment, its subjects and its styles."""

_LANES: tuple[tuple[Part, ...], ...] = (
    (
        (methods.WITH_PALETTE, ("spot", "bunny", "vase"), (_STARRY,)),
        (choices.GRAM_WEIGHTS, ("spot",), (_STARRY,)),
        (replace(methods.WITH_PALETTE, name="methods_scream"), ("spot", "bunny", "vase"), (_SCREAM,)),
        (methods.EXPERIMENT, ("spot", "bunny"), (_STARRY,)),
        (replace(methods.WITH_PALETTE, name="methods_gouache"), ("spot", "bunny", "vase"), (_BOUQUET,)),
    ),
    (
        (loss_ablation.EXPERIMENT, ("spot",), (_INK,)),
        (direct_texture.EXPERIMENT, ("spot",), (_STARRY,)),
        (choices.WEAK_STYLES, ("spot",), (_WRECK,)),
        (direct_texture.EXPERIMENT, ("spot", "vase"), (_STARRY,)),
        (camera_distance.EXPERIMENT, ("spot",), (_STARRY,)),
        (style_images.EXPERIMENT, ("spot",), (_STARRY, _SCREAM, _BOUQUET)),
        (texture_resolution.HIERARCHY, ("spot",), (_STARRY,)),
        (replace(loss_ablation.EXPERIMENT, name="loss_ablation_starry"), ("spot",), (_STARRY,)),
    ),
    (
        (attack_measures.EXPERIMENT, ("spot",), (_STARRY,)),
        (choices.EXPERIMENT, ("spot",), (_STARRY,)),
        (palettes.EXPERIMENT, ("spot",), (_STARRY, _SCREAM)),
        (texture_resolution.EXPERIMENT, ("spot",), (_STARRY,)),
        (replace(attack_measures.EXPERIMENT, name="attack_measures_scream"), ("spot",), (_SCREAM,)),
    ),
)
"""Of each process; an experiment that comes again has its first cells made already."""

app = App(name="benchmarks.paper.everything", help="All experiments, until the time is over.")


def _lane(number: int, settings: Settings, inputs: Path, until: float) -> None:
    torch.set_num_threads(max(1, available_cores() // len(_LANES)))
    run, _, _ = prepare(settings)
    run = replace(run, until=until)
    for experiment, subjects, files in _LANES[number]:
        own = replace(
            settings,
            subject=tuple(str(inputs / f"{name}.npz") for name in subjects),
            style=tuple(inputs / name for name in files),
            measure=False,
        )
        try:
            _, read, sets = prepare(own)
            perform(experiment, run, read, sets, settings.out)
        except Exception:  # the other experiments go on
            traceback.print_exc()


@app.default
def main(
    *,
    inputs: Path,
    out: Path,
    weights: Path | None = None,
    judge_weights: Path = DEFAULT_WEIGHTS,
    device: str = "auto",
    seconds: float = 300.0,
    iterations: int | None = None,
    texture_resolution: int | None = None,
    resolution: int | None = None,
    batch: int | None = None,
) -> int:
    """Run everything.

    Parameters
    ----------
    inputs
        Folder of the packed subjects and the style images.
    out
        Folder of sheets and tables.
    seconds
        After which no cell is begun.
    """
    settings = Settings(
        (), (), out, weights=weights, judge_weights=judge_weights, device=device, iterations=iterations,
        texture_resolution=texture_resolution, resolution=resolution, batch=batch,
    )  # fmt: skip
    until = time.monotonic() + seconds
    out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    lanes = [
        context.Process(target=_lane, args=(number, settings, inputs, until)) for number in range(len(_LANES))
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    return max(abs(lane.exitcode or 0) for lane in lanes)


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
