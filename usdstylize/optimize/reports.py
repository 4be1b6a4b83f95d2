"""Losses reported while the device computes the next iterations."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from usdstylize.model.objects import Losses

__all__ = ["Reports", "losses_of"]


def losses_of(names: Sequence[str], values: Tensor) -> Losses:
    """values: (names + 1,), what `Step` returns."""
    *terms, total = values.tolist()
    return Losses(dict(zip(names, terms, strict=True)), total)


class Reports:
    """Delivers each report when the next one is due: by then it has arrived, and nothing waits for it."""

    def __init__(self, names: Sequence[str], on_iteration: Callable[[int, Losses], None]) -> None:
        """names: of the terms, in the order of the losses."""
        self._names = names
        self._on_iteration = on_iteration
        self._pending: tuple[int, Tensor, torch.cuda.Event | None] | None = None

    def add(self, number: int, losses: Tensor) -> None:
        """losses: (names + 1,), those of iteration ``number``, on any device."""
        self.close()
        arrived = None
        if losses.is_cuda:
            losses = losses.to("cpu", non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
        self._pending = (number, losses, arrived)
        if arrived is None:
            self.close()

    def close(self) -> None:
        """Deliver the report that is still pending."""
        if self._pending is not None:
            number, losses, arrived = self._pending
            self._pending = None
            if arrived is not None:
                arrived.synchronize()
            self._on_iteration(number, losses_of(self._names, losses))
