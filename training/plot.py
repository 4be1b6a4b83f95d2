"""docs/draft_sizes.png: what a student's size buys, and what it costs on a CPU.

python -m training.plot docs/draft_sizes.png
"""

import json
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from training.command import SIZES
from usdstylize.encoders.draft import DraftEncoder
from usdstylize.encoders.loading import precision

_LOGS = Path(__file__).parent / "logs" / "sizes"
_COMPARED = ("small", "medium", "large")


def main(out: Path) -> None:
    """Held-out cosines and Q behind VGG16, over milliseconds on one core at 4 × 256²."""
    matplotlib_figure, axes = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    scores = json.loads((_LOGS / "scores.json").read_text(encoding="utf-8"))
    reference = {
        (row["style"], row["subject"]): row["quality"] for row in scores if row["encoder"] == "vgg16"
    }
    for size in _COMPARED:
        milliseconds = 1e3 * _seconds(size)
        log = json.loads((_LOGS / f"{size}.json").read_text(encoding="utf-8"))
        means = [sum(values) / len(values) for values in zip(*log["held_out_cosines"].values(), strict=True)]
        for index, value in enumerate(means):
            axes[0].plot(
                milliseconds,
                value,
                "o",
                color=f"C{index}",
                label=f"map {index + 1}" if size == "small" else "",
            )
        gaps = [
            reference[row["style"], row["subject"]] - row["quality"]
            for row in scores
            if row["encoder"] == size
        ]
        axes[1].plot([milliseconds] * len(gaps), gaps, ".", color="0.6")
        axes[1].plot(milliseconds, sum(gaps) / len(gaps), "o", color="C3")
        text = f"{size}\n{log['parameters'] / 1e3:.0f} k"
        for axis, top in ((axes[0], max(means)), (axes[1], max(gaps))):
            axis.annotate(text, (milliseconds, top), (0, 7), textcoords="offset points", ha="center")
        gap = sum(gaps) / len(gaps)
        print(
            f"{size:8s} {milliseconds:6.1f} ms  cosines {means}  behind VGG16 {gap:.3f}, most {max(gaps):.3f}"
        )
    for axis in axes:
        axis.margins(0.12, 0.18)
    axes[0].set(
        xlabel="ms, forward and backward, 4 × 256², one core", ylabel="held-out cosine", title="Imitation"
    )
    axes[1].set(xlabel="ms", ylabel="Q behind VGG16, six styles × three subjects", title="Stylising")
    axes[0].legend()
    matplotlib_figure.savefig(out, dpi=110)


def _seconds(size: str) -> float:
    torch.set_num_threads(1)
    network = DraftEncoder(SIZES[size]).eval().requires_grad_(False)
    network = network.to(precision("cpu"), memory_format=torch.channels_last)
    images = torch.rand(4, 3, 256, 256).contiguous(memory_format=torch.channels_last).requires_grad_(True)
    best = float("inf")
    for _ in range(12):
        started = time.perf_counter()
        found = network(images)
        torch.autograd.backward(found, [torch.ones_like(rows) for rows in found])
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main(Path(sys.argv[1]))
