"""What the judge's Q cannot tell: which features, which colours and which lines of the style are used.

No loss uses any of these. README.md here says what each means, and what it does not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from benchmarks.measures import lab

__all__ = ["FeatureClusters", "line_histogram", "overlap", "palette_histogram"]

Array = NDArray[Any]
Float32 = NDArray[np.float32]

_CLUSTERS = 64
_OF_PALETTE = 15.0
"""ΔE76 to the nearest palette colour beyond which a colour is none of the palette's."""
_EDGE, _PATCH = 1.0, 3.0
"""Sigmas in pixels: of the gradient, and of the neighbourhood whose gradients are compared."""
_STRENGTHS = (0.02, 0.05, 0.11)
"""Gradients, luma per pixel, between faint, weak, middling and strong."""
_COHERENCES = (0.25, 0.5, 0.75)
_AROUND, _CONTRAST = 8.0, 0.06
"""A line is darker or lighter by so much luma than the mean within about so many pixels."""
_WIDTHS = (1.5, 2.5, 3.5, 5.0, 7.0, 10.0)
_LUMA = (0.299, 0.587, 0.114)
_INNER = 6
"""Pixels from the object's outline that do not count, since they feel it."""


def overlap(first: Array, second: Array) -> float:
    """1 − half the L1 distance of two distributions: the histograms' intersection, 0..1."""
    return 1.0 - 0.5 * float(np.abs(first - second).sum())


class FeatureClusters:
    """64 k-means clusters of a style's features, and how often the style uses each."""

    def __init__(self, style_rows: Tensor, clusters: int = _CLUSTERS) -> None:
        """style_rows: (M, C), as `scores.style_rows` returns them."""
        from sklearn.cluster import KMeans

        rows = F.normalize(style_rows.float(), dim=1)
        means = KMeans(min(clusters, len(rows)), n_init=1, random_state=0).fit(rows.cpu().numpy())
        self._centers = torch.from_numpy(means.cluster_centers_).to(rows)
        self.shares = self._shares(rows)

    def used(self, rows: Tensor) -> float:
        """Share of the clusters that ``rows`` (N, C) use at least half as often as the style does."""
        return float((self._shares(F.normalize(rows.float(), dim=1)) >= self.shares / 2).mean())

    def _shares(self, rows: Tensor) -> Array:
        nearest = torch.cdist(rows, self._centers).argmin(1)
        return np.bincount(nearest.cpu().numpy(), minlength=len(self._centers)) / len(rows)


def palette_histogram(colors: NDArray[np.floating], palette: NDArray[np.floating]) -> Array:
    """(Q + 1,) shares: by the nearest palette colour (Q, 3); the last, of colours near to none of them.

    colors: (N, 3), sRGB-encoded 0..1, as the palette is.
    """
    targets, counts = lab(palette), np.zeros(len(palette) + 1)
    for part in np.array_split(colors, len(colors) // (1 << 16) + 1):
        distance = np.linalg.norm(lab(part)[:, None] - targets[None], axis=-1)
        nearest = np.where(distance.min(1) <= _OF_PALETTE, distance.argmin(1), len(palette))
        counts += np.bincount(nearest, minlength=len(counts))
    return counts / max(1, counts.sum())


def line_histogram(images: Sequence[Float32], masks: Sequence[Array] | None = None) -> tuple[Array, Array]:
    """How directed the edges are, and how wide the strokes, of pictures (H, W, 3), sRGB-encoded.

    masks: (H, W) bool, where the object is; None: everywhere. The first, (13,) shares of pixels: hardly
    any edge, and three strengths of edge by four coherences of the structure tensor, which is 0 where edges
    run in all directions and 1 where in one. The second, (15,) shares: no line, and dark and light lines
    by seven widths. Each sums up to 1.
    """
    edges, widths = np.zeros(13), np.zeros(15)
    for number, image in enumerate(images):
        luma = np.asarray(image, np.float64) @ _LUMA
        mask = np.ones(luma.shape, bool) if masks is None else np.asarray(masks[number], bool)
        if not mask.any():
            continue
        inner = mask if masks is None else ndimage.binary_erosion(mask, iterations=_INNER)
        luma = _continued(luma, mask)
        edges += np.bincount(_edge_kinds(luma)[inner], minlength=13)
        widths += np.bincount(_line_kinds(luma)[inner], minlength=15)
    return edges / max(1, edges.sum()), widths / max(1, widths.sum())


def _continued(luma: Array, mask: Array) -> Array:
    """The luma of the nearest object pixel outside of the object, so that its outline is no edge."""
    if mask.all():
        return luma
    rows, columns = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return np.asarray(luma[rows, columns])


def _edge_kinds(luma: Array) -> Array:
    dy, dx = (ndimage.gaussian_filter(luma, _EDGE, order=order) for order in ((1, 0), (0, 1)))
    xx, yy, xy = (ndimage.gaussian_filter(both, _PATCH) for both in (dx * dx, dy * dy, dx * dy))
    energy = xx + yy
    coherence = np.hypot(xx - yy, 2 * xy) / np.maximum(energy, 1e-12)
    strength = np.digitize(np.sqrt(energy), _STRENGTHS)
    return np.where(strength == 0, 0, 1 + 4 * (strength - 1) + np.digitize(coherence, _COHERENCES))


def _line_kinds(luma: Array) -> Array:
    away = luma - ndimage.gaussian_filter(luma, _AROUND)
    kinds = np.zeros(luma.shape, int)
    for first, line in ((1, away < -_CONTRAST), (8, away > _CONTRAST)):
        if line.any():
            kinds[line] = first + np.digitize(_widths(line), _WIDTHS)[line]
    return kinds


def _widths(line: Array) -> Array:
    """(H, W): the width, at each pixel of a line, of the line there."""
    distance = ndimage.distance_transform_edt(line)
    # A pixel belongs to the widest disc that reaches it.
    reach = distance.copy()
    for radius in (1, 2, 3, 5):
        near = ndimage.maximum_filter(distance, 2 * radius + 1)
        reach = np.where(near >= radius, np.maximum(reach, near), reach)
    return np.asarray(2 * reach - 1)
