"""The loss terms (paper, Eq. 1): one list, which the objective, the step, its reports and run.json follow.

A new term is an entry of `TERMS` and, where its weight can be set, a field of `Method`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Literal

import torch
from torch import Tensor

from usdstylize.config.method import Method
from usdstylize.encoders import Encoder
from usdstylize.losses.batch import Batch, Texels
from usdstylize.losses.colors import muted
from usdstylize.losses.content import content_loss
from usdstylize.losses.gram import gram_loss
from usdstylize.losses.nnfm import SearchKeys, nnfm_loss
from usdstylize.losses.palette import palette_loss
from usdstylize.losses.prices import Clusters, Market

__all__ = [
    "TERMS",
    "Network",
    "Rendering",
    "StyleFeatures",
    "Term",
    "TextureSamples",
    "TextureTerm",
    "ViewTerm",
    "weighted_sum",
]

Network = Literal["style", "content"]
Weight = float | tuple[float, float]
"""Fixed; or that of the first and the last iteration, exponential between."""

_CONTENT_OF_KEPT, _STYLE_OF_KEPT = 20.0, 0.0
"""What content and style count, times what they count elsewhere, where the original's drawing is kept."""


@dataclass(frozen=True, eq=False)
class StyleFeatures:
    """What a style is compared by.

    palette: (Q, 3) float32, sRGB-encoded. keys: per map (N, C) float32 unit vectors, and search_keys
    as `nnfm_loss` searches among them; or grams: per map (C, C) float32, where Gram matrices are compared.
    clusters: per map, where matches have a price.
    """

    palette: Tensor
    keys: Sequence[Tensor] = ()
    search_keys: Sequence[SearchKeys] = ()
    grams: Sequence[Tensor] = ()
    clusters: Sequence[Clusters] = ()


@dataclass(frozen=True, eq=False)
class Rendering:
    """A batch of views rendered with T + T_S, and their features by one network, the ``encoder``.

    pictures: (B, 3, R, R) float32, sRGB-encoded, on the network's background. rows: per map (M, C), the
    features at the batch's positions. totals: by stride, see `Batch`. markets: per map, where matches have a
    price, else none.
    """

    method: Method
    style: StyleFeatures
    encoder: Encoder
    batch: Batch
    totals: Mapping[int, Tensor]
    pictures: Tensor
    rows: Sequence[Tensor]
    markets: Sequence[Market] = ()


@dataclass(frozen=True, eq=False)
class TextureSamples:
    """The texels that count, sRGB-encoded.

    base: (N, 3) float32, T. offsets: (N, 3) float32, T_S, whose sum with T is **not clamped**: a clamp
    has no gradient outside 0..1.
    """

    method: Method
    style: StyleFeatures
    base: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, method: Method, style: StyleFeatures, table: Tensor, texels: Texels) -> "TextureSamples":
        """table: (N, 3) float32, the mip table of T_S."""
        return cls(method, style, texels.base, table.index_select(0, texels.rows))


@dataclass(frozen=True)
class ViewTerm:
    """A term that compares renders.

    network: whose features it reads, and on whose background. value: an unweighted scalar; those of the
    parts of a batch add up to that of the whole (see `Rendering.totals`).
    """

    name: str
    weight: Callable[[Method], Weight]
    network: Network
    value: Callable[[Rendering], Tensor]


@dataclass(frozen=True)
class TextureTerm:
    """A term that compares texels of T + T_S, without a camera. value: an unweighted scalar."""

    name: str
    weight: Callable[[Method], Weight]
    value: Callable[[TextureSamples], Tensor]


Term = ViewTerm | TextureTerm


def weighted_sum(values: Mapping[str, Tensor], weights: Mapping[str, float | Tensor]) -> Tensor:
    """The weighted sum of at least one term, a scalar; added in the order of ``values``."""
    return reduce(add, (weights[name] * value for name, value in values.items()))


def _style(rendering: Rendering) -> Tensor:
    """Mean over the maps of the distance to the style, by the style loss of the method."""
    each = zip(range(len(rendering.rows)), rendering.rows, rendering.encoder.strides, strict=True)
    distance = _gram_distance if rendering.method.style_loss == "gram" else _nnfm_distance
    return torch.stack([distance(rendering, *own) for own in each]).mean()


def _gram_distance(rendering: Rendering, layer: int, rows: Tensor, stride: int) -> Tensor:
    positions = rendering.batch.positions[stride]
    return gram_loss(
        rows,
        rendering.style.grams[layer],
        renders=positions.rows // (rendering.batch.views.resolution // stride) ** 2,
        count=rendering.batch.views.count,
        weights=positions.weights,
        smooth=rendering.encoder.smooth,
        total=rendering.totals[stride],
    )


def _nnfm_distance(rendering: Rendering, layer: int, rows: Tensor, stride: int) -> Tensor:
    return nnfm_loss(
        rows,
        rendering.style.keys[layer],
        smooth=rendering.encoder.smooth,
        weights=rendering.batch.positions[stride].weighted(_STYLE_OF_KEPT),
        search_keys=rendering.style.search_keys[layer],
        total=rendering.totals[stride],
        market=rendering.markets[layer] if rendering.markets else None,
    )


def _content(rendering: Rendering) -> Tensor:
    """Mean over the maps of the squared difference to the original's features.

    The mean is by the weights that positions have where nothing is kept, so that drawing that is kept changes
    nothing elsewhere.
    """
    batch, totals = rendering.batch, rendering.totals
    each = zip(rendering.rows, batch.original, rendering.encoder.strides, strict=True)
    found = [
        content_loss(rows, original, batch.positions[stride].weighted(_CONTENT_OF_KEPT), total=totals[stride])
        for rows, original, stride in each
    ]
    return torch.stack(found).mean()


def _palette(samples: TextureSamples) -> Tensor:
    share = samples.method.style_colors
    colors = muted(samples.base + samples.offsets, share)
    return palette_loss(colors, muted(samples.style.palette, share), squared=samples.method.palette_squared)


TERMS: tuple[Term, ...] = (
    ViewTerm("nnfm", lambda method: method.nnfm_weight, "style", _style),
    ViewTerm("content", lambda method: method.content_weight, "content", _content),
    TextureTerm("palette", lambda method: method.palette_weight, _palette),
)
"""Sums are taken in this order."""
