"""Content loss (paper §3): what keeps the eyes of the cow."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["content_loss"]


def content_loss(
    rows: Sequence[Tensor], targets: Sequence[Tensor], weights: Sequence[Tensor] | None = None
) -> Tensor:
    """Mean squared difference of feature rows, summed over layers, a scalar.

    rows, targets: per layer (M, C), the render with T + T_S and the render with T from the
    same camera and under the same light. weights: per layer (M,), the share of each position
    that the object covers; None counts all alike.
    """
    terms = []
    for layer, (row, target) in enumerate(zip(rows, targets, strict=True)):
        squared = (row.float() - target.float()).square().mean(1)
        if weights is None:
            terms.append(squared.mean())
        else:
            weight = weights[layer]
            terms.append((squared * weight).sum() / weight.sum().clamp_min(1))
    return torch.stack(terms).sum()
