"""Binding the new material so that it wins, whatever the source stage binds above it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pxr import Sdf, Usd, UsdShade

from usdstylize.errors import MaterialError
from usdstylize.model.objects import Prototype, StageObject
from usdstylize.usd.write.instancing import collection_sites, inherit_classes, layer_path, shown_path
from usdstylize.usd.write.specs import apply_schema, prim_spec

__all__ = ["Binding", "bound_purposes", "plan_binding", "write_binding"]

_PURPOSES = (UsdShade.Tokens.allPurpose, UsdShade.Tokens.full, UsdShade.Tokens.preview)


@dataclass(frozen=True)
class Binding:
    """How one object gets its material, in paths of the style layer."""

    sites: tuple[tuple[Sdf.Path, Sdf.Path | None], ...]
    """The mesh or subset whose look changes, and an ancestor that needs a collection binding,
    where its own beats its descendants'. Several only where it is shared by instances."""
    material: Sdf.Path
    purposes: tuple[str, ...]
    """Material purposes that the source binds for itself; "" stands for all of them."""


def plan_binding(
    stage: Usd.Stage, source: StageObject, material: Sdf.Path, prototypes: Sequence[Prototype] = ()
) -> Binding:
    """Find the opinions that make ``material`` win on the object, by trying them.

    stage: the source's; only its session layer is used, and left as it was.
    Raises MaterialError where no opinion can win.
    """
    prim = stage.GetPrimAtPath(source.path)
    if not prim:
        raise MaterialError(f"{source.path} is not on the stage any more; read the stage again.")
    resolved = bound_purposes(prim)
    purposes = tuple(p for p in resolved if p == UsdShade.Tokens.allPurpose or _bound_for(prim, p))
    ancestors = [None, *_stronger_ancestors(prim)]
    shown = shown_path(prototypes, source, material)
    scratch = stage.GetSessionLayer()
    before = Sdf.Layer.CreateAnonymous(".usda")
    before.TransferContent(scratch)
    try:
        for ancestor in ancestors:
            plan = Binding(_sites(prototypes, prim.GetPath(), ancestor), material, purposes)
            scratch.TransferContent(before)
            with Sdf.ChangeBlock():
                prim_spec(scratch, material, "Material", Sdf.SpecifierDef)
                if source.prototype:
                    inherit_classes(scratch, prototypes, source.prototype, first_only=True)
                write_binding(scratch, plan, source.name)
            # After each change USD may compose the prims of an instance anew: ask for the prim again.
            prim = stage.GetPrimAtPath(source.path)
            if _wins(prim, shown, resolved):
                return plan
    finally:
        scratch.TransferContent(before)
    winner = _winner(stage.GetPrimAtPath(source.path))
    raise MaterialError(
        f"{source.path} cannot be given a new material, because {winner} binds one with "
        "strongerThanDescendants and cannot be overruled; weaken that binding in the source."
    )


def _sites(
    prototypes: Sequence[Prototype], target: Sdf.Path, ancestor: Sdf.Path | None
) -> tuple[tuple[Sdf.Path, Sdf.Path | None], ...]:
    own = layer_path(prototypes, target)
    if ancestor is None:
        return ((own, None),)
    sites = tuple(collection_sites(prototypes, ancestor, target))
    # Storm never looks above an instance for a stronger binding, so it needs the plain one.
    return sites if own == target else (*sites, (own, None))


def bound_purposes(prim: Usd.Prim) -> tuple[str, ...]:
    """The material purposes for which a mesh or subset of the source shows a material; "" is that for all.

    Every purpose where there is no material at all: each of them then shows displayColor.
    """
    api = UsdShade.MaterialBindingAPI(prim)
    found = tuple(purpose for purpose in _PURPOSES if api.ComputeBoundMaterial(purpose)[0])
    return found or _PURPOSES


def _wins(prim: Usd.Prim, material: Sdf.Path, purposes: Sequence[str]) -> bool:
    """True where each of the material purposes resolves to ``material`` on ``prim``."""
    api = UsdShade.MaterialBindingAPI(prim)
    return all(api.ComputeBoundMaterial(purpose)[0].GetPath() == material for purpose in purposes)


def write_binding(layer: Sdf.Layer, binding: Binding, name: str) -> None:
    """Author the binding as opinions on overs."""
    by_ancestor: dict[Sdf.Path, list[Sdf.Path]] = {}
    for target, ancestor in binding.sites:
        if ancestor is not None:
            by_ancestor.setdefault(ancestor, []).append(target)
            continue
        spec = prim_spec(layer, target)
        apply_schema(spec, "MaterialBindingAPI")
        for purpose in binding.purposes:
            _relate(spec, ":".join(filter(None, ("material:binding", purpose))), [binding.material])
    # Property order decides among collections of one prim, and "0" sorts before letters.
    collection = f"a0_usdstylize_{name}"
    for ancestor, targets in by_ancestor.items():
        spec = prim_spec(layer, ancestor)
        apply_schema(spec, "MaterialBindingAPI")
        apply_schema(spec, f"CollectionAPI:{collection}")
        rule = spec.attributes.get(f"collection:{collection}:expansionRule") or Sdf.AttributeSpec(
            spec, f"collection:{collection}:expansionRule", Sdf.ValueTypeNames.Token, Sdf.VariabilityUniform
        )
        rule.default = "explicitOnly"
        _relate(spec, f"collection:{collection}:includes", targets)
        members = ancestor.AppendProperty(f"collection:{collection}")
        for purpose in binding.purposes:
            relationship = ":".join(filter(None, ("material:binding:collection", purpose, collection)))
            _relate(spec, relationship, [members, binding.material], strength="strongerThanDescendants")


def _relate(spec: Sdf.PrimSpec, name: str, targets: list[Sdf.Path], strength: str = "") -> None:
    relationship = spec.relationships.get(name) or Sdf.RelationshipSpec(spec, name, custom=False)
    relationship.targetPathList.explicitItems = targets
    if strength:
        relationship.SetInfo("bindMaterialAs", strength)


def _bound_for(prim: Usd.Prim, purpose: str) -> bool:
    """True where the source binds a material for exactly this purpose, here or above."""
    material, relationship = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(purpose)
    return bool(material) and purpose in relationship.GetName().split(":")


def _stronger_ancestors(prim: Usd.Prim) -> list[Sdf.Path]:
    """Prims from here to the root with a binding that beats its descendants', farthest first."""
    found = []
    here = prim
    while here and not here.IsPseudoRoot():
        for relationship in here.GetRelationships():
            is_binding = relationship.GetName().startswith("material:binding")
            strength = (
                UsdShade.MaterialBindingAPI.GetMaterialBindingStrength(relationship) if is_binding else ""
            )
            if strength == UsdShade.Tokens.strongerThanDescendants:
                found.append(here.GetPath())
                break
        here = here.GetParent()
    return found[::-1]


def _winner(prim: Usd.Prim) -> str:
    for purpose in _PURPOSES:
        relationship = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(purpose)[1]
        if relationship:
            return str(relationship.GetPath())
    return "an ancestor"
