"""Where T_S begins: as a faint field, so that strokes can form anywhere, or with the colours of the style."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize import render
from usdstylize.imaging import gutters, transport, uv_raster
from usdstylize.model.objects import StyleSet
from usdstylize.optimize.framing import sheet_widths

__all__ = ["start_colors", "start_field"]

_WAVES = 192
_SHORTEST, _LONGEST = 1 / 16, 1.0
"""Wavelengths, in pattern widths."""
_TEXELS_AT_ONCE = 1 << 16
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_EVEN, _TWO_TONED = 1 / math.sqrt(12), 0.37
"""Deviation of luma where every level is as frequent, and where a style has two: ink 0.47, a woodcut 0.38,
paintings at most 0.21."""
_LEAST_COLORS = 20_000
"""Texels, over all sheets, from which the colours are drawn that are matched with the style's."""


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


def start_colors(
    assembly: render.Assembly,
    bases: Tensor,
    start: Tensor,
    covered: NDArray[np.bool_],
    style: StyleSet,
    share: float,
    seed: int,
    *,
    kept_light: float | None = None,
) -> Tensor:
    """(S, H, W, 3) float32: signed offsets that give T the colours of the style.

    The colours of T + ``start`` over the whole surface are carried onto those of the style, by
    `imaging.transport.color_lut` with that ``share``; ``start`` makes many of one. bases: T, sRGB-encoded,
    and start: signed offsets, (S, H, W, 3) float32 each. covered: (S, H, W) bool. kept_light: 0..1, how much
    of its luma a colour keeps; None: as suits the style.
    """
    random = np.random.default_rng([seed, 1])
    areas = np.square(sheet_widths(assembly)) * covered.mean((1, 2))
    counts = np.ceil(_LEAST_COLORS * areas / areas.sum()).astype(int)
    drawn = []
    for base, own, shown, count in zip(bases, start, covered, counts, strict=True):
        if shown.any():
            places = torch.from_numpy(random.choice(np.flatnonzero(shown), count))
            drawn.append((base + own).view(-1, 3)[places].clamp(0, 1).numpy())
    light = _two_toned(style) if kept_light is None else kept_light
    found = transport.color_lut(np.concatenate(drawn), style.colors, share, random, kept_light=light)
    lut = torch.from_numpy(found)
    lut = lut.permute(3, 2, 1, 0)[None]  # channels, then blue, green, red, as `grid_sample` has its axes
    colored = torch.empty_like(start)
    parts = (torch.split(values.view(-1, 3), _TEXELS_AT_ONCE) for values in (bases, start, colored))
    for base, own, result in zip(*parts, strict=True):
        color = (base + own).clamp(0, 1)
        moves = F.grid_sample(lut, (2 * color - 1)[None, None, None], align_corners=True)
        result.copy_(color + moves[0, :, 0, 0].T - base)
    return colored


def _two_toned(style: StyleSet) -> float:
    """0..1: how much of the style is light and dark with little between, as ink on paper is.

    There a tone is drawn by strokes. A surface that begins with the style's colours would begin as areas of
    black and white, of which no hatching comes. Paintings have 0.
    """
    levels = np.concatenate([pixels @ _LUMA for pixels, _ in style.colors])
    return float(np.clip((levels.std() / _EVEN - 1) / (_TWO_TONED / _EVEN - 1), 0, 1))


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
