"""Traced inputs of a source surface, written as UsdPreviewSurface nodes beside a surface of ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pxr import Gf, Sdf

from usdstylize.author.paths import anchored
from usdstylize.author.source import Constant, SourceInput, Texture
from usdstylize.author.specs import Node, add_input, add_shader
from usdstylize.base_colors import UVTransform

__all__ = ["TYPES", "coordinates", "write_preview_inputs"]

_Types = Sdf.ValueTypeNames

TYPES = {
    "useSpecularWorkflow": _Types.Int,
    "emissiveColor": _Types.Color3f,
    "specularColor": _Types.Color3f,
    "metallic": _Types.Float,
    "roughness": _Types.Float,
    "clearcoat": _Types.Float,
    "clearcoatRoughness": _Types.Float,
    "opacity": _Types.Float,
    "opacityThreshold": _Types.Float,
    "ior": _Types.Float,
    "normal": _Types.Normal3f,
    "occlusion": _Types.Float,
}
"""Inputs of a UsdPreviewSurface that are carried over."""


def coordinates(
    layer: Sdf.Layer, parent: Sdf.Path, prefix: str, primvar: str, transform: UVTransform | None
) -> Sdf.Path:
    """A primvar reader and the UsdTransform2d behind it, named ``prefix``…; returns its output."""
    reader = add_shader(
        layer,
        parent.AppendChild(f"{prefix}Coordinates"),
        "UsdPrimvarReader_float2",
        ("result", _Types.Float2),
        {"varname": (_Types.String, primvar)},
    )
    out = reader.output("result")
    for number, step in enumerate(transform.chain() if transform else ()):
        place = {
            "in": (_Types.Float2, out),
            "scale": (_Types.Float2, step.scale),
            "rotation": (_Types.Float, step.rotation),
            "translation": (_Types.Float2, step.translation),
        }
        path = parent.AppendChild(f"{prefix}Transform{number + 1 if number else ''}")
        out = add_shader(layer, path, "UsdTransform2d", ("result", _Types.Float2), place).output("result")
    return out


def write_preview_inputs(
    layer: Sdf.Layer,
    parent: Sdf.Path,
    surface: Node,
    inputs: Mapping[str, SourceInput],
    layer_folder: Path,
) -> list[str]:
    """Write constants and textures of ``inputs`` to a UsdPreviewSurface, their nodes under ``parent``.

    Returns remarks. The other kinds are left at their default; the live network, which follows
    the same inputs, is what remarks on them.
    """
    remarks = []
    for name, value in inputs.items():
        if name not in TYPES:
            continue
        if name == "normal" and isinstance(value, Texture) and not _is_usual(value):
            # Validators, and so some clients, refuse any other range for 8-bit normal maps.
            remarks.append(
                f"The preview network leaves out the normal map {Path(value.file).name}, whose green points "
                "down or whose strength is not 1; the live network has it."
            )
            continue
        if isinstance(value, Constant):
            add_input(surface.spec, name, TYPES[name], _value(value.value))
        elif isinstance(value, Texture):
            prefix = f"Stylized{name[0].upper()}{name[1:]}"
            st = coordinates(layer, parent, prefix, value.primvar, value.transform)
            texture = {
                "file": (_Types.Asset, Sdf.AssetPath(anchored(value.file, layer_folder))),
                "sourceColorSpace": (_Types.Token, "sRGB" if value.srgb else "raw"),
                "st": (_Types.Float2, st),
                "wrapS": (_Types.Token, value.wrap[0]),
                "wrapT": (_Types.Token, value.wrap[1]),
                "scale": (_Types.Float4, Gf.Vec4f(*value.scale)),
                "bias": (_Types.Float4, Gf.Vec4f(*value.bias)),
            }
            kind = _Types.Float3 if value.output == "rgb" else _Types.Float
            path = parent.AppendChild(f"{prefix}Texture")
            node = add_shader(layer, path, "UsdUVTexture", (value.output, kind), texture)
            add_input(surface.spec, name, TYPES[name], node.output(value.output))
    return remarks


def _is_usual(normal: Texture) -> bool:
    return normal.scale == (2.0, 2.0, 2.0, 1.0) and normal.bias == (-1.0, -1.0, -1.0, 0.0)


def _value(value: Any) -> Any:
    return Gf.Vec3f(*value) if isinstance(value, tuple) else value
