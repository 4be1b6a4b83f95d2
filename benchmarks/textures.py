"""4k textures: what reading, baking and filling take on top of the library that decodes or encodes.

python -m benchmarks.textures

Each row against its floor, measured in the same run, alternating, the least of a few: reading an
EXR against the bare OpenImageIO call, the bake against writing its bytes, coverage against one
embreex ray a texel, gutters against scipy's exact distance transform.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from cyclopts import App
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from benchmarks.memory import peak_bytes
from usdstylize.imaging import gutters, uv_raster
from usdstylize.imaging.encoding import srgb_to_linear
from usdstylize.model.base_colors import TextureFile, Wrap
from usdstylize.usd.read.base_color import read_base_color
from usdstylize.usd.write.bake import combine, write_baked, write_half

__all__ = ["main"]

GOAL = 3.0
"""Seconds, each."""
_REPEAT: tuple[Wrap, Wrap] = ("repeat", "repeat")

Float32 = NDArray[np.float32]

app = App(name="benchmarks.textures", help="Reading, baking and filling 4k textures.")


@dataclass(frozen=True)
class Row:
    name: str
    ours: Callable[[], object]
    floor_name: str
    floor: Callable[[], object]


def picture(side: int) -> Float32:
    """(side, side, 4) float32 of waves with grain, linear, alpha 1."""
    y, x = (np.mgrid[0:side, 0:side] / side).astype(np.float32)
    waves = [np.sin(9 * x + 3 * y) * 0.4 + 0.5, np.cos(7 * y) * 0.4 + 0.5, x * y, np.ones_like(x)]
    image = np.stack(waves, axis=-1)
    image[..., :3] += np.random.default_rng(0).normal(0, 0.02, (side, side, 1))
    return image.clip(0, 1).astype(np.float32)


def write_exr(path: Path, image: Float32) -> None:
    """Half, RGBA, zip."""
    spec = oiio.ImageSpec(image.shape[1], image.shape[0], 4, "half")
    spec.attribute("compression", "zip")
    output = oiio.ImageOutput.create(str(path))
    if output is None or not output.open(str(path), spec):
        raise SystemExit(f"{path} cannot be written.")
    output.write_image(image.astype(np.float16))
    output.close()


def charts(triangles: int) -> NDArray[np.float64]:
    """(F, 3, 2): 8 x 8 tilted charts with gaps, a grid of triangles each."""
    cells = max(1, round((triangles / 128) ** 0.5))
    turn = np.random.default_rng(0).uniform(0, 0.5, 64)
    grid = np.linspace(-0.5, 0.5, cells + 1)
    place = np.stack(np.meshgrid(grid, grid), axis=-1)
    corners = []
    for chart, angle in enumerate(turn):
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        spot = place @ matrix * 0.08 + np.array([chart % 8 + 0.5, chart // 8 + 0.5]) / 8
        a, b, c, d = spot[:-1, :-1], spot[:-1, 1:], spot[1:, 1:], spot[1:, :-1]
        corners += [
            np.stack([a, b, c], axis=2).reshape(-1, 3, 2),
            np.stack([a, c, d], axis=2).reshape(-1, 3, 2),
        ]
    return np.concatenate(corners)


def rows(folder: Path, side: int, triangles: int) -> list[Row]:
    image = picture(side)
    write_exr(folder / "T.exr", image)
    texture = TextureFile(
        "./T.exr", str(folder / "T.exr"), "linear", "repeat", "repeat", size=(side, side), bit_depth="half"
    )
    base, _ = read_base_color(texture, texture.resolved_path)
    style = np.random.default_rng(1).uniform(-0.2, 0.2, (1024, 1024, 3)).astype(np.float32)
    total = combine(base, [(style, 1.0)], _REPEAT, texture.transfer)
    uvs = charts(triangles)
    valid = uv_raster.covered_texels(uvs, _REPEAT, side)
    plain = np.ascontiguousarray(image[..., :3])

    def decode() -> object:
        source = oiio.ImageInput.open(texture.resolved_path)
        pixels = source.read_image("half")
        source.close()
        return pixels

    def bake_png() -> None:
        write_baked(folder / "ours.png", combine(base, [(style, 1.0)], _REPEAT, texture.transfer))

    def bake_exr() -> None:
        write_half(
            folder / "ours.exr",
            srgb_to_linear(combine(base, [(style, 1.0)], _REPEAT, texture.transfer)),
            color=True,
        )

    return [
        Row(
            "read a half EXR", lambda: read_base_color(texture, texture.resolved_path), "OpenImageIO", decode
        ),
        Row("bake to PNG", bake_png, "write alone", lambda: write_baked(folder / "floor.png", total)),
        Row(
            "bake to EXR",
            bake_exr,
            "write alone",
            lambda: write_half(folder / "floor.exr", total, color=True),
        ),
        Row(
            "covered texels",
            lambda: uv_raster.covered_texels(uvs, _REPEAT, side),
            "a ray a texel",
            lambda: uv_raster.rasterize(uvs, side),
        ),
        Row(
            "fill gutters",
            lambda: gutters.dilate(plain, valid, _REPEAT),
            "scipy, no wrap",
            lambda: ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True),
        ),
    ]


@app.default
def main(*, side: int = 4096, triangles: int = 80_000, runs: int = 2) -> int:
    """Time them; the exit code is 1 where one takes longer than the goal.

    Parameters
    ----------
    side
        Texels along one side of the textures.
    triangles
        In UV space.
    runs
        Timed runs of each; the least counts.
    """
    table = Table(
        title=f"{side}² textures, {triangles} triangles, {os.cpu_count()} cores", title_justify="left"
    )
    for heading in ("", "ours, s", "CPU, s", "floor", "floor, s", "ratio", "goal, s", ""):
        table.add_column(heading, justify="right")
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), side, triangles):
            ours = floor = cpu = float("inf")
            for _ in range(runs):
                started, busy = time.perf_counter(), time.process_time()
                row.ours()
                between, busied = time.perf_counter(), time.process_time()
                row.floor()
                ours, cpu = min(ours, between - started), min(cpu, busied - busy)
                floor = min(floor, time.perf_counter() - between)
            good = ours <= GOAL
            missed |= not good
            verdict = "met" if good else "[red]missed[/red]"
            ratio = f"{ours / floor:.2f}"
            table.add_row(
                row.name,
                f"{ours:.2f}",
                f"{cpu:.2f}",
                row.floor_name,
                f"{floor:.2f}",
                ratio,
                f"≤ {GOAL:g}",
                verdict,
            )
    console = Console()
    console.print(table)
    copy = side**2 * 12 / 2**30
    console.print(f"Peak memory {peak_bytes() / 2**30:.2f} GiB; a copy of such a texture is {copy:.2f} GiB.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
