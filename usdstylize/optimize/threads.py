"""Objects side by side, a thread for each: PyTorch, or another process, does the work of it."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from usdstylize import interrupts, render
from usdstylize.config.method import PerformanceMethod
from usdstylize.model.objects import StageObject

__all__ = ["concurrent_objects", "side_by_side", "threads_per_object"]

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
