"""The stylise graph put between a MaterialX surface's base colour and that surface.

The surface stays the source's own, by reference: every other input of it stays live.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdShade

from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.inputs import producer, shader_id
from usdstylize.usd.shading.nodes import color_to_linear
from usdstylize.usd.shading.source_inputs import Stylized
from usdstylize.usd.shading.surface_spec import SurfaceSpec
from usdstylize.usd.write.external_surfaces import copy_inputs, relocated
from usdstylize.usd.write.graph import TYPES, Graph
from usdstylize.usd.write.live import write_stylized_color, write_use
from usdstylize.usd.write.specs import add_input, add_output, add_shader, below, free_name, prim_spec
from usdstylize.usd.write.textures import Offset

__all__ = ["STYLIZED_GRAPH", "write_mtlx"]

STYLIZED_GRAPH = "StylizedNetwork"
"""Name of the NodeGraph, with a number behind it where the source has such a prim itself."""
_SURFACE = "StylizedSurface"
_DIAL = "stylizedStrength"
"""The strength's name on NodeGraphs of the source that it has to pass."""


def write_mtlx(
    layer: Sdf.Layer,
    variant: Sdf.PrimSpec,
    source: StageObject,
    spec: SurfaceSpec,
    uses: Mapping[str, Stylized],
    stage: Usd.Stage,
    offsets: Sequence[Offset],
    time: Usd.TimeCode,
) -> None:
    """Write the live network of an object whose surface is a MaterialX one, into its style variant.

    variant: of our Material, which references the source's and has the dials of ``offsets``.
    spec: of the source's surface. uses: its inputs that show the sum (`SurfaceInputs.live_uses`). stage: the
    source's. offsets: what is added to T.
    """
    material = UsdShade.Material.Get(stage, source.material_path)
    surface = UsdShade.Shader.Get(stage, source.surface_path)
    own, ours = material.GetPath(), variant.path.StripAllVariantSelections()
    inside = surface.GetPath().HasPrefix(own)
    main = spec.input_of(source)
    kinds = {
        name: item.GetTypeName() if (item := surface.GetInput(name)) else TYPES["color3"] for name in uses
    }
    target = (
        below(variant.path, surface.GetPath().MakeRelativePath(own))
        if inside
        else variant.path.AppendChild(free_name(_SURFACE, _children(material.GetPrim())))
    )
    container = target.GetParentPath()
    siblings = surface.GetPrim().GetParent() if inside else material.GetPrim()
    graph = Graph(layer, container.AppendChild(free_name(STYLIZED_GRAPH, _children(siblings))))
    styles = []
    for offset in offsets:
        outside = _dial(layer, variant.path, container, offset)
        styles.append((offset, _scene(add_input(graph.spec, offset.dial, TYPES["float"], outside))))
    default = spec.default if main == spec.color else (spec.emission_default,) * 3
    base = add_input(graph.spec, "base", kinds[main], _base(surface, main, default, own, ours, time))
    total = write_stylized_color(graph, source, _scene(base), styles)
    colors = {
        name: add_output(
            graph.spec, "base" if name == main else name, TYPES["color3"], write_use(graph, name, total, use)
        )
        for name, use in uses.items()
    }
    if inside:
        for name, color in colors.items():
            add_input(prim_spec(layer, target), name, kinds[name], color)
        output = material.GetSurfaceOutput("mtlx")
        if not output or not output.HasConnectedSource():
            # It is on the universal output, which the preview network takes.
            add_output(variant, "mtlx:surface", TYPES["token"], _out(surface, target, own))
        return
    copy = add_shader(layer, target, shader_id(surface), ("out", TYPES["token"]), {})
    copy_inputs(copy.spec, surface, without=colors, source=own, ours=ours)
    for name, color in colors.items():
        add_input(copy.spec, name, kinds[name], color)
    add_output(variant, "mtlx:surface", TYPES["token"], copy.output())


def _base(
    surface: UsdShade.Shader,
    name: str,
    default: tuple[float, float, float],
    own: Sdf.Path,
    ours: Sdf.Path,
    time: Usd.TimeCode,
) -> Any:
    """The connection of the source's input ``name``, as our material has it; or its value, linear Rec.709."""
    item = surface.GetInput(name)
    # A graph of ours would read an interface without a value, as usdMtlx makes them, as black.
    unset = producer(surface, name) is None
    connections = item.GetAttr().GetConnections() if item and not unset else []
    if connections:
        return relocated(connections[0], own, ours)
    value = item.Get(time) if item and not unset else None
    if value is None:
        return Gf.Vec3f(*default)
    # Our input does not have the colour space of the surface's own.
    linear = color_to_linear(np.array(value, np.float32), str(item.GetAttr().GetColorSpace()))
    return type(value)(*(float(component) for component in linear))


def _dial(layer: Sdf.Layer, variant: Sdf.Path, container: Sdf.Path, offset: Offset) -> Sdf.Path:
    """The strength as it can be reached inside ``container``, through every NodeGraph on the way."""
    dial = variant.StripAllVariantSelections().AppendProperty(f"inputs:{offset.dial}")
    name = f"{_DIAL}{offset.suffix}"
    for graph in container.GetPrefixes():
        if len(graph.GetPrefixes()) > len(variant.GetPrefixes()):
            dial = _scene(add_input(prim_spec(layer, graph), name, TYPES["float"], dial))
    return dial


def _out(surface: UsdShade.Shader, target: Sdf.Path, own: Sdf.Path) -> Sdf.Path:
    outputs = [output.GetFullName() for output in surface.GetOutputs()]
    return target.StripAllVariantSelections().AppendProperty(outputs[0] if outputs else "outputs:out")


def _scene(spec: Sdf.AttributeSpec) -> Sdf.Path:
    return spec.path.StripAllVariantSelections()


def _children(prim: Usd.Prim) -> set[str]:
    return {child.GetName() for child in prim.GetAllChildren()}
