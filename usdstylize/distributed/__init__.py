"""Runs of several processes: a pool of workers with an object each, or torchrun's on one object."""

from usdstylize.distributed.parallelism import Optimizes, Parallelism, choose_parallelism, opened
from usdstylize.distributed.torchrun import run as run_in_torchrun

__all__ = [
    "Optimizes",
    "Parallelism",
    "choose_parallelism",
    "opened",
    "run_in_torchrun",
]
