"""Visibility by NVIDIA's nvdiffrast, where a user has installed it.

Its licence forbids commercial use, so that it is never required and never chosen unasked.
"""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from usdstylize.render.cameras import Camera, pixel_projections
from usdstylize.render.visibility.protocol import Hits

__all__ = ["NvdiffrastVisibility", "has_nvdiffrast"]

_CAMERAS_AT_ONCE = 16
_EXACT_FLOAT = 1 << 24
"""Up to here its triangle numbers are floats; beyond they are the bits of one, less this much of them."""
_BITS_BEYOND = 0x4A800000


def has_nvdiffrast() -> bool:
    """Whether nvdiffrast is installed; it is not imported."""
    return find_spec("nvdiffrast") is not None


class NvdiffrastVisibility:
    """Its CUDA rasteriser. Corners are snapped to a sixteenth of a pixel: ids differ along edges."""

    def __init__(self, points: NDArray[np.float32], triangles: NDArray[np.int32], device: str) -> None:
        """points: (V, 3) float32. triangles: (F, 3) int32. device: a CUDA one."""
        import nvdiffrast.torch as dr

        self._dr = dr
        self._context = dr.RasterizeCudaContext(device)
        ones = torch.ones(len(points), 1, dtype=torch.float64)
        self._points = torch.cat([torch.from_numpy(points).double(), ones], 1).to(device)
        self._triangles = torch.from_numpy(np.ascontiguousarray(triangles, np.int32)).to(device)

    def trace(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        hits: list[Hits] = []
        for start in range(0, len(cameras), _CAMERAS_AT_ONCE):
            hits += self._trace_some(cameras[start : start + _CAMERAS_AT_ONCE], resolution)
        return hits

    def _trace_some(self, cameras: Sequence[Camera], resolution: int) -> list[Hits]:
        projections = torch.from_numpy(pixel_projections(cameras, resolution)).to(self._points.device)
        x, y, depth = (self._points @ projections).unbind(2)
        # Pixel centres lie at whole numbers in ours, at odd multiples of 1 / R in its -1..1.
        # Its y points up: rows are turned here and the picture again below.
        clip_x = x * (2 / resolution) - depth * (1 - 1 / resolution)
        clip_y = depth * (1 - 1 / resolution) - y * (2 / resolution)
        far = depth.amax(1, keepdim=True) * 1.01
        near = (depth.amin(1, keepdim=True) * 0.99).maximum(far * 1e-3)
        clip_z = (depth * (far + near) - 2 * far * near) / (far - near)
        clip = torch.stack([clip_x, clip_y, clip_z, depth], 2).float().contiguous()
        picture, _ = self._dr.rasterize(
            self._context, clip, self._triangles, (resolution, resolution), grad_db=False
        )
        picture = picture.flip(1)  # its row 0 is the bottom
        number = picture[..., 3].contiguous()
        number = torch.where(number <= _EXACT_FLOAT, number.int(), number.view(torch.int32) - _BITS_BEYOND)
        # Its u and v are the weights of the first and the second corner.
        first, second = picture[..., 0], picture[..., 1]
        barycentrics = torch.stack([second, (1 - first - second).clamp_min(0)], 3)
        return [Hits(*one) for one in zip(number - 1, barycentrics, strict=True)]
