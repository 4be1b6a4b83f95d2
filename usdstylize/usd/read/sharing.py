"""Which instances of one prototype look the same, and so can share objects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pxr import Sdf, Tf, Usd, UsdGeom, UsdShade

from usdstylize.usd.read.walk import ALL_DEFINED
from usdstylize.usd.shading.contexts import only_for_renderers
from usdstylize.usd.shading.inputs import shader_id
from usdstylize.usd.shading.mdl import mdl_surface
from usdstylize.usd.shading.surfaces import find_surface

__all__ = ["Occurrence", "by_look"]

_PURPOSES = (UsdShade.Tokens.preview, UsdShade.Tokens.full)
_DISPLAY = {"displayColor", "displayOpacity"}
"""Primvars of what has no material."""


@dataclass(frozen=True, eq=False)
class Occurrence:
    """One use of a prototype.

    prim: an instance of the stage, or an instance proxy within another prototype's first instance.
    outermost: the instances of the stage that contain this use, in stage order, the one with ``prim``
        first.
    """

    prim: Usd.Prim
    outermost: tuple[str, ...]


def by_look(occurrences: Sequence[Occurrence], time: Usd.TimeCode) -> list[list[Occurrence]]:
    """The occurrences of one prototype, in lists of those that look the same; order is kept.

    Bindings, primvars and settings (StylizeAPI) on an instance or above reach into it, so instances
    of one prototype may differ in them.
    """
    drawn = _drawn_prims(occurrences[0].prim)
    readable = _primvars_read(occurrences[0].prim, drawn)
    chains: dict[Sdf.Path, tuple[Any, ...]] = {}
    alike: dict[tuple[Any, ...], list[int]] = {}
    for number, occurrence in enumerate(occurrences):
        alike.setdefault(_chain(occurrence.prim, readable, time, chains), []).append(number)
    same: dict[tuple[Any, ...], list[int]] = {}
    for signature, numbers in alike.items():
        by_collection = any(":collection:" in entry[0] for entry in signature)
        if len(alike) == 1 and not by_collection:
            return [list(occurrences)]
        # A collection includes some paths and not others, so each instance is resolved for itself.
        for some in [[number] for number in numbers] if by_collection else [numbers]:
            materials = _materials(occurrences[some[0]].prim, drawn)
            values = tuple(entry for entry in signature if not entry[0].startswith("material:"))
            same.setdefault((materials, values), []).extend(some)
    return [[occurrences[number] for number in sorted(numbers)] for numbers in same.values()]


def _chain(
    prim: Usd.Prim, readable: frozenset[str], time: Usd.TimeCode, known: dict[Sdf.Path, tuple[Any, ...]]
) -> tuple[Any, ...]:
    """Bindings, settings and primvars on the prim and above, nearest first."""
    if not prim or prim.IsPseudoRoot():
        return ()
    path = prim.GetPath()
    if path not in known:
        above = _chain(prim.GetParent(), readable, time, known)
        known[path] = (*_entries(prim, readable, time), *above)
    return known[path]


def _entries(prim: Usd.Prim, readable: frozenset[str], time: Usd.TimeCode) -> Iterator[tuple[Any, ...]]:
    for item in prim.GetAuthoredPropertiesInNamespace("material"):
        if item.GetName().startswith("material:binding") and isinstance(item, Usd.Relationship):
            strength = UsdShade.MaterialBindingAPI.GetMaterialBindingStrength(item)
            yield item.GetName(), tuple(map(str, item.GetTargets())), str(strength)
    for item in prim.GetAuthoredPropertiesInNamespace("stylize"):
        if isinstance(item, Usd.Attribute):
            yield item.GetName(), str(item.Get(time)), ""
    for name in readable:
        attribute = prim.GetAttribute(name)
        if attribute and attribute.HasAuthoredValue():
            yield name, str(attribute.Get(time)), ""


def _drawn_prims(instance: Usd.Prim) -> list[Sdf.Path]:
    """Geometry and subsets below an instance, as paths relative to it."""
    found = Usd.PrimRange(instance, ALL_DEFINED)
    return [
        prim.GetPath().MakeRelativePath(instance.GetPath())
        for prim in found
        if prim.IsA(UsdGeom.Gprim) or prim.IsA(UsdGeom.Subset)
    ]


def _primvars_read(instance: Usd.Prim, drawn: Sequence[Sdf.Path]) -> frozenset[str]:
    """Names of the primvars that the materials of an instance read, or that are its colour."""
    materials: dict[Sdf.Path, UsdShade.Material] = {}
    names: set[str] = set()
    for relative in drawn:
        bound = [_bound(instance.GetPrimAtPath(relative), purpose)[0] for purpose in _PURPOSES]
        if not all(bound):
            names |= _DISPLAY
        materials |= {material.GetPath(): material for material in bound if material}
    for material in materials.values():
        mdl = mdl_surface(material)
        # What no viewport can read shows displayColor.
        if only_for_renderers(material) or (mdl is not None and find_surface(mdl) is None):
            names |= _DISPLAY
        for prim in Usd.PrimRange(material.GetPrim(), ALL_DEFINED):
            if prim.IsA(UsdShade.Shader):
                names |= _primvars_of(UsdShade.Shader(prim))
    return frozenset(f"primvars:{name}" for name in names)


def _primvars_of(shader: UsdShade.Shader) -> set[str]:
    """The primvars that a shader reads."""
    if shader_id(shader).startswith("ND_geomcolor"):
        return {"displayColor"}
    found = set()
    for key in ("varname", "geomprop"):
        item = shader.GetInput(key)
        for attribute in item.GetValueProducingAttributes() if item else ():
            value = attribute.Get()
            if isinstance(value, str) and value:
                found.add(value.removeprefix("primvars:"))
    return found


def _materials(instance: Usd.Prim, drawn: Sequence[Sdf.Path]) -> tuple[str, ...]:
    """Paths of the materials of an instance's geometry and subsets, relative where inside the instance.

    A binding above the instance that is strongerThanDescendants is listed, too: to win over that one, our
    binding needs another opinion.
    """
    here = instance.GetPath()
    found = []
    for relative in drawn:
        for purpose in _PURPOSES:
            material, relationship = _bound(instance.GetPrimAtPath(relative), purpose)
            found.append(_relative(material.GetPath(), here))
            if relationship and not relationship.GetPrim().GetPath().GetParentPath().HasPrefix(here):
                strength = UsdShade.MaterialBindingAPI.GetMaterialBindingStrength(relationship)
                if strength == UsdShade.Tokens.strongerThanDescendants:
                    found.append(_relative(relationship.GetPath(), here))
    return tuple(found)


def _bound(prim: Usd.Prim, purpose: str) -> tuple[UsdShade.Material, Usd.Relationship]:
    """Invalid objects where USD fails at the binding: reading the prim itself then gives the reason."""
    try:
        found = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(purpose)
    except Tf.ErrorException:
        return UsdShade.Material(), Usd.Relationship()
    return found[0], found[1]


def _relative(path: Sdf.Path, here: Sdf.Path) -> str:
    return str(path.MakeRelativePath(here) if path.HasPrefix(here) else path)
