"""Copies that stay while the object whose files they read is made anew: they keep those files."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pxr import Sdf

from usdstylize.usd.io.paths import anchored
from usdstylize.usd.write.layout import ResultLayout, StyleLayout
from usdstylize.usd.write.sharing import materials
from usdstylize.usd.write.unfinished import Finished

__all__ = ["keep_files"]

Facts = dict[str, Any]


def keep_files(
    layer: Sdf.Layer,
    written: Mapping[str, Facts],
    finished: Mapping[str, Finished],
    layout: ResultLayout,
    final: StyleLayout,
    unfinished: StyleLayout,
) -> tuple[dict[str, Facts], list[str]]:
    """Give the files of an original that is made anew to the first of its copies that are not.

    layer: the style layer, in which those copies are changed to read them there. written: facts of the
    earlier run, by name. finished: what is made anew. unfinished: where each new owner gets its folder, which
    is to be moved to its final place.
    Returns the facts of all that is not made anew, and the names of the new owners.
    """
    staying = {name: facts for name, facts in sorted(written.items()) if name not in finished}
    owners: dict[str, str] = {}
    for name, facts in staying.items():
        original = facts.get("copy_of", "")
        # What is in its final place was made before a kill, and its copies have their files already.
        if original not in finished or finished[original].folder == final.object(original):
            continue
        owner = owners.setdefault(original, name)
        moved = partial(_moved, layout.folder, final, original, owner)
        hashes = {}
        if owner == name:
            shutil.rmtree(unfinished.object(owner), ignore_errors=True)
            unfinished.object(owner).mkdir()
            for file, digest in written.get(original, {}).get("hashes", {}).items():
                renamed = owner + file.removeprefix(original)
                hashes[renamed] = digest
                with suppress(FileNotFoundError):  # lost before this run
                    shutil.copyfile(final.object(original) / file, unfinished.object(owner) / renamed)
        for material in materials(layer):
            if material.name == name:
                _change_paths(layer, material.path, moved)
        copy_of = "" if owner == name else owner
        files = [moved(path) for path in facts["files"]]
        staying[name] = {**facts, "copy_of": copy_of, "files": files, "hashes": hashes}
    return staying, list(owners.values())


def _moved(layer_folder: Path, final: StyleLayout, original: str, owner: str, path: str) -> str:
    """Where a file of ``original`` lies once it is one of ``owner``, as the style layer names both."""
    before, after = (f"{anchored(final.object(name), layer_folder)}/" for name in (original, owner))
    file = path.removeprefix(before)
    return path if file == path else f"{after}{owner}{file.removeprefix(original)}"


def _change_paths(layer: Sdf.Layer, root: Sdf.Path, moved: Callable[[str], str]) -> None:
    """Put what ``moved`` makes of it in place of every asset path at or under a prim."""

    def visit(path: Sdf.Path) -> None:
        spec = layer.GetAttributeAtPath(path) if path.IsPropertyPath() else None
        if spec is not None and isinstance(spec.default, Sdf.AssetPath):
            spec.default = Sdf.AssetPath(moved(spec.default.path))

    layer.Traverse(root, visit)
