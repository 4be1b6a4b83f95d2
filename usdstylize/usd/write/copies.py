"""Copies that stay while the object whose files they read is made anew: they keep those files."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pxr import Sdf

from usdstylize.usd.io.paths import anchored
from usdstylize.usd.write.layout import StyleLayout
from usdstylize.usd.write.sharing import materials
from usdstylize.usd.write.unfinished import Finished

__all__ = ["keep_files", "point_at_files"]

Facts = dict[str, Any]


def keep_files(
    written: Mapping[str, Facts], finished: Mapping[str, Finished], final: StyleLayout, folder: Path
) -> tuple[dict[str, Facts], list[str]]:
    """For the first copy that stays, copy the files of each original that does not.

    written: facts of the earlier run, by name. finished: what is made anew. folder: where each such copy gets
    a folder of its own, to be moved to its final place.
    Returns the facts of the objects that stay, that copy the original of the others now; and its name.
    """
    staying = {name: facts for name, facts in sorted(written.items()) if name not in finished}
    heirs: dict[str, str] = {}
    for name, facts in staying.items():
        original = facts.get("copy_of", "")
        # What is in its final place was made before a kill, and its copies have their files already.
        if original not in finished or finished[original].folder == final.object(original):
            continue
        heir = heirs.setdefault(original, name)
        hashes = {}
        if heir == name:
            target = folder / heir
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for file, digest in written[original]["hashes"].items():
                renamed = heir + file.removeprefix(original)
                hashes[renamed] = digest
                shutil.copyfile(final.object(original) / file, target / renamed)
        files = [path.replace(f"/{original}/{original}.", f"/{heir}/{heir}.") for path in facts["files"]]
        copy_of = "" if heir == name else heir
        staying[name] = {**facts, "copy_of": copy_of, "files": files, "hashes": hashes}
    return staying, list(heirs.values())


def point_at_files(
    layer: Sdf.Layer, staying: Mapping[str, Facts], final: StyleLayout, layer_folder: Path
) -> None:
    """Let the materials of objects that stay read their files where they lie now."""
    start = f"{anchored(final.folder, layer_folder)}/"
    for material in materials(layer):
        if material.name not in staying:
            continue
        owner = staying[material.name].get("copy_of") or material.name

        def visit(path: Sdf.Path, owner: str = owner) -> None:
            spec = layer.GetAttributeAtPath(path) if path.IsPropertyPath() else None
            if spec is None or not isinstance(spec.default, Sdf.AssetPath):
                return
            there, _, file = spec.default.path.removeprefix(start).partition("/")
            if spec.default.path.startswith(start) and there != owner:
                spec.default = Sdf.AssetPath(f"{start}{owner}/{owner}{file.removeprefix(there)}")

        layer.Traverse(material.path, visit)
