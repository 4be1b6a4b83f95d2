"""Gutters: the texels that no triangle covers, filled so that filtering and mips stay clean at UV borders."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from usdstylize.imaging import uv_raster
from usdstylize.model.base_colors import Wrap

__all__ = ["continue_sum", "dilate"]

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Value = TypeVar("Value", bound=np.generic)

_FARTHEST = 512
"""Texels that are searched beyond a border that repeats, at most: half of a 1k image, beyond which
nothing is nearer than what lies inside. More only costs memory, four times the image at worst."""
_STRANGE = 0.15
"""Difference from T inside an island, sRGB-encoded, from which T at its border is not its own."""
_BLOCK = 16
_ROWS_AT_ONCE = 64


def dilate(
    image: NDArray[Value], valid: Bool, wrap: tuple[Wrap, Wrap] = ("clamp", "clamp")
) -> NDArray[Value]:
    """Fills every invalid texel with the nearest valid one; a copy where none is valid.

    image: (H, W, C) of any type, encoding and range. valid: (H, W) bool. All gutters are filled, not a
    margin, because every mip level reaches twice as far. ``wrap`` is (s, t): across an axis that repeats,
    the texel at the opposite border is a neighbour. On an image of more than 1024 texels a side, a valid
    texel more than 512 beyond such a border does not count: a farther one inside the image does instead.
    """
    if valid.all() or not valid.any():
        return image.copy()
    height, width = valid.shape
    rows, columns = _margins(valid, wrap)
    empty = ~np.pad(valid, ((rows, rows), (columns, columns)), mode="wrap")
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    # The smallest type that fits: the result takes as many bytes again.
    nearest = nearest[:, rows : rows + height, columns : columns + width].astype(
        np.min_scalar_type(max(empty.shape))
    )
    row_start = (np.arange(height + 2 * rows) - rows) % height * width
    column = (np.arange(width + 2 * columns) - columns) % width
    texels = image.reshape(height * width, -1)
    filled = np.empty_like(image)
    for start in range(0, height, _ROWS_AT_ONCE):
        down, across = nearest[:, start : start + _ROWS_AT_ONCE]
        filled[start : start + _ROWS_AT_ONCE] = texels.take(row_start[down] + column[across], axis=0)
    return filled


def continue_sum(
    style: Float32,
    base: Float32,
    uvs: Float32,
    covered: Bool,
    wrap: tuple[Wrap, Wrap],
    base_texel: float,
) -> Float32:
    """T_S (H, H, 3) with gutters in which T + T_S goes on as on the surface: filled(T + T_S) - T.

    Then no filter and no mip level mixes what the source has there into the surface. style: T_S, signed, a
    difference of sRGB-encoded values. base: T, (H, H, 3) sRGB-encoded. Row 0 of all is the top. uvs:
    (F, 3, 2), of any range; covered: (H, H) bool, the texels that they touch.
    base_texel: how many texels of T_S one of T's own is wide. The sum is that of the nearest texel that is
    far enough inside for no filter of T to read a gutter there. A texel that is touched, but not at its
    centre, is a gutter where T is not the island's own there.
    """
    if covered.all() or not covered.any():
        return style
    inside = _inside(covered, wrap, base_texel)
    filled_base, filled_style = np.split(
        dilate(np.concatenate([base, style], axis=2), inside, wrap), 2, axis=2
    )
    strange = covered & (np.abs(filled_base - base).max(axis=2) > _STRANGE)
    kept = covered & ~(strange & ~uv_raster.centers_covered(uvs, wrap, strange))
    return np.where(kept[..., None], style, filled_base + filled_style - base)


def _inside(covered: Bool, wrap: tuple[Wrap, Wrap], base_texel: float) -> Bool:
    """The covered texels whose T is not mixed with that of gutters; of an island without any, all."""
    reach = 1 if base_texel <= 1 else 1 + int(np.ceil(base_texel))
    mode = ["wrap" if way == "repeat" else "nearest" for way in (wrap[1], wrap[0])]
    inner: Bool = ndimage.minimum_filter(covered, 2 * reach + 1, mode=mode)
    islands, count = ndimage.label(covered, np.ones((3, 3)))
    lost = np.ones(count + 1, dtype=bool)
    lost[islands[inner]] = False
    inside: Bool = inner | (covered & lost[islands])
    return inside


def _margins(valid: Bool, wrap: tuple[Wrap, Wrap]) -> tuple[int, int]:
    """How many rows and columns beyond the borders may hold the nearest valid texel of one inside.

    A texel at distance b from a border and at most d from the nearest valid texel needs d - b beyond it.
    The nearest block of 16 x 16 with a valid texel in it gives such a d at a 256th of the cost.
    """
    starts = [np.arange(0, size, _BLOCK) for size in valid.shape]
    across = np.logical_or.reduceat(valid, starts[1], axis=1)
    blocks = np.logical_or.reduceat(across, starts[0], axis=0)
    repeats = [mode == "repeat" for mode in (wrap[1], wrap[0])]
    around = [(size + 1) // 2 if repeat else 0 for size, repeat in zip(blocks.shape, repeats, strict=True)]
    empty = ~np.pad(blocks, [(count, count) for count in around], mode="wrap")
    inside = tuple(slice(count, count + size) for count, size in zip(around, blocks.shape, strict=True))
    farthest = (ndimage.distance_transform_edt(empty)[inside] + np.sqrt(2)) * _BLOCK
    margins = []
    for axis, size in enumerate(valid.shape):
        border = np.minimum(starts[axis], np.maximum(size - starts[axis] - _BLOCK, 0))
        beyond = int(np.ceil((farthest.max(axis=1 - axis) - border).max()))
        margins.append(min(beyond, (size + 1) // 2, _FARTHEST) if repeats[axis] else 0)
    return margins[0], margins[1]
