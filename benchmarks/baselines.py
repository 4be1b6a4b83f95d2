"""What a result must beat: textures that anyone could make without the method.

Each is given as a T_S, so that the judge sees it exactly as it sees a result.
"""

import numpy as np
from numpy.typing import NDArray

from usdstylize.imaging.encoding import encode_base
from usdstylize.losses.objective import cover_crop
from usdstylize.model.base_colors import Wrap
from usdstylize.model.objects import ObjectData, StyleSet
from usdstylize.usd.write.bake import resample

__all__ = ["baselines"]

Float32 = NDArray[np.float32]

_SIZE = 1024


def baselines(data: ObjectData, style: StyleSet, wrap: tuple[Wrap, Wrap]) -> dict[str, Float32]:
    """T_S (H, W, 3) float32 by name: the original, a recolour, noise, the style laid on by UV."""
    height, width = (max(_SIZE, side) for side in data.bases[0].shape[:2])
    base = encode_base(resample(data.bases[0], (width, height), wrap), data.transfer)
    noise = np.random.default_rng(0).random(base.shape, dtype=np.float32)
    picture = cover_crop(style.primary.pixels, max(height, width))[:height, :width]
    return {
        "original": np.zeros_like(base),
        "recolour": _snap(base, style.palette) - base,
        "noise": noise - base,
        "style by UV": picture - base,
    }


def _snap(image: Float32, palette: Float32) -> Float32:
    """Every texel replaced by the palette colour nearest to it (in sRGB-encoded values)."""
    flat = image.reshape(-1, 3)
    nearest = ((palette**2).sum(1) - 2 * (flat @ palette.T)).argmin(1)
    snapped: Float32 = palette[nearest].reshape(image.shape)
    return snapped
