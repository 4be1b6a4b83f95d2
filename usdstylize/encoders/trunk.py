"""Networks that hand a gradient to their images alone.

The gradients are written out: PyTorch's own graph would keep tensors that no gradient to the
image needs, and walk over every map several times more.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from usdstylize.encoders.first import FirstConvolution

__all__ = ["Tape", "Trunk"]

Tape = list[Tensor | None]
"""Maps that the way back needs, the last first."""


class Trunk(nn.Module):
    """A frozen network from images to rows of feature maps, differentiable in its images alone.

    Twice through `backward` is not possible: maps are let go on the way.
    """

    first: FirstConvolution

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        if torch.is_grad_enabled() and images.requires_grad:
            return list(_Run.apply(images, self, rows))  # type: ignore[no-untyped-call]
        return self._features(self.first(images), rows, None)

    @abstractmethod
    def _features(self, x: Tensor, rows: Sequence[Tensor] | None, tape: Tape | None) -> list[Tensor]:
        """The rows of each map, from the first one; appends to ``tape`` what `_gradient` pops."""

    @abstractmethod
    def _gradient(
        self, gradients: Sequence[Tensor | None], rows: Sequence[Tensor] | None, tape: Tape
    ) -> Tensor:
        """The gradient of the first map, from those of the rows."""


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, trunk: Trunk, rows: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
        x = trunk.first(images)
        tape: Tape = [x]
        features = trunk._features(x, rows, tape)
        ctx.set_materialize_grads(False)
        ctx.trunk, ctx.rows, ctx.tape, ctx.dtype = trunk, rows, tape, images.dtype
        return tuple(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, None, None]:
        if not ctx.tape:
            raise RuntimeError("A frozen network's backward pass ran a second time; call the network again.")
        gradient = ctx.trunk._gradient(gradients, ctx.rows, ctx.tape)
        return ctx.trunk.first.gradient(gradient, ctx.tape.pop(), ctx.dtype), None, None
