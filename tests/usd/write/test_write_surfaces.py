"""Every input of a stylised UsdPreviewSurface, in both networks, against values worked out by hand."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import hold, offsets, surface, write_result
from network_values import Network, decode, encode, materialx_light, points, preview_light, texel
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from surface_inputs import (
    BASE,
    CONSTANTS,
    LOOK,
    OURS,
    SIZE,
    SPECULAR,
    TEXTURES,
    Map,
    Reader,
    add_preview_surface,
    by_hand,
    new_stage,
)

from usdstylize.usd import verify

Array = NDArray[np.float64]

UVS = points()
STYLE = offsets(0, SIZE).astype(np.float16).astype(np.float64)


def stylise(folder: Path, inputs: Mapping[str, Any], *, base: Any = BASE, **options: Any) -> Usd.Stage:
    """The result for a quad of these inputs, T_S as large as T; verify and every validator find nothing."""
    stage = new_stage(folder)
    add_preview_surface(stage, inputs, base)
    stage.Save()
    result = write_result(folder / "scene.usda", size=SIZE, **options)
    hold(result)
    return Usd.Stage.Open(str(result))


def live(opened: Usd.Stage) -> UsdShade.Shader:
    return surface(opened, OURS, "mtlx")


def preview(opened: Usd.Stage) -> UsdShade.Shader:
    return surface(opened, OURS)


def stylised(base: Any, strength: float) -> Array:
    """decode(clamp(T + strength · T_S)), (N, 3): T_S lies, wraps and is placed as T is."""
    uvs, wrap = UVS["st"], ("repeat", "repeat")
    if isinstance(base, Map):
        uvs, wrap = base.placed(UVS), base.wrap
    total = encode(by_hand(base, UVS)) + strength * texel(STYLE, uvs, wrap)
    return decode(np.clip(total, 0, 1))


def read(shader: UsdShade.Shader, name: str, **primvars: Array) -> Array:
    return Network(UVS | primvars).input(shader, name)


def close(found: Array, expected: Array, tolerance: float = 2e-5) -> None:
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=tolerance)


def taken_over(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """All but a normal that no texture gives, which Storm ignores in the source (tests/storm shows it)."""
    return {name: value for name, value in inputs.items() if name != "normal" or isinstance(value, Map)}


STRAIGHT: dict[str, dict[str, Any]] = {
    "textures": {name: value for name, value in TEXTURES.items() if name not in ("metallic", "occlusion")},
    "values": {name: value for name, value in CONSTANTS.items() if name not in ("metallic", "occlusion")},
    "raw colour": {"emissiveColor": replace(TEXTURES["emissiveColor"], srgb=False)},
    "grey of a raw channel": {"emissiveColor": TEXTURES["roughness"]},
    "grey of an sRGB channel": {"emissiveColor": replace(TEXTURES["roughness"], srgb=True)},
    "grey of an alpha": {"emissiveColor": TEXTURES["clearcoatRoughness"]},
    "the red of a colour": {
        "roughness": replace(TEXTURES["roughness"], output="rgb"),
        "clearcoat": replace(TEXTURES["emissiveColor"], output="rgb"),
    },
    "one file in five ways": {
        "roughness": TEXTURES["roughness"],
        "clearcoat": replace(TEXTURES["roughness"], wrap=("clamp", "mirror")),
        "clearcoatRoughness": replace(TEXTURES["roughness"], rotation=11.0),
        "ior": replace(TEXTURES["roughness"], srgb=True),
        "emissiveColor": replace(TEXTURES["roughness"], primvar="st", output="rgb"),
    },
    "presence": {"opacity": TEXTURES["opacity"], "opacityMode": "presence"},
    "transparent": {"opacity": TEXTURES["opacity"], "opacityMode": "transparent"},
    "no metal": {"metallic": 0.0, "roughness": 0.2},
    "the other workflow": {"useSpecularWorkflow": 0, "specularColor": (0.3, 0.5, 0.7), "roughness": 0.2},
}  # fmt: skip
"""Where MaterialX's surface says the same as UsdPreviewSurface, input by input."""


@pytest.mark.parametrize("name", STRAIGHT)
def test_each_input_reaches_the_live_surface_as_it_is(tmp_path: Path, name: str) -> None:
    opened = stylise(tmp_path, STRAIGHT[name])
    inputs, shader = taken_over(STRAIGHT[name]), live(opened)
    assert shader.GetShaderId() == "ND_UsdPreviewSurface_surfaceshader"
    for key, value in inputs.items():
        if key == "opacityMode":
            assert shader.GetInput(key).Get() == {"transparent": 0, "presence": 1}[value]
            continue
        found, expected = read(shader, key), by_hand(value, UVS)
        # A number takes the first channel of a colour, a colour a number in every channel.
        close(found, expected[:, : found.shape[1]])
    close(read(shader, "diffuseColor"), stylised(BASE, 1.0))
    assert {item.GetBaseName() for item in shader.GetInputs()} == {"diffuseColor", *inputs}


FOLDED: dict[str, dict[str, Any]] = {
    "textures": TEXTURES,
    "values": CONSTANTS,
    "specular textures": SPECULAR,
    "no occlusion": {name: value for name, value in SPECULAR.items() if name != "occlusion"},
    "one file in two colour spaces": {
        "useSpecularWorkflow": 1,
        "specularColor": SPECULAR["specularColor"],
        "emissiveColor": replace(SPECULAR["specularColor"], srgb=False),
    },
    "a metal that does not count": {
        "useSpecularWorkflow": 1, "specularColor": (0.3, 0.5, 0.7), "metallic": 0.6, "roughness": 0.2,
    },
    "occlusion alone": {"occlusion": TEXTURES["occlusion"]},
    "occlusion and clear coat": {name: TEXTURES[name] for name in ("occlusion", "clearcoat")},
    "metal alone": {"metallic": TEXTURES["metallic"]},
    "metal of another ior": {"metallic": 0.4, "ior": 2.1},
    "transparent metal": {"metallic": TEXTURES["metallic"], "opacity": TEXTURES["opacity"]},
    "metal that is cut out": {
        "metallic": TEXTURES["metallic"], "opacity": TEXTURES["opacity"], "opacityThreshold": 0.35,
    },
    "metal that is there in part": {
        "metallic": TEXTURES["metallic"], "opacity": TEXTURES["opacity"], "opacityMode": "presence",
    },
}  # fmt: skip
"""Where the specular workflow expresses metal or occlusion instead."""


def test_occlusion_beside_a_specular_workflow_without_a_colour_reflects_nothing(tmp_path: Path) -> None:
    """Black is what a UsdPreviewSurface has where no specularColor is authored."""
    occlusion = TEXTURES["occlusion"]
    opened = stylise(tmp_path, {"useSpecularWorkflow": 1, "occlusion": occlusion})
    diffuse, highlight = materialx_light(Network(UVS), live(opened), 0.5)
    close(highlight, np.zeros_like(highlight), 1e-7)
    close(diffuse, stylised(BASE, 1.0) * by_hand(occlusion, UVS), 5e-5)


@pytest.mark.parametrize("name", FOLDED)
def test_metal_and_occlusion_reflect_in_the_live_network_what_they_do_in_the_source(
    tmp_path: Path, name: str
) -> None:
    opened = stylise(tmp_path, FOLDED[name])
    inputs, shader = taken_over(FOLDED[name]), live(opened)
    values = {key: by_hand(value, UVS) for key, value in inputs.items() if key != "opacityMode"}
    # What is present in part is no other colour.
    lit = values if "opacityMode" not in inputs else {"metallic": values["metallic"]}
    diffuse, highlight = preview_light(lit, stylised(BASE, 1.0))
    found = materialx_light(Network(UVS), shader, values.get("roughness", 0.5))
    close(found[0], diffuse, 5e-5)
    close(found[1], highlight, 5e-5)
    assert shader.GetInput("useSpecularWorkflow").Get() == 1
    folded = ["metallic", "occlusion", "specularColor"]
    for key in values.keys() - folded:
        darker = values.get("occlusion", 1.0) if key == "clearcoat" else 1.0
        close(read(shader, key), values[key] * darker)
    names = {item.GetBaseName() for item in shader.GetInputs()}
    assert names == {"diffuseColor", "specularColor", "useSpecularWorkflow", *inputs} - {*folded[:2]}


@pytest.mark.parametrize("inputs", [TEXTURES, SPECULAR, CONSTANTS], ids=["metallic", "specular", "values"])
def test_the_preview_surface_keeps_every_input_but_the_color(tmp_path: Path, inputs: dict[str, Any]) -> None:
    opened = stylise(tmp_path, inputs)
    shader = preview(opened)
    for key, value in inputs.items():
        close(read(shader, key), by_hand(value, UVS))
    assert shader.GetInput("displacement").Get() == pytest.approx(0.07)
    displaced = UsdShade.Material.Get(opened, OURS).ComputeDisplacementSource()[0]
    assert displaced.GetPath() == shader.GetPath()
    # Half a code of eight bits is 0.0045 linear where the sRGB curve is steepest.
    close(read(shader, "diffuseColor"), stylised(BASE, 1.0), 0.0046)


BASES: dict[str, Any] = {
    "sRGB": replace(BASE, scale=(1.0,) * 4, bias=(0.0,) * 4),
    "sRGB, scale and bias": BASE,
    "raw": replace(BASE, srgb=False, scale=(1.0,) * 4, bias=(0.0,) * 4),
    "raw, scale and bias": replace(BASE, srgb=False),
    "clamp and mirror": replace(BASE, wrap=("clamp", "mirror")),
    "repeat and clamp": replace(BASE, wrap=("repeat", "clamp")),
    "black and mirror": replace(BASE, wrap=("black", "mirror"), scale=(1.0,) * 4, bias=(0.0,) * 4),
    "another primvar": replace(BASE, primvar="map1"),
    "a chain that shears": replace(BASE, then=((0.7, 1.2), 35.0, (0.15, -0.25))),
    "a value": (0.7, 0.2, 0.45),
    "a value beyond black and white": (-0.1, 0.2, 1.4),
}


@pytest.mark.parametrize("name", BASES)
def test_the_dial_scales_the_style_and_never_the_texture(tmp_path: Path, name: str) -> None:
    """At 0.35, which the bake keeps, and turned to 1.4 and to 0."""
    base = BASES[name]
    stage = new_stage(tmp_path)
    add_preview_surface(stage, {}, base)
    if isinstance(base, Map):
        quad = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad"))
        map1 = quad.CreatePrimvar("map1", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
        map1.Set(quad.GetPrimvar("st").Get())
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE, strength=0.35)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    dial = UsdShade.Material.Get(opened, OURS).GetInput("strength")
    assert dial.Get() == pytest.approx(0.35)
    for strength in (0.35, 1.4, 0.0):
        dial.Set(strength)
        close(read(live(opened), "diffuseColor"), stylised(base, strength))
    close(read(preview(opened), "diffuseColor"), stylised(base, 0.35), 0.0046)


def test_strength_is_1_where_nobody_says_otherwise(result: Path) -> None:
    """In a result of the command line."""
    opened = Usd.Stage.Open(str(result))
    material = UsdShade.Material.Get(opened, "/World/StylizedLooks/World__Left")
    dial = material.GetInput("strength").GetAttr()
    assert dial.Get() == 1.0
    assert dial.GetCustomDataByKey("range") == {"min": 0.0, "max": 2.0}


READERS: dict[str, Any] = {
    "emissiveColor": Reader("glow", (0.11, 0.22, 0.33)),
    "roughness": Reader("rough", 0.42),
    "clearcoat": Reader("coat", 0.61),
    "clearcoatRoughness": Reader("smear", 0.17),
    "opacity": Reader("veil", 0.83),
    "ior": Reader("bend", 1.7),
    "normal": Reader("up", (0.1, 0.2, 0.9)),
}


@pytest.mark.parametrize("there", [True, False])
def test_primvars_and_their_fallbacks_reach_the_live_surface(tmp_path: Path, there: bool) -> None:
    opened = stylise(tmp_path, READERS)
    drawn = np.random.default_rng(3).uniform(0, 1, (len(READERS), len(UVS["st"]), 3))
    primvars = {
        reader.primvar: values[:, : np.size(reader.fallback)]
        for reader, values in zip(READERS.values(), drawn, strict=True)
        if there
    }
    for name, reader in taken_over(READERS).items():
        expected = by_hand(reader, UVS | primvars)
        close(read(live(opened), name, **primvars), expected)
    assert not live(opened).GetInput("normal")


@pytest.mark.parametrize("inputs", [TEXTURES, SPECULAR, CONSTANTS], ids=["metallic", "specular", "values"])
def test_a_surface_outside_its_material_keeps_every_input_in_its_copy(
    tmp_path: Path, inputs: dict[str, Any]
) -> None:
    stage = new_stage(tmp_path)
    there = add_preview_surface(stage, inputs)
    shared = UsdShade.Material.Define(stage, "/World/Looks/Shared")
    shared.CreateSurfaceOutput().ConnectToSource(there.GetOutput("surface"))
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Quad")).Bind(shared)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    shader = preview(opened)
    assert shader.GetPath().HasPrefix(OURS)
    for key, value in inputs.items():
        close(read(shader, key), by_hand(value, UVS))
    assert shader.GetInput("displacement").Get() == pytest.approx(0.07)
    close(read(shader, "diffuseColor"), stylised(BASE, 1.0), 0.0046)


@pytest.mark.parametrize("folded", [True, False])
def test_an_interface_input_of_the_material_stays_connected_to_its_own_input(
    tmp_path: Path, folded: bool
) -> None:
    inputs = CONSTANTS if folded else STRAIGHT["values"]
    stage = new_stage(tmp_path)
    add_preview_surface(stage, inputs, interface=True)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    material, shader = UsdShade.Material.Get(opened, OURS), live(opened)
    for prim in Usd.PrimRange(material.GetPrim()):
        for item in UsdShade.ConnectableAPI(prim).GetInputs():
            for path in item.GetAttr().GetConnections():
                assert item.CanConnect(opened.GetAttributeAtPath(path)), f"{path} lies outside of the graph"
    # Each turned by an artist, so that a value written as it was would show.
    turned = {}
    for number, (name, value) in enumerate(inputs.items()):
        turned[name] = np.multiply(value, 0.9 - 0.02 * number)
        dial = material.GetInput(f"own_{name}")
        dial.Set(Gf.Vec3f(*turned[name]) if np.ndim(value) else float(turned[name]))
    values = {name: by_hand(value, UVS) for name, value in turned.items()}
    for name, expected in values.items():
        close(read(preview(opened), name), expected)
        if name in taken_over(values) and (not folded or name not in ("metallic", "occlusion", "clearcoat")):
            close(read(shader, name), expected)
    if folded:
        close(read(shader, "clearcoat"), values["clearcoat"] * values["occlusion"])
        lit = materialx_light(Network(UVS), shader, values["roughness"])
        for found, expected in zip(lit, preview_light(values, stylised(BASE, 1.0)), strict=True):
            close(found, expected, 5e-5)


def test_a_texture_without_a_file_shows_its_fallback(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    names = ("diffuseColor", "emissiveColor", "roughness", "clearcoatRoughness")
    add_preview_surface(stage, {name: TEXTURES[name] for name in names[1:]})
    for number, name in enumerate(names):
        texture = UsdShade.Shader.Get(stage, f"{LOOK}/{name}Texture")
        texture.GetPrim().RemoveProperty("inputs:file")
        fallback = np.array([0.2, 0.5, 0.7, 0.9]) - 0.03 * number
        texture.CreateInput("fallback", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*fallback))
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    assert verify.verify(result).failed == ()
    opened = Usd.Stage.Open(str(result))
    base = np.array([0.2, 0.5, 0.7]) * BASE.scale[:3] + BASE.bias[:3]
    close(read(live(opened), "diffuseColor"), stylised(tuple(base), 1.0))
    glow, rough = TEXTURES["emissiveColor"], TEXTURES["roughness"]
    close(read(live(opened), "emissiveColor"), np.array([0.17, 0.47, 0.67]) * glow.scale[:3] + glow.bias[:3])
    close(read(live(opened), "roughness"), 0.44 * rough.scale[1] + rough.bias[1])
    # An alpha of no file is nothing that is known.
    assert not live(opened).GetInput("clearcoatRoughness")
    assert "clearcoatRoughnessTexture names no file" in (tmp_path / "scene.style/ink/run.json").read_text()
