"""Losses told while the device goes on computing."""

from collections.abc import Callable

import torch
from torch import Tensor

from usdstylize.model.objects import Losses

__all__ = ["Reports"]


class Reports:
    """Tells each report when the next one is due: by then it has arrived, and nothing waits for it."""

    def __init__(self, told: Callable[[int, Losses], None]) -> None:
        self._told = told
        self._pending: tuple[int, Tensor, torch.cuda.Event | None] | None = None

    def add(self, number: int, losses: Tensor) -> None:
        """losses: (4,), those of iteration ``number``, on any device."""
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
        """Tell what is still to be told."""
        if self._pending is not None:
            number, losses, arrived = self._pending
            self._pending = None
            if arrived is not None:
                arrived.synchronize()
            self._told(number, Losses(*losses.tolist()))
