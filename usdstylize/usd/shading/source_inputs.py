"""The inputs of a source's surface by their names on a UsdPreviewSurface, traced to textures and values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from usdstylize.model.affine_uvs import UVTransform, same_uvs
from usdstylize.model.base_colors import Wrap

__all__ = [
    "Constant",
    "InterfaceInput",
    "Primvar",
    "SourceInput",
    "Stylized",
    "Texture",
    "Untraced",
    "is_same_image",
    "use_of",
]


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
class Stylized:
    """The stylised sum, clamp(T + Σ strength · T_S): the input reads the image that T comes from.

    It takes that image in its own way: the sum, decoded to linear, times ``scale``, plus ``bias``.
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    raw: bool = False
    """The sRGB codes of the sum are taken as they are, not decoded."""

    @property
    def is_plain(self) -> bool:
        """Whether the input shows the sum and nothing else."""
        return self == Stylized()

    def then(self, scale: Sequence[float], bias: Sequence[float] = (0.0, 0.0, 0.0)) -> "Stylized":
        """The same, scaled and with a bias added once more."""
        red, green, blue = (own * more for own, more in zip(self.scale, scale, strict=True))
        low = [own * more + add for own, more, add in zip(self.bias, scale, bias, strict=True)]
        return Stylized((red, green, blue), (low[0], low[1], low[2]), self.raw)


@dataclass(frozen=True)
class Untraced:
    """A connection that the live network cannot follow, and why."""

    reason: str


SourceInput = Constant | InterfaceInput | Primvar | Stylized | Texture | Untraced


def use_of(own: Texture, other: Texture) -> Stylized | None:
    """What ``other`` is of the colour that ``own`` gives; None where it reads another image, or other texels
    of it, or reads it so that one image cannot stand for both.
    """
    if not is_same_image(own, other) or own.output != "rgb" or other.output != "rgb" or 0 in own.scale[:3]:
        return None
    if own.srgb == other.srgb:
        red, green, blue = (
            theirs / ours for theirs, ours in zip(other.scale[:3], own.scale[:3], strict=True)
        )
        ratio = (red, green, blue)
        low = [b - r * ours for b, r, ours in zip(other.bias[:3], ratio, own.bias[:3], strict=True)]
        return Stylized(ratio, (low[0], low[1], low[2]))
    if own.srgb and own.scale[:3] == (1.0, 1.0, 1.0) and own.bias[:3] == (0.0, 0.0, 0.0):
        return Stylized(other.scale[:3], other.bias[:3], raw=True)
    return None


def is_same_image(own: Texture, other: Texture) -> bool:
    """Whether both read the colours of one file at the same texture coordinates."""
    return (
        (own.file, own.wrap, own.primvar) == (other.file, other.wrap, other.primvar)
        and same_uvs(own.transform, other.transform)
        and "a" not in (own.output, other.output)
    )
