"""Files behind a stage, read through Ar: images by OpenImageIO, hashes by hashlib.

Ar is asked even for plain paths: a texture may sit inside a package or behind a resolver.
OpenImageIO's Python binding reads files only, so each image passes through a temporary copy.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from pxr import Ar

from usdstylize.errors import OutputError, TextureError
from usdstylize.objects import Wrap

__all__ = ["MAX_IMAGE_SIDE", "ImageHeader", "hash_file", "read_bytes", "read_header", "read_image"]

MAX_IMAGE_SIDE = 16384
"""Texels. A larger header is refused before anything is decoded."""

BitDepth = Literal["uint8", "uint16", "half", "float"]

_BIT_DEPTHS: dict[str, BitDepth] = {
    "uint8": "uint8",
    "uint16": "uint16",
    "half": "half",
    "float": "float",
    "double": "float",
}
_MAX_CODE = {"uint8": 255, "uint16": 65535}
_WRAPS: dict[str, Wrap] = {"periodic": "repeat", "repeat": "repeat", "mirror": "mirror", "clamp": "clamp"}
_CHUNK = 1 << 22


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says about itself."""

    size: tuple[int, int]
    """(width, height) in texels."""
    channels: int
    bit_depth: BitDepth
    gamma: float | None
    """Of the file's own metadata: 1.0 says linear, 2.2 and the like say encoded, None nothing."""
    wrap_s: Wrap | None
    """The file's own wrap metadata, which UsdUVTexture's ``useMetadata`` asks for."""
    wrap_t: Wrap | None


def read_image(resolved_path: str) -> NDArray[np.float32]:
    """Code values of an image file, (H, W, C) float32, row 0 is the top.

    8 and 16 bit are divided by 255 and 65535, half and float are as they are; no colour
    decode, no premultiplication. C is the file's own: 1 for grey, 2 with alpha, 3, 4.
    Raises TextureError where the file does not open, is too large, truncated or holds NaN,
    OutputError where the temporary folder cannot be written.
    """
    with _opened(resolved_path) as image:
        header = _header(image, resolved_path)
        # The file's own type is asked for: OpenImageIO's conversion to float is not exact.
        pixels = image.read_image("float" if header.bit_depth == "half" else header.bit_depth)
        # A truncated JPEG returns pixels and an error; the missing rows would be grey.
        problem = image.geterror()
    if pixels is None or problem:
        raise TextureError(
            f"Texture {resolved_path} does not decode ({_first_line(problem)}); restore or export it again."
        )
    codes = np.asarray(pixels).reshape(header.size[1], header.size[0], header.channels).astype(np.float32)
    if header.bit_depth in _MAX_CODE:
        codes /= np.float32(_MAX_CODE[header.bit_depth])
    elif not np.isfinite(codes).all():
        raise TextureError(
            f"Texture {resolved_path} holds NaN or infinite values; repair or export it again."
        )
    return codes


def read_header(resolved_path: str) -> ImageHeader:
    """What the file says about itself, without decoding it.

    Raises TextureError where it does not open, or is too large to be a texture, OutputError
    where the temporary folder cannot be written.
    """
    with _opened(resolved_path) as image:
        return _header(image, resolved_path)


def hash_file(path: str) -> str:
    """Hexadecimal sha256 of the bytes that Ar finds at ``path``, which may lie in a package.

    Raises TextureError where nothing can be read.
    """
    asset = _asset(path)
    digest = hashlib.sha256()
    position, size = 0, asset.GetSize()
    while position < size:
        chunk = asset.Read(min(_CHUNK, size - position), position)
        if not chunk:
            raise TextureError(f"{path} ends after {position} of {size} bytes; restore the file.")
        digest.update(chunk)
        position += len(chunk)
    return digest.hexdigest()


def read_bytes(path: str | Path) -> bytes:
    """What Ar finds at a resolved path, which may lie in a package. Raises TextureError."""
    return bytes(_asset(str(path)).GetBuffer() or b"")


def _asset(path: str) -> Any:
    # Opening a pipe or a device would wait for it, for ever.
    special = os.path.exists(path) and not os.path.isfile(path)
    asset = Ar.GetResolver().OpenAsset(Ar.ResolvedPath(path)) if path and not special else None
    if not asset:
        raise TextureError(
            f"{path or 'An empty path'} cannot be opened; restore the file or its permissions."
        )
    return asset


@contextmanager
def _opened(resolved_path: str) -> Iterator[Any]:
    """An OpenImageIO ImageInput on a temporary copy of the asset."""
    # Ar gives None for the buffer of an empty file.
    contents = _asset(resolved_path).GetBuffer() or b""
    suffix = "." + Ar.GetResolver().GetExtension(resolved_path)
    with _temporary_folder() as folder:
        copy = os.path.join(folder, "texture" + suffix)
        with _temporary_space(), open(copy, "wb") as file:
            file.write(contents)
        del contents
        hints = oiio.ImageSpec()
        hints.attribute("oiio:UnassociatedAlpha", 1)
        image = oiio.ImageInput.open(copy, hints)
        if image is None:
            reason = _first_line(oiio.geterror()).replace(copy, resolved_path)
            raise TextureError(
                f"Texture {resolved_path} is not an image that OpenImageIO opens ({reason}); export it again."
            )
        try:
            yield image
        finally:
            image.close()


@contextmanager
def _temporary_space() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        place = tempfile.gettempdir() if tempfile.tempdir else "The temporary folder"
        raise OutputError(
            f"{place} cannot be written ({problem.strerror or problem}), where textures are unpacked; "
            "free some space there or name another folder in TMPDIR."
        ) from problem


@contextmanager
def _temporary_folder() -> Iterator[str]:
    with _temporary_space():
        folder = tempfile.TemporaryDirectory(prefix="usdstylize-", ignore_cleanup_errors=True)
    with folder as path:
        yield path


def _header(image: Any, resolved_path: str) -> ImageHeader:
    spec = image.spec()
    if max(spec.width, spec.height) > MAX_IMAGE_SIDE:
        raise TextureError(
            f"Texture {resolved_path} is {spec.width} by {spec.height} texels, more than {MAX_IMAGE_SIDE} "
            "on a side; scale it down."
        )
    if (spec.x, spec.y, spec.width, spec.height) != (
        spec.full_x,
        spec.full_y,
        spec.full_width,
        spec.full_height,
    ):
        raise TextureError(
            f"Texture {resolved_path} has a data window unlike its display window; export it uncropped."
        )
    depth = _BIT_DEPTHS.get(str(spec.format))
    if depth is None:
        raise TextureError(
            f"Texture {resolved_path} stores {spec.format} texels; export it as 8 or 16 bit, half or float."
        )
    wraps = [_WRAPS.get(word.strip()) for word in spec.get_string_attribute("wrapmodes").split(",")]
    return ImageHeader(
        size=(spec.width, spec.height),
        channels=spec.nchannels,
        bit_depth=depth,
        gamma=_gamma(spec),
        wrap_s=wraps[0],
        wrap_t=wraps[-1],
    )


def _gamma(spec: Any) -> float | None:
    # OpenImageIO reports an assumed sRGB for an untagged 8-bit file, so only what differs
    # from that assumption is known to come from the file.
    space = spec.get_string_attribute("oiio:ColorSpace")
    if space.startswith("lin") or space == "Linear":
        return 1.0
    gamma = spec.get_float_attribute("oiio:Gamma")
    return gamma if gamma > 0 else None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else "no reason given"
