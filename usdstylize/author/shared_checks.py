"""What `verify` asks of instances: that they share prototypes still, and all show the new look."""

from collections.abc import Iterator

from pxr import Sdf, Usd

from usdstylize.author.instancing import places_of
from usdstylize.objects import StageContents, StageObject
from usdstylize.stage.sharing import Occurrence, by_look

__all__ = ["left_behind", "shared_prototypes", "shown_bindings"]


def shared_prototypes(stage: Usd.Stage, layer: Sdf.Layer) -> Iterator[tuple[str, bool, str]]:
    """(first instance, ok, sentence) for every class of the style layer that instances inherit."""
    for places in _by_class(layer).values():
        prims = [prim for prim in map(stage.GetPrimAtPath, places) if prim]
        prototypes = {prim.GetPrototype().GetPath() for prim in prims if prim.IsInstance()}
        if not prims:
            continue
        ok = len(prototypes) == 1 and all(prim.IsInstance() for prim in prims)
        detail = f"{len(prims)} instances, {len(prototypes)} prototype{'s' * (len(prototypes) != 1)}"
        yield str(prims[0].GetPath()), ok, detail if ok else f"{detail}; run again with --force."


def left_behind(stage: Usd.Stage, contents: StageContents, obj: StageObject) -> Iterator[str]:
    """Instances that share the object in the source, and whose counterparts lack its class."""
    found = next((p for p in contents.prototypes if p.name == obj.prototype), None)
    for place in found.instances if found else ():
        prim = stage.GetPrimAtPath(place)
        inherited = prim.GetInherits().GetAllDirectInherits() if prim else []
        # A proxy inherits by the class that it stands in.
        if not any(path.name == obj.prototype for path in inherited):
            yield place


def shown_bindings(
    stage: Usd.Stage, layer: Sdf.Layer, owner: str, material: Sdf.Path
) -> Iterator[tuple[str, Sdf.Path]]:
    """(prim, material that it has to show): the object, and it again in instances bound otherwise.

    material: as the style layer names it, which for an instance may be below its class.
    """
    prim = stage.GetPrimAtPath(owner)
    instance = prim
    while instance and not instance.IsInstance():
        instance = instance.GetParent()
    if not prim or not instance:
        yield owner, material
        return
    inherited = {place: name for name, places in _by_class(layer).items() for place in places}
    here = instance.GetPath()
    name = next((c for c in instance.GetInherits().GetAllDirectInherits() if material.HasPrefix(c)), None)
    shown = material.ReplacePrefix(name, here) if name else material
    yield owner, shown
    own = inherited.get(here)
    places = [stage.GetPrimAtPath(place) for place, c in inherited.items() if c == own and own is not None]
    occurrences = [Occurrence(place, (str(place.GetPath()),)) for place in places if place]
    if not occurrences:
        return
    for look in by_look(occurrences, Usd.TimeCode.EarliestTime()):
        place = look[0].prim.GetPath()
        if place != here:
            other = prim.GetPath().ReplacePrefix(here, place)
            yield str(other), shown.ReplacePrefix(here, place)


def _by_class(layer: Sdf.Layer) -> dict[Sdf.Path, list[Sdf.Path]]:
    """The instances of the stage that inherit each class; those within a class are its own affair."""
    found: dict[Sdf.Path, list[Sdf.Path]] = {}
    for place, inherited in places_of(layer).items():
        if layer.GetPrimAtPath(place.GetPrefixes()[0]).specifier != Sdf.SpecifierClass:
            found.setdefault(inherited, []).append(place)
    return found
