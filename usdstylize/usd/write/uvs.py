"""UVs that the source lacks: a new primvar in the style layer, or readers that name those which are there."""

import numpy as np
from pxr import Sdf, Usd, UsdGeom, UsdShade, Vt

from usdstylize.errors import MaterialError, MeshError
from usdstylize.model.objects import NewUVs, StageObject
from usdstylize.usd.shading.inputs import input_value, producer, shader_id
from usdstylize.usd.shading.placement import DEFAULT_UVS, UV_READERS
from usdstylize.usd.write.specs import add_input, add_output, below, free_name, prim_spec

__all__ = ["rename_uvs", "write_uvs"]

_Types = Sdf.ValueTypeNames
_PLACED = ("ND_image_", "ND_tiledimage_", "ND_gltf_", "ND_place2d_", "ND_ramplr_", "ND_ramptb_")
"""Nodes that read `DEFAULT_UVS` where nothing feeds their ``texcoord``."""


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


def rename_uvs(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    material: UsdShade.Material,
    source: StageObject,
    time: Usd.TimeCode,
) -> None:
    """Let every reader of ``source.uv_asked`` read ``source.uv_primvar``, in this variant alone.

    variant: of our Material, which references ``material``, the source's. Raises MaterialError where a
    reader's name is no text.
    """
    own = material.GetPath()

    def here(path: Sdf.Path) -> Sdf.Path:
        return below(variant.path, path.MakeRelativePath(own)) if path != own else variant.path

    for prim in Usd.PrimRange(material.GetPrim(), Usd.TraverseInstanceProxies()):
        node, path = UsdShade.Shader(prim), prim.GetPath()
        identifier = shader_id(node) if node else ""
        if identifier in UV_READERS:
            attribute = producer(node, UV_READERS[identifier])
            name = str(input_value(node, UV_READERS[identifier], time, "")).removeprefix("primvars:")
            if attribute is not None and name == source.uv_asked:
                if attribute.GetTypeName() not in (_Types.String, _Types.Token):
                    raise MaterialError(
                        f"{attribute.GetPath()} is a {attribute.GetTypeName()}, which names no primvar; "
                        "author a string."
                    )
                # Where an interface names them, it is the interface that changes.
                spec = prim_spec(layer, here(attribute.GetPrim().GetPath()))
                key = attribute.GetName().removeprefix("inputs:")
                add_input(spec, key, attribute.GetTypeName(), source.uv_primvar)
        elif source.uv_asked != DEFAULT_UVS:
            continue
        elif identifier == "ND_texcoord_vector2":
            _read_by_name(prim_spec(layer, here(path)), source.uv_primvar)
        elif identifier.startswith(_PLACED) and producer(node, "texcoord") is None:
            siblings = {child.GetName() for child in prim.GetParent().GetAllChildren()}
            place = here(path).GetParentPath().AppendChild(free_name("StylizedUVs", siblings))
            reader = prim_spec(layer, place, "Shader", Sdf.SpecifierDef)
            out = _read_by_name(reader, source.uv_primvar)
            add_input(prim_spec(layer, here(path)), "texcoord", _Types.Float2, out)


def _read_by_name(spec: Sdf.PrimSpec, name: str) -> Sdf.Path:
    """Make a shader a reader of the primvar; returns its output."""
    info = spec.attributes.get("info:id") or Sdf.AttributeSpec(
        spec, "info:id", _Types.Token, Sdf.VariabilityUniform
    )
    info.default = "ND_geompropvalue_vector2"
    add_input(spec, "geomprop", _Types.String, name)
    return add_output(spec, "out", _Types.Float2)


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
