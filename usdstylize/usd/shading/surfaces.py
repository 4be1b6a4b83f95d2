"""The surface shaders that can be stylised: to add one is to add an entry here.

Defaults are those of the shaders' own definitions; a test compares MaterialX's with its library.
"""

from functools import partial

from pxr import UsdShade

from usdstylize.errors import MaterialError
from usdstylize.model.objects import Surface
from usdstylize.usd.shading.inputs import shader_id
from usdstylize.usd.shading.materialx import trace_mtlx
from usdstylize.usd.shading.mdl import mdl_names, trace_omnipbr
from usdstylize.usd.shading.mdl_inputs import read_omnipbr_inputs
from usdstylize.usd.shading.mtlx_inputs import (
    MtlxInputs,
    gltf_alpha,
    gltf_cutoff,
    named,
    one,
    product,
    read_mtlx_inputs,
)
from usdstylize.usd.shading.preview import PREVIEW_DEFAULTS, read_preview_inputs, trace_preview
from usdstylize.usd.shading.surface_spec import SurfaceSpec

__all__ = ["LIVE_SURFACE", "SURFACES", "find_surface", "known_names", "preview_surface", "surface_spec"]

LIVE_SURFACE = "ND_UsdPreviewSurface_surfaceshader"
"""Our own surface in a live network, where the source's has no place in one."""

_STANDARD_SURFACE = MtlxInputs(
    {
        "metallic": named("metalness", 0.0),
        "roughness": named("specular_roughness", 0.2),
        "clearcoat": named("coat", 0.0),
        "clearcoatRoughness": named("coat_roughness", 0.1),
        "ior": named("specular_IOR", 1.5),
        "opacity": named("opacity", 1.0),
        "emissiveColor": product(("emission", 0.0), ("emission_color", 1.0)),
    },
    beyond=("transmission", "subsurface", "sheen"),
)
_OPEN_PBR = MtlxInputs(
    {
        "metallic": named("base_metalness", 0.0),
        "roughness": named("specular_roughness", 0.3),
        "clearcoat": named("coat_weight", 0.0),
        "clearcoatRoughness": named("coat_roughness", 0.0),
        "ior": named("specular_ior", 1.5),
        "opacity": named("geometry_opacity", 1.0),
        "emissiveColor": product(("emission_luminance", 0.0), ("emission_color", 1.0)),
    },
    highlights=("specular_weight", "specular_color"),
    normal="geometry_normal",
    beyond=("transmission_weight", "subsurface_weight", "fuzz_weight"),
)
_GLTF_PBR = MtlxInputs(
    {
        "metallic": named("metallic", 1.0),
        "roughness": named("roughness", 1.0),
        "clearcoat": named("clearcoat", 0.0),
        "clearcoatRoughness": named("clearcoat_roughness", 0.0),
        "ior": named("ior", 1.5),
        "opacity": gltf_alpha,
        "opacityThreshold": gltf_cutoff,
        "occlusion": named("occlusion", 1.0),
        "emissiveColor": product(("emissive", 0.0), ("emissive_strength", 1.0)),
    },
    beyond=("transmission",),
)
_UNLIT = MtlxInputs(
    {
        "emissiveColor": product(("emission", 1.0), ("emission_color", 1.0)),
        "opacity": named("opacity", 1.0),
        "useSpecularWorkflow": one,  # whose specularColor is black by default: it reflects nothing
    },
    highlights=None,
    normal="",
    beyond=("transmission",),
)
_STANDARD_COLORS = (
    "specular_color",
    "transmission_color",
    "subsurface_color",
    "sheen_color",
    "coat_color",
    "emission_color",
)
_PREVIEW_SURFACE = MtlxInputs(
    {name: named(name, float(value)) for name, value in PREVIEW_DEFAULTS.items()}
    | {"specularColor": named("specularColor", 0.0)},
    highlights=None,
    is_normal_map_unpacked=True,
)

_SPECS = (
    SurfaceSpec(
        identifiers=("UsdPreviewSurface",),
        kind="preview",
        color="diffuseColor",
        default=(0.18, 0.18, 0.18),
        emission="emissiveColor",
        colors=("emissiveColor", "specularColor"),
        trace=trace_preview,
        read_inputs=read_preview_inputs,
        live="translated",
    ),
    SurfaceSpec(
        identifiers=("ND_standard_surface_surfaceshader",),
        kind="mtlx",
        color="base_color",
        default=(0.8, 0.8, 0.8),
        weight=("base", 1.0),
        emission="emission_color",
        emission_default=1.0,
        emission_weight=("emission", 0.0),
        colors=_STANDARD_COLORS,
        trace=trace_mtlx,
        read_inputs=partial(read_mtlx_inputs, _STANDARD_SURFACE),
        live="source",
    ),
    SurfaceSpec(
        identifiers=("ND_standard_surface_surfaceshader_100",),
        kind="mtlx",
        color="base_color",
        default=(1.0, 1.0, 1.0),
        weight=("base", 0.8),
        emission="emission_color",
        emission_default=1.0,
        emission_weight=("emission", 0.0),
        colors=_STANDARD_COLORS,
        trace=trace_mtlx,
        read_inputs=partial(read_mtlx_inputs, _STANDARD_SURFACE),
        live="source",
    ),
    SurfaceSpec(
        identifiers=("ND_open_pbr_surface_surfaceshader",),
        kind="mtlx",
        color="base_color",
        default=(0.8, 0.8, 0.8),
        weight=("base_weight", 1.0),
        emission="emission_color",
        emission_default=1.0,
        emission_weight=("emission_luminance", 0.0),
        colors=(
            "specular_color",
            "transmission_color",
            "subsurface_color",
            "fuzz_color",
            "coat_color",
            "emission_color",
        ),
        trace=trace_mtlx,
        read_inputs=partial(read_mtlx_inputs, _OPEN_PBR),
        live="source",
    ),
    SurfaceSpec(
        identifiers=("ND_gltf_pbr_surfaceshader",),
        kind="mtlx",
        color="base_color",
        default=(1.0, 1.0, 1.0),
        emission="emissive",
        emission_weight=("emissive_strength", 1.0),
        colors=("specular_color", "attenuation_color", "sheen_color", "emissive"),
        trace=trace_mtlx,
        read_inputs=partial(read_mtlx_inputs, _GLTF_PBR),
        live="source",
    ),
    SurfaceSpec(
        identifiers=(LIVE_SURFACE,),
        kind="mtlx",
        color="diffuseColor",
        default=(0.18, 0.18, 0.18),
        emission="emissiveColor",
        colors=("emissiveColor", "specularColor"),
        trace=trace_mtlx,
        read_inputs=partial(read_mtlx_inputs, _PREVIEW_SURFACE),
        live="source",
    ),
    SurfaceSpec(
        identifiers=("ND_surface_unlit",),
        kind="mtlx",
        color="emission_color",
        default=(1.0, 1.0, 1.0),
        weight=("emission", 1.0),
        emission="emission_color",
        emission_default=1.0,
        emission_weight=("emission", 1.0),
        colors=("transmission_color",),
        trace=trace_mtlx,
        read_inputs=partial(read_mtlx_inputs, _UNLIT),
        live="source",
    ),
    SurfaceSpec(
        identifiers=(
            "OmniPBR.mdl",
            "OmniPBR_Opacity.mdl",
            "OmniPBR_ClearCoat.mdl",
            "OmniPBR_ClearCoat_Opacity.mdl",
        ),
        kind="mdl",
        color="diffuse_texture",
        default=(0.2, 0.2, 0.2),
        emission="emissive_color_texture",
        colors=("emissive_color_texture", "emissive_mask_texture"),
        neutral={
            "diffuse_tint": (1.0, 1.0, 1.0),
            "albedo_brightness": 1.0,
            "albedo_add": 0.0,
            "albedo_desaturation": 0.0,
        },
        trace=trace_omnipbr,
        read_inputs=read_omnipbr_inputs,
        live="translated",
    ),
)

SURFACES: dict[str, SurfaceSpec] = {name: spec for spec in _SPECS for name in spec.identifiers}
"""By identifier."""


def find_surface(shader: UsdShade.Shader) -> SurfaceSpec | None:
    """What is known of a surface shader; None where nothing is."""
    module, material = mdl_names(shader)
    if not module:
        return SURFACES.get(shader_id(shader))
    spec = SURFACES.get(f"{module}.mdl")
    return spec if spec is not None and f"{material}.mdl" in spec.identifiers else None


def surface_spec(shader: UsdShade.Shader) -> SurfaceSpec:
    """As `find_surface`. Raises MaterialError where nothing is known of the shader."""
    spec = find_surface(shader)
    if spec is None:
        raise MaterialError(
            f"Surface {shader.GetPath()} ({shader_id(shader)}) is none that can be stylised; "
            f"use {known_names('mtlx')}."
        )
    return spec


def preview_surface(material: UsdShade.Material) -> UsdShade.Shader | None:
    """The UsdPreviewSurface that a material has on its universal output; None where it has none."""
    surface, _, _ = material.ComputeSurfaceSource()
    spec = find_surface(surface) if surface else None
    return surface if spec is not None and spec.kind == "preview" else None


def known_names(kind: Surface) -> str:
    """The surfaces of one kind that can be stylised, for messages: ``a, b or c``."""
    names = [
        name.removeprefix("ND_").partition("_surfaceshader")[0]
        for name, spec in SURFACES.items()
        if spec.kind == kind and spec.is_writable
    ]
    *others, last = dict.fromkeys(names)
    return f"{', '.join(others)} or {last}" if others else last
