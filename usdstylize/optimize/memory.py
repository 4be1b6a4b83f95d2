"""What fits into a device's memory: how many views at a time, and where the pool of views lies."""

import math
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from usdstylize.config.method import Method
from usdstylize.losses import Objective, Target
from usdstylize.optimize.schedule import weights_at

__all__ = ["Allotment", "allot", "available_bytes", "bytes_for_view", "limit_memory", "moved", "tensor_bytes"]

GIB = 2**30

_AMPLE_FOR_A_VIEW = 8 << 10
_AMPLE_IN_THE_POOL = 256
"""Bytes per pixel that every pair of networks stays well below: where so much is free, nothing is
measured. In bfloat16 a view takes 1,200 with CLIP RN50 and VGG16, or with VGG16 alone, and 600 with
the draft encoder, and up to 170 in the pool."""
_MARGIN = 1.25
"""Factor on what a view takes, for fragmented memory and work spaces that grow with it."""
_FIXED = 512 << 20
"""What does not grow with the views: blocks of cosines, work spaces of the libraries."""
_OF_TEXTURE = 16
"""Memory in sizes of T_S: T_S, its gradient, Adam's two, three mip tables, one of int64; rounded up."""
_OF_FIELD = 24
"""The same of a field: three nodes a texel, their gradient, Adam's two, and what is summed on the way."""

Moved = TypeVar("Moved")


@dataclass(frozen=True)
class Allotment:
    """views_at_once: views that are compared together, a divisor of a process's share of a batch.

    pool_on_host: whether the pool lies in the machine's memory, and each batch is copied to the device.
    """

    views_at_once: int
    pool_on_host: bool = False

    def halved(self) -> "Allotment":
        """The next smaller one."""
        return Allotment(_divisor(self.views_at_once, self.views_at_once // 2), True)

    def remark(self, share: int, pool: int, cuda: bool) -> str | None:
        """A sentence for the TD; None where nothing is out of the ordinary."""
        notes = []
        if self.views_at_once < share:
            notes.append(f"{self.views_at_once} of {share} views at a time")
        if self.pool_on_host and cuda and pool:
            notes.append(f"its {pool} views in the machine's memory")
        return f"To fit into memory it was optimised with {' and '.join(notes)}." if notes else None


def available_bytes(device: str, limit: float | None, others: int = 1) -> float:
    """What an object may take: the limit in GiB less what is taken already, else what is free.

    On a CPU the limit is for the optimisation alone, and divided among the ``others`` that run
    beside each other; without one there is no limit.
    """
    if not device.startswith("cuda"):
        return math.inf if limit is None else limit * GIB / others
    taken = torch.cuda.memory_allocated()
    if limit is not None:
        return limit * GIB - taken
    free, _ = torch.cuda.mem_get_info()
    return free + torch.cuda.memory_reserved() - taken


def limit_memory(limit: float | None, device: str) -> None:
    """Let PyTorch take no more than the limit of a GPU, in GiB."""
    if limit is not None and device.startswith("cuda"):
        _, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit * GIB / total))


def allot(
    available: float,
    method: Method,
    *,
    share: int,
    at_once: int,
    sheets: int,
    measure: Callable[[], tuple[int, int]],
) -> Allotment:
    """How to fit into ``available`` bytes.

    share: views of a batch that this process has. at_once: how many are compared together at most.
    measure: bytes that one view takes in an iteration, and those that it takes in the pool; called only
    where it matters.

    First the pool moves to the host, which changes no bit of the result; then fewer views are
    compared at a time, which rounds its last bits otherwise. One view at a time is the least.
    """
    fixed = _FIXED + (_OF_TEXTURE + _OF_FIELD * method.field) * sheets * method.texture_resolution**2 * 3 * 4
    pixels, views = method.resolution**2, max(share, share * method.view_pool // method.batch)
    at_once = _divisor(share, at_once)
    if available > fixed + pixels * (at_once * _AMPLE_FOR_A_VIEW + views * _AMPLE_IN_THE_POOL):
        return Allotment(at_once)
    taken, stored = measure()
    left = available - fixed
    whole = at_once * taken * _MARGIN
    if whole + views * stored <= left:
        return Allotment(at_once)
    fitting = int(max(1.0, (left - share * stored) / (taken * _MARGIN)))
    return Allotment(_divisor(share, min(at_once, fitting)), True)


def _divisor(whole: int, most: int) -> int:
    """The largest divisor that is no more than ``most``, 1 at least."""
    return next(size for size in range(max(1, min(whole, most)), 0, -1) if whole % size == 0)


def bytes_for_view(objective: Objective, target: Target, table: Tensor) -> int:
    """Bytes that the losses of one view and their gradient take beside what is there, at most at a time."""
    batch, leaf = objective.join([target]), table.detach().requires_grad_()
    weights = weights_at(objective.terms, objective.method, 0.0)
    if table.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        objective.backward(batch, leaf, weights)
        return torch.cuda.max_memory_allocated() - before
    allocated = _Allocated()
    with allocated:
        objective.backward(batch, leaf, weights)
    return allocated.most


class _Allocated(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes that operators allocate and free, which PyTorch does not do on a CPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operator(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if place and place not in self._alive:
            self._alive.add(place)
            self._now += size
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._freed, place, size)

    def _freed(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self._now -= size


def tensor_bytes(value: Any) -> int:
    """Bytes of all tensors in dataclasses, lists, tuples and mappings."""
    sizes: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    _rebuilt(value, count)
    return sum(sizes)


def moved(value: Moved, device: str) -> Moved:
    """The same with every tensor on ``device``."""
    result: Moved = _rebuilt(value, lambda tensor: tensor.to(device))
    return result


def _rebuilt(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _rebuilt(getattr(value, f.name), change) for f in fields(value)})
    if isinstance(value, Mapping):
        return {key: _rebuilt(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_rebuilt(item, change) for item in value)
    return value
