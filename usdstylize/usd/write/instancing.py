"""Opinions about what instances share: on a class that each of them inherits.

Opinions on prims below an instance are ignored, so they go below a class prim at the root of
the style layer. All instances of a prototype inherit the same class, and so keep sharing one.
An inherit, not a reference: it is stronger than the instance's own variants, and its targets elsewhere
(a material that artists can reach) stay what they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pxr import Sdf

from usdstylize.model.objects import Prototype, StageObject
from usdstylize.usd.write.specs import prim_spec

__all__ = [
    "classes_by_instance",
    "collection_sites",
    "heroes_of",
    "inherit_classes",
    "layer_path",
    "shown_path",
    "within",
]

_PREFIX = "StylizedShared_"


def layer_path(prototypes: Sequence[Prototype], path: Sdf.Path) -> Sdf.Path:
    """Where the style layer holds opinions about a prim of the stage."""
    prototype = _holder(prototypes, path)
    return path if prototype is None else path.ReplacePrefix(prototype.path, _class_path(prototype))


def shown_path(prototypes: Sequence[Prototype], source: StageObject, path: Sdf.Path) -> Sdf.Path:
    """The stage's path, in the object's own instance, of what the style layer has at ``path``."""
    for prototype in prototypes:
        if prototype.name == source.prototype:
            return path.ReplacePrefix(_class_path(prototype), prototype.path)
    return path


def inherit_classes(
    layer: Sdf.Layer, prototypes: Sequence[Prototype], name: str, *, first_only: bool = False
) -> None:
    """Let every instance of the prototype ``name`` inherit its class, those it stands in likewise."""
    prototype = next(found for found in prototypes if found.name == name)
    inherited = _class_path(prototype)
    prim_spec(layer, inherited, specifier=Sdf.SpecifierClass)
    outer: dict[str, None] = {}
    for place in prototype.instances[: 1 if first_only else None]:
        around = _holder(prototypes, Sdf.Path(place))
        if around is not None:
            outer[around.name] = None
        inherits = prim_spec(layer, layer_path(prototypes, Sdf.Path(place))).inheritPathList
        if inherited not in inherits.prependedItems:
            inherits.prependedItems = [inherited, *inherits.prependedItems]
    for around_name in outer:
        inherit_classes(layer, prototypes, around_name, first_only=first_only)


def collection_sites(
    prototypes: Sequence[Prototype], ancestor: Sdf.Path, target: Sdf.Path
) -> Iterator[tuple[Sdf.Path, Sdf.Path]]:
    """(target, ancestor) in paths of the layer, for a collection on the ancestor that has the target.

    An ancestor above the instances has to name the target in each of them.
    """
    for prototype in prototypes:
        if ancestor == prototype.path and target.HasPrefix(prototype.path):
            for place in prototype.instances:
                site = layer_path(prototypes, Sdf.Path(place))
                yield target.ReplacePrefix(ancestor, site), site
            return
    site = layer_path(prototypes, ancestor)
    if site != ancestor:
        yield target.ReplacePrefix(ancestor, site), site
        return
    for place in _stage_paths(prototypes, target):
        if place.HasPrefix(ancestor):
            yield place, ancestor


def classes_by_instance(layer: Sdf.Layer) -> dict[Sdf.Path, Sdf.Path]:
    """The class that each instance of a style layer inherits, by the instance's path in the layer.

    A hero is left out: it may still inherit a class from an earlier run, but shares nothing.
    """
    found: dict[Sdf.Path, Sdf.Path] = {}

    def visit(path: Sdf.Path) -> None:
        spec = layer.GetPrimAtPath(path) if path.IsPrimPath() else None
        if spec is None or (spec.HasInfo("instanceable") and not spec.instanceable):
            return
        for inherited in spec.inheritPathList.prependedItems:
            if inherited.name.startswith(_PREFIX):
                found[path] = inherited
                return

    layer.Traverse(Sdf.Path.absoluteRootPath, visit)
    return found


def heroes_of(layer: Sdf.Layer) -> tuple[str, ...]:
    """The heroes of a style layer: instances whose `instanceable` it clears, outermost first."""
    found: list[str] = []

    def visit(path: Sdf.Path) -> None:
        spec = layer.GetPrimAtPath(path) if path.IsPrimPath() else None
        if spec is not None and spec.HasInfo("instanceable") and not spec.instanceable:
            found.append(str(path))

    layer.Traverse(Sdf.Path.absoluteRootPath, visit)
    return tuple(sorted(found, key=lambda path: path.count("/")))


def within(places: Mapping[Sdf.Path, Sdf.Path], mask: Sdf.Path) -> Callable[[Sdf.Path], bool]:
    """Whether the stage shows an object, given by its path, at or under ``mask`` as well.

    places: as `classes_by_instance` finds them.
    """
    root = _in_class(places, mask)
    reached = [root]
    for path in reached:  # grows meanwhile: a class may hold an instance of another
        reached += {c for place, c in places.items() if place.HasPrefix(path)} - set(reached)

    def shows(owner: Sdf.Path) -> bool:
        own = _in_class(places, owner)
        return any(own.HasPrefix(path) for path in reached)

    return shows


def _in_class(places: Mapping[Sdf.Path, Sdf.Path], path: Sdf.Path) -> Sdf.Path:
    """The path in the innermost class that carries the opinions about it."""
    while True:
        place = next((prefix for prefix in path.GetPrefixes() if prefix in places), None)
        if place is None:
            return path
        path = path.ReplacePrefix(place, places[place])


def _holder(prototypes: Sequence[Prototype], path: Sdf.Path) -> Prototype | None:
    """The innermost prototype whose first instance holds ``path``, which is no such instance itself."""
    above = path.GetParentPath()
    found = [prototype for prototype in prototypes if above.HasPrefix(prototype.path)]
    return max(found, key=lambda prototype: len(prototype.path), default=None)


def _stage_paths(prototypes: Sequence[Prototype], path: Sdf.Path) -> Iterator[Sdf.Path]:
    """Every path at which the stage shows what ``path`` names in the first instance."""
    prototype = _holder(prototypes, path)
    if prototype is None:
        yield path
        return
    for place in prototype.instances:
        for shown in _stage_paths(prototypes, Sdf.Path(place)):
            yield path.ReplacePrefix(prototype.path, shown)


def _class_path(prototype: Prototype) -> Sdf.Path:
    return Sdf.Path.absoluteRootPath.AppendChild(prototype.name)
