"""sRGB encoding and decoding of NumPy arrays, exact (IEC 61966-2-1, piecewise).

Values outside 0..1 pass through the same curve, mirrored about the origin for negative ones,
so that both functions are monotonic everywhere and undo each other.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from usdstylize.model.base_colors import Transfer

__all__ = ["LUMINANCE", "encode_base", "linear_to_srgb", "srgb_to_linear"]

Float32 = NDArray[np.float32]

LUMINANCE = (0.212671, 0.715160, 0.072169)
"""Shares of linear Rec.709 in its luminance, to the digits that MDL's math::luminance has."""

_AT_ONCE = 1 << 14
"""Values computed at a time: few enough that a formula's intermediate results stay in a core's cache."""


def srgb_to_linear(encoded: ArrayLike) -> Float32:
    """Linear Rec.709 of sRGB-encoded values; any shape in, the same shape out, float32."""
    return _by_pieces(_decode, encoded)


def linear_to_srgb(linear: ArrayLike) -> Float32:
    """sRGB-encoded values of linear Rec.709; any shape in, the same shape out, float32."""
    return _by_pieces(_encode, linear)


def encode_base(values: Float32, transfer: Transfer) -> Float32:
    """T, (..., 3) sRGB-encoded, of a texture's filtered values (..., 3)."""
    if transfer.is_plain:
        return values
    linear = srgb_to_linear(values) if transfer.encoding == "srgb" else values
    if transfer.desaturation:
        grey = linear @ np.array(LUMINANCE, np.float32)
        linear = linear + np.float32(transfer.desaturation) * (grey[..., None] - linear)
    if transfer.is_scaled:
        linear = linear * np.array(transfer.scale, np.float32) + np.array(transfer.bias, np.float32)
    return linear_to_srgb(np.maximum(linear, 0.0))


def _decode(size: Float32) -> Float32:
    curve: Float32 = ((size + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(size <= np.float32(0.04045), size / np.float32(12.92), curve)


def _encode(size: Float32) -> Float32:
    curve: Float32 = np.float32(1.055) * size ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(size <= np.float32(0.0031308), size * np.float32(12.92), curve)


def _by_pieces(curve: Callable[[Float32], Float32], values: ArrayLike) -> Float32:
    """``curve`` of the absolute values, with their signs."""
    signed = np.ascontiguousarray(values, dtype=np.float32)
    result = np.empty_like(signed)
    flat, into = signed.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):
        piece = flat[start : start + _AT_ONCE]
        np.copysign(curve(np.abs(piece)), piece, out=into[start : start + _AT_ONCE])
    return result.reshape(np.shape(values))
