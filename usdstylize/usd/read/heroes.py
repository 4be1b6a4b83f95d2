"""Heroes: instances that get textures of their own, and so stop being instances."""

from collections.abc import Sequence

from pxr import Sdf, Usd

from usdstylize.errors import StageError
from usdstylize.usd.read.population import mask_paths

__all__ = ["make_heroes"]


def make_heroes(stage: Usd.Stage, paths: Sequence[str], earlier: Sequence[str]) -> tuple[str, ...]:
    """Clears `instanceable` of the instances ``paths``, in the session layer.

    An instance within another needs that one cleared before it. Returns all that were
    cleared, outermost first. Raises StageError that names a path which is no instance.
    earlier: of an earlier result, outermost first; the stage may have lost some since.
    """
    heroes: dict[str, None] = {}
    for path in earlier:
        prim = stage.GetPrimAtPath(path)
        if prim and _is_instance(prim):
            Sdf.CreatePrimInLayer(stage.GetSessionLayer(), path).instanceable = False
            heroes[path] = None
    for path in mask_paths(stage, paths, "--per-instance") if paths else ():
        if not _is_instance(stage.GetPrimAtPath(path)) and str(path) not in heroes:
            raise StageError(
                f"--per-instance names {path}, which is no instance; name prims with `instanceable` set."
            )
        for prefix in path.GetPrefixes():
            # Asked anew each time, because clearing an instance changes the prims within it.
            if _is_instance(stage.GetPrimAtPath(prefix)):
                Sdf.CreatePrimInLayer(stage.GetSessionLayer(), prefix).instanceable = False
                heroes[str(prefix)] = None
    return tuple(heroes)


def _is_instance(prim: Usd.Prim) -> bool:
    return bool(prim.IsInstance())
