"""The live network: ToLinear(clamp(T + Σ strength · T_S, 0, 1)) in MaterialX nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pxr import Gf, Sdf

from usdstylize.errors import MaterialError
from usdstylize.imaging.encoding import LUMINANCE, linear_to_srgb
from usdstylize.model.base_colors import ConstantColor, Transfer
from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.source_inputs import Stylized
from usdstylize.usd.write.graph import Graph
from usdstylize.usd.write.textures import Offset

__all__ = ["STYLE_IMAGE", "Sum", "write_base_color", "write_stylized_color", "write_use"]

Styles = Sequence[tuple[Offset, Sdf.Path]]

STYLE_IMAGE = "Style"
"""Name of the image node of T_S; in a mix ``_`` and the style's name follow."""

_KNEE = 0.0031308


@dataclass(frozen=True)
class Sum:
    """Outputs of a graph that give clamp(T + Σ strength · T_S, 0, 1)."""

    encoded: Sdf.Path
    """sRGB-encoded."""
    linear: Sdf.Path
    """Linear Rec.709."""


def write_base_color(
    graph: Graph,
    source: StageObject,
    base_file: str | None,
    transfer: Transfer,
    styles: Styles,
) -> Sum:
    """Write the nodes of the stylised base colour.

    base_file: as the layer must name it; None for a constant. transfer: what makes T of its values.
    styles: each T_S, with the float input that scales it, reachable inside ``graph``.
    Raises MaterialError where there is neither a constant nor a file.
    """
    coordinates = graph.coordinates(source.uv_primvar, source.uv_transform)
    base = _encoded_base(graph, source, base_file, transfer, coordinates)
    return _stylized(graph, source, base, styles)


def write_stylized_color(graph: Graph, source: StageObject, base: Sdf.Path, styles: Styles) -> Sum:
    """As `write_base_color`, of any base colour that the source's own graph gives.

    base: the output that gives it, linear Rec.709, reachable inside ``graph``.
    """
    if source.divisor != 1.0:
        base = graph.binary("BaseDivide", "multiply", "color3", base, 1.0 / source.divisor, by_float=True)
    return _stylized(graph, source, _encode(graph, base), styles)


def write_use(graph: Graph, name: str, total: Sum, use: Stylized) -> Sdf.Path:
    """The nodes that make of the sum what the input ``name`` takes; returns the output, linear Rec.709."""
    value = total.encoded if use.raw else total.linear
    if use.scale != Stylized.scale:
        value = graph.binary(f"{name}_Scale", "multiply", "color3", value, Gf.Vec3f(*use.scale))
    if use.bias != Stylized.bias:
        value = graph.binary(f"{name}_Bias", "add", "color3", value, Gf.Vec3f(*use.bias))
    return value


def _stylized(graph: Graph, source: StageObject, base: Sdf.Path | Gf.Vec3f, styles: Styles) -> Sum:
    coordinates = graph.coordinates(source.uv_primvar, source.uv_transform)
    total = base
    for style, strength in styles:
        image = graph.image(f"{STYLE_IMAGE}{style.suffix}", "color3", style.file, coordinates, source.wrap)
        name = f"Offset{style.suffix}"
        offset = graph.binary(name, "multiply", "color3", image, strength, by_float=True)
        both = (offset, total) if isinstance(total, Gf.Vec3f) else (total, offset)
        total = graph.binary(f"Sum{style.suffix}", "add", "color3", *both)
    limits = {"in": ("color3", total), "low": ("color3", Gf.Vec3f(0)), "high": ("color3", Gf.Vec3f(1))}
    clamped = graph.node("Clamp", "ND_clamp_color3", limits, "color3")
    return Sum(clamped, _decode(graph, "ToLinear", clamped))


def _encoded_base(
    graph: Graph, source: StageObject, file: str | None, transfer: Transfer, coordinates: Sdf.Path
) -> Sdf.Path | Gf.Vec3f:
    """T, sRGB-encoded: an output, or a value. The nodes do what `encoding.encode_base` does."""
    base = source.base
    if isinstance(base, ConstantColor):
        return Gf.Vec3f(*(float(value) for value in linear_to_srgb(np.maximum(base.linear, 0.0))))
    if file is None:
        raise MaterialError(
            f"{source.path} has no file of its base colour for a live network; give --network preview."
        )
    value = graph.image("Base", "color3", file, coordinates, source.wrap)
    if transfer.is_plain:
        return value
    if transfer.encoding == "srgb":
        value = _decode(graph, "BaseToLinear", value)
    if transfer.desaturation:
        shares = {"in": ("color3", value), "lumacoeffs": ("color3", Gf.Vec3f(*LUMINANCE))}
        grey = graph.node("BaseLuminance", "ND_luminance_color3", shares, "color3")
        mixed = {"fg": ("color3", grey), "bg": ("color3", value), "mix": ("float", transfer.desaturation)}
        value = graph.node("BaseDesaturate", "ND_mix_color3", mixed, "color3")
    if transfer.scale != Transfer.scale:
        value = graph.binary("BaseScale", "multiply", "color3", value, Gf.Vec3f(*transfer.scale))
    if transfer.bias != Transfer.bias:
        value = graph.binary("BaseBias", "add", "color3", value, Gf.Vec3f(*transfer.bias))
    return _encode(graph, value)


def _decode(graph: Graph, name: str, value: Sdf.Path) -> Sdf.Path:
    return graph.node(name, "ND_srgb_texture_to_lin_rec709_color3", {"in": ("color3", value)}, "color3")


def _encode(graph: Graph, value: Sdf.Path) -> Sdf.Path:
    """sRGB-encoded ``max(value, 0)`` without a branch.

    With k the knee: 1.055 · max(x, k)^(1/2.4) − 0.055 is the curve above k and a constant
    below, 12.92 · (min(x, k) − k) is the straight part below k and nothing above; their sum is
    the curve everywhere, continuous to 1e-7.
    """

    def step(name: str, operation: str, left: Sdf.Path, right: float) -> Sdf.Path:
        return graph.binary(name, operation, "color3", left, right, by_float=True)

    above = step("EncodeAbove", "max", value, _KNEE)
    curve = step("EncodePower", "power", above, 1 / 2.4)
    curve = step("EncodeScale", "multiply", curve, 1.055)
    below = step("EncodeBelow", "min", step("EncodePositive", "max", value, 0.0), _KNEE)
    straight = step("EncodeStraight", "multiply", below, 12.92)
    total = graph.binary("EncodeJoin", "add", "color3", curve, straight)
    return step("EncodeOffset", "add", total, -0.055 - 12.92 * _KNEE)
