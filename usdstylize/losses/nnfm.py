"""Nearest-neighbour feature matching (paper, Eq. 2): where the style comes from."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.kernels.availability import fused
from usdstylize.losses.prices import Market

__all__ = [
    "SearchKeys",
    "nearest_keys",
    "nnfm_loss",
    "prepare_search",
    "smooth_features",
    "style_keys",
    "weighted_mean",
]

_CHUNK = 1024
"""Query rows matched at a time. The distance matrix never exists as a whole, and what is done
with a chunk's rows is done while they are in the processor's cache."""

_CUDA_PRODUCTS = 1 << 25
"""On a GPU few large steps are faster: cosines in memory at a time (128 MiB in float32)."""

_EPSILON = 1e-12
"""Least length of a feature, and least sum of weights. Softmax-smoothed features are about 1/sqrt(C)
long, and a larger one would swamp them."""


def smooth_features(rows: Tensor) -> Tensor:
    """Softmax over the channels of (M, C) rows, in float32 (paper §3, after Wang et al. 2021)."""
    return F.softmax(rows.float(), dim=1)


def style_keys(rows: Tensor, *, smooth: bool) -> Tensor:
    """Style features (N, C) as float32 unit vectors (N, C), ready to be matched against.

    Several style images are concatenated along N before or after: the result is the same.
    """
    rows = smooth_features(rows) if smooth else rows.float()
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / lengths.clamp_min(_EPSILON)


@dataclass(frozen=True, eq=False)
class SearchKeys:
    """Style features as neighbours are searched among them, from `prepare_search`.

    keys: (N, C) in the dtype of the search. Where they are offsets from their mean, as those of
    smoothed features in few digits are, bias: (N,) float32 is added to a row's products, and
    centre: (C,) float32 is taken from a row before; else both are None.
    """

    keys: Tensor
    bias: Tensor | None = None
    centre: Tensor | None = None


def prepare_search(keys: Tensor, *, smooth: bool, dtype: torch.dtype) -> SearchKeys:
    """What `nnfm_loss` searches among, once per style. keys: (N, C) float32 from `style_keys`.

    Smoothed features are all nearly 1/C, and differ only below the digits of
    bfloat16. Their offsets keep it: with m the mean of the keys and c = m / sum(m),
    ``s · key = (s - c) · (key - m) + c · (key - m) + s · m``, of which the last is the same for
    every key, and the one before is the bias.
    """
    if not smooth or dtype == torch.float32:
        return SearchKeys(keys.to(dtype))
    exact = keys.double()
    mean = exact.mean(0)
    centre = mean / mean.sum()
    offsets = exact - mean
    return SearchKeys(offsets.to(dtype), (offsets @ centre).float(), centre.float())


@torch.no_grad()
def nearest_keys(rows: Tensor, keys: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """For each of (M, C) rows its greatest product with a key (M,), and that key's index (M,).

    The rows need not be normalised: a row's own length does not change which key is nearest.
    bias: (N,) float32, added to each key's products.
    """
    found = []
    for chunk in torch.split(rows, _chunk_size(rows, keys)):
        products = chunk @ keys.T
        # `max` and not `argmax`, which is five times slower for bfloat16 on a CPU
        found.append((products if bias is None else products.float() + bias).max(1))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def _chunk_size(rows: Tensor, keys: Tensor) -> int:
    return max(1, _CUDA_PRODUCTS // len(keys)) if rows.is_cuda else _CHUNK


def nnfm_loss(
    rows: Tensor,
    keys: Tensor,
    *,
    smooth: bool = False,
    weights: Tensor | None = None,
    search_keys: SearchKeys | Tensor | None = None,
    total: Tensor | None = None,
    market: Market | None = None,
) -> Tensor:
    """Mean cosine distance of render features to their nearest style feature, a scalar.

    rows: (M, C) render features of any float dtype. keys: (N, C) float32 from `style_keys`.
    weights: (M,) float, share of each position that the object covers; None counts all alike.
    search_keys: ``keys`` as they are searched, from `prepare_search`, or only in another dtype;
    None searches in float32. total: the sum of the weights of the whole batch of which these rows
    are a share, so that the losses of the shares add up; None where they are all. market: prices of
    the keys, which are in the search and not in the loss, and which count the matches; None for none.

    The neighbour is found without a gradient and gathered; the distance to it is then an
    ordinary differentiable cosine. In float32 the gradient equals that of the full matrix
    with ``min`` to the last bit. On a GPU a search in another dtype runs as fused kernels.
    """
    if not isinstance(search_keys, SearchKeys):
        search_keys = SearchKeys(keys if search_keys is None else search_keys)
    if fused(rows.device) and search_keys.keys.dtype != torch.float32:
        return _fused_loss(rows, keys, search_keys, smooth, weights, total, market)
    rows = smooth_features(rows) if smooth else rows
    scaled = market is not None and not smooth
    found = _NearestDistance.apply(rows, keys, _priced(search_keys, market), scaled)  # type: ignore[no-untyped-call]
    distance: Tensor = found[0]
    if market is not None:
        market.count(found[1], weights)
    if weights is None:
        return distance.mean()
    return weighted_mean(distance, weights, total)


def _priced(search: SearchKeys, market: Market | None) -> SearchKeys:
    if market is None:
        return search
    return replace(search, bias=market.bias if search.bias is None else search.bias + market.bias)


def weighted_mean(values: Tensor, weights: Tensor, total: Tensor | None) -> Tensor:
    """A scalar of (M,) values: their share of the mean of a batch whose weights sum up to ``total``."""
    # An object that no render shows has a loss of 0.
    return (values * weights).sum() / (weights.sum() if total is None else total).clamp_min(_EPSILON)


def _fused_loss(
    rows: Tensor,
    keys: Tensor,
    search: SearchKeys,
    smooth: bool,
    weights: Tensor | None,
    total: Tensor | None,
    market: Market | None,
) -> Tensor:
    from usdstylize.kernels import rows as row_kernels  # needs Triton
    from usdstylize.kernels import search as search_kernels

    with torch.no_grad():
        if search.centre is not None:
            queries = row_kernels.smoothed_offsets(rows, search.centre, search.keys.dtype)
        else:
            # A price is part of a cosine. Smoothed rows have one length, by which their prices are scaled.
            scaled = rows if market is None or smooth else F.normalize(rows.float(), dim=1)
            queries = (smooth_features(rows) if smooth else scaled).to(search.keys.dtype)
        index = search_kernels.nearest(queries, search.keys, _priced(search, market).bias)
        if market is not None:
            market.count(index, weights)
    return row_kernels.nearest_mean(rows, keys, index, smooth=smooth, weights=weights, total=total)


class _NearestDistance(torch.autograd.Function):
    """Cosine distance (M,) float32 of rows (M, C) to the nearest of the unit keys (N, C); and which that is.

    scaled: rows are compared as unit vectors, so that the bias may hold prices, which are parts of a cosine.

    One function, since PyTorch's own graph of it walks over (M, C) a dozen times instead of
    four, and that is most of a draft iteration's matching.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, keys: Tensor, search: SearchKeys, scaled: bool):  # type: ignore[no-untyped-def]
        size = _chunk_size(rows, keys)
        indices, products, lengths = [], [], []
        for chunk in torch.split(rows, size):
            exact = chunk.float()
            length = torch.linalg.vector_norm(exact, dim=1)
            query = chunk if search.centre is None else exact - search.centre
            if scaled:
                query = exact / length.clamp_min(_EPSILON)[:, None]
            product, index = nearest_keys(query.to(search.keys.dtype), search.keys, search.bias)
            if search.keys.dtype != torch.float32 or search.bias is not None:
                product = torch.linalg.vecdot(exact, keys.index_select(0, index))
            indices.append(index)
            products.append(product)
            lengths.append(length)
        index, product, length = torch.cat(indices), torch.cat(products), torch.cat(lengths)
        length = length.clamp_min(_EPSILON)
        ctx.save_for_backward(rows, keys, index, product, length)
        ctx.mark_non_differentiable(index)
        return 1 - product / length, index

    @staticmethod
    def backward(ctx, gradient: Tensor, _: Tensor):  # type: ignore[no-untyped-def]
        rows, keys, index, product, length = ctx.saved_tensors
        along_key = (-gradient / length)[:, None]
        along_row = (gradient * (product / length / length))[:, None]
        result = torch.empty_like(rows)
        size = _chunk_size(rows, keys)
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            chunk = (rows[part].float() / length[part, None]).mul_(along_row[part])
            chunk += keys.index_select(0, index[part]).mul_(along_key[part])
            result[part] = chunk
        return result, None, None, None
