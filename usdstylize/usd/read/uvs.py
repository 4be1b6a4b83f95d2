"""Which UVs an object's textures are read at, and what becomes of a mesh that has none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pxr import Usd

from usdstylize.errors import MeshError
from usdstylize.imaging import uv_raster
from usdstylize.model.affine_uvs import UVTransform, transform_uvs
from usdstylize.model.base_colors import BaseColor, DisplayColor, GraphColor, TextureFile
from usdstylize.model.geometry import Geometry
from usdstylize.model.objects import NewUVs, StageObject
from usdstylize.usd.io.primvars import find_primvar, read_uvs, uv_primvars, uvs_for
from usdstylize.usd.read.bindings import FaceSet
from usdstylize.usd.read.geometry import build_mesh, covers_area, read_geometry
from usdstylize.usd.read.looks import Look
from usdstylize.usd.read.unwrap import free_primvar, has_unwrapper, unwrap

__all__ = ["ObjectUVs", "choose_uvs", "new_uvs_of", "read_old_uvs"]

_PROBES = 512
"""Texels on a side when asking whether UVs overlap."""
_SLOW = 200_000
"""Corners of a mesh that xatlas takes minutes for."""


@dataclass(frozen=True, eq=False)
class ObjectUVs:
    """The UVs of a StageObject; the first four fields are StageObject's.

    of_corners: (C, 2) float64, one for every face corner of the mesh; None where the mesh gets new UVs,
    which take time and so are made only when the object is loaded.
    """

    primvar: str
    transform: UVTransform | None
    unwrapped: bool
    base: BaseColor
    of_corners: NDArray[np.float64] | None
    notes: tuple[str, ...] = ()


def choose_uvs(
    mesh: Usd.Prim, face_set: FaceSet, look: Look, time: Usd.TimeCode, geometry: Geometry
) -> ObjectUVs:
    """The UVs that the material names, or the mesh's own, or new ones where there are none.

    Raises MeshError where the UVs that are there do not fit the mesh, and where there are none
    and the extra `unwrap` is not installed.
    """
    own = uv_primvars(mesh)
    candidates = [uvs_for(mesh, look.uv_primvar)] if look.uv_primvar else own
    flat, shared = [], []
    for name in candidates:
        if look.uv_primvar and not own and find_primvar(mesh, name) is None:
            break
        uvs = transform_uvs(read_uvs(mesh, name, time, geometry), look.uv_transform)
        if covers_area(geometry, face_set.faces, uvs):
            if isinstance(look.base, DisplayColor) and _share_texels(geometry, face_set, uvs):
                shared.append(name)
                break
            return ObjectUVs(name, look.uv_transform, False, look.base, uvs, _renamed(look, name))
        flat.append(name)
    path = face_set.prim.GetPath()
    what = f"UVs in primvars:{flat[0]} that span no area" if flat else "no UVs"
    if shared:
        what = f"UVs in primvars:{shared[0]} that lay several faces over each other, whose colours differ"
    if flat and isinstance(look.base, TextureFile) and look.base.tiles:
        raise MeshError(f"{face_set.prim.GetTypeName()} {path} has {what}, on UDIM tiles; unwrap it again.")
    if isinstance(look.base, GraphColor):
        raise MeshError(
            f"{face_set.prim.GetTypeName()} {path} has {what}, which the graph {look.base.attribute} reads; "
            "unwrap it, or bake the graph into an image."
        )
    if not has_unwrapper():
        raise MeshError(
            f"{face_set.prim.GetTypeName()} {path} has {what}, and xatlas that would unwrap it is not "
            "installed; install usdstylize[unwrap], or author primvars:st."
        )
    name = free_primvar(mesh, face_set.prim)
    notes = [f"It has {what}; it is unwrapped, and the style layer brings primvars:{name}."]
    if len(geometry.point_of_corner) > _SLOW:
        notes.append("Its many faces take xatlas a minute or more.")
    base = look.base
    if isinstance(base, TextureFile):
        base = DisplayColor("faceVarying", flat[0] if flat else "", base, look.uv_transform)
        if not flat:
            notes.append("Without UVs its texture shows a single colour, which becomes the base.")
    return ObjectUVs(name, None, True, base, None, tuple(notes))


def _renamed(look: Look, name: str) -> tuple[str, ...]:
    if look.uv_primvar in (None, name):
        return ()
    return (
        f"Its texture reads primvars:{look.uv_primvar}, which it lacks, so viewers show one texel of the "
        f"original; the style reads primvars:{name}, its only UVs.",
    )


def _share_texels(geometry: Geometry, face_set: FaceSet, corner_uvs: NDArray[np.float64]) -> bool:
    """Whether one texture cannot hold colours that vary over the faces: their UVs overlap or tile."""
    label = f"{face_set.prim.GetTypeName()} {face_set.prim.GetPath()}"
    mesh, _ = build_mesh(geometry, face_set.faces, corner_uvs, label)
    uvs = mesh.uvs.astype(np.float64)
    first, second = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    needed = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum() / 2
    if needed > 1:
        return True
    covered = uv_raster.covered_texels(mesh.uvs, ("repeat", "repeat"), _PROBES).mean()
    # Every texel that is touched counts as covered, so that a difference means overlap.
    return bool(needed > 1.02 * covered)


def new_uvs_of(
    prim: Usd.Prim, obj: StageObject, faces: NDArray[np.bool_] | None, geometry: Geometry
) -> NewUVs:
    """The UVs of an unwrapped object. Raises MeshError where it cannot be unwrapped.

    geometry: as read at the frame. The earliest points are unwrapped, so that styles made at
    several frames can share the UVs.
    """
    earliest = read_geometry(prim, Usd.TimeCode.EarliestTime())
    if not (
        np.array_equal(earliest.counts, geometry.counts)
        and np.array_equal(earliest.point_of_corner, geometry.point_of_corner)
    ):
        raise MeshError(
            f"{obj.path} has no UVs and faces that change over time, which one unwrapping cannot fit; "
            "author primvars:st."
        )
    return unwrap(earliest, faces, obj.path)


def read_old_uvs(
    prim: Usd.Prim, base: DisplayColor, time: Usd.TimeCode, geometry: Geometry
) -> NDArray[np.float64]:
    """(C, 2) where the texture of an unwrapped mesh is read: its flat UVs, or (0, 0) without any."""
    corners = len(geometry.point_of_corner)
    uvs = read_uvs(prim, base.primvar, time, geometry) if base.primvar else np.zeros((corners, 2))
    return transform_uvs(uvs, base.transform)
