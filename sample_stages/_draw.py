"""Drawing helpers shared by the textures and the style images (numpy and Pillow only)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
RGB = tuple[int, int, int]


def hex_rgb(code: str) -> RGB:
    """'d9502f' as three integers."""
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


def smoothstep(low: float, high: float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, and a smooth rise between them."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def lattice_noise(rng: np.random.Generator, x: Array, y: Array, cells_x: int, cells_y: int) -> Array:
    """Smooth value noise in -1..1 at points of the unit square; it repeats at the square's edges."""
    grid = rng.uniform(-1.0, 1.0, (cells_y, cells_x)).astype(np.float32)
    gx, gy = np.asarray(x) * cells_x, np.asarray(y) * cells_y
    ix, iy = np.floor(gx).astype(int), np.floor(gy).astype(int)
    fx, fy = gx - ix, gy - iy
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    x0, x1, y0, y1 = ix % cells_x, (ix + 1) % cells_x, iy % cells_y, (iy + 1) % cells_y
    top = grid[y0, x0] * (1 - fx) + grid[y0, x1] * fx
    bottom = grid[y1, x0] * (1 - fx) + grid[y1, x1] * fx
    return np.asarray(top * (1 - fy) + bottom * fy)


def fractal_noise(
    rng: np.random.Generator, x: Array, y: Array, cells_x: int, cells_y: int, octaves: int = 3
) -> Array:
    """Several octaves of `lattice_noise`, about -1..1."""
    total = np.zeros(np.broadcast(x, y).shape, np.float32)
    for octave in range(octaves):
        total += 0.5**octave * lattice_noise(rng, x, y, cells_x << octave, cells_y << octave)
    return total / (2.0 - 0.5 ** (octaves - 1))


def unit_grid(width: int, height: int | None = None) -> tuple[Array, Array]:
    """x (to the right) and y (down) at pixel centres, both 0..1 over the image."""
    height = height or width
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    return np.meshgrid(x, y)


def to_image(values: Array) -> Image.Image:
    """Floats 0..255 (H, W) or (H, W, 3) as an 8-bit image."""
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def to_array(image: Image.Image) -> Array:
    """An image as floats 0..255."""
    return np.asarray(image, np.float32)


def shrink(image: Image.Image, factor: int) -> Image.Image:
    """Average `factor` x `factor` blocks: the antialiasing of everything drawn here."""
    return image.reduce(factor)


def blur(values: Array, sigma: float) -> Array:
    """Gaussian blur of a field, in floating point: three box blurs along each axis."""
    radius = max(1, round((np.sqrt(4.0 * sigma * sigma + 1.0) - 1.0) / 2.0))
    result = np.asarray(values, np.float64)
    for axis in (0, 1):
        for _ in range(3):
            pad = [(radius + 1, radius) if k == axis else (0, 0) for k in (0, 1)]
            total = np.cumsum(np.pad(result, pad, mode="edge"), axis=axis)
            width = 2 * radius + 1
            high, low = (
                (total[width:], total[:-width]) if axis == 0 else (total[:, width:], total[:, :-width])
            )
            result = (high - low) / width
    return result.astype(np.float32)


def save(image: Image.Image, path: Path) -> None:
    """Write PNG, or JPEG of quality 92 where the name says so; no metadata, so bytes repeat."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg":
        image.save(path, quality=92, subsampling=0)
    else:
        image.save(path, optimize=True)
