"""Colours that a primvar or a shader's value gives, linear Rec.709; and displayOpacity beside them."""

from collections.abc import Sequence

import numpy as np
from pxr import Usd

from usdstylize.errors import MaterialError
from usdstylize.model.base_colors import BaseColor, ConstantColor, DisplayColor
from usdstylize.usd.io.colorspaces import linear_rec709
from usdstylize.usd.io.primvars import find_primvar
from usdstylize.usd.shading.source_inputs import Constant, Primvar, SourceInput

__all__ = ["constant_color", "display_inputs", "primvar_color"]

_OPACITY = "displayOpacity"


def primvar_color(prim: Usd.Prim, name: str, time: Usd.TimeCode) -> BaseColor | None:
    """The colour that a primvar gives a mesh or subset; None where there is no such primvar.

    Raises MaterialError where it is constant and not one colour, TextureError where its colour space
    is unknown.
    """
    primvar = find_primvar(prim, name)
    if primvar is None:
        return None
    if primvar.GetInterpolation() != "constant":
        linear_rec709(np.zeros(3), primvar.GetAttr())  # raises for an unknown space now rather than later
        return DisplayColor(interpolation=str(primvar.GetInterpolation()), primvar=name)
    values = np.asarray(primvar.ComputeFlattened(time))
    if values.shape != (1, 3) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise MaterialError(
            f"{prim.GetPath()} has constant primvars:{name} that is not one colour; "
            "author one, or its interpolation."
        )
    return constant_color(values[0].tolist(), primvar.GetAttr())


def constant_color(value: Sequence[float], attribute: Usd.Attribute | None) -> ConstantColor:
    """``value`` in the colour space of the attribute that holds it; None where it is a default."""
    if attribute is not None:
        value = linear_rec709(np.array(value), attribute).tolist()
    red, green, blue = value
    return ConstantColor((red, green, blue))


def display_inputs(prim: Usd.Prim, time: Usd.TimeCode) -> dict[str, SourceInput]:
    """What a mesh or subset that no material covers has beside displayColor, as a UsdPreviewSurface's inputs.

    Empty where it is opaque at any time: viewers sort what has an opacity.
    """
    primvar = find_primvar(prim, _OPACITY)
    if primvar is None:
        return {}
    values = np.asarray(primvar.ComputeFlattened(time))
    opaque = values.dtype.kind == "f" and (values >= 1).all() and not primvar.ValueMightBeTimeVarying()
    # It covers a share of what is behind, highlights and all.
    return {} if opaque else {"opacity": Primvar(_OPACITY, 1.0), "opacityMode": Constant("presence")}
