"""The prims that draw, one after the other, as Hydra would draw them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from pxr import Sdf, Tf, Usd, UsdGeom

from usdstylize.errors import MeshError, one_line
from usdstylize.model.objects import Skipped
from usdstylize.usd.io.arrays import read_integers

__all__ = ["ALL_DEFINED", "Unselected", "walk"]

# Not the default predicates: inactive prims are reported, too.
ALL_DEFINED = Usd.TraverseInstanceProxies(Usd.PrimIsDefined & ~Usd.PrimIsAbstract)
_ALL_CONCRETE = Usd.TraverseInstanceProxies(~Usd.PrimIsAbstract)
"""A PointInstancer draws prototypes that are mere overs, too."""


@dataclass(frozen=True)
class Unselected:
    """A variant set, its selected variant, and the others, which the stage does not show."""

    path: str
    variant_set: str
    selected: str
    others: tuple[str, ...]


Item: TypeAlias = UsdGeom.Mesh | Usd.Prim | Skipped | Unselected


def walk(
    root: Usd.Prim, purposes: Sequence[str], time: Usd.TimeCode, walked: set[Sdf.Path]
) -> Iterator[Item]:
    """What lies at or under ``root``, in stage order: meshes to stylise, instances, the rest skipped.

    ``root`` is entered even where it is an instance; an instance below it is yielded as its
    prim and not entered. The prototypes of a PointInstancer come in its place, except those
    in ``walked``, to which they are added: each comes once, in however many instancers.
    """
    concrete = root.IsDefined()
    prims = iter(Usd.PrimRange(root, ALL_DEFINED if concrete else _ALL_CONCRETE))
    for prim in prims:
        path = str(prim.GetPath())
        if not prim.IsActive():
            yield Skipped(path, f"{path} is inactive; activate it to stylise it.")
            prims.PruneChildren()
            continue
        if prim.IsInstance() and prim != root:
            yield prim
            prims.PruneChildren()
            continue
        if prim.HasVariantSets():
            yield from _unselected(prim)
        if prim.IsA(UsdGeom.PointInstancer):
            prims.PruneChildren()
            reason = _hidden(prim, purposes, time)
            if reason:
                yield Skipped(path, reason)
            else:
                yield from _point_instancer(UsdGeom.PointInstancer(prim), purposes, time, walked)
        elif prim.IsA(UsdGeom.Gprim):
            reason = _hidden(prim, purposes, time)
            if not reason and not prim.IsA(UsdGeom.Mesh):
                reason = f"{path} is a {prim.GetTypeName()}; only meshes are supported."
            yield Skipped(path, reason) if reason else UsdGeom.Mesh(prim)


def _hidden(prim: Usd.Prim, purposes: Sequence[str], time: Usd.TimeCode) -> str:
    """Why the prim is not to be seen; empty where it is."""
    path = prim.GetPath()
    purpose = UsdGeom.Imageable(prim).ComputePurpose()
    if purpose == UsdGeom.Tokens.guide:
        return f"{path} has the purpose guide, which is never stylised."
    if purpose not in purposes:
        return f"{path} has the purpose {purpose}, which is not among {', '.join(purposes)}."
    if UsdGeom.Imageable(prim).ComputeVisibility(time) == UsdGeom.Tokens.invisible:
        return f"{path} is invisible at this frame."
    return ""


def _point_instancer(
    instancer: UsdGeom.PointInstancer, purposes: Sequence[str], time: Usd.TimeCode, walked: set[Sdf.Path]
) -> Iterator[Item]:
    """The contents of the prototypes that some point uses; nothing else below the instancer draws."""
    path, stage = instancer.GetPath(), instancer.GetPrim().GetStage()
    try:
        used = _used_prototypes(instancer, time)
        targets = instancer.GetPrototypesRel().GetForwardedTargets()
    except (MeshError, Tf.ErrorException) as error:
        yield Skipped(str(path), one_line(f"PointInstancer {path} cannot be read: {error}"), broken=True)
        return
    for index, target in enumerate(targets):
        root = stage.GetPrimAtPath(target)
        reason = ""
        if index not in used:
            yield Skipped(str(target), f"No point of {path} shows its prototype {target} at this frame.")
        elif not root:
            reason = f"PointInstancer {path} names the prototype {target}, which is not on the stage; fix it."
        elif path.HasPrefix(target):
            reason = f"PointInstancer {path} lies in its own prototype {target}; fix that."
        elif root.IsInstance():
            yield root
        elif target not in walked:  # several instancers may share it
            walked.add(target)
            yield from walk(root, purposes, time, walked)
        if reason:
            yield Skipped(str(path), reason, broken=True)
    if not targets:
        yield Skipped(str(path), f"PointInstancer {path} has no prototypes; give it some.")
    elif used and not 0 <= min(used) <= max(used) < len(targets):
        reason = (
            f"PointInstancer {path} has protoIndices beyond its {len(targets)} prototypes; export it again."
        )
        yield Skipped(str(path), reason, broken=True)


def _used_prototypes(instancer: UsdGeom.PointInstancer, time: Usd.TimeCode) -> set[int]:
    """Indices of the prototypes that a visible point uses. Raises MeshError where they are no integers."""
    indices = read_integers(instancer.GetProtoIndicesAttr(), time)
    visible = np.array(instancer.ComputeMaskAtTime(time) or [], dtype=bool)
    if len(visible) == len(indices):  # an empty mask shows every point
        indices = indices[visible]
    return set(indices.tolist())


def _unselected(prim: Usd.Prim) -> Iterator[Unselected]:
    path, sets = str(prim.GetPath()), prim.GetVariantSets()
    for name in sets.GetNames():
        chosen = sets.GetVariantSet(name)
        selection = chosen.GetVariantSelection()
        others = tuple(variant for variant in chosen.GetVariantNames() if variant != selection)
        if others:
            yield Unselected(path, name, selection, others)
