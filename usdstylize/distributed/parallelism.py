"""How many processes a run uses: one, one for each of several GPUs, or torchrun's."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from usdstylize.config.method import Method, ScheduleMethod
from usdstylize.config.options import FarmOptions
from usdstylize.distributed import torchrun
from usdstylize.distributed.rank_zero import RankZero
from usdstylize.distributed.workers import Workers
from usdstylize.errors import OptionsError
from usdstylize.model.objects import Losses, ObjectData, StageCamera, StageObject, StyleSet, StyleTexture
from usdstylize.optimize import Optimizer, alike_gpus

__all__ = ["Optimizes", "Parallelism", "choose_parallelism", "opened"]


class Optimizes(Protocol):
    """What an `Optimizer` does, here or in other processes."""

    method: Method

    def restyled(self, style: StyleSet, method: Method) -> Self: ...

    def each(
        self,
        groups: Sequence[tuple[StageObject, ...]],
        work: Callable[[tuple[StageObject, ...]], None],
    ) -> None: ...

    def optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        *,
        cameras: Sequence[StageCamera] = ...,
        on_iteration: Callable[[int, Losses], None] = ...,
    ) -> tuple[StyleTexture, ...]: ...


@dataclass(frozen=True)
class Parallelism:
    """How many ``processes`` optimise; ``together``: all on each object, else each on one of its own."""

    processes: int = 1
    together: bool = False

    def __str__(self) -> str:
        """For the plan; empty for one process."""
        if self.processes == 1:
            return ""
        return f"{self.processes} processes, " + ("all on each object" if self.together else "an object each")


def choose_parallelism(options: FarmOptions, method: ScheduleMethod, device: str, groups: int) -> Parallelism:
    """As torchrun or ``--gpus`` asks, else all GPUs that are the same. groups: number of groups of objects.

    Raises OptionsError where there are not so many, or a batch cannot be shared.
    """
    process_group = torchrun.current()
    if process_group is not None:
        count = process_group.share.count
        if options.gpus is not None:
            raise OptionsError(
                "--gpus gives each GPU objects of its own, torchrun a share of each object; leave one out."
            )
        if method.batch % count:
            fitting = math.lcm(method.batch, count)
            raise OptionsError(
                f"{method.batch} views an iteration cannot be shared by {count} processes; give "
                f"--batch {fitting}, or another --nproc-per-node."
            )
        return Parallelism(count, together=True)
    cuda = device.startswith("cuda")
    if options.gpus is None:
        return Parallelism(min(alike_gpus(), groups) if cuda and groups > 1 else 1)
    if cuda and options.gpus > (present := alike_gpus()):
        raise OptionsError(
            f"--gpus {options.gpus} asks for more than the {present} here that are the same as the first."
        )
    return Parallelism(min(options.gpus, groups))


@contextmanager
def opened(
    parallelism: Parallelism, style: StyleSet, method: Method, device: str, options: FarmOptions
) -> Iterator[Optimizes]:
    """A context with an `Optimizer`, or its like over several processes, for a run's objects.

    Raises WeightsError where the method's networks have no weights.
    """
    weights, limit = options.weights, options.memory_limit
    process_group = torchrun.current()
    if process_group is not None:
        yield RankZero(process_group, style, method, device, weights=weights, memory_limit=limit)
    elif parallelism.processes > 1:
        with Workers(
            parallelism.processes, style, method, device, weights=weights, memory_limit=limit
        ) as workers:
            yield workers
    else:
        yield Optimizer(style, method, device, weights=weights, memory_limit=limit)
