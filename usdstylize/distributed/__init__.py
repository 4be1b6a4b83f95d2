"""Over how many processes a run spreads: a pool of workers, or torchrun."""

from usdstylize.distributed.parallelism import Optimizes, Spread, choose_spread, opened

__all__ = ["Optimizes", "Spread", "choose_spread", "opened"]
