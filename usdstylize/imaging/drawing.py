"""Fine drawing: where a texture that is plain elsewhere has letters, an eye, a small sign."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from usdstylize.imaging import gutters
from usdstylize.model.base_colors import LUMA, Wrap

__all__ = ["fine_drawing"]

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

_LUMA = np.array(LUMA, np.float32)
_WIDEST = 11
"""Pixels: wider strokes are areas, which need no help."""
_LONGEST = 96
"""Pixels: longer ones are frames, stripes, joints of planks."""
_LEAST = 0.08
"""Contrast of a stroke with what is on both sides of it, in sRGB-encoded luma, from which it counts; above
that of the texture itself."""
_SOFT = 0.1
"""Further contrast from which it counts fully."""
_BUSY = 3.0
"""Times that a stroke's contrast is at least that which a quarter of the surface exceeds."""
_TYPICAL = 0.75
_MOST = (0.15, 0.3)
"""Share of the surface: drawing on less is rare and counts fully, on more it is what the texture is."""
_AROUND = 2
"""Pixels around a stroke that count with it."""
_FAINT = 0.01
"""Less is nothing."""


def fine_drawing(colors: Float32, covered: Bool, wrap: tuple[Wrap, Wrap] = ("clamp", "clamp")) -> Float32:
    """(H, W) float32, 0..1: 1 where a texture has rare, strong, fine drawing, 0 elsewhere.

    colors: (H, W, 3) float32, T sRGB-encoded, a texel for every pixel that the cameras see. covered: (H, W)
    bool, the texels that UVs cover; the others are no drawing, nor is the border of what is covered. What is
    thinner than 11 texels and differs from both sides counts, if it is no longer than 96, and if the texture
    is not as busy elsewhere: wood, fur or noise has none.
    """
    nothing = np.zeros(covered.shape, np.float32)
    luma = np.clip(colors, 0, 1) @ _LUMA
    if not covered.any() or float(np.ptp(luma[covered])) < _LEAST:
        return nothing
    luma = gutters.dilate(luma[..., None], covered, wrap)[..., 0]
    mode = ["wrap" if way == "repeat" else "nearest" for way in (wrap[1], wrap[0])]
    bright, dark = _thin(luma, mode), _thin(-luma, mode)
    least = _LEAST + _BUSY * float(np.quantile(np.maximum(bright, dark)[covered], _TYPICAL))
    clear = np.maximum(
        *(np.clip((own - least) / _SOFT, 0, 1) * _short(own > least, wrap) for own in (bright, dark))
    )
    share = float((clear > 0)[covered].mean())
    rare = np.clip((_MOST[1] - share) / (_MOST[1] - _MOST[0]), 0, 1)
    if not share or not rare:
        return nothing
    size = 2 * _AROUND + 1
    around = ndimage.uniform_filter(ndimage.grey_dilation(clear * covered, size, mode=mode), size, mode=mode)
    # The filter adds up along a row, and what it has added is not taken away again to the last bit.
    found: Float32 = np.where(covered & (around > _FAINT), around * rare, 0).clip(0, 1).astype(np.float32)
    return found


def _thin(luma: Float32, mode: list[str]) -> Float32:
    """How much brighter than both its sides every stroke is: what an opening takes away.

    Areas get their corners back, which an opening takes away, too.
    """
    opened = ndimage.grey_opening(luma, _WIDEST, mode=mode)
    for _ in range(_WIDEST):
        opened = np.minimum(ndimage.grey_dilation(opened, 3, mode=mode), luma)
    thin: Float32 = luma - opened
    return thin


def _short(strokes: Bool, wrap: tuple[Wrap, Wrap]) -> Bool:
    """Without the connected ones that are longer than `_LONGEST`, across borders that repeat, too."""
    rows, columns = (_LONGEST if way == "repeat" else 0 for way in (wrap[1], wrap[0]))
    parts, _ = ndimage.label(
        np.pad(strokes, ((rows, rows), (columns, columns)), mode="wrap"), np.ones((3, 3))
    )
    long = [max(side.stop - side.start for side in box) > _LONGEST for box in ndimage.find_objects(parts)]
    inside = parts[rows : rows + strokes.shape[0], columns : columns + strokes.shape[1]]
    short: Bool = strokes & ~np.array([False, *long])[inside]
    return short
