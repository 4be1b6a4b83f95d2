"""Linear textures smaller than T_S, of its size and larger, in Storm: filtered as linear, encoded afterwards.

The reference is worked out here from the values that were written. Software GL filters a texture of 8 bits in
8 bits: there the live network is compared with what Storm itself makes of the source.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import hold
from numpy.typing import NDArray
from pxr import UsdShade

from usdstylize import Options

from .storm_results import (
    SIZE,
    STYLE,
    ZOOM,
    Array,
    bilinear,
    decode,
    encode,
    material,
    render,
    stylize,
)
from .storm_scenes import Paint, add_mesh, bind, make_stage
from .test_storm_formats import FROM_AP1, write
from .test_storm_groups import TILES, author_all, away_from_edges, signed, square

pytestmark = pytest.mark.storm

SIZES = {"small": (SIZE // 2, SIZE // 2), "even": (SIZE, SIZE), "large": (2 * SIZE, 2 * SIZE)}
"""(height, width) of T; T_S has SIZE texels on each side."""
SCALE, BIAS = (0.8, 0.5, 1.3, 1.0), (0.1, -0.1, 0.0, 0.0)


def drawn(size: tuple[int, int], high: float, channels: int = 3) -> Array:
    """Random light that halves hold exactly."""
    values = np.random.default_rng(7).uniform(0, high, (*size, channels))
    return values.astype(np.float16).astype(np.float64)


def light(channels: int = 3, kind: type = np.float64, **options: Any) -> Callable[..., Array]:
    def make(path: Path, size: tuple[int, int]) -> Array:
        values = drawn(size, 1.6, channels)
        write(path, values.astype(kind), **options)
        return values.repeat(4 - channels, axis=2) if channels == 1 else values

    return make


def codes(channels: int = 3, kind: type = np.uint8, **options: Any) -> Callable[..., Array]:
    def make(path: Path, size: tuple[int, int]) -> Array:
        most = np.iinfo(kind).max
        pixels = np.rint(drawn(size, 1.0, channels) * most).astype(kind)
        write(path, pixels, **options)
        return (pixels[..., :1].repeat(3, axis=2) if channels < 3 else pixels) / most

    return make


def cropped(path: Path, size: tuple[int, int]) -> Array:
    values = drawn(size, 1.6)
    values[:3] = values[:, -2:] = 0
    write(path, values[3:, :-2], display=(0, -3, size[1], size[0]))
    return values


def in_ap1(path: Path, size: tuple[int, int]) -> Array:
    values = drawn(size, 1.6)
    write(path, values)
    return values @ FROM_AP1.T


@dataclass(frozen=True)
class Format:
    suffix: str
    write: Callable[..., Array]
    """Writes a file of a (height, width), and returns its light (H, W, 3)."""
    color_space: str = "raw"
    named: str | None = None
    """The ``colorSpace`` of the file."""
    scaled: bool = False
    copied: bool = False
    """Storm misreads it, and the live network reads a copy of T."""

    @property
    def is_coarse(self) -> bool:
        return self.suffix in ("png", "bmp", "tga") and not self.copied


FORMATS = {
    "exr half": Format("exr", light(), "auto"),
    "exr float": Format("exr", light(kind=np.float32)),
    "exr tiled": Format("exr", light(tile=16)),
    "exr grey": Format("exr", light(1)),
    "exr scaled": Format("exr", light(), scaled=True),
    "exr grey scaled": Format("exr", light(1), scaled=True),
    "exr linear by name": Format("exr", light(), "auto", "lin_rec709_scene"),
    "png raw": Format("png", codes()),
    "png grey": Format("png", codes(1)),
    "png grey and alpha": Format("png", codes(2, **{"oiio:UnassociatedAlpha": 1})),
    "png scaled": Format("png", codes(), scaled=True),
    "bmp raw": Format("bmp", codes()),
    "tga raw": Format("tga", codes()),
    "png 16 raw": Format("png", codes(kind=np.uint16), copied=True),
    "png 16 scaled": Format("png", codes(kind=np.uint16), scaled=True, copied=True),
    "tiff raw": Format("tif", codes(), copied=True),
    "tiff float": Format("tif", light(kind=np.float32), copied=True),
    "exr cropped": Format("exr", cropped, copied=True),
    "exr ACEScg": Format("exr", in_ap1, "auto", "acescg", copied=True),
}
WRAPS = [
    ("mirror", "mirror"),
    ("clamp", "clamp"),
    ("black", "black"),
    ("repeat", "clamp"),
]
CASES: dict[str, tuple[Format, tuple[int, int], tuple[str, str], tuple[float, float]]] = {
    # what is written, the size of T, its wrap modes, the UVs across the picture
    **{
        f"{name}, {size}": (kind, SIZES[size], ("repeat", "repeat"), (0.0, 1.0))
        for name, kind in FORMATS.items()
        for size in ("small", "large")
    },
    **{
        f"{name}, even": (FORMATS[name], SIZES["even"], ("repeat", "repeat"), (0.0, 1.0))
        for name in ("exr half", "png raw", "png scaled")
    },
    **{
        f"{name}, {size}, {' and '.join(wrap)}": (FORMATS[name], SIZES[size], wrap, (-0.5, 1.5))
        for name in ("exr half", "png raw")
        for size in ("small", "large")
        for wrap in WRAPS
    },
    "exr half, wide and low": (FORMATS["exr half"], (SIZE // 4, 3 * SIZE), ("repeat", "mirror"), (0.0, 1.0)),
}


@dataclass(frozen=True)
class Drawn:
    """Pictures at texel centres, linear, and where they count."""

    live: Array
    bake: Array
    source: Array
    original: Array
    light: Array
    """T by hand, filtered."""
    style: Array
    """T_S, filtered."""
    counts: NDArray[np.bool_]
    copied: bool


def source_stage(path: Path, name: str) -> Array:
    """A stage with such a texture, and the light of its texels."""
    kind, size, wrap, uvs = CASES[name]
    values = kind.write(path.with_name(f"T.{kind.suffix}"), size)
    scale, bias = (SCALE, BIAS) if kind.scaled else (None, None)
    paint = Paint(f"./T.{kind.suffix}", color_space=kind.color_space, wrap=wrap, scale=scale, bias=bias)
    stage = make_stage(path, paint, uv_range=uvs)
    if kind.named:
        stage.GetAttributeAtPath("/World/Looks/Paint/Base.inputs:file").SetColorSpace(kind.named)
    stage.Save()
    return values


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Drawn]]:
    """By case the written result and its pictures; all rendered in one go."""
    folder = tmp_path_factory.mktemp("linear")
    jobs: list[dict[str, Any]] = []
    made = []
    for number, (name, (_, size, _, (low, high))) in enumerate(CASES.items()):
        here = folder / f"case{number}"
        here.mkdir()
        values = source_stage(here / "case.usda", name)
        root, obj = stylize(here / "case.usda")
        width = ZOOM * max(SIZE, *size) * round(high - low)
        common = {"stage": str(root), "width": width, "unlit": True}
        jobs += [
            dict(common),
            common | {"preview": True},
            common | {"stage": str(here / "case.usda")},
            common | {"variants": {material(obj): "original"}},
        ]
        made.append((root, values, width, bool(list(here.glob("case.style/ink/*/*.T.exr")))))
    pictures = render(folder, jobs)
    found = {}
    for number, (name, (kind, size, wrap, (low, high))) in enumerate(CASES.items()):
        root, values, width, copied = made[number]
        rows, columns = (
            np.arange(count) * (width // count) + width // count // 2
            for count in (max(SIZE, side) * round(high - low) for side in size)
        )
        middle = low + (np.arange(width) + 0.5) / width * (high - low)
        uvs = np.stack(np.meshgrid(middle[columns], middle[::-1][rows]), axis=-1)
        filtered = bilinear(values, uvs, wrap)
        if kind.scaled:
            filtered = filtered * SCALE[:3] + np.array(BIAS[:3])
        four = (picture[np.ix_(rows, columns)] for picture in pictures[4 * number : 4 * number + 4])
        # Clipping to the picture makes two triangles; render.py says what happens along their edge.
        counts = np.abs(columns - rows[:, None]) > ZOOM + 1
        if (
            "black" in wrap
        ):  # beyond it T or T_S fades out over half a texel of its own, the bake over one of its
            counts &= ((uvs > 0) & (uvs < 1)).all(axis=-1)
        found[name] = root, Drawn(*four, filtered, bilinear(STYLE, uvs, wrap), counts, copied)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_linear_texture_of_any_size_is_filtered_before_it_is_encoded(name: str, results: Any) -> None:
    root, of = results[name]
    kind = CASES[name][0]

    def shown(values: Array) -> Array:
        return decode(np.clip(encode(values) + of.style, 0, 1))

    read_by_storm = of.source if kind.is_coarse else of.light
    assert np.abs(of.live - shown(read_by_storm))[of.counts].max() <= 0.002
    assert np.abs(of.bake - shown(of.light))[of.counts].max() <= 0.008
    if kind.is_coarse:
        # A code more or less of T near black, where a code of encoded values is 13 times as much.
        assert np.abs(of.source - of.light)[of.counts].max() < 0.006
    assert np.abs(of.original - of.source).max() < 1e-4
    assert of.copied == kind.copied
    hold(root)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", ["exr half", "exr scaled", "png raw", "png scaled"])
def test_each_tile_of_a_linear_udim_set_of_any_size(name: str, size: str, tmp_path: Path) -> None:
    """A tile ends at its edge: no filter reads the next one. It has the bake alone."""
    kind, side = FORMATS[name], max(SIZE, SIZES[size][0])
    values = kind.write(tmp_path / f"T.{TILES[0]}.{kind.suffix}", SIZES[size])
    for tile in TILES[1:]:
        kind.write(tmp_path / f"T.{tile}.{kind.suffix}", SIZES[size])
    scale, bias = (SCALE, BIAS) if kind.scaled else (None, None)
    paint = Paint(f"./T.<UDIM>.{kind.suffix}", None, kind.color_space, ("clamp", "clamp"), scale, bias)
    stage = make_stage(tmp_path / "udim.usda", paint)
    stage.RemovePrim("/World/Triangle")
    corners = [corner for v in (-1, 0) for u in (-1, 0) for corner in square(u, v, 1)]
    mesh = add_mesh(stage, corners, "st", (0.0, 2.0))
    bind(mesh.GetPrim(), UsdShade.Material.Get(stage, "/World/Looks/Paint"))
    stage.Save()
    root = author_all(tmp_path / "udim.usda", Options())
    hold(root)
    (picture,) = render(tmp_path, [{"stage": str(root), "width": 2 * side * ZOOM, "unlit": True}])
    middle = (np.arange(side) + 0.5) / side
    uvs = np.stack(np.meshgrid(middle, middle[::-1]), axis=-1)
    base = bilinear(values, uvs, ("clamp", "clamp"))
    if kind.scaled:
        base = base * SCALE[:3] + np.array(BIAS[:3])
    for number, (row, column) in enumerate(((1, 0), (1, 1), (0, 0), (0, 1))):
        shown = picture[1::ZOOM, 1::ZOOM][row * side :, column * side :][:side, :side]
        style = bilinear(signed(number).astype(np.float64), uvs, ("clamp", "clamp"))
        reference = decode(np.clip(encode(base) + style, 0, 1))
        assert np.abs(shown - reference)[away_from_edges(side)].max() <= 0.008
