"""A package's contents as a result of its own, in a temporary folder."""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pxr import Sdf, UsdUtils

from usdstylize.errors import OutputError
from usdstylize.usd.io.paths import anchored
from usdstylize.usd.io.udim import is_udim
from usdstylize.usd.write import (
    Provenance,
    ResultLayout,
    packed_facts,
    read_layer,
    read_provenance,
    write_provenance,
)

__all__ = ["unpacked"]

_LAYERS = (".usd", ".usda", ".usdc")


@contextmanager
def unpacked(package: Path) -> Iterator[Path]:
    """The root layer of a package that holds a result, for as long as the block lasts.

    Its source is the one that the package holds, of which no hash is known. Raises OutputError where the
    package cannot be read, or holds no result.
    """
    try:
        archive = zipfile.ZipFile(package)
    except (OSError, zipfile.BadZipFile) as problem:
        raise OutputError(f"{package} cannot be read ({problem}); pack it again with --package.") from problem
    with archive, TemporaryDirectory(prefix="usdstylize-", ignore_cleanup_errors=True) as name:
        folder = Path(os.path.realpath(name))
        try:
            archive.extractall(folder)
        except (OSError, zipfile.BadZipFile) as problem:
            raise OutputError(
                f"{package} cannot be unpacked into {folder} ({problem}); free some space there, name "
                "another folder in TMPDIR, or pack it again."
            ) from problem
        root = folder / archive.namelist()[0] if archive.namelist() else folder
        _make_result(package, root)
        yield root


def _make_result(package: Path, root: Path) -> None:
    """Let the layers name what lies beside them now, and write the facts that they hold as run.json."""
    layer = read_layer(root)
    found = read_provenance(layer, package.parent) if layer else None
    if layer is None or found is None:
        raise OutputError(f"{package} is no package of usdstylize; give one that --package has written.")
    # A style's name becomes the name of a folder.
    facts = {name: text for name, text in packed_facts(layer).items() if name.isidentifier()}
    if not facts:
        raise OutputError(
            f"{package} says nothing of its objects, as one that an older version has packed; pack it again."
        )
    style, source = _sublayers(package, root, layer)
    layout = ResultLayout.of_style_layer(style)
    for name in found.styles.keys() & facts.keys():
        run = layout.style(name).run
        text = _with_ocio(package, facts[name], package.parent / run.parent.relative_to(root.parent))
        run.parent.mkdir(parents=True, exist_ok=True)
        run.write_text(text, encoding="utf-8")
    provenance = Provenance(
        found.version, source, {name: replace(record, sources=()) for name, record in found.styles.items()}
    )
    for path in sorted(file for file in root.parent.rglob("*") if file.suffix in _LAYERS):
        here = read_layer(path)
        if here is None:
            continue
        moved = _anchor(here, path.parent, root.parent)
        if path in (root, style):
            write_provenance(here, provenance, path.parent)
        if moved or path in (root, style):
            here.Export(str(path))


def _anchor(layer: Sdf.Layer, here: Path, top: Path) -> bool:
    """Let a layer in the folder ``here`` name files from there: in a package, names may start at the ``top``.

    Returns whether any did.
    """
    moved = []

    def anchored_path(asset: str) -> str:
        if not asset or asset.startswith((".", "/")) or "://" in asset:
            return asset
        tiles = top.glob(asset.replace("<UDIM>", "[0-9]*")) if is_udim(asset) else ()
        if not (top / asset).exists() and not any(tiles):
            return asset
        moved.append(asset)
        return anchored(top / asset, here)

    UsdUtils.ModifyAssetPaths(layer, anchored_path)
    return bool(moved)


def _sublayers(package: Path, root: Path, layer: Sdf.Layer) -> tuple[Path, Path]:
    """The style layer and the source. Raises OutputError where one is lost."""
    paths = [Path(os.path.normpath(root.parent / path)) for path in layer.subLayerPaths]
    for path in paths:
        found = read_layer(path)
        if found is not None and read_provenance(found, path.parent) is not None:
            others = [other for other in paths if other != path]
            if others:
                return path, others[0]
    raise OutputError(f"{package} has lost its style layer or its source; pack it again with --package.")


def _with_ocio(package: Path, text: str, folder: Path) -> str:
    """A run.json of the facts, with absolute paths of OCIO configurations, which no package holds.

    folder: that their paths are relative to. Raises OutputError where they are not as they were packed.
    """
    try:
        written = json.loads(text)
        for facts in written.values():
            if facts.get("ocio"):
                facts["ocio"] = os.path.normpath(folder / facts["ocio"])
    except (AttributeError, RecursionError, TypeError, ValueError) as problem:
        raise OutputError(
            f"{package} says of its objects what usdstylize never wrote; pack it again with --package."
        ) from problem
    return json.dumps({"written": written})
