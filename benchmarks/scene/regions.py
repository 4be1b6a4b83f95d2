"""Fine drawing of the original: what a marked region of T keeps of its light and dark."""

from dataclasses import dataclass

import numpy as np

from benchmarks.measures import pearson
from benchmarks.scene.surface import LUMA, Surface
from usdstylize.model.objects import Mesh

__all__ = ["REGIONS", "Region", "region_correlation"]


@dataclass(frozen=True)
class Region:
    """A box in the UVs of the objects whose paths end as given."""

    name: str
    path: str
    box: tuple[float, float, float, float]
    """u and v of the bottom left, of the top right."""


REGIONS = (
    # `_cover_art` of sample_stages/_textures.py writes THE PAINTED at t = 0.86, ORCHARD at 0.775.
    Region("title", "/Geom/Volume/Cover", (0.602, 0.810, 0.928, 0.916)),
    # Both eyes of spot_texture.png.
    Region("eyes", "/Spot/Geometry", (0.215, 0.257, 0.318, 0.329)),
)


def region_correlation(surface: Surface, mesh: Mesh, region: Region, seen: float) -> float | None:
    """Pearson of the luma of T + T_S, clamped, with T's in a region; None where T is flat there.

    seen: metres. Both are sampled that far apart on the surface, at the mip level that belongs to it:
    as they look where a letter has as many pixels as the encoder saw of it.
    """
    low, high = np.array(region.box[:2]), np.array(region.box[2:])
    lengths = (high - low) * _metres_per_uv(mesh, (low + high) / 2)
    counts = np.maximum(np.rint(lengths / seen), 2).astype(int)
    step = (high - low) / counts
    at = [low[axis] + (np.arange(counts[axis]) + 0.5) * step[axis] for axis in (0, 1)]
    uvs = np.stack(np.meshgrid(*at), -1).reshape(-1, 2)
    footprint = np.broadcast_to(np.diag(step), (len(uvs), 2, 2))
    base, style = surface.colors(uvs, footprint)
    return pearson(np.clip(base + style, 0, 1) @ LUMA, base @ LUMA)


def _metres_per_uv(mesh: Mesh, uv: np.ndarray) -> np.ndarray:
    """Lengths (2,) on the surface of a unit of u and of v, in the triangle whose middle is next to a UV."""
    nearest = int(np.linalg.norm(mesh.uvs.mean(1) - uv, axis=1).argmin())
    corners = mesh.points[mesh.triangles[nearest]].astype(np.float64)
    edges, change = corners[1:] - corners[0], mesh.uvs[nearest, 1:].astype(np.float64) - mesh.uvs[nearest, 0]
    lengths: np.ndarray = np.linalg.norm(np.linalg.solve(change, edges), axis=1)
    return lengths
