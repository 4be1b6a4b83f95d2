"""New UVs for a mesh that has none: a primvar in the style layer."""

import numpy as np
from pxr import Sdf, UsdGeom, Vt

from usdstylize.errors import MeshError
from usdstylize.model.objects import NewUVs, StageObject
from usdstylize.usd.write.specs import prim_spec

__all__ = ["write_uvs"]


def write_uvs(layer: Sdf.Layer, place: Sdf.Path, source: StageObject, uvs: NewUVs, *, shared: bool) -> None:
    """Write the primvar that ``source`` reads on the mesh ``place``, faceVarying and indexed.

    shared: another style of the object is in the layer already.
    Raises MeshError where that style reads other values.
    """
    name = f"primvars:{source.uv_primvar}"
    spec = prim_spec(layer, place)
    values, indices = (
        _attribute(spec, name, Sdf.ValueTypeNames.TexCoord2fArray),
        _attribute(spec, f"{name}:indices", Sdf.ValueTypeNames.IntArray),
    )
    written = Vt.Vec2fArray.FromNumpy(uvs.values), Vt.IntArray.FromNumpy(uvs.indices)
    before = values.default, indices.default
    kept = shared and None not in before
    if kept and not _close(before, uvs):
        raise MeshError(
            f"{source.path} was unwrapped in another way for an earlier style of this result (by another "
            "xatlas, or before its points changed); write to another --output."
        )
    if not kept:
        values.SetInfo("interpolation", UsdGeom.Tokens.faceVarying)
        values.default, indices.default = written


def _attribute(spec: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName) -> Sdf.AttributeSpec:
    return spec.attributes.get(name) or Sdf.AttributeSpec(spec, name, type_name)


def _close(before: tuple[Vt.Vec2fArray, Vt.IntArray], uvs: NewUVs) -> bool:
    """Whether every face corner keeps its UV, but for what the text of a layer rounds away."""
    values, indices = np.array(before[0]).reshape(-1, 2), np.array(before[1])
    if indices.shape != uvs.indices.shape or indices.max(initial=0) >= len(values):
        return False
    return bool(np.abs(values[indices] - uvs.values[uvs.indices]).max(initial=0.0) < 1e-5)
