"""Texture coordinates as a MaterialX graph makes them: a primvar through an affine map."""

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError
from usdstylize.model.affine_uvs import Placement, placement_of, rotation_matrix
from usdstylize.usd.shading.inputs import input_value, numbers, producer, producing_shader, shader_id

__all__ = ["gltf_placement", "read_placement"]

Float64 = NDArray[np.float64]

_DEFAULT_PRIMVAR = "st"
"""The primvar that USD reads for MaterialX's first texture coordinates, ``UV0``."""
_READERS = {
    "ND_geompropvalue_vector2": "geomprop",
    "ND_UsdPrimvarReader_vector2": "varname",
    "UsdPrimvarReader_float2": "varname",
}


def read_placement(
    node: UsdShade.Shader, name: str, time: Usd.TimeCode, passed: frozenset[str] = frozenset()
) -> Placement:
    """What feeds the texture coordinates ``name`` of a node; ``st`` where nothing does.

    Raises MaterialError that names a node which is no affine map of a primvar.
    """
    attribute = producer(node, name)
    if attribute is None:
        return placement_of(_DEFAULT_PRIMVAR)
    source = producing_shader(attribute)
    if source is None:
        raise MaterialError(
            f"Shader {node.GetPath()} has its inputs:{name} set to one value, so its whole texture shows "
            "one texel; connect texture coordinates."
        )
    path = str(source.GetPath())
    if path in passed:
        raise MaterialError(f"Shader {path} feeds itself; reconnect its inputs.")
    return _placement(source, time, passed | {path})


def _placement(node: UsdShade.Shader, time: Usd.TimeCode, passed: frozenset[str]) -> Placement:
    identifier = shader_id(node)
    if identifier in _READERS:
        name = str(input_value(node, _READERS[identifier], time, ""))
        if not name:
            raise MaterialError(
                f"Shader {node.GetPath()} names no primvar; set its inputs:{_READERS[identifier]}."
            )
        return placement_of(name.removeprefix("primvars:"))
    if identifier == "ND_texcoord_vector2":
        index = int(numbers(node, "index", time, (0.0,))[0])
        if index:
            raise MaterialError(
                f"Shader {node.GetPath()} reads texture coordinates by the index {index}, which names no "
                "primvar of USD; use ND_geompropvalue_vector2."
            )
        return placement_of(_DEFAULT_PRIMVAR)

    def pair(name: str, default: float) -> Float64:
        count = 1 if np.ndim(input_value(node, name, time, default)) == 0 else 2
        return np.broadcast_to(numbers(node, name, time, (default,) * count), (2,)).astype(np.float64)

    match identifier.removeprefix("ND_").removesuffix("FA"):
        case "dot_vector2":
            return read_placement(node, "in", time, passed)
        case "add_vector2":
            first, second = _operands(node, time)
            return read_placement(node, first, time, passed).then(np.eye(2), pair(second, 0.0))
        case "subtract_vector2":
            first, second = _operands(node, time)
            sign = 1.0 if first == "in1" else -1.0
            return read_placement(node, first, time, passed).then(sign * np.eye(2), -sign * pair(second, 0.0))
        case "multiply_vector2":
            first, second = _operands(node, time)
            return read_placement(node, first, time, passed).then(np.diag(pair(second, 1.0)), np.zeros(2))
        case "divide_vector2":
            return read_placement(node, "in1", time, passed).then(
                np.diag(_inverse(node, pair("in2", 1.0))), np.zeros(2)
            )
        case "rotate2d_vector2":
            turn = rotation_matrix(-numbers(node, "amount", time, (0.0,))[0])
            return read_placement(node, "in", time, passed).then(turn, np.zeros(2))
        case "place2d_vector2":
            start = read_placement(node, "texcoord", time, passed)
            return _place2d(node, start, time)
        case "UsdTransform2d":
            start = read_placement(node, "in", time, passed)
            turn = rotation_matrix(numbers(node, "rotation", time, (0.0,))[0])
            return start.then(turn @ np.diag(pair("scale", 1.0)), pair("translation", 0.0))
        case _:
            raise MaterialError(
                f"Texture coordinates come through {node.GetPath()} ({identifier}), which is no scaling, "
                "rotation or translation of a primvar; connect those."
            )


def _operands(node: UsdShade.Shader, time: Usd.TimeCode) -> tuple[str, str]:
    """Which of in1 and in2 is connected to texture coordinates, and which is a value."""
    attribute = producer(node, "in1")
    if attribute is not None and producing_shader(attribute) is not None:
        return "in1", "in2"
    return "in2", "in1"


def _inverse(node: UsdShade.Shader, value: Float64) -> Float64:
    if not value.all():
        raise MaterialError(f"Shader {node.GetPath()} divides texture coordinates by zero; mend its inputs.")
    inverse: Float64 = 1.0 / value
    return inverse


def gltf_placement(node: UsdShade.Shader, time: Usd.TimeCode, order: int | None) -> Placement:
    """Where a gltf image node reads: scale, rotation and offset move the texture, not its coordinates.

    order: the operation order, in place of the node's own; None for the node's own.
    """
    start = read_placement(node, "texcoord", time)
    return _place2d(node, start, time, flip=True, order=order)


def _place2d(
    node: UsdShade.Shader,
    start: Placement,
    time: Usd.TimeCode,
    *,
    flip: bool = False,
    order: int | None = None,
) -> Placement:
    def pair(name: str, default: tuple[float, float]) -> Float64:
        return np.array(numbers(node, name, time, default))

    pivot = pair("pivot", (0.0, 1.0) if flip else (0.0, 0.0))
    scale, offset = pair("scale", (1.0, 1.0)), pair("offset", (0.0, 0.0))
    rotation = numbers(node, "rotate", time, (0.0,))[0]
    if order is None:
        usual = flip and "color4" in shader_id(node)
        order = int(numbers(node, "operationorder", time, (float(usual),))[0])
    if flip:
        scale, rotation, offset = _inverse(node, scale), -rotation, offset * (-1.0, 1.0)
    # MaterialX turns clockwise.
    shrink, turn = np.diag(_inverse(node, scale)), rotation_matrix(-rotation)
    centred = start.then(np.eye(2), -pivot)
    if order == 0:
        return centred.then(turn @ shrink, pivot - offset)
    return centred.then(np.eye(2), -offset).then(shrink @ turn, pivot)
