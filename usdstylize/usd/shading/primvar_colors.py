"""Colours that a primvar or a shader's value gives, linear Rec.709."""

from collections.abc import Sequence

import numpy as np
from pxr import Usd

from usdstylize.errors import MaterialError
from usdstylize.model.base_colors import BaseColor, ConstantColor, DisplayColor
from usdstylize.usd.io.colorspaces import linear_rec709
from usdstylize.usd.io.primvars import find_primvar

__all__ = ["constant_color", "primvar_color"]


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
