"""Which colour inputs of a surface read the image that T comes from: the eye sees T through each of them."""

from pxr import Usd, UsdShade

from usdstylize.errors import ObjectError
from usdstylize.usd.shading.inputs import producer, producing_shader, shader_id
from usdstylize.usd.shading.mtlx_inputs import named, trace_input, trace_relation
from usdstylize.usd.shading.preview import trace_texture
from usdstylize.usd.shading.source_inputs import Stylized, Texture, is_same_image, use_of
from usdstylize.usd.shading.surface_spec import SurfaceSpec

__all__ = ["giver", "kept_remark", "mtlx_uses", "preview_uses"]

_Uses = tuple[dict[str, Stylized], list[str]]
"""By the input's name; and remarks."""


def kept_remark(surface: UsdShade.Shader, name: str, main: str) -> str:
    """On an input whose colour one image cannot give together with that of ``main``."""
    return (
        f"inputs:{name} of {surface.GetPath()} reads the image of inputs:{main} otherwise, so it keeps the "
        "source's."
    )


def preview_uses(
    surface: UsdShade.Shader, spec: SurfaceSpec, main: str, use: Stylized, time: Usd.TimeCode
) -> _Uses:
    """The inputs of a UsdPreviewSurface that read the image which its input ``main`` reads.

    use: what of the sum ``main`` shows. spec: of the surface.
    """
    uses = {main: use}
    remarks: list[str] = []
    given = producer(surface, main)
    if given is None or producing_shader(given) is None:
        return uses, remarks
    for name in (spec.color, *spec.colors):
        other = None if name in uses else giver(surface, name)
        if other is None:
            continue
        if other.GetPath() == given.GetPath() or _primvar(other, time) == _primvar(given, time) != "":
            uses[name] = use
            continue
        mine, theirs = trace_texture(given, time), trace_texture(other, time)
        if mine is None or theirs is None or not is_same_image(mine, theirs):
            continue
        found = _both(use, use_of(mine, theirs))
        if found is None:
            remarks.append(kept_remark(surface, name, main))
        else:
            uses[name] = found
    return uses, remarks


def mtlx_uses(
    surface: UsdShade.Shader, spec: SurfaceSpec, main: str, use: Stylized, time: Usd.TimeCode
) -> _Uses:
    """As `preview_uses`, of a MaterialX surface, whose graphs are followed.

    An input that is ``main`` times a factor plus an offset, channel by channel, shows the sum so.
    """
    uses = {main: use}
    remarks: list[str] = []
    given = producer(surface, main)
    if given is None or producing_shader(given) is None:
        return uses, remarks
    own = trace_input(surface, named(main, 0.0), time, gray=False)
    for name in (spec.color, *spec.colors):
        output = None if name in uses else giver(surface, name)
        if output is None:
            continue
        other = trace_input(surface, named(name, 0.0), time, gray=False, base=given)
        is_same = isinstance(own, Texture) and isinstance(other, Texture) and is_same_image(own, other)
        if isinstance(other, Stylized):
            found = _both(use, other)
        elif isinstance(own, Texture) and isinstance(other, Texture) and is_same:
            found = _both(use, use_of(own, other))
        else:
            found = _both(use, trace_relation(given, output, time))
        if found is not None:
            uses[name] = found
        elif is_same:
            remarks.append(kept_remark(surface, name, main))
    return uses, remarks


def _both(use: Stylized, other: Stylized | None) -> Stylized | None:
    """``other`` of what shows ``use`` of the sum, as one use of it; None where there is none."""
    if other is None or (other.raw and not use.is_plain):
        return None
    return other if other.raw else use.then(other.scale, other.bias)


def giver(surface: UsdShade.Shader, name: str) -> Usd.Attribute | None:
    """The shader output that gives an input; None where none does, or its connection is broken."""
    try:
        attribute = producer(surface, name)
    except ObjectError:
        return None
    return attribute if attribute is not None and producing_shader(attribute) is not None else None


def _primvar(attribute: Usd.Attribute, time: Usd.TimeCode) -> str:
    """The primvar that gives a colour; empty where something else does."""
    node = producing_shader(attribute)
    if node is None or shader_id(node) != "UsdPrimvarReader_float3":
        return ""
    item = node.GetInput("varname")
    return str(item.Get(time) or "") if item else ""
