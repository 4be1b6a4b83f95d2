"""What an authored shading network comes to at given UVs: each node as its specification says, in float64.

A second reading of UsdPreviewSurface's and MaterialX's specifications that shares no code with the
product. Images are read at the nearest texel, so that a value is one code of a file and no filter is
in play. Values are (N, components), a row for each of N points.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from pxr import UsdShade

__all__ = [
    "Network",
    "decode",
    "doubled",
    "encode",
    "materialx_light",
    "points",
    "preview_light",
    "read_codes",
    "texel",
    "turned",
]

Array = NDArray[np.float64]

_MODES = {"periodic": "repeat", "mirror": "mirror", "clamp": "clamp", "constant": "black"}
"""MaterialX's address modes by the names that UsdUVTexture has for them."""
_OPERATIONS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "min": np.minimum,
    "max": np.maximum,
    "power": np.power,
}


def decode(encoded: Any) -> Any:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


def encode(linear: Any) -> Any:
    linear = np.maximum(linear, 0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def doubled(values: Any) -> Any:
    """Bilinear at twice the texels, repeating: each new one lies a quarter of a texel from an old one."""
    values = np.asarray(values, np.float64)
    for axis in (0, 1):
        near = np.repeat(values, 2, axis)
        far = np.stack([np.roll(values, 1, axis), np.roll(values, -1, axis)], axis + 1).reshape(near.shape)
        values = 0.75 * near + 0.25 * far
    return values


def points(count: int = 200) -> dict[str, Array]:
    """Two sets of UVs, ``st`` and ``map1``, well beyond 0..1 on every side, (N, 2) each."""
    st = np.random.default_rng(11).uniform(-1.3, 2.2, (count, 2))
    return {"st": st, "map1": st[:, ::-1] * (0.8, 1.1)}


def turned(uvs: Array, degrees: float) -> Array:
    """Counter-clockwise about the origin."""
    angle = np.radians(degrees)
    u, v = uvs.T
    return np.stack([u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle)], axis=-1)


def texel(image: Array, uvs: Array, wrap: tuple[str, str]) -> Array:
    """The nearest texel of (H, W, C), row 0 its top, at (N, 2), (0, 0) the bottom left."""
    height, width = image.shape[:2]
    column, inside_s = _folded(np.floor(uvs[:, 0] * width).astype(int), width, wrap[0])
    row, inside_t = _folded(np.floor((1 - uvs[:, 1]) * height).astype(int), height, wrap[1])
    return image[row, column] * (inside_s & inside_t)[:, None]


def _folded(index: NDArray[np.int64], count: int, wrap: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    inside = (index >= 0) & (index < count)
    match wrap:
        case "repeat":
            return index % count, np.ones_like(inside)
        case "mirror":
            there = index % (2 * count)
            return np.where(there < count, there, 2 * count - 1 - there), np.ones_like(inside)
        case "clamp":
            return np.clip(index, 0, count - 1), np.ones_like(inside)
        case "black":
            return np.clip(index, 0, count - 1), inside
        case other:
            raise AssertionError(f"{other} is no wrap mode")


class Network:
    """Evaluates inputs at points, of which the values (N, …) of every primvar are known."""

    def __init__(self, primvars: Mapping[str, Array]) -> None:
        self.primvars = primvars
        self.count = len(primvars["st"])

    def input(self, shader: UsdShade.Shader, name: str, default: Any = None) -> Array:
        """(N, components) of an input; ``default`` where nothing is authored."""
        item = shader.GetInput(name)
        attributes = item.GetValueProducingAttributes() if item else []
        if not attributes:
            assert default is not None, f"{shader.GetPath()} has nothing for inputs:{name}"
            return self._rows(default)
        attribute = attributes[0]
        node = UsdShade.Shader(attribute.GetPrim())
        if UsdShade.Output.IsOutput(attribute):
            return self._rows(self._node(node, attribute.GetName().removeprefix("outputs:")))
        return self._rows(attribute.Get())

    def _rows(self, value: Any) -> Array:
        array = np.atleast_1d(np.asarray(value, np.float64))
        return array if array.ndim == 2 else np.broadcast_to(array, (self.count, len(array)))

    def _node(self, node: UsdShade.Shader, output: str) -> Any:
        identifier = node.GetShaderId()
        match identifier:
            case "UsdUVTexture":
                return self._usd_texture(node, output)
            case "UsdTransform2d":
                uvs = self.input(node, "in") * self.input(node, "scale", (1, 1))
                degrees = self.input(node, "rotation", 0.0)[0, 0]
                return turned(uvs, degrees) + self.input(node, "translation", (0, 0))
        if identifier.startswith("UsdPrimvarReader_"):
            return self._primvar(node, node.GetInput("varname").Get(), "fallback")
        assert identifier.startswith("ND_"), identifier
        operation, _, kind = identifier.removeprefix("ND_").partition("_")
        match operation:
            case "geompropvalue":
                return self._primvar(node, node.GetInput("geomprop").Get(), "default")
            case "image":
                return self._image(node, kind)
            case "extract":
                index = int(self.input(node, "index")[0, 0])
                return self.input(node, "in")[:, index : index + 1]
            case "convert":
                return self.input(node, "in")
            case "combine3":
                return np.concatenate([self.input(node, f"in{i}") for i in (1, 2, 3)], axis=1)
            case "clamp":
                return np.clip(self.input(node, "in"), self.input(node, "low"), self.input(node, "high"))
            case "mix":
                share = self.input(node, "mix")
                return self.input(node, "fg") * share + self.input(node, "bg") * (1 - share)
            case "luminance":
                color = self.input(node, "in")
                grey = (color * self.input(node, "lumacoeffs")).sum(axis=1, keepdims=True)
                return np.repeat(grey, 3, axis=1)
            case "rotate2d":
                # MaterialX turns clockwise.
                return turned(self.input(node, "in"), -self.input(node, "amount")[0, 0])
            case "srgb":
                assert kind == "texture_to_lin_rec709_color3"
                return decode(self.input(node, "in"))
        return _OPERATIONS[operation](self.input(node, "in1"), self.input(node, "in2"))

    def _primvar(self, node: UsdShade.Shader, name: str, default: str) -> Any:
        return self.primvars[name] if name in self.primvars else self.input(node, default)

    def _image(self, node: UsdShade.Shader, kind: str) -> Array:
        words = [node.GetInput(f"{axis}addressmode").Get() for axis in "uv"]
        wrap = (_MODES[words[0]], _MODES[words[1]])
        components = int(kind[-1])
        file = node.GetInput("file").GetAttr()
        uvs = self.input(node, "texcoord")
        codes = texel(read_codes(file.Get().resolvedPath), uvs, wrap)[:, :components]
        # Beyond a border without an image, MaterialX shows the default.
        shown = texel(np.ones((1, 1, 1)), uvs, wrap)
        codes = codes * shown + self.input(node, "default", (0.0,) * components) * (1 - shown)
        space = file.GetColorSpace()
        assert space in ("srgb_texture", "lin_rec709"), space
        # Numbers that are no colours are never decoded.
        return _linear(codes) if space == "srgb_texture" and kind.startswith("color") else codes

    def _usd_texture(self, node: UsdShade.Shader, output: str) -> Array:
        wrap = (node.GetInput("wrapS").Get(), node.GetInput("wrapT").Get())
        codes = texel(read_codes(node.GetInput("file").Get().resolvedPath), self.input(node, "st"), wrap)
        match node.GetInput("sourceColorSpace").Get():
            case "sRGB":
                codes = _linear(codes)
            case other:
                assert other == "raw", other
        value = codes * self.input(node, "scale", (1,) * 4) + self.input(node, "bias", (0,) * 4)
        return value[:, :3] if output == "rgb" else value[:, ["rgba".index(output)]]


def _linear(codes: Array) -> Array:
    """(N, 3 or 4): alpha is never encoded."""
    return np.concatenate([decode(codes[:, :3]), codes[:, 3:]], axis=1)


def preview_light(values: Mapping[str, Array], color: Array) -> tuple[Array, Array]:
    """What a UsdPreviewSurface reflects to a viewer right above it: diffuse and highlight, (N, 3) each.

    Its specification: a dielectric reflects ((1 − ior) / (1 + ior))², a metal its own colour, and what is
    reflected is not diffuse. Occlusion darkens both. values: (N, 1 or 3) of each input that is authored.
    """
    defaults = {"metallic": 0.0, "ior": 1.5, "occlusion": 1.0, "opacityThreshold": 0.0, "opacity": 1.0}
    found: dict[str, Any] = {name: values.get(name, default) for name, default in defaults.items()}
    if np.any(values.get("useSpecularWorkflow", 0) == 1):
        highlight = values["specularColor"]
        return color * (1 - highlight) * found["occlusion"], highlight * found["occlusion"]
    metallic, bare = found["metallic"], ((1 - found["ior"]) / (1 + found["ior"])) ** 2
    # Where opacity is transparency, it scales what a metal tints its highlights with.
    tint = color if np.any(found["opacityThreshold"]) else color * found["opacity"]
    highlight = (1 - metallic + metallic * tint) * (bare + (1 - bare) * metallic)
    diffuse = color * (1 - metallic) * (1 - highlight)
    return diffuse * found["occlusion"], highlight * found["occlusion"]


def materialx_light(network: Network, surface: UsdShade.Shader, roughness: Any) -> tuple[Array, Array]:
    """The same of MaterialX's ND_UsdPreviewSurface in its specular workflow.

    Light that bounces within a rough surface makes a highlight F of F · (1 + 1.6 · roughness⁴ · F);
    what diffuse light loses to it is the mean of its channels.
    """
    given = network.input(surface, "specularColor")
    highlight = given / (1 - 1.6 * roughness**4 * given)
    left = np.maximum(1 - highlight.mean(axis=1, keepdims=True), 0.01)
    return network.input(surface, "diffuseColor") * left, highlight


def read_codes(path: str | Path) -> Array:
    """(H, W, 4): code values over the largest code, grey made three channels, alpha 1 where there is none."""
    straight = oiio.ImageSpec()
    straight.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), straight)
    assert file is not None, f"{path}: {oiio.geterror()}"
    codes = np.asarray(file.read_image("float"), np.float64)
    file.close()
    if codes.shape[2] < 3:
        codes = np.concatenate([codes[..., :1].repeat(3, axis=2), codes[..., 1:]], axis=2)
    return codes if codes.shape[2] == 4 else np.concatenate([codes, np.ones_like(codes[..., :1])], axis=2)
