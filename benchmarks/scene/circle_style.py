"""A style image of equal discs, whose size on a surface can be measured."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["RADIUS", "STYLE", "circle_centers", "draw_circles", "write_style_set"]

STYLE = "circles"
"""The style's name, by which a result is known to be one of discs."""
RADIUS = 0.03
"""Of the image's width: 7.7 pixels of a render of 256, which is twice what the draft encoder's first
layer spans."""
_SPACING = 3.0
"""Distance of neighbours, in radii."""
_JITTER = 0.15
"""Largest shift of a centre along each axis, in radii, so that no lattice is learnt."""
_GROUND, _DISC = (236, 226, 200), (30, 36, 66)
_SUPERSAMPLING = 4


def circle_centers(radius: float, seed: int = 0) -> NDArray[np.float64]:
    """Centres (N, 2) in a unit square, on a jittered hexagonal grid that goes on beyond its edges.

    radius: of a disc, as a fraction of the square's side.
    """
    random = np.random.default_rng(seed)
    step = _SPACING * radius
    rows = np.arange(-step, 1 + step, step * np.sqrt(3) / 2)
    columns = np.arange(-step, 1 + step, step)
    found = [(x + step / 2 * (row % 2), y) for row, y in enumerate(rows) for x in columns]
    return np.array(found) + random.uniform(-1, 1, (len(found), 2)) * _JITTER * radius


def draw_circles(size: int = 1024, radius: float = RADIUS, seed: int = 0) -> Image.Image:
    """Dark discs on light ground, ``size`` pixels a side, without any other tone but smooth edges."""
    full = size * _SUPERSAMPLING
    image = Image.new("RGB", (full, full), _GROUND)
    draw = ImageDraw.Draw(image)
    for x, y in circle_centers(radius, seed) * full:
        draw.ellipse([x - radius * full, y - radius * full, x + radius * full, y + radius * full], fill=_DISC)
    return image.reduce(_SUPERSAMPLING)


def write_style_set(folder: Path, size: int = 1024, radius: float = RADIUS) -> Path:
    """A style set of that one image, `circles`, in ``folder``; returns the style set's own folder."""
    path = folder / STYLE
    path.mkdir(parents=True, exist_ok=True)
    draw_circles(size, radius).save(path / "circles.png")
    return path
