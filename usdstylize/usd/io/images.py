"""Image files decoded to code values, by OpenImageIO; AVIF, which it cannot read, by Pillow.

Nothing here knows of colour: what comes out are the values that the file stores.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, get_args

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from PIL import Image

from usdstylize.errors import TextureError
from usdstylize.model.base_colors import BitDepth, Wrap
from usdstylize.usd.io.assets import local_file, package_stamp, suffix
from usdstylize.usd.io.channels import Layer, choose_layer

__all__ = [
    "MAX_CODE",
    "MAX_IMAGE_SIDE",
    "ImageHeader",
    "finest",
    "read_alpha",
    "read_codes",
    "read_header",
    "read_image",
]

MAX_IMAGE_SIDE = 16384
"""Texels. A larger header is refused before anything is decoded."""
MAX_CODE = {"uint8": 255, "uint16": 65535}
"""The code of 1.0 in each integer format."""

_FORMATS = {"bmp", "cineon", "dds", "dpx", "gif", "hdr", "iff", "jpeg", "jpeg2000", "jpegxl", "openexr"} | {
    "png", "pnm", "psd", "rla", "sgi", "targa", "tiff", "webp",
}  # fmt: skip
"""Those of OpenImageIO that are read. One of the others makes an image of any size out of a mere name."""
_BIT_DEPTHS: dict[str, BitDepth] = {
    "uint8": "uint8",
    "uint16": "uint16",
    "half": "half",
    "float": "float",
    "double": "float",
}
_WRAPS: dict[str, Wrap] = {"periodic": "repeat", "repeat": "repeat", "mirror": "mirror", "clamp": "clamp"}
_EVERYWHERE = {
    "png": ("png",),
    "jpeg": ("jpg", "jpeg"),
    "bmp": ("bmp",),
    "targa": ("tga",),
    "hdr": ("hdr",),
    "openexr": ("exr",),
}
"""Formats that Hydra itself reads, and the suffixes by which it knows them."""


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file holds."""

    size: tuple[int, int]
    """(width, height) in texels, of the display window where there is one."""
    channels: int
    """1 for grey, 2 with alpha, 3 for RGB, 4 with alpha."""
    bit_depth: BitDepth
    gamma: float | None
    """By the file's own metadata: 1.0 for linear values, about 2.2 for encoded ones, None if unknown."""
    wrap_s: Wrap | None
    """The file's own wrap metadata, which UsdUVTexture's ``useMetadata`` asks for."""
    wrap_t: Wrap | None
    misread: str = ""
    """What of the file other readers, Storm's above all, read differently: a clause, or empty."""
    color_space: str = ""
    """The gamut that the file claims (``lin_ap1_scene``), where it is another than Rec.709."""
    remarks: tuple[str, ...] = ()
    """What was chosen among several possibilities, a clause each."""


def finest(depths: Iterable[BitDepth]) -> BitDepth:
    """The finest of them, 8 bits where there are none."""
    return max(depths, key=get_args(BitDepth).index, default="uint8")


@dataclass(frozen=True)
class _Place:
    """Where in a file the picture is."""

    part: int
    layer: Layer
    offset: tuple[int, int]
    """(x, y) of the first stored texel in the picture; negative where it lies outside."""


def read_header(resolved_path: str) -> ImageHeader:
    """The header of an image file; its pixels are not decoded.

    Raises TextureError where it does not open, or is no texture that can be read, OutputError
    where the temporary folder cannot be written.
    """
    stamp = package_stamp(resolved_path)
    # A file in a package must be unpacked to be read, and each object that shares it would do that.
    return _read_header(resolved_path) if stamp is None else _packed_header(resolved_path, stamp)


@lru_cache(maxsize=1024)
def _packed_header(resolved_path: str, stamp: tuple[int, int]) -> ImageHeader:
    """``stamp``: of the package as it is now."""
    return _read_header(resolved_path)


def _read_header(resolved_path: str) -> ImageHeader:
    if suffix(resolved_path) == "avif":
        with _opened_avif(resolved_path) as picture:
            return _avif_header(picture, resolved_path)
    with _opened(resolved_path) as image:
        return _examine(image, resolved_path)[0]


def read_image(resolved_path: str) -> NDArray[np.float32]:
    """Code values of an image file, (H, W, C) float32, row 0 is the top.

    8 and 16 bit are divided by 255 and 65535, half and float are as they are; no colour
    decode, no premultiplication. C is 1 for grey, 2 with alpha, 3 for RGB, 4 with alpha.
    Raises TextureError where the file does not open, is too large, truncated or holds NaN,
    OutputError where the temporary folder cannot be written.
    """
    stored = read_codes(resolved_path, alpha=True)
    codes = stored.astype(np.float32)
    if str(stored.dtype) in MAX_CODE:
        codes /= np.float32(MAX_CODE[str(stored.dtype)])
    elif not np.isfinite(codes).all():
        raise TextureError(
            f"Texture {resolved_path} holds NaN or infinite values; repair or export it again."
        )
    return codes


def read_alpha(resolved_path: str) -> NDArray[np.float32] | None:
    """The alpha of an image, (H, W) float32, 0 where it is no number; None where it has none.

    Raises TextureError and OutputError as `read_codes`.
    """
    stored = read_codes(resolved_path, alpha=True)
    if stored.shape[2] % 2:
        return None
    alpha = stored[..., -1].astype(np.float32)
    if str(stored.dtype) in MAX_CODE:
        alpha /= np.float32(MAX_CODE[str(stored.dtype)])
    return np.nan_to_num(alpha, nan=0.0, posinf=1.0, neginf=0.0)


def read_codes(resolved_path: str, *, alpha: bool = False) -> NDArray[Any]:
    """The stored values, (H, W, C) uint8, uint16, float16 or float32, row 0 is the top.

    C is 1 for grey and 3 for RGB; one more with ``alpha`` where the file has it. The display window
    is 0 where the data window does not cover it. NaN and infinities are as they are.
    Raises TextureError where the file does not open, is too large or truncated, OutputError
    where the temporary folder cannot be written.
    """
    if suffix(resolved_path) == "avif":
        return _read_avif(resolved_path, alpha)
    with _opened(resolved_path) as image:
        header, place = _examine(image, resolved_path)
        wanted = place.layer.color + (place.layer.alpha if alpha else ())
        first, last = min(wanted), max(wanted) + 1
        # Read in the file's own type: OpenImageIO's conversion to float is not exact.
        stored = image.read_image(place.part, 0, first, last, header.bit_depth)
        # A truncated JPEG returns pixels and an error; the missing rows would be grey.
        problem = image.geterror()
    if stored is None or problem:
        raise TextureError(
            f"Texture {resolved_path} does not decode ({_first_line(problem)}); restore or export it again."
        )
    codes = np.asarray(stored)
    codes = codes.reshape(*codes.shape[:2], last - first)
    if wanted != tuple(range(first, last)):
        codes = codes[..., [channel - first for channel in wanted]]
    return _display_window(codes, header.size, place.offset)


def _display_window(codes: NDArray[Any], size: tuple[int, int], offset: tuple[int, int]) -> NDArray[Any]:
    """The display window of ``size`` (width, height), from a data window at ``offset`` (x, y)."""
    if offset == (0, 0) and codes.shape[1::-1] == size:
        return codes
    whole = np.zeros((size[1], size[0], codes.shape[2]), dtype=codes.dtype)
    (left, top), (height, width) = offset, codes.shape[:2]
    into = whole[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    into[:] = codes[max(-top, 0) :, max(-left, 0) :][: into.shape[0], : into.shape[1]]
    return whole


@contextmanager
def _opened(resolved_path: str) -> Iterator[Any]:
    """An OpenImageIO ImageInput of the asset."""
    with local_file(resolved_path) as file:
        hints = oiio.ImageSpec()
        hints.attribute("oiio:UnassociatedAlpha", 1)
        image = oiio.ImageInput.open(file, hints)
        if image is None:
            reason = _first_line(oiio.geterror()).replace(file, resolved_path)
            raise TextureError(
                f"Texture {resolved_path} is not an image that OpenImageIO opens ({reason}); export it again."
            )
        try:
            if image.format_name() not in _FORMATS:
                raise TextureError(
                    f"Texture {resolved_path} is a {image.format_name()} image, which is not read; export "
                    "it as PNG or EXR."
                )
            yield image
        finally:
            image.close()


def _examine(image: Any, resolved_path: str) -> tuple[ImageHeader, _Place]:
    part, layer = _choose_part(image, resolved_path)
    spec = image.spec()
    size = (spec.full_width, spec.full_height)
    _check_size(resolved_path, max(spec.width, size[0]), max(spec.height, size[1]))
    if spec.deep or spec.depth > 1:
        kind = "deep" if spec.deep else "a volume"
        raise TextureError(f"Texture {resolved_path} is {kind}; flatten it.")
    depth = _BIT_DEPTHS.get(str(spec.format))
    if depth is None:
        raise TextureError(
            f"Texture {resolved_path} stores {spec.format} texels; export it as 8 or 16 bit, half or float."
        )
    offset = (spec.x - spec.full_x, spec.y - spec.full_y)
    remarks = [layer.remark] if layer.remark else []
    if offset != (0, 0) or (spec.width, spec.height) != size:
        if not (-spec.width < offset[0] < size[0] and -spec.height < offset[1] < size[1]):
            raise TextureError(
                f"Texture {resolved_path} has a data window outside its display window; export it again."
            )
        remarks.append("has a data window unlike its display window, which is what counts")
    wraps = [_WRAPS.get(word.strip()) for word in spec.get_string_attribute("wrapmodes").split(",")]
    gamma, space = _own_color(spec)
    header = ImageHeader(
        size=size,
        channels=len(layer.color) + len(layer.alpha),
        bit_depth=depth,
        gamma=gamma,
        wrap_s=wraps[0],
        wrap_t=wraps[-1],
        misread=_misread(image, spec, part, resolved_path, layer, depth, cropped=len(remarks) > 0),
        color_space=space,
        remarks=tuple(remarks),
    )
    return header, _Place(part, layer, offset)


def _choose_part(image: Any, resolved_path: str) -> tuple[int, Layer]:
    """The first part of a file that holds red, green and blue, else the first that holds anything
    to be seen; the image stands there afterwards."""
    parts: list[tuple[str, Layer | str]] = []
    by_name = image.format_name() == "openexr"
    while (by_name or not parts) and image.seek_subimage(len(parts), 0):
        spec = image.spec()
        name = spec.get_string_attribute("oiio:subimagename") or str(len(parts))
        parts.append((name, choose_layer(spec.channelnames, by_name=by_name)))
    layers = [(part, layer) for part, (_, layer) in enumerate(parts) if isinstance(layer, Layer)]
    if not layers:
        raise TextureError(
            f"Texture {resolved_path} holds no colour ({parts[0][1]}); export it with R, G and B."
        )
    part, layer = max(layers, key=lambda found: len(found[1].color))
    image.seek_subimage(part, 0)
    if part > 0:
        layer = replace(layer, remark=f"shows its part {parts[part][0]}, the first with a colour")
    return part, layer


def _misread(
    image: Any, spec: Any, part: int, path: str, layer: Layer, depth: BitDepth, *, cropped: bool
) -> str:
    """`ImageHeader.misread`: what Storm is known to read differently, may read so, or cannot read."""
    name, ending = image.format_name(), suffix(path)
    if ending not in _EVERYWHERE.get(name, ()):
        return f"a {name} file with the suffix .{ending}" if name in _EVERYWHERE else f"a {name} file"
    if depth == "uint16":
        return "of 16 bits"
    if "CMYK" in (spec.get_string_attribute("jpeg:ColorSpace"), spec.get_string_attribute("tiff:ColorSpace")):
        return "of CMYK inks"
    if cropped or part > 0:
        return "of several windows, layers or parts"
    if spec.channelformats or (name == "openexr" and spec.nchannels not in (1, 3, 4)):
        return "of unusual channels"
    return ""


def _own_color(spec: Any) -> tuple[float | None, str]:
    """Gamma, and the gamut where it is not Rec.709's, by the file's own metadata."""
    # OpenImageIO reports an assumed sRGB for an untagged 8-bit file, so only what differs
    # from that assumption is known to come from the file.
    space = spec.get_string_attribute("oiio:ColorSpace")
    gamut = "" if "rec709" in space or space in ("", "Linear", "linear", "sRGB", "data", "raw") else space
    if space.startswith("lin") or space == "Linear":
        return 1.0, gamut
    gamma = spec.get_float_attribute("oiio:Gamma")
    return (gamma if gamma > 0 else None), gamut


def _check_size(path: str, width: int, height: int) -> None:
    if min(width, height) < 1:
        raise TextureError(f"Texture {path} is {width} by {height} texels; export it again.")
    if max(width, height) > MAX_IMAGE_SIDE:
        raise TextureError(
            f"Texture {path} is {width} by {height} texels, more than {MAX_IMAGE_SIDE} on a side; "
            "scale it down."
        )


@contextmanager
def _opened_avif(resolved_path: str) -> Iterator[Image.Image]:
    with local_file(resolved_path) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(file, formats=["AVIF"]) as picture:
                    yield picture
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as problem:
            reason = _first_line(str(problem)).replace(file, resolved_path)
            raise TextureError(
                f"Texture {resolved_path} is not an image that Pillow decodes ({reason}); export it again."
            ) from problem


def _avif_header(picture: Image.Image, resolved_path: str) -> ImageHeader:
    _check_size(resolved_path, *picture.size)
    channels = 4 if picture.mode == "RGBA" else 3
    return ImageHeader(picture.size, channels, "uint8", None, None, None, misread="an avif file")


def _read_avif(resolved_path: str, alpha: bool) -> NDArray[Any]:
    with _opened_avif(resolved_path) as picture:
        header = _avif_header(picture, resolved_path)
        return np.array(picture.convert("RGBA" if alpha and header.channels == 4 else "RGB"))


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else "no reason given"
