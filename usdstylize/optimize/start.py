"""Where T_S begins: a faint field of the style's colours, so that strokes can form anywhere."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usdstylize import render
from usdstylize.imaging import gutters, uv_raster
from usdstylize.model.objects import StyleSet

__all__ = ["start_field"]

_WAVES = 192
_SHORTEST, _LONGEST = 1 / 16, 1.0
"""Wavelengths, in pattern widths."""
_TEXELS_AT_ONCE = 1 << 16


def start_field(
    assembly: render.Assembly, style: StyleSet, width: float, share: float, size: int, seed: int
) -> Tensor:
    """(S, size, size, 3) float32, signed offsets to sRGB-encoded values, mean 0; row 0 is the top.

    Every wavelength from a pattern width down to a 16th of it, as strong in each octave, is a function of
    the position on the surface: no seam of the UVs shows in it. Colours deviate as those of the style's
    images do from their mean, ``share`` as much. Without it a surface of one colour has no reason to get a
    stroke here rather than there, but for the edges of the pictures that are taken of it, which would then
    show. width: the pattern width in radii.
    """
    random = np.random.default_rng([seed, 0])
    octaves = random.uniform(math.log(1 / _LONGEST), math.log(1 / _SHORTEST), _WAVES)
    directions = random.standard_normal((_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    waves = directions * (2 * math.pi * np.exp(octaves) / width)[:, None]
    phases = random.uniform(0, 2 * math.pi, _WAVES)
    colors = random.standard_normal((_WAVES, 3)) @ _deviation(style).T * (share * math.sqrt(2 / _WAVES))
    corners = assembly.mesh.points[assembly.mesh.triangles]
    fields = []
    for number, sheet in enumerate(assembly.sheets):
        own = assembly.sheet_of_triangle == number
        places, covered = uv_raster.rasterize_vertex_colors(
            assembly.mesh.uvs[own], corners[own], size, sheet.wrap
        )
        image = np.zeros((size, size, 3), np.float32)
        image[covered] = _waves_at(places[covered], waves, phases, colors)
        fields.append(gutters.dilate(image, covered, sheet.wrap))
    return torch.from_numpy(np.stack(fields))


def _waves_at(
    places: NDArray[np.float32],
    waves: NDArray[np.float64],
    phases: NDArray[np.float64],
    colors: NDArray[np.float64],
) -> NDArray[np.float32]:
    parts = np.array_split(places, max(1, len(places) // _TEXELS_AT_ONCE))
    found = [np.cos(part @ waves.T.astype(np.float32) + phases.astype(np.float32)) @ colors for part in parts]
    return np.concatenate(found).astype(np.float32)


def _deviation(style: StyleSet) -> NDArray[np.float64]:
    """(3, 3): what turns three independent normal numbers into a deviation of the style's colours."""
    pixels = np.concatenate([image.pixels.reshape(-1, 3)[::7] for image in style.images]).astype(np.float64)
    values, axes = np.linalg.eigh(np.cov(pixels.T))
    deviation: NDArray[np.float64] = axes * np.sqrt(np.maximum(values, 0.0))
    return deviation
