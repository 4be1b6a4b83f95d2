"""Runs of the whole product without the optimisation, for tests of everything else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from usdstylize import distributed
from usdstylize.config.method import Method
from usdstylize.model.objects import Losses, ObjectData, StageCamera, StageObject, StyleSet, StyleTexture

Work = Callable[[tuple[StageObject, ...]], None]


class StillOptimizer:
    """Gives every object a T_S of 8 x 8 texels that is 0.1 everywhere, one object after the other.

    ``before`` is called with an object's path before it is optimised, and may raise what it likes.
    """

    def __init__(self, method: Method, before: Callable[[str], None]) -> None:
        self.method = method
        self._before = before

    def restyled(self, style: StyleSet, method: Method) -> "StillOptimizer":
        return StillOptimizer(method, self._before)

    def each(self, groups: Sequence[tuple[StageObject, ...]], work: Work) -> None:
        for group in groups:
            work(group)

    def optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        *,
        cameras: Sequence[StageCamera] = (),
        on_iteration: Callable[[int, Losses], None],
    ) -> tuple[StyleTexture, ...]:
        losses = Losses({"nnfm": 1.0, "content": 2.0, "palette": 3.0}, 6.0)
        for obj in objects:
            self._before(obj.path)
        on_iteration(1, losses)
        offset = np.full((8, 8, 3), 0.1, np.float32)
        return tuple(
            StyleTexture((offset,) * (len(obj.tiles) or 1), 0.5, 1, self.method.seed, 0.0, losses)
            for obj in objects
        )


def without_optimising(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[str], None] = lambda path: None
) -> None:
    """Let `usdstylize.stylize` and the command line use a `StillOptimizer`."""

    @contextmanager
    def opened(parallelism: Any, style: Any, method: Method, *others: Any) -> Iterator[StillOptimizer]:
        yield StillOptimizer(method, before)

    monkeypatch.setattr(distributed, "opened", opened)
