"""The other inputs of a UsdPreviewSurface, translated to their MaterialX twins.

Storm prefers the live network over the preview, so whatever is missing here is missing on
screen: roughness, metallic, normal, opacity, emission, occlusion and the rest read the same files.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Sdf

from usdstylize.usd.shading.preview import PREVIEW_DEFAULTS
from usdstylize.usd.shading.source_inputs import Constant, InterfaceInput, SourceInput, Untraced
from usdstylize.usd.shading.surfaces import LIVE_SURFACE
from usdstylize.usd.write.graph import TYPES, Graph
from usdstylize.usd.write.specs import Node, add_input, add_output, add_shader
from usdstylize.usd.write.values import constant, write_value

__all__ = ["DIFFUSE_SHARE", "write_surface"]

_KINDS = {
    "emissiveColor": "color3",
    "useSpecularWorkflow": "integer",
    "specularColor": "color3",
    "metallic": "float",
    "roughness": "float",
    "clearcoat": "float",
    "clearcoatRoughness": "float",
    "opacity": "float",
    "opacityMode": "integer",
    "opacityThreshold": "float",
    "ior": "float",
    "normal": "vector3",
}
"""Inputs of ND_UsdPreviewSurface_surfaceshader with their types, except the diffuse colour.

Displacement is a terminal of its own, which the reference to the source material keeps.
Occlusion is an input of the node, but its definition in MaterialX ignores it.
"""
DIFFUSE_SHARE = "DiffuseShare"
"""Name of the node that scales the stylised colour (``in1``) to what of it is diffuse."""
_FOLDED = (
    "useSpecularWorkflow",
    "specularColor",
    "metallic",
    "clearcoat",
    "ior",
    "occlusion",
    "roughness",
    "opacity",
)
"""Inputs that nodes of the graph take where the surface is translated to the specular workflow."""


_FAINT = 0.08
"""The most of a specular colour at which its light takes next to nothing from the diffuse light."""


def write_surface(
    graph: Graph,
    path: Sdf.Path,
    material: Sdf.Path,
    inputs: Mapping[str, SourceInput],
    colors: Mapping[str, Sdf.Path],
    layer_folder: Path,
) -> tuple[Node, list[str]]:
    """The MaterialX surface shader at ``path``, and remarks on what could not be translated.

    material: our Material in the composed scene, whose interface inputs are connected to.
    colors: outputs of ``graph`` that carry the stylised colour, by the inputs that take them.
    """
    remarks: list[str] = []
    folded = _FOLDED if _needs_specular_workflow(inputs, colors) else ()

    def read(name: str, kind: str) -> Any:
        source = inputs.get(name)
        return write_value(graph, material, name, kind, source, layer_folder, remarks, inside=name in folded)

    values = {name: value for name, kind in _KINDS.items() if (value := read(name, kind)) is not None}
    values |= colors
    if "diffuseColor" not in values:
        values["diffuseColor"] = read("diffuseColor", "color3") or Gf.Vec3f(0)
    if folded:
        specular = _is_specular(inputs)
        values = _specular_workflow(graph, values, read("occlusion", "float"), specular=specular)
    surface = add_shader(graph.layer, path, LIVE_SURFACE, ("out", Sdf.ValueTypeNames.Token), {})
    for name, value in values.items():
        kind, source = _KINDS.get(name, "color3"), inputs.get(name)
        if isinstance(value, Sdf.Path) and value.name.startswith("outputs:"):
            value = add_output(graph.spec, name, TYPES[kind], value)
        elif isinstance(value, Sdf.Path) and isinstance(source, InterfaceInput):
            value = material.AppendProperty(f"inputs:{source.name}")
        add_input(surface.spec, name, TYPES[kind], value)
    return surface, remarks


def _needs_specular_workflow(inputs: Mapping[str, SourceInput], colors: Collection[str]) -> bool:
    """Whether MaterialX's definition of the surface differs from UsdPreviewSurface for these inputs.

    It ignores occlusion. A surface that is metal in part reflects too much, since metalness counts once
    in its reflectance and once more as the share of a conductor. Rough metals are too bright, by light
    that bounces several times between their facets. The same holds of the specular workflow itself where it
    reflects more than glass does.
    """
    occlusion, metallic = inputs.get("occlusion"), inputs.get("metallic")
    if not (occlusion is None or isinstance(occlusion, Untraced) or occlusion == Constant(1.0)):
        return True
    metal = not (metallic is None or isinstance(metallic, Untraced) or metallic == Constant(0.0))
    if _is_specular(inputs):
        reflected = inputs.get("specularColor")
        faint = isinstance(reflected, Constant) and np.max(reflected.value) <= _FAINT
        return "specularColor" in colors or not (faint or reflected is None)
    return metal


def _is_specular(inputs: Mapping[str, SourceInput]) -> bool:
    source = inputs.get("useSpecularWorkflow")
    if not isinstance(source, Constant | InterfaceInput):
        return False
    return bool(constant("useSpecularWorkflow", "integer", source.value) == 1)


def _specular_workflow(
    graph: Graph, values: Mapping[str, Any], occlusion: Any, *, specular: bool
) -> dict[str, Any]:
    """The inputs that show the same in the specular workflow, whose two colours take any value.

    UsdPreviewSurface darkens the light of every lobe by occlusion: here it darkens their colours.
    """
    color, found = values["diffuseColor"], dict(values)
    reflected: Any = values.get("specularColor", Gf.Vec3f(0))
    shares = []
    metallic = found.pop("metallic", 0.0)
    if not specular:
        reflected = _metal(graph, found, metallic)
        shares.append(graph.binary("Dielectric", "subtract", "float", 1.0, metallic))
    specular_color = reflected
    if occlusion is not None:
        shares.append(occlusion)
        specular_color = graph.binary(
            "SpecularOccluded", "multiply", "color3", reflected, occlusion, by_float=True
        )
        if "clearcoat" in found:
            coat = found["clearcoat"]
            found["clearcoat"] = graph.binary("CoatOccluded", "multiply", "float", coat, occlusion)
    share = _diffuse_share(graph, reflected, specular_color)
    for part in shares:
        share = graph.binary("Share", "multiply", "color3", share, part, by_float=True)
    diffuse = graph.binary(DIFFUSE_SHARE, "multiply", "color3", color, share)
    single = _without_bounces(graph, specular_color, values.get("roughness", PREVIEW_DEFAULTS["roughness"]))
    return found | {"useSpecularWorkflow": 1, "diffuseColor": diffuse, "specularColor": single}


def _metal(graph: Graph, values: Mapping[str, Any], metallic: Any) -> Sdf.Path:
    """What the metallic workflow reflects to a viewer right above the surface."""
    color = values["diffuseColor"]
    if "opacity" in values and not values.get("opacityMode") and not values.get("opacityThreshold"):
        # A transparent surface's opacity scales its colour wherever that counts.
        color = graph.binary("Opaque", "multiply", "color3", color, values["opacity"], by_float=True)
    tint = {"bg": ("color3", Gf.Vec3f(1)), "fg": ("color3", color), "mix": ("float", metallic)}
    bare = _reflectance(graph, values.get("ior", PREVIEW_DEFAULTS["ior"]))
    rate = {"bg": ("float", bare), "fg": ("float", 1.0), "mix": ("float", metallic)}
    return graph.binary(
        "Specular",
        "multiply",
        "color3",
        graph.node("SpecularTint", "ND_mix_color3", tint, "color3"),
        graph.node("SpecularRate", "ND_mix_float", rate, "float"),
        by_float=True,
    )


def _diffuse_share(graph: Graph, reflected: Any, specular_color: Any) -> Sdf.Path:
    """A factor on the diffuse colour, per channel, so that reflection weakens it as in UsdPreviewSurface.

    That multiplies diffuse light by 1 - ``reflected``, before occlusion. MaterialX multiplies it by 1 less
    the mean of the channels of ``specular_color``, the colour that the surface gets: divide by that.
    """
    white, mean = ("color3", Gf.Vec3f(1)), ("color3", Gf.Vec3f(1 / 3))
    right = graph.node("Left", "ND_subtract_color3", {"in1": white, "in2": ("color3", reflected)}, "color3")
    taken = graph.node(
        "MeanTaken", "ND_luminance_color3", {"in": ("color3", specular_color), "lumacoeffs": mean}, "color3"
    )
    wrong = graph.node("MeanLeft", "ND_subtract_color3", {"in1": white, "in2": ("color3", taken)}, "color3")
    wrong = graph.binary("MeanLeftSome", "max", "color3", wrong, 0.01, by_float=True)
    return graph.binary("LeftShare", "divide", "color3", right, wrong)


def _without_bounces(graph: Graph, reflected: Any, roughness: Any) -> Sdf.Path:
    """``reflected`` less the light that MaterialX adds for several bounces, up to F · 1.6 · roughness⁴."""
    bounced = graph.binary("Bounced", "power", "float", roughness, 4.0)
    bounced = graph.binary("BouncedRate", "multiply", "float", bounced, 1.6)
    bounced = graph.binary("BouncedLight", "multiply", "color3", reflected, bounced, by_float=True)
    bounced = graph.binary("AllLight", "add", "color3", bounced, 1.0, by_float=True)
    return graph.binary("SpecularOnce", "divide", "color3", reflected, bounced)


def _reflectance(graph: Graph, ior: Any) -> Any:
    """What a dielectric of that index of refraction reflects to a viewer right above it."""
    if not isinstance(ior, Sdf.Path):
        return float(((1 - ior) / (1 + ior)) ** 2)
    less = graph.binary("IorLess", "subtract", "float", 1.0, ior)
    more = graph.binary("IorMore", "add", "float", 1.0, ior)
    ratio = graph.binary("IorRatio", "divide", "float", less, more)
    return graph.binary("Reflectance", "multiply", "float", ratio, ratio)
