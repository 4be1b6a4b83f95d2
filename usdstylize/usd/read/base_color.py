"""The values of a texture as viewers filter them: what the file holds, in a space that USD knows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usdstylize.errors import TextureError
from usdstylize.imaging import gutters
from usdstylize.model.base_colors import TextureFile
from usdstylize.usd.io.colorspaces import to_linear
from usdstylize.usd.io.images import MAX_CODE, read_codes

__all__ = ["read_base_color"]

Float32 = NDArray[np.float32]

_VALUES_AT_ONCE = 1 << 18
"""So many values at once stay in a core's cache, and no step copies a whole texture."""
_REPAIRABLE = 0.5
"""Share of texels without a finite value beyond which a texture is called broken."""
_NO_NUMBER = np.uint16(0x7C00)
"""The exponent of a half float that is NaN or infinite."""


_LARGEST = 1e10
"""Largest float texel that is accepted: a larger one is a fault, and would overflow when decoded."""


def read_base_color(texture: TextureFile, file: str) -> tuple[Float32, str]:
    """(H, W, 3) float32, row 0 is the top; and what had to be repaired, if anything.

    Code values in ``texture.encoding``, or linear Rec.709 where the texture has a named colour space.
    Scale and bias are not applied (see `TextureFile.transfer`); alpha is ignored. file: the texture's
    own, or that of one of its tiles. Raises TextureError where it cannot be decoded or converted, or has
    too many NaN.
    """
    # One channel is grey, two are grey and alpha: USD repeats the first.
    codes, repaired = _repaired(read_codes(file), texture, file)
    space = texture.color_space
    convert = _values if space is None else lambda piece: to_linear(_values(piece), space)
    return _by_pieces(codes, convert), repaired


def _values(codes: NDArray[Any]) -> Float32:
    values = codes.astype(np.float32)
    if str(codes.dtype) in MAX_CODE:
        values /= np.float32(MAX_CODE[str(codes.dtype)])
    return values


def _by_pieces(codes: NDArray[Any], convert: Callable[[NDArray[Any]], Float32]) -> Float32:
    """``convert`` of (rows, W, 3) pieces, grey made three channels."""
    image = np.empty((*codes.shape[:2], 3), dtype=np.float32)
    rows = max(1, _VALUES_AT_ONCE // image[0].size)
    for start in range(0, len(image), rows):
        piece = codes[start : start + rows]
        image[start : start + rows] = convert(piece.repeat(3, axis=2) if piece.shape[2] == 1 else piece)
    return image


def _repaired(codes: NDArray[Any], texture: TextureFile, file: str) -> tuple[NDArray[Any], str]:
    """NaN and infinities (and what is as good as that) filled from the nearest texel that has a
    number, and a remark on it.
    """
    if codes.dtype not in (np.float16, np.float32):
        return codes, ""
    broken = np.empty(codes.shape[:2], dtype=bool)
    rows = max(1, _VALUES_AT_ONCE // codes[0].size)
    for start in range(0, len(codes), rows):
        piece = codes[start : start + rows]
        if codes.dtype == np.float16:
            odd = (piece.view(np.uint16) & _NO_NUMBER) == _NO_NUMBER
        else:
            with np.errstate(invalid="ignore"):
                odd = ~(np.abs(piece) < _LARGEST)
        broken[start : start + rows] = odd.any(axis=-1)
    count = int(broken.sum())
    if not count:
        return codes, ""
    if count > _REPAIRABLE * broken.size:
        raise TextureError(
            f"Texture {file} holds NaN or infinite values in {count} of {broken.size} texels; "
            "export it again."
        )
    values = np.where(broken[..., None], np.float32(0), codes.astype(np.float32))
    filled = gutters.dilate(values, ~broken, (texture.wrap_s, texture.wrap_t)).astype(codes.dtype)
    return filled, f"{file} holds {count} texels of NaN or infinity, filled from their neighbours."
