"""A shading graph in NumPy: authored nodes, values and files, evaluated texel by texel.

Connections are followed and each MaterialX node does what it is defined to do; nothing here knows
what a graph should compute. Values are as in `nodes`: float32, components on the last axis.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdShade

from usdstylize.errors import MaterialError
from usdstylize.model.affine_uvs import Placement, placement_of
from usdstylize.model.base_colors import ConstantColor, Wrap
from usdstylize.usd.io.udim import is_udim, resolve_tiles
from usdstylize.usd.shading.inputs import (
    CHANNELS,
    channels_of,
    file_of,
    input_value,
    numbers,
    producer,
    producing_shader,
    shader_id,
    unresolved,
)
from usdstylize.usd.shading.nodes import COMPONENTS, OPERATIONS, color_to_linear, select, to_components
from usdstylize.usd.shading.placement import gltf_placement, read_placement
from usdstylize.usd.shading.textures import read_texture, read_uv_source

__all__ = ["ADDRESS_MODES", "GraphInputs", "ImageRead", "evaluate"]

Float32 = NDArray[np.float32]

ADDRESS_MODES: dict[Wrap, str] = {
    "repeat": "periodic",
    "mirror": "mirror",
    "clamp": "clamp",
    "black": "constant",
}
"""Wrap modes as MaterialX names them."""
_WRAPS: dict[str, Wrap] = {mode: wrap for wrap, mode in ADDRESS_MODES.items()} | {
    "repeat": "repeat",
    "black": "black",
}
"""The other way round; some graphs have UsdUVTexture's names."""
_COLORS = (Sdf.ValueTypeNames.Color3f, Sdf.ValueTypeNames.Color4f)
_BRANCHES = 10
"""Inputs of a switch node."""
_DEEPEST = 200
"""Longest chain of nodes that is followed: far beyond any that people make, within Python's stack."""


@dataclass(frozen=True)
class ImageRead:
    """One file as a node reads it."""

    node: str
    """The shader's path."""
    asset_path: str
    resolved_path: str
    color_space: str
    """MaterialX's name of the file's colour space; empty where its codes are taken as they are."""
    wrap: tuple[Wrap, Wrap]
    placement: Placement
    components: int
    """Number of components of the node's value."""
    tiles: tuple[int, ...] = ()
    """Tiles of a UDIM set, whose paths hold ``<UDIM>``; empty where it is none."""


@dataclass(frozen=True)
class _File:
    asset_path: str
    resolved_path: str
    color_space: str
    tiles: tuple[int, ...]


class GraphInputs(Protocol):
    """What a graph reads that no node of it computes."""

    def image(self, read: ImageRead) -> Float32:
        """The file's code values, (…, components)."""

    def position(self, placement: Placement) -> Float32:
        """The texture coordinates, (…, 2)."""

    def primvar(self, name: str, components: int, node: str) -> Float32 | None:
        """A primvar's value, (…, components); None where the object has none of that name."""


def evaluate(
    attribute: Usd.Attribute,
    inputs: GraphInputs,
    time: Usd.TimeCode,
    given: Mapping[str, Float32] = MappingProxyType({}),
) -> Float32:
    """The value of a shader's output, or of an input that holds one, in linear Rec.709 where a colour.

    given: values by the path of their attribute that are known already.
    Raises MaterialError that names a node which cannot be evaluated in texture space, TextureError
    for a file that does not resolve.
    """
    with np.errstate(all="ignore"):
        return _Evaluation(inputs, time, given).attribute(attribute)


class _Evaluation:
    """One evaluation: what is computed already, and what is being computed."""

    def __init__(self, inputs: GraphInputs, time: Usd.TimeCode, given: Mapping[str, Float32]) -> None:
        self.inputs = inputs
        self.time = time
        self.known = dict(given)
        self.pending: set[str] = set()

    def attribute(self, attribute: Usd.Attribute) -> Float32:
        path, node = str(attribute.GetPath()), producing_shader(attribute)
        if path in self.known:
            return self.known[path]
        if node is None:
            value = attribute.Get(self.time)
            if value is None:
                raise MaterialError(f"{attribute.GetPath()} has no value; give it one.")
            array, space = _array(value, attribute), str(attribute.GetColorSpace())
            is_color = attribute.GetTypeName() in _COLORS
            return color_to_linear(array, space) if is_color else array
        if path in self.pending:
            raise MaterialError(f"Shader {node.GetPath()} feeds itself; reconnect its inputs.")
        if len(self.pending) >= _DEEPEST:
            raise MaterialError(
                f"Shader {node.GetPath()} comes after more than {_DEEPEST} nodes, each feeding the next; "
                "bake what it gives into an image."
            )
        self.pending.add(path)
        try:
            self.known[path] = self.node(node, attribute.GetName().removeprefix("outputs:"))
        except (ValueError, TypeError, LookupError, ArithmeticError) as problem:
            raise MaterialError(
                f"{node.GetPath()} ({shader_id(node)}) has inputs that do not fit each other; mend them."
            ) from problem
        self.pending.remove(path)
        return self.known[path]

    def input(self, node: UsdShade.Shader, name: str, default: Any) -> Float32:
        attribute = producer(node, name)
        if attribute is None:
            return np.atleast_1d(np.asarray(default, dtype=np.float32))
        return self.attribute(attribute)

    def node(self, node: UsdShade.Shader, output: str) -> Float32:
        identifier = shader_id(node)
        if identifier in ("UsdUVTexture", "ND_UsdUVTexture", "ND_UsdUVTexture_23"):
            return self.usd_texture(node, output, native=identifier == "UsdUVTexture")
        if identifier.startswith(("UsdPrimvarReader_", "ND_UsdPrimvarReader_")):
            return self.primvar(node, identifier, "varname", "fallback")
        name = identifier.removeprefix("ND_")
        if "_to_lin_rec709_color" in name:
            space = name.partition("_to_lin_rec709_color")[0]
            return color_to_linear(self.input(node, "in", (0.0, 0.0, 0.0)), space)
        if name == "gltf_colorimage":
            return self.gltf_color_image(node, output)
        operation, _, kind = name.removeprefix("gltf_").partition("_")
        first_kind = kind.split("_")[0].removesuffix("FA")
        match operation:
            case "image" | "tiledimage":
                factor = self.input(node, "factor", 1.0) if name.startswith("gltf_") else 1.0
                return np.asarray(factor * self.image(node, operation, first_kind, name), dtype=np.float32)
            case "geomcolor" | "geompropvalue":
                return self.primvar(node, identifier, "geomprop", "default")
            case "ramplr" | "ramptb":
                return self.ramp(node, operation)
            case "convert":
                return to_components(self.input(node, "in", 0.0), *kind.split("_")[:2])
            case "extract" | "swizzle" | "separate2" | "separate3" | "separate4":
                return self.components(node, operation, output, first_kind)
            case "combine2" | "combine3" | "combine4":
                parts = [self.input(node, f"in{i + 1}", 0.0) for i in range(int(operation[-1]))]
                shape = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
                whole = [np.broadcast_to(part, (*shape, part.shape[-1])) for part in parts]
                return np.concatenate(whole, axis=-1)
            case "switch":
                return self.switch(node)
        if operation in OPERATIONS and identifier.startswith("ND_") and name == identifier[3:]:
            function, inputs = OPERATIONS[operation]
            values = [self.input(node, key, default) for key, default in inputs.items()]
            return np.asarray(function(*values), dtype=np.float32)
        raise MaterialError(
            f"{node.GetPath()} ({identifier}) cannot be evaluated in texture space; bake what it gives into "
            "an image."
        )

    def components(self, node: UsdShade.Shader, operation: str, output: str, kind: str) -> Float32:
        value = self.input(node, "in", (0.0,) * COMPONENTS.get(kind, 3))
        try:
            return select(value, channels_of(node, operation, output, self.time))
        except LookupError as problem:
            raise MaterialError(
                f"Shader {node.GetPath()} asks for a channel that is not there; mend it."
            ) from problem

    def switch(self, node: UsdShade.Shader) -> Float32:
        """``in1`` where ``which`` is below 1, and so on; nothing from 10 on."""
        which = np.clip(np.floor(self.input(node, "which", 0.0)), 0, _BRANCHES).astype(np.int64)
        attribute = producer(node, "which")
        # With a constant choice, the other branches may be broken and their files missing.
        if attribute is None or producing_shader(attribute) is None:
            return self.input(node, f"in{which.flat[0] + 1}", 0.0)
        nothing = np.zeros(1, dtype=np.float32)
        branches = [self.input(node, f"in{number + 1}", 0.0) for number in range(_BRANCHES)]
        return np.choose(which, [*branches, nothing])

    def ramp(self, node: UsdShade.Shader, operation: str) -> Float32:
        start, end, axis = ("valuel", "valuer", 0) if operation == "ramplr" else ("valueb", "valuet", 1)
        position = self.inputs.position(read_placement(node, "texcoord", self.time))
        share = np.clip(position[..., axis, None], 0, 1)
        low, high = self.input(node, start, 0.0), self.input(node, end, 0.0)
        return np.asarray(low * (1 - share) + high * share, dtype=np.float32)

    def primvar(self, node: UsdShade.Shader, identifier: str, name_input: str, default_input: str) -> Float32:
        if identifier.startswith("ND_geomcolor"):
            name = "displayColor"
        else:
            name = str(input_value(node, name_input, self.time, "")).removeprefix("primvars:")
        kind = identifier.rsplit("_", 1)[-1]
        components = {"float2": 2, "float3": 3, "float4": 4}.get(kind) or COMPONENTS.get(kind, 3)
        value = self.inputs.primvar(name, components, str(node.GetPath())) if name else None
        return self.input(node, default_input, (0.0,) * components) if value is None else value

    def image(self, node: UsdShade.Shader, operation: str, kind: str, name: str) -> Float32:
        if name.startswith("gltf_"):
            placement = gltf_placement(node, self.time, None)
        else:
            placement = read_placement(node, "texcoord", self.time)
        if operation == "tiledimage":
            placement = self.tiled(node, placement)
        default = (0.0,) * COMPONENTS.get(kind, 3)
        file = _file(node, self.time)
        if file is None:
            return self.input(node, "default", default)
        modes = ("periodic", "periodic")
        if operation == "image":
            u = str(input_value(node, "uaddressmode", self.time, "periodic"))
            modes = (u, str(input_value(node, "vaddressmode", self.time, "periodic")))
        if not kind.startswith("color"):
            file = replace(file, color_space="")
        codes = self.read(node, file, modes, placement, COMPONENTS.get(kind, 3))
        return color_to_linear(codes, file.color_space)

    def tiled(self, node: UsdShade.Shader, placement: Placement) -> Placement:
        def pair(name: str, default: float) -> NDArray[np.float64]:
            return np.array(numbers(node, name, self.time, (default,) * 2))

        size = pair("realworldimagesize", 1.0)
        if not size.all():
            raise MaterialError(f"Shader {node.GetPath()} has a realworldimagesize of zero; give it a size.")
        grow = pair("realworldtilesize", 1.0) / size
        return placement.then(np.diag(grow * pair("uvtiling", 1.0)), -grow * pair("uvoffset", 0.0))

    def gltf_color_image(self, node: UsdShade.Shader, output: str) -> Float32:
        file = _file(node, self.time)
        if file is None:
            value = self.input(node, "default", (0.0,) * 4)
        else:
            placement = gltf_placement(node, self.time, 0)
            codes = self.read(node, file, ("periodic", "periodic"), placement, 4)
            value = color_to_linear(codes, file.color_space)
        value = value * self.input(node, "color", 1.0) * self.input(node, "geomcolor", 1.0)
        return value[..., 3:] if output == "outa" else value[..., :3]

    def usd_texture(self, node: UsdShade.Shader, output: str, *, native: bool) -> Float32:
        channels = {"rgb": slice(0, 3), "rgba": slice(0, 4), "a": slice(3, 4)}
        part = channels.get(output, slice(CHANNELS.get(output, 0), CHANNELS.get(output, 0) + 1))
        if native:
            found, _ = read_texture(node, self.time)
            if isinstance(found, ConstantColor):
                return np.array([*found.linear, 1.0], dtype=np.float32)[part]
            space = "srgb_texture" if found.encoding == "srgb" else ""
            file: _File | None = _File(found.asset_path, found.resolved_path, space, found.tiles)
            placement = placement_of(*read_uv_source(node, self.time))
            modes: tuple[str, str] = found.wrap_s, found.wrap_t
        else:
            file = _file(node, self.time)
            placement = read_placement(node, "st", self.time)
            modes = (
                str(input_value(node, "wrapS", self.time, "periodic")),
                str(input_value(node, "wrapT", self.time, "periodic")),
            )
        if file is None:
            return self.input(node, "fallback", (0.0, 0.0, 0.0, 1.0))[..., part]
        value = color_to_linear(self.read(node, file, modes, placement, 4), file.color_space)
        value = value * self.input(node, "scale", 1.0) + self.input(node, "bias", 0.0)
        return np.asarray(value[..., part], dtype=np.float32)

    def read(
        self,
        node: UsdShade.Shader,
        file: _File,
        modes: tuple[str, str],
        placement: Placement,
        components: int,
    ) -> Float32:
        return self.inputs.image(
            ImageRead(
                node=str(node.GetPath()),
                asset_path=file.asset_path,
                resolved_path=file.resolved_path,
                color_space=file.color_space,
                wrap=(_wrap(node, modes[0]), _wrap(node, modes[1])),
                placement=placement,
                components=components,
                tiles=file.tiles,
            )
        )


def _array(value: Any, attribute: Usd.Attribute) -> Float32:
    try:
        array = np.atleast_1d(np.asarray(value, dtype=np.float32))
    except (TypeError, ValueError) as problem:
        raise MaterialError(
            f"{attribute.GetPath()} holds a {attribute.GetTypeName()}, which is no colour or number; "
            "give it one."
        ) from problem
    if array.ndim != 1 or array.size > 4 or not np.isfinite(array).all():
        raise MaterialError(f"{attribute.GetPath()} holds no finite colour or number; give it one.")
    return array


def _file(node: UsdShade.Shader, time: Usd.TimeCode) -> _File | None:
    """The node's file with the colour space that is written on it, None where it names none.

    Raises TextureError where it does not resolve.
    """
    attribute = producer(node, "file")
    asset = file_of(node, time)
    if attribute is None or asset is None:
        return None
    resolved: str = asset.resolvedPath
    tiles: tuple[int, ...] = ()
    if is_udim(asset.path):
        resolved, tiles = resolve_tiles(attribute, asset.path, time)
    if not resolved:
        raise unresolved(asset.path, node)
    own = node.GetInput("file").GetAttr()
    space = str(attribute.GetColorSpace() or own.GetColorSpace() or "")
    return _File(asset.path, resolved, space, tiles)


def _wrap(node: UsdShade.Shader, mode: str) -> Wrap:
    if mode in _WRAPS:
        return _WRAPS[mode]
    raise MaterialError(
        f"Shader {node.GetPath()} has the address mode {mode}, which MaterialX does not know; choose "
        "periodic, mirror, clamp or constant."
    )
