"""Fewer style features that still stand for all of them."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor

__all__ = ["representatives"]

_ROUNDS = 8


def representatives(rows: Tensor, count: int, seed: int) -> Tensor:
    """At most ``count`` of the (N, C) rows, such that every row has one of about its direction.

    k-means on the unit sphere, and of each cluster the row that is nearest to its centre: a
    centre itself would be an average, which no picture shows. A few hundred chosen like this
    match as well as a thousand drawn at random, and cost a quarter.
    """
    if len(rows) <= count:
        return rows
    unit = F.normalize(rows.float(), dim=1).cpu()
    # A flat picture has the same feature everywhere, and k-means wants points that differ.
    distinct = torch.unique(unit.round(decimals=4), dim=0)
    count = min(count, len(distinct))
    with threadpool_limits(1):  # sums in any order would make a seed give several answers
        clusters = KMeans(count, init="random", n_init=1, max_iter=_ROUNDS, random_state=seed % 2**32)
        centres = clusters.fit(distinct.numpy().astype(np.float64)).cluster_centers_
    nearest = torch.unique((torch.from_numpy(centres).float() @ unit.T).argmax(1))
    return rows[nearest.to(rows.device)]
