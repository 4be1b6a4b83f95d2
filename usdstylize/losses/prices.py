"""Variety: matching with limited capacity, so that a style's features are all used, not the easiest alone.

NNFM (paper, Eq. 2) lets every feature of a render take the nearest of the style, so that a few of those
serve all. Here the style's features are clustered. A match with a cluster that serves more than its share of
the style costs a price, and one with a cluster that serves less gets a discount. The prices follow by dual
ascent, as those of optimal transport do, a step in every iteration; the loss of a match stays the cosine.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from usdstylize.losses.keys import representatives

__all__ = ["Clusters", "Market", "Prices", "cluster"]

_CLUSTERS = 64
"""Of the features of all style images together."""
_REMEMBERED = 0.8
"""Share of the uses before in a running mean of them."""
_STEP = 0.05
"""Of the highest price, in an iteration, for a cluster that is not used at all."""
_LEAST_SHARE = 1e-6
_FIXED_POINT = 2.0**20
"""Units in which weights are added up."""
_WORST = -3.0
"""Least of the relative lack of use: one that is used four times too much, or more."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The style's features of one map, in clusters.

    owner: (N,) int64, the cluster of every key. shares: (K,) float32, how much of the style each is, 1 in
    sum. unit: how much the products of a row with the keys differ from cluster to cluster.
    """

    owner: Tensor
    shares: Tensor
    unit: float


def cluster(
    images: Sequence[Tensor],
    keys: Sequence[Tensor],
    weights: Sequence[float],
    length: float,
    seed: int,
    *,
    alone: bool = False,
) -> Clusters:
    """Clusters of the features of several images, none of them with features of two.

    images: of each image all features (M, C), unit vectors; keys: of each (N, C), those that are searched.
    weights: how much of the style each image is. length: mean length of the rows that are searched for.
    alone: each image is one cluster.
    """
    owners, shares, spread = [], [], []
    first = 0
    for rows, own, weight in zip(images, keys, weights, strict=True):
        centres = representatives(rows, max(1, _CLUSTERS // len(images)), seed)
        cosines = rows @ centres.T
        spread.append(cosines.std())
        if alone:
            cosines, centres = cosines[:, :1], centres[:1]
        used = torch.bincount(cosines.max(1).indices, minlength=len(centres))
        owners.append((own @ centres.T).max(1).indices + first)
        shares.append(used / len(rows) * (weight / sum(weights)))
        first += len(centres)
    return Clusters(torch.cat(owners), torch.cat(shares), float(torch.stack(spread).mean()) * length)


class Market:
    """The prices of one map, in tensors whose addresses stay, since a captured graph changes them."""

    def __init__(self, clusters: Clusters, highest: float, uses: Tensor) -> None:
        """highest: of the prices, in the clusters' unit. uses: (K,) float64, zeros, which this adds to."""
        self._clusters = clusters
        self._highest = highest * clusters.unit
        self._lock = threading.Lock()
        self._uses = uses
        self._mean = clusters.shares.clone()
        self._prices = torch.zeros_like(clusters.shares)
        self.bias = torch.zeros_like(clusters.owner, dtype=torch.float32)
        """(N,) float32, what is added to a row's products with each key."""

    def count(self, index: Tensor, weights: Tensor | None) -> None:
        """Matches with the keys at ``index`` (M,) have been made, which count ``weights`` (M,).

        Sums are exact, so that neither the order nor the number of threads and processes changes them.
        """
        owner = self._clusters.owner.index_select(0, index)
        amounts = torch.ones_like(owner, dtype=torch.float64)
        if weights is not None:
            amounts = (weights.double() * _FIXED_POINT).round() / _FIXED_POINT
        with self._lock:
            self._uses.index_add_(0, owner, amounts)

    def settle(self) -> None:
        """Change the prices by what has been used."""
        total = self._uses.sum()
        used = torch.where(total > 0, self._uses / total.clamp_min(1e-12), self._mean.double())
        self._mean.lerp_(used.float(), 1 - _REMEMBERED)
        shares = self._clusters.shares
        lack = ((shares - self._mean) / shares.clamp_min(_LEAST_SHARE)).clamp(_WORST, 1.0)
        self._prices.add_(lack, alpha=_STEP * self._highest).clamp_(-self._highest, self._highest)
        self.bias.copy_(self._prices.index_select(0, self._clusters.owner))

    def state_dict(self) -> dict[str, Tensor]:
        """Copies on the CPU."""
        return {"prices": self._prices.to("cpu", copy=True), "mean": self._mean.to("cpu", copy=True)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the `state_dict` of one with the same clusters."""
        self._prices.copy_(state["prices"])
        self._mean.copy_(state["mean"])
        self.bias.copy_(self._prices.index_select(0, self._clusters.owner))


class Prices:
    """A `Market` for every map, of one object's matches with a style."""

    def __init__(self, clusters: Sequence[Clusters], highest: float) -> None:
        """highest: 0..1, of the prices."""
        device = clusters[0].shares.device
        counts = [len(own.shares) for own in clusters]
        self.uses = torch.zeros(sum(counts), dtype=torch.float64, device=device)
        """The weights of all matches since they were set to 0, by cluster, of all maps."""
        each = zip(clusters, torch.split(self.uses, counts), strict=True)
        self.markets = tuple(Market(own, highest, uses) for own, uses in each)

    def settle(self) -> None:
        """See `Market.settle`."""
        for market in self.markets:
            market.settle()

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """By the number of the map; copies on the CPU."""
        return {str(number): market.state_dict() for number, market in enumerate(self.markets)}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Continue from the `state_dict` of the same style's."""
        for number, market in enumerate(self.markets):
            market.load_state_dict(state[str(number)])
