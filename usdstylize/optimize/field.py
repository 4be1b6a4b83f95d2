"""T_S as a field in space: a multiresolution grid (Müller et al. 2022, Instant-NGP), read at surface points.

Every texel shows points of the surface. These are known before the optimisation begins and never change,
and so are the grid's nodes around them: each gets a row of its own, where Instant-NGP hashes the nodes of a
level into a table of fixed size (its Eq. 4) and leaves it to a network to tell those apart that share a
row. Without collisions no network is needed: each level holds colours, and their sum is T_S.

So T_S is linear in the nodes. The grids are nested, each finer by a factor of two (Eq. 2 with b = 2): a
coarse level is read at the nodes of the next finer one, and only the finest at the points, which gives the
same sum at a fraction of the cost. Each such step, and its gradient, is a table of rows and weights, made
once. Nothing is scattered, so that a sum has one order and the same bits in every run.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.imaging import gutters, uv_points
from usdstylize.model.base_colors import Wrap
from usdstylize.model.objects import Mesh
from usdstylize.render import Assembly

__all__ = ["Field", "apart", "coarser", "texel_size", "trilinear"]

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_FINEST = 1.25
"""Cells of the finest level, in mean texels. Smaller ones leave noise between texels, which a seam shows;
with larger ones the edges of T shine through close to the camera."""
_COARSEST = 0.25
"""Cells of the coarsest level are at least so wide; the bounding sphere has radius 1."""
_SHARE = 0.25
"""How fast each level learns beside the next finer one: as much slower as one of its nodes sees more texels.
With more, broad dark and light patches replace those of the original (docs/textures.md)."""
_APART = 2.0
"""Mean texels by which the surface is moved outwards, so that the two sides of a thin wall are apart."""
_OPPOSITE = -0.5
"""Cosine of the angle from which on two faces that meet are the two sides of a wall, and no crease."""
_LEAST_CELL = 2.0**-18
"""So that the number of a node fits into an int64."""
_CORNERS = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
"""Those of a cell, from its first node."""


class Field:
    """Makes T_S of its parameters: linear in them, 0 where they are, and continuous on the surface."""

    def __init__(self, assembly: Assembly, size: int, device: str) -> None:
        """size: width and height of T_S on every sheet."""
        texel = texel_size(assembly.mesh, size)
        corners = apart(assembly.mesh, _APART * texel)
        points, texels = [np.zeros((0, 3), np.float32)], [np.zeros(0, np.int64)]
        for number, sheet in enumerate(assembly.sheets):
            own = corners[assembly.sheet_of_triangle == number]
            found = uv_points.texel_points(assembly.uvs_of(number), own, sheet.wrap, size, texel)
            points.append(found.points)
            texels.append(found.texels + number * size**2)
        seen, texel_of_point, counts = np.unique(
            np.concatenate(texels), return_inverse=True, return_counts=True
        )
        self.shown: Bool = np.zeros((len(assembly.sheets), size, size), dtype=bool)
        """(S, R, R): the texels that show points of the surface; each other one takes the nearest's value."""
        self.shown.reshape(-1)[seen] = True
        cell = max(_FINEST * texel, _LEAST_CELL)
        nodes, around, shares = trilinear(np.concatenate(points).astype(np.float64), cell)
        self._steps = [
            _Linear(
                np.repeat(texel_of_point, 8),
                around.ravel(),
                (shares / counts[texel_of_point][:, None]).ravel(),
                (len(seen), len(nodes)),
                device,
            ),
            _filling(self.shown, [sheet.wrap for sheet in assembly.sheets], device),
        ]
        """From one level's nodes to those of the next, to the texels that show points, to all texels."""
        counts_of_nodes = [len(nodes)]
        while cell < _COARSEST:
            cell *= 2
            nodes, rows, columns, weights = coarser(nodes)
            self._steps.insert(0, _Linear(rows, columns, weights, (counts_of_nodes[0], len(nodes)), device))
            counts_of_nodes.insert(0, len(nodes))
        self._nodes = counts_of_nodes
        """Of each level, the coarsest first."""
        self._rates = [_SHARE**level for level in reversed(range(len(self._nodes)))]
        self._device = device

    def parameters(self) -> Tensor:
        """(N, 3) float32 zeros: each level's nodes, the coarsest first."""
        return torch.zeros(sum(self._nodes), 3, device=self._device)

    def texture(self, parameters: Tensor) -> Tensor:
        """(S, R, R, 3) float32, T_S; the gradient goes to the parameters."""
        return _Texture.apply(parameters, self)  # type: ignore[no-any-return, no-untyped-call]

    def forward(self, parameters: Tensor) -> Tensor:
        """`texture` without a gradient."""
        parts = torch.split(parameters, self._nodes)
        levels = [part * rate for part, rate in zip(parts, self._rates, strict=True)]
        values = levels[0]
        for step, finer in zip(self._steps, levels[1:], strict=False):
            values = step(values).add_(finer)
        for step in self._steps[-2:]:
            values = step(values)
        return values.view(*self.shown.shape, 3)

    def backward(self, gradient: Tensor) -> Tensor:
        """The parameters' gradient, of that of the texture."""
        values = gradient.reshape(-1, 3)
        for step in reversed(self._steps[-2:]):
            values = step.transposed(values)
        levels = [values]
        for step in reversed(self._steps[:-2]):
            values = step.transposed(values)
            levels.insert(0, values)
        return torch.cat([level * rate for level, rate in zip(levels, self._rates, strict=True)])


class _Texture(torch.autograd.Function):
    """`Field.forward` and its gradient."""

    @staticmethod
    def forward(ctx, parameters: Tensor, field: Field) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.field = field
        return field.forward(parameters)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        return ctx.field.backward(gradient), None


class _Linear:
    """A sparse matrix (H, W) that is applied to (W, 3) or, transposed, to (H, 3): both are sums of rows."""

    def __init__(
        self, rows: Int64, columns: Int64, weights: Float64, shape: tuple[int, int], device: str
    ) -> None:
        """Its entries, in any order."""
        self._here = _bags(rows, columns, weights, shape[0], device)
        self._back = _bags(columns, rows, weights, shape[1], device)

    def __call__(self, values: Tensor) -> Tensor:
        return _sums(values, *self._here)

    def transposed(self, values: Tensor) -> Tensor:
        """Of the product's gradient, that of its argument."""
        return _sums(values, *self._back)


def _bags(
    rows: Int64, columns: Int64, weights: Float64, count: int, device: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Sorted by row: columns, where each row's begin and the last one's end, and weights."""
    order = np.argsort(rows, kind="stable") if (rows[1:] < rows[:-1]).any() else slice(None)
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
    kind = torch.int32 if max(len(rows), int(columns.max(initial=0))) < 2**31 else torch.int64
    return (
        torch.from_numpy(columns[order]).to(device, kind),
        torch.from_numpy(ends).to(device, kind),
        torch.from_numpy(weights[order]).to(device, torch.float32),
    )


def _sums(values: Tensor, columns: Tensor, ends: Tensor, weights: Tensor) -> Tensor:
    result: Tensor = F.embedding_bag(
        columns, values, ends, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
    return result


def trilinear(points: Float64, cell: float) -> tuple[Int64, Int64, Float64]:
    """The nodes (M, 3) of the cells that hold the points (N, 3), by place; and of each point eight of them.

    Those are their indices (N, 8), with weights (N, 8) that sum to 1.
    """
    places = points / cell + np.ceil(2 / cell)  # all positive, so that halving rounds down
    first = np.floor(places).astype(np.int64)
    share = (places - first)[:, None]
    cells, cell_of_point = _distinct(first)
    nodes, index = _distinct((cells[:, None] + _CORNERS).reshape(-1, 3))
    return nodes, index.reshape(-1, 8)[cell_of_point], np.where(_CORNERS == 1, share, 1 - share).prod(axis=2)


def coarser(nodes: Int64) -> tuple[Int64, Int64, Int64, Float64]:
    """The nodes of the grid that is half as fine, and the rows, columns and weights that read it at nodes.

    Every second node along an axis is one of the coarser grid; the others are half-way between two.
    """
    between = nodes % 2 == 1
    used = [np.flatnonzero((between | (corner == 0)).all(axis=1)) for corner in _CORNERS]
    parents = [nodes[own] // 2 + corner for own, corner in zip(used, _CORNERS, strict=True)]
    found, columns = _distinct(np.concatenate(parents))
    rows = np.concatenate(used)
    return found, rows, columns, 0.5 ** between.sum(axis=1)[rows]


def _distinct(nodes: Int64) -> tuple[Int64, Int64]:
    """Each node (N, 3) once, and where each is now."""
    keys = (nodes[:, 0] << 42) | (nodes[:, 1] << 21) | nodes[:, 2]
    found, index = np.unique(keys, return_inverse=True)
    low = (1 << 21) - 1
    return np.stack([found >> 42, (found >> 21) & low, found & low], axis=1), index


def _filling(shown: Bool, wraps: Sequence[tuple[Wrap, Wrap]], device: str) -> _Linear:
    """From the values of the texels that show points to all texels: each has the nearest one's."""
    own = np.cumsum(shown).reshape(*shown.shape, 1) - 1
    filled = [gutters.dilate(rows, valid, wrap) for rows, valid, wrap in zip(own, shown, wraps, strict=True)]
    rows = np.flatnonzero(np.broadcast_to(shown.any(axis=(1, 2), keepdims=True), shown.shape))
    return _Linear(
        rows, np.stack(filled).reshape(-1)[rows], np.ones(len(rows)), (shown.size, int(shown.sum())), device
    )


def texel_size(mesh: Mesh, size: int) -> float:
    """The mean distance of neighbouring texels on the surface, of T_S (size, size) on every sheet."""
    corners = mesh.points[mesh.triangles].astype(np.float64)
    area = np.linalg.norm(_crosses(corners), axis=1).sum()
    (a, b), (c, d) = (mesh.uvs[:, 1] - mesh.uvs[:, 0]).T, (mesh.uvs[:, 2] - mesh.uvs[:, 0]).T
    in_texture = np.abs(a.astype(np.float64) * d - b.astype(np.float64) * c).sum()
    return float(np.sqrt(area / in_texture) / size) if in_texture > 0 and area > 0 else 2 / size


def apart(mesh: Mesh, distance: float) -> Float64:
    """(F, 3, 3): the triangles' corners, moved outwards along the mean normal of the faces that meet there.

    Faces that meet stay together, at creases, too. Where two faces turn their backs on each other, as the
    sides of a wall without thickness do, either moves with those on its own side.
    """
    corners = mesh.points[mesh.triangles].astype(np.float64)
    normals = np.repeat(_crosses(corners), 3, axis=0)
    _, vertex = np.unique(mesh.points, axis=0, return_inverse=True)  # split where UVs or normals are
    vertex = vertex.reshape(-1)[mesh.triangles].reshape(-1)
    area = np.linalg.norm(normals, axis=1)
    order = np.lexsort((-area, vertex))
    largest = order[np.searchsorted(vertex[order], vertex)]
    cosine = (normals * normals[largest]).sum(axis=1) / np.maximum(area * area[largest], 1e-300)
    side = 2 * vertex + (cosine < _OPPOSITE)
    means = np.stack([np.bincount(side, weights=axis) for axis in normals.T], axis=1)[side]
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-300)
    moved: Float64 = corners + distance * means.reshape(-1, 3, 3)
    return moved


def _crosses(corners: Float64) -> Float64:
    """(F, 3): normals, as long as twice the area."""
    result: Float64 = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return result
