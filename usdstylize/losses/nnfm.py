"""Nearest-neighbour feature matching (paper, Eq. 2): where the style comes from."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["nearest_keys", "nnfm_loss", "smooth_features", "style_keys"]

_CHUNK = 16384
"""Query rows matched at a time: the distance matrix never exists as a whole."""

_EPSILON = 1e-12
"""Inside the square root of a norm. Softmax-smoothed features have norms near 1/sqrt(C), and a
larger one would swamp them."""


def smooth_features(rows: Tensor) -> Tensor:
    """Softmax over the channels of (M, C) rows, in float32 (paper §3, after Wang et al. 2021)."""
    return F.softmax(rows.float(), dim=1)


def _normalize(rows: Tensor) -> Tensor:
    rows = rows.float()
    return rows / (rows.square().sum(1, keepdim=True) + _EPSILON).sqrt()


def style_keys(rows: Tensor, *, smooth: bool) -> Tensor:
    """Style features (N, C) as float32 unit vectors (N, C), ready to be matched against.

    Several style images are concatenated along N before or after: the result is the same.
    """
    return _normalize(smooth_features(rows) if smooth else rows)


@torch.no_grad()
def nearest_keys(rows: Tensor, keys: Tensor) -> Tensor:
    """Index (M,) int64 of the key with the greatest cosine for each of (M, C) rows.

    The rows need not be normalised: a row's own length does not change which key is nearest.
    """
    return torch.cat([(chunk @ keys.T).argmax(1) for chunk in rows.split(_CHUNK)])


def nnfm_loss(
    rows: Tensor,
    keys: Tensor,
    *,
    smooth: bool = False,
    weights: Tensor | None = None,
    search_keys: Tensor | None = None,
) -> Tensor:
    """Mean cosine distance of render features to their nearest style feature, a scalar.

    rows: (M, C) render features of any float dtype. keys: (N, C) float32 from `style_keys`.
    weights: (M,) float, share of each position that the object covers; None counts all alike.
    search_keys: ``keys`` in the dtype in which neighbours are searched; None searches in
    float32.

    The neighbour is found without a gradient and gathered; the distance to it is then an
    ordinary differentiable cosine. The gradient equals that of the full matrix with ``min``.
    """
    rows = smooth_features(rows) if smooth else rows
    search = keys if search_keys is None else search_keys
    nearest = nearest_keys(rows.detach().to(search.dtype), search)
    distance = 1 - (_normalize(rows) * keys.index_select(0, nearest)).sum(1)
    if weights is None:
        return distance.mean()
    return (distance * weights).sum() / weights.sum().clamp_min(1)
