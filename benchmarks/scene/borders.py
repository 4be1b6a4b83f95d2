"""Whether windows imprint themselves on a flat surface: steps along straight lines, in the directions of
their frames and in others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from benchmarks.scene.surface import LUMA, Surface

__all__ = ["Borders", "window_borders"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_SAMPLES = 512
"""Of a window's width."""
_MOST_WINDOWS = 4.0
"""Of a surface, along either side."""
_COARSER = 4
"""Samples of a pixel in which steps are looked for."""
_LENGTH = 1 / 2
"""Of the segments along which steps are added up, in windows."""
_PIECE = 1 / 8
"""Of the segments whose steps are taken for independent: strokes are shorter."""
_DEPTH = 1 / 16
"""How far from the line values count, to either side: farther than from one stroke to the next, which may
stand in rows everywhere."""
_FRAMES = (0.0, 90.0)
_OTHERS = (22.5, 45.0, 67.5, 112.5, 135.0, 157.5)
_TOLERANCE = (-4.0, 0.0, 4.0)
"""Degrees: a camera that is a little askew sees the surface by a trapezoid."""
_QUANTILE = 0.995
_GRADIENT = 1.5
_AROUND = 4.0
"""Standard deviations of Gaussians, in samples: of the gradient's, and of its mean direction's."""
_LEAST_SEGMENTS = 1000
_FLAT = 0.02
"""Standard deviation of each channel of T up to which it counts as one colour."""
_LEAST_SHARE = 0.25
"""Of an object's surface that its largest flat part has."""


@dataclass(frozen=True)
class Borders:
    """Steps in the frames' directions over those in other directions: 1 where no window has left a trace."""

    color: float
    """Of luma and both chromas."""
    direction: float
    """Of the strokes' direction."""


def window_borders(surface: Surface, window: float | None) -> Borders | None:
    """Of the largest flat part of an object whose T is of one colour there; None where there is none.

    window: width of what a window's camera sees, metres; None takes half of the root of the part's area.
    T's own lines, as the joints of planks, are in T_S, too, and run as frames do.
    """
    patch = surface.flat_patch(window, _SAMPLES, _MOST_WINDOWS, _LEAST_SHARE)
    if patch is None or patch.base[patch.valid].std(0).max() > _FLAT:
        return None
    return _borders_of_image(patch.style, patch.valid, _SAMPLES)


def _borders_of_image(image: Float32, valid: Bool, window: int) -> Borders | None:
    """The same of T_S (n, n, 3) where ``valid``; frames are upright, ``window`` samples wide.

    A step is the difference of two means, on either side of a segment of half a window's length. Along the
    edge of a window all of it has one sign, elsewhere strokes cancel. Where strokes are longer in one
    direction than in others, they cancel less: so the largest steps of each direction (the 99.5th
    percentile) are counted in what chance would make of the steps across short segments. None where the
    surface has no place for segments.
    """
    luma = image @ LUMA
    colors = np.stack([luma, image[..., 2] - luma, image[..., 0] - luma])
    colors = np.where(valid, colors, colors[:, valid].mean(1)[:, None, None])
    inner = ndimage.binary_erosion(valid, iterations=int(2 * _AROUND))
    color = _ratio(colors, valid, window)
    direction = _ratio(_directions(colors[0]), inner, window)
    return Borders(color, direction) if color and direction else None


def _ratio(values: Float64, mask: Bool, window: int) -> float | None:
    """Of values (C, n, n) where ``mask``: strength in the frames' directions by that in others."""
    coarse, whole = _reduced(values), _reduced(mask[None].astype(np.float64))[0] > 0.999
    if not whole.any():
        return None
    coarse = np.where(whole, coarse - coarse[:, whole].mean(1)[:, None, None], 0.0)
    found = [_strength(coarse, whole, angle, window // _COARSER) for angle in (*_FRAMES, *_OTHERS)]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    frames, others = np.split(np.array(known), [len(_FRAMES)])
    return float(frames.mean() / others.mean())


def _directions(luma: NDArray[np.floating]) -> Float64:
    """(2, n, n): cosine and sine of twice the direction of the strokes, as long as it is uniform around."""
    across, down = (ndimage.gaussian_filter(luma, _GRADIENT, order=order) for order in ((0, 1), (1, 0)))
    products = (across**2 - down**2, 2 * across * down, across**2 + down**2)
    first, second, total = (ndimage.gaussian_filter(product, _AROUND) for product in products)
    return np.stack([first, second]) / np.maximum(total, 1e-12)


def _reduced(values: NDArray[np.floating]) -> Float64:
    """Means (C, n / 4, n / 4) of blocks."""
    count, size = len(values), values.shape[1] // _COARSER
    cut = values[:, : size * _COARSER, : size * _COARSER]
    found: Float64 = cut.reshape(count, size, _COARSER, size, _COARSER).mean((2, 4), dtype=np.float64)
    return found


def _strength(values: Float64, whole: Bool, angle: float, window: int) -> float | None:
    """The largest steps along an angle, in degrees, by what chance makes of short ones."""
    long, short = (
        np.concatenate(
            [_steps(values, whole, angle + off, length * window, _DEPTH * window) for off in _TOLERANCE]
        )
        for length in (_LENGTH, _PIECE)
    )
    chance = np.sqrt(np.square(short).mean() * _PIECE / _LENGTH) if len(short) else 0.0
    if len(long) < _LEAST_SEGMENTS or not chance > 0:
        return None
    return float(np.quantile(long, _QUANTILE) / chance)


def _steps(values: Float64, whole: Bool, angle: float, length: float, depth: float) -> Float64:
    """Sizes of the steps of values (C, n, n) across all segments that lie where ``whole``."""
    kernel = _kernel(np.radians(angle), length, depth)
    area = signal.fftconvolve(whole.astype(np.float64), np.abs(kernel), mode="same")
    inside = area > 0.999 * np.abs(kernel).sum()
    squared = np.zeros(whole.shape)
    for channel in values:
        squared += signal.fftconvolve(channel, kernel, mode="same") ** 2
    found: Float64 = np.sqrt(squared[inside])
    return found


def _kernel(angle: float, length: float, depth: float) -> Float64:
    """Positive on one side of a segment, negative on the other, with smooth edges of a pixel."""
    half = int(np.ceil(np.hypot(length / 2, depth))) + 1
    down, across = np.mgrid[-half : half + 1, -half : half + 1]
    along = across * np.cos(angle) + down * np.sin(angle)
    aside = down * np.cos(angle) - across * np.sin(angle)
    weight = np.clip((length + 1) / 2 - np.abs(along), 0, 1) * np.clip(depth + 0.5 - np.abs(aside), 0, 1)
    side = np.clip(aside, -0.5, 0.5) * weight
    found: Float64 = side / np.abs(side).sum()
    return found
