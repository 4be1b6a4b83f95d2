"""The other inputs of a UsdPreviewSurface, translated to their MaterialX twins.

Storm prefers the live network over the preview, so whatever is missing here is missing on
screen: roughness, metallic, normal, opacity, emission, occlusion and the rest read the same files.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pxr import Gf, Sdf

from usdstylize.author.graph import TYPES, Graph
from usdstylize.author.paths import anchored
from usdstylize.author.source import Constant, InterfaceInput, Primvar, SourceInput, Texture, Untraced
from usdstylize.author.specs import Node, add_input, add_output, add_shader

__all__ = ["OCCLUDED", "SURFACE_ID", "write_surface"]

SURFACE_ID = "ND_UsdPreviewSurface_surfaceshader"

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
"""Inputs of ND_UsdPreviewSurface_surfaceshader with their types, but for the diffuse colour.

Displacement is a terminal of its own, which the reference to the source material keeps.
Occlusion is an input of the node, but its definition in MaterialX makes nothing of it.
"""
OCCLUDED = "Occluded"
"""Name of the node that multiplies the stylised colour by the source's occlusion."""
_CHANNELS = {"r": 0, "g": 1, "b": 2, "a": 3}


def write_surface(
    graph: Graph,
    path: Sdf.Path,
    material: Sdf.Path,
    inputs: Mapping[str, SourceInput],
    diffuse: Sdf.Path,
    layer_folder: Path,
) -> tuple[Node, list[str]]:
    """The MaterialX surface shader at ``path``, and remarks on what could not be translated.

    material: our Material in the composed scene, whose interface inputs are connected to.
    diffuse: output of ``graph`` that carries the stylised base colour.
    """
    remarks: list[str] = []
    surface = add_shader(graph.layer, path, SURFACE_ID, ("out", Sdf.ValueTypeNames.Token), {})
    if "occlusion" in inputs:
        diffuse = _occlude(graph, material, inputs["occlusion"], diffuse, layer_folder, remarks)
    color = add_output(graph.spec, "diffuseColor", TYPES["color3"], diffuse)
    add_input(surface.spec, "diffuseColor", TYPES["color3"], color)
    for name, kind in _KINDS.items():
        value = inputs.get(name)
        if value is None:
            continue
        if isinstance(value, Untraced):
            remarks.append(_untraced(name, value))
        elif isinstance(value, Constant) or (isinstance(value, InterfaceInput) and name == "opacityMode"):
            add_input(surface.spec, name, TYPES[kind], _constant(name, kind, value.value))
        elif isinstance(value, InterfaceInput):
            source = material.AppendProperty(f"inputs:{value.name}")
            add_input(surface.spec, name, TYPES[kind], source)
        else:
            if isinstance(value, Primvar):
                out = _primvar(graph, name, kind, value)
            else:
                out = _texture(graph, name, kind, value, layer_folder)
            out = add_output(graph.spec, name, TYPES[kind], out)
            add_input(surface.spec, name, TYPES[kind], out)
    return surface, remarks


def _occlude(
    graph: Graph,
    material: Sdf.Path,
    occlusion: SourceInput,
    diffuse: Sdf.Path,
    layer_folder: Path,
    remarks: list[str],
) -> Sdf.Path:
    """The diffuse colour darkened by occlusion, as UsdPreviewSurface darkens its lighting."""
    factor: Any
    if isinstance(occlusion, Untraced):
        remarks.append(_untraced("occlusion", occlusion))
        return diffuse
    if isinstance(occlusion, Constant):
        factor = float(occlusion.value)
        if factor == 1.0:
            return diffuse
    elif isinstance(occlusion, InterfaceInput):
        source = material.AppendProperty(f"inputs:{occlusion.name}")
        inner = add_input(graph.spec, "occlusion", TYPES["float"], source)
        factor = inner.path.StripAllVariantSelections()
    elif isinstance(occlusion, Primvar):
        factor = _primvar(graph, "occlusion", "float", occlusion)
    else:
        factor = _texture(graph, "occlusion", "float", occlusion, layer_folder)
    return graph.binary(OCCLUDED, "multiply", "color3", diffuse, factor, by_float=True)


def _untraced(name: str, value: Untraced) -> str:
    return f"The live network leaves {name} at its default: {value.reason}"


def _constant(name: str, kind: str, value: Any) -> Any:
    if name == "opacityMode":
        return 1 if str(value) == "presence" else 0
    if kind in ("color3", "vector3"):
        return Gf.Vec3f(*value)
    return int(value) if kind == "integer" else float(value)


def _primvar(graph: Graph, name: str, kind: str, value: Primvar) -> Sdf.Path:
    inputs: dict[str, tuple[str, Any]] = {"geomprop": ("string", value.name)}
    if value.fallback is not None:
        inputs["default"] = (kind, _constant(name, kind, value.fallback))
    return graph.node(f"{name}_Primvar", f"ND_geompropvalue_{kind}", inputs, kind)


def _texture(graph: Graph, name: str, kind: str, texture: Texture, layer_folder: Path) -> Sdf.Path:
    coordinates = graph.coordinates(texture.primvar, texture.transform)
    file = anchored(texture.file, layer_folder)

    def image(read_as: str) -> Sdf.Path:
        # Only colours can be decoded; the GPU decodes before it filters, as for UsdUVTexture.
        space = "srgb_texture" if texture.srgb and read_as == "color3" else "lin_rec709"
        return graph.image(f"{name}_Image", read_as, file, coordinates, texture.wrap, color_space=space)

    def adjust(out: Sdf.Path, as_kind: str, scale: Any, bias: Any, *, plain: tuple[Any, Any]) -> Sdf.Path:
        if scale != plain[0]:
            out = graph.binary(f"{name}_Scale", "multiply", as_kind, out, scale)
        return graph.binary(f"{name}_Bias", "add", as_kind, out, bias) if bias != plain[1] else out

    if texture.output == "rgb":
        read_as = "color3" if texture.srgb or kind == "color3" else "vector3"
        out = image(read_as)
        if kind == "float":
            extract = {"in": (read_as, out), "index": ("integer", 0)}
            out = graph.node(f"{name}_Channel", f"ND_extract_{read_as}", extract, "float")
            return adjust(out, "float", texture.scale[0], texture.bias[0], plain=(1.0, 0.0))
        if read_as != kind:
            out = graph.node(f"{name}_Convert", f"ND_convert_{read_as}_{kind}", {"in": (read_as, out)}, kind)
        scale, bias = Gf.Vec3f(*texture.scale[:3]), Gf.Vec3f(*texture.bias[:3])
        return adjust(out, kind, scale, bias, plain=(Gf.Vec3f(1), Gf.Vec3f(0)))

    channel = _CHANNELS[texture.output]
    read_as = "vector4" if channel == 3 else "color3" if texture.srgb else "vector3"
    extract = {"in": (read_as, image(read_as)), "index": ("integer", channel)}
    out = graph.node(f"{name}_Channel", f"ND_extract_{read_as}", extract, "float")
    out = adjust(out, "float", texture.scale[channel], texture.bias[channel], plain=(1.0, 0.0))
    if kind == "float":
        return out
    return graph.node(
        f"{name}_Gray", f"ND_combine3_{kind}", {f"in{i}": ("float", out) for i in (1, 2, 3)}, kind
    )
