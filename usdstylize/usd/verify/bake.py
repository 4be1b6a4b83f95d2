"""Does the preview network show the bake where the source shows its texture?"""

from collections.abc import Iterator

from pxr import Usd, UsdShade

from usdstylize.model.affine_uvs import same_uvs
from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.inputs import input_value
from usdstylize.usd.shading.textures import read_uv_source

__all__ = ["misplaced"]


def misplaced(texture: UsdShade.Shader, obj: StageObject) -> Iterator[str]:
    """A sentence for each way in which the UsdUVTexture of the bake reads other UVs than T does.

    Raises MaterialError where its ``st`` cannot be followed.
    """
    now = Usd.TimeCode.EarliestTime()
    primvar, transform = read_uv_source(texture, now)
    if primvar != obj.uv_primvar:
        yield f"It reads primvars:{primvar} instead of primvars:{obj.uv_primvar}; run again with --force."
    if not same_uvs(transform, obj.uv_transform):
        yield "It transforms its UVs otherwise than the source does; run again with --force."
    wrap = tuple(str(input_value(texture, name, now)) for name in ("wrapS", "wrapT"))
    if wrap != obj.wrap:
        expected = " and ".join(obj.wrap)
        yield f"It wraps by {' and '.join(wrap)} instead of {expected}; run again with --force."
