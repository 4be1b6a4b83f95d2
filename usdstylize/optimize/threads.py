"""Objects side by side, a thread for each: PyTorch, or another process, does the work of it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager

from usdstylize import interrupts, render
from usdstylize.config.method import PerformanceMethod
from usdstylize.model.objects import StageObject

__all__ = ["Cores", "concurrent_objects", "side_by_side", "threads_per_object"]

_SIGNAL_SECONDS = 0.5
"""Seconds between two reads of `interrupts`: a signal sets a request there, and does not end the wait."""


def concurrent_objects(method: PerformanceMethod, device: str) -> int:
    """Objects that one process optimises side by side: several on a CPU.

    Many small steps leave cores idle that another object can use. One more than there are cores,
    so that none is idle while an object is read or written, or the last one of all is made.
    """
    cores = render.available_cores()
    return min(cores + 1, method.objects_at_once) if device == "cpu" and cores > 1 else 1


def threads_per_object(method: PerformanceMethod, device: str) -> int:
    """PyTorch's threads for one object, 0 for its own choice.

    They depend on the machine and the preset alone, so that neither a mask nor the number of
    processes changes a result.
    """
    at_once = concurrent_objects(method, device)
    return max(1, render.available_cores() // at_once) if at_once > 1 else 0


class Cores:
    """Lets an object compute several parts of a batch at a time, on cores that no other object uses.

    No result depends on how many: see `Step`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._most = 1

    @contextmanager
    def lent(self, most: int) -> Iterator[None]:
        """While it lasts, all objects together compute at most so many parts at a time, each at least one."""
        self._most = most
        try:
            yield
        finally:
            self._most = 1

    @contextmanager
    def object_under_way(self) -> Iterator[None]:
        """While it lasts, one object more shares the cores."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def parts_at_once(self) -> int:
        """How many parts an object may compute at a time now."""
        return max(1, self._most // max(1, self._under_way))


def side_by_side(
    at_once: int,
    groups: Sequence[tuple[StageObject, ...]],
    work: Callable[[tuple[StageObject, ...]], None],
    stop: Callable[[], None],
) -> None:
    """Call ``work`` for every group, for ``at_once`` at a time.

    Where a ``work`` raises, KeyboardInterrupt included, calls ``stop``, which must end the others that
    have begun; raises the same once they have ended. No other group is begun.
    """
    pool = ThreadPoolExecutor(at_once)
    try:
        pending = {pool.submit(work, group) for group in groups}
        while pending:
            # As they end, not in order: what one object raises must not wait for a longer one.
            ended, pending = wait(pending, _SIGNAL_SECONDS, FIRST_COMPLETED)
            interrupts.check()
            for future in ended:
                future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)  # first, or those that stop would begin others
        stop()
        raise
    finally:
        pool.shutdown()
