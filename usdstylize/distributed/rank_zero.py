"""The first process of a process group: it gives the others their jobs and does its own share."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

from usdstylize.config.method import Method
from usdstylize.distributed.jobs import Job, JobRunner, check_weights
from usdstylize.distributed.torchrun import TorchProcessGroup
from usdstylize.model.objects import Losses, ObjectData, StageCamera, StageObject, StyleSet, StyleTexture

__all__ = ["RankZero"]


class RankZero:
    """Looks like an `Optimizer`, whose batches all processes of the group share."""

    def __init__(
        self,
        process_group: TorchProcessGroup,
        style: StyleSet,
        method: Method,
        device: str,
        *,
        weights: Path | None = None,
        memory_limit: float | None = None,
    ) -> None:
        """Raises WeightsError where the method's networks have no weights."""
        check_weights(method, weights)
        self.method = method
        self._style = style
        self._process_group = process_group
        self._known: dict[int, StyleSet] = {}
        self._runner = JobRunner(process_group)
        self._device, self._weights, self._memory_limit = device, weights, memory_limit

    def restyled(self, style: StyleSet, method: Method) -> "RankZero":
        """As `Optimizer.restyled`."""
        other = copy.copy(self)
        other.method, other._style = method, style
        return other

    def each(
        self,
        groups: Sequence[tuple[StageObject, ...]],
        work: Callable[[tuple[StageObject, ...]], None],
    ) -> None:
        """As `Optimizer.each`, for one group after the other."""
        for group in groups:
            work(group)

    def optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        *,
        cameras: Sequence[StageCamera] = (),
        on_iteration: Callable[[int, Losses], None] = lambda number, losses: None,
    ) -> tuple[StyleTexture, ...]:
        """As `Optimizer.optimize`, and raises what any of the processes does.

        Raises ProcessGroupError, too, where a process is lost.
        """
        job = Job.of(
            self._style, objects, data, cameras, self.method, self._device, self._weights, self._memory_limit
        )
        self._process_group.send(job.without_known(self._known))
        return self._runner.do(job, on_iteration)
