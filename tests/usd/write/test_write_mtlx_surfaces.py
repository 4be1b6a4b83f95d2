"""Every input of a stylised MaterialX surface: in the live network, and as a UsdPreviewSurface beside it."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import MaterialX as mx
import numpy as np
import pytest
from author_results import hold, offsets, surface, write_result
from mtlx_scenes import From, Node
from network_values import Network, decode, encode, points, texel
from numpy.typing import NDArray
from pxr import Usd, UsdShade
from surface_inputs import LOOK, OURS, SQUARE, TEXTURES, Map, add_mtlx_surface, by_hand, mtlx_nodes, new_stage

Array = NDArray[np.float64]

UVS = points()
SIZE = (12, 12)
STYLE = offsets(0, SIZE).astype(np.float16).astype(np.float64)
NAMES: dict[str, dict[str, str]] = {
    "standard_surface": {
        "metallic": "metalness",
        "roughness": "specular_roughness",
        "clearcoat": "coat",
        "clearcoatRoughness": "coat_roughness",
        "ior": "specular_IOR",
        "opacity": "opacity",
        "emissiveColor": "emission_color",
    },
    "open_pbr": {
        "metallic": "base_metalness",
        "roughness": "specular_roughness",
        "clearcoat": "coat_weight",
        "clearcoatRoughness": "coat_roughness",
        "ior": "specular_ior",
        "opacity": "geometry_opacity",
        "emissiveColor": "emission_color",
    },
    "gltf_pbr": {
        "metallic": "metallic",
        "roughness": "roughness",
        "clearcoat": "clearcoat",
        "clearcoatRoughness": "clearcoat_roughness",
        "ior": "ior",
        "opacity": "alpha",
        "occlusion": "occlusion",
        "emissiveColor": "emissive",
    },
    "preview": {
        name: name
        for name in (
            "metallic", "roughness", "clearcoat", "clearcoatRoughness", "ior", "opacity",
            "opacityThreshold", "occlusion", "emissiveColor",
        )
    },
}  # fmt: skip
"""What each kind of surface calls the inputs of a UsdPreviewSurface."""
EXTRA: dict[str, dict[str, tuple[str, Any]]] = {
    "standard_surface": {"base": ("float", 0.85), "emission": ("float", 0.6)},
    "open_pbr": {"base_weight": ("float", 0.85), "emission_luminance": ("float", 0.6)},
    "gltf_pbr": {"emissive_strength": ("float", 0.6), "alpha_mode": ("integer", 2)},
    "preview": {},
}
EMISSION = {"standard_surface": "emission", "open_pbr": "emission_luminance"}
"""What scales the colour of what glows by itself."""
BASE_WEIGHT = {"standard_surface": "base", "open_pbr": "base_weight"}
WEIGHT = {"standard_surface": 0.85, "open_pbr": 0.85, "gltf_pbr": 1.0, "preview": 1.0}
IDS = {
    "standard_surface": "ND_standard_surface_surfaceshader",
    "open_pbr": "ND_open_pbr_surface_surfaceshader",
    "gltf_pbr": "ND_gltf_pbr_surfaceshader",
    "preview": "ND_UsdPreviewSurface_surfaceshader",
}
MAPS = TEXTURES | {"opacityThreshold": 0.35}
VALUES: dict[str, Any] = {
    "emissiveColor": (0.1, 0.25, 0.4),
    "occlusion": 0.65,
    "roughness": 0.45,
    "metallic": 0.3,
    "clearcoat": 0.8,
    "clearcoatRoughness": 0.15,
    "opacity": 0.9,
    "opacityThreshold": 0.35,
    "ior": 1.8,
}
DEFAULTS: dict[str, Any] = {
    "metallic": 0.0,
    "roughness": 0.5,
    "clearcoat": 0.0,
    "clearcoatRoughness": 0.01,
    "ior": 1.5,
    "opacity": 1.0,
    "opacityThreshold": 0.0,
    "occlusion": 1.0,
    "emissiveColor": (0.0, 0.0, 0.0),
    "useSpecularWorkflow": 0,
}
"""UsdPreviewSurface's own."""


def kinds(kind: str, values: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Inputs of the surface by its own names, with types, from values by UsdPreviewSurface's."""
    found = {}
    for target, name in NAMES[kind].items():
        is_color = target == "emissiveColor" or (kind, target) == ("standard_surface", "opacity")
        value = values[target]
        if is_color and np.ndim(value) == 0 and not isinstance(value, Map):
            value = (value,) * 3
        if is_color and isinstance(value, Map):
            value = replace(value, output="rgb")
        found[name] = ("color3" if is_color else "float", value)
    return found


def stylise(folder: Path, kind: str, inputs: Mapping[str, tuple[str, Any]], **options: Any) -> Usd.Stage:
    stage = new_stage(folder)
    add_mtlx_surface(stage, kind, inputs)
    stage.Save()
    result = write_result(folder / "scene.usda", size=SIZE, **options)
    hold(result)
    return Usd.Stage.Open(str(result))


def value(shader: UsdShade.Shader, name: str) -> Array:
    """An input of the preview surface, or its default."""
    return Network(UVS).input(shader, name, DEFAULTS.get(name))


def close(found: Array, expected: Any, tolerance: float = 2e-5) -> None:
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=tolerance)


def stylised(strength: float) -> Array:
    total = encode(by_hand(SQUARE, UVS)) + strength * texel(STYLE, SQUARE.placed(UVS), SQUARE.wrap)
    return decode(np.clip(total, 0, 1))


@pytest.mark.parametrize("described", [MAPS, VALUES], ids=["textures", "values"])
@pytest.mark.parametrize("kind", NAMES)
def test_each_input_is_kept_live_and_translated_for_the_preview(
    tmp_path: Path, kind: str, described: dict[str, Any]
) -> None:
    inputs = kinds(kind, described) | EXTRA[kind]
    opened = stylise(tmp_path, kind, inputs, strength=0.35)
    live, preview = surface(opened, OURS, "mtlx"), surface(opened, OURS)
    assert live.GetShaderId() == IDS[kind]
    for name, (_, given) in inputs.items():
        close(Network(UVS).input(live, name), by_hand(given, UVS))
    color = "diffuseColor" if kind == "preview" else "base_color"
    dial = UsdShade.Material.Get(opened, OURS).GetInput("strength")
    for strength in (0.35, 1.4):
        dial.Set(strength)
        close(Network(UVS).input(live, color), stylised(strength))
    assert preview.GetShaderId() == "UsdPreviewSurface"
    emission = 1.0 if kind == "preview" else 0.6
    for target, name in NAMES[kind].items():
        expected = by_hand(inputs[name][1], UVS) * (emission if target == "emissiveColor" else 1.0)
        found = value(preview, target)
        close(found, expected[:, : found.shape[1]])
    close(value(preview, "diffuseColor"), WEIGHT[kind] * stylised(0.35), 0.0046)
    assert value(preview, "useSpecularWorkflow")[0, 0] == 0


HIGHLIGHTS: dict[str, dict[str, tuple[str, Any]]] = {
    "standard_surface": {
        "specular": ("float", 0.7), "specular_color": ("color3", (0.9, 0.5, 0.2)),
        "specular_IOR": ("float", 1.8),
    },
    "open_pbr": {
        "specular_weight": ("float", 0.7), "specular_color": ("color3", (0.9, 0.5, 0.2)),
        "specular_ior": ("float", 1.8),
    },
    "gltf_pbr": {
        "specular": ("float", 0.7), "specular_color": ("color3", (0.9, 0.5, 0.2)), "ior": ("float", 1.8),
        "metallic": ("float", 0.0),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", HIGHLIGHTS)
def test_scaled_and_tinted_highlights_become_a_specular_color(tmp_path: Path, kind: str) -> None:
    opened = stylise(tmp_path, kind, HIGHLIGHTS[kind])
    preview = surface(opened, OURS)
    assert value(preview, "useSpecularWorkflow")[0, 0] == 1
    # What a dielectric reflects, ((ior − 1) / (ior + 1))², times weight and tint.
    close(value(preview, "specularColor"), (0.8 / 2.8) ** 2 * 0.7 * np.array([0.9, 0.5, 0.2]), 1e-6)


@pytest.mark.parametrize("kind", HIGHLIGHTS)
def test_highlights_of_a_metal_are_left_out_and_remarked(tmp_path: Path, kind: str) -> None:
    metal = {NAMES[kind]["metallic"]: ("float", 0.4)}
    opened = stylise(tmp_path, kind, HIGHLIGHTS[kind] | metal)
    preview = surface(opened, OURS)
    assert not preview.GetInput("specularColor")
    assert value(preview, "useSpecularWorkflow")[0, 0] == 0
    close(value(preview, "metallic"), 0.4)
    assert "weight and tint of highlights" in (tmp_path / "scene.style/ink/run.json").read_text()


def test_the_specular_workflow_of_a_preview_surface_in_materialx_is_kept(tmp_path: Path) -> None:
    inputs = {
        "useSpecularWorkflow": ("integer", 1),
        "specularColor": ("color3", replace(TEXTURES["emissiveColor"], file="tint.png")),
        "opacityThreshold": ("float", 0.35),
        "roughness": ("float", 0.45),
    }
    opened = stylise(tmp_path, "preview", inputs)
    preview = surface(opened, OURS)
    for name, (_, given) in inputs.items():
        close(value(preview, name), by_hand(given, UVS))


@pytest.mark.parametrize(("mode", "opacity", "cutoff"), [(0, 1.0, 0.0), (1, None, 0.35), (2, None, 0.0)])
def test_gltf_alpha_is_opaque_masked_or_blended(
    tmp_path: Path, mode: int, opacity: float | None, cutoff: float
) -> None:
    inputs = {
        "alpha": ("float", TEXTURES["opacity"]),
        "alpha_mode": ("integer", mode),
        "alpha_cutoff": ("float", 0.35),
    }
    opened = stylise(tmp_path, "gltf_pbr", inputs)
    preview = surface(opened, OURS)
    close(value(preview, "opacity"), by_hand(TEXTURES["opacity"], UVS) if opacity is None else opacity)
    close(value(preview, "opacityThreshold"), cutoff)


@functools.cache
def library() -> Any:
    """MaterialX's own definitions."""
    found = mx.createDocument()
    mx.loadLibraries(mx.getDefaultDataLibraryFolders(), mx.getDefaultDataSearchPath(), found)
    return found


def default(kind: str, name: str) -> Array:
    """Of an input of a surface, (1, components), as MaterialX defines it."""
    found = library().getNodeDef(IDS[kind]).getActiveInput(name).getValue()
    return np.atleast_2d(found.asTuple() if hasattr(found, "asTuple") else float(found))


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_not_authored_is_the_default_of_the_surface(tmp_path: Path, kind: str) -> None:
    opened = stylise(tmp_path, kind, {})
    preview = surface(opened, OURS)
    for target, name in NAMES[kind].items():
        expected = default(kind, name)
        if target == "emissiveColor" and kind in EMISSION:
            expected = expected * default(kind, EMISSION[kind])
        found = value(preview, target)
        close(found, expected[:, : found.shape[1]])


PARTIAL: dict[str, tuple[str, dict[str, tuple[str, Any]], str, str]] = {
    "emission": ("standard_surface", {"emission": ("float", 0.6)}, "emissiveColor", "emission_color"),
    "luminance": ("open_pbr", {"emission_luminance": ("float", 0.6)}, "emissiveColor", "emission_color"),
    "emissive": ("gltf_pbr", {"emissive": ("color3", (0.2, 0.5, 0.3))}, "emissiveColor", "emissive_strength"),
    "cutoff": ("gltf_pbr", {"alpha_mode": ("integer", 1)}, "opacityThreshold", "alpha_cutoff"),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_half_of_a_product_meets_the_default_of_the_other(tmp_path: Path, name: str) -> None:
    kind, inputs, target, other = PARTIAL[name]
    opened = stylise(tmp_path, kind, inputs)
    (given,) = (np.asarray(value) for _, value in inputs.values())
    close(value(surface(opened, OURS), target), given * default(kind, other), 1e-6)


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("kind", ["standard_surface", "open_pbr", "gltf_pbr"])
def test_a_normal_map_is_translated_where_its_strength_is_1(
    tmp_path: Path, kind: str, strength: float
) -> None:
    bumps = replace(TEXTURES["normal"], scale=(1.0,) * 4, bias=(0.0,) * 4)
    stage = new_stage(tmp_path)
    name = "geometry_normal" if kind == "open_pbr" else "normal"
    nodes = mtlx_nodes("Bumps", bumps, "vector3") | {
        "Up": Node(
            "ND_normalmap_float",
            "vector3",
            {"in": ("vector3", From("BumpsImage")), "scale": ("float", strength)},
        )
    }
    add_mtlx_surface(stage, kind, {name: ("vector3", From("Up"))}, nodes=nodes)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    preview = surface(opened, OURS)
    if strength == 1:
        close(value(preview, "normal"), by_hand(bumps, UVS) * 2 - 1)
    else:
        assert not preview.GetInput("normal")
        assert "bumps.exr" in (tmp_path / "scene.style/ink/run.json").read_text()


def test_a_normal_before_a_preview_surface_in_materialx_is_in_its_range_already(tmp_path: Path) -> None:
    bumps = replace(TEXTURES["normal"], scale=(2.0, 2.0, 2.0, 1.0), bias=(-1.0, -1.0, -1.0, 0.0))
    opened = stylise(tmp_path, "preview", {"normal": ("vector3", bumps)})
    preview = surface(opened, OURS)
    close(value(preview, "normal"), by_hand(bumps, UVS))


@pytest.mark.parametrize("given", ["linear", "srgb_texture", "nothing"])
@pytest.mark.parametrize("kind", NAMES)
def test_a_value_is_the_base_as_its_color_space_says_and_the_default_where_there_is_none(
    tmp_path: Path, kind: str, given: str
) -> None:
    stage = new_stage(tmp_path)
    add_mtlx_surface(stage, kind, {}, base=(0.7, 0.2, 0.45))
    name = "diffuseColor" if kind == "preview" else "base_color"
    shader = UsdShade.Shader.Get(stage, f"{LOOK}/Surface")
    base = np.array([[0.7, 0.2, 0.45]])
    if given == "nothing":
        shader.GetPrim().RemoveProperty(f"inputs:{name}")
        base = default(kind, name)
    elif given == "srgb_texture":
        shader.GetInput(name).GetAttr().SetColorSpace(given)
        base = decode(base)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE, strength=0.35)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    total = encode(base) + 0.35 * texel(STYLE, UVS["st"], ("repeat", "repeat"))
    expected = decode(np.clip(total, 0, 1))
    close(Network(UVS).input(surface(opened, OURS, "mtlx"), name), expected)
    weight = float(default(kind, BASE_WEIGHT[kind])[0, 0]) if kind in BASE_WEIGHT else 1.0
    close(value(surface(opened, OURS), "diffuseColor"), weight * expected, 0.0046)


def number(first: Any, operation: str, second: Any) -> Node:
    return Node(f"ND_{operation}_float", "float", {"in1": ("float", first), "in2": ("float", second)})


R, G = replace(TEXTURES["metallic"], output="r"), replace(TEXTURES["metallic"], output="g")
PARTS = {
    **mtlx_nodes("A", R, "float"),
    **mtlx_nodes("OtherFile", replace(R, file="coat.png"), "float"),
    **mtlx_nodes("OtherPlace", replace(R, rotation=11.0), "float"),
    **mtlx_nodes("OtherWrap", replace(R, wrap=R.wrap[::-1]), "float"),
    **mtlx_nodes("OtherUV", replace(R, primvar="map1"), "float"),
    **mtlx_nodes("G", G, "float"),
    "Square": number(From("A"), "power", 2.0),
    "Product": number(From("A"), "multiply", From("A")),
    "Flipped": Node(
        "ND_combine3_color3", "color3", {f"in{i + 1}": ("float", From("GA"[i % 2])) for i in range(3)}
    ),
}
ADDED = ("OtherFile", "OtherPlace", "OtherWrap", "OtherUV", "G")


@pytest.mark.parametrize("name", [*ADDED, "Square", "Product", "Flipped"])
def test_what_is_no_image_with_factor_and_offset_is_left_at_its_default_and_remarked(
    tmp_path: Path, name: str
) -> None:
    sums = {f"Sum{other}": number(From("A"), "add", From(other)) for other in ADDED}
    node = f"Sum{name}" if name in ADDED else name
    emits = name == "Flipped"
    inputs = {"emission": ("float", 1.0)} if emits else {}
    target = ("emission_color", "color3") if emits else ("specular_roughness", "float")
    stage = new_stage(tmp_path)
    inputs[target[0]] = (target[1], From(node))
    add_mtlx_surface(stage, "standard_surface", inputs, nodes=PARTS | sums)
    stage.Save()
    result = write_result(tmp_path / "scene.usda", size=SIZE)
    hold(result)
    lobe = "emissiveColor" if emits else "roughness"
    opened = Usd.Stage.Open(str(result))
    assert not surface(opened, OURS).GetInput(lobe)
    remark = f"The preview network leaves {lobe} at its default: "
    assert remark in (tmp_path / "scene.style/ink/run.json").read_text()
