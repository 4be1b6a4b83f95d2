"""Texture coordinates as a MaterialX graph makes them: a primvar through an affine map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError
from usdstylize.model.base_colors import UVTransform
from usdstylize.usd.shading.inputs import input_value, numbers, producer, producing_shader, shader_id

__all__ = ["Placement", "as_transform", "gltf_placement", "placed", "read_placement"]

Float64 = NDArray[np.float64]

_DEFAULT_PRIMVAR = "st"
"""What USD reads where MaterialX asks for the first texture coordinates, ``UV0``."""
_READERS = {
    "ND_geompropvalue_vector2": "geomprop",
    "ND_UsdPrimvarReader_vector2": "varname",
    "UsdPrimvarReader_float2": "varname",
}


@dataclass(frozen=True, eq=False)
class Placement:
    """``matrix @ uv + offset`` of a primvar, (2, 2) and (2,) float64."""

    primvar: str
    matrix: Float64
    offset: Float64

    def then(self, matrix: Float64, offset: Float64) -> "Placement":
        """This, followed by another affine map."""
        return Placement(self.primvar, matrix @ self.matrix, matrix @ self.offset + offset)

    def relative_to(self, frame: "Placement") -> "Placement":
        """From coordinates in ``frame`` to these."""
        back = self.matrix @ np.linalg.inv(frame.matrix)
        return Placement("", back, self.offset - back @ frame.offset)

    def equals(self, other: "Placement") -> bool:
        """Whether both are the same map of the same primvar."""
        same = np.allclose(self.matrix, other.matrix, atol=1e-6)
        return self.primvar == other.primvar and same and np.allclose(self.offset, other.offset, atol=1e-6)


def placed(primvar: str, transform: UVTransform | None = None) -> Placement:
    """A primvar through UsdTransform2d, or as it is."""
    placement = Placement(primvar, np.eye(2), np.zeros(2))
    for step in transform.chain() if transform else ():
        placement = placement.then(_turned(step.rotation) @ np.diag(step.scale), np.array(step.translation))
    return placement


def as_transform(placement: Placement) -> UVTransform | None:
    """The same map as UsdTransform2d: one, or two where it shears; None where it does nothing."""
    matrix, (x, y) = placement.matrix, placement.offset
    if np.allclose(matrix, np.eye(2), atol=1e-9) and abs(x) + abs(y) < 1e-9:
        return None
    move = (float(x), float(y))
    first, second = matrix[:, 0], matrix[:, 1]
    lengths = np.linalg.norm(matrix, axis=0)
    if lengths.min() > 0 and abs(first @ second) <= 1e-6 * lengths[0] * lengths[1]:
        # Columns at right angles: scaled, then turned; a mirror image scales by a negative height.
        height = lengths[1] * np.sign(np.linalg.det(matrix))
        # A negative width says the same as half a turn, which people rather do not read.
        if matrix[0, 1] == matrix[1, 0] == 0:
            return UVTransform((float(matrix[0, 0]), float(matrix[1, 1])), 0.0, move)
        return UVTransform((float(lengths[0]), float(height)), _angle(first), move)
    left, sizes, right = np.linalg.svd(matrix)
    flip = np.diag([1.0, np.linalg.det(right)])
    right, left = flip @ right, left @ flip
    mirror = np.linalg.det(left)
    left, sizes = left @ np.diag([1.0, mirror]), sizes * (1.0, mirror)
    turned = UVTransform((float(sizes[0]), float(sizes[1])), _angle(left[:, 0]), move)
    return UVTransform((1.0, 1.0), _angle(right[:, 0]), (0.0, 0.0), then=turned)


def _angle(direction: Float64) -> float:
    return float(np.degrees(np.arctan2(direction[1], direction[0])))


def read_placement(
    node: UsdShade.Shader, name: str, time: Usd.TimeCode, passed: frozenset[str] = frozenset()
) -> Placement:
    """What feeds the texture coordinates ``name`` of a node; ``st`` where nothing does.

    Raises MaterialError that names a node which is no affine map of a primvar.
    """
    attribute = producer(node, name)
    if attribute is None:
        return placed(_DEFAULT_PRIMVAR)
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
        return placed(name.removeprefix("primvars:"))
    if identifier == "ND_texcoord_vector2":
        index = int(numbers(node, "index", time, (0.0,))[0])
        if index:
            raise MaterialError(
                f"Shader {node.GetPath()} reads texture coordinates by the index {index}, which names no "
                "primvar of USD; use ND_geompropvalue_vector2."
            )
        return placed(_DEFAULT_PRIMVAR)

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
            turn = _turned(-numbers(node, "amount", time, (0.0,))[0])
            return read_placement(node, "in", time, passed).then(turn, np.zeros(2))
        case "place2d_vector2":
            start = read_placement(node, "texcoord", time, passed)
            return _place2d(node, start, time)
        case "UsdTransform2d":
            start = read_placement(node, "in", time, passed)
            turn = _turned(numbers(node, "rotation", time, (0.0,))[0])
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


def _turned(degrees: float) -> Float64:
    """Counter-clockwise."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def gltf_placement(node: UsdShade.Shader, time: Usd.TimeCode, order: int | None) -> Placement:
    """Where a gltf image node reads: scale, rotation and offset move the texture, not its coordinates.

    order: the operation order that counts whatever the node says; None where the node's own does.
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
    shrink, turn = np.diag(_inverse(node, scale)), _turned(-rotation)
    centred = start.then(np.eye(2), -pivot)
    if order == 0:
        return centred.then(turn @ shrink, pivot - offset)
    return centred.then(np.eye(2), -offset).then(shrink @ turn, pivot)
