"""Every input of a stylised MaterialX surface: in the live network, and as a UsdPreviewSurface beside it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import hold, offsets, surface, write_result
from network_values import Network, decode, encode, points, texel
from numpy.typing import NDArray
from pxr import Usd, UsdShade
from surface_inputs import OURS, SQUARE, TEXTURES, Map, add_mtlx_surface, by_hand, new_stage

Array = NDArray[np.float64]

UVS = {"st": points()}
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
            "metallic", "roughness", "clearcoat", "clearcoatRoughness", "ior", "opacity", "occlusion",
            "emissiveColor",
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
WEIGHT = {"standard_surface": 0.85, "open_pbr": 0.85, "gltf_pbr": 1.0, "preview": 1.0}
IDS = {
    "standard_surface": "ND_standard_surface_surfaceshader",
    "open_pbr": "ND_open_pbr_surface_surfaceshader",
    "gltf_pbr": "ND_gltf_pbr_surfaceshader",
    "preview": "ND_UsdPreviewSurface_surfaceshader",
}
VALUES: dict[str, Any] = {
    "emissiveColor": (0.1, 0.25, 0.4),
    "occlusion": 0.65,
    "roughness": 0.45,
    "metallic": 0.3,
    "clearcoat": 0.8,
    "clearcoatRoughness": 0.15,
    "opacity": 0.9,
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
    return Network(UVS["st"]).input(shader, name, DEFAULTS.get(name))


def close(found: Array, expected: Any, tolerance: float = 2e-5) -> None:
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=tolerance)


def stylised(strength: float) -> Array:
    total = encode(by_hand(SQUARE, UVS)) + strength * texel(STYLE, SQUARE.placed(UVS), SQUARE.wrap)
    return decode(np.clip(total, 0, 1))


@pytest.mark.parametrize("described", [TEXTURES, VALUES], ids=["textures", "values"])
@pytest.mark.parametrize("kind", NAMES)
def test_each_input_is_kept_live_and_said_again_in_the_preview(
    tmp_path: Path, kind: str, described: dict[str, Any]
) -> None:
    inputs = kinds(kind, described) | EXTRA[kind]
    opened = stylise(tmp_path, kind, inputs, strength=0.35)
    live, preview = surface(opened, OURS, "mtlx"), surface(opened, OURS)
    assert live.GetShaderId() == IDS[kind]
    for name, (_, given) in inputs.items():
        close(Network(UVS["st"]).input(live, name), by_hand(given, UVS))
    color = "diffuseColor" if kind == "preview" else "base_color"
    dial = UsdShade.Material.Get(opened, OURS).GetInput("strength")
    for strength in (0.35, 1.4):
        dial.Set(strength)
        close(Network(UVS["st"]).input(live, color), stylised(strength))
    assert preview.GetShaderId() == "UsdPreviewSurface"
    emission = 1.0 if kind == "preview" else 0.6
    for target, name in NAMES[kind].items():
        expected = by_hand(inputs[name][1], UVS) * (emission if target == "emissiveColor" else 1.0)
        found = value(preview, target)
        close(found, expected[:, : found.shape[1]])
    close(value(preview, "diffuseColor"), WEIGHT[kind] * stylised(0.35), 0.0046)
    assert value(preview, "useSpecularWorkflow")[0, 0] == 0
