"""OmniPBR's base colour, against values worked out by hand from its documentation and MDL's `base` module."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import discover
from encoded import encoded_bases
from mdl_stages import LOOK, PICTURE, display_color, make_stage
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.model.base_colors import ConstantColor, TextureFile
from usdstylize.model.objects import StageObject
from usdstylize.usd import read as reading


def decode(code: float) -> float:
    return code / 12.92 if code <= 0.04045 else ((code + 0.055) / 1.055) ** 2.4


def encode(linear: float) -> float:
    return linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def read(path: Path) -> tuple[StageObject, Any]:
    contents = discover(path)
    assert contents.skipped == ()
    return contents.objects[0], reading.load(contents, contents.objects[0])


def reason(path: Path) -> str:
    contents = discover(path)
    assert contents.objects == ()
    return contents.skipped[0].reason


@pytest.mark.parametrize("name", ["OmniPBR", "OmniPBR_Opacity"])
def test_the_albedo_map_is_the_base(tmp_path: Path, name: str) -> None:
    found, data = read(make_stage(tmp_path, module=f"{name}.mdl", name=name, diffuse_texture="./color.png"))
    assert (found.surface, found.surface_path, found.material_path) == ("mdl", f"{LOOK}/Mdl", LOOK)
    assert found.base == TextureFile(
        "./color.png", str(tmp_path / "color.png"), "srgb", "repeat", "repeat", (16, 16), "uint8"
    )
    assert (found.uv_primvar, found.uv_transform) == ("st", None)
    np.testing.assert_allclose(encoded_bases(data)[0], PICTURE / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("space", "encoding"), [("raw", "linear"), ("sRGB", "srgb"), ("auto", "srgb"), ("srgb_texture", "srgb")]
)
def test_color_space_of_the_asset_says_how_it_is_read(tmp_path: Path, space: str, encoding: str) -> None:
    found, _ = read(make_stage(tmp_path, diffuse_texture="./color.png", colorSpace=space))
    assert isinstance(found.base, TextureFile)
    assert found.base.encoding == encoding


def test_auto_reads_16_bit_as_linear(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 30000, np.uint16)).save(tmp_path / "deep.png")
    found, _ = read(make_stage(tmp_path, diffuse_texture="./deep.png", colorSpace="auto"))
    assert isinstance(found.base, TextureFile)
    assert found.base.encoding == "linear"
    assert any("author sRGB" in note for note in found.notes)


def test_brightness_add_desaturation_and_tint_in_omnipbrs_order(tmp_path: Path) -> None:
    tint = (0.5, 1.0, 0.8)
    _, data = read(
        make_stage(
            tmp_path,
            diffuse_texture="./color.png",
            diffuse_tint=Gf.Vec3f(*tint),
            albedo_brightness=0.7,
            albedo_add=0.05,
            albedo_desaturation=0.4,
        )
    )
    for row in range(2):
        for column in range(2):
            color = [decode(code / 255) * 0.7 + 0.05 for code in PICTURE[row, column]]
            grey = 0.212671 * color[0] + 0.715160 * color[1] + 0.072169 * color[2]
            mixed = [0.6 * value + 0.4 * grey for value in color]
            expected = [encode(value * share) for value, share in zip(mixed, tint, strict=True)]
            np.testing.assert_allclose(encoded_bases(data)[0][row, column], expected, atol=2e-6)


def test_without_a_map_the_constant_times_the_tint_is_the_base(tmp_path: Path) -> None:
    settings = {"diffuse_tint": Gf.Vec3f(0.5, 1, 1), "albedo_brightness": 0.3}
    found, _ = read(make_stage(tmp_path, diffuse_color_constant=Gf.Vec3f(0.4, 0.6, 0.8), **settings))
    assert isinstance(found.base, ConstantColor)
    # Brightness and its kin adjust the map alone.
    assert found.base.linear == pytest.approx((0.2, 0.6, 0.8))
    found, _ = read(make_stage(tmp_path / "default"))
    assert isinstance(found.base, ConstantColor)
    assert found.base.linear == pytest.approx((0.2, 0.2, 0.2))


@pytest.mark.parametrize(
    ("scale", "move", "angle"), [((2, 3), (0.25, -0.5), 0), ((1, 1), (0, 0), 90), ((2, 1), (0.1, 0.2), 30)]
)
def test_texture_placement_turns_clockwise_about_the_middle(
    tmp_path: Path, scale: Any, move: Any, angle: float
) -> None:
    found, data = read(
        make_stage(
            tmp_path,
            diffuse_texture="./color.png",
            texture_scale=Gf.Vec2f(*scale),
            texture_translate=Gf.Vec2f(*move),
            texture_rotate=angle,
        )
    )
    radians = np.radians(angle)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    corners = {tuple(point): point for point in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))}
    for triangle, uvs in zip(data.mesh.triangles, data.mesh.uvs, strict=True):
        for point, uv in zip(data.mesh.points[triangle], uvs, strict=True):
            at = np.array(corners[tuple(np.rint(point[:2]))])  # the quad's positions are its UVs
            expected = turn @ (at * scale + move - 0.5) + 0.5
            np.testing.assert_allclose(uv, expected, atol=1e-6)
    assert found.uv_transform is not None


def test_the_uv_set_by_its_index(tmp_path: Path) -> None:
    path = make_stage(tmp_path, diffuse_texture="./color.png", uv_space_index=1)
    assert "no primvars:st_1" in reason(path)
    stage = Usd.Stage.Open(str(path))
    second = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad")).CreatePrimvar(
        "st_1", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
    )
    second.Set([Gf.Vec2f(0, 0), Gf.Vec2f(0.5, 0), Gf.Vec2f(0.5, 0.5), Gf.Vec2f(0, 0.5)])
    stage.Save()
    found, data = read(path)
    assert found.uv_primvar == "st_1"
    assert data.mesh.uvs.max() == pytest.approx(0.5)


def test_a_projected_map_is_refused_by_name(tmp_path: Path) -> None:
    path = make_stage(tmp_path, diffuse_texture="./color.png", project_uvw=True)
    assert "project_uvw" in reason(path)


def test_a_preview_surface_beside_is_what_is_read(tmp_path: Path) -> None:
    found, _ = read(make_stage(tmp_path, preview=True, diffuse_tint=Gf.Vec3f(0.1)))
    assert (found.surface, found.surface_path) == ("preview", f"{LOOK}/Surface")


def test_an_interface_of_the_material_gives_the_map(tmp_path: Path) -> None:
    path = make_stage(tmp_path, diffuse_texture="./color.png")
    stage = Usd.Stage.Open(str(path))
    outer = UsdShade.Material.Get(stage, LOOK).CreateInput("albedo", Sdf.ValueTypeNames.Asset)
    outer.Set("./color.png")
    outer.GetAttr().SetColorSpace("raw")
    inner = UsdShade.Shader.Get(stage, f"{LOOK}/Mdl").GetInput("diffuse_texture")
    inner.GetAttr().Clear()
    inner.ConnectToSource(outer)
    stage.Save()
    found, _ = read(path)
    assert isinstance(found.base, TextureFile)
    assert found.base.encoding == "linear"


def test_an_unknown_mdl_stands_on_display_color_or_says_why_not(tmp_path: Path) -> None:
    path = make_stage(tmp_path, module="OmniSurface.mdl", name="OmniSurface")
    assert "OmniSurface.mdl, OmniSurface" in reason(path)
    display_color(path, (0.1, 0.2, 0.3))
    found, _ = read(path)
    assert found.surface == "none"
    assert found.base.linear == pytest.approx((0.1, 0.2, 0.3))  # type: ignore[union-attr]
    assert any("OmniSurface" in note for note in found.notes)


def test_a_map_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "./gone.png" in reason(make_stage(tmp_path, diffuse_texture="./gone.png"))
