"""OmniPBR, the MDL material that Omniverse gives everything: its base colour and its UVs.

What it computes is documented by its parameters and by MDL's open `base` module: the albedo map
times `albedo_brightness` plus `albedo_add`, mixed towards its luminance by `albedo_desaturation`,
times `diffuse_tint`, all in linear; without a map, `diffuse_color_constant` times `diffuse_tint`.
"""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Literal

from pxr import Sdf, Usd, UsdShade

from usdstylize.errors import MaterialError, ObjectError
from usdstylize.model.affine_uvs import UVTransform, rotation_matrix, same_uvs
from usdstylize.model.base_colors import ConstantColor, TextureFile
from usdstylize.usd.io.images import read_header
from usdstylize.usd.io.primvars import find_primvar, uv_primvars
from usdstylize.usd.io.udim import is_udim, read_tile_headers, resolve_tiles, tile_files
from usdstylize.usd.shading.inputs import animation_remarks, input_value, numbers, producer, unresolved
from usdstylize.usd.shading.surface_spec import SurfaceSpec, TracedColor, emission_note, is_black
from usdstylize.usd.shading.textures import encoding_of

__all__ = ["map_file", "map_space", "mdl_name", "mdl_names", "mdl_surface", "same_mapping", "trace_omnipbr"]

_CONSTANT = "diffuse_color_constant"
"""The input that gives the base colour where there is no map."""
_COLOR_SPACES: dict[str, Literal["raw", "sRGB", "auto"]] = {
    "": "auto",
    "auto": "auto",
    "sRGB": "sRGB",
    "srgb_texture": "sRGB",
    "srgb_rec709_scene": "sRGB",
    "raw": "raw",
    "data": "raw",
    "lin_rec709": "raw",
    "lin_rec709_scene": "raw",
}


def mdl_surface(material: UsdShade.Material) -> UsdShade.Shader | None:
    """The MDL shader on outputs:mdl:surface, or on outputs:surface itself; None where there is none."""
    for context in ("mdl", ""):
        output = material.GetSurfaceOutput(context)
        for attribute in output.GetValueProducingAttributes() if output else ():
            shader = UsdShade.Shader(attribute.GetPrim())
            if shader and UsdShade.Output.IsOutput(attribute) and "mdl" in shader.GetSourceTypes():
                return shader
    return None


def mdl_name(shader: UsdShade.Shader) -> str:
    """The MDL module and material that a shader names, for messages."""
    asset, material = shader.GetSourceAsset("mdl"), shader.GetSourceAssetSubIdentifier("mdl")
    module = PurePosixPath(asset.path).name if asset else "no module"
    return f"{module}, {material}" if material else module


def mdl_names(shader: UsdShade.Shader) -> tuple[str, str]:
    """The MDL module, without its ending, and the material in it; empty where the shader is no MDL."""
    asset = shader.GetSourceAsset("mdl")
    module = PurePosixPath(asset.path).stem if asset else ""
    return module, str(shader.GetSourceAssetSubIdentifier("mdl") or module)


def trace_omnipbr(
    spec: SurfaceSpec, prim: Usd.Prim, shader: UsdShade.Shader, time: Usd.TimeCode
) -> TracedColor:
    """The base colour of an OmniPBR on a mesh or subset (see `surface_spec.Tracer`).

    Where that is black, the map of what it emits, if any; its intensity, in physical units, does not count.
    """
    albedo = _albedo(spec, prim, shader, time)
    emits = input_value(shader, "enable_emission", time, False) is True
    if not is_black(albedo.base) or not emits or not _asset(shader, spec.emission, time):
        return albedo
    base, notes = _map(shader, spec.emission, time)
    primvar, transform = _uv_mapping(prim, shader, time)
    notes = (*animation_remarks(shader, spec.emission), *notes, emission_note(shader, spec))
    return TracedColor(base, primvar, transform, notes, is_emitted=True)


def _asset(shader: UsdShade.Shader, name: str, time: Usd.TimeCode) -> Sdf.AssetPath | None:
    """The file of a map; None where it has none."""
    asset = input_value(shader, name, time)
    return asset if isinstance(asset, Sdf.AssetPath) and asset.path else None


def _albedo(spec: SurfaceSpec, prim: Usd.Prim, shader: UsdShade.Shader, time: Usd.TimeCode) -> TracedColor:
    tint = numbers(shader, "diffuse_tint", time, spec.neutral["diffuse_tint"])
    albedo = (spec.color, _CONSTANT, *spec.neutral)
    notes = [remark for name in albedo for remark in animation_remarks(shader, name)]
    if _asset(shader, spec.color, time) is None:
        constant = numbers(shader, _CONSTANT, time, spec.default)
        red, green, blue = (max(0.0, c * t) for c, t in zip(constant, tint, strict=True))
        # Its other textures may be projected; the style texture then uses the mesh's UVs.
        projected = input_value(shader, "project_uvw", time, False) is True
        mapping = (None, None) if projected else _uv_mapping(prim, shader, time)
        return TracedColor(ConstantColor((red, green, blue)), *mapping, tuple(notes))
    base, remarks = _map(shader, spec.color, time)
    names = ("albedo_brightness", "albedo_add", "albedo_desaturation")
    brightness, add, desaturation = (_number(shader, name, time, spec.neutral[name]) for name in names)
    primvar, transform = _uv_mapping(prim, shader, time)
    base = replace(
        base,
        desaturation=min(1.0, max(0.0, desaturation)),
        scale=(brightness * tint[0], brightness * tint[1], brightness * tint[2]),
        bias=(add * tint[0], add * tint[1], add * tint[2]),
    )
    return TracedColor(base, primvar, transform, (*notes, *remarks))


def map_file(shader: UsdShade.Shader, name: str, time: Usd.TimeCode) -> TextureFile | None:
    """The image of a map, as it is read; None where it has none, or none that can be read."""
    try:
        return None if _asset(shader, name, time) is None else _map(shader, name, time)[0]
    except ObjectError:
        return None


def _map(shader: UsdShade.Shader, name: str, time: Usd.TimeCode) -> tuple[TextureFile, tuple[str, ...]]:
    """The image of a map, which has a file, and remarks. Raises TextureError where that cannot be read."""
    path, notes = shader.GetPath(), []
    asset = input_value(shader, name, time)
    tiles: tuple[int, ...] = ()
    resolved = asset.resolvedPath
    if is_udim(asset.path):
        resolved, tiles = resolve_tiles(producer(shader, name), asset.path, time)
    if not resolved:
        raise unresolved(asset.path, shader)
    header = read_header(resolved) if not tiles else read_tile_headers(tile_files(resolved, tiles))
    space = _authored_space(shader, name)
    if space not in _COLOR_SPACES:
        notes.append(f"{path} reads its {name} as {space}, which is unknown; auto is used.")
    word = map_space(shader, name)
    encoding = encoding_of(word, header)
    if word == "auto" and encoding == "linear" and "uint" in header.bit_depth:
        notes.append(
            f"{path} leaves the colour space of its {name} to auto, which makes a "
            f"{header.bit_depth} image of {header.channels} channels linear; author sRGB if it is not."
        )
    notes += [f"{asset.path} {remark}." for remark in header.remarks]
    if header.misread:
        notes.append(
            f"{asset.path} is {header.misread}, so the live network reads a copy of it in half floats."
        )
    base = TextureFile(
        asset_path=asset.path,
        resolved_path=resolved,
        needs_copy=bool(header.misread),
        encoding=encoding,
        wrap_s="repeat",
        wrap_t="repeat",
        size=header.size,
        bit_depth=header.bit_depth,
        tiles=tiles,
    )
    return base, tuple(notes)


def _uv_mapping(
    prim: Usd.Prim, shader: UsdShade.Shader, time: Usd.TimeCode
) -> tuple[str | None, UVTransform | None]:
    """The primvar that an OmniPBR's textures read (None for the mesh's first), and its transform.

    Raises MaterialError where they are projected in space, or the UV set is not on the mesh.
    """
    path = shader.GetPath()
    if input_value(shader, "project_uvw", time, False) is True:
        raise MaterialError(
            f"MDL shader {path} projects its textures in space (project_uvw), which has no UVs to paint on; "
            "switch that off, or bake it."
        )
    index = int(_number(shader, "uv_space_index", time, 0))
    primvar = None
    if index:
        names = (f"st_{index}", f"st{index}")
        primvar = next((name for name in names if find_primvar(prim, name) is not None), None)
        if primvar is None:
            raise MaterialError(
                f"MDL shader {path} reads UV set {index}, but {prim.GetPath()} has no "
                f"primvars:{names[0]}; author it, or set uv_space_index to 0."
            )
    scale = numbers(shader, "texture_scale", time, (1.0, 1.0))
    move = numbers(shader, "texture_translate", time, (0.0, 0.0))
    angle = _number(shader, "texture_rotate", time, 0.0)
    if scale == (1.0, 1.0) and move == (0.0, 0.0) and angle == 0.0:
        return primvar, None
    # base::rotation_translation_scale: scaled, moved, then turned clockwise about (0.5, 0.5).
    turn = rotation_matrix(-angle)
    across, up = turn[:, 0] * (move[0] - 0.5) + turn[:, 1] * (move[1] - 0.5) + 0.5
    return primvar, UVTransform((scale[0], scale[1]), -angle, (float(across), float(up)))


def same_mapping(
    prim: Usd.Prim, shader: UsdShade.Shader, time: Usd.TimeCode, primvar: str, transform: UVTransform | None
) -> bool:
    """Whether an OmniPBR's textures lie where a texture of these UVs does.

    Raises MaterialError as `trace_omnipbr` does.
    """
    own, own_transform = _uv_mapping(prim, shader, time)
    return primvar in ([own] if own else uv_primvars(prim)[:1]) and same_uvs(own_transform, transform)


def map_space(shader: UsdShade.Shader, name: str) -> Literal["raw", "sRGB", "auto"]:
    """How the map ``name`` is read: auto where its color space is unknown or not authored."""
    return _COLOR_SPACES.get(_authored_space(shader, name), "auto")


def _authored_space(shader: UsdShade.Shader, name: str) -> str:
    """The colour space of the attribute that holds the value, or else of the shader's own input."""
    attribute = producer(shader, name)
    authored = attribute.GetColorSpace() if attribute is not None else ""
    return str(authored or shader.GetInput(name).GetAttr().GetColorSpace())


def _number(shader: UsdShade.Shader, name: str, time: Usd.TimeCode, default: float) -> float:
    return numbers(shader, name, time, (default,))[0]
