"""Images sampled as a GPU samples them: bilinear, texel i of n at (i + 0.5) / n, with wrap modes.

Our own, because SciPy's and OpenImageIO's resampling take one border mode for both axes.
"""

import numpy as np
from numpy.typing import NDArray

from usdstylize.model.base_colors import Wrap

__all__ = ["VALUES_AT_ONCE", "resample", "sample"]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

VALUES_AT_ONCE = 1 << 20
"""Values of one piece, where a texture is made piece by piece so that no step copies all of it."""


def resample(image: Float32, size: tuple[int, int], wrap: tuple[Wrap, Wrap]) -> Float32:
    """Bilinear samples of ``image`` at the texel centres of a grid of ``size`` (width, height).

    As a GPU samples: the value of texel i of n lies at (i + 0.5) / n, and beyond the edge the
    image continues as ``wrap`` (of s, of t) has it.
    """
    across = _resample_rows(np.swapaxes(image, 0, 1), size[0], wrap[0])
    return _resample_rows(np.swapaxes(across, 0, 1), size[1], wrap[1])


def _resample_rows(image: Float32, count: int, wrap: Wrap) -> Float32:
    rows = image.shape[0]
    if rows == count:
        return image
    position = (np.arange(count) + 0.5) / count * rows - 0.5
    lower = np.floor(position).astype(np.int64)
    weight = (position - lower).astype(np.float32)[:, None, None]
    between = np.empty((count, *image.shape[1:]), dtype=np.float32)
    at_once = max(1, VALUES_AT_ONCE // between[0].size)
    for start in range(0, count, at_once):
        band = slice(start, start + at_once)
        np.multiply(_row(image, lower[band], wrap), 1 - weight[band], out=between[band])
        between[band] += _row(image, lower[band] + 1, wrap) * weight[band]
    return between


def sample(image: Float32, uvs: NDArray[np.float64], wrap: tuple[Wrap, Wrap]) -> Float32:
    """Bilinear samples (H, W, C) of an image (h, w, C), row 0 its top, at UVs (H, W, 2).

    (0, 0) is the bottom left; beyond 0..1 the image continues as ``wrap`` (of s, of t) has it.
    """
    height, width, components = image.shape
    result = np.empty((*uvs.shape[:2], components), dtype=np.float32)
    at_once = max(1, VALUES_AT_ONCE // (uvs.shape[1] * components))
    for start in range(0, len(uvs), at_once):
        band = uvs[start : start + at_once]
        x, y = band[..., 0] * width - 0.5, (1 - band[..., 1]) * height - 0.5
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        across, down = (x - left)[..., None], (y - top)[..., None]
        total = np.zeros((*x.shape, components))
        for row, row_weight in ((top, 1 - down), (top + 1, down)):
            for column, column_weight in ((left, 1 - across), (left + 1, across)):
                rows, rows_inside = _folded(row, height, wrap[1])
                columns, columns_inside = _folded(column, width, wrap[0])
                inside = (rows_inside & columns_inside)[..., None]
                total += image[rows, columns] * (row_weight * column_weight * inside)
        result[start : start + at_once] = total
    return result


def _row(image: Float32, index: Int64, wrap: Wrap) -> Float32:
    folded, inside = _folded(index, image.shape[0], wrap)
    rows: Float32 = image[folded]
    return rows * inside[:, None, None].astype(np.float32) if wrap == "black" else rows


def _folded(index: Int64, count: int, wrap: Wrap) -> tuple[Int64, NDArray[np.bool_]]:
    """Which of ``count`` texels a wrap mode has for an index, and whether it has one (`black` may not)."""
    inside = np.ones(index.shape, dtype=bool)
    if wrap == "repeat":
        return index % count, inside
    if wrap == "mirror":
        folded = index % (2 * count)
        return np.where(folded < count, folded, 2 * count - 1 - folded), inside
    if wrap == "black":
        inside = (index >= 0) & (index < count)
    return np.clip(index, 0, count - 1), inside
