"""The inputs of a source's surface: those that show the stylised sum, and all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pxr import Usd, UsdShade

from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.color_uses import giver, mtlx_uses, preview_uses
from usdstylize.usd.shading.mtlx_inputs import read_weight
from usdstylize.usd.shading.preview import trace_texture
from usdstylize.usd.shading.source_inputs import (
    Constant,
    InterfaceInput,
    Primvar,
    SourceInput,
    Stylized,
    Texture,
)
from usdstylize.usd.shading.surface_spec import SurfaceSpec
from usdstylize.usd.shading.surfaces import SURFACES, preview_surface, surface_spec

__all__ = ["SurfaceInputs", "read_surface_inputs"]

_DIFFUSE, _EMISSIVE = "diffuseColor", "emissiveColor"
_PREVIEW = SURFACES["UsdPreviewSurface"]


@dataclass(frozen=True)
class SurfaceInputs:
    """What the networks of a result take over from the source's surface."""

    spec: SurfaceSpec | None = None
    """The description of the surface that was stylised; None where there is none."""
    preview: UsdShade.Shader | None = None
    """The UsdPreviewSurface that stays in the preview network; None where ours takes ``inputs``."""
    inputs: Mapping[str, SourceInput] = field(default_factory=dict)
    """By their names on a UsdPreviewSurface, without ``preview_uses``; empty where no surface of ours takes
    them."""
    preview_uses: Mapping[str, Stylized] = field(default_factory=lambda: {_DIFFUSE: Stylized()})
    """The inputs of a UsdPreviewSurface that show the stylised sum."""
    live_uses: Mapping[str, Stylized] = field(default_factory=dict)
    """The same of the source's own MaterialX surface; empty where it has none. The first is what T comes
    from."""
    remarks: Sequence[str] = ()
    """On what neither network can take over, a sentence each."""


def read_surface_inputs(
    material: UsdShade.Material | None, source: StageObject, time: Usd.TimeCode
) -> SurfaceInputs:
    """Read at ``time``. material: the source's.

    Raises MaterialError where the surface is not one of `surfaces.SURFACES`.
    """
    if not material or not source.surface_path:
        return SurfaceInputs()
    surface = UsdShade.Shader.Get(material.GetPrim().GetStage(), source.surface_path)
    if not surface:
        return SurfaceInputs()
    spec, preview = surface_spec(surface), preview_surface(material)
    color, weight = spec.input_of(source), spec.weight_of(source)
    remarks: list[str] = []
    live: Mapping[str, Stylized] = {}
    main = Stylized().then((source.divisor,) * 3)
    if spec.live == "source":
        live, others = mtlx_uses(surface, spec, color, main, time)
        remarks += others
    inputs: Mapping[str, SourceInput] = {}
    if spec.read_inputs is not None and (preview is None or spec.live == "translated"):
        inputs, others = spec.read_inputs(surface, material, source, color, time)
        remarks += others
        inputs = {name: value for name, value in inputs.items() if not _makes_nan(name, value)}
    scale = 1.0 if weight is None else read_weight(surface, weight, time)
    if scale is None and weight is not None:
        remarks.append(
            f"The preview network leaves out inputs:{weight[0]} of {surface.GetPath()}, which no value gives."
        )
    main = main.then((1.0 if scale is None else scale,) * 3)
    if preview is None:
        uses = _in_place_of(inputs, source, main)
        if source.is_emitted:
            inputs = {_DIFFUSE: Constant((0.0, 0.0, 0.0)), **inputs}
    else:
        uses, others = _on_preview(preview, source, main, time)
        remarks += others
    if source.uv_asked:
        inputs = {name: _renamed(value, source) for name, value in inputs.items()}
    rest = {name: value for name, value in inputs.items() if name not in uses}
    return SurfaceInputs(spec, preview, rest, uses, live, remarks)


def _in_place_of(
    inputs: Mapping[str, SourceInput], source: StageObject, main: Stylized
) -> dict[str, Stylized]:
    """The inputs of a UsdPreviewSurface of ours that show the sum, and the rest are ``inputs``."""
    divided = (source.divisor,) * 3
    found = {
        name: Stylized(raw=value.raw).then(divided).then(value.scale, value.bias)
        for name, value in inputs.items()
        if isinstance(value, Stylized)
    }
    if source.is_emitted:
        return found or {_EMISSIVE: main}
    return {_DIFFUSE: main, **found}


def _on_preview(
    preview: UsdShade.Shader, source: StageObject, main: Stylized, time: Usd.TimeCode
) -> tuple[dict[str, Stylized], list[str]]:
    """The inputs of the source's own UsdPreviewSurface that show the sum, and remarks."""
    given = {name: giver(preview, name) for name in (_DIFFUSE, _EMISSIVE)}
    textured = [name for name, value in given.items() if value is not None]
    name = _DIFFUSE
    if source.is_emitted and (source.surface == "preview" or textured != [_DIFFUSE]):
        name = _EMISSIVE
    emitted = given[_EMISSIVE]
    if source.is_emitted and source.surface == "preview" and emitted is not None:
        # T is its texture without scale and bias.
        texture = trace_texture(emitted, time)
        if texture is not None:
            main = Stylized(texture.scale[:3], texture.bias[:3])
    return preview_uses(preview, _PREVIEW, name, main, time)


def _makes_nan(name: str, value: SourceInput) -> bool:
    """Whether a surface of ours is better off without the input.

    Storm turns a UsdPreviewSurface by textures alone. MaterialX's takes any normal, and one of length 0
    makes it NaN.
    """
    if name == "normal":
        return isinstance(value, Constant | InterfaceInput | Primvar)
    return name == "ior" and value == Constant(-1.0)


def _renamed(value: SourceInput, source: StageObject) -> SourceInput:
    if isinstance(value, Texture) and value.primvar == source.uv_asked:
        return replace(value, primvar=source.uv_primvar)
    return value
