"""Whether our Triton convolutions are worth their lines: the optimiser's step with them and with cuDNN alone.

python -m benchmarks.convolution --subject SPOT.npz --style IMAGE --weights DIR

Two networks at `standard`: VGG16 for style and content (real weights), and CLIP for style (real where
they are found, else random) with VGG16 for content. Both steps are the product's own, in its CUDA graph,
in bfloat16, channels_last; the second one has `kernels.convolution` and `kernels.image_convolution`
switched off while the graph is recorded. They take turns, and the median counts.

Needs a CUDA GPU with a tensor memory accelerator (Hopper or later): on others `kernels.convolution` does
nothing. A subject that is packed (see `benchmarks.paper.subjects`) needs no USD.
"""

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from cyclopts import App

from benchmarks import no_usd  # noqa: F401
from benchmarks.gpu import Asset, Bench, clip_or_random, timed
from benchmarks.paper.subjects import read_subject
from usdstylize import styles
from usdstylize.config.options import Options
from usdstylize.config.presets import resolve
from usdstylize.kernels import convolution, image_convolution
from usdstylize.optimize.devices import computing

__all__ = ["convolutions", "main"]

LEAST_SHARE = 0.2
"""Of a step with cuDNN: what our kernels have to save to stay."""

app = App(name="benchmarks.convolution", help="Our Triton convolutions against cuDNN in the whole step.")


@contextmanager
def convolutions(*, ours: bool) -> Iterator[None]:
    """All that is run or recorded meanwhile takes our kernels where they suit, or cuDNN alone."""
    with (
        patch.object(convolution, "enabled", ours),
        patch.object(image_convolution, "enabled", ours),
    ):
        yield


def measure(asset: Asset, encoder: str, weights: Path, rounds: int) -> tuple[float, float]:
    """Milliseconds of a step: with our kernels, with cuDNN alone."""
    method = resolve(Options(preset="standard", encoder=encoder, precision="bfloat16"), cuda=True)
    method = replace(method, visibility="z-buffer")
    networks = clip_or_random(weights)[0] if encoder == "clip-rn50" else nullcontext()
    spent: dict[bool, list[float]] = {True: [], False: []}
    with networks, computing("cuda"):
        benches = {}
        for ours in spent:
            with convolutions(ours=ours):
                benches[ours] = Bench(asset, method, weights)
        for _ in range(rounds):
            for ours, bench in benches.items():
                with convolutions(ours=ours):
                    spent[ours].append(timed(bench.run))
    return statistics.median(spent[True]), statistics.median(spent[False])


@app.default
def main(*, subject: str, style: Path, weights: Path, rounds: int = 5) -> int:
    """Print the milliseconds of a step and the share that our kernels save; 1 where they save too little.

    Parameters
    ----------
    subject
        ``STAGE:/PRIM``, or a packed subject (.npz).
    style
        A style image.
    weights
        Folder of the encoders' weights; VGG16's have to be there.
    rounds
        Of 60 steps with either.
    """
    if not torch.cuda.is_available():
        print("benchmarks.convolution needs a CUDA GPU.", file=sys.stderr)
        return 2
    found = read_subject(subject)
    # Which colours does not matter here, and k-means would need scikit-learn.
    palette = np.linspace(0, 1, 24, dtype=np.float32).reshape(8, 3)
    asset = Asset(
        found.object, found.data, styles.from_files("style", [style], palette=palette, clusters=8, seed=0)
    )
    versions = f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
    print(f"{torch.cuda.get_device_name()}, {versions}, {found.name}", flush=True)
    enough = True
    for encoder in ("vgg16", "clip-rn50"):
        ours, cudnn = measure(asset, encoder, weights, rounds)
        share = 1 - ours / cudnn
        enough &= share >= LEAST_SHARE
        print(
            f"{encoder:10s} ours {ours:.3f} ms, cuDNN {cudnn:.3f} ms: ours save {share:.1%} of a step "
            f"(goal: at least {LEAST_SHARE:.0%})",
            flush=True,
        )
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
