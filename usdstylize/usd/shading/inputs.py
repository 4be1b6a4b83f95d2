"""Shader inputs: what feeds them, or what value they have, with errors that name the shader."""

from typing import Any

import numpy as np
from pxr import Sdf, Usd, UsdShade

from usdstylize.errors import MaterialError, TextureError

__all__ = [
    "CHANNELS",
    "animation_remarks",
    "channels_of",
    "file_of",
    "input_value",
    "numbers",
    "producer",
    "producing_shader",
    "shader_id",
    "unresolved",
]

CHANNELS = {"r": 0, "g": 1, "b": 2, "a": 3, "x": 0, "y": 1, "z": 2, "w": 3}
"""Components by the letter that nodes name them by."""
_LARGEST = 1e9
"""Largest number that is accepted in a shader: times the largest texel it still fits single precision."""


def producer(shader: UsdShade.Shader, name: str) -> Usd.Attribute | None:
    """The attribute that gives the input its value, behind node graphs and interfaces.

    An output where a shader computes it, an input where it is a plain value, None where
    nothing is authored. Raises MaterialError where its connection is cyclic or broken.
    """
    shader_input = shader.GetInput(name)
    if not shader_input:
        return None
    producers = shader_input.GetValueProducingAttributes()
    if producers:
        return producers[0]
    if shader_input.GetAttr().HasAuthoredConnections() and not _is_unset(shader_input):
        raise MaterialError(
            f"Shader {shader.GetPath()} has a connection on inputs:{name} that is cyclic or leads nowhere; "
            "reconnect it."
        )
    return None


def _is_unset(shader_input: UsdShade.Input) -> bool:
    """Whether the connection ends at an interface input that has no value: then the default counts.

    usdMtlx connects every input of a surface to one, set or not.
    """
    passed = set()
    while shader_input and shader_input.GetAttr().GetPath() not in passed:
        passed.add(shader_input.GetAttr().GetPath())
        if not shader_input.GetAttr().HasAuthoredConnections():
            return True
        sources, _ = shader_input.GetConnectedSources()
        if not sources or sources[0].sourceType != UsdShade.AttributeType.Input:
            return False
        shader_input = sources[0].source.GetInput(sources[0].sourceName)
    return False


def producing_shader(attribute: Usd.Attribute) -> UsdShade.Shader | None:
    """The shader whose output ``attribute`` is; None where it is a plain value."""
    if not UsdShade.Output.IsOutput(attribute):
        return None
    return UsdShade.Shader(attribute.GetPrim())


def input_value(shader: UsdShade.Shader, name: str, time: Usd.TimeCode, default: Any = None) -> Any:
    """The input's value where it is a plain one, ``default`` where nothing is authored.

    Raises MaterialError where another shader computes it.
    """
    attribute = producer(shader, name)
    if attribute is None:
        return default
    node = producing_shader(attribute)
    if node is not None:
        raise MaterialError(
            f"Shader {shader.GetPath()} has its inputs:{name} computed by {node.GetPath()} "
            f"({shader_id(node)}), which is not supported; give it a value."
        )
    value = attribute.Get(time)
    return default if value is None else value


def file_of(shader: UsdShade.Shader, time: Usd.TimeCode) -> Sdf.AssetPath | None:
    """The value of ``inputs:file``; None where it is empty or not authored.

    Raises MaterialError where another shader computes it, or it is no asset: a string is resolved from the
    folder that a program was started in, and not from its layer.
    """
    attribute = producer(shader, "file")
    value = input_value(shader, "file", time)
    if attribute is None or value is None:
        return None
    if not isinstance(value, Sdf.AssetPath):
        raise MaterialError(
            f"{attribute.GetPath()} is of type {attribute.GetTypeName()}, whose path USD cannot find from "
            "its layer; author it as an asset."
        )
    return value if value.path else None


def unresolved(path: str, shader: UsdShade.Shader) -> TextureError:
    """What to say of a texture's path that leads nowhere."""
    if "\\" in path:
        return TextureError(
            f"Texture {path} of {shader.GetPath()} does not resolve, because \\ separates folders on Windows "
            f"alone; write {path.replace(chr(92), '/')}."
        )
    return TextureError(
        f"Texture {path} of {shader.GetPath()} does not resolve; restore the file or fix the path."
    )


def numbers(
    shader: UsdShade.Shader, name: str, time: Usd.TimeCode, default: tuple[float, ...]
) -> tuple[float, ...]:
    """As `input_value`, for as many finite numbers as the default has; further ones are dropped.

    Raises MaterialError also where the value is something else.
    """
    value = np.atleast_1d(np.asarray(input_value(shader, name, time, default)))
    if value.ndim != 1 or len(value) < len(default) or value.dtype.kind not in "fiu":
        raise MaterialError(
            f"Shader {shader.GetPath()} has an inputs:{name} of type {shader.GetInput(name).GetTypeName()}, "
            f"which is not {len(default)} number{'s' * (len(default) > 1)}; give it a value."
        )
    if not np.isfinite(value).all() or np.abs(value).max() > _LARGEST:
        raise MaterialError(
            f"Shader {shader.GetPath()} has an inputs:{name} that is NaN, infinite or absurdly large; "
            "give it a value."
        )
    return tuple(float(number) for number in value[: len(default)])


def channels_of(
    node: UsdShade.Shader, operation: str, output: str, time: Usd.TimeCode
) -> tuple[int | str, ...]:
    """The components that an ND_extract, ND_swizzle or ND_separate node takes of its input, by index.

    A swizzle's "0" and "1", and letters that it does not know, stay as they are.
    """
    if operation == "extract":
        return (int(numbers(node, "index", time, (0.0,))[0]),)
    if operation == "swizzle":
        return tuple(CHANNELS.get(c, c) for c in str(input_value(node, "channels", time, "")))
    return (CHANNELS.get(output.removeprefix("out"), 0),)


def animation_remarks(shader: UsdShade.Shader, name: str) -> tuple[str, ...]:
    """A remark where the input changes over time: only its value at the frame that is read counts."""
    attribute = producer(shader, name)
    if attribute is None or not attribute.ValueMightBeTimeVarying():
        return ()
    return (f"{attribute.GetPath()} is animated; the style stands on its value at this frame.",)


def shader_id(shader: UsdShade.Shader) -> str:
    """The shader's id, or what it is instead where it has none."""
    identifier = shader.GetShaderId()
    if identifier:
        return str(identifier)
    for source_type in shader.GetSourceTypes():
        return f"{source_type} source"
    return "no id"
