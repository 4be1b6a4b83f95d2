"""Checks of instances: they still share their prototypes, and all show the new look."""

from collections.abc import Iterator

from pxr import Sdf, Usd

from usdstylize.model.objects import StageContents, StageObject
from usdstylize.usd.read import Occurrence, by_look
from usdstylize.usd.write import classes_by_instance

__all__ = ["SharedChecks", "without_class"]


class SharedChecks:
    """The instances of a result, by the class of the style layer that they inherit."""

    def __init__(self, stage: Usd.Stage, layer: Sdf.Layer) -> None:
        """stage: the result's. layer: its style layer."""
        self._stage = stage
        self._looks: dict[Sdf.Path, list[Sdf.Path]] = {}
        self._by_class: dict[Sdf.Path, list[Sdf.Path]] = {}
        for place, inherited in classes_by_instance(layer).items():
            # An instance within a class is on the stage at every place that inherits the class.
            if layer.GetPrimAtPath(place.GetPrefixes()[0]).specifier != Sdf.SpecifierClass:
                self._by_class.setdefault(inherited, []).append(place)
        self._class_of = {place: name for name, places in self._by_class.items() for place in places}

    def prototypes(self) -> Iterator[tuple[str, bool, str]]:
        """(first instance, ok, sentence) for every class that instances inherit."""
        for places in self._by_class.values():
            prims = [prim for prim in map(self._stage.GetPrimAtPath, places) if prim]
            prototypes = {prim.GetPrototype().GetPath() for prim in prims if prim.IsInstance()}
            if not prims:
                continue
            ok = len(prototypes) == 1 and all(prim.IsInstance() for prim in prims)
            detail = f"{len(prims)} instances, {len(prototypes)} prototype{'s' * (len(prototypes) != 1)}"
            yield str(prims[0].GetPath()), ok, detail if ok else f"{detail}; run again with --force."

    def bindings(self, owner: str, material: Sdf.Path) -> Iterator[tuple[str, Sdf.Path]]:
        """(prim, material that it has to show): the object, and it again in instances bound otherwise.

        material: as the style layer names it, which for an instance may be below its class.
        """
        instance = prim = self._stage.GetPrimAtPath(owner)
        while instance and not instance.IsInstance():
            instance = instance.GetParent()
        if not prim or not instance:
            yield owner, material
            return
        here = instance.GetPath()
        classes = instance.GetInherits().GetAllDirectInherits()
        name = next((path for path in classes if material.HasPrefix(path)), None)
        expected = material.ReplacePrefix(name, here) if name else material
        yield owner, expected
        for place in self._other_looks(here):
            yield str(prim.GetPath().ReplacePrefix(here, place)), expected.ReplacePrefix(here, place)

    def _other_looks(self, here: Sdf.Path) -> list[Sdf.Path]:
        """One instance for each other set of bindings that instances of the prototype get from above."""
        name = self._class_of.get(here)
        if name is None:
            return []
        if name not in self._looks:
            prims = [prim for prim in map(self._stage.GetPrimAtPath, self._by_class[name]) if prim]
            occurrences = [Occurrence(prim, (str(prim.GetPath()),)) for prim in prims]
            looks = by_look(occurrences, Usd.TimeCode.EarliestTime())
            self._looks[name] = [look[0].prim.GetPath() for look in looks]
        return [place for place in self._looks[name] if place != here]


def without_class(stage: Usd.Stage, contents: StageContents, obj: StageObject) -> Iterator[str]:
    """Instances that share the object in the source, and whose counterparts lack its class."""
    found = next((p for p in contents.prototypes if p.name == obj.prototype), None)
    for place in found.instances if found else ():
        prim = stage.GetPrimAtPath(place)
        inherited = prim.GetInherits().GetAllDirectInherits() if prim else []
        # An instance proxy inherits through the class that contains it.
        if not any(path.name == obj.prototype for path in inherited):
            yield place
