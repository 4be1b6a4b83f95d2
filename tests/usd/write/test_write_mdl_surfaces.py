"""Every parameter of an OmniPBR that our networks can follow, against what OmniPBR documents of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import offsets, problems, surface, write_result
from conftest import define_quad
from mdl_stages import add_mdl
from network_values import (
    Network,
    decode,
    encode,
    materialx_light,
    points,
    preview_light,
    read_codes,
    texel,
    turned,
)
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from surface_inputs import LOOK, OURS, PICTURES, SIZE, new_stage, write_picture

from usdstylize.usd import verify

Array = NDArray[np.float64]

UVS = points() | {"st_1": points()["map1"]}
STYLE = offsets(0, SIZE).astype(np.float16).astype(np.float64)
SCALE, MOVE, ANGLE = (1.5, 0.75), (0.2, -0.35), 30.0
ALBEDO: dict[str, Any] = {
    "diffuse_texture": "./color.png",
    "colorSpace": "sRGB",
    "diffuse_tint": Gf.Vec3f(0.9, 0.6, 0.75),
    "albedo_brightness": 0.85,
    "albedo_add": 0.06,
    "albedo_desaturation": 0.25,
    "texture_scale": Gf.Vec2f(*SCALE),
    "texture_translate": Gf.Vec2f(*MOVE),
    "texture_rotate": ANGLE,
}
LOBES: dict[str, Any] = {
    "reflection_roughness_constant": 0.4,
    "reflection_roughness_texture_influence": 0.75,
    "metallic_constant": 0.2,
    "metallic_texture_influence": 0.6,
    "ao_to_diffuse": 0.45,
    "specular_level": 0.8,
}


def placed(uvs: Array) -> Array:
    """Scaled, moved, then turned clockwise about the middle."""
    return turned(uvs * SCALE + MOVE - 0.5, -ANGLE) + 0.5


def stylise(folder: Path, **inputs: Any) -> Usd.Stage:
    stage = new_stage(folder)
    write_picture(folder / "rough.png", PICTURES["coat.png"][..., :1], "uint8")
    write_picture(folder / "metal.png", PICTURES["glow.png"][..., :1], "uint8")
    write_picture(folder / "ao.png", PICTURES["tint.png"][..., :1], "uint8")
    add_mdl(stage, **inputs)
    quad = UsdGeom.PrimvarsAPI(define_quad(stage, "/World/Quad", UsdShade.Material.Get(stage, LOOK)))
    second = quad.CreatePrimvar("st_1", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    second.Set(quad.GetPrimvar("st").Get())
    stage.Save()
    result = write_result(folder / "scene.usda", size=SIZE)
    assert verify.verify(result).failed == ()
    # Nobody has OmniPBR.mdl here, of which the validators of the source say the same.
    assert {text.replace(OURS, LOOK) for text in problems(result)} == set(problems(folder / "scene.usda"))
    return Usd.Stage.Open(str(result))


def picture(folder: Path, name: str, uvs: Array = UVS["st"]) -> Array:
    """(N, 4) of a map at the points."""
    return texel(read_codes(folder / name), placed(uvs), ("repeat", "repeat"))


def albedo(folder: Path) -> Array:
    """Stylised: OmniPBR takes saturation away, scales, adds, then tints, all of it linear."""
    linear = decode(picture(folder, "color.png")[:, :3])
    grey = linear @ np.array([0.212671, 0.715160, 0.072169])
    linear += 0.25 * (grey[:, None] - linear)
    base = (linear * 0.85 + 0.06) * (0.9, 0.6, 0.75)
    return decode(np.clip(encode(base) + texel(STYLE, placed(UVS["st"]), ("repeat", "repeat")), 0, 1))


def check(opened: Usd.Stage, folder: Path, values: dict[str, Array]) -> None:
    """Both networks show these inputs of a UsdPreviewSurface."""
    network, live, preview = Network(UVS), surface(opened, OURS, "mtlx"), surface(opened, OURS)
    for name, expected in values.items():
        found = network.input(preview, name)
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-5)
        if name not in ("metallic", "occlusion"):
            found = network.input(live, name)
            np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-5)
    lit = materialx_light(network, live, values["roughness"])
    for found, expected in zip(lit, preview_light(values, albedo(folder)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(network.input(preview, "diffuseColor"), albedo(folder), atol=0.0046)


IOR = (1 + (0.08 * 0.8) ** 0.5) / (1 - (0.08 * 0.8) ** 0.5)
"""Of the reflectance 0.08 · specular_level at normal incidence."""


@pytest.mark.parametrize("enabled", [True, False])
def test_the_packed_map_has_occlusion_roughness_and_metal_in_red_green_and_blue(
    tmp_path: Path, enabled: bool
) -> None:
    maps = {
        "ORM_texture": "./orm.png",
        "reflectionroughness_texture": "./rough.png",
        "metallic_texture": "./metal.png",
        "ao_texture": "./ao.png",
    }
    opened = stylise(tmp_path, **ALBEDO, **LOBES, **maps, enable_ORM_texture=enabled)
    packed = picture(tmp_path, "orm.png")[:, :3]
    own = [picture(tmp_path, name)[:, :1] for name in ("ao.png", "rough.png", "metal.png")]
    occlusion, roughness, metallic = np.split(packed, 3, axis=1) if enabled else own
    check(
        opened,
        tmp_path,
        {
            "occlusion": 1 + 0.45 * (occlusion - 1),
            "roughness": 0.4 + 0.75 * (roughness - 0.4),
            "metallic": 0.2 + 0.6 * (metallic - 0.2),
            "ior": np.array([[IOR]]),
        },
    )


def test_without_maps_the_constants_count(tmp_path: Path) -> None:
    opened = stylise(
        tmp_path, **ALBEDO, **LOBES, enable_opacity=True, opacity_constant=0.7, opacity_threshold=0.35
    )
    values = {"roughness": 0.4, "metallic": 0.2, "ior": IOR, "opacity": 0.7, "opacityThreshold": 0.35}
    check(opened, tmp_path, {name: np.array([[value]]) for name, value in values.items()})
    assert not surface(opened, OURS).GetInput("occlusion")


@pytest.mark.parametrize("mode", [0, 1, None])
def test_opacity_comes_from_the_alpha_or_the_picture(tmp_path: Path, mode: int | None) -> None:
    name = "glow.png" if mode == 0 else "rough.png"
    opened = stylise(
        tmp_path,
        **ALBEDO,
        metallic_constant=0.2,
        enable_opacity=True,
        enable_opacity_texture=True,
        opacity_texture=f"./{name}",
        opacity_threshold=0.35,
        **({} if mode is None else {"opacity_mode": mode}),
    )
    shown = picture(tmp_path, name)[:, 3:] if mode == 0 else picture(tmp_path, name)[:, :1]
    rest = {"roughness": np.array([[0.5]]), "metallic": np.array([[0.2]])}
    check(opened, tmp_path, {"opacity": shown, "opacityThreshold": np.array([[0.35]])} | rest)


@pytest.mark.parametrize("flips", [(False, True), (True, False), (False, False), ()])
def test_a_normal_map_is_flipped_and_scaled_as_asked(tmp_path: Path, flips: tuple[bool, ...]) -> None:
    """Where nothing is authored, green points down, as DirectX has it."""
    opened = stylise(
        tmp_path,
        **ALBEDO,
        normalmap_texture="./bumps.exr",
        bump_factor=0.6,
        **dict(zip(("flip_tangent_u", "flip_tangent_v"), flips, strict=False)),
    )
    flip_u, flip_v = flips or (False, True)
    signs = (-1 if flip_u else 1, -1 if flip_v else 1, 1)
    expected = (picture(tmp_path, "bumps.exr")[:, :3] * 2 - 1) * signs * (0.6, 0.6, 1)
    found = Network(UVS).input(surface(opened, OURS, "mtlx"), "normal")
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_mdl_itself_reads_the_bake_where_it_read_the_map(tmp_path: Path) -> None:
    opened = stylise(tmp_path, **ALBEDO, **LOBES)
    shader = UsdShade.Material.Get(opened, OURS).ComputeSurfaceSource("mdl")[0]
    found = {item.GetBaseName(): item.Get() for item in shader.GetInputs()}
    assert shader.GetInput("diffuse_texture").GetAttr().GetColorSpace() == "sRGB"
    baked = read_codes(found["diffuse_texture"].resolvedPath)
    shown = decode(texel(baked, placed(UVS["st"]), ("repeat", "repeat"))[:, :3])
    np.testing.assert_allclose(shown, albedo(tmp_path), atol=0.0046)
    neutral = {"diffuse_tint": Gf.Vec3f(1), "albedo_brightness": 1.0, "albedo_add": 0.0}
    neutral["albedo_desaturation"] = 0.0
    assert {name: found[name] for name in neutral} == neutral
    kept = {name: value for name, value in (ALBEDO | LOBES).items() if name not in neutral}
    for name in kept.keys() - {"diffuse_texture", "colorSpace"}:
        np.testing.assert_allclose(found[name], kept[name], atol=1e-6)


def test_what_is_not_switched_on_does_not_count(tmp_path: Path) -> None:
    """Maps without their influence, and an opacity that is not enabled, leave OmniPBR's defaults."""
    opened = stylise(
        tmp_path,
        **ALBEDO,
        reflectionroughness_texture="./rough.png",
        metallic_texture="./metal.png",
        ao_texture="./ao.png",
        opacity_texture="./glow.png",
        opacity_constant=0.7,
        opacity_threshold=0.35,
    )
    for context in ("", "mtlx"):
        shader = surface(opened, OURS, context)
        assert {item.GetBaseName() for item in shader.GetInputs()} == {
            "diffuseColor",
            "roughness",
            "metallic",
        }
        assert (shader.GetInput("roughness").Get(), shader.GetInput("metallic").Get()) == (0.5, 0.0)


def test_an_opacity_texture_that_is_not_enabled_leaves_the_constant(tmp_path: Path) -> None:
    opened = stylise(
        tmp_path, **ALBEDO, enable_opacity=True, opacity_texture="./glow.png", opacity_constant=0.7
    )
    for context in ("", "mtlx"):
        assert surface(opened, OURS, context).GetInput("opacity").Get() == pytest.approx(0.7)


def test_every_map_reads_the_uv_set_that_is_asked_for(tmp_path: Path) -> None:
    opened = stylise(
        tmp_path,
        **ALBEDO,
        uv_space_index=1,
        reflection_roughness_texture_influence=1.0,
        reflectionroughness_texture="./rough.png",
    )
    rough = picture(tmp_path, "rough.png", UVS["st_1"])[:, :1]
    baked = picture(tmp_path, "scene.style/ink/World__Quad/World__Quad.ink.baked.png", UVS["st_1"])[:, :3]
    for context in ("", "mtlx"):
        found = Network(UVS).input(surface(opened, OURS, context), "roughness")
        np.testing.assert_allclose(found, rough, atol=2e-5)
        shown = Network(UVS).input(surface(opened, OURS, context), "diffuseColor")
        np.testing.assert_allclose(shown, decode(baked), atol=0.0046)
