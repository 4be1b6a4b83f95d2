"""What MaterialX's arithmetic nodes are defined to do, in NumPy.

Values are float32 arrays whose last axis holds the components (a float has one), with or
without (H, W) before it; they broadcast. The names of inputs and their defaults are those of
MaterialX's node definitions; one definition serves every type of a node.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from usdstylize.imaging.encoding import srgb_to_linear
from usdstylize.usd.io.colorspaces import rec709_matrix

__all__ = ["COMPONENTS", "OPERATIONS", "color_to_linear", "knows_color_space", "select", "to_components"]

Float32 = NDArray[np.float32]
_Real = TypeVar("_Real", np.float32, np.float64)

COMPONENTS = {
    "float": 1,
    "integer": 1,
    "boolean": 1,
    "vector2": 2,
    "vector3": 3,
    "color3": 3,
    "vector4": 4,
    "color4": 4,
}
"""Components of a value by its MaterialX type."""

_UNCHANGED = ("", "lin_rec709", "none", "raw", "data", "lin_rec709_scene", "identity")
_ADOBE, _AP1, _P3 = "lin_adobergb_scene", "lin_ap1_scene", "lin_p3d65_scene"
_SPACES: dict[str, tuple[float | None, str | None]] = {
    "g18_rec709": (1.8, None),
    "gamma18": (1.8, None),
    "g22_rec709": (2.2, None),
    "gamma22": (2.2, None),
    "rec709_display": (2.4, None),
    "gamma24": (2.4, None),
    "acescg": (None, _AP1),
    "lin_ap1": (None, _AP1),
    "g22_ap1": (2.2, _AP1),
    "lin_adobergb": (None, _ADOBE),
    "adobergb": (563 / 256, _ADOBE),
    "lin_displayp3": (None, _P3),
}
"""MaterialX's own colour spaces: an exponent, then the linear space by USD's name."""


def knows_color_space(name: str) -> bool:
    """Whether `color_to_linear` knows the name."""
    return name in _UNCHANGED or name in _SPACES or name in ("srgb_texture", "srgb_displayp3")


def color_to_linear(codes: Float32, space: str) -> Float32:
    """(…, 3 or 4) code values of a colour space by its MaterialX name to linear Rec.709.

    A fourth component stays. A name that MaterialX does not know changes nothing, as in viewers.
    """
    if space in _UNCHANGED:
        return codes
    color = codes[..., :3]
    if space == "srgb_texture":
        color = srgb_to_linear(color)
    elif space == "srgb_displayp3":
        color = (srgb_to_linear(color) @ rec709_matrix(_P3).T).astype(np.float32)
    elif space in _SPACES:
        exponent, linear_space = _SPACES[space]
        if exponent is not None:
            color = np.maximum(color, 0.0) ** np.float32(exponent)
        if linear_space is not None:
            color = (color @ rec709_matrix(linear_space).T).astype(np.float32)
    return np.concatenate([color, codes[..., 3:]], axis=-1)


def to_components(value: NDArray[_Real], source: str, target: str) -> NDArray[_Real]:
    """A value of one MaterialX type as another, as ND_convert does."""
    wanted = COMPONENTS[target]
    if value.shape[-1] == wanted:
        return value
    if value.shape[-1] == 1:
        gray = np.repeat(value, wanted, axis=-1)
        if target == "color4" and source != "float":
            gray[..., 3] = 1.0
        return gray
    if value.shape[-1] > wanted:
        return value[..., :wanted]
    filler = 1.0 if target in ("color4", "vector4") else 0.0
    missing = np.full((*value.shape[:-1], wanted - value.shape[-1]), filler, dtype=value.dtype)
    return np.concatenate([value, missing], axis=-1)


def select(value: NDArray[_Real], channels: Sequence[int | str]) -> NDArray[_Real]:
    """Components of a value (…, N) by index; "0" and "1" are these numbers.

    Raises LookupError for a component that is not there.
    """
    parts = []
    for channel in channels:
        if channel in ("0", "1"):
            parts.append(np.full_like(value[..., :1], float(channel)))
        elif isinstance(channel, int) and 0 <= channel < value.shape[-1]:
            parts.append(value[..., channel : channel + 1])
        else:
            raise LookupError(channel)
    return np.concatenate(parts, axis=-1)


def _on_color(change: Callable[..., Any]) -> Callable[..., Any]:
    """``change`` on the colour of its first argument; an alpha passes by."""

    def changed(value: Float32, *others: Any) -> Any:
        color = change(value[..., :3], *(np.asarray(other)[..., :3] for other in others))
        return np.concatenate([color, value[..., 3:]], axis=-1) if value.shape[-1] == 4 else color

    return changed


def _mix(fg: Any, bg: Any, mix: Any) -> Any:
    return bg * (1 - mix) + fg * mix


def _luminance(color: Any, coefficients: Any) -> Any:
    gray = (color * coefficients).sum(axis=-1, keepdims=True)
    return np.broadcast_to(gray, np.broadcast_shapes(gray.shape, color.shape))


def _saturate(color: Any, amount: Any, coefficients: Any) -> Any:
    return _mix(color, _luminance(color, coefficients), amount)


def _rgb_to_hsv(color: Any) -> Any:
    red, green, blue = (color[..., i] for i in range(3))
    value = color.max(axis=-1)
    chroma = value - color.min(axis=-1)
    some = np.where(chroma > 0, chroma, 1.0)
    by_red, by_green = (green - blue) / some, 2.0 + (blue - red) / some
    hue = np.where(red >= value, by_red, np.where(green >= value, by_green, 4.0 + (red - green) / some))
    saturation = np.where(value > 0, chroma / np.where(value > 0, value, 1.0), 0.0)
    return np.stack([np.where(saturation > 0, hue / 6 % 1.0, 0.0), saturation, value], axis=-1)


def _hsv_to_rgb(hsv: Any) -> Any:
    hue, saturation, value = (hsv[..., i, None] for i in range(3))
    # Each channel rises, stays and falls along the circle of hues, a third of it apart.
    around = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    return value - value * saturation * np.clip(np.minimum(around, 4 - around), 0, 1)


def _hsv_adjust(color: Any, amount: Any) -> Any:
    hsv = _rgb_to_hsv(color)
    moved = np.concatenate([hsv[..., :1] + amount[..., :1], hsv[..., 1:] * amount[..., 1:]], axis=-1)
    return _hsv_to_rgb(moved)


def _remap(value: Any, inlow: Any, inhigh: Any, outlow: Any, outhigh: Any) -> Any:
    return outlow + (value - inlow) * (outhigh - outlow) / (inhigh - inlow)


def _range(value: Any, inlow: Any, inhigh: Any, gamma: Any, outlow: Any, outhigh: Any, doclamp: Any) -> Any:
    unit = (value - inlow) / (inhigh - inlow)
    result = outlow + np.sign(unit) * np.abs(unit) ** (1 / gamma) * (outhigh - outlow)
    return np.clip(result, outlow, outhigh) if np.any(doclamp) else result


def _smoothstep(value: Any, low: Any, high: Any) -> Any:
    step = np.clip((value - low) / (high - low), 0, 1)
    return step * step * (3 - 2 * step)


def _contrast(value: Any, amount: Any, pivot: Any) -> Any:
    return (value - pivot) * amount + pivot


def _color_correct(
    color: Any,
    hue: Any,
    saturation: Any,
    gamma: Any,
    lift: Any,
    gain: Any,
    contrast: Any,
    contrastpivot: Any,
    exposure: Any,
) -> Any:
    turned = _hsv_adjust(color, np.concatenate([hue, np.ones_like(hue), np.ones_like(hue)], axis=-1))
    color = _saturate(turned, saturation, np.array(_LUMA))
    color = np.sign(color) * np.abs(color) ** (1 / gamma)
    color = (color * (1 - lift) + lift) * gain
    return _contrast(color, contrast, contrastpivot) * 2.0**exposure


def _blend(change: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda fg, bg, mix: _mix(change(fg, bg), bg, mix)


_LUMA = (0.2722287, 0.6740818, 0.0536895)
_PAIR, _FACTORS = {"in1": 0.0, "in2": 0.0}, {"in1": 0.0, "in2": 1.0}
_ONE = {"in": 0.0}
_BLENDED = {"fg": 0.0, "bg": 0.0, "mix": 1.0}
_COMPARED = {"value1": 1.0, "value2": 0.0, "in1": 0.0, "in2": 0.0}
_REMAPPED = {"inlow": 0.0, "inhigh": 1.0}
_OUT = {"outlow": 0.0, "outhigh": 1.0}

OPERATIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "constant": (lambda value: value, {"value": 0.0}),
    "dot": (lambda value: value, _ONE),
    "add": (np.add, _PAIR),
    "subtract": (np.subtract, _PAIR),
    "multiply": (np.multiply, _FACTORS),
    "divide": (np.divide, _FACTORS),
    "modulo": (lambda value, by: value - by * np.floor(value / by), _FACTORS),
    "min": (np.minimum, _PAIR),
    "max": (np.maximum, _PAIR),
    "power": (lambda value, exponent: np.maximum(value, 0.0) ** exponent, _FACTORS),
    "safepower": (lambda value, exponent: np.sign(value) * np.abs(value) ** exponent, _FACTORS),
    "invert": (lambda value, amount: amount - value, {"in": 0.0, "amount": 1.0}),
    "absval": (np.abs, _ONE),
    "sign": (np.sign, _ONE),
    "floor": (np.floor, _ONE),
    "ceil": (np.ceil, _ONE),
    "round": (lambda value: np.floor(value + 0.5), _ONE),
    "fract": (lambda value: value - np.floor(value), _ONE),
    "sqrt": (lambda value: np.sqrt(np.maximum(value, 0.0)), _ONE),
    "exp": (np.exp, _ONE),
    "ln": (np.log, {"in": 1.0}),
    "sin": (np.sin, _ONE),
    "cos": (np.cos, _ONE),
    "clamp": (np.clip, {"in": 0.0, "low": 0.0, "high": 1.0}),
    "mix": (_mix, {"fg": 0.0, "bg": 0.0, "mix": 0.0}),
    "remap": (_remap, {"in": 0.0, **_REMAPPED, **_OUT}),
    "range": (_range, {"in": 0.0, **_REMAPPED, "gamma": 1.0, **_OUT, "doclamp": 0.0}),
    "smoothstep": (_smoothstep, {"in": 0.0, "low": 0.0, "high": 1.0}),
    "contrast": (_contrast, {"in": 0.0, "amount": 1.0, "pivot": 0.5}),
    "luminance": (_on_color(_luminance), {"in": (0.0,) * 3, "lumacoeffs": _LUMA}),
    "saturate": (_on_color(_saturate), {"in": (0.0,) * 3, "amount": 1.0, "lumacoeffs": _LUMA}),
    "hsvadjust": (_on_color(_hsv_adjust), {"in": (0.0,) * 3, "amount": (0.0, 1.0, 1.0)}),
    "rgbtohsv": (_on_color(_rgb_to_hsv), {"in": (0.0,) * 3}),
    "hsvtorgb": (_on_color(_hsv_to_rgb), {"in": (0.0,) * 3}),
    "colorcorrect": (
        _on_color(_color_correct),
        {
            "in": (1.0,) * 3,
            "hue": 0.0,
            "saturation": 1.0,
            "gamma": 1.0,
            "lift": 0.0,
            "gain": 1.0,
            "contrast": 1.0,
            "contrastpivot": 0.5,
            "exposure": 0.0,
        },
    ),
    "plus": (_blend(lambda fg, bg: fg + bg), _BLENDED),
    "minus": (_blend(lambda fg, bg: bg - fg), _BLENDED),
    "difference": (_blend(lambda fg, bg: np.abs(bg - fg)), _BLENDED),
    "screen": (_blend(lambda fg, bg: 1 - (1 - fg) * (1 - bg)), _BLENDED),
    "inside": (np.multiply, {"in": 0.0, "mask": 1.0}),
    "outside": (lambda value, mask: value * (1 - mask), {"in": 0.0, "mask": 0.0}),
    "ifgreater": (lambda a, b, yes, no: np.where(a > b, yes, no), _COMPARED),
    "ifgreatereq": (lambda a, b, yes, no: np.where(a >= b, yes, no), _COMPARED),
    "ifequal": (lambda a, b, yes, no: np.where(a == b, yes, no), {**_COMPARED, "value1": 0.0}),
    "normalize": (lambda v: v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-8), _ONE),
}
"""Function and inputs (name, default) of each node that works on values alone."""
