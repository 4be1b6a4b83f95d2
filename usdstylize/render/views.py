"""From a mesh and a camera to a view: everything about a render that no texture changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.config.method import RenderMethod
from usdstylize.kernels.availability import fused
from usdstylize.model.base_colors import Wrap
from usdstylize.render.cameras import Camera, pixel_directions
from usdstylize.render.shading import encode_base, phong, shade
from usdstylize.render.sheets import Assembly
from usdstylize.render.texture import Taps, find_taps, level_sizes, mip_table, sample
from usdstylize.render.visibility import Hits, Visibility

__all__ = ["Subject", "View", "Views", "in_slot", "join", "paint", "trace_views"]

_SAME_SPAN = 1.3
"""Pixels that span so many times as much or as little as they should do not count: strokes would be as much
larger or smaller."""
_PIXELS_AT_ONCE = 1 << 22
"""Pixels of all pictures that are traced together."""


@dataclass(frozen=True, eq=False)
class View:
    """One camera's picture without the style texture. P is the number of object pixels.

    slot: its place in a batch, the same in every batch that it is part of.
    pixels: (P,) int64, (slot * R + row) * R + column; row 0 is the top. level: median mip level at
    which T_S is seen. base: (P, 3), T as this camera sees it, sRGB-encoded. style: where T_S is
    sampled. diffuse, specular: (P, 1), linear. counted: (P,) bool, where a pixel spans about as much as
    the camera's ``pixel``; None where all do.
    """

    resolution: int
    slot: int
    pixels: Tensor
    level: float
    base: Tensor
    style: Taps
    diffuse: Tensor
    specular: Tensor
    counted: Tensor | None = None

    def mask(self) -> Tensor:
        """(R, R) float, 1 where the object is and counts."""
        return self.picture(1 if self.counted is None else self.counted.to(self.base.dtype))

    def picture(self, values: Tensor | float) -> Tensor:
        """(R, R) float, ``values`` (P,) where the object is, else 0."""
        flat = self.base.new_zeros(self.resolution**2)
        flat[self.pixels - self.slot * self.resolution**2] = values
        return flat.view(self.resolution, self.resolution)


@dataclass(frozen=True, eq=False)
class Views:
    """Several views as one; P is the number of object pixels of them all, in the order of `View`.

    pixels: (P,) int64, counted through all pictures; on CUDA a pixel of -1 is padding, and its other
    values are ignored.
    """

    count: int
    resolution: int
    pixels: Tensor
    base: Tensor
    style: Taps
    diffuse: Tensor
    specular: Tensor


class Subject:
    """Objects set up for rendering: their triangles and their original textures on a device.

    The rows of all sheets lie one after the other in one mip table, of T and of T_S alike.
    """

    def __init__(self, assembly: Assembly, style_size: tuple[int, int], device: str) -> None:
        """style_size: (height, width) of T_S on every sheet."""
        self.device = device
        self.style_size = style_size
        mesh = assembly.mesh
        corners = mesh.points[mesh.triangles]
        self._corners = torch.from_numpy(corners).to(device)
        self._normals = torch.from_numpy(mesh.normals).to(device)
        self._uvs = torch.from_numpy(mesh.uvs).to(device)
        self._sheet = torch.from_numpy(assembly.sheet_of_triangle).to(device)
        self._gradients = _uv_gradients(self._corners, self._uvs)
        self._wraps = [sheet.wrap for sheet in assembly.sheets]
        self._transfers = [sheet.transfer for sheet in assembly.sheets]
        self._bases = [
            torch.from_numpy(np.ascontiguousarray(sheet.base, dtype=np.float32)).to(device)
            for sheet in assembly.sheets
        ]
        self._base_table = torch.cat([mip_table(base) for base in self._bases])

    @property
    def rows_per_sheet(self) -> int:
        """Rows of the mip table of T_S that one sheet takes."""
        return sum(height * width for height, width in level_sizes(*self.style_size))

    def style_table(self, style: Tensor) -> Tensor:
        """The mip table of T_S; ``style`` is (S, H, W, 3), one texture per sheet."""
        tables = [mip_table(texture, tent=wrap) for texture, wrap in zip(style, self._wraps, strict=True)]
        return tables[0] if len(tables) == 1 else torch.cat(tables)

    def base_at(self, sheet: int, size: tuple[int, int]) -> Tensor:
        """T (h, w, 3) at another (height, width), sRGB-encoded, for losses on the texture itself."""
        resized = F.interpolate(
            self._bases[sheet].permute(2, 0, 1)[None], size, mode="bilinear", antialias=True
        )
        values = resized[0].permute(1, 2, 0).reshape(-1, 3)
        return encode_base(values, self._transfers[sheet]).view(*size, 3)

    def views(
        self, cameras: Sequence[Camera], hits: Sequence[Hits], method: RenderMethod, first_slot: int = 0
    ) -> list[View]:
        """Sample positions, T and light at every pixel that the object covers, one view per camera.

        The first camera's slot is ``first_slot``, the next one's the one after.
        """
        if self.device == "cpu":  # where one camera's arrays fit the cache
            each = enumerate(zip(cameras, hits, strict=True), first_slot)
            return [self._views([camera], [hit], method, slot)[0] for slot, (camera, hit) in each]
        return self._views(cameras, hits, method, first_slot)

    def _views(
        self, cameras: Sequence[Camera], hits: Sequence[Hits], method: RenderMethod, first_slot: int
    ) -> list[View]:
        """All cameras in the same few operations; the host waits for the device three times."""
        resolution = hits[0].triangle.shape[0]
        seen = torch.stack([hit.triangle for hit in hits]).view(len(hits), -1)
        covered = (seen >= 0).view(-1)
        where = torch.nonzero(covered).squeeze(1)
        counts = (seen >= 0).sum(1).tolist()
        triangle = seen.view(-1)[where].long()
        shares = torch.stack([hit.barycentrics for hit in hits]).view(-1, 2)[where]
        points, uvs, normals = (
            _blend(corners.index_select(0, triangle), shares)
            for corners in (self._corners, self._uvs, self._normals)
        )
        normals = F.normalize(normals, dim=1)
        viewpoints = torch.from_numpy(_stacked(cameras, resolution)).to(self.device)
        which = where // resolution**2
        eye, light, backward, step_x, step_y, pixel = (
            viewpoints[which] if len(hits) > 1 else viewpoints
        ).unbind(1)
        footprint = self._footprint(triangle, points - eye, backward, (step_x, step_y))
        counted = _spans(points - eye, backward, step_x, pixel[:, 0]) if cameras[0].pixel else None
        diffuse, specular = phong(points, normals, eye, light, method)
        sheet = self._sheet[triangle]
        sizes = [(base.shape[0], base.shape[1]) for base in self._bases]
        base = self._base(self._taps(uvs, footprint, sheet, sizes), sheet)
        style = self._taps(uvs, footprint, sheet, [self.style_size] * len(sizes))
        texels = (footprint * max(self.style_size)).norm(dim=2).amax(1)
        pixels = where + first_slot * resolution**2
        columns = (pixels, texels, base, style.rows, style.weights, diffuse, specular)
        split = list(zip(*(column.split(counts) for column in columns), strict=True))
        levels = _median_levels([own[1] for own in split])
        each_counted = [None] * len(hits) if counted is None else torch.split(counted, counts)
        return [
            View(resolution, slot, pixels, level, base, Taps(rows, weights), diffuse, specular, own)
            for slot, (level, own, (pixels, _, base, rows, weights, diffuse, specular)) in enumerate(
                zip(levels, each_counted, split, strict=True), first_slot
            )
        ]

    def flat_view(
        self, sheet: int, uvs: Tensor, footprint: Tensor, pixels: Tensor, resolution: int, slot: int
    ) -> View:
        """T and T_S of one sheet at UVs (P, 2) as a picture of their own, evenly lit.

        footprint: (P, 2, 2), see `find_taps`. pixels: (P,) int64 within the picture.
        """
        numbers = torch.full((len(uvs),), sheet, device=self.device)
        sizes = [(base.shape[0], base.shape[1]) for base in self._bases]
        base = self._base(self._taps(uvs, footprint, numbers, sizes), numbers)
        style = self._taps(uvs, footprint, numbers, [self.style_size] * len(sizes))
        even = torch.ones(len(uvs), 1, device=self.device)
        where = pixels + slot * resolution**2
        return View(resolution, slot, where, 0.0, base, style, even, torch.zeros_like(even))

    def _base(self, taps: Taps, sheet: Tensor) -> Tensor:
        """T (P, 3), sRGB-encoded, of samples on their sheets (P,): filtered as the files hold it."""
        values = sample(self._base_table, taps)
        if len(set(self._transfers)) == 1:
            return encode_base(values, self._transfers[0])
        for number, transfer in enumerate(self._transfers):
            where = torch.nonzero(sheet == number).squeeze(1)
            values[where] = encode_base(values[where], transfer)
        return values

    @property
    def wraps(self) -> list[tuple[Wrap, Wrap]]:
        """How each sheet continues beyond 0..1, in s and in t."""
        return self._wraps

    def _taps(self, uvs: Tensor, footprint: Tensor, sheet: Tensor, sizes: Sequence[tuple[int, int]]) -> Taps:
        """`find_taps` of each sample on its own sheet, whose texture has the size given."""
        if len(sizes) == 1:
            return find_taps(uvs, footprint, sizes[0], self._wraps[0])
        rows = torch.zeros(len(uvs), 8, dtype=torch.int32, device=self.device)
        weights = torch.zeros(len(uvs), 8, device=self.device)
        start = 0
        for number, (size, wrap) in enumerate(zip(sizes, self._wraps, strict=True)):
            where = torch.nonzero(sheet == number).squeeze(1)
            taps = find_taps(uvs[where], footprint[where], size, wrap)
            rows[where] = taps.rows + start
            weights[where] = taps.weights
            start += sum(height * width for height, width in level_sizes(*size))
        return Taps(rows, weights)

    def _footprint(
        self, triangle: Tensor, rays: Tensor, backward: Tensor, steps: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Change of uv per pixel (P, 2, 2): the neighbouring pixels' rays cut the same plane.

        rays: (P, 3), from the eye to the surface. backward: the camera's axis; steps: change of a
        ray's direction per pixel in x and y; each (3,) or (P, 3).
        """
        normal, gradient = (of_triangle.index_select(0, triangle) for of_triangle in self._gradients)
        depth = -(rays * backward).sum(1, keepdim=True)
        along = (rays * normal).sum(1, keepdim=True)
        along = torch.where(along.abs() < 1e-6 * depth, 1e-6 * depth, along)
        changes = []
        for step in steps:
            shift = step * depth
            moved = shift - rays * (shift * normal).sum(1, keepdim=True) / along
            x, y, z = (moved[:, axis, None] for axis in range(3))
            changes.append(gradient[:, :, 0] * x + gradient[:, :, 1] * y + gradient[:, :, 2] * z)
        return torch.stack(changes, 1)


def _blend(corners: Tensor, shares: Tensor) -> Tensor:
    """(P, 3, C) and the weights (P, 2) of the second and third corner to (P, C).

    Written out, since a product and a sum over three cost four times as much on a CPU.
    """
    second, third = shares[:, :1], shares[:, 1:]
    return corners[:, 0] * (1 - second - third) + corners[:, 1] * second + corners[:, 2] * third


def _stacked(cameras: Sequence[Camera], resolution: int) -> NDArray[np.float32]:
    """(C, 6, 3): eye, light, backward axis, a ray's change per pixel in x and in y, `Camera.pixel`."""
    rows = []
    for camera in cameras:
        _, step_x, step_y = pixel_directions(camera, 1)
        scale = 1.0 / resolution
        pixel = np.full(3, camera.pixel, np.float32)
        rows.append(
            np.stack([camera.eye, camera.light, camera.axes[2], step_x * scale, step_y * scale, pixel])
        )
    return np.stack(rows).astype(np.float32)


def _spans(rays: Tensor, backward: Tensor, step: Tensor, pixel: Tensor) -> Tensor:
    """(P,) bool: where a pixel, held against the surface as it faces the camera, spans about ``pixel``."""
    ratio: Tensor = -(rays * backward).sum(1) * step.norm(dim=1) / pixel
    return torch.logical_and(ratio < _SAME_SPAN, ratio > 1 / _SAME_SPAN)


def _median_levels(texels: Sequence[Tensor]) -> list[float]:
    """Median mip level of each view, from its texels per pixel; 0 for an empty one. Waits once."""
    some = [own.median() if len(own) else own.new_ones(()) for own in texels]
    levels: list[float] = torch.stack(some).clamp_min(1).log2().tolist()
    return levels


def _uv_gradients(corners: Tensor, uvs: Tensor) -> tuple[Tensor, Tensor]:
    """Per triangle its unit normal (F, 3) and the change of uv with position (F, 2, 3)."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = torch.linalg.cross(first, second)
    squared = normal.square().sum(1, keepdim=True).clamp_min(1e-20)
    to_second = torch.linalg.cross(second, normal) / squared
    to_third = torch.linalg.cross(normal, first) / squared
    uv_first, uv_second = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    gradient = uv_first[:, :, None] * to_second[:, None] + uv_second[:, :, None] * to_third[:, None]
    return F.normalize(normal, dim=1), gradient


def trace_views(
    subject: Subject, visibility: Visibility, cameras: Sequence[Camera], method: RenderMethod
) -> list[View]:
    """The views of several cameras, each in the slot that is its place in the list.

    As many at once as keep memory in bounds.
    """
    at_once = max(1, _PIXELS_AT_ONCE // method.resolution**2)
    views: list[View] = []
    for start in range(0, len(cameras), at_once):
        some = cameras[start : start + at_once]
        views += subject.views(some, visibility.trace(some, method.resolution), method, start)
    return views


def join(views: Sequence[View]) -> Views:
    """Views of one resolution as one batch, in order."""
    area = views[0].resolution ** 2
    return Views(
        len(views),
        views[0].resolution,
        torch.cat([in_slot(view.pixels, area, view.slot, slot) for slot, view in enumerate(views)]),
        torch.cat([view.base for view in views]),
        Taps(torch.cat([v.style.rows for v in views]), torch.cat([v.style.weights for v in views])),
        torch.cat([view.diffuse for view in views]),
        torch.cat([view.specular for view in views]),
    )


def in_slot(positions: Tensor, area: int, slot: int, wanted: int) -> Tensor:
    """Positions in pictures of ``area``, counted from a view's own ``slot``, as of another slot."""
    return positions if slot == wanted else positions + (wanted - slot) * area


def paint(views: Views, style_table: Tensor | None, background: Tensor) -> Tensor:
    """Renders (B, 3, R, R), sRGB-encoded 0..1, row 0 the top.

    style_table: `Subject.style_table` of T_S; None renders the original. background: (3, R, R) float,
    sRGB-encoded, behind the object in every view.
    """
    if fused(views.base.device):
        from usdstylize.kernels.paint import paint_pixels  # needs Triton

        return paint_pixels(
            style_table,
            views.style.rows,
            views.style.weights,
            views.base,
            views.diffuse,
            views.specular,
            views.pixels,
            background,
            views.count,
        )
    color = views.base if style_table is None else views.base + sample(style_table, views.style)
    lit = shade(color, views.diffuse, views.specular)
    resolution = views.resolution
    images = background.permute(1, 2, 0).reshape(1, -1, 3).repeat(views.count, 1, 1).view(-1, 3)
    images = images.index_copy(0, views.pixels, lit)
    return images.view(views.count, resolution, resolution, 3).permute(0, 3, 1, 2)
