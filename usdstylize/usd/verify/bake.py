"""Does the preview network show the bake where the source shows its texture?"""

from collections.abc import Iterator

import numpy as np
from pxr import Usd, UsdShade

from usdstylize.model.objects import StageObject
from usdstylize.usd.io.primvars import transform_uvs
from usdstylize.usd.shading.inputs import input_value
from usdstylize.usd.shading.textures import read_uv_source

__all__ = ["misplaced"]

_PROBES = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
"""UVs; an affine map that moves none of them is the same everywhere."""


def misplaced(texture: UsdShade.Shader, obj: StageObject) -> Iterator[str]:
    """A sentence for each way in which the UsdUVTexture of the bake reads other UVs than T does.

    Raises MaterialError where its ``st`` cannot be followed.
    """
    now = Usd.TimeCode.EarliestTime()
    primvar, transform = read_uv_source(texture, now)
    if primvar != obj.uv_primvar:
        yield f"It reads primvars:{primvar} instead of primvars:{obj.uv_primvar}; run again with --force."
    places = transform_uvs(_PROBES, transform)
    if not np.allclose(places, transform_uvs(_PROBES, obj.uv_transform), rtol=1e-5, atol=1e-5):
        yield "It transforms its UVs otherwise than the source does; run again with --force."
    wrap = tuple(str(input_value(texture, name, now)) for name in ("wrapS", "wrapT"))
    if wrap != obj.wrap:
        expected = " and ".join(obj.wrap)
        yield f"It wraps by {' and '.join(wrap)} instead of {expected}; run again with --force."
