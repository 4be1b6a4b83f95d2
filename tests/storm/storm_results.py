"""What Storm shows of a result: pictures as arrays, and references worked out in NumPy."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from usdstylize.model.objects import Losses, ObjectData, StageObject, StyleTexture
from usdstylize.usd import read, write

from .storm_python import HANG_SECONDS, STORM_PYTHON
from .storm_scenes import CAMERA, steps

__all__ = [
    "SIZE",
    "STYLE",
    "ZOOM",
    "Array",
    "T",
    "bilinear",
    "bumps",
    "decode",
    "encode",
    "fold",
    "material",
    "noise",
    "render",
    "smooth",
    "stylize",
    "texels_in_picture",
]

Array = NDArray[np.float64]
SIZE = 32
ZOOM = 3
"""Pixels per texel and axis, so that no mip level is in play and a texel has a centre pixel."""


def decode(encoded: Array) -> Array:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encode(linear: Array) -> Array:
    linear = np.maximum(linear, 0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def noise(seed: int, low: float, high: float, channels: int = 3) -> Array:
    return np.random.default_rng(seed).uniform(low, high, (SIZE, SIZE, channels))


T = np.rint(noise(1, 0, 1) * 255) / 255
"""Codes of an 8-bit texture."""
STYLE = noise(2, -0.7, 0.7).astype(np.float16).astype(np.float64)
"""T_S: with T, a third of the sums leaves 0..1."""


def render(folder: Path, jobs: list[dict[str, Any]]) -> list[Array]:
    """(H, W, 3) linear pictures of the jobs."""
    for number, job in enumerate(jobs):
        job |= {"out": str(folder / f"picture{number}.exr"), "camera": CAMERA}
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [str(STORM_PYTHON), str(Path(__file__).with_name("render.py")), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [oiio.ImageBuf(job["out"]).get_pixels(oiio.FLOAT)[..., :3].astype(np.float64) for job in jobs]


def stylize(
    root: Path,
    *,
    strength: float = 1.0,
    style: Array = STYLE,
    base: Array | None = None,
    name: str = "ink",
    output: Path | None = None,
    **changes: Any,
) -> tuple[Path, StageObject]:
    """Write the result of the one object of a stage; ``base`` and ``changes`` replace what was read."""
    contents = read.discover(root)
    assert [str(skipped) for skipped in contents.skipped if skipped.broken] == []
    plan = write.plan(contents, name, output=output, force=False, resume=False)
    with write.Writer(plan, contents, strength=strength, network="both") as writer:
        for obj in contents.objects:
            data = read.load(contents, obj)
            if base is not None:
                data = ObjectData(data.mesh, (base.astype(np.float32),))
            texture = StyleTexture((style.astype(np.float32),), 1.0, 1, 0, 0.0, Losses({}, 0))
            writer.write_object(replace(obj, **changes), data, texture)
        return writer.commit({}), contents.objects[0]


def material(obj: StageObject) -> str:
    return f"/World/StylizedLooks/{obj.name}"


def texels_in_picture(
    width: int, low: float, high: float, transform: dict[str, Any] | Sequence[dict[str, Any]] | None
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Which pixels lie at texel centres, and the row and column of the texel under each pixel.

    Columns and rows count on beyond the texture, for the wrap mode to fold.
    """
    middle = (np.arange(width) + 0.5) / width
    u, v = np.meshgrid(low + middle * (high - low), low + middle[::-1] * (high - low))
    for step in steps(transform):
        angle = np.radians(step["rotation"])
        u, v = u * step["scale"][0], v * step["scale"][1]
        u, v = u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle)
        u, v = u + step["translation"][0], v + step["translation"][1]
    x, y = u * SIZE, (1 - v) * SIZE
    columns, rows = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    centred = (np.abs(x - columns - 0.5) < 0.01) & (np.abs(y - rows - 0.5) < 0.01)
    # Clipping to the picture makes two triangles; render.py says what happens along their edge.
    across, down = np.meshgrid(np.arange(width), np.arange(width))
    return centred & (np.abs(across - down) > 2), rows, columns


def fold(
    index: NDArray[np.int64], wrap: str, size: int = SIZE
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The texel of ``size`` that a wrap mode shows for an index, and whether it shows one at all."""
    if wrap == "mirror":
        index = np.where(index // size % 2 == 0, index % size, size - 1 - index % size)
    elif wrap == "repeat":
        index = index % size
    inside = (index >= 0) & (index < size) if wrap == "black" else np.ones_like(index, dtype=bool)
    return np.clip(index, 0, size - 1), inside


def smooth(seed: int, low: float, high: float) -> Array:
    """Codes that change slowly, so that filtering plays no part."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE * 2 * np.pi
    phases = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = np.stack([np.sin(x + p) * np.cos(y + 2 * p) for p in phases], axis=-1)
    return low + (waves + 1) / 2 * (high - low)


def bilinear(image: Array, uvs: Array, wrap: tuple[str, str] = ("repeat", "repeat")) -> Array:
    """Samples (…, C) of an image (H, W, C), row 0 its top, at UVs (…, 2)."""
    height, width = image.shape[:2]
    x, y = uvs[..., 0] * width - 0.5, (1 - uvs[..., 1]) * height - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = (x - left)[..., None], (y - top)[..., None]

    def at(row: NDArray[np.int64], column: NDArray[np.int64]) -> Array:
        row, row_inside = fold(row, wrap[1], height)
        column, column_inside = fold(column, wrap[0], width)
        found: Array = image[row, column] * (row_inside & column_inside)[..., None]
        return found

    upper = at(top, left) * (1 - across) + at(top, left + 1) * across
    lower = at(top + 1, left) * (1 - across) + at(top + 1, left + 1) * across
    result: Array = upper * (1 - down) + lower * down
    return result


def bumps() -> Array:
    """A tangent-space normal map of round bumps, as 8-bit codes."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE * 2 * np.pi
    normal = np.stack([0.4 * np.sin(2 * x), 0.3 * np.cos(y), np.ones_like(x)], axis=-1)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True) / 2 + 0.5
