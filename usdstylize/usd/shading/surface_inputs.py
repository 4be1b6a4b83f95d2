"""The inputs of a source's surface, except its base colour, whichever kind of surface it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pxr import Usd, UsdShade

from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.mtlx_inputs import read_weight
from usdstylize.usd.shading.source_inputs import SourceInput, Texture
from usdstylize.usd.shading.surface_spec import SurfaceSpec
from usdstylize.usd.shading.surfaces import preview_surface, surface_spec

__all__ = ["SurfaceInputs", "read_surface_inputs"]


@dataclass(frozen=True)
class SurfaceInputs:
    """What the networks of a result take over from the source's surface."""

    spec: SurfaceSpec | None = None
    """The description of the surface that was stylised; None where there is none."""
    preview: UsdShade.Shader | None = None
    """The UsdPreviewSurface that stays in the preview network; None where ours takes ``inputs``."""
    inputs: Mapping[str, SourceInput] = field(default_factory=dict)
    """By their names on a UsdPreviewSurface; empty where no surface of ours takes them."""
    weight: float = 1.0
    """Scales the base colour on the source's surface."""
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
    weight: float | None = 1.0
    remarks: list[str] = []
    if spec.weight is not None:
        weight = read_weight(surface, spec.weight, time)
        if weight is None:
            name = spec.weight[0]
            remarks.append(
                f"The preview network leaves out inputs:{name} of {surface.GetPath()}, which no value gives."
            )
    inputs: Mapping[str, SourceInput] = {}
    if spec.read_inputs is not None and (preview is None or spec.live == "translated"):
        inputs, others = spec.read_inputs(surface, material, source, time)
        remarks += others
    if source.uv_asked:
        inputs = {name: _renamed(value, source) for name, value in inputs.items()}
    return SurfaceInputs(spec, preview, inputs, 1.0 if weight is None else weight, remarks)


def _renamed(value: SourceInput, source: StageObject) -> SourceInput:
    if isinstance(value, Texture) and value.primvar == source.uv_asked:
        return replace(value, primvar=source.uv_primvar)
    return value
