"""One look on several objects: which objects wear a material of ours, as the style layer records it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pxr import Sdf, Vt

from usdstylize.errors import MaterialError
from usdstylize.model.objects import StageObject
from usdstylize.usd.write.material import SCOPE
from usdstylize.usd.write.provenance import KEY

__all__ = ["add_user", "check_sharing", "materials", "owner", "users", "worn_materials"]


def materials(layer: Sdf.Layer) -> Iterator[Sdf.PrimSpec]:
    """All that lies where a style layer has our materials."""
    for root in layer.rootPrims:
        scope = root.nameChildren.get(SCOPE)
        if scope is not None:
            yield from scope.nameChildren


def owner(material: Sdf.PrimSpec) -> str:
    """Path of the object that the material was made for; empty where it is not ours."""
    path = str(_notes(material).get("object", ""))
    return path if _is_absolute(path) else ""


def users(material: Sdf.PrimSpec) -> list[str]:
    """Paths of all objects that wear the material, its owner first."""
    others = _notes(material).get("users", [])
    found = [owner(material), *(map(str, others) if isinstance(others, Vt.StringArray) else ())]
    return list(filter(_is_absolute, found)) if found[0] else []


def _notes(material: Sdf.PrimSpec) -> dict[str, Any]:
    """Our notes on the material; empty where it has none, or they were edited into something else."""
    data = material.customData.get(KEY)
    return data if isinstance(data, dict) else {}


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and bool(Sdf.Path.IsValidPathString(path))


def add_user(layer: Sdf.Layer, material: Sdf.Path, obj: StageObject) -> None:
    """Note that ``obj`` wears the material, which the layer holds."""
    spec = layer.GetPrimAtPath(material)
    names = dict.fromkeys([*users(spec)[1:], obj.path])
    spec.customData[KEY] = {**_notes(spec), "users": Vt.StringArray(list(names))}


def worn_materials(layer: Sdf.Layer) -> dict[str, Sdf.Path]:
    """By the path of each object in the style layer, the material that it wears."""
    return {path: spec.path for spec in materials(layer) for path in users(spec)}


def check_sharing(worn: Mapping[str, Sdf.Path], obj: StageObject) -> None:
    """An object has one material for all its styles. Raises MaterialError where that would change.

    worn: as `worn_materials` finds it in the earlier result.
    """
    material = worn.get(obj.path)
    if material is not None and material.name != (obj.look or obj.name):
        raise MaterialError(
            f"{obj.path} wears {material} in the other styles of this result; stylise it with the "
            "same --by and --share-materials, or to another --output."
        )
