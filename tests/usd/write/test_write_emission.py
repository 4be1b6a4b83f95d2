"""Which inputs take the stylised sum, and what they make of it, worked out by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mdl_stages
import numpy as np
import pytest
from author_results import discover, offsets, problems, surface, write_result, zero_offsets
from conftest import define_quad
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from network_values import Network, decode, encode, points, texel
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from surface_inputs import BASE, LOOK, OURS, SIZE, Map, add_preview_surface, by_hand, new_stage
from udim_stages import build_udim_stage

from usdstylize.model.base_colors import ConstantColor, GraphColor, TextureFile
from usdstylize.usd import verify

Array = NDArray[np.float64]

UVS = points()
STYLE = offsets(0, SIZE).astype(np.float16).astype(np.float64)
AGAIN = replace(BASE, scale=(0.5, 0.35, 0.2, 1.0), bias=(0.02, 0.1, 0.3, 0.0))
"""The same texels as `BASE`, which has scale and bias of its own."""


def stylise(folder: Path, inputs: dict[str, Any], base: Any = BASE) -> Usd.Stage:
    stage = new_stage(folder)
    add_preview_surface(stage, inputs, base)
    stage.Save()
    return checked(folder / "scene.usda")


def checked(root: Path, size: tuple[int, int] = SIZE) -> Usd.Stage:
    """The result, of which verify and every validator find nothing that is not the source's."""
    result = write_result(root, size=size)
    assert verify.verify(result).failed == ()
    assert {text.replace(OURS, LOOK) for text in problems(result)} == set(problems(root))
    return Usd.Stage.Open(str(result))


def both(opened: Usd.Stage, name: str) -> tuple[Array, Array]:
    """What the live surface and the preview take as an input."""
    live, preview = surface(opened, OURS, "mtlx"), surface(opened, OURS)
    return Network(UVS).input(live, name), Network(UVS).input(preview, name)


def stylised(base: Map) -> Array:
    total = encode(by_hand(base, UVS)) + texel(STYLE, base.placed(UVS), base.wrap)
    return decode(np.clip(total, 0, 1))


def close(found: Array, expected: Array, tolerance: float) -> None:
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=tolerance)


def file_of(opened: Usd.Stage, name: str) -> str:
    item = surface(opened, OURS).GetInput(name)
    node = UsdShade.Shader(item.GetValueProducingAttributes()[0].GetPrim())
    return Path(node.GetInput("file").Get().path).name


def test_each_input_takes_the_sum_in_its_own_scale_and_bias(tmp_path: Path) -> None:
    opened = stylise(tmp_path, {"emissiveColor": AGAIN})
    own, other = (np.array(read.scale[:3]) for read in (BASE, AGAIN))
    shown = other / own * (stylised(BASE) - BASE.bias[:3]) + AGAIN.bias[:3]
    live, baked = both(opened, "emissiveColor")
    close(live, shown, 2e-5)
    close(baked, shown, 0.008)


@pytest.mark.parametrize(
    "other",
    [
        replace(AGAIN, file="glow.png"),
        replace(AGAIN, wrap=("repeat", "clamp")),
        replace(AGAIN, rotation=31.0),
        replace(AGAIN, primvar="map1"),
    ],
    ids=["file", "wrap", "place", "primvar"],
)
def test_another_image_or_other_texels_stay_the_sources(tmp_path: Path, other: Map) -> None:
    opened = stylise(tmp_path, {"emissiveColor": other})
    live, shown = both(opened, "emissiveColor")
    close(live, other.at(UVS), 2e-5)
    close(shown, other.at(UVS), 2e-5)


def test_what_one_image_cannot_stand_for_stays_and_is_remarked(tmp_path: Path) -> None:
    other = replace(BASE, srgb=False)  # BASE itself has a scale, behind which codes are lost
    opened = stylise(tmp_path, {"emissiveColor": other})
    close(both(opened, "emissiveColor")[0], other.at(UVS), 2e-5)
    run = (tmp_path / "scene.style/ink/run.json").read_text()
    assert "inputs:emissiveColor of /World/Looks/Paint/Surface reads the image of inputs:diffuseColor" in run


def test_a_broken_connection_of_the_emission_does_not_keep_the_base_from_its_style(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    look = add_preview_surface(stage, {}, BASE)
    graph = UsdShade.NodeGraph.Define(stage, f"{LOOK}/Loop")
    one, two = (graph.CreateOutput(name, Sdf.ValueTypeNames.Color3f) for name in ("one", "two"))
    one.ConnectToSource(two)
    two.ConnectToSource(one)
    look.CreateInput("emissiveColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(one)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    assert verify.verify(result).failed == ()
    live, baked = both(Usd.Stage.Open(str(result)), "diffuseColor")
    close(live, stylised(BASE), 2e-5)
    close(baked, stylised(BASE), 0.008)


def test_what_is_emitted_alone_is_stylised_before_its_scale(tmp_path: Path) -> None:
    opened = stylise(tmp_path, {"emissiveColor": AGAIN}, base=(0.0, 0.0, 0.0))
    (obj,) = discover(tmp_path / "scene.usda").objects
    assert obj.is_emitted
    assert isinstance(obj.base, TextureFile)
    assert any("is black but for inputs:emissiveColor" in note for note in obj.notes)
    plain = replace(AGAIN, scale=(1.0,) * 4, bias=(0.0,) * 4)
    shown = stylised(plain) * AGAIN.scale[:3] + AGAIN.bias[:3]
    live, baked = both(opened, "emissiveColor")
    close(live, shown, 2e-5)
    close(baked, shown, 0.008)
    assert not both(opened, "diffuseColor")[0].any()


def test_a_lamp_keeps_its_brightness(tmp_path: Path) -> None:
    opened = stylise(tmp_path, {"emissiveColor": (4.0, 1.0, 0.0)}, base=(0.0, 0.0, 0.0))
    (obj,) = discover(tmp_path / "scene.usda").objects
    assert obj.base == ConstantColor((1.0, 0.25, 0.0), 4.0)
    total = encode(np.array([1.0, 0.25, 0.0])) + texel(STYLE, UVS["st"], ("repeat", "repeat"))
    live, baked = both(opened, "emissiveColor")
    close(live, 4 * decode(np.clip(total, 0, 1)), 1e-4)
    close(baked, 4 * decode(np.clip(total, 0, 1)), 4 * 0.008)


def test_black_that_emits_nothing_stays_a_black_base(tmp_path: Path) -> None:
    opened = stylise(tmp_path, {"emissiveColor": (0.0, 0.0, 0.0)}, base=(0.0, 0.0, 0.0))
    (obj,) = discover(tmp_path / "scene.usda").objects
    assert not obj.is_emitted
    assert both(opened, "diffuseColor")[0].any()
    assert not both(opened, "emissiveColor")[0].any()


@pytest.mark.parametrize("where", ["diffuseColor", "emissiveColor"])
def test_the_preview_beside_an_unlit_surface_takes_the_bake_where_it_has_the_image(
    tmp_path: Path, where: str
) -> None:
    stage = new_stage(tmp_path)
    add_preview_surface(stage, {where: BASE} if where != "diffuseColor" else {}, BASE)
    if where != "diffuseColor":
        surface_of = UsdShade.Shader.Get(stage, f"{LOOK}/Surface").GetInput("diffuseColor")
        surface_of.ClearSources()
        surface_of.Set(Gf.Vec3f(0))
    nodes = {"UV": uv(), "A": image("./color.png")}
    add_mtlx_material(stage, LOOK, From("A"), nodes, surface="unlit", name="Unlit")
    stage.Save()
    opened = checked(tmp_path / "scene.usda")
    assert file_of(opened, where) == "World__Quad.ink.baked.png"


def test_both_inputs_of_a_udim_set_take_the_baked_tiles(tmp_path: Path) -> None:
    root = build_udim_stage(tmp_path)
    stage = Usd.Stage.Open(str(root))
    look = UsdShade.Material.Get(stage, "/World/Looks/Tiles").ComputeSurfaceSource()[0]
    given = look.GetInput("diffuseColor").GetConnectedSources()[0][0]
    look.CreateInput("emissiveColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        UsdShade.ConnectableAPI(given.source.GetPrim()).GetOutput("rgb")
    )
    stage.Save()
    result = write_result(root, made=zero_offsets)
    assert verify.verify(result).failed == ()
    assert problems(result) == []
    opened = Usd.Stage.Open(str(result))
    preview = surface(opened, "/World/StylizedLooks/World__Body")
    inputs = [preview.GetInput(name) for name in ("diffuseColor", "emissiveColor")]
    first, second = (item.GetValueProducingAttributes()[0].GetPath() for item in inputs)
    assert first == second
    assert first.GetPrimPath().name == "StylizedBake"


@pytest.mark.parametrize("space", ["acescg", "srgb_texture", "lin_rec709"])
def test_two_nodes_of_one_image_show_one_sum_in_any_color_space(tmp_path: Path, space: str) -> None:
    stage = new_stage(tmp_path)
    half = {"in1": ("color3", From("Again")), "in2": ("float", 0.5)}
    nodes = {
        "UV": uv(),
        "A": image("./square.png", color_space=space),
        "Again": image("./square.png", color_space=space),
        "Half": Node("ND_multiply_color3FA", "color3", half),
    }
    inputs = {
        "subsurface_color": ("color3", From("Again")),
        "coat_color": ("color3", From("Half")),
        "sheen_color": ("color3", Gf.Vec3f(0.1)),
    }
    material = add_mtlx_material(stage, LOOK, From("A"), nodes, inputs=inputs)
    define_quad(stage, "/World/Quad", material)
    stage.Save()
    opened = checked(tmp_path / "scene.usda", size=(12, 12))  # verify compares each of them with the sum
    live = surface(opened, OURS, "mtlx")
    from_us = {
        item.GetBaseName(): item.GetConnectedSources()[0][0].source.GetPath().name
        for item in live.GetInputs()
        if item.HasConnectedSource()
    }
    assert from_us == dict.fromkeys(("base_color", "subsurface_color", "coat_color"), "StylizedNetwork")


def test_verify_sees_that_an_emission_lost_the_sum(tmp_path: Path) -> None:
    stylise(tmp_path, {"emissiveColor": AGAIN})
    result = tmp_path / "scene.stylized.usda"
    layer = Sdf.Layer.FindOrOpen(str(tmp_path / "scene.style.usda"))
    place = Sdf.Path(f"{OURS}{{style=ink}}Surface").AppendProperty("inputs:emissiveColor")
    spec = layer.GetAttributeAtPath(place)
    spec.connectionPathList.explicitItems = [Sdf.Path(f"{OURS}/emissiveColorTexture.outputs:rgb")]
    layer.Save()
    failed = {check.name: check.detail for check in verify.verify(result).failed}
    assert failed["bake"].startswith("inputs:emissiveColor does not show the bake any more")


def test_a_lamp_whose_graph_inverts_its_image_keeps_its_brightness(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    white, hot = ("color3", Gf.Vec3f(1)), ("float", 3.0)
    inverted = {"in": ("color3", From("A")), "amount": white}
    nodes = {
        "UV": uv(),
        "A": image("./color.png"),
        "Inverted": Node("ND_invert_color3", "color3", inverted),
        "Hot": Node("ND_multiply_color3FA", "color3", {"in1": ("color3", From("Inverted")), "in2": hot}),
    }
    emits = {"emission": ("float", 0.3), "emission_color": ("color3", From("Hot"))}
    define_quad(stage, "/World/Quad", add_mtlx_material(stage, LOOK, Gf.Vec3f(0), nodes, inputs=emits))
    stage.Save()
    (obj,) = discover(tmp_path / "scene.usda").objects
    assert isinstance(obj.base, GraphColor)
    assert obj.base.divisor == 3.0
    checked(tmp_path / "scene.usda")


def test_a_value_that_base_and_emission_share_is_stylised_in_the_base_alone(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    emits = {"emission": ("float", 0.5), "emission_color": ("color3", Gf.Vec3f(1))}
    material = add_mtlx_material(stage, LOOK, Gf.Vec3f(1), inputs=emits)
    tint = material.CreateInput("tint", Sdf.ValueTypeNames.Color3f)
    tint.Set(Gf.Vec3f(0.2, 0.5, 0.8))
    for name in ("base_color", "emission_color"):
        UsdShade.Shader.Get(stage, f"{LOOK}/Surface").GetInput(name).ConnectToSource(tint)
    define_quad(stage, "/World/Quad", material)
    stage.Save()
    opened = checked(tmp_path / "scene.usda")
    live, baked = surface(opened, OURS, "mtlx"), surface(opened, OURS)
    close(Network(UVS).input(live, "emission_color"), np.array([0.2, 0.5, 0.8]), 1e-6)
    close(Network(UVS).input(baked, "emissiveColor"), np.array([0.1, 0.25, 0.4]), 1e-6)


def test_a_preview_emits_codes_where_the_materialx_surface_does(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    modes: dict[str, Any] = {f"{axis}addressmode": ("string", "periodic") for axis in "uv"}
    codes = image("./color.png", color_space="lin_rec709", **modes)
    nodes = {"UV": uv(), "A": image("./color.png", **modes), "Codes": codes}
    emits = {"emission": ("float", 1.0), "emission_color": ("color3", From("Codes"))}
    define_quad(stage, "/World/Quad", add_mtlx_material(stage, LOOK, From("A"), nodes, inputs=emits))
    stage.Save()
    opened = checked(tmp_path / "scene.usda")
    live, baked = surface(opened, OURS, "mtlx"), surface(opened, OURS)
    shown = Network(UVS).input(live, "emission_color")
    close(Network(UVS).input(baked, "emissiveColor"), shown, 0.008)


MDL = {"diffuse_texture": "./color.png", "enable_emission": True, "colorSpace": "sRGB"}


def add_map(root: Path, name: str, file: str, space: str) -> None:
    stage = Usd.Stage.Open(str(root))
    shader = UsdShade.Shader.Get(stage, f"{mdl_stages.LOOK}/Mdl")
    item = shader.CreateInput(name, Sdf.ValueTypeNames.Asset)
    item.Set(file)
    item.GetAttr().SetColorSpace(space)
    stage.Save()


@pytest.mark.parametrize(("file", "space", "is_ours"), [
    ("./color.png", "sRGB", True), ("./color.png", "raw", False), ("./other.png", "sRGB", False),
])  # fmt: skip
def test_the_emission_map_of_an_omnipbr_takes_the_bake_too(
    tmp_path: Path, file: str, space: str, is_ours: bool
) -> None:
    root = mdl_stages.make_stage(tmp_path, **MDL)
    (tmp_path / "other.png").write_bytes((tmp_path / "color.png").read_bytes())
    add_map(root, "emissive_color_texture", file, space)
    opened = Usd.Stage.Open(str(write_result(root)))
    shader = UsdShade.Shader.Get(opened, "/World/StylizedLooks/World__Quad/Mdl")
    found = shader.GetInput("emissive_color_texture").Get().path
    assert (Path(found).name == "World__Quad.ink.baked.png") == is_ours
    assert Path(shader.GetInput("diffuse_texture").Get().path).name == "World__Quad.ink.baked.png"


def test_an_omnipbr_that_only_emits_is_stylised_there(tmp_path: Path) -> None:
    root = mdl_stages.make_stage(
        tmp_path, enable_emission=True, diffuse_color_constant=Gf.Vec3f(0), albedo_brightness=0.5
    )
    add_map(root, "emissive_color_texture", "./color.png", "sRGB")
    (obj,) = discover(root).objects
    assert obj.is_emitted
    opened = Usd.Stage.Open(str(write_result(root)))
    assert verify.verify(root.with_name("scene.stylized.usda")).failed == ()
    shader = UsdShade.Shader.Get(opened, "/World/StylizedLooks/World__Quad/Mdl")
    assert Path(shader.GetInput("emissive_color_texture").Get().path).name == "World__Quad.ink.baked.png"
    assert not shader.GetInput("diffuse_texture")
    assert shader.GetInput("albedo_brightness").Get() == 0.5
    preview = surface(opened, "/World/StylizedLooks/World__Quad")
    assert preview.GetInput("emissiveColor").HasConnectedSource()
    assert preview.GetInput("diffuseColor").Get() == Gf.Vec3f(0)


def test_a_primvar_that_is_emitted_too_is_stylised_in_both(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    add_preview_surface(stage, {})
    where = f"{LOOK}/Surface"
    reader = UsdShade.Shader.Define(stage, f"{LOOK}/Color")
    reader.CreateIdAttr("UsdPrimvarReader_float3")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("displayColor")
    output = reader.CreateOutput("result", Sdf.ValueTypeNames.Float3)
    shader = UsdShade.Shader.Get(stage, where)
    for name in ("diffuseColor", "emissiveColor"):
        shader.CreateInput(name, Sdf.ValueTypeNames.Color3f).ConnectToSource(output)
    quad = UsdGeom.Gprim.Get(stage, "/World/Quad")
    colors = quad.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colors.Set([Gf.Vec3f(*color) for color in np.eye(3).tolist()] + [Gf.Vec3f(0.5)])
    stage.Save()
    opened = checked(tmp_path / "scene.usda")
    assert file_of(opened, "emissiveColor") == file_of(opened, "diffuseColor") == "World__Quad.ink.baked.png"


def test_a_quad_of_an_unlit_graph_has_no_light_to_reflect(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    material = add_mtlx_material(
        stage, LOOK, From("A"), {"UV": uv(), "A": image("./color.png")}, surface="unlit"
    )
    define_quad(stage, "/World/Quad", material)
    stage.Save()
    opened = checked(tmp_path / "scene.usda")
    preview = surface(opened, OURS)
    assert preview.GetInput("diffuseColor").Get() == Gf.Vec3f(0)
    assert preview.GetInput("useSpecularWorkflow").Get() == 1
    assert not preview.GetInput("specularColor")
