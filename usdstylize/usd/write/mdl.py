"""The source's MDL surface in the style: its albedo map becomes the bake, or it is switched off."""

from typing import Any

import numpy as np
from pxr import Sdf, Usd, UsdShade

from usdstylize.errors import ObjectError
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.color_uses import kept_remark
from usdstylize.usd.shading.mdl import map_file, mdl_name, mdl_surface, same_mapping
from usdstylize.usd.shading.surface_spec import SurfaceSpec
from usdstylize.usd.shading.surfaces import find_surface
from usdstylize.usd.write.specs import below, prim_spec

__all__ = ["write_mdl"]

_Types = Sdf.ValueTypeNames


def write_mdl(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    material: UsdShade.Material,
    source: StageObject,
    baked: str | None,
    baked_is_linear: bool,
    time: Usd.TimeCode,
) -> tuple[bool, list[str]]:
    """Point the source's MDL at the bake; returns whether the MDL shows it, and remarks.

    Where it is False, the MDL would show the source, and must be blocked.
    """
    shader = mdl_surface(material)
    if shader is None:
        return False, []
    spec = find_surface(shader)
    reason = _why_not(shader, spec, material, source, time)
    if reason or spec is None:
        return False, [
            f"The MDL {mdl_name(shader)} of {material.GetPath()} {reason}, so it is switched off in the "
            "style, and our networks show instead."
        ]
    if baked is None:
        return False, [f"The MDL of {material.GetPath()} is switched off in the style, as nothing is baked."]
    over = prim_spec(layer, below(variant.path, shader.GetPath().MakeRelativePath(material.GetPath())))
    names, remarks = _maps(shader, spec, source, time)
    for name in names:
        texture = _plain(over, name, _Types.Asset, Sdf.AssetPath(baked))
        texture.SetInfo("colorSpace", "raw" if baked_is_linear else "sRGB")
    for name, neutral in spec.neutral.items() if not source.is_emitted else ():
        item = shader.GetInput(name)
        if item:
            fits = np.shape(item.GetTypeName().defaultValue) == np.shape(neutral)
            usual = _Types.Color3f if isinstance(neutral, tuple) else _Types.Float
            _plain(over, name, item.GetTypeName() if fits else usual, neutral)
    return True, remarks


def _maps(
    shader: UsdShade.Shader, spec: SurfaceSpec, source: StageObject, time: Usd.TimeCode
) -> tuple[list[str], list[str]]:
    """The maps that show the bake: that of T, and those that read its image as T does; and remarks."""
    main = spec.input_of(source)
    names, remarks = [main], []
    own = source.base if isinstance(source.base, TextureFile) else None
    for name in (spec.color, *spec.colors):
        found = None if name in names or own is None else map_file(shader, name, time)
        if found is None or own is None or found.resolved_path != own.resolved_path:
            continue
        if found.transfer == own.transfer:
            names.append(name)
        else:
            remarks.append(kept_remark(shader, name, main))
    return names, remarks


def _why_not(
    shader: UsdShade.Shader,
    spec: SurfaceSpec | None,
    material: UsdShade.Material,
    source: StageObject,
    time: Usd.TimeCode,
) -> str:
    """What keeps an MDL from showing the bake; empty where nothing does."""
    if spec is None:
        return "is not known"
    if not shader.GetPath().HasPrefix(material.GetPath()):
        return "lies outside of its material"
    prim = material.GetPrim().GetStage().GetPrimAtPath(source.mesh_path)
    try:
        same = same_mapping(prim, shader, time, source.uv_primvar, source.uv_transform)
    except ObjectError as problem:
        return f"cannot take the bake ({str(problem).rstrip('.')})"
    return "" if same else "reads its textures at other UVs than the surface that was stylised"


def _plain(spec: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, value: Any) -> Sdf.AttributeSpec:
    """An input with a value and explicitly no connection: one in the source would be stronger than it."""
    attribute = Sdf.AttributeSpec(spec, f"inputs:{name}", type_name)
    attribute.default = value
    attribute.connectionPathList.ClearEditsAndMakeExplicit()
    return attribute
