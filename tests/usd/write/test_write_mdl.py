"""What Omniverse finds in a stylised OmniPBR, and what other clients find beside it.

MDL cannot be rendered here: its shader's inputs are read back and compared with OmniPBR's documentation.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import offsets, problems, write_result
from conftest import unchanged
from mdl_stages import LOOK, PICTURE, display_color, make_stage
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.usd import verify, write

STYLED = "/World/StylizedLooks/World__Quad"
ADJUSTED: dict[str, Any] = {
    "diffuse_texture": "./color.png",
    "colorSpace": "auto",
    "diffuse_tint": Gf.Vec3f(0.5, 0.6, 0.7),
    "albedo_brightness": 0.7,
    "albedo_desaturation": 0.2,
    "reflection_roughness_constant": 0.3,
    "metallic_constant": 1.0,
    "specular_level": 1.0,
}


def mdl_shown(result: Path, opened: Usd.Stage | None = None) -> UsdShade.Shader | None:
    """The shader that a renderer of MDL draws; None where it falls back to another surface."""
    stage = opened or Usd.Stage.Open(str(result))
    shader = UsdShade.Material.Get(stage, STYLED).ComputeSurfaceSource("mdl")[0]
    return shader if shader and "mdl" in shader.GetSourceTypes() else None


def remarks(result: Path) -> str:
    run = json.loads((result.parent / "scene.style/ink/run.json").read_text())
    return " ".join(run["written"]["World__Quad"]["remarks"])


def inherited(result: Path) -> set[str]:
    return {text.replace(STYLED, LOOK) for text in problems(result)}


@pytest.mark.parametrize("preview", [False, True])
def test_omnipbr_shows_the_bake_as_it_is_and_keeps_the_rest(tmp_path: Path, preview: bool) -> None:
    path = make_stage(tmp_path, preview=preview, **ADJUSTED)
    with unchanged(tmp_path, may_add=True):
        result = write_result(path)
    opened = Usd.Stage.Open(str(result))
    shader = mdl_shown(result, opened)
    assert shader is not None
    assert shader.GetPath() == f"{STYLED}/Mdl"
    found = {item.GetBaseName(): item.Get() for item in shader.GetInputs()}
    assert (
        Path(found["diffuse_texture"].resolvedPath)
        == tmp_path / "scene.style/ink/World__Quad/World__Quad.ink.baked.png"
    )
    assert shader.GetInput("diffuse_texture").GetAttr().GetColorSpace() == "sRGB"
    # With these, OmniPBR's albedo is its map.
    assert found["diffuse_tint"] == Gf.Vec3f(1)
    assert (found["albedo_brightness"], found["albedo_desaturation"]) == (1.0, 0.0)
    assert found["reflection_roughness_constant"] == pytest.approx(0.3)
    assert found["metallic_constant"] == 1.0
    assert shader.GetSourceAssetSubIdentifier("mdl") == "OmniPBR"
    assert verify.verify(result).failed == ()
    assert inherited(result) == set(problems(path))

    write.select(result, "original")
    shader = mdl_shown(result, opened)
    assert shader is not None
    assert shader.GetInput("diffuse_texture").Get().path == "./color.png"
    assert shader.GetInput("diffuse_tint").Get() == Gf.Vec3f(0.5, 0.6, 0.7)


def test_the_bake_holds_what_omnipbr_made_of_its_map(tmp_path: Path) -> None:
    write_result(make_stage(tmp_path, **ADJUSTED))
    baked = np.asarray(Image.open(tmp_path / "scene.style/ink/World__Quad/World__Quad.ink.baked.png")) / 255
    codes = PICTURE / 255
    linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4) * 0.7
    grey = linear @ np.array([0.212671, 0.715160, 0.072169])
    linear = (linear + 0.2 * (grey[..., None] - linear)) * np.array([0.5, 0.6, 0.7])
    base = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    style = offsets(0).astype(np.float16).astype(np.float64)
    np.testing.assert_allclose(baked, np.clip(base + style, 0, 1), atol=0.51 / 255)


def test_clients_without_mdl_get_roughness_metal_and_reflectance(tmp_path: Path) -> None:
    result = write_result(make_stage(tmp_path, **ADJUSTED))
    opened = Usd.Stage.Open(str(result))
    look = UsdShade.Material.Get(opened, STYLED)
    values = {item.GetBaseName(): item.Get() for item in look.ComputeSurfaceSource()[0].GetInputs()}
    assert values["roughness"] == pytest.approx(0.3)
    assert values["metallic"] == 1.0
    # F0 = ((ior - 1) / (ior + 1))² is OmniPBR's 0.08 · specular_level.
    assert ((values["ior"] - 1) / (values["ior"] + 1)) ** 2 == pytest.approx(0.08, abs=1e-5)
    live = look.ComputeSurfaceSource("mtlx")[0]
    assert live.GetInput("roughness").Get() == pytest.approx(0.3)


def test_orm_and_normal_maps_are_carried_over(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    for name in ("orm", "bumps"):
        Image.fromarray(PICTURE).save(tmp_path / f"{name}.png")
    result = write_result(
        make_stage(
            tmp_path,
            diffuse_texture="./color.png",
            enable_ORM_texture=True,
            ORM_texture="./orm.png",
            normalmap_texture="./bumps.png",
            reflection_roughness_constant=0.4,
            reflection_roughness_texture_influence=0.75,
            metallic_texture_influence=1.0,
            ao_to_diffuse=0.5,
            texture_scale=Gf.Vec2f(2, 2),
        )
    )
    opened = Usd.Stage.Open(str(result))
    surface = UsdShade.Material.Get(opened, STYLED).ComputeSurfaceSource()[0]

    def texture(name: str) -> tuple[UsdShade.Shader, str]:
        attribute = surface.GetInput(name).GetValueProducingAttributes()[0]
        return UsdShade.Shader(attribute.GetPrim()), attribute.GetName()

    node, channel = texture("roughness")
    assert channel == "outputs:g"
    assert Path(node.GetInput("file").Get().resolvedPath).name == "orm.png"
    assert node.GetInput("sourceColorSpace").Get() == "raw"
    assert (node.GetInput("scale").Get()[1], node.GetInput("bias").Get()[1]) == pytest.approx((0.75, 0.1))
    place = UsdShade.Shader(node.GetInput("st").GetValueProducingAttributes()[0].GetPrim())
    assert place.GetInput("scale").Get() == Gf.Vec2f(2, 2)
    assert texture("metallic")[1] == "outputs:b"
    node, channel = texture("occlusion")
    assert channel == "outputs:r"
    assert (node.GetInput("scale").Get()[0], node.GetInput("bias").Get()[0]) == pytest.approx((0.5, 0.5))
    # OmniPBR flips the v tangent by default: green points down, which validators refuse in a preview.
    assert not surface.GetInput("normal")
    assert "normal map bumps.png" in remarks(result)
    live = UsdShade.Material.Get(opened, STYLED).ComputeSurfaceSource("mtlx")[0]
    node = UsdShade.Shader(live.GetInput("normal").GetValueProducingAttributes()[0].GetPrim())
    assert node.GetInput("in2").Get() == Gf.Vec3f(-1, 1, -1)
    node = UsdShade.Shader(node.GetInput("in1").GetValueProducingAttributes()[0].GetPrim())
    assert node.GetInput("in2").Get() == Gf.Vec3f(2, -2, 2)
    assert verify.verify(result).failed == ()


@pytest.mark.parametrize(
    ("space", "read_as"), [("sRGB", "sRGB"), ("srgb_texture", "sRGB"), ("raw", "raw"), ("", "raw")]
)
@pytest.mark.parametrize("connected", [False, True])
def test_the_other_maps_have_the_names_of_color_spaces_that_the_albedo_has(
    tmp_path: Path, space: str, read_as: str, connected: bool
) -> None:
    path = make_stage(
        tmp_path, diffuse_texture="./color.png", enable_ORM_texture=True, ORM_texture="./color.png",
        metallic_texture_influence=1.0,
    )  # fmt: skip
    stage = Usd.Stage.Open(str(path))
    holder = item = UsdShade.Shader.Get(stage, f"{LOOK}/Mdl").GetInput("ORM_texture")
    if connected:
        holder = UsdShade.Material.Get(stage, LOOK).CreateInput("orm", Sdf.ValueTypeNames.Asset)
        holder.Set("./color.png")
        item.ConnectToSource(holder)
    if space:
        holder.GetAttr().SetColorSpace(space)
    stage.Save()
    opened = Usd.Stage.Open(str(write_result(path)))
    surface = UsdShade.Material.Get(opened, STYLED).ComputeSurfaceSource()[0]
    node = UsdShade.Shader(surface.GetInput("metallic").GetValueProducingAttributes()[0].GetPrim())
    assert node.GetInput("sourceColorSpace").Get() == read_as


@pytest.mark.parametrize(
    ("name", "type_name", "value"),
    [("diffuse_tint", "Color4f", (1, 0.5, 1, 1)), ("albedo_brightness", "Float2", (0.5, 2)),
     ("albedo_add", "Double", 0.25)],
)  # fmt: skip
def test_a_parameter_of_another_type_is_neutral_in_the_style_too(
    tmp_path: Path, name: str, type_name: str, value: object
) -> None:
    path = make_stage(tmp_path, diffuse_texture="./color.png")
    stage = Usd.Stage.Open(str(path))
    UsdShade.Shader.Get(stage, f"{LOOK}/Mdl").CreateInput(name, getattr(Sdf.ValueTypeNames, type_name)).Set(
        value
    )
    stage.Save()
    opened = Usd.Stage.Open(str(write_result(path)))
    shader = mdl_shown(path, opened)
    assert shader is not None
    neutral = {"diffuse_tint": Gf.Vec3f(1), "albedo_brightness": 1.0, "albedo_add": 0.0}
    assert shader.GetInput(name).Get() == neutral[name]


def test_a_connected_map_gives_way_to_the_bake(tmp_path: Path) -> None:
    path = make_stage(tmp_path, diffuse_texture="./color.png")
    stage = Usd.Stage.Open(str(path))
    outer = UsdShade.Material.Get(stage, LOOK).CreateInput("albedo", Sdf.ValueTypeNames.Asset)
    outer.Set("./color.png")
    inner = UsdShade.Shader.Get(stage, f"{LOOK}/Mdl").GetInput("diffuse_texture")
    inner.GetAttr().Clear()
    inner.ConnectToSource(outer)
    stage.Save()
    opened = Usd.Stage.Open(str(write_result(path)))
    shown = UsdShade.Shader.Get(opened, f"{STYLED}/Mdl").GetInput("diffuse_texture")
    assert [a.Get().path for a in shown.GetValueProducingAttributes()] == [
        "./scene.style/ink/World__Quad/World__Quad.ink.baked.png"
    ]


def test_an_unknown_mdl_is_switched_off_in_the_style_and_named(tmp_path: Path) -> None:
    path = make_stage(tmp_path, preview=True, module="OmniSurface.mdl", name="OmniSurface")
    result = write_result(path)
    assert mdl_shown(result) is None
    assert "OmniSurface.mdl, OmniSurface" in remarks(result)
    assert verify.verify(result).failed == ()
    write.select(result, "original")
    assert mdl_shown(result) is not None


def test_an_unknown_mdl_alone_is_replaced_where_display_color_is_known(tmp_path: Path) -> None:
    path = make_stage(tmp_path, module="OmniSurface.mdl", name="OmniSurface")
    display_color(path, (0.1, 0.2, 0.3))
    result = write_result(path)
    assert mdl_shown(result) is None
    assert verify.verify(result).failed == ()


def test_an_omnipbr_that_maps_otherwise_than_the_preview_is_switched_off(tmp_path: Path) -> None:
    result = write_result(
        make_stage(tmp_path, preview=True, diffuse_texture="./color.png", texture_scale=Gf.Vec2f(3, 3))
    )
    assert mdl_shown(result) is None
    assert "other UVs" in remarks(result)


def test_blocked_where_asked_or_where_nothing_is_baked(tmp_path: Path) -> None:
    path = make_stage(tmp_path, diffuse_texture="./color.png")
    assert mdl_shown(write_result(path, block_contexts=["mdl"])) is None
    assert mdl_shown(write_result(path, network="mtlx", force=True)) is None
    assert mdl_shown(write_result(path, network="preview", force=True)) is not None


def test_what_only_mdl_can_show_is_remarked(tmp_path: Path) -> None:
    result = write_result(make_stage(tmp_path, diffuse_texture="./color.png", enable_emission=True))
    assert "emission" in remarks(result)


def test_each_subset_gets_its_own_bake(tmp_path: Path) -> None:
    path = make_stage(tmp_path, diffuse_texture="./color.png")
    stage = Usd.Stage.Open(str(path))
    mesh = UsdGeom.Mesh.Get(stage, "/World/Quad")
    mesh.GetFaceVertexCountsAttr().Set([3, 3])
    mesh.GetFaceVertexIndicesAttr().Set([0, 1, 2, 0, 2, 3])
    api = UsdShade.MaterialBindingAPI(mesh.GetPrim())
    subset = api.CreateMaterialBindSubset("half", [1])
    api.SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.nonOverlapping)
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(UsdShade.Material.Get(stage, LOOK))
    stage.Save()
    opened = Usd.Stage.Open(str(write_result(path)))
    for name in ("World__Quad", "World__Quad__half"):
        shader = UsdShade.Shader.Get(opened, f"/World/StylizedLooks/{name}/Mdl")
        assert f"/{name}/" in shader.GetInput("diffuse_texture").Get().path


def test_a_float_map_keeps_a_linear_bake(tmp_path: Path) -> None:
    import OpenImageIO as oiio

    tmp_path.mkdir(exist_ok=True)
    image = oiio.ImageBuf(oiio.ImageSpec(2, 2, 3, "half"))
    assert image.write(str(tmp_path / "color.exr"))
    path = make_stage(tmp_path, diffuse_texture="./color.exr")
    opened = Usd.Stage.Open(str(write_result(path)))
    shown = UsdShade.Shader.Get(opened, f"{STYLED}/Mdl").GetInput("diffuse_texture")
    assert shown.Get().path.endswith(".baked.exr")
    assert shown.GetAttr().GetColorSpace() == "raw"
