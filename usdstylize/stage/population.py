"""Which prims of a stage are looked at, and which are left out at once."""

from collections.abc import Iterator, Sequence

from pxr import Sdf, Usd, UsdGeom

from usdstylize.errors import StageError
from usdstylize.objects import Skipped

__all__ = ["mask_paths", "meshes"]


def mask_paths(stage: Usd.Stage, mask: Sequence[str]) -> list[Sdf.Path]:
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
                f"--mask names {text}, which is no prim of {stage.GetRootLayer().identifier}; "
                "give absolute paths of prims that exist."
            )
        paths.append(path)
    return list(Sdf.Path.RemoveDescendentPaths(paths))


def meshes(
    stage: Usd.Stage, mask: Sequence[Sdf.Path], purposes: Sequence[str], time: Usd.TimeCode
) -> Iterator[UsdGeom.Mesh | Skipped]:
    """The visible meshes at or under the mask that are of one of the purposes, in stage order.

    Every other thing that draws is yielded as Skipped, with the reason.
    """
    for root in mask:
        prim = stage.GetPrimAtPath(root)
        if prim.IsA(UsdGeom.Subset):
            prim = prim.GetParent()
        instance = _instance_above(prim)
        if instance:
            yield _instance_skipped(prim)
            continue
        # Not the default predicate: inactive prims are to be told, not passed over.
        prims = iter(Usd.PrimRange(prim, Usd.PrimIsDefined & ~Usd.PrimIsAbstract))
        for prim in prims:
            found = _judge(prim, purposes, time)
            if isinstance(found, Skipped) and not prim.IsA(UsdGeom.Gprim):
                prims.PruneChildren()
            if found is not None:
                yield found


def _judge(prim: Usd.Prim, purposes: Sequence[str], time: Usd.TimeCode) -> UsdGeom.Mesh | Skipped | None:
    path = str(prim.GetPath())
    if not prim.IsActive():
        return Skipped(path, f"{path} is inactive; activate it to stylise it.")
    if prim.IsInstance():
        return _instance_skipped(prim)
    if prim.IsA(UsdGeom.PointInstancer):
        return Skipped(path, f"{path} is a PointInstancer, which is not supported yet.")
    if not prim.IsA(UsdGeom.Gprim):
        return None
    purpose = UsdGeom.Imageable(prim).ComputePurpose()
    if purpose not in purposes:
        return Skipped(path, f"{path} has the purpose {purpose}, which is not among {', '.join(purposes)}.")
    if UsdGeom.Imageable(prim).ComputeVisibility(time) == UsdGeom.Tokens.invisible:
        return Skipped(path, f"{path} is invisible at this frame.")
    if not prim.IsA(UsdGeom.Mesh):
        return Skipped(path, f"{path} is a {prim.GetTypeName()}; only meshes are supported.")
    return UsdGeom.Mesh(prim)


def _instance_above(prim: Usd.Prim) -> bool:
    return bool(prim.IsInstanceProxy() or prim.IsInPrototype())


def _instance_skipped(prim: Usd.Prim) -> Skipped:
    path = str(prim.GetPath())
    what = "is part of" if prim.IsInstanceProxy() or prim.IsInPrototype() else "is"
    return Skipped(
        path, f"{path} {what} an instance, which is not supported yet; make it uninstanceable to stylise it."
    )
