"""Over how many processes a run is spread: one, one for each of several GPUs, or torchrun's."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from usdstylize.config.options import Method, Options
from usdstylize.distributed import torchrun
from usdstylize.distributed.leader import Leader
from usdstylize.distributed.workers import Workers
from usdstylize.errors import OptionsError
from usdstylize.model.objects import Losses, ObjectData, StageObject, StyleSet, StyleTexture
from usdstylize.optimize.devices import alike_gpus
from usdstylize.optimize.optimizer import Optimizer

__all__ = ["Optimizes", "Spread", "choose_spread", "opened"]


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
        on_iteration: Callable[[int, Losses], None] = ...,
    ) -> tuple[StyleTexture, ...]: ...


@dataclass(frozen=True)
class Spread:
    """processes: that optimise. together: whether all work on each object, or on one object each."""

    processes: int = 1
    together: bool = False

    def __str__(self) -> str:
        """Empty where there is nothing to say."""
        if self.processes == 1:
            return ""
        return f"{self.processes} processes, " + ("all on each object" if self.together else "an object each")


def choose_spread(options: Options, method: Method, device: str, groups: int) -> Spread:
    """As torchrun and ``--gpus`` ask, else over all GPUs that are the same; groups: of objects.

    Raises OptionsError where there are not so many, or a batch cannot be shared.
    """
    team = torchrun.current()
    if team is not None:
        count = team.share.count
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
        return Spread(count, together=True)
    cuda = device.startswith("cuda")
    if options.gpus is None:
        return Spread(min(alike_gpus(), groups) if cuda and groups > 1 else 1)
    if cuda and options.gpus > (present := alike_gpus()):
        raise OptionsError(
            f"--gpus {options.gpus} asks for more than the {present} here that are the same as the first."
        )
    return Spread(min(options.gpus, groups))


@contextmanager
def opened(
    spread: Spread, style: StyleSet, method: Method, device: str, options: Options
) -> Iterator[Optimizes]:
    """What optimises a run's objects, until it is left.

    Raises WeightsError where the method's networks have no weights.
    """
    weights, limit = options.weights, options.memory_limit
    team = torchrun.current()
    if team is not None:
        yield Leader(team, style, method, device, weights=weights, memory_limit=limit)
    elif spread.processes > 1:
        with Workers(spread.processes, style, method, device, weights=weights, memory_limit=limit) as workers:
            yield workers
    else:
        yield Optimizer(style, method, device, weights=weights, memory_limit=limit)
