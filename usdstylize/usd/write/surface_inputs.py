"""What the source's surface says besides its colour, whichever kind of surface it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pxr import Usd, UsdShade

from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import StageObject
from usdstylize.usd.io.paths import resolve_anchored
from usdstylize.usd.shading.inputs import frozen
from usdstylize.usd.shading.source_inputs import Constant, SourceInput, Texture, read_inputs
from usdstylize.usd.write.mdl import read_omnipbr
from usdstylize.usd.write.mtlx_inputs import read_mtlx_inputs
from usdstylize.usd.write.textures import Textures

__all__ = ["SurfaceInputs", "read_surface_inputs"]


@dataclass(frozen=True)
class SurfaceInputs:
    """What the source's surface says besides its colour."""

    surface: UsdShade.Shader | None
    """The UsdPreviewSurface that the preview network goes on using; None where ours takes ``inputs``."""
    inputs: Mapping[str, SourceInput]
    weight: float = 1.0
    """Scales the base colour on the source's surface."""
    remarks: Sequence[str] = ()


def read_surface_inputs(
    stage: Usd.Stage,
    material: UsdShade.Material | None,
    source: StageObject,
    textures: Textures,
    time: Usd.TimeCode,
    folder: Path,
    *,
    live: bool,
) -> SurfaceInputs:
    """Read at ``time``, with remarks on what neither network can carry over.

    stage, material: the source's. folder: the style layer's. live: whether a live network is written.
    """
    surface = UsdShade.Shader.Get(stage, source.surface_path) if source.surface_path else None
    if not material or not surface:
        return SurfaceInputs(None, {})
    match source.surface:
        case "mdl":  # ours stands beside it
            inputs, remarks = read_omnipbr(surface, source, time)
            return SurfaceInputs(None, inputs, remarks=remarks)
        case "mtlx":
            preview = _preview_surface(material)
            weight, inputs, remarks = read_mtlx_inputs(surface, time, preview=preview is None)
            return SurfaceInputs(preview, inputs, weight, remarks)
    inputs = _of_our_copy(read_inputs(surface, material, time), source, textures, folder)
    values = [
        name for name, value in inputs.items() if isinstance(value, Constant) and name != "diffuseColor"
    ]
    remarks = [remark for name in values for remark in frozen(surface, name)] if live else []
    return SurfaceInputs(surface, inputs, remarks=remarks)


def _of_our_copy(
    inputs: Mapping[str, SourceInput], source: StageObject, textures: Textures, folder: Path
) -> Mapping[str, SourceInput]:
    """Inputs that read the alpha of the base's file read that of our copy: viewers misread the file."""
    if textures.base is None or not textures.base_is_copy or not isinstance(source.base, TextureFile):
        return inputs
    theirs, ours = source.base.resolved_path, resolve_anchored(textures.base, folder)
    return {
        name: replace(value, file=ours)
        if isinstance(value, Texture) and (value.file, value.output) == (theirs, "a")
        else value
        for name, value in inputs.items()
    }


def _preview_surface(material: UsdShade.Material) -> UsdShade.Shader | None:
    """The UsdPreviewSurface that a material has besides its MaterialX surface."""
    surface, _, _ = material.ComputeSurfaceSource()
    return surface if surface and surface.GetShaderId() == "UsdPreviewSurface" else None
