"""The judge's arithmetic, without any network: colour difference, correlation, seams."""

import numpy as np
import torch
from numpy.typing import NDArray

from usdstylize.imaging.encoding import srgb_to_linear
from usdstylize.model.base_colors import Wrap
from usdstylize.model.objects import Mesh
from usdstylize.render import find_taps, mip_table, sample

__all__ = ["lab", "palette_difference", "pearson", "seam_ratio"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""Linear Rec.709 to CIE XYZ, D65 (IEC 61966-2-1)."""
_WHITE = np.array([0.95047, 1.0, 1.08883])
_FLAT = 2e-3
"""Standard deviation of luma below which an object has no light and dark to keep."""
_SAMPLES_PER_EDGE = 8
_COLORS_AT_ONCE = 1 << 16


def lab(encoded: NDArray[np.floating]) -> Float64:
    """CIELAB (D65, 2°) of sRGB-encoded 0..1 colours; any shape (…, 3) in, the same out."""
    ratio = srgb_to_linear(encoded).astype(np.float64) @ _TO_XYZ.T / _WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def palette_difference(colors: NDArray[np.floating], palette: NDArray[np.floating]) -> float:
    """Mean ΔE76 of colours (N, 3) to the nearest of a palette (Q, 3), both sRGB-encoded 0..1."""
    targets = lab(palette)
    total = 0.0
    for start in range(0, len(colors), _COLORS_AT_ONCE):
        found = lab(colors[start : start + _COLORS_AT_ONCE])
        distance = np.linalg.norm(found[:, None] - targets[None], axis=-1)
        total += float(distance.min(axis=1).sum())
    return total / len(colors)


def pearson(first: NDArray[np.floating], second: NDArray[np.floating]) -> float | None:
    """Correlation of two equally long series of luma; None where ``second``, the original, is flat.

    A flat ``first`` beside a varied original keeps nothing of it: 0.
    """
    a, b = np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel()
    if b.std() < _FLAT:
        return None
    if a.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def seam_ratio(
    mesh: Mesh, texture: Float32, base: Float32, wrap: tuple[Wrap, Wrap], *, texel: float
) -> float:
    """How much more jump the style adds across UV seams than across other edges.

    Two points face each other across every edge that two triangles share, one texel away from
    it in the UVs of either triangle; the jump is their mean absolute difference. A seam is an
    edge whose two triangles disagree about its UVs. texture: (H, W, 3), sRGB-encoded. base: the
    same before it was stylised. texel: the size in UV of the coarsest texel in the picture,
    T_S's: nearer to an edge than that nothing but a seam can jump.

    What the source jumps there more than it does inside its islands, on average, does not count,
    where the result jumps the same way: its islands may have colours of their own. A style that
    paints over these has nothing to excuse, nor has one that jumps the other way.

    0 where nothing jumps at a seam, or the mesh has none; infinite where nothing jumps elsewhere.
    """
    first, second, is_seam = _facing_points(mesh, offset=texel)
    where = np.concatenate([first, second])
    change, of_base = (
        colors[: len(first)] - colors[len(first) :]
        for colors in (_read_texture(image, where, wrap) for image in (texture, base))
    )
    jump, in_base = np.abs(change).mean(axis=-1), np.abs(of_base).mean(axis=-1)
    usual = float(in_base[~is_seam].mean()) if not is_seam.all() else 0.0
    alike = (change * of_base).sum(axis=-1) > 0
    added = np.maximum(jump - alike * np.maximum(in_base - usual, 0), 0)
    at_seams = float(added[is_seam].mean()) if is_seam.any() else 0.0
    inside = float(added[~is_seam].mean()) if not is_seam.all() else 0.0
    # Rounding in the sampler is no jump.
    if at_seams < 1e-6:
        return 0.0
    return at_seams / inside if inside > 1e-6 else float("inf")


def _facing_points(mesh: Mesh, offset: float) -> tuple[Float32, Float32, NDArray[np.bool_]]:
    """UVs (P, 2) on either side of every shared edge, and whether that edge is a seam (P,)."""
    # Points are welded by position: a file may split them where UVs or normals do.
    _, welded = np.unique(mesh.points, axis=0, return_inverse=True)
    corners = welded.reshape(-1)[mesh.triangles].astype(np.int64)
    starts, ends = corners.reshape(-1), np.roll(corners, -1, axis=1).reshape(-1)
    uv_start = mesh.uvs.reshape(-1, 2).astype(np.float64)
    uv_end = np.roll(mesh.uvs, -1, axis=1).reshape(-1, 2).astype(np.float64)
    uv_opposite = np.roll(mesh.uvs, -2, axis=1).reshape(-1, 2).astype(np.float64)
    swap = (starts > ends)[:, None]
    uv_low, uv_high = np.where(swap, uv_end, uv_start), np.where(swap, uv_start, uv_end)
    keys = np.minimum(starts, ends) * (corners.max(initial=0) + 1) + np.maximum(starts, ends)
    edges = np.flatnonzero(starts != ends)
    order = edges[np.argsort(keys[edges], kind="stable")]
    _, where, counts = np.unique(keys[order], return_index=True, return_counts=True)
    paired = where[counts == 2]
    one, other = order[paired], order[paired + 1]
    is_seam = (
        np.abs(np.concatenate([uv_low[one] - uv_low[other], uv_high[one] - uv_high[other]], axis=1)) > 1e-6
    ).any(axis=1)
    shares = ((np.arange(_SAMPLES_PER_EDGE) + 0.5) / _SAMPLES_PER_EDGE)[:, None]

    def beside(edge: NDArray[np.int64]) -> Float32:
        inward = uv_opposite[edge] - (uv_low[edge] + uv_high[edge]) / 2
        length = np.linalg.norm(inward, axis=1, keepdims=True) + 1e-9
        step = inward / length * np.minimum(offset, 0.3 * length)
        along = uv_low[edge][:, None] * (1 - shares) + uv_high[edge][:, None] * shares
        points: Float32 = (along + step[:, None]).reshape(-1, 2).astype(np.float32)
        return points

    return beside(one), beside(other), np.repeat(is_seam, _SAMPLES_PER_EDGE)


def _read_texture(texture: Float32, uvs: Float32, wrap: tuple[Wrap, Wrap]) -> Float32:
    """Bilinear samples (P, 3) at UVs (P, 2), as the product's renderer reads a texture."""
    where = torch.from_numpy(uvs)
    still = torch.zeros(len(uvs), 2, 2)
    table = mip_table(torch.from_numpy(np.ascontiguousarray(texture, dtype=np.float32)))
    taps = find_taps(where, still, (texture.shape[0], texture.shape[1]), wrap)
    colors: Float32 = sample(table, taps).numpy()
    return colors
