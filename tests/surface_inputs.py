"""Surfaces in which every input has a value, or a texture channel, scale, bias, wrap mode and placement
of its own, so that whoever mixes two of them up shows something else.

What each input comes to is worked out here by hand (`Map.at`), from this description alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from conftest import define_quad
from mtlx_scenes import From, Node, add_mtlx_material, image
from network_values import decode, texel, turned
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

__all__ = [
    "BASE",
    "CONSTANTS",
    "LOOK",
    "OURS",
    "PICTURES",
    "SIZE",
    "SPECULAR",
    "SQUARE",
    "TEXTURES",
    "TYPES",
    "Map",
    "Reader",
    "add_mtlx_surface",
    "add_preview_surface",
    "by_hand",
    "mtlx_nodes",
    "new_stage",
    "write_picture",
    "write_pictures",
]

Array = NDArray[np.float64]

LOOK, OURS = "/World/Looks/Paint", "/World/StylizedLooks/World__Quad"
SIZE = (12, 10)
"""(width, height) of the base's texture."""


def _codes(seed: int, size: tuple[int, int], low: float = 0.0, high: float = 1.0) -> Array:
    """8-bit codes over 255, (H, W, 4)."""
    drawn = np.random.default_rng(seed).uniform(low, high, (size[1], size[0], 4))
    return np.rint(drawn * 255) / 255


PICTURES: dict[str, Array] = {
    "color.png": _codes(1, SIZE),
    "square.png": _codes(7, (12, 12)),
    "glow.png": _codes(2, (7, 9)),
    "orm.png": _codes(3, (11, 6), 0.1, 0.9),
    "coat.png": _codes(4, (5, 8)),
    "tint.png": _codes(5, (9, 7)),
    "bumps.exr": _codes(6, (6, 11)).astype(np.float16).astype(np.float64),
}
"""Each of another size and shape. A normal map in half floats may have any scale and bias."""
_KINDS = {"bumps.exr": "half"}
"""Of the pictures that are not of 8 bits."""


Place = tuple[tuple[float, float], float, tuple[float, float]]
"""Scale, rotation in degrees, translation."""


@dataclass(frozen=True)
class Map:
    """One output of a UsdUVTexture."""

    file: str
    output: str
    srgb: bool
    wrap: tuple[str, str]
    scale: tuple[float, float, float, float]
    bias: tuple[float, float, float, float]
    stretch: tuple[float, float]
    """Scale, rotation and translation of a UsdTransform2d."""
    rotation: float
    move: tuple[float, float]
    primvar: str = "st"
    then: Place | None = None
    """A second UsdTransform2d behind the first."""

    @property
    def places(self) -> list[Place]:
        """The UsdTransform2d in the order in which they apply."""
        return [(self.stretch, self.rotation, self.move), *([self.then] if self.then else [])]

    def placed(self, primvars: Mapping[str, Array]) -> Array:
        """(N, 2) UVs after the UsdTransform2d: scaled, turned counter-clockwise, moved."""
        uvs = primvars[self.primvar]
        for stretch, rotation, move in self.places:
            uvs = turned(uvs * stretch, rotation) + move
        return uvs

    def at(self, primvars: Mapping[str, Array]) -> Array:
        """(N, 1 or 3) linear, by hand."""
        codes = texel(PICTURES[self.file], self.placed(primvars), self.wrap)
        if self.srgb:
            codes[:, :3] = decode(codes[:, :3])
        value = codes * self.scale + self.bias
        return value[:, :3] if self.output == "rgb" else value[:, ["rgba".index(self.output)]]


@dataclass(frozen=True)
class Reader:
    """A UsdPrimvarReader and its fallback."""

    primvar: str
    fallback: Any


def by_hand(value: Any, primvars: Mapping[str, Array]) -> Array:
    """(N, components) of an input as it is described here: a value, a `Map` or a `Reader`."""
    if isinstance(value, Map):
        return value.at(primvars)
    if isinstance(value, Reader):
        value = primvars.get(value.primvar, value.fallback)
    array = np.atleast_1d(np.asarray(value, np.float64))
    return array if array.ndim == 2 else np.broadcast_to(array, (len(primvars["st"]), len(array)))


BASE = Map(
    "color.png", "rgb", True, ("mirror", "clamp"), (0.9, 0.7, 1.2, 0.6), (0.05, 0.1, -0.03, 0.2),
    (1.5, 0.75), 30.0, (0.2, -0.35),
)  # fmt: skip
SQUARE = replace(BASE, file="square.png")
"""For a graph, which is evaluated at the resolution of a square T_S."""

TEXTURES: dict[str, Any] = {
    "emissiveColor": Map(
        "glow.png", "rgb", True, ("repeat", "mirror"), (0.5, 2.0, 3.0, 0.4), (0.01, 0.02, 0.04, 0.08),
        (0.5, 2.0), -20.0, (0.1, 0.7),
    ),
    "occlusion": Map(
        "orm.png", "r", False, ("clamp", "repeat"), (0.5, 0.3, 0.2, 0.1), (0.4, 0.05, 0.15, 0.25),
        (0.8, 1.25), 45.0, (-0.3, 0.15),
    ),
    "roughness": Map(
        "orm.png", "g", False, ("mirror", "repeat"), (0.45, 0.6, 0.35, 0.15), (0.02, 0.3, 0.06, 0.12),
        (1.25, 0.6), 10.0, (0.4, -0.2), "map1",
    ),
    "metallic": Map(
        "orm.png", "b", False, ("clamp", "mirror"), (0.7, 0.55, 0.8, 0.25), (0.03, 0.09, 0.1, 0.18),
        (2.0, 0.9), -70.0, (0.25, 0.55),
    ),
    "clearcoat": Map(
        "coat.png", "r", False, ("repeat", "clamp"), (0.6, 0.2, 0.4, 0.8), (0.1, 0.3, 0.5, 0.05),
        (0.7, 1.1), 120.0, (0.05, 0.35),
    ),
    "clearcoatRoughness": Map(
        "coat.png", "a", False, ("black", "clamp"), (0.15, 0.25, 0.5, 0.65), (0.4, 0.2, 0.6, 0.07),
        (1.1, 1.7), 75.0, (-0.15, 0.45),
    ),
    "opacity": Map(
        "glow.png", "a", True, ("mirror", "black"), (0.3, 0.1, 0.2, 0.5), (0.15, 0.45, 0.35, 0.3),
        (0.9, 0.4), 200.0, (0.6, -0.1),
    ),
    "ior": Map(
        "tint.png", "b", True, ("repeat", "black"), (0.9, 1.1, 0.4, 0.2), (1.1, 1.2, 1.3, 1.4),
        (1.6, 1.4), 5.0, (-0.5, 0.3), "st", ((0.7, 1.2), 35.0, (0.15, -0.25)),
    ),
    "normal": Map(
        "bumps.exr", "rgb", False, ("clamp", "repeat"), (1.8, 2.2, 1.9, 0.7), (-0.9, -1.1, -0.95, 0.2),
        (1.3, 0.85), 15.0, (0.45, 0.05),
    ),
}  # fmt: skip
"""Inputs of a UsdPreviewSurface."""

SPECULAR = {name: value for name, value in TEXTURES.items() if name not in ("metallic", "ior")} | {
    "useSpecularWorkflow": 1,
    "specularColor": Map(
        "tint.png", "rgb", True, ("black", "mirror"), (0.3, 0.5, 0.2, 0.9), (0.04, 0.02, 0.08, 0.16),
        (0.65, 1.35), -40.0, (0.75, 0.2),
    ),
}  # fmt: skip

CONSTANTS: dict[str, Any] = {
    "emissiveColor": (0.1, 0.25, 0.4),
    "occlusion": 0.65,
    "roughness": 0.45,
    "metallic": 0.3,
    "clearcoat": 0.8,
    "clearcoatRoughness": 0.15,
    "opacity": 0.9,
    "opacityThreshold": 0.2,
    "ior": 1.8,
    "normal": (0.12, -0.25, 0.95),
}

_Types = Sdf.ValueTypeNames
TYPES = {
    "diffuseColor": _Types.Color3f,
    "emissiveColor": _Types.Color3f,
    "specularColor": _Types.Color3f,
    "useSpecularWorkflow": _Types.Int,
    "normal": _Types.Normal3f,
    "opacityMode": _Types.Token,
}
"""Of the inputs that are no float."""


def write_pictures(folder: Path) -> None:
    for name, codes in PICTURES.items():
        write_picture(folder / name, codes, _KINDS.get(name, "uint8"))


def write_picture(path: Path, codes: Array, kind: str) -> None:
    """(H, W, 3 or 4), 0..1, as uint8, uint16, half or float."""
    path.parent.mkdir(parents=True, exist_ok=True)
    output = oiio.ImageOutput.create(str(path))
    spec = oiio.ImageSpec(codes.shape[1], codes.shape[0], codes.shape[2], kind)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    assert output is not None
    assert output.open(str(path), spec)
    most = {"uint8": 255, "uint16": 65535}.get(kind)
    kinds: dict[str, Any] = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}
    values = codes if most is None else np.rint(codes * most)
    assert output.write_image(np.ascontiguousarray(values.astype(kinds[kind])))
    assert output.close()


def new_stage(folder: Path) -> Usd.Stage:
    """``scene.usda`` with /World alone, and the pictures beside it."""
    write_pictures(folder)
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    return stage


def add_preview_surface(
    stage: Usd.Stage, inputs: Mapping[str, Any], base: Any = BASE, *, interface: bool = False
) -> UsdShade.Shader:
    """/World/Quad in a UsdPreviewSurface of these inputs and a displacement; values, `Map` or `Reader`.

    interface: values are inputs of the material, called ``own_`` and the input's name.
    """
    material = UsdShade.Material.Define(stage, LOOK)
    surface = UsdShade.Shader.Define(stage, f"{LOOK}/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    for name, value in {"diffuseColor": base, **inputs}.items():
        item = surface.CreateInput(name, TYPES.get(name, _Types.Float))
        if isinstance(value, Map):
            item.ConnectToSource(_add_texture(stage, name, value))
        elif isinstance(value, Reader):
            item.ConnectToSource(_add_reader(stage, name, value))
        else:
            if interface:
                outer = material.CreateInput(f"own_{name}", item.GetTypeName())
                item.ConnectToSource(outer)
                item = outer
            item.Set(Gf.Vec3f(*value) if isinstance(value, tuple) else value)
    surface.CreateInput("displacement", _Types.Float).Set(0.07)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", _Types.Token))
    material.CreateDisplacementOutput().ConnectToSource(surface.CreateOutput("displacement", _Types.Token))
    define_quad(stage, "/World/Quad", material)
    return surface


def _add_texture(stage: Usd.Stage, name: str, image: Map) -> UsdShade.Output:
    reader = UsdShade.Shader.Define(stage, f"{LOOK}/{name}Reader")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", _Types.String).Set(image.primvar)
    coordinates = reader.CreateOutput("result", _Types.Float2)
    for number, (stretch, rotation, move) in enumerate(image.places):
        place = UsdShade.Shader.Define(stage, f"{LOOK}/{name}Place{number}")
        place.CreateIdAttr("UsdTransform2d")
        place.CreateInput("in", _Types.Float2).ConnectToSource(coordinates)
        place.CreateInput("scale", _Types.Float2).Set(Gf.Vec2f(*stretch))
        place.CreateInput("rotation", _Types.Float).Set(rotation)
        place.CreateInput("translation", _Types.Float2).Set(Gf.Vec2f(*move))
        coordinates = place.CreateOutput("result", _Types.Float2)
    node = UsdShade.Shader.Define(stage, f"{LOOK}/{name}Texture")
    node.CreateIdAttr("UsdUVTexture")
    node.CreateInput("file", _Types.Asset).Set(f"./{image.file}")
    node.CreateInput("sourceColorSpace", _Types.Token).Set("sRGB" if image.srgb else "raw")
    node.CreateInput("wrapS", _Types.Token).Set(image.wrap[0])
    node.CreateInput("wrapT", _Types.Token).Set(image.wrap[1])
    node.CreateInput("scale", _Types.Float4).Set(Gf.Vec4f(*image.scale))
    node.CreateInput("bias", _Types.Float4).Set(Gf.Vec4f(*image.bias))
    node.CreateInput("st", _Types.Float2).ConnectToSource(coordinates)
    return node.CreateOutput(image.output, _Types.Float3 if image.output == "rgb" else _Types.Float)


def _add_reader(stage: Usd.Stage, name: str, reader: Reader) -> UsdShade.Output:
    kind = {"emissiveColor": "float3", "specularColor": "float3", "normal": "normal"}.get(name, "float")
    type_name = {"float": _Types.Float, "float3": _Types.Float3, "normal": _Types.Normal3f}[kind]
    node = UsdShade.Shader.Define(stage, f"{LOOK}/{name}Reader")
    node.CreateIdAttr(f"UsdPrimvarReader_{kind}")
    node.CreateInput("varname", _Types.String).Set(reader.primvar)
    node.CreateInput("fallback", type_name).Set(
        Gf.Vec3f(*reader.fallback) if isinstance(reader.fallback, tuple) else reader.fallback
    )
    return node.CreateOutput("result", type_name)


_ADDRESS_MODES = {"repeat": "periodic", "mirror": "mirror", "clamp": "clamp", "black": "constant"}


def mtlx_nodes(name: str, described: Map, kind: str) -> dict[str, Node]:
    """The nodes that say the same in MaterialX; the one called ``name`` hands it on, as ``kind``."""
    last = f"{name}UV"
    nodes = {last: Node("ND_geompropvalue_vector2", "vector2", {"geomprop": ("string", described.primvar)})}
    for number, (stretch, rotation, move) in enumerate(described.places):
        stretched, spun, placed = (f"{name}{what}{number}" for what in ("Stretch", "Turn", "Move"))
        nodes[stretched] = _pair("multiply", From(last), stretch)
        # MaterialX turns clockwise.
        turn = {"in": ("vector2", From(stretched)), "amount": ("float", -rotation)}
        nodes[spun] = Node("ND_rotate2d_vector2", "vector2", turn)
        nodes[placed], last = _pair("add", From(spun), move), placed
    read_as = "vector4" if not described.srgb else "color4" if described.output == "a" else "color3"
    read_as = kind if described.output == "rgb" else read_as
    modes = zip("uv", described.wrap, strict=True)
    nodes[f"{name}Image"] = image(
        f"./{described.file}",
        kind=read_as,
        color_space="srgb_texture" if described.srgb else "lin_rec709",
        texcoord=last,
        **{f"{axis}addressmode": ("string", _ADDRESS_MODES[mode]) for axis, mode in modes},
    )
    scale: Any = Gf.Vec3f(*described.scale[:3])
    bias: Any = Gf.Vec3f(*described.bias[:3])
    last = f"{name}Image"
    if described.output != "rgb":
        channel = "rgba".index(described.output)
        scale, bias = described.scale[channel], described.bias[channel]
        inputs = {"in": (read_as, From(last)), "index": ("integer", channel)}
        last, nodes[f"{name}Channel"] = f"{name}Channel", Node(f"ND_extract_{read_as}", "float", inputs)
    nodes[f"{name}Scale"] = Node(
        f"ND_multiply_{kind}", kind, {"in1": (kind, From(last)), "in2": (kind, scale)}
    )
    nodes[name] = Node(f"ND_add_{kind}", kind, {"in1": (kind, From(f"{name}Scale")), "in2": (kind, bias)})
    return nodes


def _pair(operation: str, first: From, second: tuple[float, float]) -> Node:
    inputs = {"in1": ("vector2", first), "in2": ("vector2", Gf.Vec2f(*second))}
    return Node(f"ND_{operation}_vector2", "vector2", inputs)


def add_mtlx_surface(
    stage: Usd.Stage,
    surface: str,
    inputs: Mapping[str, tuple[str, Any]],
    base: Any = SQUARE,
    nodes: Mapping[str, Node] | None = None,
) -> None:
    """/World/Quad in a MaterialX surface; each input (type, and a value, `Map` or `From` among ``nodes``)."""
    nodes = dict(nodes or {})
    given: dict[str, tuple[str, Any]] = {}
    for name, (kind, value) in {"base_color": ("color3", base), **inputs}.items():
        if isinstance(value, Map):
            nodes |= mtlx_nodes(f"{name}Node", value, kind)
            value = From(f"{name}Node")
        elif isinstance(value, tuple):
            value = Gf.Vec3f(*value)
        given[name] = (kind, value)
    color = given.pop("base_color")[1]
    define_quad(
        stage, "/World/Quad", add_mtlx_material(stage, LOOK, color, nodes, surface=surface, inputs=given)
    )
