"""Gram-matrix style loss (Gatys et al. 2016), which the paper compares NNFM with (Figures 3 and S5)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.losses.nnfm import weighted_mean

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
    return (rows * weights[:, None]).T @ rows / weights.sum().clamp_min(1e-12)


def gram_loss(
    rows: Tensor,
    target: Tensor,
    *,
    renders: Tensor | None = None,
    count: int = 1,
    weights: Tensor | None = None,
    smooth: bool = False,
    total: Tensor | None = None,
) -> Tensor:
    """Squared distance of the renders' Gram matrices to the style's, relative to its size, a scalar.

    rows: (M, C) features of a batch of ``count`` renders. renders: (M,) int64, which of them each row
    is of; None where there is one. weights: (M,), see `gram_matrix`. target: (C, C) float32,
    `gram_matrix` of the style. total: as in `nnfm_loss`.

    Per render ``|G - A|² / |A|²`` (Frobenius), then the mean over the renders, each counting by
    the weights it has. Gatys et al. divide by 4C² instead; relative to the target one λ serves
    layers and networks of any magnitude.
    """
    every = rows.new_ones(len(rows), dtype=torch.float32) if weights is None else weights
    shares = [every] if renders is None else [every * (renders == index) for index in range(count)]
    size = target.square().sum().clamp_min(1e-12)
    # Each render uses all rows, with weight 0 for those of others: no shape depends on how many rows a
    # render has, so a CUDA graph can capture it.
    distances = [(gram_matrix(rows, share, smooth=smooth) - target).square().sum() / size for share in shares]
    return weighted_mean(torch.stack(distances), torch.stack([share.sum() for share in shares]), total)
