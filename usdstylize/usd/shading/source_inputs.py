"""The inputs of a source's surface by their names on a UsdPreviewSurface, traced to textures and values."""

from dataclasses import dataclass
from typing import Any

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import Wrap

__all__ = ["Constant", "InterfaceInput", "Primvar", "SourceInput", "Texture", "Untraced"]


@dataclass(frozen=True)
class Constant:
    """A value on the shader, or on an interface that our material cannot connect to."""

    value: Any


@dataclass(frozen=True)
class InterfaceInput:
    """An input of the source Material itself: ours inherits it, so that it stays live."""

    name: str
    value: Any


@dataclass(frozen=True)
class Primvar:
    """A UsdPrimvarReader of a float or a colour."""

    name: str
    fallback: Any


@dataclass(frozen=True)
class Texture:
    """One output of a UsdUVTexture."""

    file: str
    """Resolved by Ar."""
    srgb: bool
    """The colour channels are decoded from sRGB."""
    wrap: tuple[Wrap, Wrap]
    primvar: str
    transform: UVTransform | None
    scale: tuple[float, float, float, float]
    bias: tuple[float, float, float, float]
    output: str
    """rgb, r, g, b or a."""


@dataclass(frozen=True)
class Untraced:
    """A connection that the live network cannot follow, and why."""

    reason: str


SourceInput = Constant | InterfaceInput | Primvar | Texture | Untraced
