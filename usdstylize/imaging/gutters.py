"""Gutters: the texels that no triangle shows, filled so that filtering and mips stay clean at UV borders."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from usdstylize.model.base_colors import Wrap

__all__ = ["dilate"]

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]

_EXACT_SIDE = 1024
"""Texels. Gutters of a larger image are filled exactly up to `_NEAR` texels, and by blocks beyond."""
_NEAR = 16
_BLOCK = 8


def dilate(image: Float32, valid: Bool, wrap: tuple[Wrap, Wrap] = ("clamp", "clamp")) -> Float32:
    """Fills every invalid texel with the nearest valid one; a copy where none is valid.

    image: (H, W, C), valid: (H, W). All gutters are filled, not a margin, because every mip
    level reaches twice as far. ``wrap`` is (s, t): across an axis that repeats, the texel
    at the opposite border is a neighbour. On an image of more than 1024 texels a side, what lies
    farther than 16 texels from any valid one gets the mean of the nearest block of 8 x 8 that
    holds some: only the smaller mip levels ever show it.
    """
    filled = image.copy()
    if valid.all() or not valid.any():
        return filled
    height, width = valid.shape
    if max(height, width) > _EXACT_SIDE:
        _fill_by_blocks(filled, valid, wrap)
        _fill_near(filled, image, valid, wrap)
        return filled
    # Nothing is farther than half the image across a border that repeats.
    rows = (height + 1) // 2 if wrap[1] == "repeat" else 0
    columns = (width + 1) // 2 if wrap[0] == "repeat" else 0
    padded = np.pad(valid, ((rows, rows), (columns, columns)), mode="wrap")
    nearest = ndimage.distance_transform_edt(~padded, return_distances=False, return_indices=True)
    nearest = nearest[:, rows : rows + height, columns : columns + width]
    source: Float32 = image[(nearest[0] - rows) % height, (nearest[1] - columns) % width]
    return source


def _fill_by_blocks(filled: Float32, valid: Bool, wrap: tuple[Wrap, Wrap]) -> None:
    """Gives every invalid texel the mean of the nearest block that holds a valid one."""
    height, width = valid.shape
    tops, lefts = np.arange(0, height, _BLOCK), np.arange(0, width, _BLOCK)

    def sums(values: Float32) -> Float32:
        across: Float32 = np.add.reduceat(values, lefts, axis=1)
        total: Float32 = np.add.reduceat(across, tops, axis=0)
        return total

    count = sums(valid.astype(np.float32))
    means = np.empty((*count.shape, filled.shape[2]), dtype=np.float32)
    for channel in range(filled.shape[2]):
        means[..., channel] = sums(filled[..., channel] * valid) / np.maximum(count, 1)
    means = dilate(means, count > 0, wrap)
    for top in tops:
        rows = slice(top, top + _BLOCK)
        wide = np.repeat(means[top // _BLOCK], _BLOCK, axis=0)[:width]
        filled[rows] = np.where(valid[rows, :, None], filled[rows], wide)


def _fill_near(filled: Float32, image: Float32, valid: Bool, wrap: tuple[Wrap, Wrap]) -> None:
    """Gives each invalid texel within `_NEAR` of a valid one the value of the nearest.

    The distance along a column first, then along the row the least of k² + column², which is
    exact: the two halves of a Euclidean distance transform, cut off at `_NEAR`.
    """
    height, width = valid.shape
    margins = [(_NEAR, _NEAR) if mode == "repeat" else (0, 0) for mode in (wrap[1], wrap[0])]
    padded = np.pad(valid, margins, mode="wrap")
    step = _nearest_in_column(padded)[margins[0][0] : margins[0][0] + height]
    far = np.uint16((_NEAR + 1) ** 2)
    rows_at_once = max(1, (1 << 19) // step.shape[1])
    for start in range(0, height, rows_at_once):
        rows = slice(start, min(start + rows_at_once, height))
        along = np.pad(step[rows], ((0, 0), (_NEAR - margins[1][0],) * 2), constant_values=_NEAR + 1)
        squared = np.minimum(along.astype(np.int16) ** 2, far).astype(np.uint16)
        best = np.full((squared.shape[0], width), far, dtype=np.uint16)
        aside = np.zeros(best.shape, dtype=np.int8)
        for shift in sorted(range(-_NEAR, _NEAR + 1), key=abs):
            distance = squared[:, _NEAR + shift : _NEAR + shift + width] + np.uint16(shift * shift)
            nearer = distance < best
            np.copyto(best, distance, where=nearer)
            aside[nearer] = shift
        row, column = np.nonzero((best < far) & ~valid[rows])
        beside = column + aside[row, column]
        down = along[row, beside + _NEAR]
        filled[row + start, column] = image[(row + start + down) % height, beside % width]


def _nearest_in_column(valid: Bool) -> NDArray[np.int8]:
    """Rows down (or, negative, up) to the nearest valid texel; `_NEAR` + 1 where none is so near."""
    none = _NEAR + 1
    rows = np.arange(none, len(valid) + none, dtype=np.int16)[:, None]
    above = np.where(valid, rows, np.int16(0))
    np.maximum.accumulate(above, axis=0, out=above)
    np.subtract(rows, above, out=above)
    below = np.where(valid, rows, np.int16(len(valid) + 2 * none))
    np.minimum.accumulate(below[::-1], axis=0, out=below[::-1])
    np.subtract(below, rows, out=below)
    nearest: NDArray[np.int16] = np.where(above < below, -above, below)
    return np.clip(nearest, -none, none).astype(np.int8)
