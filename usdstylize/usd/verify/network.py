"""What a live network computes, in NumPy: a third opinion beside the renderer and the bake."""

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError
from usdstylize.imaging.sampling import resample
from usdstylize.model.base_colors import DisplayColor
from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.evaluate import ADDRESS_MODES
from usdstylize.usd.shading.inputs import input_value
from usdstylize.usd.shading.materialx import constant_primvars, evaluate_graph
from usdstylize.usd.write import DIFFUSE_SHARE, STYLE_IMAGE, STYLIZED_GRAPH

__all__ = ["live_color"]


def live_color(
    material: UsdShade.Material,
    name: str,
    source: StageObject,
    prim: Usd.Prim,
    base: NDArray[np.float32],
    size: tuple[int, int],
    time: Usd.TimeCode,
) -> NDArray[np.float32]:
    """What the surface of a stylised material takes as its input ``name``, a colour, (H, W, 3) linear.

    The authored nodes, values and files are followed, the source's own among them. prim: the
    object in the result. base: (H, W, 3) linear, which stands for a primvar that no graph can be
    followed to; else it is ignored. Raises MaterialError for what is broken.
    """
    surface = material.ComputeSurfaceSource("mtlx")[0]
    item = surface.GetInput(name)
    attributes = item.GetValueProducingAttributes() if item else []
    for attribute in attributes:
        if attribute.GetPrim().GetName() == DIFFUSE_SHARE:
            # The colour before it is shared out between the inputs.
            attributes = UsdShade.Shader(attribute.GetPrim()).GetInput("in1").GetValueProducingAttributes()
    if not attributes:
        raise MaterialError(
            f"{surface.GetPath()} has neither a value nor a connection for inputs:{name}; "
            "run again with --force."
        )
    given = {}
    for node in Usd.PrimRange(material.GetPrim()):
        ours = node.GetParent().GetName().startswith(STYLIZED_GRAPH)
        file = UsdShade.Shader(node).GetInput("file") if ours and node.IsA(UsdShade.Shader) else None
        if file and not file.GetAttr().HasColorSpace():
            raise MaterialError(
                f"{node.GetPath()} has lost the colorSpace of its file; run again with --force."
            )
        if file and (node.GetName() == "Base" or node.GetName().partition("_")[0] == STYLE_IMAGE):
            _check_wrap(UsdShade.Shader(node), source, time)
        graph = UsdShade.NodeGraph(node) if node.GetName().startswith(STYLIZED_GRAPH) else None
        taken = graph.GetInput("base") if graph else None
        if taken and isinstance(source.base, DisplayColor):
            linear = resample(base, size, source.wrap)
            given = {str(found.GetPath()): linear for found in taken.GetValueProducingAttributes()}
    return evaluate_graph(
        attributes[0],
        size,
        time,
        uv_primvar=source.uv_primvar,
        uv_transform=source.uv_transform,
        primvars=constant_primvars(prim, time),
        given=given,
    )


def _check_wrap(image: UsdShade.Shader, source: StageObject, time: Usd.TimeCode) -> None:
    """Raises MaterialError where an image continues beyond 0..1, which no texel shows, otherwise than T."""
    modes = [str(input_value(image, name, time)) for name in ("uaddressmode", "vaddressmode")]
    expected = [ADDRESS_MODES[wrap] for wrap in source.wrap]
    if modes != expected:
        raise MaterialError(
            f"{image.GetPath()} wraps by {' and '.join(modes)} instead of {' and '.join(expected)}; "
            "run again with --force."
        )
