"""Where an object is stylised: a mask by an image in its UVs, or by a primvar of its mesh."""

import os
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

from usdstylize.config.options import StageOptions
from usdstylize.errors import MeshError, SettingsError
from usdstylize.imaging import uv_raster
from usdstylize.model.base_colors import Wrap
from usdstylize.model.geometry import Geometry
from usdstylize.model.objects import ObjectSettings, StageObject
from usdstylize.usd.io.assets import package_stamp
from usdstylize.usd.io.images import read_image
from usdstylize.usd.io.primvars import find_primvar, read_corner_values
from usdstylize.usd.io.udim import is_udim, tile_files

__all__ = ["image_masks", "mask_files", "primvar_masks", "read_mask_values", "shows_nothing", "with_options"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_TYPES = frozenset(f"{kind}{many}" for kind in ("float", "half", "double") for many in ("", "[]"))
_RESOLUTION = 1024
"""Texels on a side of the image that a primvar is rasterised into."""
_ROUGH = 256
"""Texels on a side, by which it is seen whether a mask shows anything at all."""
_FIRST_TILE = 1001


def with_options(settings: ObjectSettings, options: StageOptions) -> ObjectSettings:
    """The settings with the mask of the run, where it has one."""
    if options.mask_image is not None:
        # Not resolved: a link may be what the artist renames.
        image = type(options.mask_image)(os.path.abspath(options.mask_image))
        return replace(settings, mask_image=image)
    if options.mask_primvar is not None:
        return replace(settings, mask_image=None, mask_primvar=options.mask_primvar)
    return settings


def mask_files(obj: StageObject) -> list[str]:
    """The image of each UDIM tile of T, or the single one; none where the object has no mask image.

    Raises SettingsError where the mask has no image for each tile, or the object no UVs of its own.
    """
    if obj.settings.mask_image is None:
        return []
    image = str(obj.settings.mask_image)
    if obj.unwrapped:
        raise SettingsError(
            f"{obj.path} has no UVs in which its mask {image} could be painted; give --mask-primvar instead."
        )
    if obj.tiles and not is_udim(image):
        raise SettingsError(
            f"{obj.path} reads a UDIM set, and its mask {image} is a single image; "
            "paint one for each tile, with <UDIM> in the name."
        )
    if is_udim(image) and not obj.tiles:
        raise SettingsError(
            f"{obj.path} reads no UDIM set, and its mask {image} is one; give a single image."
        )
    return tile_files(image, obj.tiles) if obj.tiles else [image]


def image_masks(obj: StageObject) -> tuple[Float32, ...]:
    """As ``ObjectData.masks``, of an object with a mask image: its first channel, whatever its encoding.

    Raises TextureError where an image cannot be read or holds NaN, SettingsError as `mask_files`.
    """
    return tuple(_read(file, _stamp(file)) for file in mask_files(obj))


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return package_stamp(file)
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _read(file: str, stamp: tuple[int, int] | None) -> Float32:
    """The mask of a whole run is read for every object. ``stamp``: of the file as it is now."""
    values = np.clip(read_image(file)[..., 0], np.float32(0), np.float32(1))
    values.setflags(write=False)
    return values


def read_mask_values(prim: Usd.Prim, name: str, time: Usd.TimeCode, geometry: Geometry) -> Float64:
    """(C, 1) float64, 0..1, the mask's value at every face corner of the mesh.

    Raises MeshError where the mesh has no such primvar, or it holds no finite floats that fit the mesh.
    """
    primvar = find_primvar(prim, name)
    if primvar is None:
        raise MeshError(
            f"Mesh {prim.GetPath()} has no primvars:{name}, which is to be its mask ({_others(prim)}); "
            "author it, or give another --mask-primvar."
        )
    if str(primvar.GetTypeName()) not in _TYPES:
        raise MeshError(
            f"Mesh {prim.GetPath()} has primvars:{name} of type {primvar.GetTypeName()}, which is no mask; "
            "author float[]."
        )
    return np.clip(read_corner_values(prim, primvar, time, geometry, components=1), 0.0, 1.0)


def _others(prim: Usd.Prim) -> str:
    found = UsdGeom.PrimvarsAPI(prim).FindPrimvarsWithInheritance()
    names = sorted(p.GetPrimvarName() for p in found if str(p.GetTypeName()) in _TYPES)
    return f"its float primvars are {', '.join(names)}" if names else "it has no float primvar"


def primvar_masks(obj: StageObject, uvs: Float32, values: NDArray[np.floating]) -> tuple[Float32, ...]:
    """As ``ObjectData.masks``, from values (F, 3, 1) at the corners of triangles with UVs (F, 3, 2)."""
    if not obj.tiles:
        return (_rasterised(uvs, values, obj.wrap),)
    places = [divmod(tile - _FIRST_TILE, 10)[::-1] for tile in obj.tiles]
    return tuple(
        _rasterised(uvs - np.array(place, np.float32), values, ("clamp", "clamp")) for place in places
    )


def _rasterised(uvs: Float32, values: NDArray[np.floating], wrap: tuple[Wrap, Wrap]) -> Float32:
    image, covered = uv_raster.rasterize_vertex_colors(uvs, values, _RESOLUTION, wrap)
    mask: Float32 = np.where(covered, np.clip(image[..., 0], 0, 1), np.float32(np.nan))
    return mask


def shows_nothing(obj: StageObject, uvs: Float32) -> bool:
    """Whether the object's mask image is 0 wherever its UVs (F, 3, 2) lie. Raises as `image_masks`."""
    masks = image_masks(obj)
    if not masks or obj.tiles:
        return bool(masks) and not any(mask.any() for mask in masks)
    covered = uv_raster.covered_texels(uvs, obj.wrap, _ROUGH)
    return not (covered & (_largest(_largest(masks[0]).T).T > 0)).any()


def _largest(mask: Float32) -> Float32:
    """The mask (H, W) with so few rows, each the largest of those that it stands for; or so many."""
    starts = np.arange(_ROUGH) * len(mask) // _ROUGH
    rows: Float32 = np.maximum.reduceat(mask, starts) if len(mask) >= _ROUGH else mask[starts]
    return rows
