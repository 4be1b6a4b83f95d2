"""The batches of random views: from a pool that is drawn once, or all new for every iteration."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from usdstylize.config.method import ScheduleMethod
from usdstylize.losses import Target

__all__ = ["Batches", "Share"]

Viewpoint = TypeVar("Viewpoint")


@dataclass(frozen=True)
class Share:
    """Which views of every batch one process takes: every ``count``-th slot, from ``index`` on."""

    index: int = 0
    count: int = 1


class Batches(Generic[Viewpoint]):
    """An endless iterator over batches, each a view for every slot that is this process's share.

    A slot has views of its own in the pool: a process keeps only those of its slots, and the batches
    together are the same for any number of processes.
    """

    def __init__(
        self,
        method: ScheduleMethod,
        random: np.random.Generator,
        viewpoints: Iterator[Viewpoint],
        targets: Callable[[Sequence[Viewpoint]], list[Target]],
        share: Share = Share(),
    ) -> None:
        """viewpoints: endless random cameras, or windows of the flat texture, drawn with ``random`` alone.

        targets: what turns one batch of them into targets, each in the slot that is its place in the list.
        """
        self._method = method
        self._random = random
        self._viewpoints = viewpoints
        self._targets = targets
        self._share = share
        # No more views than the iterations ask for.
        rounds = -(-min(method.view_pool, method.batch * method.iterations) // method.batch)
        self.pool = [self._draw() for _ in range(rounds)]
        self._orders: list[NDArray[np.int64]] = []
        """By slot, in which order a round takes the views of the pool."""
        self._taken = len(self.pool)
        """Batches of the current round that were taken."""

    def __iter__(self) -> Iterator[list[Target]]:
        return self

    def __next__(self) -> list[Target]:
        if not self.pool:
            return self._draw()
        if self._taken == len(self.pool):
            # Every process draws the order of every slot, to stay in step with the others.
            self._orders = [self._random.permutation(len(self.pool)) for _ in range(self._method.batch)]
            self._taken = 0
        own = self._orders[self._share.index :: self._share.count]
        batch = [self.pool[order[self._taken]][slot] for slot, order in enumerate(own)]
        self._taken += 1
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Which batch comes next. The pool is not in it: the seed draws it again."""
        return {
            "random": self._random.bit_generator.state,
            "orders": torch.from_numpy(np.array(self._orders, np.int64)),
            "taken": self._taken,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the `Batches` stood that gave ``state``; both with the same arguments."""
        self._random.bit_generator.state = state["random"]
        self._orders = list(state["orders"].numpy())
        self._taken = state["taken"]

    def _draw(self) -> list[Target]:
        viewpoints = list(islice(self._viewpoints, self._method.batch))
        return self._targets(viewpoints[self._share.index :: self._share.count])
