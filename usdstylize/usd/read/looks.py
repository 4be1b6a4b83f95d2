"""From a bound material to its surface, and to the base colour of that.

This module decides which surface counts; the surface's entry in `shading.surfaces` traces its base colour.
"""

from dataclasses import dataclass, replace

from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError, ObjectError
from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import BaseColor
from usdstylize.model.objects import Surface
from usdstylize.usd.read.bindings import bound_materials, dropped_binding, unbound_purposes
from usdstylize.usd.shading.contexts import only_for_renderers, surface_contexts
from usdstylize.usd.shading.inputs import shader_id
from usdstylize.usd.shading.materialx import mtlx_surface
from usdstylize.usd.shading.mdl import mdl_name, mdl_surface
from usdstylize.usd.shading.primvar_colors import primvar_color
from usdstylize.usd.shading.surfaces import find_surface, known_names, preview_surface

__all__ = ["Look", "trace_look"]

_OUTPUTS: dict[Surface, str] = {"preview": "surface", "mtlx": "mtlx:surface", "mdl": "mdl:surface"}

_UNBOUND: dict[str, str] = {
    UsdShade.Tokens.preview: "Its material is bound for the purpose full alone: final renders show the "
    "style, and viewports what they show of it without a material.",
    UsdShade.Tokens.full: "Its material is bound for the purpose preview alone: viewports show the style, "
    "and final renders what they show of it without a material.",
}
"""By the purpose that has no binding."""


@dataclass(frozen=True)
class Look:
    """The part of a StageObject that comes from its material; the fields are StageObject's."""

    material_path: str | None
    surface: Surface
    surface_path: str | None
    base: BaseColor
    uv_primvar: str | None = None
    """The primvar that the texture's reader names; None where no texture names one."""
    uv_transform: UVTransform | None = None
    notes: tuple[str, ...] = ()
    is_emitted: bool = False


def trace_look(prim: Usd.Prim, time: Usd.TimeCode, faces_left: int = 0) -> Look:
    """The base colour of a mesh or subset, from its material or else from displayColor.

    faces_left: how many faces it keeps where subsets take the others.
    Raises MaterialError or TextureError with the reason of the material that viewports draw.
    """
    materials = bound_materials(prim)
    dropped = dropped_binding(prim)
    failures: list[ObjectError] = []
    for material in materials:
        try:
            look = _trace_material(prim, material, time)
        except ObjectError as error:
            failures.append(error)
            continue
        others = [str(other.GetPath()) for other in materials if other.GetPath() != material.GetPath()]
        if others:
            note = (
                f"Another purpose binds {others[0]}, which is not read: the style takes its place, and the "
                f"variant original shows {material.GetPath()} there."
            )
            look = replace(look, notes=(*look.notes, note))
        for purpose in unbound_purposes(prim):
            look = replace(look, notes=(*look.notes, _UNBOUND[purpose]))
        if dropped:
            shown = f"{dropped}; viewers show {material.GetPath()} instead."
            look = replace(look, notes=(*look.notes, shown))
        return look
    if failures:
        raise failures[0]
    base = primvar_color(prim, "displayColor", time)
    if base is None and dropped:
        raise MaterialError(
            f"{dropped}, and {prim.GetPath()} has no displayColor; move the material below that prim, or "
            "bind it on the stage."
        )
    if base is None and faces_left:
        raise MaterialError(
            f"{prim.GetPath()} has faces in no subset ({faces_left}), and neither a material nor a "
            "displayColor for them; put them into a subset, or bind a material to it."
        )
    if base is None:
        raise MaterialError(
            f"{prim.GetPath()} has neither a material nor a displayColor; "
            "bind a material with a UsdPreviewSurface."
        )
    notes = (f"{dropped}; viewers show its displayColor instead.",) if dropped else ()
    return Look(material_path=None, surface="none", surface_path=None, base=base, notes=notes)


def _trace_material(prim: Usd.Prim, material: UsdShade.Material, time: Usd.TimeCode) -> Look:
    mdl = mdl_surface(material)
    if mdl is not None and _is_alone(material, mdl):
        if find_surface(mdl) is None:
            return _unknown_mdl(prim, material, mdl, time)
        return _trace_surface(prim, material, mdl, "mdl", time)
    if not surface_contexts(material):
        return _without_surface(prim, material, time)
    renderers = only_for_renderers(material)
    if renderers:
        return _only_for_renderers(prim, material, renderers, time)
    live = mtlx_surface(material)
    if live is None:
        return _trace_surface(prim, material, _preview_surface(material), "preview", time)
    try:
        return _trace_surface(prim, material, live, "mtlx", time)
    except ObjectError as error:
        preview = preview_surface(material)
        if preview is None:
            raise
        look = _trace_surface(prim, material, preview, "preview", time)
        note = f"{error} Its UsdPreviewSurface is read instead, and takes the place of its MaterialX surface."
        return replace(look, notes=(*look.notes, note))


def _trace_surface(
    prim: Usd.Prim, material: UsdShade.Material, surface: UsdShade.Shader, kind: Surface, time: Usd.TimeCode
) -> Look:
    """The look that a surface gives. Raises MaterialError where it is unknown, or cannot be written."""
    spec = find_surface(surface)
    is_known = spec is not None and spec.kind == kind
    if spec is None or not is_known or not spec.is_writable:
        reason = "can be read, but not written yet" if is_known else "is not known"
        raise MaterialError(
            f"Material {material.GetPath()} has the surface {surface.GetPath()} ({shader_id(surface)}) on "
            f"outputs:{_OUTPUTS[kind]}, whose base colour {reason}; use {known_names('mtlx')}."
        )
    traced = spec.trace(spec, prim, surface, time)
    return Look(
        material_path=str(material.GetPath()),
        surface=kind,
        surface_path=str(surface.GetPath()),
        base=traced.base,
        uv_primvar=traced.uv_primvar,
        uv_transform=traced.uv_transform,
        notes=traced.notes,
        is_emitted=traced.is_emitted,
    )


def _is_alone(material: UsdShade.Material, mdl: UsdShade.Shader) -> bool:
    """Whether the MDL shader is the only surface that can be read."""
    universal = material.ComputeSurfaceSource()[0]
    return "mtlx" not in surface_contexts(material) and (
        not universal or universal.GetPath() == mdl.GetPath()
    )


def _unknown_mdl(
    prim: Usd.Prim, material: UsdShade.Material, shader: UsdShade.Shader, time: Usd.TimeCode
) -> Look:
    """The displayColor, in place of an MDL that nothing is known of."""
    base = primvar_color(prim, "displayColor", time)
    if base is None:
        raise MaterialError(
            f"Material {material.GetPath()} has the MDL {mdl_name(shader)} only, whose base colour is not "
            f"known, and {prim.GetPath()} has no displayColor; author one, or give it a UsdPreviewSurface."
        )
    path = str(material.GetPath())
    note = f"The MDL {mdl_name(shader)} of {path} is not known, so displayColor is the base."
    return Look(material_path=path, surface="none", surface_path=None, base=base, notes=(note,))


def _without_surface(prim: Usd.Prim, material: UsdShade.Material, time: Usd.TimeCode) -> Look:
    """The displayColor that viewports show for a material that says nothing of a look: of physics, say."""
    base, path = primvar_color(prim, "displayColor", time), str(material.GetPath())
    if base is None:
        raise MaterialError(
            f"Material {path} has no surface, and {prim.GetPath()} has no displayColor; give the material a "
            "UsdPreviewSurface on outputs:surface."
        )
    note = f"Material {path} has no surface, so displayColor is the base."
    return Look(material_path=path, surface="none", surface_path=None, base=base, notes=(note,))


def _only_for_renderers(
    prim: Usd.Prim, material: UsdShade.Material, contexts: list[str], time: Usd.TimeCode
) -> Look:
    """The displayColor that viewports show for a material which only renderers of its own can read.

    Raises MaterialError where there is none, or Storm alone shows a surface: its own context is older than
    the universal one.
    """
    surface, _, _ = material.ComputeSurfaceSource("glslfx")
    if "glslfx" in contexts and find_surface(surface) is not None:
        raise MaterialError(
            f"Material {material.GetPath()} has its {shader_id(surface)} on outputs:glslfx:surface, which "
            "Storm alone reads; connect it to outputs:surface."
        )
    path, named = material.GetPath(), " and ".join(f"outputs:{context}:surface" for context in contexts)
    base = primvar_color(prim, "displayColor", time)
    if base is None:
        raise MaterialError(
            f"Material {path} has a surface on {named} only, whose base colour cannot be read, and "
            f"{prim.GetPath()} has no displayColor; author one, or give the material a UsdPreviewSurface."
        )
    note = f"Material {path} has a surface on {named} only, so displayColor is the base."
    return Look(material_path=str(path), surface="none", surface_path=None, base=base, notes=(note,))


def _preview_surface(material: UsdShade.Material) -> UsdShade.Shader:
    """Raises MaterialError that names what the material has instead, where it has no UsdPreviewSurface."""
    preview = preview_surface(material)
    if preview is not None:
        return preview
    surface, _, _ = material.ComputeSurfaceSource()
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
