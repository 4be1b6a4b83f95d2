"""Named colour spaces of textures: which name USD's metadata gives, and what it means.

USD's own spaces come first (Gf.ColorSpace and definitions on the stage), then the names by which
MaterialX and pipelines know the same ones, then an OCIO configuration where there is one.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd

from usdstylize.errors import StageError, TextureError
from usdstylize.imaging.encoding import srgb_to_linear
from usdstylize.model.base_colors import ColorSpace

__all__ = [
    "NO_SPACE",
    "authored_space",
    "find_space",
    "inherited_space",
    "linear_rec709",
    "rec709_matrix",
    "to_linear",
    "use_ocio",
]

Float32 = NDArray[np.float32]

NO_SPACE = ("", "auto", "unknown")
"""Names without a meaning: as if no space were authored."""
_ALIASES: Mapping[str, str] = {
    "srgb": "srgb_rec709_scene",
    "srgb_texture": "srgb_rec709_scene",
    "lin_srgb": "lin_rec709_scene",
    "lin_rec709": "lin_rec709_scene",
    "linear": "lin_rec709_scene",
    "rec709_display": "g24_rec709_scene",
    "g18_rec709": "g18_rec709_scene",
    "g22_rec709": "g22_rec709_scene",
    "acescg": "lin_ap1_scene",
    "lin_ap1": "lin_ap1_scene",
    "g22_ap1": "g22_ap1_scene",
    "aces2065-1": "lin_ap0_scene",
    "lin_ap0": "lin_ap0_scene",
    "adobergb": "g22_adobergb_scene",
    "lin_adobergb": "lin_adobergb_scene",
    "srgb_displayp3": "srgb_p3d65_scene",
    "lin_displayp3": "lin_p3d65_scene",
    "lin_rec2020": "lin_rec2020_scene",
    "none": "raw",
    "srgb - texture": "srgb_rec709_scene",
    "utility - srgb - texture": "srgb_rec709_scene",
    "linear rec.709 (srgb)": "lin_rec709_scene",
    "utility - linear - srgb": "lin_rec709_scene",
    "aces - acescg": "lin_ap1_scene",
    "aces - aces2065-1": "lin_ap0_scene",
    "utility - raw": "raw",
}
"""Names in MaterialX and in the configurations of ACES, in lower case."""
_LINEAR_REC709 = "lin_rec709_scene"
_AP0_ROLE = "aces_interchange"
_LINEAR_NAMES = ("lin_rec709_scene", "lin_rec709", "Linear Rec.709 (sRGB)", "Utility - Linear - sRGB")
_CURVE_START = 1e-6


def authored_space(*attributes: Usd.Attribute | None) -> str:
    """The ``colorSpace`` metadata of the first attribute that has some; empty where none has."""
    for attribute in attributes:
        if attribute is not None and attribute.HasColorSpace():
            return str(attribute.GetColorSpace())
    return ""


def inherited_space(prim: Usd.Prim) -> str:
    """The space that UsdColorSpaceAPI names on the prim or its nearest ancestor; empty where none does."""
    while prim and not prim.IsPseudoRoot():
        if prim.HasAPI(Usd.ColorSpaceAPI):
            name = Usd.ColorSpaceAPI(prim).GetColorSpaceNameAttr().Get()
            if name:
                return str(name)
        prim = prim.GetParent()
    return ""


def use_ocio(stage: Usd.Stage, config: Path) -> None:
    """Makes ``config`` the stage's OCIO configuration, in memory only.

    Raises StageError where it is none.
    """
    path = os.path.abspath(config)
    if not os.path.isfile(path) or oiio.ColorConfig(path).geterror():
        raise StageError(f"OCIO configuration {config} cannot be read; check the path given with --ocio.")
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        stage.SetColorConfiguration(Sdf.AssetPath(path))


def linear_rec709(colors: NDArray[np.floating], attribute: Usd.Attribute) -> NDArray[np.floating]:
    """Linear Rec.709 of colours (..., 3) that an attribute holds.

    Their space is its ``colorSpace`` metadata, else that of `inherited_space`, else linear Rec.709.
    Raises TextureError where the space is unknown.
    """
    prim = attribute.GetPrim()
    name = authored_space(attribute) or inherited_space(prim)
    space = find_space(name, prim, str(attribute.GetPath())) if name not in NO_SPACE else None
    if space is None or space.encoding == "linear":
        return colors
    return to_linear(np.asarray(colors, dtype=np.float32), space)


def _ocio(stage: Usd.Stage) -> str:
    """The stage's configuration, or else the environment's; empty where there is none."""
    own = stage.GetColorConfiguration()
    resolved = own.resolvedPath or own.path
    return str(resolved) if os.path.isfile(resolved) else os.environ.get("OCIO", "")


def find_space(name: str, prim: Usd.Prim, user: str) -> ColorSpace | None:
    """The space of that name; None for data, whose values are linear as they are.

    prim: where the name is used, as an ancestor may define it. user: who uses it, for the error.
    Raises TextureError where the name is unknown.
    """
    ocio = _ocio(prim.GetStage())
    plain = _ALIASES.get(name.lower(), name)
    defined = _defined(plain, prim)
    if defined is not None:
        return None if defined.IsData() else _described(plain, defined)
    if ocio and oiio.ColorConfig(ocio).getColorSpaceIndex(name) >= 0:
        config = oiio.ColorConfig(ocio)
        if config.isData(name):
            return None
        _rec709_of(config, ocio, name)
        return ColorSpace(name, ocio=ocio)
    where = f"neither USD nor the OCIO configuration {ocio} knows" if ocio else "USD does not know"
    raise TextureError(
        f"{user} is in the colour space {name}, which {where}; give a configuration that has it with --ocio."
    )


def _defined(name: str, prim: Usd.Prim) -> Gf.ColorSpace | None:
    while prim and not prim.IsPseudoRoot():
        for api in Usd.ColorSpaceDefinitionAPI.GetAll(prim):
            if api.GetNameAttr().Get() == name:
                return api.ComputeColorSpaceFromDefinitionAttributes()
        prim = prim.GetParent()
    return Gf.ColorSpace(name) if Gf.ColorSpace.IsValid(name) else None


def _described(name: str, space: Gf.ColorSpace) -> ColorSpace:
    return ColorSpace(
        name,
        to_rec709=tuple(float(value) for value in _to_rec709(space).ravel()),
        gamma=float(space.GetGamma()),
        linear_bias=float(space.GetLinearBias()),
    )


def rec709_matrix(name: str) -> NDArray[np.float64]:
    """(3, 3), from a column of linear red, green, blue in one of USD's own spaces to linear Rec.709."""
    return _to_rec709(Gf.ColorSpace(name))


def _to_rec709(space: Gf.ColorSpace) -> NDArray[np.float64]:
    # Gf multiplies column vectors by these, whatever its matrices do elsewhere.
    to_xyz = np.array(space.GetRGBToXYZ(), dtype=np.float64)
    own_to_xyz = np.array(Gf.ColorSpace(_LINEAR_REC709).GetRGBToXYZ(), dtype=np.float64)
    matrix: NDArray[np.float64] = np.linalg.inv(own_to_xyz) @ to_xyz
    return matrix


def to_linear(codes: Float32, space: ColorSpace) -> Float32:
    """Linear Rec.709 of code values in ``space``, (..., 3) in and out; negative where out of gamut.

    Raises TextureError where the OCIO configuration no longer converts it.
    """
    if space.ocio:
        return _by_ocio(codes, space)
    linear = _curve(codes, space)
    matrix = np.array(space.to_rec709, dtype=np.float32).reshape(3, 3)
    converted: Float32 = linear @ matrix.T
    return converted


def _curve(codes: Float32, space: ColorSpace) -> Float32:
    if space.gamma == 1.0:
        return codes
    gamma, bias = np.float32(space.gamma), np.float32(space.linear_bias)
    if abs(gamma - 2.4) < _CURVE_START and abs(bias - 0.055) < _CURVE_START:
        return srgb_to_linear(codes)
    size = np.abs(codes)
    linear = ((size + bias) / (1 + bias)) ** gamma
    if bias > 0:
        # The straight part meets the curve where both have one slope.
        knee = bias / (gamma - 1)
        linear = np.where(size <= knee, size * (((knee + bias) / (1 + bias)) ** gamma / knee), linear)
    signed: Float32 = np.copysign(linear, codes)
    return signed


def _by_ocio(codes: Float32, space: ColorSpace) -> Float32:
    config = oiio.ColorConfig(space.ocio)
    target, after = _rec709_of(config, space.ocio, space.name)
    flat = np.ascontiguousarray(codes.reshape(1, -1, 3))
    source = oiio.ImageBuf(oiio.ImageSpec(flat.shape[1], 1, 3, oiio.FLOAT))
    source.set_pixels(oiio.ROI(), flat)
    done = oiio.ImageBufAlgo.colorconvert(source, space.name, target, False, "", "", space.ocio)
    if done.has_error:
        raise TextureError(
            f"OCIO configuration {space.ocio} does not convert {space.name} ({done.geterror()}); repair it."
        )
    linear: Float32 = np.asarray(done.get_pixels(oiio.FLOAT), dtype=np.float32).reshape(codes.shape)
    return linear if after is None else to_linear(linear, after)


def _rec709_of(config: oiio.ColorConfig, path: str, name: str) -> tuple[str, ColorSpace | None]:
    """The configuration's name of linear Rec.709; or of ACES 2065-1, with what makes that linear Rec.709."""
    for known in _LINEAR_NAMES:
        if config.getColorSpaceIndex(known) >= 0:
            return known, None
    if _AP0_ROLE in config.getRoles():
        return _AP0_ROLE, _described("lin_ap0_scene", Gf.ColorSpace("lin_ap0_scene"))
    raise TextureError(
        f"OCIO configuration {path} names neither linear Rec.709 nor the role {_AP0_ROLE}, "
        f"so {name} cannot be converted; add one of them."
    )
