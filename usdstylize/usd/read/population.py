"""The meshes of a stage that may become objects, those of a prototype once, and what is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from pxr import Sdf, Usd, UsdGeom

from usdstylize.errors import StageError
from usdstylize.model.objects import Prototype, Skipped
from usdstylize.usd.read.names import prototype_name
from usdstylize.usd.read.sharing import Occurrence, by_look
from usdstylize.usd.read.walk import Unselected, walk

__all__ = ["Candidate", "Population", "mask_paths", "survey"]

_MOST_LOOKS = 32
"""Looks of one prototype that get objects: more are meant as variation from instance to instance."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mesh that may become objects. mask: the paths asked for, at, above or below its own."""

    mesh: UsdGeom.Mesh
    mask: tuple[Sdf.Path, ...]
    instances: tuple[str, ...] = ()
    prototype: str = ""


@dataclass(eq=False)
class Population:
    """Everything found, in stage order; what instances share has the place of the first one."""

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    prototypes: list[Prototype] = field(default_factory=list)


Found = Candidate | Skipped | Unselected


def mask_paths(stage: Usd.Stage, mask: Sequence[str], option: str = "--mask") -> list[Sdf.Path]:
    """The mask as prim paths, descendants of another left out; the root where it is empty.

    Raises StageError that names a path which is no prim of the stage.
    """
    if not mask:
        return [Sdf.Path.absoluteRootPath]
    paths = []
    for text in mask:
        valid = Sdf.Path.IsValidPathString(text)
        path = Sdf.Path(text) if valid else Sdf.Path.emptyPath
        if not path.IsAbsoluteRootOrPrimPath() or not path.IsAbsolutePath() or not stage.GetPrimAtPath(path):
            raise StageError(
                f"{option} names {text}, which is no prim of {stage.GetRootLayer().identifier}; "
                "give absolute paths of prims that exist."
            )
        paths.append(path)
    return list(Sdf.Path.RemoveDescendentPaths(paths))


def survey(
    stage: Usd.Stage, mask: Sequence[Sdf.Path], purposes: Sequence[str], time: Usd.TimeCode
) -> Population:
    """The visible meshes at or under the mask that are of one of the purposes, and what else draws.

    What instances share is found once, in the first of them that can be seen, wherever the
    mask names one of them.
    """
    found: list[Found | Usd.Prim] = []
    wanted = list(mask)
    shared = False
    walked: set[Sdf.Path] = set()
    for root in mask:
        prim = stage.GetPrimAtPath(root)
        if prim.IsA(UsdGeom.Subset):
            prim = prim.GetParent()
        if prim.IsInstanceProxy() or prim.IsInPrototype():
            shared = True
        elif prim.IsInstance():
            found.append(prim)
        else:
            for item in walk(prim, purposes, time, walked):
                if isinstance(item, UsdGeom.Mesh):
                    path = item.GetPath()
                    # A PointInstancer may have its prototypes anywhere.
                    inside = path.HasPrefix(root) or root.HasPrefix(path)
                    found.append(Candidate(item, tuple(mask) if inside else (path,)))
                else:
                    found.append(item)
    instances = [item for item in found if isinstance(item, Usd.Prim)]
    # A PointInstancer's prototypes are asked for wherever they are.
    places = (prim.GetPath() for prim in instances)
    wanted += [place for place in places if not any(place.HasPrefix(root) for root in mask)]
    population = Population()
    by_home: dict[str, list[Found]] = {}
    if instances or shared:
        # Instances that are not drawn share the prototype, too, and must keep sharing it.
        whole = [prim for prim in Usd.PrimRange(stage.GetPseudoRoot()) if prim.IsInstance()]
        everywhere = list({prim.GetPath(): prim for prim in (*whole, *instances)}.values())
        if list(mask) == [Sdf.Path.absoluteRootPath]:
            drawn = set(_outer_first(instances))
            everywhere = [prim for prim in everywhere if prim.GetPrototype().GetPath() in drawn]
        by_home = _shared(everywhere, wanted, purposes, time, population.prototypes)
    in_order: list[Found] = []
    for item in found:
        in_order += by_home.pop(str(item.GetPath()), ()) if isinstance(item, Usd.Prim) else [item]
    for rest in by_home.values():
        in_order += rest
    # What several PointInstancers show, or a traversal finds beside them, counts once.
    once = {(str(i.mesh.GetPath()) if isinstance(i, Candidate) else i): i for i in reversed(in_order)}
    for item in reversed(once.values()):
        if isinstance(item, Candidate):
            population.candidates.append(item)
        elif isinstance(item, Skipped):
            population.skipped.append(item)
    population.skipped += _unselected_variants(
        [item for item in once.values() if isinstance(item, Unselected)]
    )
    return population


def _unselected_variants(found: Sequence[Unselected]) -> Iterator[Skipped]:
    """The variants that are not selected, those of alike prims in one sentence."""
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for item in reversed(found):
        alike.setdefault((item.variant_set, item.selected, item.others), []).append(item.path)
    for (variant_set, selected, others), paths in alike.items():
        more = f" (and {len(paths) - 1} more like it)" if len(paths) > 1 else ""
        yield Skipped(
            paths[0],
            f"{paths[0]}{more} shows {selected or 'none'} of its variant set {variant_set}; "
            f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} left alone, "
            "select and stylise what is to have a style.",
        )


def _shared(
    instances: Sequence[Usd.Prim],
    mask: Sequence[Sdf.Path],
    purposes: Sequence[str],
    time: Usd.TimeCode,
    prototypes: list[Prototype],
) -> dict[str, list[Found]]:
    """What the instances hold, by the path of the stage's instance in which it was found.

    instances: of the stage, in its order. prototypes: is filled, those that hold others first.
    """
    found: dict[str, list[Found]] = {}
    pending: dict[Sdf.Path, list[Occurrence]] = {}
    rank = {str(prim.GetPath()): number for number, prim in enumerate(instances)}
    for prim in instances:
        place = str(prim.GetPath())
        pending.setdefault(prim.GetPrototype().GetPath(), []).append(Occurrence(prim, (place,)))
    for prototype in _outer_first(instances):
        places_of_it = pending.pop(prototype, [])
        looks = by_look(places_of_it, time) if places_of_it else []
        for number, occurrences in enumerate(looks):
            first = _first_visible(occurrences, purposes, time)
            here = first.prim.GetPath()
            local = _local_mask([occurrence.prim.GetPath() for occurrence in occurrences], here, mask)
            outermost = _outermost(first, occurrences, rank)
            places = [here, *(o.prim.GetPath() for o in occurrences if o is not first)]
            shared = Prototype(prototype_name(first.prim), str(here), tuple(map(str, places)))
            home = found.setdefault(first.outermost[0], [])
            if number >= _MOST_LOOKS:
                if local:
                    home.append(_too_many(shared, len(looks)))
                continue
            prototypes.append(shared)
            for item in walk(first.prim, purposes, time, set()):
                if isinstance(item, Usd.Prim):
                    inner = item.GetPrototype().GetPath()
                    pending.setdefault(inner, []).append(Occurrence(item, outermost))
                    continue
                path = item.GetPath() if isinstance(item, UsdGeom.Mesh) else Sdf.Path(item.path)
                if not any(path.HasPrefix(root) or root.HasPrefix(path) for root in local):
                    continue
                if isinstance(item, UsdGeom.Mesh):
                    item = Candidate(item, tuple(local), outermost, shared.name)
                home.append(item)
            mask = [*mask, *local]
    return found


def _outer_first(instances: Sequence[Usd.Prim]) -> Iterator[Sdf.Path]:
    """The prototypes of the instances and those within them, a containing one before its parts."""
    sorter: TopologicalSorter[Sdf.Path] = TopologicalSorter()
    waiting = list({prim.GetPrototype().GetPath(): prim.GetPrototype() for prim in instances}.values())
    known = {prototype.GetPath() for prototype in waiting}
    while waiting:
        prototype = waiting.pop()
        sorter.add(prototype.GetPath())
        for prim in Usd.PrimRange(prototype, ~Usd.PrimIsAbstract):
            if prim.IsInstance():
                inner = prim.GetPrototype()
                sorter.add(inner.GetPath(), prototype.GetPath())
                if inner.GetPath() not in known:
                    known.add(inner.GetPath())
                    waiting.append(inner)
    return iter(sorter.static_order())


def _first_visible(
    occurrences: Sequence[Occurrence], purposes: Sequence[str], time: Usd.TimeCode
) -> Occurrence:
    """The first occurrence that is visible and of one of the purposes; the very first where none is."""
    for occurrence in occurrences:
        imageable = UsdGeom.Imageable(occurrence.prim)
        if not imageable:
            return occurrence
        visible = imageable.ComputeVisibility(time) != UsdGeom.Tokens.invisible
        # Prims below may author another purpose, so `default` excludes nothing yet.
        if visible and imageable.ComputePurpose() in {UsdGeom.Tokens.default_, *purposes}:
            return occurrence
    return occurrences[0]


def _local_mask(places: Sequence[Sdf.Path], here: Sdf.Path, mask: Sequence[Sdf.Path]) -> list[Sdf.Path]:
    """The mask in terms of the instance ``here``, one of ``places``: what it asks of one, it asks of all."""
    local: dict[Sdf.Path, None] = {}
    for root in mask:
        for place in places:
            if place.HasPrefix(root):
                return [here]
            if root.HasPrefix(place):
                local[root.ReplacePrefix(place, here)] = None
    return list(local)


def _outermost(first: Occurrence, occurrences: Sequence[Occurrence], rank: dict[str, int]) -> tuple[str, ...]:
    places = {place for occurrence in occurrences for place in occurrence.outermost}
    places.discard(first.outermost[0])
    return (first.outermost[0], *sorted(places, key=lambda place: rank[place]))


def _too_many(prototype: Prototype, count: int) -> Skipped:
    return Skipped(
        prototype.path,
        f"{prototype.path} shares its prototype with instances that get {count} different materials or "
        f"primvars from outside, of which the first {_MOST_LOOKS} are stylised; "
        "name this one with --per-instance to stylise it, too.",
    )
