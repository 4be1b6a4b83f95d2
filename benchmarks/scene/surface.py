"""Patches of a stylised surface in world units: orthographic, evenly lit, without perspective.

A patch is a square of the tangent plane at a point of the mesh, sampled by rays along the normal. What
is measured on it is measured on the surface, whatever the object's size, its UVs and its texture's size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from scipy import ndimage

from usdstylize import render
from usdstylize.model.base_colors import PLAIN, Transfer, Wrap
from usdstylize.model.objects import Mesh

__all__ = ["LUMA", "Patch", "Surface"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Of sRGB-encoded values."""
_LIFTS = (0.5, 0.25, 0.1, 0.03)
"""Where rays start above the plane, in sides of a patch: as high as the object's own folds allow."""
_STEEPEST = 3.0
"""Change of depth over one pixel, in pixels, beyond which two neighbours lie on different surfaces."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A square of n × n pixels of the plane that touches the surface at its middle.

    pixel: its width and height, metres. valid: (n, n) bool, where the surface is seen, connected with
    the middle, and not too steep. points: (n, n, 3) float64, metres. cosine: (n, n) float32, of the angle
    between the surface's normal and the plane's. base, style: (n, n, 3) float32, T sRGB-encoded and T_S;
    0 where not valid.
    """

    pixel: float
    valid: Bool
    points: Float64
    cosine: Float32
    base: Float32
    style: Float32

    @property
    def shown(self) -> Float32:
        """clamp(T + T_S, 0, 1), (n, n, 3), sRGB-encoded."""
        result: Float32 = np.clip(self.base + self.style, 0, 1)
        return result


class Surface:
    """One object, its texture T and its style texture T_S, to be sampled in world units."""

    def __init__(
        self,
        mesh: Mesh,
        base: Float32,
        style: Float32,
        wrap: tuple[Wrap, Wrap] = ("repeat", "repeat"),
        transfer: Transfer = PLAIN,
    ) -> None:
        """base, style: (H, W, 3) float32, as `ObjectData.bases` and T_S; ``transfer`` makes T of base."""
        self.style_size = (style.shape[0], style.shape[1])
        self._wrap, self._transfer = wrap, transfer
        self._base_size = (base.shape[0], base.shape[1])
        self._tables = [
            render.mip_table(torch.from_numpy(np.ascontiguousarray(image, np.float32)))
            for image in (base, style)
        ]
        corners = mesh.points[mesh.triangles].astype(np.float64)
        self._corners, self._uvs = corners, mesh.uvs.astype(np.float64)
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        cross = np.cross(first, second)
        doubled = np.linalg.norm(cross, axis=1)
        self.areas: Float64 = doubled / 2
        self._normals = cross / np.maximum(doubled, 1e-30)[:, None]
        self._gradients = _uv_gradients(self._uvs, first, second, cross, doubled)
        used = corners.reshape(-1, 3)
        self.center: Float64 = (used.min(0) + used.max(0)) / 2
        self.radius = float(np.linalg.norm(used - self.center, axis=1).max())
        # Rays are cast in the unit sphere: embree's float32 has no room for large coordinates.
        self._scene = EmbreeScene()
        unit = ((corners - self.center) / self.radius).astype(np.float32)
        self._mesh = TriangleMesh(
            self._scene, unit.reshape(-1, 3), np.arange(unit.size // 3, dtype=np.int32).reshape(-1, 3)
        )

    @property
    def texel(self) -> float:
        """Median length of a texel of T_S on the surface, metres: the root of its area; infinite where the
        UVs span no area."""
        sides = np.linalg.svd(self._gradients * np.array(self.style_size[::-1])[:, None], compute_uv=False)
        per_area = sides.prod(axis=1)
        order = np.argsort(per_area)
        half = np.searchsorted(np.cumsum(self.areas[order]), self.areas.sum() / 2)
        median = per_area[order][min(half, len(order) - 1)]
        return float(1 / np.sqrt(median)) if median > 0 else float("inf")

    def patches(
        self,
        count: int,
        pixels: int,
        pixel: float,
        *,
        least_cosine: float = 0.5,
        filtered: bool = True,
        seed: int = 0,
    ) -> Iterator[Patch]:
        """Patches around points that are drawn evenly by area, each turned by a random angle.

        pixels: of a side. pixel: metres. least_cosine: of the angle between the surface and the plane,
        beyond which a pixel is not valid. filtered: textures are sampled at the mip level of a pixel;
        else at their full resolution.
        """
        random = np.random.default_rng(seed)
        cumulative = np.cumsum(self.areas) / self.areas.sum()
        places = (np.arange(count) + random.random(count)) / count
        for triangle in np.minimum(np.searchsorted(cumulative, places), len(cumulative) - 1):
            weights = random.dirichlet((1, 1, 1))
            turn = random.uniform(0, 2 * np.pi)
            middle, normal = weights @ self._corners[triangle], self._normals[triangle]
            axes = _plane(normal, turn)
            patch = self._patch(middle, normal, axes, pixels, pixel, least_cosine, filtered)
            if patch is not None:
                yield patch

    def flat_patch(self, window: float | None, samples: int, most: float, least_share: float) -> Patch | None:
        """The largest part in one plane, whole or of ``most`` windows a side, upright as a camera sees it.

        window: its width, metres, on which ``samples`` pixels lie; None takes half of the root of the part's
        area. None where the part is smaller than a window, or than ``least_share`` of all, or its middle is
        none of it.
        """
        offsets = np.einsum("fx,fx->f", self._normals, self._corners.mean(1)) / self.radius
        keys = np.round(np.concatenate([self._normals, offsets[:, None]], axis=1), 3)
        part = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
        areas = np.bincount(part, self.areas)
        best = int(areas.argmax())
        chosen = part == best
        window = window or float(np.sqrt(areas[best])) / 2
        if areas[best] < max(window**2, least_share * areas.sum()):
            return None
        normal = self._normals[chosen][0]
        up = np.array([0.0, 1.0, 0.0]) if abs(normal[1]) < 0.8 else np.array([0.0, 0.0, -1.0])
        right = np.cross(up, normal) / np.linalg.norm(np.cross(up, normal))
        axes = right, np.cross(normal, right)
        places = self._corners[chosen].reshape(-1, 3) @ np.stack([*axes, normal], axis=1)
        low, high = places.min(0), places.max(0)
        pixel = window / samples
        side = min(float((high - low)[:2].max()), most * window)
        middle = (low + high) / 2 @ np.stack([*axes, normal])
        return self._patch(middle, normal, axes, int(side / pixel), pixel, 0.999, True)

    def colors(self, uvs: Float64, footprint: Float64, *, filtered: bool = True) -> tuple[Float32, Float32]:
        """T and T_S (P, 3) at UVs (P, 2); footprint: (P, 2, 2), as `render.find_taps` has it."""
        where = torch.from_numpy(uvs.astype(np.float32))
        change = torch.from_numpy((footprint if filtered else np.zeros_like(footprint)).astype(np.float32))
        sizes = (self._base_size, self.style_size)
        base, style = (
            render.sample(table, render.find_taps(where, change, size, self._wrap))
            for table, size in zip(self._tables, sizes, strict=True)
        )
        return render.encode_base(base, self._transfer).numpy(), style.numpy()

    def _patch(
        self,
        middle: Float64,
        normal: Float64,
        axes: tuple[Float64, Float64],
        pixels: int,
        pixel: float,
        least_cosine: float,
        filtered: bool,
    ) -> Patch | None:
        """axes: right and up. None where the object's own folds hide the point."""
        right, up = axes
        at = (np.arange(pixels) - (pixels - 1) / 2) * pixel
        plane = middle + at[None, :, None] * right - at[:, None, None] * up
        for lift in _LIFTS:
            height = lift * pixels * pixel
            found, shares, depth = self._cast((plane + height * normal).reshape(-1, 3), -normal)
            depth = depth.reshape(pixels, pixels)
            half = pixels // 2
            if abs(depth[half, half] - height) < 2 * pixel + 1e-4 * self.radius:
                break
        else:
            return None
        cosine = np.where(found >= 0, self._normals[found] @ normal, -1.0).reshape(pixels, pixels)
        valid = _connected(cosine >= least_cosine, depth, _STEEPEST * pixel)
        if not valid[half, half]:
            return None
        where = valid.ravel()
        kept, some = found[where], shares[where]
        uvs = np.einsum("pk,pkc->pc", some, self._uvs[kept])
        # A step in the plane, moved along the plane's normal, stays on the triangle.
        facing = self._normals[kept] @ normal
        steps = [
            pixel * (axis - normal * (self._normals[kept] @ axis / facing)[:, None]) for axis in (right, -up)
        ]
        footprint = np.stack([np.einsum("pcx,px->pc", self._gradients[kept], step) for step in steps], 1)
        images = []
        for colors in self.colors(uvs, footprint, filtered=filtered):
            image = np.zeros((pixels * pixels, 3), np.float32)
            image[where] = colors
            images.append(image.reshape(pixels, pixels, 3))
        points = plane + np.where(valid, height - depth, 0.0)[..., None] * normal
        return Patch(pixel, valid, points, cosine.astype(np.float32), images[0], images[1])

    def _cast(self, origins: Float64, direction: Float64) -> tuple[NDArray[np.int64], Float64, Float64]:
        """Triangles (P,), -1 for none, barycentrics (P, 3) and distances (P,), metres, infinite for none."""
        start = ((origins - self.center) / self.radius).astype(np.float32)
        along = np.broadcast_to(direction.astype(np.float32), start.shape).copy()
        hits = self._scene.run(start, along, query="INTERSECT", output=True)
        found = hits["primID"].astype(np.int64)
        second, third = hits["u"].astype(np.float64), hits["v"].astype(np.float64)
        distance = np.where(found >= 0, hits["tfar"].astype(np.float64) * self.radius, np.inf)
        return found, np.stack([1 - second - third, second, third], axis=1), distance


def _uv_gradients(uvs: Float64, first: Float64, second: Float64, cross: Float64, doubled: Float64) -> Float64:
    """Change of uv with position on each triangle, (F, 2, 3), per metre."""
    squared = np.maximum(doubled**2, 1e-60)[:, None]
    to_second, to_third = np.cross(second, cross) / squared, np.cross(cross, first) / squared
    uv_first, uv_second = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    gradients: Float64 = uv_first[:, :, None] * to_second[:, None] + uv_second[:, :, None] * to_third[:, None]
    return gradients


def _plane(normal: Float64, turn: float) -> tuple[Float64, Float64]:
    """Two unit vectors at right angles to the normal and to each other."""
    other = np.eye(3)[np.abs(normal).argmin()]
    first = np.cross(normal, other)
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    right = np.cos(turn) * first + np.sin(turn) * second
    return right, np.cross(normal, right)


def _connected(candidates: Bool, depth: Float64, jump: float) -> Bool:
    """The candidates (n, n) that are connected with the middle without a jump in depth."""
    flat = np.where(np.isfinite(depth), depth, 1e9)
    broken = np.zeros_like(candidates)
    for axis in (0, 1):
        jumps = np.abs(np.diff(flat, axis=axis)) > jump
        low = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        high = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        broken[low] |= jumps
        broken[high] |= jumps
    parts, _ = ndimage.label(candidates & ~broken)
    half = len(candidates) // 2
    middle = parts[half, half]
    result: Bool = parts == middle if middle else np.zeros_like(candidates)
    return result
