"""The preview network: the bake before a UsdPreviewSurface, the source's or one of ours."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pxr import Gf, Sdf

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.objects import StageObject
from usdstylize.usd.io.paths import anchored
from usdstylize.usd.shading.source_inputs import Constant, Primvar, SourceInput, Stylized, Texture
from usdstylize.usd.shading.surface_inputs import SurfaceInputs
from usdstylize.usd.write.external_surfaces import copy_inputs
from usdstylize.usd.write.specs import Node, add_input, add_output, add_shader, below, free_name, prim_spec
from usdstylize.usd.write.textures import Textures

__all__ = ["BAKE", "write_preview"]

_Types = Sdf.ValueTypeNames

BAKE = "StylizedBake"
"""What names of textures that read the bake begin with."""
_TYPES = {
    "diffuseColor": _Types.Color3f,
    "useSpecularWorkflow": _Types.Int,
    "emissiveColor": _Types.Color3f,
    "specularColor": _Types.Color3f,
    "metallic": _Types.Float,
    "roughness": _Types.Float,
    "clearcoat": _Types.Float,
    "clearcoatRoughness": _Types.Float,
    "opacity": _Types.Float,
    "opacityMode": _Types.Token,
    "opacityThreshold": _Types.Float,
    "ior": _Types.Float,
    "normal": _Types.Normal3f,
    "occlusion": _Types.Float,
}
"""Inputs of a UsdPreviewSurface that are carried over."""


def _coordinates(
    layer: Sdf.Layer,
    parent: Sdf.Path,
    prefix: str,
    primvar: str,
    transform: UVTransform | None,
    taken: Collection[str] = (),
) -> Sdf.Path:
    """A primvar reader and the UsdTransform2d behind it, named ``prefix``…; returns its output.

    taken: names that ``parent`` has children of.
    """
    names = set(taken)

    def add(name: str, identifier: str, inputs: Mapping[str, tuple[Sdf.ValueTypeName, Any]]) -> Sdf.Path:
        name = free_name(f"{prefix}{name}", names)
        names.add(name)
        node = add_shader(layer, parent.AppendChild(name), identifier, ("result", _Types.Float2), inputs)
        return node.output("result")

    out = add("Coordinates", "UsdPrimvarReader_float2", {"varname": (_Types.String, primvar)})
    for step in transform.chain() if transform else ():
        place = {
            "in": (_Types.Float2, out),
            "scale": (_Types.Float2, step.scale),
            "rotation": (_Types.Float, step.rotation),
            "translation": (_Types.Float2, step.translation),
        }
        out = add("Transform", "UsdTransform2d", place)
    return out


def write_preview(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    source: StageObject,
    inputs: SurfaceInputs,
    textures: Textures,
    folder: Path,
) -> list[str]:
    """Connect the preview surface's colours that show T to the baked sum, beside that surface.

    Beside it, because a connection may not leave the container (NodeGraph) of a shader. Without
    a surface, ours takes the inputs. Returns remarks.
    """
    surface, own = inputs.preview, Sdf.Path(source.material_path) if source.material_path else None
    if surface is not None and own is not None and surface.GetPath().HasPrefix(own):
        target = below(variant.path, surface.GetPath().MakeRelativePath(own))
        siblings = {child.GetName() for child in surface.GetPrim().GetParent().GetAllChildren()}
        over = prim_spec(layer, target)
        for name, baked in _baked(
            layer, target.GetParentPath(), source, textures, siblings, inputs.preview_uses
        ):
            item = surface.GetInput(name)
            add_input(over, name, item.GetTypeName() if item else _Types.Color3f, baked)
        return []
    colors = dict(_baked(layer, variant.path, source, textures, set(), inputs.preview_uses))
    plain = _plain_surface(layer, variant.path, colors)
    add_output(variant, "surface", _Types.Token, plain.output("surface"))
    if surface is None or own is None:
        return _write_inputs(layer, variant.path, plain, inputs.inputs, folder)
    ours = variant.path.StripAllVariantSelections()
    copy_inputs(plain.spec, surface, without=colors, source=own, ours=ours)
    return []


def _baked(
    layer: Sdf.Layer,
    parent: Sdf.Path,
    source: StageObject,
    textures: Textures,
    taken: set[str],
    uses: Mapping[str, Stylized],
) -> Iterator[tuple[str, Sdf.Path]]:
    """For each of the inputs, the rgb of a UsdUVTexture of the bake, with coordinates like the source's.

    Inputs that take the same of it share one.
    """
    st = _coordinates(layer, parent, "Stylized", source.uv_primvar, source.uv_transform, taken)
    outputs: dict[Stylized, Sdf.Path] = {}
    for name, use in uses.items():
        if use not in outputs:
            label = f"{BAKE}{f'_{name}' if outputs else ''}"
            place = parent.AppendChild(free_name(label, taken))
            outputs[use] = _baked_texture(layer, place, source, textures, st, use)
        yield name, outputs[use]


def _baked_texture(
    layer: Sdf.Layer, place: Sdf.Path, source: StageObject, textures: Textures, st: Sdf.Path, use: Stylized
) -> Sdf.Path:
    wrap_s, wrap_t = source.wrap
    is_raw = use.raw or textures.baked_is_linear
    texture: dict[str, tuple[Any, Any]] = {
        "file": (_Types.Asset, Sdf.AssetPath(textures.baked)),
        "sourceColorSpace": (_Types.Token, "raw" if is_raw else "sRGB"),
        "st": (_Types.Float2, st),
        "wrapS": (_Types.Token, wrap_s),
        "wrapT": (_Types.Token, wrap_t),
    }
    if use.scale != Stylized.scale:
        texture["scale"] = (_Types.Float4, Gf.Vec4f(*use.scale, 1.0))
    if use.bias != Stylized.bias:
        texture["bias"] = (_Types.Float4, Gf.Vec4f(*use.bias, 0.0))
    return add_shader(layer, place, "UsdUVTexture", ("rgb", _Types.Float3), texture).output("rgb")


def _plain_surface(layer: Sdf.Layer, parent: Sdf.Path, colors: Mapping[str, Sdf.Path]) -> Node:
    """A UsdPreviewSurface with everything but these inputs at its default."""
    return add_shader(
        layer,
        parent.AppendChild("StylizedPlain"),
        "UsdPreviewSurface",
        ("surface", _Types.Token),
        {name: (_Types.Color3f, color) for name, color in colors.items()},
    )


def _write_inputs(
    layer: Sdf.Layer,
    parent: Sdf.Path,
    surface: Node,
    inputs: Mapping[str, SourceInput],
    layer_folder: Path,
) -> list[str]:
    """Write values, textures and primvars of ``inputs`` to a UsdPreviewSurface, nodes under ``parent``.

    Returns remarks. The other kinds are left at their default; the live network, which follows
    the same inputs, is what remarks on them.
    """
    remarks = []
    for name, value in inputs.items():
        if name not in _TYPES:
            continue
        if name == "normal" and isinstance(value, Texture) and not _has_usual_range(value):
            # Validators, and so some clients, refuse any other range for 8-bit normal maps.
            remarks.append(
                f"The preview network leaves out the normal map {Path(value.file).name}, whose green points "
                "down or whose strength is not 1; the live network has it."
            )
            continue
        if isinstance(value, Constant):
            add_input(surface.spec, name, _TYPES[name], _value(value.value))
        elif isinstance(value, Primvar) and _TYPES[name] == _Types.Float:
            read = {"varname": (_Types.String, value.name), "fallback": (_Types.Float, value.fallback)}
            path = parent.AppendChild(f"Stylized{name[0].upper()}{name[1:]}")
            node = add_shader(layer, path, "UsdPrimvarReader_float", ("result", _Types.Float), read)
            add_input(surface.spec, name, _TYPES[name], node.output("result"))
        elif isinstance(value, Texture):
            prefix = f"Stylized{name[0].upper()}{name[1:]}"
            st = _coordinates(layer, parent, prefix, value.primvar, value.transform)
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
            add_input(surface.spec, name, _TYPES[name], node.output(value.output))
    return remarks


def _has_usual_range(normal: Texture) -> bool:
    return normal.scale == (2.0, 2.0, 2.0, 1.0) and normal.bias == (-1.0, -1.0, -1.0, 0.0)


def _value(value: Any) -> Any:
    return Gf.Vec3f(*value) if isinstance(value, tuple) else value
