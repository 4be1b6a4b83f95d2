"""The texture files of a result: what their channels hold, how they are tagged, what viewers show of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import discover, hold, offsets, surface, write_result
from network_values import Network, decode, encode, points, read_codes, texel
from numpy.typing import NDArray
from pxr import Usd, UsdShade
from surface_inputs import BASE, OURS, SIZE, TEXTURES, add_preview_surface, new_stage, write_picture

from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.usd import write
from usdstylize.usd.read import load
from usdstylize.usd.write.bake import write_half

Array = NDArray[np.float64]

FOLDER = "scene.style/ink/World__Quad"
OWN = "World__Quad.ink"
"""What the names of all files in it begin with."""
STYLE = offsets(0, SIZE).astype(np.float16).astype(np.float64)


def tag(path: Path) -> str:
    """What the file says of the meaning of its values."""
    return str(oiio.ImageBuf(str(path)).spec().getattribute("colorInteropID"))


def light(folder: Path, kind: str, low: float = 0.0) -> Array:
    """``light.*`` in ``folder``, of that precision, as stored (H, W, 4); half and float up to 2.5."""
    name = {"uint8": "light.png", "uint16": "light.png", "half": "light.exr", "float": "light.tif"}[kind]
    drawn = np.random.default_rng(21).uniform(0, 1, (SIZE[1], SIZE[0], 4))
    if kind in ("half", "float"):
        drawn[..., :3] = low + drawn[..., :3] * (2.5 - low)
    write_picture(folder / name, drawn, kind)
    return read_codes(folder / name)


@pytest.mark.parametrize("srgb", [True, False])
def test_the_copy_of_a_texture_that_viewers_misread_keeps_its_alpha(tmp_path: Path, srgb: bool) -> None:
    """Of 16 bits: the live network reads T.exr, the source's opacity its alpha."""
    stage = new_stage(tmp_path)
    codes = light(tmp_path, "uint16")
    base = replace(BASE, file="light.png", srgb=srgb)
    opacity = replace(base, output="a")
    add_preview_surface(stage, {"opacity": opacity, "roughness": TEXTURES["roughness"]}, base)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    hold(result)
    copy = read_codes(tmp_path / FOLDER / f"{OWN}.T.exr")
    assert tag(tmp_path / FOLDER / f"{OWN}.T.exr") == "data"
    np.testing.assert_allclose(copy[..., 3], codes[..., 3], atol=3e-4)
    uvs = points()
    opened, network = Usd.Stage.Open(str(result)), Network(uvs)
    shown = surface(opened, OURS, "mtlx")
    nodes = [UsdShade.Shader(prim) for prim in opened.GetPrimAtPath(f"{OURS}/StylizedNetwork").GetChildren()]
    files = {Path(node.GetInput("file").Get().path).name for node in nodes if node.GetInput("file")}
    assert files == {f"{OWN}.T.exr", f"{OWN}.TS.exr", "orm.png"}
    at = texel(codes, base.placed(uvs), base.wrap)
    alpha = at[:, 3:] * base.scale[3] + base.bias[3]
    np.testing.assert_allclose(network.input(shown, "opacity"), alpha, atol=3e-4)
    linear = (decode(at[:, :3]) if srgb else at[:, :3]) * base.scale[:3] + base.bias[:3]
    total = encode(linear) + texel(STYLE, base.placed(uvs), base.wrap)
    np.testing.assert_allclose(network.input(shown, "diffuseColor"), decode(np.clip(total, 0, 1)), atol=0.002)
    assert live_files(opened) == {f"{OWN}.T.exr", f"{OWN}.TS.exr", Path(TEXTURES["roughness"].file).name}


def live_files(opened: Usd.Stage) -> set[str]:
    """Names of the files that nodes of the live network read."""
    nodes = [UsdShade.Shader(prim) for prim in opened.GetPrimAtPath(f"{OURS}/StylizedNetwork").GetChildren()]
    return {Path(node.GetInput("file").Get().path).name for node in nodes if node.GetInput("file")}


def test_the_live_network_reads_a_copy_of_what_had_to_be_repaired(tmp_path: Path) -> None:
    """A viewer would spread a texel that is no number over its neighbours."""
    stage = new_stage(tmp_path)
    codes = light(tmp_path, "half")[..., :3]
    codes[4, 2] = np.nan
    write_picture(tmp_path / "light.exr", codes, "half")
    add_preview_surface(stage, {}, replace(BASE, file="light.exr", srgb=False))
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    hold(result)
    assert live_files(Usd.Stage.Open(str(result))) == {f"{OWN}.T.exr", f"{OWN}.TS.exr"}
    copy = read_codes(tmp_path / FOLDER / f"{OWN}.T.exr")[..., :3]
    assert np.isfinite(copy).all()
    known = np.isfinite(codes).all(-1)
    np.testing.assert_array_equal(copy[known], codes[known])


@pytest.mark.parametrize("kind", ["uint8", "uint16", "half", "float"])
@pytest.mark.parametrize("srgb", [True, False])
def test_the_bake_shows_the_sum_whatever_the_precision_of_the_texture(
    tmp_path: Path, kind: str, srgb: bool
) -> None:
    """Half and float give an EXR of linear light, the others a PNG."""
    stage = new_stage(tmp_path)
    # Where sRGB goes on below 0 is nobody's standard.
    codes = light(tmp_path, kind, low=0.0 if srgb else -0.5)
    name = next(tmp_path.glob("light.*")).name
    base = replace(BASE, file=name, srgb=srgb)
    add_preview_surface(stage, {}, base)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE, strength=0.35)
    hold(result)
    uvs = points()
    at = texel(codes[..., :3], base.placed(uvs), base.wrap)
    linear = (decode(at) if srgb else at) * base.scale[:3] + base.bias[:3]
    total = encode(linear) + 0.35 * texel(STYLE, base.placed(uvs), base.wrap)
    expected = decode(np.clip(total, 0, 1))
    opened, network = Usd.Stage.Open(str(result)), Network(uvs)
    live = network.input(surface(opened, OURS, "mtlx"), "diffuseColor")
    baked = network.input(surface(opened, OURS), "diffuseColor")
    np.testing.assert_allclose(live, expected, atol=0.002)
    np.testing.assert_allclose(baked, expected, atol=0.0005 if kind in ("half", "float") else 0.0046)
    style = tmp_path / FOLDER / f"{OWN}.TS.exr"
    assert tag(style) == "data"
    np.testing.assert_array_equal(read_codes(style)[..., :3], STYLE)
    if kind in ("half", "float"):
        assert tag(tmp_path / FOLDER / f"{OWN}.baked.exr") == "lin_rec709_scene"


@pytest.mark.parametrize("srgb", [True, False])
def test_light_beyond_half_floats_stays_finite(tmp_path: Path, srgb: bool) -> None:
    """A texel of 10⁷ in a float file: infinite, it would show NaN wherever a viewer filters it."""
    stage = new_stage(tmp_path)
    codes = np.full((SIZE[1], SIZE[0], 3), 0.25)
    codes[3, 4], codes[6, 2] = (1e7, 0.5, 2e5), (0.1, -1e7, 0.2)
    write_picture(tmp_path / "light.tif", codes, "float")
    add_preview_surface(stage, {}, replace(BASE, file="light.tif", srgb=srgb, scale=(1e6, 1, 1, 1)))
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    hold(result)
    for name in (f"{OWN}.T.exr", f"{OWN}.TS.exr", f"{OWN}.baked.exr"):
        stored = read_codes(tmp_path / FOLDER / name)
        assert np.isfinite(stored).all()
    copy = read_codes(tmp_path / FOLDER / f"{OWN}.T.exr")
    # What is within range is kept, what is beyond is the largest half, and not some other number.
    assert copy[3, 4, 0] == 65504
    assert read_codes(tmp_path / FOLDER / f"{OWN}.baked.exr")[3, 4, 0] == 1
    opened, network = Usd.Stage.Open(str(result)), Network(points())
    assert np.isfinite(network.input(surface(opened, OURS, "mtlx"), "diffuseColor")).all()


def test_a_file_of_half_floats_holds_the_nearest_half_of_every_number(tmp_path: Path) -> None:
    values = np.array([0.1, -0.3, 65503, 65520, 1e6, np.inf, -65519.5, -7e4, -np.inf], np.float32)
    write_half(tmp_path / "TS.exr", values.reshape(3, 1, 3), color=False)
    stored = read_codes(tmp_path / "TS.exr")[..., :3].ravel()
    expected = [0.1, -0.3, 65504, 65504, 65504, 65504, -65504, -65504, -65504]
    np.testing.assert_allclose(stored, expected, rtol=5e-4)
    assert np.isfinite(stored).all()


def doubled(values: Array) -> Array:
    """Bilinear at twice the texels: each lies a quarter of a texel from an old one; edges go on beyond."""
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        before = np.concatenate([values[:1], values[:-1]])
        after = np.concatenate([values[1:], values[-1:]])
        pair = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis=1)
        values = np.moveaxis(pair.reshape(-1, *values.shape[1:]), 0, axis)
    return values


def test_each_tile_of_a_udim_set_has_its_own_sum(tmp_path: Path) -> None:
    """Neither T nor T_S of a tile is another's, and a tile ends at its edges, however the texture wraps."""
    stage = new_stage(tmp_path)
    drawn = np.random.default_rng(31)
    codes = {tile: np.rint(drawn.uniform(0, 1, (10, 12, 3)) * 255) / 255 for tile in (1001, 1002, 1011)}
    for tile, picture in codes.items():
        write_picture(tmp_path / f"tile.{tile}.png", picture, "uint8")
    base = replace(BASE, file="tile.<UDIM>.png", wrap=("repeat", "repeat"))
    add_preview_surface(stage, {}, base)
    stage.Save()
    contents = discover(tmp_path / "scene.usda")
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    styles = {tile: offsets(tile, (2 * SIZE[0], 2 * SIZE[1])) for tile in codes}
    given = StyleTexture(tuple(styles.values()), 1.0, 1, 0, 0.0, Losses({}, 0.0))
    with write.Writer(plan, contents, strength=0.35, network="both") as writer:
        writer.write_object(contents.objects[0], load(contents, contents.objects[0]), given)
        result = writer.commit({})
    hold(result)
    for tile, picture in codes.items():
        style = styles[tile].astype(np.float16).astype(np.float64)
        linear = decode(doubled(picture)) * base.scale[:3] + base.bias[:3]
        total = np.clip(encode(linear) + 0.35 * style, 0, 1)
        np.testing.assert_array_equal(read_codes(tmp_path / FOLDER / f"{OWN}.TS.{tile}.exr")[..., :3], style)
        baked = read_codes(tmp_path / FOLDER / f"{OWN}.baked.{tile}.png")[..., :3]
        np.testing.assert_allclose(baked, total, atol=0.51 / 255)
    opened = Usd.Stage.Open(str(result))
    texture = surface(opened, OURS).GetInput("diffuseColor").GetValueProducingAttributes()[0].GetPrim()
    assert UsdShade.Shader(texture).GetInput("file").Get().path == f"./{FOLDER}/{OWN}.baked.<UDIM>.png"
