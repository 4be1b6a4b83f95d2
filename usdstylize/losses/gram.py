"""Gram-matrix style loss (Gatys et al. 2016), which the paper compares NNFM with (Figures 3 and S5)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["gram_loss", "gram_matrix"]


def gram_matrix(rows: Tensor, weights: Tensor | None = None, *, smooth: bool = False) -> Tensor:
    """Mean outer product of feature rows, (C, C) float32, whatever the number of positions.

    rows: (M, C) features of any float dtype; several style images are concatenated along M.
    weights: (M,) float, share of each position that the object covers; None counts all alike.
    smooth: a softmax over the channels first, times C so that an even row is all ones, as Wang
    et al. 2021 do for networks with residual connections, whose Gram matrices are else ruled
    by a few large activations: the paper's choice for CLIP.
    """
    rows = F.softmax(rows.float(), dim=1) * rows.shape[1] if smooth else rows.float()
    if weights is None:
        return rows.T @ rows / max(1, len(rows))
    return (rows * weights[:, None]).T @ rows / weights.sum().clamp_min(1)


def gram_loss(
    rows: Tensor,
    target: Tensor,
    *,
    counts: Sequence[int] | None = None,
    weights: Tensor | None = None,
    smooth: bool = False,
) -> Tensor:
    """Squared distance of the renders' Gram matrices to the style's, relative to its size, a scalar.

    rows: (M, C) features of a batch of renders, one render after the other. counts: how many
    rows each render has; None takes all as one. weights: (M,), see `gram_matrix`. target: (C, C)
    float32, `gram_matrix` of the style.

    Per render ``|G - A|² / |A|²`` (Frobenius), then the mean over the renders. Gatys et al. divide
    by 4C² instead; relative to the target one λ serves layers and networks of any magnitude.
    """
    parts = torch.split(rows, list(counts)) if counts is not None else (rows,)
    shares = (
        torch.split(weights, [len(part) for part in parts]) if weights is not None else (None,) * len(parts)
    )
    size = target.square().sum().clamp_min(1e-12)
    distances = [
        (gram_matrix(part, share, smooth=smooth) - target).square().sum() / size
        for part, share in zip(parts, shares, strict=True)
    ]
    return torch.stack(distances).mean()
