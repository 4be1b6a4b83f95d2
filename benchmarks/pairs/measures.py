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
_FAINT = 0.02
"""Luma per pixel; a gradient below it is no edge."""
_COHERENCES = (0.5, 0.75)
_WIDEST, _CONTRAST = 21, 0.1
"""A line is narrower than so many pixels, and darker or lighter by so much luma than what lies beside it."""
_WIDTHS = (2.0, 4.0, 6.0, 8.0, 10.0, 14.0)
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
    return np.asarray(counts / max(1, counts.sum()))


def line_histogram(images: Sequence[Float32], masks: Sequence[Array] | None = None) -> Array:
    """How wide the lines are, and how directed the edges, of pictures (H, W, 3), sRGB-encoded.

    masks: (H, W) bool, where the object is; None: everywhere. (15, 4) shares of pixels, 1 together. First
    index: no line, dark lines of seven widths, light lines of seven. Second: no edge near, and edges by the
    coherence of the structure tensor, which is 0 where they run in all directions and 1 where in one.
    """
    counts = np.zeros(60)
    for number, image in enumerate(images):
        luma = np.asarray(image, np.float64) @ _LUMA
        mask = np.ones(luma.shape, bool) if masks is None else np.asarray(masks[number], bool)
        if not mask.any():
            continue
        inner = mask if masks is None else ndimage.binary_erosion(mask, iterations=_INNER)
        luma = _continued(luma, mask)
        counts += np.bincount((4 * _line_kinds(luma) + _edge_kinds(luma))[inner], minlength=60)
    return np.asarray(counts / max(1, counts.sum())).reshape(15, 4)


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
    return np.where(np.sqrt(energy) < _FAINT, 0, 1 + np.digitize(coherence, _COHERENCES))


def _line_kinds(luma: Array) -> Array:
    kinds = np.zeros(luma.shape, int)
    for first, hat in ((1, ndimage.black_tophat), (8, ndimage.white_tophat)):
        line = hat(luma, _WIDEST) > _CONTRAST
        if line.any():
            kinds[line] = first + np.digitize(_widths(line), _WIDTHS)[line]
    return kinds


def _widths(line: Array) -> Array:
    """(H, W): the width, at each pixel of a line, of the line there."""
    distance = ndimage.distance_transform_edt(line)
    # A pixel belongs to the widest disc that reaches it.
    reach = distance.copy()
    for radius in (1, 2, 3, 5, 8):
        near = ndimage.maximum_filter(distance, 2 * radius + 1)
        reach = np.where(near >= radius, np.maximum(reach, near), reach)
    # One pixel wide: 1.5, since the middle of a line of even width lies between two.
    return np.asarray(2 * reach - 0.5)
