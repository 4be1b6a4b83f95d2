"""The two layers of a result as layers: metadata, sublayers, and saving them whole."""

import os
from pathlib import Path
from typing import Any

from pxr import Sdf, Tf

from usdstylize.errors import OutputError
from usdstylize.usd.io.paths import anchored

__all__ = ["copy_metadata", "new_root_layer", "new_style_layer", "save", "temporary_name"]

_NOT_COPIED = {"subLayers", "subLayerOffsets", "layerRelocates", "primOrder", "owner", "hasOwnedSubLayers"}
"""The source's own composition, which still counts, since the source is a sublayer; and the owners, which
name who may edit each sublayer."""
_SHARED = ("timeCodesPerSecond", "framesPerSecond")
"""A sublayer with another rate than its parent would be scaled in time."""


def new_root_layer(source: Sdf.Layer, source_path: Path, style_layer: Path, folder: Path) -> Sdf.Layer:
    """A layer with the source's metadata that stacks the style layer over the source."""
    layer = Sdf.Layer.CreateAnonymous(".usda")
    copy_metadata(source, layer, folder)
    layer.subLayerPaths = [anchored(style_layer, folder), anchored(source_path, folder)]
    return layer


def new_style_layer(source: Sdf.Layer) -> Sdf.Layer:
    """An empty layer that runs at the source's rate."""
    layer = Sdf.Layer.CreateAnonymous(".usda")
    for key in _SHARED:
        if source.pseudoRoot.HasInfo(key):
            layer.pseudoRoot.SetInfo(key, source.pseudoRoot.GetInfo(key))
    return layer


def copy_metadata(source: Sdf.Layer, target: Sdf.Layer, target_folder: Path) -> None:
    """All metadata of ``source``; asset paths are anchored anew."""
    for key in source.pseudoRoot.ListInfoKeys():
        if key not in _NOT_COPIED:
            value = _moved(source.pseudoRoot.GetInfo(key), source, target_folder)
            target.pseudoRoot.SetInfo(key, value)


def _moved(value: Any, source: Sdf.Layer, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, source, folder) for key, item in value.items()}
    if isinstance(value, Sdf.AssetPathArray):
        return Sdf.AssetPathArray([_moved(item, source, folder) for item in value])
    if not isinstance(value, Sdf.AssetPath) or not value.path or os.path.isabs(value.path):
        return value
    # A search path that resolves beside the source becomes relative; any other stays as it is.
    absolute = source.ComputeAbsolutePath(value.path)
    return Sdf.AssetPath(anchored(absolute, folder)) if os.path.isabs(absolute) else value


def temporary_name(path: Path) -> Path:
    """A hidden name beside ``path`` with its suffix, which chooses the format."""
    return path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")


def save(layer: Sdf.Layer, path: Path) -> Path:
    """Write the layer whole under a temporary name beside ``path``; returns that name.

    Raises OutputError.
    """
    temporary = temporary_name(path)
    try:
        complete = layer.Export(str(temporary)) and temporary.stat().st_size > 0
        # A full disk may cut a text file short without an error: only reading it back shows.
        complete = complete and Sdf.Layer.OpenAsAnonymous(str(temporary)) is not None
        reason = "the disk may be full"
    except (Tf.ErrorException, OSError) as error:
        complete, reason = False, str(error).strip().splitlines()[-1].strip()
    if not complete:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path} cannot be written ({reason}); free some space or choose another folder with --output."
        )
    return temporary
