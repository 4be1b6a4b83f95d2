"""The batches of random views: from a pool that is drawn once, or all new for every iteration."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

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
    """Endless batches, each a view for every slot that is this process's share.

    A slot has views of its own in the pool, so that a process holds its share of the pool alone,
    and the batches together are the same for any number of processes.
    """

    def __init__(
        self,
        method: ScheduleMethod,
        random: np.random.Generator,
        viewpoints: Iterator[Viewpoint],
        targets: Callable[[Sequence[Viewpoint]], list[Target]],
        share: Share = Share(),
    ) -> None:
        """viewpoints: endless random cameras, or windows of the flat texture.

        targets: what turns one batch of them into targets, each in the slot that is its place in the list.
        """
        self._method = method
        self._random = random
        self._looks = viewpoints
        self._targets = targets
        self._share = share
        # No more views than the iterations ask for.
        rounds = -(-min(method.view_pool, method.batch * method.iterations) // method.batch)
        self.pool = [self._draw() for _ in range(rounds)]

    def __iter__(self) -> Iterator[list[Target]]:
        if not self.pool:
            while True:
                yield self._draw()
        while True:
            # Every process draws the order of every slot, to stay in step with the others.
            orders = [self._random.permutation(len(self.pool)) for _ in range(self._method.batch)]
            own = orders[self._share.index :: self._share.count]
            for number in range(len(self.pool)):
                yield [self.pool[order[number]][slot] for slot, order in enumerate(own)]

    def _draw(self) -> list[Target]:
        viewpoints = list(islice(self._looks, self._method.batch))
        return self._targets(viewpoints[self._share.index :: self._share.count])
