"""One look on several objects: who wears a material of ours, as the style layer tells it."""

from pxr import Sdf, Vt

from usdstylize.author.material import SCOPE
from usdstylize.author.provenance import KEY
from usdstylize.errors import MaterialError
from usdstylize.objects import StageObject

__all__ = ["add_user", "check_sharing", "owner", "users"]


def owner(material: Sdf.PrimSpec) -> str:
    """Path of the object that the material was made for; empty where it is not ours."""
    return str(material.customData.get(KEY, {}).get("object", ""))


def users(material: Sdf.PrimSpec) -> list[str]:
    """Paths of all objects that wear the material, its owner first."""
    data = material.customData.get(KEY, {})
    return [str(data["object"]), *map(str, data.get("users", []))] if "object" in data else []


def add_user(layer: Sdf.Layer, material: Sdf.Path, obj: StageObject) -> None:
    """Note that ``obj`` wears the material. Raises MaterialError where that has not been written."""
    spec = layer.GetPrimAtPath(material)
    if spec is None:
        raise MaterialError(
            f"{obj.path} shares the look of {obj.look}, which could not be written; see that object's reason."
        )
    data = dict(spec.customData[KEY])
    names = [*data.get("users", []), obj.path]
    spec.customData[KEY] = {**data, "users": Vt.StringArray(list(dict.fromkeys(names)))}


def check_sharing(layer: Sdf.Layer, obj: StageObject) -> None:
    """An object has one material for all its styles. Raises MaterialError where that would change."""
    name = obj.look or obj.name
    for root in layer.rootPrims:
        scope = root.nameChildren.get(SCOPE)
        for spec in scope.nameChildren if scope is not None else ():
            if obj.path in users(spec) and spec.name != name:
                raise MaterialError(
                    f"{obj.path} wears {spec.path} in the other styles of this result; stylise it with the "
                    "same --by and --share-materials, or to another --output."
                )
