"""Detail in T_S that no camera of its optimisation has seen, and specks."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.results import StylizedObject
from benchmarks.scene.surface import Surface
from usdstylize.imaging import uv_raster
from usdstylize.imaging.encoding import encode_base
from usdstylize.imaging.sampling import resample
from usdstylize.model.base_colors import Wrap

__all__ = ["Specks", "band_share", "band_share_of_patches", "count_specks", "specks_of"]

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

_PATCHES = 24
_SIDES = (16, 8)
"""Of a patch, in pixels of the encoder: the Hann window blurs a frequency by an eighth of Nyquist's, on
objects that have no room for such patches by a quarter."""
_MOST_SAMPLES = 384
_LEAST_PATCHES = 3
_LEAST_VALID = 0.98
"""Of a patch; the few other pixels take the mean and so add no energy of their own."""
_LIMIT = 5.0
_DEVIATION_OF_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_FLOOR = 2 / 255
_SMOOTH = 6 / 255
"""Robust deviation up to which a neighbourhood counts as smooth."""
_SIZE = 5
_SPECK = 4
"""Texels; a line of one texel has five in its neighbourhood, a corner nine."""
_PADDING: dict[Wrap, Literal["wrap", "symmetric"]] = {"repeat": "wrap", "mirror": "symmetric"}
_ROWS_AT_ONCE = 128


def band_share(surface: Surface, seen: float, *, seed: int = 0) -> float | None:
    """Share of T_S's energy above the seen band: at wavelengths on the surface shorter than two pixels.

    seen: length on the surface that a pixel of the encoder covers, metres. Energy is the squared
    deviation from the object's mean, of all three channels.

    Measured by Fourier transforms of patches of the tangent plane, 16 of those pixels wide, under a Hann
    window, T_S sampled from its own texels without mipmaps. Scaling T_S down and up again would need no
    patches, but a box and a tent take away a quarter of the amplitude at half of Nyquist's frequency,
    which cameras do see; and texels cover different lengths along s and t, and from island to island.
    0 where a texel is as long as the pixel. None where no part is flat enough.
    """
    if surface.texel >= seen:
        return 0.0
    for side in _SIDES:
        samples = int(min(_MOST_SAMPLES, np.ceil(2 * side * seen / surface.texel)))
        pixel = side * seen / samples
        patches = surface.patches(_PATCHES, samples, pixel, least_cosine=0.7, filtered=False, seed=seed)
        images = [
            np.where(patch.valid[..., None], patch.style, patch.style[patch.valid].mean(0))
            for patch in patches
            if patch.valid.mean() >= _LEAST_VALID
        ]
        if len(images) >= _LEAST_PATCHES:
            return band_share_of_patches(images, seen / pixel)
    return None


def band_share_of_patches(images: list[Float32], pixel: float) -> float:
    """The same of images (n, n, 3), where an encoder's pixel is ``pixel`` samples wide."""
    mean = np.mean([image.mean((0, 1)) for image in images], axis=0)
    size = len(images[0])
    # A periodic window: its transform has three values, so nothing leaks farther than one bin.
    window = np.sin(np.pi * np.arange(size) / size) ** 2
    along = np.fft.fftfreq(size)
    above = np.hypot(along[:, None], along) > 1 / (2 * pixel)
    high = total = 0.0
    for image in images:
        windowed = (image - mean) * (window[:, None] * window)[..., None]
        energy = (np.abs(np.fft.fft2(windowed, axes=(0, 1))) ** 2).sum(-1)
        high += float(energy[above].sum())
        total += float(energy.sum())
    return high / total if total > 0 else 0.0


@dataclass(frozen=True)
class Specks:
    """Texels of T_S that stand out of a smooth neighbourhood."""

    count: int
    """All of them: also the corners of shapes, and lines of one texel."""
    isolated: int
    """Those with at most four texels of their kind around them, themselves included."""
    texels: int
    """Of T_S, with a neighbourhood inside of what the UVs cover."""

    @property
    def per_million(self) -> float:
        """Isolated ones, of those texels."""
        return 1e6 * self.isolated / max(self.texels, 1)


def count_specks(item: StylizedObject) -> Specks:
    """Texels more than 5 robust deviations from the median of their 5 × 5 neighbourhood, in any channel.

    They must stand out both in T_S, so that they are not T's own, and in T + T_S, so that they are not
    what hides T's. The robust deviation is 1.4826 times the median absolute deviation and at least 2/255;
    only neighbourhoods count where it is at most 6/255 in every channel, and which the UVs cover whole:
    gutters are no part of the picture.
    """
    height, width = item.style_texture.shape[:2]
    side = max(height, width)
    rows, columns = (np.arange(length) * side // length for length in (height, width))
    wrap = item.object.wrap
    covered = uv_raster.covered_texels(item.data.mesh.uvs, wrap, side)[np.ix_(rows, columns)]
    base = encode_base(resample(item.data.bases[0], (width, height), wrap), item.data.transfer)
    return specks_of(base, item.style_texture, covered, wrap)


def specks_of(base: Float32, style: Float32, covered: Bool, wrap: tuple[Wrap, Wrap]) -> Specks:
    """`count_specks` among the texels (H, W) that are covered. base, style: T and T_S (H, W, 3)."""
    margin = _SIZE // 2
    style, base, within = (_padded(image, margin, wrap) for image in (style, base, covered))
    whole = ndimage.minimum_filter(within, _SIZE)[margin:-margin, margin:-margin]
    count = isolated = 0
    for start in range(0, len(covered), _ROWS_AT_ONCE):
        band = slice(start, min(start + _ROWS_AT_ONCE, len(covered)) + 2 * margin)
        # Most texels lie within the floor's limit of their median and need no deviation.
        candidates = np.zeros((band.stop - band.start - 2 * margin, covered.shape[1]), bool)
        for channel in np.moveaxis(style[band], -1, 0):
            away = np.abs(channel - ndimage.median_filter(channel, _SIZE))
            candidates |= away[margin:-margin, margin:-margin] > _LIMIT * _FLOOR
        candidates &= whole[start : start + len(candidates)]
        near, below = (_windows(image[band], candidates) for image in (style, base))
        outside = _stands_out(near)
        near, below = near[outside], below[outside]
        shown = np.clip(near + below, 0, 1)
        outside = _stands_out(shown)
        count += int(outside.sum())
        isolated += int((_of_its_kind(shown[outside]) <= _SPECK).sum())
    return Specks(count, isolated, int(whole.sum()))


def _stands_out(windows: Float32) -> Bool:
    """Whether the middle of each window (N, 3, 25) is a speck."""
    median = np.median(windows, axis=-1)
    robust = _DEVIATION_OF_MAD * np.median(np.abs(windows - median[..., None]), axis=-1)
    away = np.abs(windows[..., _SIZE**2 // 2] - median)
    result: Bool = (robust <= _SMOOTH).all(-1) & (away > _LIMIT * np.maximum(robust, _FLOOR)).any(-1)
    return result


def _of_its_kind(windows: Float32) -> NDArray[np.int64]:
    """How many texels of each window (N, 3, 25) are nearer to its middle than to its median."""
    middle, median = windows[..., _SIZE**2 // 2, None], np.median(windows, axis=-1)[..., None]
    nearer = np.square(windows - middle).sum(1) < np.square(windows - median).sum(1)
    result: NDArray[np.int64] = nearer.sum(-1)
    return result


def _windows(image: Float32, chosen: Bool) -> Float32:
    """The neighbourhoods (N, 3, 25) of the chosen texels (h, w) of an image (h + 4, w + 4, 3)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (_SIZE, _SIZE), (0, 1))
    return windows[chosen].reshape(-1, 3, _SIZE**2)


def _padded(image: NDArray[Any], margin: int, wrap: tuple[Wrap, Wrap]) -> NDArray[Any]:
    """An image (H, W, …) that goes on by ``margin`` texels as its wrap in s and t has it."""
    for axis, mode in ((1, wrap[0]), (0, wrap[1])):
        width = [(margin, margin) if axis == own else (0, 0) for own in range(image.ndim)]
        image = np.pad(image, width, mode=_PADDING.get(mode, "edge"))
    return image
