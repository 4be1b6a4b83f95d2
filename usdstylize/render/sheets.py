"""Objects that are rendered together: one mesh, and a sheet for each texture to optimise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from usdstylize.errors import MeshError
from usdstylize.imaging import uv_raster
from usdstylize.model.base_colors import PLAIN, GraphColor, Transfer, Wrap
from usdstylize.model.objects import Mesh, ObjectData, StageObject

__all__ = ["Assembly", "Sheet", "assemble", "normalize", "one_sheet"]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

_FIRST_TILE = 1001


@dataclass(frozen=True, eq=False)
class Sheet:
    """One texture: that of a look, or one UDIM tile of it.

    base: (H, W, 3) float32, row 0 the top, what ``transfer`` makes T of once it is filtered. wrap: in s
    and in t. mask: as one of ``ObjectData.masks``; None where all of it is stylised.
    """

    base: Float32
    wrap: tuple[Wrap, Wrap]
    transfer: Transfer = PLAIN
    mask: Float32 | None = None


@dataclass(frozen=True, eq=False)
class Assembly:
    """mesh: the triangles of all objects, in the unit sphere; UVs are those of their sheet.

    sheet_of_triangle: (F,) int64. sheets_of_object: for each object the indices of its sheets,
    in the order of ``ObjectData.bases``; objects of one look have the same.
    """

    mesh: Mesh
    sheets: tuple[Sheet, ...]
    sheet_of_triangle: Int64
    sheets_of_object: tuple[tuple[int, ...], ...]
    radius: float = 1.0
    """Metres: of the bounding sphere that became the unit sphere."""
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Metres: of that sphere."""
    most_texels: int | None = None
    """On a side of T_S, where T is computed by a graph."""
    object_of_triangle: Int64 | None = None
    """(F,): the number of the object; None where there is only one."""

    def uvs_of(self, sheet: int) -> Float32:
        """(T, 3, 2) of the triangles on one sheet."""
        chosen: Float32 = self.mesh.uvs[self.sheet_of_triangle == sheet]
        return chosen


def assemble(objects: Sequence[StageObject], data: Sequence[ObjectData]) -> Assembly:
    """The objects of one group, with as many sheets as they have looks and tiles.

    Triangles on a UDIM tile that has no file show no texture and are left out. Raises MeshError
    where nothing remains of an object.
    """
    sheets: list[Sheet] = []
    of_look: dict[str, tuple[int, ...]] = {}
    meshes, numbers = [], []
    for obj, item in zip(objects, data, strict=True):
        tiles = obj.tiles
        look = obj.look or obj.name
        if look not in of_look:
            of_look[look] = tuple(range(len(sheets), len(sheets) + len(item.bases)))
            wrap: tuple[Wrap, Wrap] = ("clamp", "clamp") if tiles else obj.wrap
            sheets += [Sheet(base, wrap, item.transfer) for base in item.bases]
        for own, mask in zip(of_look[look], item.masks, strict=bool(item.masks)):
            sheets[own] = replace(sheets[own], mask=_joined(sheets[own].mask, mask))
        mesh, number = item.mesh, np.full(len(item.mesh.triangles), of_look[look][0], np.int64)
        if tiles:
            mesh, tile = _on_tiles(mesh, tiles, obj.path)
            number = np.array(of_look[look], np.int64)[tile]
        meshes.append(mesh)
        numbers.append(number)
    offsets = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    joined = Mesh(
        points=np.concatenate([mesh.points for mesh in meshes]),
        triangles=np.concatenate(
            [mesh.triangles + np.int32(offset) for mesh, offset in zip(meshes, offsets, strict=True)]
        ),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        uvs=np.concatenate([mesh.uvs for mesh in meshes]),
    )
    owned = tuple(of_look[obj.look or obj.name] for obj in objects)
    graphs = [
        max(base.shape[:2])
        for obj, item in zip(objects, data, strict=True)
        for base in item.bases
        if isinstance(obj.base, GraphColor)
    ]
    center, radius = _sphere(joined)
    counts = [len(mesh.triangles) for mesh in meshes]
    return Assembly(
        normalize(joined),
        tuple(sheets),
        np.concatenate(numbers),
        owned,
        radius,
        (float(center[0]), float(center[1]), float(center[2])),
        min(graphs, default=None),
        np.repeat(np.arange(len(counts)), counts) if len(counts) > 1 else None,
    )


def one_sheet(mesh: Mesh, base: Float32, wrap: tuple[Wrap, Wrap], transfer: Transfer = PLAIN) -> Assembly:
    """A single mesh, normalised already, with a single texture."""
    return Assembly(mesh, (Sheet(base, wrap, transfer),), np.zeros(len(mesh.triangles), np.int64), ((0,),))


def _joined(first: Float32 | None, second: Float32) -> Float32:
    """Masks of two objects of one look: that of the first where it has values."""
    if first is None:
        return second
    return np.where(np.isnan(first), second, first) if first.shape == second.shape else first


def _on_tiles(mesh: Mesh, tiles: Sequence[int], path: str) -> tuple[Mesh, Int64]:
    """The triangles on the given tiles, their UVs moved to 0..1, and the place of each one's tile."""
    tile = uv_raster.udim_tiles(mesh.uvs)
    kept = np.isin(tile, tiles)
    if not kept.any():
        raise MeshError(
            f"{path} has no UVs on any tile of its UDIM texture; fix its UVs or restore the tiles."
        )
    row, column = np.divmod(tile[kept] - _FIRST_TILE, 10)
    uvs = mesh.uvs[kept] - np.stack([column, row], axis=-1)[:, None, :].astype(np.float32)
    place = np.searchsorted(np.array(tiles), tile[kept])
    return Mesh(mesh.points, mesh.triangles[kept], mesh.normals[kept], uvs), place


def normalize(mesh: Mesh) -> Mesh:
    """The mesh moved and scaled so that its bounding sphere is the unit sphere at the origin."""
    center, radius = _sphere(mesh)
    points = ((mesh.points - center) / radius).astype(np.float32)
    return Mesh(points, mesh.triangles, mesh.normals, mesh.uvs)


def _sphere(mesh: Mesh) -> tuple[NDArray[np.float64], float]:
    """Centre (3,) and radius of the sphere that bounds the triangles, about the middle of their box."""
    used = mesh.points[np.unique(mesh.triangles)].astype(np.float64)
    center = (used.min(0) + used.max(0)) / 2
    return center, float(np.linalg.norm(used - center, axis=1).max())
