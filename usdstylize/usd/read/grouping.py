"""Which objects are rendered and optimised together, and which of them share one look."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from pxr import Kind, Sdf, Usd

from usdstylize.config.options import Unit
from usdstylize.model.base_colors import DisplayColor, GraphColor, TextureFile
from usdstylize.model.objects import StageObject

__all__ = ["group_objects"]


def group_objects(
    stage: Usd.Stage, objects: Sequence[StageObject], *, by: Unit, share_materials: bool
) -> tuple[StageObject, ...]:
    """The objects in the same order, each with its group and its look.

    by: ``model`` makes one group of a component's objects, and one look of those among them
        that read one texture through one material.
    share_materials: all objects of one material are one group and wear one look, in whatever
        component they are.

    Objects with different settings on the stage (StylizeAPI) are in different groups.
    An object that uses another's look already (a proxy, see `share_proxies`) joins that object's group.
    """
    groups: dict[str, Hashable] = {}
    looks: dict[str, Hashable] = {}
    for obj in objects:
        if obj.wears_another_look:
            groups[obj.name], looks[obj.name] = groups[obj.look], looks[obj.look]
            continue
        material = _material(obj)
        component = _component(stage, obj.path) if by == "model" else None
        groups[obj.name] = (component, obj.settings) if component else obj.name
        looks[obj.name] = obj.name
        if share_materials and material is not None:
            groups[obj.name] = looks[obj.name] = material
        elif component and material is not None and isinstance(obj.base, TextureFile | GraphColor):
            looks[obj.name] = (component, material)
    group_names, look_names = _first_names(groups), _first_names(looks)
    return tuple(replace(obj, group=group_names[obj.name], look=look_names[obj.name]) for obj in objects)


def _material(obj: StageObject) -> Hashable:
    """What two objects must have in common to read one style texture; None where none can.

    The primvar counts as it resolves on the mesh, because a material's interface may name another one
    on each. Objects of different prototypes never match, because opinions of a prototype reach only
    its own prims. Nor do meshes with new UVs, which fill a whole texture each.
    """
    if obj.material_path is None or obj.unwrapped or isinstance(obj.base, DisplayColor):
        return None
    return obj.material_path, obj.base, obj.uv_primvar, obj.uv_transform, obj.instances, obj.settings


def _component(stage: Usd.Stage, path: str) -> str | None:
    """The component model that holds the prim, or is it; None where there is none."""
    for ancestor in reversed(Sdf.Path(path).GetPrefixes()):
        if Kind.Registry.IsA(Usd.ModelAPI(stage.GetPrimAtPath(ancestor)).GetKind(), Kind.Tokens.component):
            return str(ancestor)
    return None


def _first_names(keys: dict[str, Hashable]) -> dict[str, str]:
    """Each name to the first one that has the same key; empty where it is the only one."""
    first: dict[Hashable, str] = {}
    count: dict[Hashable, int] = {}
    for name, key in keys.items():
        first.setdefault(key, name)
        count[key] = count.get(key, 0) + 1
    return {name: first[key] if count[key] > 1 else "" for name, key in keys.items()}
