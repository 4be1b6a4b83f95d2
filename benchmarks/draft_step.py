"""The draft step on a CPU in float32, in bfloat16 and compiled: which one is best, and its floor.

python -m benchmarks.draft_step [--stage STAGE --prim PATH] [--style IMAGE]

All in one process, on one thread, as two objects side by side have on two cores. The floor is
the encoder's operations over the rate of a bfloat16 matrix product here, forward and backward.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from cyclopts import App
from rich.console import Console
from rich.table import Table

from benchmarks.gpu import Bench, read_asset
from usdstylize.config.method import Precision
from usdstylize.config.presets import PRESETS
from usdstylize.encoders import loading
from usdstylize.losses import objective

__all__ = ["main"]

_SAMPLES = Path(__file__).parents[1] / "sample_stages"

app = App(name="benchmarks.draft_step", help="The draft step on a CPU.", result_action="return_value")


def milliseconds(work: Callable[[], object], repeats: int = 30) -> float:
    """The median of a few, after a warm-up."""
    for _ in range(3):
        work()
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found.append(1e3 * (time.perf_counter() - started))
    return statistics.median(found)


def matrix_rate(dtype: torch.dtype) -> float:
    """Operations a second of a large product on one thread."""
    one = torch.randn(1024, 1024).to(dtype)
    return 2e3 * 1024**3 / milliseconds(lambda: one @ one, 10)


@app.default
def main(
    *,
    stage: Path = _SAMPLES / "still_life.usda",
    prim: str = "/World/Vase/Geom/Body",
    style: Path = _SAMPLES / "styles/gouache/gouache_harbour.jpg",
) -> int:
    """Print the table."""
    torch.set_num_threads(1)
    draft = replace(PRESETS["draft"], visibility="embree")
    asset = read_asset(stage, prim, (style,), draft)
    load = loading.load_encoder

    def compiled(*given: Any, **named: Any) -> Any:
        return torch.compile(load(*given, **named))

    rows: list[tuple[str, float, float]] = []
    ways: tuple[tuple[str, Precision, Any], ...] = (
        ("float32", "float32", load),
        ("bfloat16", "bfloat16", load),
        ("bfloat16, compiled", "bfloat16", compiled),
        ("float32, compiled", "float32", compiled),
    )
    for name, precision, loader in ways:
        with patch.object(objective, "load_encoder", loader):
            started = time.perf_counter()
            bench = Bench(asset, replace(draft, precision=precision), None, device="cpu")
            first = time.perf_counter() - started
        rows.append((name, milliseconds(bench.run), first))
        network = bench.objective._style_encoder
    operations = _operations(network, draft.resolution)
    floor = 2e3 * operations / matrix_rate(torch.bfloat16)
    table = Table("step", "ms", "of the floor", "the first 32, with all before, s")
    for name, spent, first in rows:
        table.add_row(name, f"{spent:.1f}", f"{spent / floor:.1f}", f"{first:.1f}")
    Console(width=100).print(table)
    chosen = loading.precision("cpu")
    print(f"floor {floor:.1f} ms ({operations / 1e9:.2f} GFLOP forward); the product takes {chosen} here")
    return 0


def _operations(network: Any, side: int) -> float:
    """Of one forward pass, by PyTorch's own count."""
    from torch.utils.flop_counter import FlopCounterMode

    image = torch.rand(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        getattr(network, "_orig_mod", network)(image)
    return float(counter.get_total_flops())


if __name__ == "__main__":
    sys.exit(app())
