"""UsdPreviewSurface: its base colour, and its other inputs traced to textures and values."""

from collections.abc import Mapping
from dataclasses import replace

from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError, ObjectError
from usdstylize.model.base_colors import BaseColor, ConstantColor, TextureFile
from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.inputs import (
    animation_remarks,
    input_value,
    numbers,
    producer,
    producing_shader,
    shader_id,
)
from usdstylize.usd.shading.primvar_colors import constant_color, primvar_color
from usdstylize.usd.shading.source_inputs import (
    Constant,
    InterfaceInput,
    Primvar,
    SourceInput,
    Texture,
    Untraced,
)
from usdstylize.usd.shading.surface_spec import SurfaceSpec, TracedColor, emission_note, is_black
from usdstylize.usd.shading.textures import read_texture, read_uv_source

__all__ = ["PREVIEW_DEFAULTS", "read_preview_inputs", "trace_preview", "trace_texture"]

PREVIEW_DEFAULTS = {
    "metallic": 0.0,
    "roughness": 0.5,
    "clearcoat": 0.0,
    "clearcoatRoughness": 0.01,
    "opacity": 1.0,
    "opacityThreshold": 0.0,
    "ior": 1.5,
    "occlusion": 1.0,
    "emissiveColor": 0.0,
    "useSpecularWorkflow": 0,
}
"""Defaults of the inputs that are a number, or a colour of three times that number."""
_CHANNELS = {"r": 0, "g": 1, "b": 2}


def trace_preview(
    spec: SurfaceSpec, prim: Usd.Prim, surface: UsdShade.Shader, time: Usd.TimeCode
) -> TracedColor:
    """The diffuse colour of a UsdPreviewSurface on a mesh or subset (see `surface_spec.Tracer`).

    Where that is black, the colour that it emits, if any: T then is its texture without scale and bias.
    """
    diffuse = _trace_color(spec.color, spec.default, prim, surface, time)
    if not is_black(diffuse.base):
        return diffuse
    emitted = _trace_color(spec.emission, (0.0, 0.0, 0.0), prim, surface, time)
    if is_black(emitted.base):
        return diffuse
    base = emitted.base
    if isinstance(base, ConstantColor):
        base = base.dimmed()
    elif isinstance(base, TextureFile):
        base = replace(base, scale=TextureFile.scale, bias=TextureFile.bias)
    notes = (*emitted.notes, emission_note(surface, spec))
    return replace(emitted, base=base, notes=notes, is_emitted=True)


def _trace_color(
    name: str,
    default: tuple[float, float, float],
    prim: Usd.Prim,
    surface: UsdShade.Shader,
    time: Usd.TimeCode,
) -> TracedColor:
    attribute = producer(surface, name)
    node = None if attribute is None else producing_shader(attribute)
    if attribute is None or node is None:
        value = numbers(surface, name, time, default)
        return TracedColor(constant_color(value, attribute), notes=animation_remarks(surface, name))
    match shader_id(node):
        case "UsdUVTexture":
            if attribute.GetName() != "outputs:rgb":
                raise MaterialError(
                    f"Shader {surface.GetPath()} takes its {name} from {attribute.GetPath()}; "
                    "connect the texture's outputs:rgb."
                )
            base, notes = read_texture(node, time)
            if isinstance(base, ConstantColor):
                return TracedColor(base, notes=notes)
            primvar, transform = read_uv_source(node, time)
            return TracedColor(base, primvar, transform, notes)
        case "UsdPrimvarReader_float3":
            return TracedColor(_read_color(prim, node, time))
        case other:
            raise MaterialError(
                f"Shader {surface.GetPath()} takes its {name} from {node.GetPath()} ({other}), "
                "which is not supported; connect a UsdUVTexture, a UsdPrimvarReader_float3 or a value."
            )


def _read_color(prim: Usd.Prim, reader: UsdShade.Shader, time: Usd.TimeCode) -> BaseColor:
    name = str(input_value(reader, "varname", time, ""))
    base = primvar_color(prim, name.removeprefix("primvars:"), time) if name else None
    if base is not None:
        return base
    fallback = input_value(reader, "fallback", time)
    if fallback is None:
        raise MaterialError(
            f"Primvar reader {reader.GetPath()} reads primvars:{name}, which {prim.GetPath()} "
            "does not have; author it."
        )
    return constant_color(numbers(reader, "fallback", time, (0.0, 0.0, 0.0)), producer(reader, "fallback"))


def read_preview_inputs(
    surface: UsdShade.Shader,
    material: UsdShade.Material,
    source: StageObject,
    color: str,
    time: Usd.TimeCode,
) -> tuple[Mapping[str, SourceInput], list[str]]:
    """Every authored input of a UsdPreviewSurface by name (see `surface_spec.InputReader`).

    There are no remarks: what cannot be followed is `Untraced`, and matters to the live network alone.
    """
    traced = {item.GetBaseName(): _trace(item, material, time) for item in surface.GetInputs()}
    return {name: value for name, value in traced.items() if value is not None}, []


def _trace(item: UsdShade.Input, material: UsdShade.Material, time: Usd.TimeCode) -> SourceInput | None:
    attributes = item.GetValueProducingAttributes()
    if not attributes:
        return None
    attribute = attributes[0]
    node = producing_shader(attribute)
    if node is None:
        value = attribute.Get(time)
        if value is None:
            return None
        own = attribute.GetPrim() == material.GetPrim() and attribute.GetTypeName() == item.GetTypeName()
        return InterfaceInput(attribute.GetName().removeprefix("inputs:"), value) if own else Constant(value)
    identifier = shader_id(node)
    try:
        if identifier == "UsdUVTexture":
            return _texture(node, attribute.GetName().removeprefix("outputs:"), time)
        if identifier.startswith("UsdPrimvarReader_"):
            name = str(input_value(node, "varname", time, "")).removeprefix("primvars:")
            return Primvar(name, input_value(node, "fallback", time, None))
    except ObjectError as problem:
        return Untraced(str(problem))
    return Untraced(f"{node.GetPath()} ({identifier}) feeds it, which is not supported.")


def trace_texture(attribute: Usd.Attribute, time: Usd.TimeCode) -> Texture | None:
    """What an output of a UsdUVTexture reads, UDIM sets included; None where it is none or cannot be read."""
    node = producing_shader(attribute)
    if node is None or shader_id(node) != "UsdUVTexture":
        return None
    try:
        found = _texture(node, attribute.GetName().removeprefix("outputs:"), time, udim=True)
    except ObjectError:
        return None
    return found if isinstance(found, Texture) else None


def _texture(node: UsdShade.Shader, output: str, time: Usd.TimeCode, *, udim: bool = False) -> SourceInput:
    """Raises ObjectError where the file, its wrap modes or its coordinates cannot be read."""
    if output not in ("rgb", "a", *_CHANNELS):
        return Untraced(f"{node.GetPath()} has no output {output}.")
    file, _ = read_texture(node, time, named_spaces=False)
    if isinstance(file, ConstantColor):
        if output == "a":
            return Untraced(f"{node.GetPath()} names no file.")
        return Constant(file.linear if output == "rgb" else file.linear[_CHANNELS[output]])
    if file.tiles and not udim:
        return Untraced(f"{node.GetPath()} reads a UDIM set, which Storm cannot draw in MaterialX.")
    primvar, transform = read_uv_source(node, time)
    return Texture(
        file=file.resolved_path,
        srgb=file.encoding == "srgb",
        wrap=(file.wrap_s, file.wrap_t),
        primvar=primvar,
        transform=transform,
        scale=_four(node, "scale", time, 1.0),
        bias=_four(node, "bias", time, 0.0),
        output=output,
    )


def _four(
    node: UsdShade.Shader, name: str, time: Usd.TimeCode, default: float
) -> tuple[float, float, float, float]:
    red, green, blue, alpha = numbers(node, name, time, (default,) * 4)
    return red, green, blue, alpha
