"""The base colour of a MaterialX surface: one image, one value, a primvar, or what a graph computes."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError, TextureError
from usdstylize.model.affine_uvs import Placement, UVTransform, as_transform, placement_of
from usdstylize.model.base_colors import ConstantColor, GraphColor, TextureFile, Wrap
from usdstylize.usd.io.images import finest, read_header, read_image
from usdstylize.usd.io.primvars import find_primvar
from usdstylize.usd.io.udim import read_tile_headers, tile_files
from usdstylize.usd.shading.evaluate import ImageRead, evaluate
from usdstylize.usd.shading.graph_inputs import PrimvarReader, RecordedInputs, TexelInputs
from usdstylize.usd.shading.inputs import (
    animation_remarks,
    input_value,
    producer,
    producing_shader,
    shader_id,
)
from usdstylize.usd.shading.nodes import knows_color_space
from usdstylize.usd.shading.primvar_colors import primvar_color
from usdstylize.usd.shading.surface_spec import SurfaceSpec, TracedColor, emission_note, is_black

__all__ = [
    "PLAIN_SPACES",
    "constant_primvars",
    "evaluate_graph",
    "mtlx_surface",
    "trace_mtlx",
]

Float32 = NDArray[np.float32]


_LARGEST, _SMALLEST = 4096, 256
"""Limits, in texels on a side, of the texture of a graph that scales its images or has none."""
PLAIN_SPACES = {"srgb_texture": "srgb"} | dict.fromkeys(("", "lin_rec709", "none", "raw", "data"), "linear")
"""MaterialX's colour spaces that a UsdUVTexture knows, too, with the encoding that it has then."""


def mtlx_surface(material: UsdShade.Material) -> UsdShade.Shader | None:
    """The MaterialX surface that viewports show for a material; None where they show another."""
    output = material.GetSurfaceOutput("mtlx")
    context = "mtlx" if output and output.HasConnectedSource() else ""
    surface, _, _ = material.ComputeSurfaceSource(context)
    return surface if surface and (context or shader_id(surface).startswith("ND_")) else None


def constant_primvars(prim: Usd.Prim, time: Usd.TimeCode) -> PrimvarReader:
    """Reads the primvars of a mesh or subset that have one value for the whole of it."""

    def read(name: str, components: int, node: str) -> Float32 | None:
        primvar = find_primvar(prim, name)
        if primvar is None:
            return None
        values = np.asarray(primvar.ComputeFlattened(time))
        if primvar.GetInterpolation() != "constant" or values.reshape(-1).shape != (components,):
            raise MaterialError(
                f"The base colour comes through {node}, which reads primvars:{name} of {prim.GetPath()}, no "
                f"constant of {components} numbers, of which no texture can be made; bake it into an image."
            )
        return values.reshape(-1).astype(np.float32)

    return read


def trace_mtlx(
    spec: SurfaceSpec, prim: Usd.Prim, surface: UsdShade.Shader, time: Usd.TimeCode
) -> TracedColor:
    """The base colour of a MaterialX surface on a mesh or subset (see `surface_spec.Tracer`).

    Where that is black, the colour that it emits, if any.
    """
    traced, weight = _trace(spec.color, spec.default, prim, surface, time), spec.weight
    is_unlit = spec.color == spec.emission
    if is_unlit or is_black(traced.base) or _is_zero(surface, weight, time):
        emitted = _emitted(spec, prim, surface, time)
        if emitted is not None:
            traced, weight = emitted, spec.emission_weight
    if weight is None:
        return traced
    given = producer(surface, weight[0])
    if given is None or (producing_shader(given) is None and given.Get(time) == 1.0):
        return traced
    what = "what it emits" if traced.is_emitted else "its base colour"
    note = f"{surface.GetPath()} scales {what} by inputs:{weight[0]}, the stylised one too."
    return replace(traced, notes=(*traced.notes, note))


def _emitted(
    spec: SurfaceSpec, prim: Usd.Prim, surface: UsdShade.Shader, time: Usd.TimeCode
) -> TracedColor | None:
    """The colour that a surface emits, no brighter than 1; None where it emits nothing."""
    if not spec.emission or _is_zero(surface, spec.emission_weight, time):
        return None
    found = _trace(spec.emission, (spec.emission_default,) * 3, prim, surface, time)
    if is_black(found.base):
        return None
    base = found.base
    if isinstance(base, ConstantColor):
        base = base.dimmed()
    elif isinstance(base, GraphColor):
        attribute = prim.GetStage().GetAttributeAtPath(base.attribute)
        # A graph may turn its images about: it is brightest where they are white or where they are black.
        both = [RecordedInputs(constant_primvars(prim, time), code=code) for code in (0.0, 1.0)]
        brightest = max(float(_three(evaluate(attribute, inputs, time)).max()) for inputs in both)
        base = replace(base, divisor=max(1.0, brightest) if math.isfinite(brightest) else 1.0)
    notes = found.notes
    if spec.color != spec.emission:
        notes = (*notes, emission_note(surface, spec))
    return replace(found, base=base, notes=notes, is_emitted=True)


def _is_zero(surface: UsdShade.Shader, weight: tuple[str, float] | None, time: Usd.TimeCode) -> bool:
    """Whether the input of that name and default is the value 0."""
    if weight is None:
        return False
    given = producer(surface, weight[0])
    value = weight[1] if given is None else given.Get(time) if producing_shader(given) is None else None
    return value == 0.0


def _trace(
    name: str,
    default: tuple[float, float, float],
    prim: Usd.Prim,
    surface: UsdShade.Shader,
    time: Usd.TimeCode,
) -> TracedColor:
    notes = animation_remarks(surface, name)
    attribute = producer(surface, name)
    if attribute is None:
        return TracedColor(ConstantColor(default), notes=notes)
    node = producing_shader(attribute)
    primvar_name = None if node is None else _color_primvar(node, attribute, time)
    if primvar_name is not None:
        color = primvar_color(prim, primvar_name, time)
        if color is None:
            raise MaterialError(
                f"Shader {surface.GetPath()} takes its base colour from primvars:{primvar_name}, which "
                f"{prim.GetPath()} does not have; author it."
            )
        return TracedColor(color, notes=notes)
    recorded = RecordedInputs(constant_primvars(prim, time))
    value = _three(evaluate(attribute, recorded, time))
    if not recorded.images and not recorded.positions:
        if not np.isfinite(value).all():
            raise MaterialError(f"{attribute.GetPath()} comes to no finite colour; mend its graph.")
        red, green, blue = (float(max(channel, 0.0)) for channel in value)
        return TracedColor(ConstantColor((red, green, blue)), notes=notes)
    notes += _space_notes(recorded.images)
    placements = [*(read.placement for read in recorded.images), *recorded.positions]
    primvar = _uvs_of_all(surface, placements)
    if node is not None and len(recorded.images) == 1 and _is_plain_image(node):
        read = recorded.images[0]
        if read.color_space in PLAIN_SPACES:
            return TracedColor(_texture_file(read), primvar, as_transform(read.placement), notes)
    for read in recorded.images:
        if read.tiles:
            raise TextureError(
                f"Texture {read.asset_path} of {read.node} is a UDIM set in a graph that changes it; "
                "connect it to the surface directly, or put it into one tile."
            )
    shared = all(placement.equals(placements[0]) for placement in placements)
    frame = placements[0] if shared else placement_of(primvar)
    wrap = _wrap(recorded, frame)
    if wrap is None:
        notes += (
            f"The graph of {attribute.GetPath()} does not repeat with its UVs, so it is read in 0..1 and "
            "clamped beyond.",
        )
    headers = [read_header(read.resolved_path) for read in recorded.images]
    base = GraphColor(
        attribute=str(attribute.GetPath()),
        files=tuple(dict.fromkeys(read.resolved_path for read in recorded.images)),
        wrap_s=(wrap or ("clamp", "clamp"))[0],
        wrap_t=(wrap or ("clamp", "clamp"))[1],
        size=_size(recorded, [header.size for header in headers], frame),
        bit_depth=finest(header.bit_depth for header in headers),
        encoding="linear"
        if all(PLAIN_SPACES.get(read.color_space) == "linear" for read in recorded.images)
        else "srgb",
        primvars=tuple(sorted(recorded.primvars.items())),
    )
    return TracedColor(base, primvar, as_transform(frame), notes)


def _uvs_of_all(surface: UsdShade.Shader, placements: list[Placement]) -> str:
    """The primvar that they all read. Raises MaterialError where one texture cannot stand for them."""
    primvar = placements[0].primvar
    for placement in placements:
        if placement.primvar != primvar:
            raise MaterialError(
                f"The base colour of {surface.GetPath()} reads the UVs {primvar} and {placement.primvar}, of "
                "which one texture cannot be made; bake it into an image."
            )
        if abs(np.linalg.det(placement.matrix)) < 1e-12:
            raise MaterialError(
                f"The base colour of {surface.GetPath()} squeezes its texture coordinates to a line; "
                "mend its scale or rotation."
            )
    return primvar


def evaluate_graph(
    attribute: Usd.Attribute,
    size: tuple[int, int],
    time: Usd.TimeCode,
    *,
    uv_primvar: str,
    uv_transform: UVTransform | None,
    primvars: PrimvarReader = lambda name, components, node: None,
    given: Mapping[str, Float32] = MappingProxyType({}),
) -> Float32:
    """A colour on a texture of ``size`` (width, height) texels, (H, W, 3) float32, linear Rec.709.

    The texture covers 0..1 of the primvar after the transform. ``given`` holds (H, W, 3)
    values that are known already, by the path of their attribute. Raises MaterialError for a node
    that cannot be evaluated, TextureError for a file that cannot be read.
    """
    inputs = TexelInputs(size, placement_of(uv_primvar, uv_transform), read_image, primvars)
    result = np.empty((size[1], size[0], 3), dtype=np.float32)
    for rows in inputs.bands():
        known = {path: value[rows] for path, value in given.items()}
        result[rows] = np.nan_to_num(_three(evaluate(attribute, inputs, time, known)), nan=0.0)
    return result


def _three(value: Float32) -> Float32:
    return value[..., :3] if value.shape[-1] >= 3 else np.repeat(value[..., :1], 3, axis=-1)


def _color_primvar(node: UsdShade.Shader, attribute: Usd.Attribute, time: Usd.TimeCode) -> str | None:
    """The primvar that alone is the colour; None where the node is another."""
    identifier = shader_id(node)
    if identifier.startswith("ND_geomcolor_color"):
        return "displayColor"
    if identifier in ("ND_geompropvalue_color3", "ND_geompropvalue_color4"):
        return str(input_value(node, "geomprop", time, "")).removeprefix("primvars:") or None
    return None


def _is_plain_image(node: UsdShade.Shader) -> bool:
    """Whether the node gives the colour of its file and nothing else, its alpha aside."""
    while shader_id(node) in ("ND_convert_color4_color3", "ND_dot_color3", "ND_dot_color4"):
        attribute = producer(node, "in")
        source = None if attribute is None else producing_shader(attribute)
        if source is None:
            return False
        node = source
    return shader_id(node) in (
        "ND_image_color3",
        "ND_image_color4",
        "ND_tiledimage_color3",
        "ND_tiledimage_color4",
    )


def _texture_file(read: ImageRead) -> TextureFile:
    files = tile_files(read.resolved_path, read.tiles) if read.tiles else [read.resolved_path]
    header = read_tile_headers(files)
    return TextureFile(
        asset_path=read.asset_path,
        resolved_path=read.resolved_path,
        encoding="srgb" if PLAIN_SPACES[read.color_space] == "srgb" else "linear",
        wrap_s=read.wrap[0],
        wrap_t=read.wrap[1],
        size=header.size,
        bit_depth=header.bit_depth,
        tiles=read.tiles,
    )


def _space_notes(images: list[ImageRead]) -> tuple[str, ...]:
    return tuple(
        f"{read.node} has the colour space {read.color_space} on its file, which MaterialX does not know; "
        "its codes are taken as linear."
        for read in images
        if not knows_color_space(read.color_space)
    )


def _wrap(recorded: RecordedInputs, frame: Placement) -> tuple[Wrap, Wrap] | None:
    """How the whole graph continues beyond 0..1 of the frame; None where no wrap mode does the same."""
    if recorded.positions:
        return None
    first = recorded.images[0]
    if all(read.placement.equals(frame) and read.wrap == first.wrap for read in recorded.images):
        # Where its images are black beyond their border, a graph may be of any colour.
        return None if "black" in first.wrap else first.wrap
    for read in recorded.images:
        steps = read.placement.relative_to(frame).matrix
        period = 2 if "mirror" in read.wrap else 1
        if not set(read.wrap) <= {"repeat", "mirror"} or not np.allclose(
            steps / period, np.round(steps / period), atol=1e-6
        ):
            return None
    return "repeat", "repeat"


def _size(recorded: RecordedInputs, sizes: list[tuple[int, int]], frame: Placement) -> tuple[int, int]:
    """Texels enough for every image at the scale at which it is read."""
    found: list[Any] = [(_SMALLEST, _SMALLEST)] if recorded.positions or not sizes else []
    for read, size in zip(recorded.images, sizes, strict=True):
        matrix = np.abs(read.placement.relative_to(frame).matrix)
        if read.placement.equals(frame):
            found.append(size)
        else:
            found.append(np.minimum(np.ceil(matrix.T @ size - 1e-6), _LARGEST))
    width, height = np.max(np.array(found), axis=0)
    return int(max(width, 1)), int(max(height, 1))
