"""A few of the style's features that stand for all of them."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["representatives"]

_ROUNDS = 8
"""Rounds of k-means from random rows: 30 take twice the time and lower the mean cosine distance of all rows
to the nearest chosen one by 0.7 %."""


def representatives(rows: Tensor, count: int, seed: int) -> Tensor:
    """At most ``count`` of the (N, C) rows, such that every row has one of about its direction.

    rows: any float dtype, on any device; k-means runs on the CPU. Of each k-means cluster of unit vectors
    the row in the direction of its centre: a centre itself would be an average, which is no feature of
    the picture. A hundred chosen like this match as well as a thousand drawn at random, and cost an eighth.
    """
    if len(rows) <= count:
        return rows
    from sklearn.cluster import KMeans  # takes about as long to import as torch
    from threadpoolctl import threadpool_limits

    unit = F.normalize(rows.float(), dim=1).cpu()
    distinct = unit[_distinct(unit)].numpy()
    k_means = KMeans(
        min(count, len(distinct)), init="random", n_init=1, max_iter=_ROUNDS, random_state=seed % 2**32
    )
    # One thread, since several add up in any order. No warning where rows that hardly differ give fewer
    # clusters.
    with threadpool_limits(1, user_api="openmp"), warnings.catch_warnings(action="ignore"):
        centres = torch.from_numpy(k_means.fit(distinct).cluster_centers_)
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
