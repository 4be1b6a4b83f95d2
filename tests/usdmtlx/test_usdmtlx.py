"""An OpenUSD with MaterialX's own node definitions finds no fault in the live network."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from author_results import write_result
from conftest import define_quad
from mtlx_scenes import SURFACES, From, Node, add_mtlx_material, image, uv
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from surface_inputs import (
    BASE,
    CONSTANTS,
    SIZE,
    SPECULAR,
    TEXTURES,
    Reader,
    add_mtlx_surface,
    add_preview_surface,
    new_stage,
)

from .nvidia import own_findings
from .usdmtlx_python import USDMTLX_PYTHON

pytestmark = pytest.mark.usdmtlx


def validate(*stages: Path) -> str:
    """What the other Python prints; it fails the test by its exit code. NVIDIA's validator agrees."""
    command = [
        str(USDMTLX_PYTHON),
        str(Path(__file__).with_name("validate_with_usdmtlx.py")),
        *map(str, stages),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert own_findings(*stages) == []
    return done.stdout


def test_every_kind_of_network_is_valid_materialx(tiny_stage: Path) -> None:
    """Every node that the writer knows: base by file, constant and primvar, and all other inputs."""
    source = Usd.Stage.Open(str(tiny_stage))
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    image = UsdShade.Shader.Get(source, "/World/Looks/Paint/Texture")
    types = Sdf.ValueTypeNames
    place = UsdShade.Shader.Define(source, "/World/Looks/Paint/Place")
    place.CreateIdAttr("UsdTransform2d")
    place.CreateInput("scale", types.Float2).Set(Gf.Vec2f(2, 3))
    place.CreateInput("rotation", types.Float).Set(30.0)
    place.CreateInput("in", types.Float2).ConnectToSource(
        UsdShade.Shader.Get(source, "/World/Looks/Paint/Reader").ConnectableAPI(), "result"
    )
    image.GetInput("st").ConnectToSource(place.CreateOutput("result", types.Float2))
    image.CreateInput("scale", types.Float4).Set(Gf.Vec4f(0.7, 0.4, 1.2, 0.5))
    image.CreateInput("bias", types.Float4).Set(Gf.Vec4f(0.1, 0, -0.2, 0.1))
    image.CreateInput("sourceColorSpace", types.Token).Set("raw")
    raw = ("roughness", "g"), ("metallic", "b"), ("occlusion", "r"), ("opacity", "a")
    for name, channel in raw:
        surface.CreateInput(name, types.Float).ConnectToSource(image.CreateOutput(channel, types.Float))
    bumps = UsdShade.Shader.Define(source, "/World/Looks/Paint/Bumps")
    bumps.CreateIdAttr("UsdUVTexture")
    bumps.CreateInput("file", types.Asset).Set("./textures/color.png")
    bumps.CreateInput("sourceColorSpace", types.Token).Set("raw")
    bumps.CreateInput("scale", types.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
    bumps.CreateInput("bias", types.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
    bumps.CreateInput("st", types.Float2).ConnectToSource(place.GetOutput("result"))
    normal = surface.CreateInput("normal", types.Normal3f)
    normal.ConnectToSource(bumps.CreateOutput("rgb", types.Float3))
    surface.CreateInput("emissiveColor", types.Color3f).ConnectToSource(image.GetOutput("rgb"))
    reader = UsdShade.Shader.Define(source, "/World/Looks/Paint/CoatReader")
    reader.CreateIdAttr("UsdPrimvarReader_float")
    reader.CreateInput("varname", types.String).Set("coat")
    reader.CreateInput("fallback", types.Float).Set(0.25)
    surface.CreateInput("clearcoat", types.Float).ConnectToSource(reader.CreateOutput("result", types.Float))
    surface.CreateInput("useSpecularWorkflow", types.Int).Set(1)
    surface.CreateInput("specularColor", types.Color3f).Set(Gf.Vec3f(0.1))
    surface.CreateInput("opacityMode", types.Token).Set("presence")
    surface.CreateInput("ior", types.Float).Set(1.4)
    right = source.GetPrimAtPath("/World/Right")
    UsdShade.MaterialBindingAPI(right).UnbindAllBindings()
    colors = UsdGeom.Gprim(right).CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1), Gf.Vec3f(1, 1, 1)])
    source.Save()
    assert "no error" in validate(write_result(tiny_stage))
    # Read as sRGB, single channels pass through other nodes.
    image.GetInput("sourceColorSpace").Set("sRGB")
    source.Save()
    assert "no error" in validate(write_result(tiny_stage, "gouache"))


def test_the_style_before_a_materialx_surface_is_valid_materialx(tiny_stage: Path) -> None:
    """Each kind of surface with other inputs, in a material and in a NodeGraph of one."""
    source = Usd.Stage.Open(str(tiny_stage))
    nodes = {
        "UV": uv(),
        "A": image("./textures/color.png"),
        "Dim": Node("ND_multiply_color3FA", "color3", {"in1": ("color3", From("A")), "in2": ("float", 0.5)}),
    }
    for number, surface in enumerate(SURFACES):
        path = f"/World/Looks/Glaze{number}"
        material = add_mtlx_material(source, path, From("Dim"), nodes, surface=surface, graph="Graph")
        define_quad(source, f"/World/Quad{number}", material, x=3.0 + number)
    constant = add_mtlx_material(source, "/World/Looks/Plain", Gf.Vec3f(0.5), {})
    define_quad(source, "/World/Plain", constant, x=9.0)
    source.Save()
    assert "no error" in validate(write_result(tiny_stage))


def test_surfaces_of_which_no_two_inputs_are_alike_are_valid_materialx(tmp_path: Path) -> None:
    """Each output, wrap mode, placement and colour space somewhere, before both kinds of surface."""
    grey = {"emissiveColor": replace(TEXTURES["roughness"], srgb=True), "clearcoat": Reader("coat", 0.6)}
    glow = {"emissiveColor": replace(BASE, scale=(0.5, 0.3, 0.8, 1.0))}
    cases = {"metallic": TEXTURES, "specular": SPECULAR, "values": CONSTANTS, "grey": grey, "glow": glow}
    results = []
    for name, inputs in cases.items():
        stage = new_stage(tmp_path / name)
        add_preview_surface(stage, inputs)
        stage.Save()
        results.append(write_result(tmp_path / name / "scene.usda", size=SIZE))
    for surface in SURFACES:
        stage = new_stage(tmp_path / surface)
        add_mtlx_surface(stage, surface, {})
        stage.Save()
        results.append(write_result(tmp_path / surface / "scene.usda"))
    assert "no error" in validate(*results)


def test_it_does_find_what_is_wrong(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    layer = Sdf.Layer.FindOrOpen(str(result.with_name("tiny.style.usda")))
    path = "/World/StylizedLooks/World__Left{style=ink}StylizedNetwork/Sum.info:id"
    layer.GetAttributeAtPath(path).default = "ND_add_color333"
    layer.Save()
    with pytest.raises(AssertionError, match="ND_add_color333"):
        validate(result)
