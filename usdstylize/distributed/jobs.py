"""What one process sends another: objects to optimise, with style and method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from usdstylize.config.method import LossMethod, Method
from usdstylize.encoders import weights as network_weights
from usdstylize.model.objects import Losses, ObjectData, StageCamera, StageObject, StyleSet, StyleTexture
from usdstylize.optimize import ALONE, Optimizer, ProcessGroup, choose_device

__all__ = ["Job", "JobRunner", "check_weights"]


@dataclass(frozen=True, eq=False)
class Job:
    """One group of objects, with all that it takes to optimise them.

    styles: those that the receiver does not have yet, by the numbers that ``style`` and later jobs use.
    """

    objects: Sequence[StageObject]
    data: Sequence[ObjectData]
    cameras: Sequence[StageCamera]
    method: Method
    style: int
    styles: dict[int, StyleSet]
    device: str
    weights: Path | None
    memory_limit: float | None

    @classmethod
    def of(
        cls,
        style: StyleSet,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        cameras: Sequence[StageCamera],
        method: Method,
        device: str,
        weights: Path | None,
        memory_limit: float | None,
    ) -> "Job":
        """Pass the same instance of ``style`` for the same style, and keep it as long as jobs are sent."""
        number = id(style)
        return cls(objects, data, cameras, method, number, {number: style}, device, weights, memory_limit)

    def without_known(self, known: dict[int, StyleSet]) -> "Job":
        """This without the styles in ``known``; its own are added to ``known``."""
        new = {number: style for number, style in self.styles.items() if number not in known}
        known.update(new)
        return replace(self, styles=new)


def check_weights(method: LossMethod, folder: Path | None) -> None:
    """Raises WeightsError where the method's networks have none, before any job is sent."""
    for name in (method.encoder, method.content_encoder):
        network_weights.locate(name, folder)


class JobRunner:
    """Does jobs in the process that receives them; networks stay loaded from one to the next."""

    def __init__(self, process_group: ProcessGroup = ALONE) -> None:
        self._process_group = process_group
        self._styles: dict[int, StyleSet] = {}
        self._optimizer: Optimizer | None = None

    def do(
        self, job: Job, on_iteration: Callable[[int, Losses], None] = lambda number, losses: None
    ) -> tuple[StyleTexture, ...]:
        """As `Optimizer.optimize`, whose errors it raises; WeightsError and OptionsError, too."""
        self._styles.update(job.styles)
        style = self._styles[job.style]
        with self._process_group.agreed():
            if self._optimizer is None:
                self._optimizer = Optimizer(
                    style,
                    job.method,
                    choose_device(job.device),  # raises where this process has no such device
                    weights=job.weights,
                    memory_limit=job.memory_limit,
                    process_group=self._process_group,
                )
            restyled = self._optimizer.restyled(style, job.method)
        return restyled.optimize(job.objects, job.data, cameras=job.cameras, on_iteration=on_iteration)
