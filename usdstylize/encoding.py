"""sRGB encoding and decoding of NumPy arrays, exact (IEC 61966-2-1, piecewise).

Values outside 0..1 pass through the same curve, mirrored about the origin for negative ones,
so that both functions are monotonic everywhere and undo each other.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["linear_to_srgb", "srgb_to_linear"]


def srgb_to_linear(encoded: ArrayLike) -> NDArray[np.float32]:
    """Linear Rec.709 of sRGB-encoded values; any shape in, the same shape out, float32."""
    signed = np.asarray(encoded, dtype=np.float64)
    size = np.abs(signed)
    linear = np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)
    return np.copysign(linear, signed).astype(np.float32)


def linear_to_srgb(linear: ArrayLike) -> NDArray[np.float32]:
    """sRGB-encoded values of linear Rec.709; any shape in, the same shape out, float32."""
    signed = np.asarray(linear, dtype=np.float64)
    size = np.abs(signed)
    encoded = np.where(size <= 0.0031308, size * 12.92, 1.055 * size ** (1 / 2.4) - 0.055)
    return np.copysign(encoded, signed).astype(np.float32)
