"""k-means against scikit-learn's."""

import numpy as np
from sklearn.cluster import KMeans

from usdstylize.styles.clusters import k_means


def test_clusters_are_as_tight_as_scikit_learns() -> None:
    random = np.random.default_rng(4)
    around = random.uniform(0, 255, (12, 3))
    points = np.concatenate([random.normal(place, 12, (300, 3)) for place in around])
    weights = random.integers(1, 9, len(points)).astype(float)
    centers, shares = k_means(points, weights, 8, seed=0)
    peer = KMeans(8, n_init=4, random_state=0).fit(points, sample_weight=weights)
    squared = ((points[:, None] - centers) ** 2).sum(2).min(1)
    assert (squared * weights).sum() <= 1.02 * peer.inertia_
    assert shares.sum() == weights.sum()
    again, _ = k_means(points, weights, 8, seed=0)
    assert np.array_equal(centers, again)
