"""A written result, object by object: how large its pattern is, what detail it has, what it keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Usd, UsdGeom

from benchmarks.results import StylizedObject, read_objects, style_layout
from benchmarks.scene.borders import Borders, window_borders
from benchmarks.scene.circle_style import STYLE
from benchmarks.scene.detail import Specks, band_share, count_specks
from benchmarks.scene.pattern import (
    DiscPattern,
    autocorrelation_length,
    disc_pattern,
    length_within,
    variation,
)
from benchmarks.scene.regions import REGIONS, region_correlation
from benchmarks.scene.surface import Surface
from usdstylize.usd.io.opening import open_stage
from usdstylize.usd.write.provenance import read_run

__all__ = [
    "MeasuredObject",
    "MeasuredResult",
    "measure_result",
    "metres_per_unit",
    "seen_pixel",
    "settings_of",
    "surface_of",
]


_STYLE_IMAGES = 2.0
"""As wide as so many is a window."""
_PATCH = 1 / 16
"""Of the pattern width: about as wide as the smallest objects, and several strokes."""


@dataclass(frozen=True)
class MeasuredObject:
    """Lengths are metres on the surface."""

    path: str
    radius: float
    """Of its bounding sphere."""
    depth: float | None
    """Distance of its middle from the stage's first camera; None without a camera."""
    size: tuple[int, int]
    """(width, height) of T_S."""
    texel: float
    seen: float
    """What a pixel of the encoder covers."""
    discs: DiscPattern | None
    """None, too, where the style set is not that of the circles."""
    length: float | None
    """At which the autocorrelation of T_S falls to 1/e."""
    stroke_length: float | None
    """The same within patches that are equally wide on all objects."""
    borders: Borders | None
    """None, too, where no flat part is as large as a window, or its T is not of one colour."""
    above_band: float | None
    specks: Specks
    regions: Mapping[str, float]


@dataclass(frozen=True)
class MeasuredResult:
    """One style of one result."""

    name: str
    style: str
    objects: tuple[MeasuredObject, ...]
    seconds: float
    """Of the run."""
    metres_per_unit: float

    def values(self, what: str) -> list[float]:
        """A property of all objects that have it: ``discs.radius``, ``length``, ``above_band``, …"""
        found = []
        for item in self.objects:
            value: Any = item
            for name in what.split("."):
                value = None if value is None else getattr(value, name)
            if value is not None:
                found.append(float(value))
        return found

    def variation(self, what: str) -> float | None:
        """Its coefficient of variation over the objects."""
        return variation(self.values(what))


def measure_result(
    root_layer: Path, style: str, *, pixel: float | None = None, patch: float | None = None, mask: str = "/"
) -> Iterator[MeasuredObject]:
    """Every object at or under ``mask``, measured one after the other.

    pixel: what a pixel of the encoder covers, metres; else as the run's settings say. patch: width of those
    that are equally wide on all objects, metres; else a share of the run's pattern width. Raises OutputError.
    """
    settings = settings_of(root_layer, style)
    camera = _camera(root_layer)
    width = settings.get("pattern_width")
    window = _STYLE_IMAGES * width if width else None
    patch = patch or (_PATCH * width if width else None)
    for item in read_objects(root_layer, style, mask):
        surface = surface_of(item)
        scale = item.object.settings.pattern_scale or 1.0
        seen = pixel or seen_pixel(settings, surface.radius) * scale
        yield MeasuredObject(
            path=item.object.path,
            radius=surface.radius,
            depth=None if camera is None else float(np.linalg.norm(surface.center - camera)),
            size=(surface.style_size[1], surface.style_size[0]),
            texel=surface.texel,
            seen=seen,
            discs=disc_pattern(surface) if style == STYLE else None,
            length=autocorrelation_length(surface),
            stroke_length=length_within(surface, patch * scale) if patch else None,
            borders=window_borders(surface, window and window * scale),
            above_band=band_share(surface, seen),
            specks=count_specks(item),
            regions={
                region.name: found
                for region in REGIONS
                if item.object.path.endswith(region.path)
                and (found := region_correlation(surface, item.data.mesh, region, seen)) is not None
            },
        )


def surface_of(item: StylizedObject) -> Surface:
    """What `Surface` needs of an object of a result."""
    base, style = item.data.bases[0], item.style_texture
    return Surface(item.data.mesh, base, style, item.object.wrap, item.data.transfer)


def settings_of(root_layer: Path, style: str) -> Mapping[str, Any]:
    """The settings in a run.json."""
    found: Mapping[str, Any] = read_run(style_layout(root_layer, style))["plan"]["settings"]
    return found


def seen_pixel(settings: Mapping[str, Any], radius: float) -> float:
    """Length on the surface, metres, that a pixel of the encoder covers.

    That of the pattern width where the run has one. Else that of the frame through the middle of the
    object: half of it is the cameras' mean distance, in radii, times the tangent of half the field of view.
    """
    resolution = float(settings["resolution"])
    if settings.get("pattern_width"):
        return float(settings["pattern_width"]) / resolution
    distance = radius * float(np.mean(settings["camera_distance"]))
    return float(2 * distance * np.tan(np.radians(settings["field_of_view"]) / 2) / resolution)


def metres_per_unit(root_layer: Path) -> float:
    """Of the stage."""
    return float(UsdGeom.GetStageMetersPerUnit(open_stage(root_layer)))


def _camera(root_layer: Path) -> np.ndarray | None:
    """Where the stage's first camera stands: metres, +Y up."""
    stage = open_stage(root_layer)
    camera = next((prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Camera)), None)
    if camera is None:
        return None
    place = UsdGeom.XformCache(Usd.TimeCode.EarliestTime()).GetLocalToWorldTransform(camera)
    x, y, z = np.array(place.ExtractTranslation()) * UsdGeom.GetStageMetersPerUnit(stage)
    return np.array((x, z, -y) if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else (x, y, z))
