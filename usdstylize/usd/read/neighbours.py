"""Which objects stand close to each other, and are therefore optimised together."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pxr import Tf, Usd, UsdGeom

from usdstylize.model.objects import StageObject

__all__ = ["join_neighbours"]

_TOGETHER = 12
"""Objects of one group at most: more take turns, since the textures of a group are in memory together."""


def join_neighbours(
    stage: Usd.Stage, objects: Sequence[StageObject], purposes: Sequence[str], time: Usd.TimeCode
) -> tuple[StageObject, ...]:
    """The objects in the same order, with groups of neighbours in place of what each was grouped with.

    Objects that are rendered together anyway stay together, and copies stay with their original. What is
    inside of a PointInstancer is somewhere else than its prim, and is not joined to others; nor are
    objects with different settings on the stage (StylizeAPI).
    """
    units: dict[str, list[StageObject]] = {}
    for obj in objects:
        units.setdefault(obj.group or obj.name, []).append(obj)
    cache = UsdGeom.BBoxCache(time, [UsdGeom.Tokens.default_, *purposes])
    by_settings: dict[Hashable, list[str]] = {}
    centers: dict[str, NDArray[np.float64]] = {}
    for name, unit in units.items():
        center = _center(stage, cache, unit)
        if center is not None:
            centers[name] = center
            by_settings.setdefault(unit[0].settings, []).append(name)
    joined: dict[str, str] = {}
    for names in by_settings.values():
        weights = [sum(not obj.copy_of and not obj.stands_in for obj in units[name]) for name in names]
        for part in _parts(np.array([centers[name] for name in names]), np.array(weights)):
            first = names[min(part)]
            if len(part) > 1:
                joined.update({names[each]: first for each in part})
    return tuple(replace(obj, group=joined.get(obj.group or obj.name, obj.group)) for obj in objects)


def _parts(centers: NDArray[np.float64], weights: NDArray[np.int64]) -> Iterator[list[int]]:
    """Indices of places (N, 3), cut in two along the longest axis until each part is small enough."""
    pending = [np.arange(len(centers))]
    while pending:
        part = pending.pop(0)
        if weights[part].sum() <= _TOGETHER or len(part) < 2:
            yield part.tolist()
            continue
        axis = int(np.ptp(centers[part], axis=0).argmax())
        order = part[np.argsort(centers[part, axis], kind="stable")]
        pending += [order[: len(order) // 2], order[len(order) // 2 :]]


def _center(
    stage: Usd.Stage, cache: UsdGeom.BBoxCache, unit: Sequence[StageObject]
) -> NDArray[np.float64] | None:
    """The middle of the boxes of a unit, world space, (3,); None where it is nowhere in particular."""
    middles = []
    for obj in unit:
        if obj.copy_of or obj.stands_in:
            continue
        prim = stage.GetPrimAtPath(obj.mesh_path)
        if _in_point_instancer(prim):
            return None
        with suppress(Tf.ErrorException):
            box = cache.ComputeWorldBound(prim).ComputeAlignedRange()
            if not box.IsEmpty():
                middles.append(np.array(box.GetMidpoint(), np.float64))
    center = np.mean(middles, axis=0) if middles else None
    return center if center is not None and np.isfinite(center).all() else None


def _in_point_instancer(prim: Usd.Prim) -> bool:
    while prim and not prim.IsPseudoRoot():
        if prim.IsA(UsdGeom.PointInstancer):
            return True
        prim = prim.GetParent()
    return False
