"""UDIM tiles in a package: USD's own packing loses those that are not in the root layer's folder."""

import os
import posixpath
import shutil
import tempfile
from pathlib import Path

from pxr import Ar, Sdf, Usd, UsdUtils

from usdstylize.errors import OutputError
from usdstylize.usd.io.udim import is_udim, resolve_tiles, tile_files

__all__ = ["add_lost_tiles"]

_FOLDER = "tiles"


def add_lost_tiles(package: Path, result: Usd.Stage, lost: list[str]) -> None:
    """Write the package anew with the tiles that attributes ``lost`` name, and their paths in its layers.

    result: the stage that was packed, which finds them. Raises OutputError where the package
    cannot be written.
    """
    opened = Usd.Stage.Open(str(package))
    folders: dict[str, str] = {}
    paths: dict[str, dict[str, str]] = {}
    files: dict[str, str] = {}
    for name in lost:
        packed, original = opened.GetAttributeAtPath(name), result.GetAttributeAtPath(name)
        asset = original.Get()
        if not isinstance(asset, Sdf.AssetPath) or not is_udim(asset.path):
            continue
        found, tiles = resolve_tiles(original, asset.path, Usd.TimeCode.Default())
        layer = next(spec.layer for spec in packed.GetPropertyStack() if spec.HasInfo("default"))
        _, inner = Ar.SplitPackageRelativePathOuter(layer.realPath)
        # The tile's number may be part of a folder's name, which is then kept.
        above = posixpath.dirname(found.partition("<UDIM>")[0])
        folder = folders.setdefault(above, f"{_FOLDER}/{len(folders)}")
        target = f"{folder}/{found.removeprefix(above).lstrip('/')}"
        relative = posixpath.relpath(target, posixpath.dirname(inner) or ".")
        paths.setdefault(inner, {})[packed.Get().path] = relative if relative[0] == "." else f"./{relative}"
        files |= dict(zip(tile_files(target, tiles), tile_files(found, tiles), strict=True))
    del opened
    if files:
        _write(package, paths, files)


def _write(package: Path, paths: dict[str, dict[str, str]], files: dict[str, str]) -> None:
    """paths: by the layer's name in the package, what its asset paths become. files: what to add."""
    archive = Sdf.ZipFile.Open(str(package))
    with tempfile.TemporaryDirectory(prefix="usdstylize-") as folder:
        target = os.path.join(folder, "whole.usdz")
        writer = Sdf.ZipFileWriter.CreateNew(target)
        for number, name in enumerate(archive.GetFileNames()):
            if name.startswith("../"):  # where USD has put tiles that nothing finds there
                continue
            copy = os.path.join(folder, f"{number}{posixpath.splitext(name)[1]}")
            if name in paths:
                layer = Sdf.Layer.OpenAsAnonymous(f"{package}[{name}]")
                renamed = paths[name]
                UsdUtils.ModifyAssetPaths(layer, lambda path, renamed=renamed: renamed.get(path, path))
                layer.Export(copy)
            else:
                Path(copy).write_bytes(archive.GetFile(name))
            writer.AddFile(copy, name)
            os.unlink(copy)
        for name, file in files.items():
            copy = os.path.join(folder, posixpath.basename(name))
            Path(copy).write_bytes(Ar.GetResolver().OpenAsset(Ar.ResolvedPath(file)).GetBuffer())
            writer.AddFile(copy, name)
        if not writer.Save():
            raise OutputError(f"{package} cannot be written anew with its UDIM tiles; free some space.")
        del archive
        shutil.copyfile(target, package)
