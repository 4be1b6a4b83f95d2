"""Where cameras stand and how large T_S is, so that a pattern has one width on every surface of a stage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from usdstylize import render
from usdstylize.config.method import Method
from usdstylize.imaging import uv_raster
from usdstylize.model.objects import ObjectData, StageObject

__all__ = ["Framing", "frame", "iterations_of", "sheet_widths"]

_DISTANCE = 6.0
"""Radii from which a whole object is seen. From so far, a pixel spans nearly the same on all that faces the
camera: 1 in its middle is 0.91 in front and 1.09 at the rim."""
_RIM = 1.0 / math.sqrt(_DISTANCE**2 - 1)
"""Tangent of half the angle under which the bounding sphere is seen from there."""
_FACING = 0.5
"""Radii by which the surface that faces a camera is nearer than the centre, in the mean."""
_WINDOW_ANGLE = 30.0
"""Degrees that a window's camera sees, for the same reason."""
_SCENE_ANGLE = 15.0
"""The same where windows see several objects: a longer lens, since they stand at different depths."""
_CAMERA_SHARE = 0.2
"""Share of the windows over several objects that are seen from the stage's cameras."""
_SCENE_POOL = 4
"""Coverings in the pool at least where several objects are seen together: each side of each, as a whole."""
_LARGEST_WHOLE = 1.5
"""Renders of a whole object are at most so many times as wide as the style image."""
_WINDOW = 2.0
"""Windows are so many times as wide: the larger, the less of them is border."""
_STEP = 32
"""Sides of renders are multiples of it, as the networks' strides want."""
_OVERLAP = 1.4
"""Area of all windows of a covering by that of the surface: they are squares around points that are spread
at random, and leave hardly a gap."""
_MOST_WINDOWS = 192
_SMALLEST = 32
"""Pixels that the smallest object spans at least: fewer show no pattern."""
_COARSER = 1.3
"""Texels are at most so many times as large as pixels where sizes are rounded to powers of two."""
_LEAST_SIZE = 32
_SMALL_COST = 0.5
"""A small object's views have together at most this share of the pixels of the style image."""
_MOST_VIEWS = 8
"""Times as many views as the preset has: more do not help."""
_LEAST_AREA = 1e-12
_NOTABLE = 1.05
"""Factors that a remark says."""


@dataclass(frozen=True)
class Framing:
    """One object's method, or a group's, and what could not be as asked for.

    pixel: metres that a pixel spans on the surface. views_at_once: views of a batch that are compared
    together. sizes: texels on a side that each sheet's T_S has in the end, at most those of the method.
    """

    method: Method
    pixel: float
    views_at_once: int
    sizes: tuple[int, ...]
    width: float = 0.0
    """Of the pattern, in radii; 0 where the pattern width is 0."""
    wider: float = 1.0
    """How many times as wide as asked for the pattern is."""
    lacking: tuple[float, ...] = ()
    """By sheet, how many times as many texels on a side it would need, where its pattern is as asked for."""

    def remarks_of(self, sheets: Sequence[int]) -> tuple[str, ...]:
        """What could not be as asked for on these sheets, one sentence each."""
        most = max(self.sizes[sheet] for sheet in sheets)
        lacking = max((self.lacking[sheet] for sheet in sheets if self.lacking), default=1.0)
        if self.wider > _NOTABLE:
            return (
                f"Its pattern is {self.wider:.1f} times as wide as elsewhere, since {most} texels are the "
                "most that its style texture may have.",
            )
        if self.wider < 1 / _NOTABLE:
            return (
                f"Its pattern is {1 / self.wider:.1f} times as narrow as elsewhere, since it is so small.",
            )
        if lacking > _NOTABLE:
            return (
                f"Its pattern is blurred: it would need {lacking:.1f} times as many texels on a side as the "
                f"{most} that its style texture may have.",
            )
        return ()


def frame(method: Method, assembly: render.Assembly, processes: int = 1, cameras: int = 0) -> Framing:
    """``method`` with resolution, cameras, views, iterations and size of T_S as its pattern width asks for.

    The paper's way where the pattern width is 0. processes: how many share each batch, which is a multiple
    of their number. cameras: how many the stage has, for views of the whole scene.
    """
    if not method.pattern_width:
        size = 2 * math.tan(math.radians(method.field_of_view) / 2) * method.camera_distance[0]
        pixel = size * assembly.radius / method.resolution
        sizes = (method.texture_resolution,) * len(assembly.sheets)
        return Framing(replace(method, border=0), pixel, method.batch, sizes)
    together = method.views == "scene" and len(assembly.sheets_of_object) > 1
    if not together:
        method = replace(method, views="object")
    wanted = method.pattern_width / method.resolution / assembly.radius
    pixel = wanted if together else min(wanted, 2.0 / _SMALLEST)
    sizes, texels = _texture_sizes(assembly, pixel, method)
    lacking: tuple[float, ...] = ()
    if method.texture_limit and together:
        lacking = tuple(texel / 2 / pixel for texel in texels)
    elif method.texture_limit:
        pixel = max(pixel, max(texels) / 2)
    given, method = method, replace(method, texture_resolution=max(sizes), smooth=True)
    whole = _rounded(2 * _RIM * (_DISTANCE - _FACING) / pixel + 2 * method.border)
    if together:
        method = replace(method, field_of_view=_SCENE_ANGLE)
        method = _windows(method, pixel, assembly, processes, _CAMERA_SHARE if cameras else 0.0)
    elif whole <= _LARGEST_WHOLE * method.resolution:
        method = _whole(method, pixel, whole, processes)
    else:
        method = replace(method, field_of_view=_WINDOW_ANGLE)
        method = _windows(method, pixel, assembly, processes)
    fitting = given.batch * (given.resolution / method.resolution) ** 2
    at_once = max(1, round(fitting)) if method.window else method.batch
    width = pixel * given.resolution
    return Framing(method, pixel * assembly.radius, at_once, sizes, width, pixel / wanted, lacking)


def iterations_of(method: Method, objects: Sequence[StageObject], data: Sequence[ObjectData]) -> int:
    """The most iterations that a group of objects takes."""
    return frame(method, render.assemble(objects, data)).method.iterations


def _whole(method: Method, pixel: float, size: int, processes: int) -> Method:
    """The whole object in every view, ``size`` pixels wide."""
    tangent = pixel * size / 2 / (_DISTANCE - _FACING)
    smaller = (method.resolution / size) ** 2
    views = max(method.batch, min(int(_SMALL_COST * smaller), _MOST_VIEWS * method.batch))
    views = math.ceil(views / processes) * processes
    return replace(
        method,
        resolution=size,
        camera_distance=(_DISTANCE, _DISTANCE),
        field_of_view=math.degrees(2 * math.atan(tangent)),
        batch=views,
        view_pool=method.view_pool and max(method.view_pool, _MOST_VIEWS * views),
    )


def _windows(
    method: Method, pixel: float, assembly: render.Assembly, processes: int, cameras: float = 0.0
) -> Method:
    """Windows that together see all of the surface in every iteration.

    cameras: as many more, as a share, are seen from the stage's cameras.
    """
    size = _rounded(_WINDOW * method.resolution)
    counted = (size - 2 * method.border) * pixel
    together = method.views == "scene"
    area = _unique_area(assembly)
    if together:
        area += render.added_area(assembly, size * pixel)
    count = math.ceil(_OVERLAP * area / counted**2)
    step = math.lcm(max(1, round(method.batch / _WINDOW**2)), processes)
    count = min(max(count, 2), _MOST_WINDOWS)
    from_cameras = math.ceil(cameras * count)
    batch = math.ceil((count + from_cameras) / step) * step
    rounds = method.view_pool / _WINDOW**2 / batch
    rounds = max(_SCENE_POOL, round(2 * rounds)) if together else max(2, round(rounds))
    return replace(
        method,
        resolution=size,
        window=size * pixel,
        batch=batch,
        camera_windows=from_cameras,
        iterations=method.covering_iterations,
        view_pool=method.view_pool and batch * rounds,
    )


def _rounded(pixels: float) -> int:
    return max(2 * _STEP, math.ceil(pixels / _STEP) * _STEP)


def _areas(assembly: render.Assembly) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every triangle: its area in square radii, and that in its texture, in UVs."""
    corners, uvs = assembly.mesh.points[assembly.mesh.triangles].astype(np.float64), assembly.mesh.uvs
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    first, second = (uvs[:, 1] - uvs[:, 0]).astype(np.float64), (uvs[:, 2] - uvs[:, 0]).astype(np.float64)
    return area, np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def sheet_widths(assembly: render.Assembly) -> list[float]:
    """Of every sheet, what a unit of its UVs spans on the surface in the mean, in radii."""
    area, in_texture = _areas(assembly)
    each = [assembly.sheet_of_triangle == sheet for sheet in range(len(assembly.sheets))]
    return [math.sqrt(area[own].sum() / max(float(in_texture[own].sum()), _LEAST_AREA)) for own in each]


def _texture_sizes(
    assembly: render.Assembly, pixel: float, method: Method
) -> tuple[tuple[int, ...], list[float]]:
    """Texels on a side of each sheet's T_S, about one for a pixel, and what one then spans, in radii.

    Objects that are seen by themselves have one size for all their sheets.
    """
    widths = sheet_widths(assembly)
    most = min(method.texture_limit, assembly.most_texels or method.texture_limit)
    wanted = [2 ** math.ceil(math.log2(max(width / pixel, 1.0) / _COARSER)) for width in widths]
    sizes = [min(max(size, _LEAST_SIZE), most) or method.texture_resolution for size in wanted]
    if method.views == "object":
        sizes = [max(sizes)] * len(sizes)
    return tuple(sizes), [width / size for width, size in zip(widths, sizes, strict=True)]


def _unique_area(assembly: render.Assembly) -> float:
    """Square radii of surface that differ: what several places share of a texture counts once."""
    area, in_texture = _areas(assembly)
    total = 0.0
    for sheet, own in enumerate(assembly.sheets):
        chosen = assembly.sheet_of_triangle == sheet
        if chosen.any():
            shown = float(uv_raster.covered_texels(assembly.uvs_of(sheet), own.wrap, 256).mean())
            repeats = max(1.0, float(in_texture[chosen].sum()) / max(shown, _LEAST_AREA))
            total += float(area[chosen].sum()) / repeats
    return total
