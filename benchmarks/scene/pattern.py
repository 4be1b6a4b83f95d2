"""How large a pattern is on the surface, in metres: by discs, and by autocorrelation.

Both choose the pixel of their patches from what they find: a texel of T_S, twice that, and so on until
a patch is several times as wide as the pattern.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.scene.surface import LUMA, Patch, Surface

__all__ = [
    "Disc",
    "DiscPattern",
    "autocorrelation_length",
    "disc_pattern",
    "find_discs",
    "length_of_patches",
    "length_within",
    "variation",
]

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_PATCHES = 16
_LEAST_DISCS = 3
"""Fewer on all patches of an object are no pattern."""
_LEAST_SHARE = 0.01
"""Of the surface; of the style image, discs cover 0.4."""
_LEAST_PIXELS = 30
_LEAST_CONTRAST = 0.1
"""Between the mean of what is darker and of what is lighter than the threshold; else nothing is a disc."""
_SURROUNDINGS = 0.1
"""Standard deviation of their Gaussian, in sides of a patch."""
_RING = 4
"""Pixels around a blob in which T is compared."""
_FILL = (0.9, 1.1)
"""Area over that of the ellipse of the same second moments: 1 for every ellipse, 0.89 for two touching
discs, less for branches and rings."""
_MOST_STRETCH = 3.0
_COLORS = 4
"""Steps of each channel of T."""
_LONGEST = 1 / 8
"""Of a patch's side: a longer autocorrelation is cut short by subtracting the patch's mean."""
_COARSER_AT_MOST = 8
_LEAST_SIDE, _MOST_PIXELS = 12, 256
"""Of a patch's side."""


@dataclass(frozen=True)
class Disc:
    """An ellipse on the surface, metres."""

    radius: float
    """That of the circle of the same area."""
    stretch: float
    """Major over minor axis."""


@dataclass(frozen=True)
class DiscPattern:
    """The discs of one object."""

    radius: float
    """Their median, metres, weighted by area."""
    stretch: float
    """The same of their stretches."""
    count: int
    share: float
    """Of the surface that was looked at, what whole discs cover."""


def disc_pattern(surface: Surface, *, pixels: int = 320, seed: int = 0) -> DiscPattern | None:
    """Dark discs in T + T_S; None where there are fewer than three, or they cover less than 1/100.

    Of all pixel sizes the one counts whose discs cover most of the surface: a pattern of discs does, grain
    and what is left of T do not. For the same reason medians are weighted by area.
    """
    best, most = None, _LEAST_SHARE
    for pixel in _pixels(surface, pixels):
        found: list[Disc] = []
        seen = 0.0
        for patch in surface.patches(_PATCHES, pixels, pixel, seed=seed):
            found += find_discs(patch)
            seen += float((pixel**2 / patch.cosine[patch.valid]).sum())
        areas = np.array([disc.radius**2 for disc in found])
        if len(found) >= _LEAST_DISCS and np.pi * areas.sum() > most * seen:
            most = float(np.pi * areas.sum() / seen)
            radius = _weighted_median(np.array([disc.radius for disc in found]), areas)
            stretch = _weighted_median(np.array([disc.stretch for disc in found]), areas)
            best = DiscPattern(radius, stretch, len(found), most)
    return best


def _weighted_median(values: Float64, weights: Float64) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def find_discs(patch: Patch) -> list[Disc]:
    """Ellipses of the second moments of every dark blob that is seen whole and is filled like an ellipse.

    Dark is what lies below a threshold once the mean of its surroundings is subtracted, so that discs are
    found on light and on dark parts of T; a blob that T itself shows is none. Moments are taken of points
    on the surface, each with the area that its pixel covers there, so that a slope does not flatten them:
    a disc of radius r has a variance of r² / 4 along either axis.
    """
    seen = ndimage.binary_erosion(patch.valid, iterations=2)
    if seen.sum() < _LEAST_PIXELS:
        return []
    luma, own = (ndimage.gaussian_filter(image @ LUMA, 1.0) for image in (patch.shown, patch.base))
    relative = luma - _surroundings(luma, seen)
    threshold, contrast = _otsu(relative[seen])
    if contrast < _LEAST_CONTRAST:
        return []
    blobs, count = ndimage.label((relative < threshold) & patch.valid)
    cut = set(np.unique(blobs[~seen]).tolist())
    found = []
    for number, tight in enumerate(ndimage.find_objects(blobs, count), 1):
        height, width = (side.stop - side.start for side in tight)
        if number in cut or height * width < _LEAST_PIXELS:
            continue
        window = tuple(slice(max(side.start - _RING, 0), side.stop + _RING) for side in tight)
        inside = ndimage.binary_fill_holes(blobs[window] == number)
        if inside.sum() < _LEAST_PIXELS or _is_own(inside, luma[window], own[window]):
            continue
        disc = _ellipse(patch.points[window][inside], patch.pixel**2 / patch.cosine[window][inside])
        if disc is not None:
            found.append(disc)
    return found


def _surroundings(luma: NDArray[np.floating], seen: Bool) -> NDArray[np.floating]:
    """The mean around every pixel (n, n) of what is seen, weighted by a Gaussian."""
    sigma = _SURROUNDINGS * len(luma)
    total = ndimage.gaussian_filter(np.where(seen, luma, 0.0), sigma, mode="constant")
    weight = ndimage.gaussian_filter(seen.astype(np.float64), sigma, mode="constant")
    result: NDArray[np.floating] = total / np.maximum(weight, 1e-6)
    return result


def _is_own(inside: Bool, luma: NDArray[np.floating], own: NDArray[np.floating]) -> bool:
    """Whether T's luma gets darker from around a blob to its inside by at least half as much as T + T_S."""
    ring = ndimage.binary_dilation(inside, iterations=_RING) & ~inside
    if not ring.any():
        return False
    return bool(own[ring].mean() - own[inside].mean() >= 0.5 * (luma[ring].mean() - luma[inside].mean()))


def _ellipse(points: Float64, areas: NDArray[np.floating]) -> Disc | None:
    """points: (N, 3), each with the area around it (N,); None where they fill no ellipse."""
    area = float(areas.sum())
    centered = points - np.average(points, axis=0, weights=areas)
    spread = np.linalg.eigvalsh((centered * areas[:, None]).T @ centered / area)[::-1]
    major, minor = 2 * np.sqrt(np.maximum(spread[:2], 0))
    if not minor or major > _MOST_STRETCH * minor:
        return None
    if not _FILL[0] <= area / (np.pi * major * minor) <= _FILL[1]:
        return None
    return Disc(float(np.sqrt(area / np.pi)), float(major / minor))


def _otsu(values: NDArray[np.floating]) -> tuple[float, float]:
    """The threshold of the largest variance between classes, and the distance of the classes' means."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts).astype(np.float64)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.nan_to_num((sums[-1] - sums) / above - sums / below)
    best = int(np.argmax(below * above * distance**2))
    return float(edges[best + 1]), float(distance[best])


def autocorrelation_length(surface: Surface, *, pixels: int = 256, seed: int = 0) -> float | None:
    """Distance on the surface, metres, at which the autocorrelation of T_S's luma falls to 1/e.

    Without what T_S is on average where T has the same colour (in four steps per channel): how the style
    recolours a sail says how large the sail is, not the strokes. None where T_S is flat or no patch is
    seen well enough.
    """
    length = None
    for pixel in _pixels(surface, pixels):
        # Of surfaces steeper than that, a pixel covers a length too different from its width.
        patches = list(surface.patches(_PATCHES, pixels, pixel, least_cosine=0.8, seed=seed))
        found = length_of_patches([_strokes(patch) for patch in patches], [p.valid for p in patches])
        if found is None:
            continue
        length = found * pixel
        if length <= _LONGEST * pixels * pixel:
            break
    return length


def length_within(surface: Surface, width: float, *, seed: int = 0) -> float | None:
    """The same within patches ``width`` metres wide, whose means are taken away.

    A wall has patches of colour, as wide as the pattern, that a small object has no place for. None where no
    patch is seen well enough, or a texel is too large for it.
    """
    pixels = min(round(width / surface.texel), _MOST_PIXELS)
    if pixels < _LEAST_SIDE:
        return None
    patches = list(surface.patches(_PATCHES, pixels, width / pixels, least_cosine=0.8, seed=seed))
    found = length_of_patches([_strokes(patch) for patch in patches], [p.valid for p in patches])
    return found and found * width / pixels


def _strokes(patch: Patch) -> NDArray[np.floating]:
    """Luma of T_S (n, n), less its mean among the valid pixels where T has the same colour; else 0."""
    steps = np.minimum((patch.base[patch.valid] * _COLORS).astype(np.int64), _COLORS - 1)
    color = steps @ (_COLORS**2, _COLORS, 1)
    values = (patch.style @ LUMA)[patch.valid]
    counts = np.bincount(color, minlength=_COLORS**3)
    means = np.bincount(color, weights=values, minlength=_COLORS**3) / np.maximum(counts, 1)
    result = np.zeros(patch.valid.shape)
    result[patch.valid] = values - means[color]
    return result


def length_of_patches(images: Sequence[NDArray[np.floating]], masks: Sequence[Bool]) -> float | None:
    """The same in pixels, of images (n, n) where masks hold, all patches together.

    Each patch's mean is subtracted; the products of all pairs of valid pixels at each distance, rounded to
    a whole number of pixels, are averaged over all directions and patches. None where it never falls.
    """
    if not images:
        return None
    size = len(images[0])
    shape = (2 * size, 2 * size)
    products, pairs = np.zeros(shape), np.zeros(shape)
    for image, mask in zip(images, masks, strict=True):
        if not mask.any():
            continue
        centered = np.where(mask, image - image[mask].mean(), 0.0)
        products += np.fft.irfft2(np.abs(np.fft.rfft2(centered, shape)) ** 2, shape)
        pairs += np.fft.irfft2(np.abs(np.fft.rfft2(mask.astype(np.float64), shape)) ** 2, shape)
    along = np.fft.fftfreq(2 * size, 1 / (2 * size))
    distance = np.rint(np.hypot(along[:, None], along)).astype(np.int64)
    bins = distance.ravel() < size
    counts = np.bincount(distance.ravel()[bins], weights=pairs.ravel()[bins])
    sums = np.bincount(distance.ravel()[bins], weights=products.ravel()[bins])
    if not counts[0] > 0.5 or sums[0] / counts[0] < 1e-8:
        return None
    curve = sums / np.maximum(counts, 0.5) / (sums[0] / counts[0])
    reliable = counts > 0.01 * counts[0]
    return _first_below(curve[: len(curve) if reliable.all() else int(np.argmin(reliable))], 1 / np.e)


def _first_below(curve: Float64, level: float) -> float | None:
    """Where a curve that starts above ``level`` first falls to it, between two of its points."""
    below = np.flatnonzero(curve <= level)
    if not len(below):
        return None
    last = int(below[0])
    return last - 1 + float((curve[last - 1] - level) / (curve[last - 1] - curve[last]))


def variation(values: Sequence[float]) -> float | None:
    """Coefficient of variation: the standard deviation over the mean; None of fewer than two values."""
    return float(np.std(values) / np.mean(values)) if len(values) > 1 else None


def _pixels(surface: Surface, pixels: int) -> Iterator[float]:
    """Pixels of patches, metres, from a texel of T_S to what shows the whole object on one patch."""
    largest = 2 * surface.radius / pixels
    for halving in range(_COARSER_AT_MOST):
        pixel = surface.texel * 2.0**halving
        if pixel >= largest:
            break
        yield pixel
    yield largest
