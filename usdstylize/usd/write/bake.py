"""The arithmetic of the result, and the image files it goes into.

Everything here is NumPy and OpenImageIO; images are float32 (H, W, 3), row 0 is the top.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from usdstylize.errors import OutputError
from usdstylize.imaging.encoding import encode_base
from usdstylize.imaging.sampling import VALUES_AT_ONCE, resample
from usdstylize.model.base_colors import PLAIN, Transfer, Wrap
from usdstylize.model.objects import StageObject

__all__ = ["as_half", "bake_wrap", "combine", "write_baked", "write_half"]

Float32 = NDArray[np.float32]

_LARGEST_HALF = np.float32(np.finfo(np.float16).max)
_PATIENCE = 1 << 22
"""Texels. A larger image is packed quickly rather than tightly: a PNG grows by a twelfth, an EXR by
a hundredth, and a PNG takes a quarter of the time."""


def combine(
    base: Float32,
    styles: Sequence[tuple[Float32, float]],
    wrap: tuple[Wrap, Wrap],
    transfer: Transfer = PLAIN,
) -> Float32:
    """clamp(T + Σ strength · T_S, 0, 1), sRGB-encoded, at the largest resolution of each axis.

    base: (H, W, 3), what ``transfer`` makes T of, as in `ObjectData`: it is filtered before, as viewers
    do. styles: each T_S, signed, (H', W', 3), of whatever size, and its strength; one at least.
    """
    images = [base, *(style for style, _ in styles)]
    size = (max(image.shape[1] for image in images), max(image.shape[0] for image in images))
    (first, strength), *others = styles
    total = resample(first, size, wrap) * np.float32(strength)
    for style, strength in others:
        total += resample(style, size, wrap) * np.float32(strength)
    total += encode_base(resample(base, size, wrap), transfer)
    return np.clip(total, 0.0, 1.0, out=total)


def bake_wrap(obj: StageObject) -> tuple[Wrap, Wrap]:
    """How T and T_S continue beyond 0..1 when they are combined: a UDIM tile ends at its edge."""
    return ("clamp", "clamp") if obj.tiles else obj.wrap


def as_half(image: Float32) -> NDArray[np.float16]:
    """The values of a file of half floats: what is beyond their range becomes their largest, not infinite.

    A viewer that filters an infinite texel with weight 0 would show NaN.
    """
    half = np.empty(image.shape, dtype=np.float16)
    at_once = max(1, VALUES_AT_ONCE // image[0].size)
    for start in range(0, len(image), at_once):
        band = slice(start, start + at_once)
        half[band] = np.clip(image[band], -_LARGEST_HALF, _LARGEST_HALF)
    return half


def write_half(path: Path, image: Float32, *, color: bool) -> None:
    """A half-float scanline EXR of RGB, or RGB and alpha, zip compressed.

    color: the values are linear Rec.709; otherwise they are tagged as data, so that no reader converts
    them. Raises OutputError.
    """
    spec = oiio.ImageSpec(image.shape[1], image.shape[0], image.shape[2], oiio.HALF)
    hasty = image.shape[0] * image.shape[1] > _PATIENCE
    spec.attribute("compression", "zip:1" if hasty else "zip")
    spec.attribute("oiio:ColorSpace", "lin_rec709" if color else "data")
    spec.attribute("colorInteropID", "lin_rec709_scene" if color else "data")
    # OpenImageIO would write the time of day, and the same seed must give the same bytes.
    spec.attribute("DateTime", "1970:01:01 00:00:00")
    _write(path, spec, as_half(image))


def write_baked(path: Path, encoded: Float32) -> None:
    """An 8-bit sRGB PNG of sRGB-encoded values in 0..1, rounded, not dithered. Raises OutputError."""
    spec = oiio.ImageSpec(encoded.shape[1], encoded.shape[0], 3, oiio.UINT8)
    spec.attribute("oiio:ColorSpace", "srgb_rec709_scene")
    spec.attribute("png:compressionLevel", 4)  # half the time of 6, for three hundredths more bytes
    if encoded.shape[0] * encoded.shape[1] > _PATIENCE:
        spec.attribute("png:compressionLevel", 1)
        spec.attribute("png:filter", 0x40)  # the average of two neighbours, in libpng's own numbers
    codes = np.empty(encoded.shape, dtype=np.uint8)
    at_once = max(1, VALUES_AT_ONCE // encoded[0].size)
    for start in range(0, len(encoded), at_once):
        band = slice(start, start + at_once)
        codes[band] = np.rint(encoded[band] * np.float32(255.0))
    _write(path, spec, codes)


def _write(path: Path, spec: Any, pixels: NDArray[Any]) -> None:
    output = oiio.ImageOutput.create(str(path))
    written = False
    if output is not None and output.open(str(path), spec):
        # close() flushes: on a full disk it is often the one that fails.
        written = output.write_image(np.ascontiguousarray(pixels)) and output.close()
    if not written or path.stat().st_size == 0:
        problem = output.geterror() if output is not None else oiio.geterror()
        reason = " ".join(problem.split()).rstrip(".") or "the disk may be full"
        raise OutputError(
            f"{path} cannot be written ({reason}); free some space or choose another folder with --output."
        )
