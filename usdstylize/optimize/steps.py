"""Chooses the kind of `Step` for a device."""

from collections.abc import Callable, Sequence

from torch import Tensor

from usdstylize.kernels.availability import fused
from usdstylize.losses import Objective, Target, Texels
from usdstylize.optimize.field import Field
from usdstylize.optimize.sheet_texels import SheetTexels
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
    start: Tensor | None = None,
    smooth: bool = False,
    views_at_once: int = 0,
    reduce: Callable[[Tensor], None] | None = None,
    field: Field | SheetTexels | None = None,
    masks: Tensor | None = None,
    parts_at_once: Callable[[], int] = lambda: 1,
) -> Step:
    """The fastest `Step` of the device. pool: all batches' views by slot; empty where they are not known."""
    kind: type[Step] = Step
    if fused(subject.device):
        from usdstylize.optimize.cuda_graph_step import CudaGraphStep

        kind = CudaGraphStep
    step = kind(
        objective,
        subject,
        texels,
        sheets,
        size,
        start=start,
        smooth=smooth,
        views_at_once=views_at_once,
        reduce=reduce,
        field=field,
        masks=masks,
        parts_at_once=parts_at_once,
    )
    step.expect(pool)
    return step
