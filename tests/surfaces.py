"""Plain surfaces of a given size in metres, for tests of cameras and pattern widths."""

import numpy as np
from numpy.typing import NDArray

from usdstylize import render
from usdstylize.model.objects import Mesh

__all__ = ["assembled", "box", "plane", "together"]


def plane(width: float, height: float, *, z: float = 0.0, pieces: int = 4) -> Mesh:
    """An upright rectangle that faces +Z about (0, 0, z); its UVs fill 0..1."""
    across, up = np.meshgrid(np.linspace(0, 1, pieces + 1), np.linspace(0, 1, pieces + 1))
    uvs = np.stack([across, up], -1).reshape(-1, 2)
    points = np.concatenate([(uvs - 0.5) * (width, height), np.full((len(uvs), 1), z)], 1)
    index = np.arange((pieces + 1) ** 2).reshape(pieces + 1, -1)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    triangles = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)]).astype(np.int32)
    normals = np.broadcast_to(np.array([0, 0, 1], np.float32), (len(triangles), 3, 3))
    return Mesh(points.astype(np.float32), triangles, normals.copy(), uvs[triangles].astype(np.float32))


def box(size: float) -> Mesh:
    """A cube about the origin, a face in each of 3 × 2 islands of the UVs."""
    turns = [
        ((0, 1, 2), 1),
        ((0, 1, 2), -1),
        ((1, 2, 0), 1),
        ((1, 2, 0), -1),
        ((2, 0, 1), 1),
        ((2, 0, 1), -1),
    ]
    points, uvs, triangles, normals = [], [], [], []
    for number, (axes, sign) in enumerate(turns):
        corner = np.array([(-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)], float) * (1, 1, sign)
        placed = np.empty_like(corner)
        placed[:, axes] = corner
        order = [(0, 1, 2), (0, 2, 3)] if sign > 0 else [(0, 2, 1), (0, 3, 2)]
        column, row = number % 3, number // 3
        island = (np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * 0.9 + 0.05 + (column, row)) / (3, 2)
        triangles += [[index + 4 * number for index in face] for face in order]
        uvs.append(island)
        points.append(placed * size / 2)
        normal = np.zeros(3)
        normal[axes[2]] = sign
        normals += [np.tile(normal, (3, 1))] * 2
    faces = np.array(triangles, np.int32)
    return Mesh(
        np.concatenate(points).astype(np.float32),
        faces,
        np.stack(normals).astype(np.float32),
        np.concatenate(uvs)[faces].astype(np.float32),
    )


def assembled(mesh: Mesh, wrap: tuple[str, str] = ("clamp", "clamp")) -> render.Assembly:
    """The mesh as an object of its own, grey, in the unit sphere."""
    from dataclasses import replace

    from balls import describe

    from usdstylize.model.objects import ObjectData

    grey: NDArray[np.float32] = np.full((1, 1, 3), 0.5, np.float32)
    made = render.assemble([describe()], [ObjectData(mesh, (grey,))])
    return replace(made, sheets=tuple(replace(sheet, wrap=wrap) for sheet in made.sheets))


def together(*meshes: Mesh) -> render.Assembly:
    """Each mesh as an object of its own, grey, all in the unit sphere."""
    from dataclasses import replace

    from balls import describe

    from usdstylize.model.objects import ObjectData

    grey: NDArray[np.float32] = np.full((1, 1, 3), 0.5, np.float32)
    objects = [
        replace(describe(), path=f"/O{n}", mesh_path=f"/O{n}", name=f"O{n}") for n in range(len(meshes))
    ]
    return render.assemble(objects, [ObjectData(mesh, (grey,)) for mesh in meshes])
