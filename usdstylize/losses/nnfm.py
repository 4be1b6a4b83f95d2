"""Nearest-neighbour feature matching (paper, Eq. 2): where the style comes from."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["nearest_keys", "nnfm_loss", "smooth_features", "style_keys", "weighted_mean"]

_CHUNK = 1024
"""Query rows matched at a time. The distance matrix never exists as a whole, and what is done
with a chunk's rows is done while they are in the processor's cache."""

_CUDA_PRODUCTS = 1 << 25
"""On a GPU few large steps are faster: cosines held at a time (128 MiB in float32)."""

_EPSILON = 1e-12
"""Least length of a feature. Softmax-smoothed features are about 1/sqrt(C) long, and a larger
one would swamp them."""


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


@torch.no_grad()
def nearest_keys(rows: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """For each of (M, C) rows its greatest product with a key (M,), and that key's index (M,).

    The rows need not be normalised: a row's own length does not change which key is nearest.
    """
    # `max` and not `argmax`, which is five times slower for bfloat16 on a CPU
    found = [(chunk @ keys.T).max(1) for chunk in torch.split(rows, _chunk_size(rows, keys))]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def _chunk_size(rows: Tensor, keys: Tensor) -> int:
    return max(1, _CUDA_PRODUCTS // len(keys)) if rows.is_cuda else _CHUNK


def nnfm_loss(
    rows: Tensor,
    keys: Tensor,
    *,
    smooth: bool = False,
    weights: Tensor | None = None,
    search_keys: Tensor | None = None,
    total: Tensor | None = None,
) -> Tensor:
    """Mean cosine distance of render features to their nearest style feature, a scalar.

    rows: (M, C) render features of any float dtype. keys: (N, C) float32 from `style_keys`.
    weights: (M,) float, share of each position that the object covers; None counts all alike.
    search_keys: ``keys`` in the dtype in which neighbours are searched; None searches in
    float32. total: the sum of the weights of the whole batch of which these rows are a share, so
    that the losses of the shares add up; None where they are all.

    The neighbour is found without a gradient and gathered; the distance to it is then an
    ordinary differentiable cosine. In float32 the gradient equals that of the full matrix
    with ``min`` to the last bit.
    """
    rows = smooth_features(rows) if smooth else rows
    distance: Tensor = _NearestDistance.apply(rows, keys, keys if search_keys is None else search_keys)  # type: ignore[no-untyped-call]
    if weights is None:
        return distance.mean()
    return weighted_mean(distance, weights, total)


def weighted_mean(values: Tensor, weights: Tensor, total: Tensor | None) -> Tensor:
    """A scalar of (M,) values: their share of the mean of a batch whose weights sum up to ``total``."""
    return (values * weights).sum() / (weights.sum() if total is None else total).clamp_min(1)


class _NearestDistance(torch.autograd.Function):
    """Cosine distance (M,) float32 of rows (M, C) to the nearest of the unit keys (N, C).

    One function, since PyTorch's own graph of it walks over (M, C) a dozen times instead of
    four, and that is most of a draft iteration's matching.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, keys: Tensor, search_keys: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        size = _chunk_size(rows, keys)
        indices, products, lengths = [], [], []
        for chunk in torch.split(rows, size):
            product, index = nearest_keys(chunk.to(search_keys.dtype), search_keys)
            exact = chunk.float()
            if product.dtype != torch.float32:
                product = torch.linalg.vecdot(exact, keys.index_select(0, index))
            indices.append(index)
            products.append(product)
            lengths.append(torch.linalg.vector_norm(exact, dim=1))
        index, product, length = torch.cat(indices), torch.cat(products), torch.cat(lengths)
        length = length.clamp_min(_EPSILON)
        ctx.save_for_backward(rows, keys, index, product, length)
        distance: Tensor = 1 - product / length
        return distance

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
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
        return result, None, None
