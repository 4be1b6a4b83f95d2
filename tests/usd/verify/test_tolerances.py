"""How far a live network or a bake may be off: `verify` finds 1.5 times as much, and lets 0.7 times pass."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import texture, write_result
from conftest import build_tiny_stage, define_quad
from mtlx_scenes import From, add_mtlx_material, image, uv
from PIL import Image
from pxr import Gf, Sdf, Usd
from udim_stages import TILES, build_udim_stage

from usdstylize.model.checks import Check
from usdstylize.model.objects import StageObject, StyleTexture
from usdstylize.usd import verify

LIVE, BAKE = 0.002, 0.008
"""Largest differences in linear that docs/fidelity.md promises."""
CODE = 188
"""Of T, sRGB-encoded: one code more or less is 0.0059 in linear, 0.74 times what a bake may be off."""
WHITE, BLACK = (1, 2), (5, 6)
"""Rows and columns of the texels of T_S that end at white and at black; the others are 0."""


def encoded(linear: float) -> float:
    """IEC 61966-2-1, in float64."""
    return linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def at_the_ends(obj: StageObject) -> StyleTexture:
    """T_S, 8 x 8 texels as T has, so that nothing is filtered."""
    offset = np.zeros((8, 8, 3), np.float32)
    offset[WHITE], offset[BLACK] = 2.0, -2.0
    return texture(*[offset] * (len(obj.tiles) or 1))


def preview(folder: Path) -> Path:
    root = build_tiny_stage(folder)
    Image.new("RGB", (8, 8), (CODE,) * 3).save(folder / "textures/color.png")
    return root


def materialx(folder: Path) -> Path:
    """The same, with surfaces of MaterialX."""
    root = preview(folder)
    opened = Usd.Stage.Open(str(root))
    nodes = {"UV": uv(), "Image": image("./textures/color.png", texcoord="UV")}
    material = add_mtlx_material(opened, "/World/Looks/Standard", From("Image"), nodes)
    for x, name in enumerate(("Left", "Right")):
        opened.RemovePrim(f"/World/{name}")
        define_quad(opened, f"/World/{name}", material, x=2.0 * x)
    opened.Save()
    return root


def half_floats(folder: Path) -> Path:
    """The same, with T linear in half floats, which makes the bake one of half floats."""
    root = preview(folder)
    output = oiio.ImageBuf(oiio.ImageSpec(8, 8, 3, oiio.HALF))
    oiio.ImageBufAlgo.fill(output, (0.5, 0.5, 0.5))
    assert output.write(str(folder / "textures/color.exr"))
    opened = Usd.Stage.Open(str(root))
    opened.GetAttributeAtPath("/World/Looks/Paint/Texture.inputs:file").Set("./textures/color.exr")
    opened.GetAttributeAtPath("/World/Looks/Paint/Texture.inputs:sourceColorSpace").Set("raw")
    opened.Save()
    return root


def udim(folder: Path) -> Path:
    return build_udim_stage(folder, dict.fromkeys(TILES, (CODE,) * 3))


PLACES = [
    (preview, "Left", 0),
    (preview, "Left", 1),
    (preview, "Left", 2),
    (preview, "Right", 0),
    (materialx, "Left", 1),
    (materialx, "Right", 2),
    (half_floats, "Right", 0),
    (half_floats, "Left", 2),
]
"""Stages, objects and channels of linear Rec.709 in which something is off."""


def failed(result: Path) -> list[Check]:
    report = verify.verify(result)
    assert {"live", "bake"} & {check.name for check in report.checks}
    return list(report.failed)


def add_to_texel(path: Path, place: tuple[int, int], channel: int, amount: float) -> None:
    """``amount`` in what the file stores, 0 to 1 for 8 bits."""
    buffer = oiio.ImageBuf(str(path))
    values = list(buffer.getpixel(place[1], place[0]))
    values[channel] += amount
    buffer.setpixel(place[1], place[0], values)
    assert buffer.write(str(path))


@pytest.mark.parametrize(("build", "name", "channel"), PLACES)
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_live_network_off_by_more_than_it_may_be(
    tmp_path: Path, build: Callable[[Path], Path], name: str, channel: int, end: str
) -> None:
    """It clamps at a little more than 0 or less than 1, in one channel: off by exactly that, in linear."""
    result = write_result(build(tmp_path / "shot"), made=at_the_ends)
    layer = Sdf.Layer.FindOrOpen(str(result.with_name("tiny.style.usda")))
    clamp = f"/World/StylizedLooks/World__{name}{{style=ink}}StylizedNetwork/Clamp.inputs:{end}"
    for factor in (0.7, 1.5):
        limit = [float(end == "high")] * 3
        limit[channel] = encoded(factor * LIVE if end == "low" else 1.0 - factor * LIVE)
        layer.GetAttributeAtPath(clamp).default = Gf.Vec3f(*limit)
        layer.Save()
        found = [(check.name, check.subject, check.detail) for check in failed(result)]
        off = ("live", f"/World/{name} (ink)", "differs by 0.00300 at most")
        assert found == ([off] if factor > 1 else [])


@pytest.mark.parametrize(("build", "name", "channel"), PLACES[:-2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_bake_of_8_bits_off_by_more_than_it_may_be(
    tmp_path: Path, build: Callable[[Path], Path], name: str, channel: int, sign: int
) -> None:
    """One texel of it, by one code and by two."""
    result = write_result(build(tmp_path / "shot"), made=at_the_ends)
    path = result.parent / f"tiny.style/ink/World__{name}/World__{name}.ink.baked.png"
    add_to_texel(path, (3, 4), channel, sign / 255)
    assert failed(result) == []
    add_to_texel(path, (3, 4), channel, sign / 255)
    assert [(check.name, check.subject) for check in failed(result)] == [("bake", f"/World/{name} (ink)")]


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_every_tile_of_a_bake_counts(tmp_path: Path, tile: int, channel: int) -> None:
    result = write_result(udim(tmp_path / "shot"), made=at_the_ends)
    path = result.parent / f"tiny.style/ink/World__Body/World__Body.ink.baked.{tile}.png"
    add_to_texel(path, (7, 0), channel, 1 / 255)
    assert failed(result) == []
    add_to_texel(path, (7, 0), channel, 1 / 255)
    assert [(check.name, check.subject) for check in failed(result)] == [("bake", "/World/Body (ink)")]


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("place", [WHITE, BLACK, (4, 4)])
def test_a_bake_of_half_floats_off_by_more_than_it_may_be(
    tmp_path: Path, channel: int, place: tuple[int, int]
) -> None:
    """It holds linear values."""
    result = write_result(half_floats(tmp_path / "shot"), made=at_the_ends)
    path = result.parent / "tiny.style/ink/World__Right/World__Right.ink.baked.exr"
    add_to_texel(path, place, channel, 0.7 * BAKE)
    assert failed(result) == []
    add_to_texel(path, place, channel, 0.8 * BAKE)
    assert [(check.name, check.subject) for check in failed(result)] == [("bake", "/World/Right (ink)")]
