"""Constants that make a surface NaN, black in most viewers; each was found by rendering with Storm."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError
from usdstylize.usd.shading.inputs import producer, producing_shader, shader_id

__all__ = ["undefined_inputs"]

_UNDEFINED: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "UsdPreviewSurface": {"ior": lambda value: value == -1},
    # A normal along the tangent, or of no length, leaves no tangent.
    "ND_UsdPreviewSurface_surfaceshader": {"normal": lambda value: np.hypot(*value[1:]) < 1e-6},
    "ND_standard_surface_surfaceshader": {
        "specular_IOR": lambda value: value in (0, -1),
        "coat_IOR": lambda value: value in (0, -1),
    },
    "ND_open_pbr_surface_surfaceshader": {
        "specular_ior": lambda value: value < 0,
        "coat_ior": lambda value: value <= 0,
    },
}
"""By ``info:id`` and input: whether a finite value makes NaN. One that is not finite counts anywhere."""


def undefined_inputs(surface: UsdShade.Shader, time: Usd.TimeCode) -> dict[str, Any]:
    """By name, the inputs of a surface whose constant makes it NaN; what a node computes is left out."""
    rules = _UNDEFINED.get(shader_id(surface), {})
    found = {}
    for name in (item.GetBaseName() for item in surface.GetInputs()):
        try:
            attribute = producer(surface, name)
        except MaterialError:
            continue
        if attribute is None or producing_shader(attribute) is not None:
            continue
        value = attribute.Get(time)
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "fi":
            continue
        is_undefined = rules.get(name, lambda value: False)
        if not np.isfinite(numbers).all() or (numbers.size in (1, 3) and is_undefined(value)):
            found[name] = value
    return found
