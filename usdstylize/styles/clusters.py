"""k-means (Lloyd 1982) from k-means++ starts (Arthur & Vassilvitskii 2007), for a few colours.

scikit-learn's and SciPy's give the same, and take a second or more to import.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["k_means"]

_STARTS = 4
_ROUNDS = 300

Float64 = NDArray[np.float64]


def k_means(points: Float64, weights: Float64, count: int, seed: int) -> tuple[Float64, Float64]:
    """Centres (K, C) and the weight of each one's points (K,), of the best of several starts.

    points: (N, C), of which at least ``count`` differ. weights: (N,), how often each occurs.
    """
    random = np.random.default_rng(seed)
    found = [_lloyd(points, weights, _spread(points, weights, count, random)) for _ in range(_STARTS)]
    _, centers, shares = min(found, key=lambda result: result[0])
    return centers, shares


def _spread(points: Float64, weights: Float64, count: int, random: np.random.Generator) -> Float64:
    """Points far from each other: each drawn by its squared distance to the nearest before it."""
    chosen = [random.choice(len(points), p=weights / weights.sum())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
        chances = nearest * weights
        chosen.append(random.choice(len(points), p=chances / chances.sum()))
    return points[chosen]


def _lloyd(points: Float64, weights: Float64, centers: Float64) -> tuple[float, Float64, Float64]:
    """The sum of squared distances, the centres and their weights, once no point changes its centre."""
    owner = np.full(len(points), -1)
    shares = np.zeros(len(centers))
    for _ in range(_ROUNDS):
        distances = (centers**2).sum(1) - 2 * (points @ centers.T)
        nearest = distances.argmin(1)
        if np.array_equal(nearest, owner):
            break
        owner = nearest
        shares = np.bincount(owner, weights, len(centers)).astype(np.float64)
        sums = [np.bincount(owner, weights * column, len(centers)) for column in points.T]
        means = np.stack(sums, axis=1) / np.maximum(shares, 1e-300)[:, None]
        centers = np.where(shares[:, None] > 0, means, centers)
    return float((weights * ((points - centers[owner]) ** 2).sum(1)).sum()), centers, shares
