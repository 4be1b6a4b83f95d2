"""Over how many processes a run spreads: a pool of workers, or torchrun."""

from usdstylize.distributed.parallelism import Optimizes, Parallelism, choose_parallelism, opened
from usdstylize.distributed.torchrun import run as run_in_torchrun

__all__ = [
    "Optimizes",
    "Parallelism",
    "choose_parallelism",
    "opened",
    "run_in_torchrun",
]
