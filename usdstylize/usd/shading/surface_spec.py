"""What reading, writing and verifying know of one kind of surface shader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pxr import Usd, UsdShade

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import BaseColor, ConstantColor
from usdstylize.model.objects import StageObject, Surface
from usdstylize.usd.shading.source_inputs import SourceInput

__all__ = ["InputReader", "LiveSurface", "SurfaceSpec", "TracedColor", "Tracer", "emission_note", "is_black"]

_BLACK = 0.002
"""Linear; what an 8-bit sRGB code of 6 holds."""

LiveSurface = Literal["source", "translated"]
"""The surface that a live network ends in: the source's own, whose every other input stays live, or an
ND_UsdPreviewSurface_surfaceshader of ours, with the inputs that `SurfaceSpec.read_inputs` finds."""


@dataclass(frozen=True)
class TracedColor:
    """A base colour and the texture coordinates that it lives in."""

    base: BaseColor
    uv_primvar: str | None = None
    """Without ``primvars:``; None where no texture names one."""
    uv_transform: UVTransform | None = None
    notes: tuple[str, ...] = ()
    is_emitted: bool = False
    """It is what the surface emits, in place of a base colour that is black."""


def is_black(color: BaseColor) -> bool:
    """Whether it is a value so dark that nobody sees what is added to it beside what is emitted."""
    return isinstance(color, ConstantColor) and max(color.linear) <= _BLACK


Tracer = Callable[["SurfaceSpec", Usd.Prim, UsdShade.Shader, Usd.TimeCode], TracedColor]
"""Finds the base colour of a surface on a mesh or subset. Raises MaterialError where no texture can hold
it, TextureError where a file cannot be read."""
InputReader = Callable[
    [UsdShade.Shader, UsdShade.Material, StageObject, str, Usd.TimeCode],
    tuple[Mapping[str, SourceInput], list[str]],
]
"""The other inputs of a surface by their names on a UsdPreviewSurface, and remarks on what has none. The
string is the name of the input that T comes from."""


def emission_note(surface: UsdShade.Shader, spec: "SurfaceSpec") -> str:
    """A remark for the artist where T is what a surface emits."""
    return f"{surface.GetPath()} is black but for inputs:{spec.emission}, so what it emits is stylised."


@dataclass(frozen=True)
class SurfaceSpec:
    """One kind of surface shader."""

    identifiers: tuple[str, ...]
    """``info:id`` of the shader. Of an MDL shader the file name of its module, which has a material of
    the same name: ``OmniPBR.mdl``."""
    kind: Surface
    """The render context whose surface it is; ``preview`` is the universal one."""
    color: str
    """The input that takes the base colour; of an MDL shader, the one that takes its map."""
    default: tuple[float, float, float]
    """The base colour where nothing is authored, linear Rec.709."""
    trace: Tracer
    weight: tuple[str, float] | None = None
    """An input that scales the base colour, and its default. It stays on the surface."""
    emission: str = ""
    """The input that takes the colour of its emission, ``color`` itself where it does nothing but emit;
    empty where the surface emits nothing."""
    emission_default: float = 0.0
    """All three channels of ``emission`` where nothing is authored."""
    emission_weight: tuple[str, float] | None = None
    """As ``weight``, of the emission."""
    colors: tuple[str, ...] = ()
    """Inputs for other colours, each of which shows the style where it reads the image of T as T does."""
    neutral: Mapping[str, Any] = field(default_factory=dict)
    """Inputs that change the base colour's map, with the values at which they do not."""
    read_inputs: InputReader | None = None
    """None where no translation is known: the surface can then be read, but not written."""
    live: LiveSurface | None = None
    """None where no live network is known: the surface can then be read, but not written."""

    def input_of(self, source: StageObject) -> str:
        """The input that T comes from."""
        return self.emission if source.is_emitted else self.color

    def weight_of(self, source: StageObject) -> tuple[str, float] | None:
        """An input that scales what T comes from, and its default."""
        return self.emission_weight if source.is_emitted else self.weight

    @property
    def is_writable(self) -> bool:
        """Whether both networks of a result can show it."""
        return self.read_inputs is not None and self.live is not None
