"""New UVs for a mesh that has none: a primvar in the style layer."""

import numpy as np
from pxr import Sdf, UsdGeom, Vt

from usdstylize.errors import MeshError
from usdstylize.model.objects import NewUVs, StageObject
from usdstylize.usd.write.specs import prim_spec

__all__ = ["write_uvs"]


def write_uvs(
    layer: Sdf.Layer, place: Sdf.Path, source: StageObject, uvs: NewUVs, earlier: Sdf.Layer | None = None
) -> None:
    """Write the primvar that ``source`` reads on the mesh ``place``, faceVarying and indexed.

    earlier: the layer with another style of the object, whose primvar stays as it is.
    Raises MeshError where that style reads other values.
    """
    name = f"primvars:{source.uv_primvar}"
    before = _earlier(earlier, place, name)
    if before is None:
        spec = prim_spec(layer, place)
        values = _attribute(spec, name, Sdf.ValueTypeNames.TexCoord2fArray)
        values.SetInfo("interpolation", UsdGeom.Tokens.faceVarying)
        values.default = Vt.Vec2fArray.FromNumpy(uvs.values)
        indices = _attribute(spec, f"{name}:indices", Sdf.ValueTypeNames.IntArray)
        indices.default = Vt.IntArray.FromNumpy(uvs.indices)
    elif not _close(before, uvs):
        raise MeshError(
            f"{source.path} was unwrapped in another way for an earlier style of this result (by another "
            "xatlas, or before its points changed); write to another --output."
        )


def _earlier(layer: Sdf.Layer | None, place: Sdf.Path, name: str) -> tuple[Vt.Vec2fArray, Vt.IntArray] | None:
    """The values and indices of the primvar in a layer; None where it has not both."""
    found = [
        layer.GetAttributeAtPath(place.AppendProperty(each)) if layer else None
        for each in (name, f"{name}:indices")
    ]
    values, indices = (spec.default if spec else None for spec in found)
    return None if values is None or indices is None else (values, indices)


def _attribute(spec: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName) -> Sdf.AttributeSpec:
    return spec.attributes.get(name) or Sdf.AttributeSpec(spec, name, type_name)


def _close(before: tuple[Vt.Vec2fArray, Vt.IntArray], uvs: NewUVs) -> bool:
    """Whether every face corner keeps its UV, up to the rounding of a layer's text."""
    values, indices = np.array(before[0]).reshape(-1, 2), np.array(before[1])
    if indices.shape != uvs.indices.shape or indices.max(initial=0) >= len(values):
        return False
    return bool(np.abs(values[indices] - uvs.values[uvs.indices]).max(initial=0.0) < 1e-5)
