"""Fewer style features that still stand for all of them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["representatives"]

_ROUNDS = 8


def representatives(rows: Tensor, count: int, seed: int) -> Tensor:
    """At most ``count`` of the (N, C) rows, such that every row has one of about its direction.

    k-means by cosine (Dhillon & Modha 2001), and of each cluster the row that is nearest to its
    centre: a centre itself would be an average, which no picture shows. A hundred chosen like
    this match as well as a thousand drawn at random, and cost an eighth.
    """
    if len(rows) <= count:
        return rows
    unit = F.normalize(rows.float(), dim=1).cpu()
    distinct = unit[_distinct(unit)]
    random = np.random.default_rng(seed)
    first = random.choice(len(distinct), min(count, len(distinct)), replace=False)
    centres = distinct[torch.from_numpy(np.sort(first))]
    for _ in range(_ROUNDS):
        nearest = (distinct @ centres.T).max(1).indices
        sums = torch.zeros_like(centres).index_add_(0, nearest, distinct)
        centres = torch.where(sums.any(1, keepdim=True), F.normalize(sums, dim=1), centres)
    chosen = torch.unique((centres @ unit.T).max(1).indices)
    return rows[chosen.to(rows.device)]


def _distinct(rows: Tensor) -> Tensor:
    """Indices of rows of which no two are equal.

    A flat picture has the same feature everywhere, and k-means needs points that differ. Rows
    are compared by their projection on one line: sorting whole ones takes longer than the k-means.
    """
    line = np.random.default_rng(0).standard_normal(rows.shape[1])
    _, first = np.unique(np.round(rows.double().numpy() @ line, 9), return_index=True)
    return torch.from_numpy(np.sort(first))
