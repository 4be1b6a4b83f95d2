"""Which channels of an image file are its colour, by their names."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Layer", "choose_layer"]

_ROLES = {
    "r": "r", "red": "r",
    "g": "g", "green": "g",
    "b": "b", "blue": "b",
    "a": "a", "alpha": "a",
}  # fmt: skip
_GREY = ("Y", "I", "L")
_LIKELY = ("rgba", "rgb", "color", "basecolor", "base_color", "diffuse", "albedo", "beauty")
"""Layers of these names come before others."""


@dataclass(frozen=True)
class Layer:
    """Indices of the channels that make a picture."""

    color: tuple[int, ...]
    """One for grey, or red, green and blue."""
    alpha: tuple[int, ...]
    """One, or none."""
    remark: str = ""
    """Which channels were chosen, where others could have been: a clause about the file."""


def choose_layer(names: Sequence[str], *, by_name: bool) -> Layer | str:
    """The colour among channels of these names, or why there is none.

    by_name: the order has no meaning, as in EXR, where it is alphabetical.
    """
    layers: dict[str, dict[str, int]] = {}
    for index, name in enumerate(names):
        layer, _, channel = name.rpartition(".")
        # A small y is a coordinate, a large one luminance.
        role = "y" if channel in _GREY else _ROLES.get(channel.lower())
        if role is not None:
            layers.setdefault(layer, {}).setdefault(role, index)
    complete = [name for name, found in layers.items() if {"r", "g", "b"} <= set(found)]
    if "" in complete:
        return _rgb(layers[""])
    if complete:
        chosen = min(complete, key=lambda name: _likeliness(name.lower()))
        return _rgb(layers[chosen], f"shows its layer {chosen}")
    if {"RY", "BY"} & set(names):
        return "luminance and chroma, which viewers do not read"
    if len(names) == 1:
        return Layer((0,), ())
    for found in layers.values():
        if "y" in found:
            return Layer((found["y"],), _alpha(found))
    if not by_name:
        return Layer((0, 1, 2), (3,) if len(names) > 3 else ()) if len(names) > 2 else Layer((0,), (1,))
    return f"channels {', '.join(names[:6])}"


def _rgb(found: dict[str, int], remark: str = "") -> Layer:
    return Layer((found["r"], found["g"], found["b"]), _alpha(found), remark)


def _alpha(found: dict[str, int]) -> tuple[int, ...]:
    return (found["a"],) if "a" in found else ()


def _likeliness(name: str) -> int:
    last = name.rpartition(".")[2]
    return _LIKELY.index(last) if last in _LIKELY else len(_LIKELY)
