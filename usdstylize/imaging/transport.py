"""Colours of one picture carried onto those of another: optimal transport, and the map that it gives."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from usdstylize.model.base_colors import LUMA

__all__ = ["color_lut"]

_SAMPLES = 500
"""Colours that are matched one by one: the exact solver takes a third of a second for them, and the map
between them is smooth."""
_LEAST_SHARE = 0.01
"""Where all of the style's colours are 50 000: with more, none would come any nearer, but memory ends."""
_SIDE = 33
"""Points of the map along each channel, as in a colour grade's LUT."""
_SHARPNESS = 60.0
"""Per unit of distance: how fast a sample's influence on the map falls."""


def color_lut(
    colors: NDArray[np.float32],
    style: Sequence[tuple[NDArray[np.float32], float]],
    share: float,
    random: np.random.Generator,
    *,
    kept_light: float = 0.0,
) -> NDArray[np.float32]:
    """(33, 33, 33, 3) float32: what to add to an sRGB-encoded colour, by its red, green and blue in 32nds.

    colors: (N, 3) float32, sRGB-encoded 0..1, at least one. style: several of such, and how much each counts.
    Samples of ``colors`` are matched with samples of ``style`` at the least sum of squared distances, no two
    with the same one.

    share: above 0 and at most 1, how many there are of the former for one of the latter. At 1 every colour of
    the style is used as often as the style uses it; at less, up to 1 / share times as often, so that colours
    stay nearer to where they were.

    kept_light: 0..1, how much of its luma a colour keeps; at 1 only what is beside it moves.
    """
    from scipy.optimize import linear_sum_assignment  # SciPy takes a quarter of a second to import
    from scipy.spatial.distance import cdist

    mine = _drawn(colors, _SAMPLES, random)
    whole = sum(weight for _, weight in style) * max(share, _LEAST_SHARE)
    theirs = np.concatenate(
        [_drawn(own, math.ceil(_SAMPLES * weight / whole), random) for own, weight in style]
    )
    _, chosen = linear_sum_assignment(
        cdist(_dimmed(mine, kept_light), _dimmed(theirs, kept_light), "sqeuclidean")
    )
    moves = _dimmed(theirs[chosen] - mine, kept_light)
    axis = np.linspace(0.0, 1.0, _SIDE)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = cdist(grid, mine)
    weights = np.exp(-_SHARPNESS * (distance - distance.min(1, keepdims=True)))
    lut = (weights @ moves) / weights.sum(1, keepdims=True)
    return np.asarray(lut, np.float32).reshape(_SIDE, _SIDE, _SIDE, 3)


def _dimmed(colors: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Colours or differences of such without ``share`` of their luma."""
    return colors - share * (colors @ LUMA)[:, None]


def _drawn(colors: NDArray[np.float32], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    return colors[random.choice(len(colors), count, replace=len(colors) < count)].astype(np.float64)
