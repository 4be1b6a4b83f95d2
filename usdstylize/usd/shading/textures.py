"""A UsdUVTexture and what feeds its ``st``."""

from typing import Any, Literal

from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError, TextureError
from usdstylize.model.affine_uvs import UVTransform, single_transform
from usdstylize.model.base_colors import ColorSpace, ConstantColor, TextureFile, Wrap
from usdstylize.usd.io.colorspaces import NO_SPACE, authored_space, find_space, inherited_space
from usdstylize.usd.io.images import ImageHeader, read_header
from usdstylize.usd.io.udim import is_udim, read_tile_headers, resolve_tiles, tile_files
from usdstylize.usd.shading.inputs import (
    animation_remarks,
    file_of,
    input_value,
    numbers,
    producer,
    producing_shader,
    shader_id,
    unresolved,
)

__all__ = ["encoding_of", "read_texture", "read_uv_source"]

_SRGB_GAMMA = 2.2


def read_texture(
    texture: UsdShade.Shader, time: Usd.TimeCode, *, named_spaces: bool = True
) -> tuple[TextureFile | ConstantColor, tuple[str, ...]]:
    """The texture's file and how it is read, or its fallback where no file is set; and remarks.

    named_spaces: whether colour spaces beyond raw and sRGB count; else sourceColorSpace alone decides.
    Raises TextureError where the file does not resolve or open, MaterialError where an input
    cannot be read.
    """
    path = texture.GetPath()
    scale = _rgb(texture, "scale", time, (1.0, 1.0, 1.0, 1.0))
    bias = _rgb(texture, "bias", time, (0.0, 0.0, 0.0, 0.0))
    asset = file_of(texture, time)
    if asset is None:
        if producer(texture, "fallback") is None:
            raise TextureError(f"Texture shader {path} names no file; set its inputs:file.")
        fallback = _rgb(texture, "fallback", time, (0.0, 0.0, 0.0, 1.0))
        red, green, blue = (max(0.0, f * s + b) for f, s, b in zip(fallback, scale, bias, strict=True))
        return ConstantColor((red, green, blue)), (
            f"{path} names no file, so its fallback colour is the base.",
        )
    tiles: tuple[int, ...] = ()
    resolved = asset.resolvedPath
    if is_udim(asset.path):
        resolved, tiles = resolve_tiles(producer(texture, "file"), asset.path, time)
    if not resolved:
        raise unresolved(asset.path, texture)
    header = read_header(resolved) if not tiles else read_tile_headers(tile_files(resolved, tiles))
    notes = [remark for name in ("file", "scale", "bias") for remark in animation_remarks(texture, name)]
    wraps: list[Wrap] = []
    for name, own in (("wrapS", header.wrap_s), ("wrapT", header.wrap_t)):
        wraps.append(_wrap(texture, name, own, time))
    encoding, space, remarks = _color(texture, asset.path, header, time, named_spaces)
    notes += remarks
    notes += [f"{asset.path} {remark}." for remark in header.remarks]
    if header.misread and not tiles:  # a UDIM set has no live network
        notes.append(
            f"{asset.path} is {header.misread}, so the live network reads a copy of it in half floats."
        )
    file = TextureFile(
        asset_path=asset.path,
        resolved_path=resolved,
        encoding=encoding,
        wrap_s=wraps[0],
        wrap_t=wraps[1],
        size=header.size,
        bit_depth=header.bit_depth,
        scale=scale,
        bias=bias,
        tiles=tiles,
        color_space=space,
        needs_copy=bool(header.misread) or space is not None,
    )
    return file, tuple(notes)


def read_uv_source(texture: UsdShade.Shader, time: Usd.TimeCode) -> tuple[str, UVTransform | None]:
    """The primvar that the texture's ``st`` reads, and the UsdTransform2d on the way.

    Several in a row become one where one can do the same; else they stay a chain.

    Raises MaterialError where something else, or nothing, feeds ``st``.
    """
    node = _uv_node(texture, "st")
    transform = None
    passed = set()
    while shader_id(node) == "UsdTransform2d":
        if node.GetPath() in passed:
            raise MaterialError(f"Shader {node.GetPath()} feeds itself; reconnect its inputs:in.")
        passed.add(node.GetPath())
        transform = _transform(node, time, then=transform)
        node = _uv_node(node, "in")
    if shader_id(node) != "UsdPrimvarReader_float2":
        raise MaterialError(
            f"Texture shader {texture.GetPath()} takes its st through {node.GetPath()} ({shader_id(node)}), "
            "which is not supported; use a UsdPrimvarReader_float2 and any number of UsdTransform2d."
        )
    name = str(input_value(node, "varname", time, ""))
    if not name:
        raise MaterialError(f"Primvar reader {node.GetPath()} names no primvar; set its inputs:varname.")
    return name.removeprefix("primvars:"), single_transform(transform)


def _transform(node: UsdShade.Shader, time: Usd.TimeCode, then: UVTransform | None) -> UVTransform:
    scale_s, scale_t = numbers(node, "scale", time, (1.0, 1.0))
    across, up = numbers(node, "translation", time, (0.0, 0.0))
    (rotation,) = numbers(node, "rotation", time, (0.0,))
    return UVTransform((scale_s, scale_t), rotation, (across, up), then)


def _uv_node(shader: UsdShade.Shader, name: str) -> UsdShade.Shader:
    attribute = producer(shader, name)
    node = None if attribute is None else producing_shader(attribute)
    if node is None:
        item = shader.GetInput(name)
        reason = (
            f"has an inputs:{name} that no primvar reader feeds"
            if item and item.HasConnectedSource()
            else f"has nothing connected to its inputs:{name}, so that it shows a single texel"
        )
        raise MaterialError(f"Shader {shader.GetPath()} {reason}; connect a UsdPrimvarReader_float2.")
    return node


def _wrap(texture: UsdShade.Shader, name: str, own: Wrap | None, time: Usd.TimeCode) -> Wrap:
    # The specification: useMetadata, the default, takes the file's own mode, and black where it has none.
    match str(input_value(texture, name, time, "useMetadata")):
        case "repeat":
            return "repeat"
        case "mirror":
            return "mirror"
        case "clamp":
            return "clamp"
        case "black":
            return "black"
        case "useMetadata":
            return own or "black"
        case other:
            raise MaterialError(
                f"Texture shader {texture.GetPath()} has {name} {other}, which USD does not know; "
                "choose repeat, mirror, clamp, black or useMetadata."
            )


def _color(
    texture: UsdShade.Shader, asset: str, header: ImageHeader, time: Usd.TimeCode, named_spaces: bool
) -> tuple[Literal["srgb", "linear"], ColorSpace | None, list[str]]:
    """Encoding, named colour space where that is not enough, and remarks.

    The ``colorSpace`` of the file's own attribute comes first, then sourceColorSpace. Where that is
    auto and would be linear, the nearest UsdColorSpaceAPI above counts.
    """
    path = texture.GetPath()
    own = texture.GetInput("file")
    name = authored_space(producer(texture, "file"), own.GetAttr() if own else None)
    word = str(input_value(texture, "sourceColorSpace", time, "auto"))
    notes = []
    if word not in ("auto", "raw", "sRGB"):
        notes.append(f"{path} has sourceColorSpace {word}, which USD does not know; auto is used.")
    encoding = encoding_of(word, header)
    inherited = inherited_space(texture.GetPrim())
    if not name and word == "auto" and encoding == "linear":
        name = inherited
    if named_spaces and name not in NO_SPACE:
        space = find_space(name, texture.GetPrim(), f"Texture {asset} of {path}")
        if space is None or space.encoding:
            return (space.encoding if space and space.encoding else "linear"), None, notes
        notes.append(f"{asset} is converted from {name} to linear Rec.709.")
        return "linear", space, notes
    if word == "auto" and encoding == "linear" and header.bit_depth in ("uint8", "uint16"):
        storm = " (Storm takes it as sRGB)" if header.misread == "of 16 bits" and header.channels > 2 else ""
        notes.append(
            f"{path} leaves sourceColorSpace to auto, which makes a {header.bit_depth} image of "
            f"{header.channels} channels linear{storm}; author sRGB if it is not."
        )
    if word == "sRGB" and header.bit_depth in ("half", "float"):
        notes.append(f"{path} marks a {header.bit_depth} image as sRGB, which Storm ignores.")
    if header.color_space and not inherited:
        notes.append(
            f"{asset} says that it is {header.color_space}, which USD does not ask; author "
            "that as colorSpace of the shader's inputs:file and it is converted."
        )
    return encoding, None, notes


def encoding_of(word: str, header: ImageHeader) -> Literal["srgb", "linear"]:
    """How a file is read for a sourceColorSpace of raw, sRGB or auto, which depends on the file."""
    if word == "raw":
        return "linear"
    if word == "sRGB":
        return "srgb"
    if header.gamma is not None:
        return "srgb" if abs(header.gamma - _SRGB_GAMMA) < 0.3 else "linear"
    return "srgb" if header.bit_depth == "uint8" and header.channels in (3, 4) else "linear"


def _rgb(texture: UsdShade.Shader, name: str, time: Usd.TimeCode, default: Any) -> tuple[float, float, float]:
    red, green, blue = numbers(texture, name, time, default[:3])
    return red, green, blue
