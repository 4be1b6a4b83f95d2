"""What a source UsdPreviewSurface says, input by input, traced to textures and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pxr import Usd, UsdShade

from usdstylize.errors import ObjectError
from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import ConstantColor, Wrap
from usdstylize.usd.shading.inputs import input_value, numbers, producing_shader, shader_id
from usdstylize.usd.shading.textures import read_texture, read_uv_source

__all__ = ["Constant", "InterfaceInput", "Primvar", "SourceInput", "Texture", "Untraced", "read_inputs"]

_CHANNELS = {"r": 0, "g": 1, "b": 2}


@dataclass(frozen=True)
class Constant:
    """A value on the shader, or on an interface that our material cannot connect to."""

    value: Any


@dataclass(frozen=True)
class InterfaceInput:
    """An input of the source Material itself: ours inherits it, so that it stays live."""

    name: str
    value: Any


@dataclass(frozen=True)
class Primvar:
    """A UsdPrimvarReader of a float or a colour."""

    name: str
    fallback: Any


@dataclass(frozen=True)
class Texture:
    """One output of a UsdUVTexture."""

    file: str
    """Resolved by Ar."""
    srgb: bool
    """The colour channels are decoded from sRGB."""
    wrap: tuple[Wrap, Wrap]
    primvar: str
    transform: UVTransform | None
    scale: tuple[float, float, float, float]
    bias: tuple[float, float, float, float]
    output: str
    """rgb, r, g, b or a."""


@dataclass(frozen=True)
class Untraced:
    """A connection that the live network cannot follow, and why."""

    reason: str


SourceInput = Constant | InterfaceInput | Primvar | Texture | Untraced


def read_inputs(
    surface: UsdShade.Shader, material: UsdShade.Material, time: Usd.TimeCode
) -> Mapping[str, SourceInput]:
    """Every authored input of a UsdPreviewSurface, by name."""
    found = {}
    for item in surface.GetInputs():
        value = _trace(item, material, time)
        if value is not None:
            found[item.GetBaseName()] = value
    return found


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


def _texture(node: UsdShade.Shader, output: str, time: Usd.TimeCode) -> SourceInput:
    """Raises ObjectError where the file, its wrap modes or its coordinates cannot be read."""
    if output not in ("rgb", "a", *_CHANNELS):
        return Untraced(f"{node.GetPath()} has no output {output}.")
    file, _ = read_texture(node, time, named_spaces=False)
    if isinstance(file, ConstantColor):
        if output == "a":
            return Untraced(f"{node.GetPath()} names no file.")
        return Constant(file.linear if output == "rgb" else file.linear[_CHANNELS[output]])
    if file.tiles:
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
