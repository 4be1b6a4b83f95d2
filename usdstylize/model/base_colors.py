"""Where the original texture T of an object comes from: a file, one value, a primvar or a graph.

The conventions of ``objects.py`` hold here, too.
"""

from dataclasses import dataclass
from typing import Literal

from usdstylize.model.affine_uvs import UVTransform

__all__ = [
    "LUMA",
    "PLAIN",
    "BaseColor",
    "BitDepth",
    "ColorSpace",
    "ConstantColor",
    "DisplayColor",
    "GraphColor",
    "TextureFile",
    "Transfer",
    "Wrap",
]

LUMA = (0.299, 0.587, 0.114)
"""Shares of sRGB-encoded red, green and blue in their luma (Rec.601)."""

Wrap = Literal["repeat", "mirror", "clamp", "black"]
"""How a texture continues beyond 0..1, in UsdUVTexture's words (``useMetadata`` resolved)."""

BitDepth = Literal["uint8", "uint16", "half", "float"]
"""Precision of an image file, the coarsest first."""


@dataclass(frozen=True)
class ColorSpace:
    """How code values of a named colour space become linear Rec.709: a curve, then a matrix.

    The curve is ((v + b) / (1 + b)) ** gamma, with a straight part near 0 where b > 0.
    """

    name: str
    to_rec709: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    """Row by row; it multiplies a column of red, green, blue."""
    gamma: float = 1.0
    linear_bias: float = 0.0
    ocio: str = ""
    """The OCIO configuration that converts it instead; empty where curve and matrix do."""

    @property
    def encoding(self) -> Literal["srgb", "linear"] | None:
        """The plain encoding that equals it; None for any other curve or gamut."""
        alike = all(abs(a - b) < 1e-4 for a, b in zip(self.to_rec709, ColorSpace("").to_rec709, strict=True))
        if self.ocio or not alike:
            return None
        if self.gamma == 1.0:
            return "linear"
        return "srgb" if abs(self.gamma - 2.4) + abs(self.linear_bias - 0.055) < 1e-6 else None


@dataclass(frozen=True)
class Transfer:
    """How the filtered values of a texture become T, sRGB-encoded: USD, too, filters first.

    In this order: decode where they are encoded; desaturate, scale and add the bias in linear light;
    make negative light black; encode.
    """

    encoding: Literal["srgb", "linear"] = "srgb"
    desaturation: float = 0.0
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def is_scaled(self) -> bool:
        """Whether scale or bias change anything."""
        return self.scale != Transfer.scale or self.bias != Transfer.bias

    @property
    def is_plain(self) -> bool:
        """Whether the values are T already."""
        return self.encoding == "srgb" and not self.desaturation and not self.is_scaled


PLAIN = Transfer()
"""For values that are T already: it changes nothing."""


@dataclass(frozen=True)
class TextureFile:
    """A base colour that comes from an image file through a UsdUVTexture."""

    asset_path: str
    """As authored, before resolution: for messages."""
    resolved_path: str
    """What Ar resolved it to; may lie inside a package (``a.usdz[tex/T.png]``)."""
    encoding: Literal["srgb", "linear"]
    """How the file's code values become linear light: decoded from sRGB, or taken as they are."""
    wrap_s: Wrap
    wrap_t: Wrap
    size: tuple[int, int]
    """(width, height) in texels."""
    bit_depth: BitDepth
    """The file's own precision; a float file gets a float bake."""
    desaturation: float = 0.0
    """How far the linear value goes towards its luminance before anything else, 0 to 1 (OmniPBR)."""
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Multiplies the linear value (UsdUVTexture ``scale``, rgb)."""
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Added to the scaled linear value (UsdUVTexture ``bias``, rgb)."""
    tiles: tuple[int, ...] = ()
    """The UDIM tiles that exist, ascending, 1001 the first; empty where the file is no UDIM set.
    ``asset_path`` and ``resolved_path`` then hold ``<UDIM>``, size and depth are the largest."""
    color_space: ColorSpace | None = None
    """The named space of the code values; it then counts instead of ``encoding``."""
    needs_copy: bool = False
    """Viewers would read the file differently than we do, so the live network reads a copy of T."""

    @property
    def transfer(self) -> Transfer:
        """From code values to T; from linear Rec.709 to T where ``color_space`` names another space."""
        encoding = self.encoding if self.color_space is None else "linear"
        return Transfer(encoding, self.desaturation, self.scale, self.bias)

    @property
    def files(self) -> tuple[str, ...]:
        """The resolved file, or one for each of the tiles."""
        if not self.tiles:
            return (self.resolved_path,)
        return tuple(self.resolved_path.replace("<UDIM>", str(tile)) for tile in self.tiles)


@dataclass(frozen=True)
class ConstantColor:
    """A base colour that is one value on the material (or a constant displayColor)."""

    linear: tuple[float, float, float]
    """Linear Rec.709."""
    divisor: float = 1.0
    """The surface has this many times T: light that it emits may be brighter than 1."""

    def dimmed(self) -> "ConstantColor":
        """The same light with no channel above 1, the rest of it in ``divisor``."""
        brightest = max(1.0, *self.linear)
        red, green, blue = (value / brightest for value in self.linear)
        return ConstantColor((red, green, blue), brightest)


@dataclass(frozen=True)
class DisplayColor:
    """A base colour that is a varying ``primvars:displayColor``, rasterised into UV space."""

    interpolation: str
    primvar: str = "displayColor"
    """Primvar name without ``primvars:``; a UsdPrimvarReader_float3 may name another."""
    texture: TextureFile | None = None
    """Where the mesh gets new UVs: the colours are this texture's, read at the UVs of ``primvar``, which
    span no area (each face reads one texel of a colour chart); at (0, 0) where ``primvar`` is empty."""
    transform: UVTransform | None = None
    """The transform of those UVs."""


@dataclass(frozen=True)
class GraphColor:
    """A base colour that a MaterialX graph computes from images, evaluated in texture space."""

    attribute: str
    """The shader output that gives the colour: ``/Looks/Paint/Mix.outputs:out``."""
    files: tuple[str, ...]
    """Every image that the graph reads, resolved; they may lie inside a package."""
    wrap_s: Wrap
    wrap_t: Wrap
    size: tuple[int, int]
    """(width, height) in texels, fine enough for the largest of the images."""
    bit_depth: BitDepth
    """The finest of the images."""
    encoding: Literal["srgb", "linear"] = "srgb"
    """The encoding in which its values are filtered: linear where every image is."""
    primvars: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Names and values of the constant primvars that it reads, which may differ from mesh to mesh."""
    divisor: float = 1.0
    """The graph gives this many times T: light that a surface emits may be brighter than 1."""


BaseColor = TextureFile | ConstantColor | DisplayColor | GraphColor
"""Where the original texture T comes from."""
