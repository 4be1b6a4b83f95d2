"""From a bound material to the base colour: which texture, constant or primvar it is.

Connections are followed through node graphs and interface inputs by UsdShade itself; what
stands between the surface and its texture that we cannot reproduce is named in an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError, ObjectError
from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import BaseColor, ConstantColor, DisplayColor
from usdstylize.model.objects import Surface
from usdstylize.usd.io.colorspaces import linear_rec709
from usdstylize.usd.io.primvars import find_primvar
from usdstylize.usd.read.bindings import bound_materials
from usdstylize.usd.shading.contexts import only_for_renderers, surface_contexts
from usdstylize.usd.shading.inputs import frozen, input_value, numbers, producer, producing_shader, shader_id
from usdstylize.usd.shading.materialx import BASE_INPUTS, constant_primvars, surface_of, trace_color
from usdstylize.usd.shading.mdl import is_omnipbr, mdl_name, mdl_surface, trace_omnipbr
from usdstylize.usd.shading.textures import read_texture, read_uv_source

__all__ = ["Look", "trace_look"]

_DEFAULT_DIFFUSE = (0.18, 0.18, 0.18)
"""UsdPreviewSurface's own default, linear."""


@dataclass(frozen=True)
class Look:
    """What a StageObject says of its material; the fields are StageObject's."""

    material_path: str | None
    surface: Surface
    surface_path: str | None
    base: BaseColor
    uv_primvar: str | None = None
    """The primvar that the texture's reader names; None where no texture asks."""
    uv_transform: UVTransform | None = None
    notes: tuple[str, ...] = ()


def trace_look(prim: Usd.Prim, time: Usd.TimeCode) -> Look:
    """The base colour of a mesh or subset, from its material or else from displayColor.

    Raises MaterialError or TextureError with the reason of the material that viewports draw.
    """
    materials = bound_materials(prim)
    failures: list[ObjectError] = []
    for material in materials:
        try:
            look = _trace_material(prim, material, time)
        except ObjectError as error:
            failures.append(error)
            continue
        others = [str(other.GetPath()) for other in materials if other.GetPath() != material.GetPath()]
        if others:
            look = replace(
                look, notes=(*look.notes, f"Another purpose binds {others[0]}, which is not read.")
            )
        return look
    if failures:
        raise failures[0]
    base = _primvar_color(prim, "displayColor", time)
    if base is None:
        raise MaterialError(
            f"{prim.GetPath()} has neither a material nor a displayColor; "
            "bind a material with a UsdPreviewSurface."
        )
    return Look(material_path=None, surface="none", surface_path=None, base=base)


def _trace_material(prim: Usd.Prim, material: UsdShade.Material, time: Usd.TimeCode) -> Look:
    mdl = mdl_surface(material)
    if mdl is not None and _is_alone(material, mdl):
        return _trace_mdl(prim, material, mdl, time)
    renderers = only_for_renderers(material)
    if renderers:
        return _shown_in_viewports(prim, material, renderers, time)
    live = surface_of(material)
    if live is None:
        return _trace_preview(prim, material, time)
    try:
        return _trace_mtlx(prim, material, live, time)
    except ObjectError as error:
        preview, _, _ = material.ComputeSurfaceSource()
        if not preview or shader_id(preview) != "UsdPreviewSurface":
            raise
        look = _trace_preview(prim, material, time)
        note = f"{error} Its UsdPreviewSurface is read instead, and takes the place of its MaterialX surface."
        return replace(look, notes=(*look.notes, note))


def _trace_mtlx(
    prim: Usd.Prim, material: UsdShade.Material, surface: UsdShade.Shader, time: Usd.TimeCode
) -> Look:
    path, identifier = material.GetPath(), shader_id(surface)
    if identifier not in BASE_INPUTS:
        raise MaterialError(
            f"Material {path} has the surface {surface.GetPath()} ({identifier}) on outputs:mtlx:surface, "
            "whose base colour is not known; use standard_surface, open_pbr_surface, gltf_pbr or "
            "UsdPreviewSurface."
        )
    traced = trace_color(surface, time, constant_primvars(prim, time))
    base, notes = traced.base, traced.notes
    if isinstance(base, str):
        found = _primvar_color(prim, base, time)
        if found is None:
            raise MaterialError(
                f"Shader {surface.GetPath()} takes its base colour from primvars:{base}, which "
                f"{prim.GetPath()} does not have; author it."
            )
        base = found
    weight = BASE_INPUTS[identifier].weight
    given = None if weight is None else producer(surface, weight)
    if given is not None and (producing_shader(given) is not None or given.Get(time) != 1.0):
        notes += (f"{surface.GetPath()} scales its base colour by inputs:{weight}, the stylised one too.",)
    return Look(
        material_path=str(path),
        surface="mtlx",
        surface_path=str(surface.GetPath()),
        base=base,
        uv_primvar=traced.uv_primvar,
        uv_transform=traced.uv_transform,
        notes=notes,
    )


def _trace_preview(prim: Usd.Prim, material: UsdShade.Material, time: Usd.TimeCode) -> Look:
    surface = _preview_surface(material)
    look = Look(
        material_path=str(material.GetPath()),
        surface="preview",
        surface_path=str(surface.GetPath()),
        base=ConstantColor(_DEFAULT_DIFFUSE),
    )
    attribute = producer(surface, "diffuseColor")
    node = None if attribute is None else producing_shader(attribute)
    if attribute is None or node is None:
        value = numbers(surface, "diffuseColor", time, _DEFAULT_DIFFUSE)
        constant = _constant(value, attribute)
        return replace(look, base=constant, notes=frozen(surface, "diffuseColor"))
    match shader_id(node):
        case "UsdUVTexture":
            if attribute.GetName() != "outputs:rgb":
                raise MaterialError(
                    f"Shader {surface.GetPath()} takes its diffuseColor from {attribute.GetPath()}; "
                    "connect the texture's outputs:rgb."
                )
            base, notes = read_texture(node, time)
            if isinstance(base, ConstantColor):
                return replace(look, base=base, notes=notes)
            primvar, transform = read_uv_source(node, time)
            return replace(look, base=base, uv_primvar=primvar, uv_transform=transform, notes=notes)
        case "UsdPrimvarReader_float3":
            return replace(look, base=_read_color(prim, node, time))
        case other:
            raise MaterialError(
                f"Shader {surface.GetPath()} takes its diffuseColor from {node.GetPath()} ({other}), "
                "which is not supported; connect a UsdUVTexture, a UsdPrimvarReader_float3 or a value."
            )


def _is_alone(material: UsdShade.Material, mdl: UsdShade.Shader) -> bool:
    """Whether the MDL shader is the only surface that can be read."""
    universal = material.ComputeSurfaceSource()[0]
    return "mtlx" not in surface_contexts(material) and (
        not universal or universal.GetPath() == mdl.GetPath()
    )


def _trace_mdl(
    prim: Usd.Prim, material: UsdShade.Material, shader: UsdShade.Shader, time: Usd.TimeCode
) -> Look:
    if is_omnipbr(shader):
        found = trace_omnipbr(prim, shader, time)
        return Look(
            material_path=str(material.GetPath()),
            surface="mdl",
            surface_path=str(shader.GetPath()),
            base=found.base,
            uv_primvar=found.uv_primvar,
            uv_transform=found.uv_transform,
            notes=found.notes,
        )
    base = _primvar_color(prim, "displayColor", time)
    if base is None:
        raise MaterialError(
            f"Material {material.GetPath()} has the MDL {mdl_name(shader)} only, whose base colour is not "
            f"known, and {prim.GetPath()} has no displayColor; author one, or give it a UsdPreviewSurface."
        )
    path = str(material.GetPath())
    note = f"The MDL {mdl_name(shader)} of {path} is not known, so displayColor is the base."
    return Look(material_path=path, surface="none", surface_path=None, base=base, notes=(note,))


def _shown_in_viewports(
    prim: Usd.Prim, material: UsdShade.Material, contexts: list[str], time: Usd.TimeCode
) -> Look:
    """The displayColor that viewports show for a material which only renderers of its own can read."""
    path, named = material.GetPath(), " and ".join(f"outputs:{context}:surface" for context in contexts)
    base = _primvar_color(prim, "displayColor", time)
    if base is None:
        raise MaterialError(
            f"Material {path} has a surface on {named} only, whose base colour cannot be read, and "
            f"{prim.GetPath()} has no displayColor; author one, or give the material a UsdPreviewSurface."
        )
    note = f"Material {path} has a surface on {named} only, so displayColor is the base."
    return Look(material_path=str(path), surface="none", surface_path=None, base=base, notes=(note,))


def _preview_surface(material: UsdShade.Material) -> UsdShade.Shader:
    surface, _, _ = material.ComputeSurfaceSource()
    if surface and shader_id(surface) == "UsdPreviewSurface":
        return surface
    path = material.GetPath()
    if surface:
        raise MaterialError(
            f"Material {path} has the surface {surface.GetPath()} ({shader_id(surface)}), "
            "which is not supported yet; give it a UsdPreviewSurface on outputs:surface."
        )
    outputs = [output for output in material.GetSurfaceOutputs() if output.HasConnectedSource()]
    for output in outputs:
        if output.GetFullName() != "outputs:surface":
            raise MaterialError(
                f"Material {path} has a surface on {output.GetFullName()} only, which is not supported yet; "
                "give it a UsdPreviewSurface on outputs:surface."
            )
    if material.GetSurfaceOutput().GetAttr().HasAuthoredConnections():
        raise MaterialError(
            f"Material {path} has an outputs:surface that is cyclic or leads nowhere; reconnect it."
        )
    raise MaterialError(f"Material {path} has no surface; give it a UsdPreviewSurface on outputs:surface.")


def _read_color(prim: Usd.Prim, reader: UsdShade.Shader, time: Usd.TimeCode) -> BaseColor:
    name = str(input_value(reader, "varname", time, ""))
    base = _primvar_color(prim, name.removeprefix("primvars:"), time) if name else None
    if base is not None:
        return base
    fallback = input_value(reader, "fallback", time)
    if fallback is None:
        raise MaterialError(
            f"Primvar reader {reader.GetPath()} reads primvars:{name}, which {prim.GetPath()} "
            "does not have; author it."
        )
    return _constant(numbers(reader, "fallback", time, (0.0, 0.0, 0.0)), producer(reader, "fallback"))


def _primvar_color(prim: Usd.Prim, name: str, time: Usd.TimeCode) -> BaseColor | None:
    """The colour that a primvar gives a mesh or subset; None where there is no such primvar."""
    primvar = find_primvar(prim, name)
    if primvar is None:
        return None
    if primvar.GetInterpolation() != "constant":
        linear_rec709(np.zeros(3), primvar.GetAttr())  # an unknown space is told now rather than later
        return DisplayColor(interpolation=str(primvar.GetInterpolation()), primvar=name)
    values = np.asarray(primvar.ComputeFlattened(time))
    if values.shape != (1, 3) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise MaterialError(
            f"{prim.GetPath()} has constant primvars:{name} that is not one colour; "
            "author one, or its interpolation."
        )
    return _constant(values[0].tolist(), primvar.GetAttr())


def _constant(value: Sequence[float], attribute: Usd.Attribute | None) -> ConstantColor:
    """``attribute`` holds the value; None where it is a default."""
    if attribute is not None:
        value = linear_rec709(np.array(value), attribute).tolist()
    red, green, blue = value
    return ConstantColor((red, green, blue))
