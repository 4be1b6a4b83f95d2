"""Texture coordinates as a MaterialX graph makes them: a primvar through an affine map.

On the way they may be three numbers, or single ones that are joined again: Blender writes a Mapping node as
vectors of three.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdShade

from usdstylize.errors import MaterialError
from usdstylize.model.affine_uvs import Placement, placement_of, rotation_matrix
from usdstylize.usd.shading.inputs import (
    channels_of,
    input_value,
    numbers,
    producer,
    producing_shader,
    shader_id,
)
from usdstylize.usd.shading.nodes import select, to_components

__all__ = ["DEFAULT_UVS", "UV_READERS", "gltf_placement", "read_placement"]

Float64 = NDArray[np.float64]

DEFAULT_UVS = "st"
"""The primvar that USD reads for MaterialX's first texture coordinates, ``UV0``."""
UV_READERS = {
    "ND_geompropvalue_vector2": "geomprop",
    "ND_UsdPrimvarReader_vector2": "varname",
    "UsdPrimvarReader_float2": "varname",
}
"""The input that names the primvar, by the reader's identifier."""
_DEEPEST = 60
"""Longest chain of nodes that is followed; with the graph that it feeds, it stays within Python's stack."""


def read_placement(node: UsdShade.Shader, name: str, time: Usd.TimeCode) -> Placement:
    """What feeds the texture coordinates ``name`` of a node; ``st`` where nothing does.

    Raises MaterialError that names a node which is no affine map of a primvar.
    """
    return _Reading(time).coordinates(node, name)


class _Reading:
    """One reading of texture coordinates: what is known already, and what is being read.

    A value is a Placement of any number of components; what is the same everywhere has no primvar.
    """

    def __init__(self, time: Usd.TimeCode) -> None:
        self.time = time
        self.known: dict[str, Placement] = {}
        self.pending: set[str] = set()

    def coordinates(self, node: UsdShade.Shader, name: str) -> Placement:
        if producer(node, name) is None:
            return placement_of(DEFAULT_UVS)
        found = self.input(node, name)
        if not found.primvar:
            raise MaterialError(
                f"Shader {node.GetPath()} has its inputs:{name} set to one value, so its whole texture shows "
                "one texel; connect texture coordinates."
            )
        if len(found.offset) != 2:
            raise _unfit(node)
        return found

    def input(self, node: UsdShade.Shader, name: str, default: float = 0.0) -> Placement:
        attribute = producer(node, name)
        source = None if attribute is None else producing_shader(attribute)
        if attribute is None or source is None:
            size = np.size(input_value(node, name, self.time, default))
            value = np.array(numbers(node, name, self.time, (default,) * size))
            return Placement("", np.zeros((size, 2)), value)
        path, place = str(attribute.GetPath()), source.GetPath()
        if path in self.known:
            return self.known[path]
        if path in self.pending:
            raise MaterialError(f"Shader {place} feeds itself; reconnect its inputs.")
        if len(self.pending) >= _DEEPEST:
            raise MaterialError(
                f"Texture coordinates pass more than {_DEEPEST} nodes from {place} to the image; join some."
            )
        self.pending.add(path)
        try:
            self.known[path] = self.node(source, attribute.GetName().removeprefix("outputs:"))
        except (ValueError, IndexError, KeyError) as problem:
            raise _unfit(source) from problem
        self.pending.remove(path)
        return self.known[path]

    def constant(self, node: UsdShade.Shader, name: str, default: float = 0.0) -> Float64:
        value = self.input(node, name, default)
        if value.primvar:
            raise _not_affine(node)
        return value.offset

    def node(self, node: UsdShade.Shader, output: str) -> Placement:
        identifier = shader_id(node)
        if identifier in UV_READERS:
            name = str(input_value(node, UV_READERS[identifier], self.time, ""))
            if not name:
                raise MaterialError(
                    f"Shader {node.GetPath()} names no primvar; set its inputs:{UV_READERS[identifier]}."
                )
            return placement_of(name.removeprefix("primvars:"))
        if identifier == "ND_texcoord_vector2":
            index = int(numbers(node, "index", self.time, (0.0,))[0])
            if index:
                raise MaterialError(
                    f"Shader {node.GetPath()} reads texture coordinates by the index {index}, which names no "
                    "primvar of USD; use ND_geompropvalue_vector2."
                )
            return placement_of(DEFAULT_UVS)
        operation, _, kind = identifier.removeprefix("ND_").removesuffix("FA").partition("_")
        match operation:
            case "constant":
                return self.input(node, "value")
            case "dot":
                return self.input(node, "in")
            case "add" | "subtract":
                sign = 1.0 if operation == "add" else -1.0
                return self.sum(node, self.input(node, "in1"), self.input(node, "in2"), sign)
            case "invert":
                return self.sum(node, self.input(node, "amount", 1.0), self.input(node, "in"), -1.0)
            case "multiply":
                value, other = self.input(node, "in1"), "in2"
                if not value.primvar:
                    value, other = self.input(node, "in2", 1.0), "in1"
                factor = self.constant(node, other, float(other == "in2"))
                return _through(value, lambda vector: vector * factor)
            case "divide":
                inverse = _inverse(node, self.constant(node, "in2", 1.0))
                return _through(self.input(node, "in1"), lambda vector: vector * inverse)
            case "rotate2d":
                turn = rotation_matrix(-self.constant(node, "amount")[0])
                return self.input(node, "in").then(turn, np.zeros(2))
            case "rotate3d":
                return self.input(node, "in").then(self.turn(node), np.zeros(3))
            case "convert":
                source, target = kind.split("_")
                return _through(self.input(node, "in"), lambda vector: to_components(vector, source, target))
            case "extract" | "swizzle" | "separate2" | "separate3" | "separate4":
                channels = channels_of(node, operation, output, self.time)
                return _through(self.input(node, "in"), lambda vector: select(vector, channels))
            case "combine2" | "combine3" | "combine4":
                return self.joined(node, [f"in{number + 1}" for number in range(int(operation[-1]))])
            case "place2d":
                return _place2d(node, self.coordinates(node, "texcoord"), self.time)
            case "UsdTransform2d":
                turn = rotation_matrix(self.constant(node, "rotation")[0])
                stretch = np.diag(numbers(node, "scale", self.time, (1.0, 1.0)))
                move = np.array(numbers(node, "translation", self.time, (0.0, 0.0)))
                return self.coordinates(node, "in").then(turn @ stretch, move)
        raise _not_affine(node)

    def sum(self, node: UsdShade.Shader, first: Placement, second: Placement, sign: float) -> Placement:
        matrix = first.matrix + sign * second.matrix
        return Placement(_shared(node, first, second), matrix, first.offset + sign * second.offset)

    def joined(self, node: UsdShade.Shader, names: list[str]) -> Placement:
        parts = [self.input(node, name) for name in names]
        matrix = np.concatenate([part.matrix for part in parts])
        return Placement(_shared(node, *parts), matrix, np.concatenate([part.offset for part in parts]))

    def turn(self, node: UsdShade.Shader) -> Float64:
        """The (3, 3) matrix of a rotate3d; MaterialX turns clockwise."""
        axis = numbers(node, "axis", self.time, (0.0, 1.0, 0.0))
        if not any(axis):
            raise MaterialError(f"Shader {node.GetPath()} turns about an axis of length 0; give it one.")
        rotation = Gf.Rotation(Gf.Vec3d(*axis), -self.constant(node, "amount")[0])
        return np.array(Gf.Matrix3d(rotation)).T


def _through(value: Placement, change: Callable[..., Float64]) -> Placement:
    """A value after an affine change of vectors (…, N)."""
    nothing = change(np.zeros(len(value.offset)))
    return Placement(value.primvar, (change(value.matrix.T) - nothing).T, change(value.offset))


def _shared(node: UsdShade.Shader, *values: Placement) -> str:
    """The one primvar of all values; empty where none has one."""
    primvars = {value.primvar for value in values} - {""}
    if len(primvars) > 1:
        raise MaterialError(
            f"Shader {node.GetPath()} mixes texture coordinates of primvars:"
            f"{' and primvars:'.join(sorted(primvars))}; feed it with one of them."
        )
    return "".join(primvars)


def _not_affine(node: UsdShade.Shader) -> MaterialError:
    return MaterialError(
        f"Texture coordinates come through {node.GetPath()} ({shader_id(node)}), which is no scaling, "
        "rotation or translation of a primvar; connect those."
    )


def _unfit(node: UsdShade.Shader) -> MaterialError:
    return MaterialError(
        f"{node.GetPath()} ({shader_id(node)}) has texture coordinates that do not fit its inputs; mend them."
    )


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
