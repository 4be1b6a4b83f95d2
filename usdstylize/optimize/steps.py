"""Chooses the kind of `Step` for a device."""

from collections.abc import Callable, Sequence

from torch import Tensor

from usdstylize.kernels.availability import fused
from usdstylize.losses import Objective, Target, Texels
from usdstylize.optimize.field import Field
from usdstylize.optimize.step import Step
from usdstylize.render import Subject

__all__ = ["new_step"]


def new_step(
    objective: Objective,
    subject: Subject,
    texels: Texels,
    sheets: int,
    size: int,
    pool: Sequence[Sequence[Target]] = (),
    *,
    views_at_once: int = 0,
    reduce: Callable[[Tensor], None] | None = None,
    field: Field | None = None,
) -> Step:
    """The fastest `Step` of the device. pool: all batches' views by slot; empty where they are not known."""
    if not fused(subject.device):
        return Step(
            objective, subject, texels, sheets, size, views_at_once=views_at_once, reduce=reduce, field=field
        )
    from usdstylize.optimize.cuda_graph_step import CudaGraphStep

    step = CudaGraphStep(
        objective, subject, texels, sheets, size, views_at_once=views_at_once, reduce=reduce, field=field
    )
    step.expect(pool)
    return step
