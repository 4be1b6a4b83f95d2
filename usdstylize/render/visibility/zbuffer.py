"""Visibility by a z-buffer in plain PyTorch: on CUDA no ray is traced on the CPU.

Every triangle is paired with the pixels of its bounding box, and a pair is tested by three edge
functions. All is homogeneous: a corner is (x z, y z, z), where x and y are its pixel position
and z its depth along the view axis, and no corner is ever divided by its depth, so that
triangles that reach behind the camera need no clipping. The edge from a to b is
``(a - b) × (a + b) · (column, row, 1)``, which is the same number with the other sign for the
neighbour that runs through it the other way: no ray slips between two triangles.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.render.cameras import Camera, pixel_projections
from usdstylize.render.visibility.protocol import Hits

__all__ = ["ZBufferVisibility"]

_TRIANGLES_AT_ONCE = 1 << 20
"""Triangles times cameras; bounds memory to about half a gigabyte."""
_PIXELS_AT_ONCE = 1 << 22
"""Pixels times cameras."""
_NEAR = 1e-4
"""Nearest depth, in bounding radii, at which a corner's pixel position is trusted."""
_MARGIN = 1e-6
"""Pixels around a bounding box, against rounding of its corners."""
_NOTHING = torch.iinfo(torch.int64).max


class ZBufferVisibility:
    """A z-buffer on any device that has float64. The same pictures whatever it does at once.

    Float64 because a float32 edge function errs by some thousandths of a pixel, which shows
    where a triangle is hardly larger than a pixel; it costs little, as memory is the limit.
    """

    def __init__(
        self,
        points: NDArray[np.float32],
        triangles: NDArray[np.int32],
        device: str,
        *,
        pairs_at_once: int = 1 << 21,
    ) -> None:
        """points: (V, 3) float32. triangles: (F, 3) int32. pairs_at_once: bounds memory and nothing else."""
        # float64, with a 1 behind: ready for 4 × 3 matrices
        ones = torch.ones(len(points), 1, dtype=torch.float64)
        self._points = torch.cat([torch.from_numpy(points).double(), ones], 1).to(device)
        self._triangles = torch.from_numpy(triangles).long().to(device)
        self._pairs_at_once = pairs_at_once

    def trace(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        per_camera = min(len(self._triangles), _TRIANGLES_AT_ONCE)
        at_once = min(_TRIANGLES_AT_ONCE // max(1, per_camera), _PIXELS_AT_ONCE // resolution**2)
        hits: list[Hits] = []
        for start in range(0, len(cameras), max(1, at_once)):
            hits += self._trace_some(cameras[start : start + max(1, at_once)], resolution)
        return hits

    def _trace_some(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        device, count = self._points.device, len(cameras)
        projections = torch.from_numpy(pixel_projections(cameras, resolution)).to(device)
        points = self._points @ projections  # (C, V, 3) homogeneous pixel positions
        # Depth in the upper half (a positive float's bits order as it does), triangle in the lower.
        nearest = torch.full((count * resolution**2,), _NOTHING, dtype=torch.int64, device=device)
        at_once = max(1, _TRIANGLES_AT_ONCE // count)
        for first in range(0, len(self._triangles), at_once):
            self._draw(points, slice(first, first + at_once), resolution, nearest)
        triangle = torch.full_like(nearest, -1, dtype=torch.int32)
        barycentrics = torch.zeros(len(nearest), 2, device=device)
        for where in torch.split(torch.nonzero(nearest != _NOTHING).squeeze(1), self._pairs_at_once):
            seen = nearest[where] & 0xFFFFFFFF
            camera, pixel = where // resolution**2, where % resolution**2
            corners = points[camera[:, None], self._triangles[seen]]
            shares = _shares(_edges(corners), pixel % resolution, pixel // resolution)
            triangle[where] = seen.int()
            barycentrics[where] = shares[:, 1:].float()
        shape = (count, resolution, resolution)
        return [Hits(*one) for one in zip(triangle.view(shape), barycentrics.view(*shape, 2), strict=True)]

    def _draw(self, points: Tensor, some: slice, resolution: int, nearest: Tensor) -> None:
        """Some of the triangles, for all cameras, into ``nearest`` (C × R × R)."""
        corners = points[:, self._triangles[some]]  # (C, T, 3, 3)
        first, size = _boxes(corners, resolution)
        pixels = size.prod(2)
        # drop triangles without a pixel: in a dense mesh that is most of them
        kept = torch.nonzero(pixels.view(-1)).squeeze(1)
        if not len(kept):
            return
        here = corners.shape[1]
        picture, triangle = kept // here * resolution**2, kept % here + some.start
        corners = corners.view(-1, 3, 3)[kept]
        functions = torch.cat([_edges(corners).flatten(1), corners[..., 2]], 1)
        boxes = torch.cat([first.view(-1, 2), size.view(-1, 2)[:, :1]], 1)[kept]
        pixels = pixels.view(-1)[kept]
        ends = pixels.cumsum(0)
        starts = ends - pixels
        for pair in _ranges(int(ends[-1]), self._pairs_at_once, ends.device):
            owner = torch.searchsorted(ends, pair, right=True)
            inside = (pair - starts[owner]).int()
            left, top, width = boxes[owner].unbind(1)
            down = inside // width
            column, row = left + inside - down * width, top + down
            own = functions[owner]
            shares = _shares(own[:, :9].view(-1, 3, 3), column, row)
            depth = (shares * own[:, 9:]).sum(1)
            hit = (shares >= 0).all(1) & (depth > 0)
            key = (depth.float().view(torch.int32).long() << 32) | triangle[owner]
            where = picture[owner] + row * resolution + column
            nearest.scatter_reduce_(0, where, torch.where(hit, key, _NOTHING), "amin")


def _boxes(corners: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    """First column and row, and numbers of columns and rows, (C, T, 2) int32 each.

    The whole picture for a triangle that reaches behind the camera, nothing for one that is there.
    """
    depth = corners[..., 2]
    position = corners[..., :2] / depth[..., None]
    first = (position.amin(2) - _MARGIN).ceil().clamp(0, resolution)
    last = (position.amax(2) + _MARGIN).floor().clamp(-1, resolution - 1)
    before = (depth.amin(2) > _NEAR)[..., None]
    behind = (depth.amax(2) <= 0)[..., None]
    first = torch.where(before, first, 0)
    last = torch.where(before, last, resolution - 1)
    size = torch.where(behind, 0, (last - first + 1).clamp_min(0))
    return first.int(), size.int()


def _edges(corners: Tensor) -> Tensor:
    """(N, 3, 3) corners to (N, 3, 3): for each corner the edge function opposite, as a row."""
    second, third = corners.roll(-1, 1), corners.roll(-2, 1)
    functions: Tensor = torch.linalg.cross(second - third, second + third)
    return functions


def _shares(edges: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """(N, 3) perspective-correct weights of the three corners at a pixel's centre.

    Not a number where the triangle is seen edge-on.
    """
    values: Tensor = edges[..., 0] * column[:, None] + edges[..., 1] * row[:, None] + edges[..., 2]
    return values / values.sum(1, keepdim=True)


def _ranges(total: int, step: int, device: torch.device) -> Iterator[Tensor]:
    for start in range(0, total, step):
        yield torch.arange(start, min(start + step, total), device=device)
