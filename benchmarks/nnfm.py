"""Our NNFM against the naive version that holds the whole distance matrix: same gradient, less of all.

python -m benchmarks.nnfm

Time: both in one process, alternating, the least of a few runs of loss and backward. Memory:
each in a process of its own, the rise of its peak resident size over what it had when the
features lay ready. That counts everything the operating system must find, PyTorch's
temporaries included, and only that.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from cyclopts import App
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.memory import peak_bytes
from usdstylize.losses import nnfm_loss, style_keys

__all__ = ["compare_gradients", "main", "naive_nnfm_loss"]

TIME_GOAL = 0.60
MEMORY_GOAL = 0.25

_EPSILON = 1e-12
_CHANNELS = 256
_TIE = 1e-6

app = App(name="benchmarks.nnfm", help="NNFM against the naive version with the whole matrix.")


def naive_nnfm_loss(rows: Tensor, keys: Tensor) -> Tensor:
    """Equation 2 as it is written: every distance, then the least of each row, then the mean.

    rows: (M, C) float32. keys: (N, C) float32 unit vectors.
    """
    unit = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(_EPSILON)
    distances = 1 - unit @ keys.T
    loss: Tensor = distances.min(1).values.mean()
    return loss


def divided_nnfm_loss(rows: Tensor, keys: Tensor) -> Tensor:
    """The same, divided by the rows' lengths after the product: the order in which ours rounds.

    It holds the matrix once more, so the other one is the fairer rival for time and memory.
    """
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(_EPSILON)
    distances = 1 - (rows @ keys.T) / lengths
    loss: Tensor = distances.min(1).values.mean()
    return loss


def compare_gradients(rows: Tensor, keys: Tensor) -> tuple[float, float, int]:
    """Largest difference to the divided naive gradient, to the plain one, and the ties.

    The two naive versions differ from each other in their last bits. Where the two nearest
    keys of a row are closer together than float32 resolves (1e-6, a tie), either is right.
    """
    ours = gradient(nnfm_loss, rows, keys)
    divided, plain = (gradient(loss, rows, keys) for loss in (divided_nnfm_loss, naive_nnfm_loss))
    ties = 0
    for part in torch.split(torch.nn.functional.normalize(rows, dim=1), 1024):
        best = (part @ keys.T).topk(2, dim=1).values
        ties += int((best[:, 0] - best[:, 1] < _TIE).sum())
    return float((ours - divided).abs().max()), float((ours - plain).abs().max()), ties


def gradient(loss: Callable[[Tensor, Tensor], Tensor], rows: Tensor, keys: Tensor) -> Tensor:
    """Of the loss by the rows, (M, C)."""
    leaf = rows.clone().requires_grad_()
    (result,) = torch.autograd.grad(loss(leaf, keys), leaf)
    return result


def features(views: int, images: int, side: int) -> tuple[Tensor, Tensor]:
    """Rows (M, 256) of ``views`` maps and keys (N, 256) of ``images`` maps of ``side``² positions.

    Rectified normal values: as sparse and as positive as VGG's.
    """
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(views * side**2, _CHANNELS, generator=random).relu_()
    style = torch.randn(images * side**2, _CHANNELS, generator=random).relu_()
    return rows, style_keys(style, smooth=False)


LOSSES = {"ours": nnfm_loss, "naive": naive_nnfm_loss}


@app.default
def main(*, views: int = 4, images: int = 4, side: int = 64, runs: int = 3) -> int:
    """Compare them; the exit code is 1 where a goal is missed.

    Parameters
    ----------
    views
        Views in a batch.
    images
        Style images, K.
    side
        Positions along one side of a feature map.
    runs
        Timed runs of each; the least counts.
    """
    rows, keys = features(views, images, side)
    difference, plain_difference, ties = compare_gradients(rows, keys)
    seconds = {name: float("inf") for name in LOSSES}
    for _ in range(runs):
        for name, loss in LOSSES.items():
            started = time.perf_counter()
            gradient(loss, rows, keys)
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    memory = {name: _memory_of(name, views, images, side) for name in LOSSES}
    time_ratio = seconds["ours"] / seconds["naive"]
    memory_ratio = memory["ours"] / memory["naive"]

    met = [time_ratio <= TIME_GOAL, memory_ratio <= MEMORY_GOAL, difference == 0]
    verdicts = ["met" if good else "[red]missed[/red]" for good in met]
    table = Table(
        title=f"NNFM, loss and backward: {len(rows)} positions × {len(keys)} of {images} style images, "
        f"{_CHANNELS} channels, float32, {torch.get_num_threads()} threads",
        title_justify="left",
        caption=f"{ties} positions have two nearest keys; to the naive version that divides before the "
        f"product, the gradient differs by {plain_difference:.0e}",
        caption_justify="left",
    )
    for heading in ("", "ours", "naive", "ratio", "goal", ""):
        table.add_column(heading, justify="right" if heading else "left")
    for name, numbers, ratio, goal, verdict in (
        ("seconds", seconds, time_ratio, TIME_GOAL, verdicts[0]),
        ("peak memory, MiB", memory, memory_ratio, MEMORY_GOAL, verdicts[1]),
    ):
        values = (f"{numbers[key]:.2f}" if numbers[key] < 10 else f"{numbers[key]:.0f}" for key in LOSSES)
        table.add_row(name, *values, f"{ratio:.2f}", f"≤ {goal}", verdict)
    table.add_row("largest gradient difference", "", f"{difference:g}", "", "0", verdicts[2])
    Console().print(table)
    return 0 if all(met) else 1


@app.command(name="_peak", show=False)
def peak(name: str, views: int, images: int, side: int) -> None:
    """Print by how many bytes one loss and its backward raise this process's peak size."""
    rows, keys = features(views, images, side)
    gradient(LOSSES[name], rows[:64], keys[:64])  # libraries get ready
    before = peak_bytes()
    gradient(LOSSES[name], rows, keys)
    print(json.dumps(peak_bytes() - before))


def _memory_of(name: str, views: int, images: int, side: int) -> float:
    """MiB."""
    command = [sys.executable, "-m", "benchmarks.nnfm", "_peak", name, *map(str, (views, images, side))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)) / 2**20


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
