"""Names of objects and prototypes: a folder and a prim may both carry one."""

import hashlib
import re

from pxr import Sdf, Tf, Usd

__all__ = ["object_name", "prototype_name"]

_LONGEST = 100
"""Bytes in UTF-8; file systems end at 255, and suffixes follow."""
_HASH = re.compile(r"_[0-9a-f]{8}$")


def object_name(path: str) -> str:
    """``/World/Vase/Geom`` -> ``World__Vase__Geom``, from the path alone and unlike any other's.

    A short hash of the path follows where joining its elements could be read in two ways, or
    would be too long.
    """
    elements = [element.name for element in Sdf.Path(path).GetPrefixes()]
    name = "__".join(elements)
    ambiguous = any("__" in e or e.startswith("_") or e.endswith("_") for e in elements)
    encoded = name.encode()
    if not ambiguous and len(encoded) <= _LONGEST and not _HASH.search(name):
        return name
    return f"{encoded[:_LONGEST].decode(errors='ignore')}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def prototype_name(instance: Usd.Prim) -> str:
    """``StylizedShared_shot__World__A1``: for a class prim at the root of the style layer.

    The stage's own name is in it because a class is inherited across references: a shot and
    the set that it references must not have one of the same name.
    """
    stage = instance.GetStage().GetRootLayer().GetDisplayName().split(".")[0]
    return f"StylizedShared_{Tf.MakeValidIdentifier(stage)[:60]}__{object_name(str(instance.GetPath()))}"
