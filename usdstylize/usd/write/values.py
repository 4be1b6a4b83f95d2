"""Traced inputs of a source surface, written as nodes of the live network."""

from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Sdf

from usdstylize.usd.io.paths import anchored
from usdstylize.usd.shading.source_inputs import (
    Constant,
    InterfaceInput,
    Primvar,
    SourceInput,
    Stylized,
    Texture,
    Untraced,
)
from usdstylize.usd.write.graph import TYPES, Graph
from usdstylize.usd.write.specs import add_input

__all__ = ["constant", "write_value"]

_CHANNELS = {"r": 0, "g": 1, "b": 2, "a": 3}


def write_value(
    graph: Graph,
    material: Sdf.Path,
    name: str,
    kind: str,
    source: SourceInput | None,
    layer_folder: Path,
    remarks: list[str],
    *,
    inside: bool = False,
) -> Any:
    """The value of the surface's input ``name``, of MaterialX type ``kind``: a plain one, or the
    path of what gives it; None where nothing is authored or can be followed.

    material: our Material in the composed scene, whose interface inputs are connected to.
    inside: whether a node of ``graph`` will take it, so that an interface input must enter there.
    """
    if source is None or isinstance(source, Stylized):  # the sum comes from the graph itself
        return None
    if isinstance(source, Untraced):
        remarks.append(f"The live network leaves {name} at its default: {source.reason}")
        return None
    if isinstance(source, Constant | InterfaceInput):
        value = constant(name, kind, source.value)
        if value is None:
            what = type(source.value).__name__
            reason = f"{material} gets a {what}, which is no {kind} that can be used."
            remarks.append(f"The live network leaves {name} at its default: {reason}")
        if value is None or isinstance(source, Constant) or name == "opacityMode":
            return value
        outer = material.AppendProperty(f"inputs:{source.name}")
        if not inside:
            return outer
        return add_input(graph.spec, name, TYPES[kind], outer).path.StripAllVariantSelections()
    if isinstance(source, Primvar):
        return _primvar(graph, name, kind, source)
    return _texture(graph, name, kind, source, layer_folder)


def constant(name: str, kind: str, value: Any) -> Any:
    """The value as MaterialX takes it; None where it is nothing of that kind, or not finite."""
    if name == "opacityMode":
        return 1 if str(value) == "presence" else 0
    numbers = np.asarray(value)
    shape = (3,) if kind in ("color3", "vector3") else ()
    if numbers.shape != shape or numbers.dtype.kind not in "fiub" or not np.isfinite(numbers).all():
        return None
    if shape:
        return Gf.Vec3f(*(float(number) for number in numbers))
    # Integers are choices between 0 and 1 here, whatever a layer holds in their place.
    return int(value == 1) if kind == "integer" else float(value)


def _primvar(graph: Graph, name: str, kind: str, value: Primvar) -> Sdf.Path:
    inputs: dict[str, tuple[str, Any]] = {"geomprop": ("string", value.name)}
    fallback = None if value.fallback is None else constant(name, kind, value.fallback)
    if fallback is not None:
        inputs["default"] = (kind, fallback)
    return graph.node(f"{name}_Primvar", f"ND_geompropvalue_{kind}", inputs, kind)


def _texture(graph: Graph, name: str, kind: str, texture: Texture, layer_folder: Path) -> Sdf.Path:
    coordinates = graph.coordinates(texture.primvar, texture.transform)
    file = anchored(texture.file, layer_folder)

    def image(read_as: str) -> Sdf.Path:
        # Only colours can be decoded; the GPU decodes before it filters, as for UsdUVTexture.
        space = "srgb_texture" if texture.srgb and read_as == "color3" else "lin_rec709"
        return graph.image(f"{name}_Image", read_as, file, coordinates, texture.wrap, color_space=space)

    def adjust(out: Sdf.Path, as_kind: str, scale: Any, bias: Any, *, plain: tuple[Any, Any]) -> Sdf.Path:
        if scale != plain[0]:
            out = graph.binary(f"{name}_Scale", "multiply", as_kind, out, scale)
        return graph.binary(f"{name}_Bias", "add", as_kind, out, bias) if bias != plain[1] else out

    if texture.output == "rgb":
        read_as = "color3" if texture.srgb or kind == "color3" else "vector3"
        out = image(read_as)
        if kind == "float":
            extract = {"in": (read_as, out), "index": ("integer", 0)}
            out = graph.node(f"{name}_Channel", f"ND_extract_{read_as}", extract, "float")
            return adjust(out, "float", texture.scale[0], texture.bias[0], plain=(1.0, 0.0))
        if read_as != kind:
            out = graph.node(f"{name}_Convert", f"ND_convert_{read_as}_{kind}", {"in": (read_as, out)}, kind)
        scale, bias = Gf.Vec3f(*texture.scale[:3]), Gf.Vec3f(*texture.bias[:3])
        return adjust(out, kind, scale, bias, plain=(Gf.Vec3f(1), Gf.Vec3f(0)))

    channel = _CHANNELS[texture.output]
    read_as = "vector4" if channel == 3 else "color3" if texture.srgb else "vector3"
    extract = {"in": (read_as, image(read_as)), "index": ("integer", channel)}
    out = graph.node(f"{name}_Channel", f"ND_extract_{read_as}", extract, "float")
    out = adjust(out, "float", texture.scale[channel], texture.bias[channel], plain=(1.0, 0.0))
    if kind == "float":
        return out
    return graph.node(
        f"{name}_Gray", f"ND_combine3_{kind}", {f"in{i}": ("float", out) for i in (1, 2, 3)}, kind
    )
