"""Every file that the composed stage and its objects read, with its hash."""

from collections.abc import Iterator, Sequence

from pxr import Ar, Sdf, Tf, Usd, UsdShade

from usdstylize.errors import TextureError
from usdstylize.model.base_colors import GraphColor, TextureFile
from usdstylize.model.objects import FileHash, StageObject
from usdstylize.usd.io.assets import hash_file
from usdstylize.usd.io.mtlx_layers import included_documents
from usdstylize.usd.io.udim import is_udim, resolve_tiles, tile_files
from usdstylize.usd.read.masks import mask_files

__all__ = ["sources"]


def sources(stage: Usd.Stage, objects: Sequence[StageObject], time: Usd.TimeCode) -> tuple[FileHash, ...]:
    """Layers, base colours, and whatever else the objects' materials read: roughness, normals, …

    What does not resolve or cannot be read is left out. Of a package the package itself is named.
    Raises TextureError where a layer or a base colour can no longer be read.
    """
    layers = [layer for layer in stage.GetUsedLayers() if not layer.anonymous]
    needed = {layer.realPath or layer.identifier for layer in layers}
    needed |= {file for layer in layers for file in included_documents(layer)}
    bases = [found.base for found in objects]
    needed |= {file for base in bases if isinstance(base, TextureFile | GraphColor) for file in base.files}
    needed |= {file for found in objects for file in mask_files(found)}
    hashes = {file: hash_file(file) for file in {_outermost(file) for file in needed}}
    seen: set[Sdf.Path] = set()
    for material in {found.material_path for found in objects if found.material_path}:
        for file in map(_outermost, _material_files(stage.GetPrimAtPath(material), time, seen)):
            if file not in hashes:
                try:
                    hashes[file] = hash_file(file)
                except TextureError:
                    continue
    return tuple(FileHash(file, digest) for file, digest in sorted(hashes.items()))


def _outermost(file: str) -> str:
    """The package that a file lies in, which changes with it; else the file itself."""
    return Ar.SplitPackageRelativePathOuter(file)[0] if Ar.IsPackageRelativePath(file) else file


def _material_files(material: Usd.Prim, time: Usd.TimeCode, seen: set[Sdf.Path]) -> Iterator[str]:
    """Resolved files of the shaders in a material, and of those outside that feed them."""
    everything = Usd.TraverseInstanceProxies(Usd.PrimAllPrimsPredicate)
    pending = list(Usd.PrimRange(material, everything)) if material else []
    while pending:
        prim = pending.pop()
        if prim.GetPath() in seen:
            continue
        seen.add(prim.GetPath())
        for attribute in prim.GetAuthoredAttributes():
            for source in _connections(attribute):
                feeding = material.GetStage().GetPrimAtPath(source.GetPrimPath())
                if feeding and UsdShade.ConnectableAPI(feeding):
                    pending.append(feeding)
            if attribute.GetTypeName() == Sdf.ValueTypeNames.Asset:
                yield from _files(attribute, time)


def _connections(attribute: Usd.Attribute) -> list[Sdf.Path]:
    try:
        return list(attribute.GetConnections())
    except Tf.ErrorException:  # an attribute here, a relationship in another layer: nothing feeds that
        return []


def _files(attribute: Usd.Attribute, time: Usd.TimeCode) -> Iterator[str]:
    asset = attribute.Get(time)
    if not isinstance(asset, Sdf.AssetPath) or not asset.path:
        return
    if is_udim(asset.path):
        try:
            yield from tile_files(*resolve_tiles(attribute, asset.path, time))
        except Tf.ErrorException:  # a path that is none
            return
    elif asset.resolvedPath:
        yield asset.resolvedPath
