"""Stages whose materials are MDL, for the tests of stage/ and author/."""

from pathlib import Path
from typing import Any

import numpy as np
from conftest import define_material, define_quad
from numpy.typing import NDArray
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

LOOK = "/World/Looks/Paint"
TYPES = {
    "diffuse_texture": "asset",
    "diffuse_color_constant": "color3f",
    "diffuse_tint": "color3f",
    "albedo_brightness": "float",
    "albedo_add": "float",
    "albedo_desaturation": "float",
    "texture_scale": "float2",
    "texture_translate": "float2",
    "texture_rotate": "float",
    "project_uvw": "bool",
    "uv_space_index": "int",
    "reflection_roughness_constant": "float",
    "reflection_roughness_texture_influence": "float",
    "metallic_constant": "float",
    "metallic_texture_influence": "float",
    "enable_ORM_texture": "bool",
    "ORM_texture": "asset",
    "normalmap_texture": "asset",
    "ao_to_diffuse": "float",
    "specular_level": "float",
    "enable_emission": "bool",
    "enable_opacity": "bool",
    "enable_opacity_texture": "bool",
    "opacity_constant": "float",
    "opacity_mode": "int",
    "opacity_texture": "asset",
    "opacity_threshold": "float",
    "reflectionroughness_texture": "asset",
    "metallic_texture": "asset",
    "ao_texture": "asset",
    "bump_factor": "float",
    "flip_tangent_u": "bool",
    "flip_tangent_v": "bool",
}
PICTURE: NDArray[np.uint8] = np.random.default_rng(4).integers(0, 256, (16, 16, 3), np.uint8)
"""As large as the style textures of the tests, so that nothing is resampled."""


def add_mdl(
    stage: Usd.Stage, module: str = "OmniPBR.mdl", name: str = "OmniPBR", **inputs: Any
) -> UsdShade.Shader:
    """An MDL shader on outputs:mdl:surface of the material."""
    material = UsdShade.Material.Define(stage, LOOK)
    shader = UsdShade.Shader.Define(stage, f"{LOOK}/Mdl")
    shader.SetSourceAsset(module, "mdl")
    shader.SetSourceAssetSubIdentifier(name, "mdl")
    output = shader.CreateOutput("out", Sdf.ValueTypeNames.Token)
    material.CreateSurfaceOutput("mdl").ConnectToSource(output)
    for key, value in inputs.items():
        if key != "colorSpace":
            shader.CreateInput(key, Sdf.ValueTypeNames.Find(TYPES[key])).Set(value)
    if "colorSpace" in inputs:
        shader.GetInput("diffuse_texture").GetAttr().SetColorSpace(inputs["colorSpace"])
    return shader


def make_stage(folder: Path, *, preview: bool = False, **mdl: Any) -> Path:
    """``scene.usda`` with /World/Quad in an MDL material, with a UsdPreviewSurface too where asked."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PICTURE).save(folder / "color.png")
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    if preview:
        define_material(stage, LOOK, "./color.png")
    add_mdl(stage, **mdl)
    define_quad(stage, "/World/Quad", UsdShade.Material.Get(stage, LOOK))
    stage.Save()
    return folder / "scene.usda"


def display_color(path: Path, color: tuple[float, float, float]) -> None:
    stage = Usd.Stage.Open(str(path))
    quad = UsdGeom.Gprim.Get(stage, "/World/Quad")
    quad.CreateDisplayColorPrimvar(UsdGeom.Tokens.constant).Set([Gf.Vec3f(*color)])
    stage.Save()
