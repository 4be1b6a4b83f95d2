"""The base colour of an object as the tests compare it."""

import numpy as np
from numpy.typing import NDArray

from usdstylize.imaging.encoding import encode_base
from usdstylize.model.objects import ObjectData


def encoded_bases(data: ObjectData) -> tuple[NDArray[np.float32], ...]:
    """T at its own texels, each (H, W, 3) float32, sRGB-encoded, row 0 the top."""
    return tuple(encode_base(base, data.transfer) for base in data.bases)
