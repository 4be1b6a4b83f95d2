"""UDIM sets: a texture file per tile of UV space, named by 1001 + u + 10 v."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pxr import Sdf, Usd, UsdShade

from usdstylize.imaging import uv_raster
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import Mesh
from usdstylize.usd.io.images import ImageHeader, finest, read_header

__all__ = ["is_udim", "lost_triangles", "read_tile_headers", "resolve_tiles", "tile_files"]


def is_udim(path: str) -> bool:
    """Whether an asset path stands for a set of tiles."""
    return bool(UsdShade.UdimUtils.IsUdimIdentifier(path))


def resolve_tiles(attribute: Usd.Attribute, path: str, time: Usd.TimeCode) -> tuple[str, tuple[int, ...]]:
    """The resolved path, ``<UDIM>`` still in it, and the tiles that exist; empty where none does.

    attribute: holds ``path``, which is anchored to the layer of its strongest opinion.
    """
    layer = _layer_of(attribute, time)
    found = UsdShade.UdimUtils.ResolveUdimTilePaths(path, layer)
    if not found:
        return "", ()
    pattern = UsdShade.UdimUtils.ResolveUdimPath(path, layer)
    return pattern, tuple(sorted(int(tile) for _, tile in found))


def tile_files(resolved: str, tiles: Sequence[int]) -> list[str]:
    """The file of each tile."""
    return [resolved.replace("<UDIM>", str(tile)) for tile in tiles]


def _layer_of(attribute: Usd.Attribute, time: Usd.TimeCode) -> Sdf.Layer:
    for spec in attribute.GetPropertyStack(time):
        if spec.HasInfo("default") or spec.HasInfo("timeSamples"):
            return spec.layer
    return attribute.GetStage().GetRootLayer()


def read_tile_headers(files: Sequence[str]) -> ImageHeader:
    """One header for all tiles, with the largest size and the finest precision of them.

    Raises TextureError where a tile does not open.
    """
    headers = [read_header(file) for file in files]
    size = (max(h.size[0] for h in headers), max(h.size[1] for h in headers))
    return replace(headers[0], size=size, bit_depth=finest(header.bit_depth for header in headers))


def lost_triangles(mesh: Mesh, texture: TextureFile) -> int:
    """How many triangles lie on a tile that has no file."""
    return int(np.count_nonzero(~np.isin(uv_raster.udim_tiles(mesh.uvs), texture.tiles)))
