"""Networks whose gradient goes to their images alone, since their weights are frozen.

The backward pass is written by hand: PyTorch's graph keeps tensors that the images' gradient does
not need, and reads and writes every map several times more.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from usdstylize.encoders.first import FirstConvolution

__all__ = ["Tape", "Trunk"]

Tape = list[Tensor | None]
"""Maps that the backward pass needs, in the order in which the forward pass makes them."""


class Trunk(nn.Module):
    """A frozen network from images to rows of feature maps, differentiable in its images alone.

    A backward pass frees the maps; a second one for the same forward pass raises RuntimeError.
    """

    first: FirstConvolution

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        if torch.is_grad_enabled() and images.requires_grad:
            return list(_Run.apply(images, self, rows))  # type: ignore[no-untyped-call]
        return self._features(self.first(images), rows, None)

    @abstractmethod
    def _features(self, x: Tensor, rows: Sequence[Tensor] | None, tape: Tape | None) -> list[Tensor]:
        """The rows of each feature map, from ``first``'s map x; appends to ``tape`` what `_gradient` pops."""

    @abstractmethod
    def _gradient(
        self, gradients: Sequence[Tensor | None], rows: Sequence[Tensor] | None, tape: Tape
    ) -> Tensor:
        """The gradient of ``first``'s map, from those of the rows; None stands for 0."""


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
