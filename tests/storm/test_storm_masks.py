"""Storm's pixels of masked objects: clamp(T + strength · M · T_S), live and baked; T where M is 0."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import hold
from conftest import build_style_folder, unchanged
from pxr import Sdf, Usd, UsdGeom, UsdShade
from stylize_api import say

import usdstylize

from .storm_results import SIZE, ZOOM, T, decode, encode, render
from .storm_scenes import CAMERA, Paint, add_material, bind, make_stage, write_image
from .test_storm_mix import add_quads, difference

pytestmark = pytest.mark.storm

CONSTANT = (0.2, 0.5, 0.8)
BASES = {(0, 0): T, (0, 1): np.broadcast_to(encode(np.array(CONSTANT)), T.shape), (0, 2): T}
NAMES = {(0, 0): "Painted", (0, 1): "Flat", (0, 2): "Primvar"}
QUICK = usdstylize.Options(preset="draft", device="cpu", texture_resolution=SIZE, iterations=2)


def make_source(folder: Path) -> Path:
    """A texture and a constant with a painted mask, black in its lower half, and a mesh with a primvar."""
    write_image(folder / "T.png", T)
    mask = np.linspace(1, 0.2, SIZE)[:, None, None] * np.ones((SIZE, SIZE, 3))
    mask[SIZE // 2 :] = 0
    write_image(folder / "mask.png", mask)
    stage = make_stage(folder / "masks.usda", Paint("./T.png"))
    stage.RemovePrim("/World/Triangle")
    camera = UsdGeom.Camera.Get(stage, CAMERA)
    camera.GetHorizontalApertureAttr().Set(30.0)
    camera.GetVerticalApertureAttr().Set(30.0)
    paint = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    flat = add_material(stage, "/World/Looks/Flat", Paint(constant=CONSTANT))
    for cell, name in NAMES.items():
        quad = add_quads(stage, f"/World/{name}", cell)
        bind(quad.GetPrim(), flat if name == "Flat" else paint)
        if name == "Primvar":
            values = UsdGeom.PrimvarsAPI(quad).CreatePrimvar("M", Sdf.ValueTypeNames.FloatArray, "vertex")
            values.Set([0.0, 0.0, 1.0, 1.0])
        else:
            say(quad.GetPrim(), mask=Sdf.AssetPath("./mask.png"))
    stage.Save()
    return folder / "masks.usda"


def test_a_masked_style_shows_alike_in_every_network(tmp_path: Path) -> None:
    folder = tmp_path / "shot"
    folder.mkdir()
    source, styles = make_source(folder), build_style_folder(tmp_path / "ink")
    painted = replace(QUICK, mask=("/World/Painted", "/World/Flat"))
    with unchanged(*folder.iterdir()):
        root = usdstylize.stylize(source, styles, painted).root_layer
        by_primvar = replace(QUICK, mask=("/World/Primvar",), mask_primvar="M", resume=True)
        assert usdstylize.stylize(source, styles, by_primvar).root_layer == root
    assert root is not None
    hold(root)
    opened = Usd.Stage.Open(str(root))
    dials = [f"{prim.GetPath()}.inputs:strength" for prim in opened.Traverse() if prim.IsA(UsdShade.Material)]
    dials = [path for path in dials if opened.GetAttributeAtPath(path)]
    assert len(dials) == 3
    common = {"stage": str(root), "width": 3 * SIZE * ZOOM, "unlit": True}
    half = common | {"values": dict.fromkeys(dials, 0.5)}
    live, turned, bake, before = render(
        tmp_path, [dict(common), half, common | {"preview": True}, common | {"stage": str(source)}]
    )
    for cell, base in BASES.items():
        name = f"World__{NAMES[cell]}"
        style = oiio.ImageBuf(str(folder / f"masks.style/ink/{name}/{name}.ink.TS.exr")).get_pixels(
            oiio.FLOAT
        )
        assert np.abs(style[: SIZE // 2]).max() > 0.02
        for picture, strength, limit in ((live, 1.0, 0.002), (turned, 0.5, 0.002), (bake, 1.0, 0.008)):
            expected = decode(np.clip(base + strength * style, 0, 1))
            assert difference(picture, cell, expected) <= limit, (cell, strength)
        if name != "World__Primvar":
            assert np.abs(style[SIZE // 2 :]).max() == 0
            source = before[1::ZOOM, 1::ZOOM][:SIZE, cell[1] * SIZE : (cell[1] + 1) * SIZE]
            expected = decode(np.clip(base + style, 0, 1))
            expected[SIZE // 2 + 1 :] = source[SIZE // 2 + 1 :]
            assert difference(live, cell, expected) <= 0.002
            assert difference(bake, cell, expected) <= 0.008
