"""Array attributes as NumPy arrays, whatever a stage has authored in their place."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd

from usdstylize.errors import MeshError

__all__ = ["read_floats", "read_integers"]


def read_floats(attribute: Usd.Attribute, time: Usd.TimeCode, components: int) -> NDArray[np.float64]:
    """(N, components) float64; N is 0 where nothing is authored.

    Raises MeshError where the attribute holds something else.
    """
    values = _read(attribute, time)
    if values.size == 0:
        return np.zeros((0, components))
    if components == 1 and values.ndim < 2:
        values = values.reshape(-1, 1)
    if values.ndim != 2 or values.shape[1] != components or values.dtype.kind not in "fiu":
        raise _type_error(attribute, time, f"values of {components} numbers")
    return values.astype(np.float64)


def read_integers(attribute: Usd.Attribute, time: Usd.TimeCode) -> NDArray[np.int64]:
    """(N,) int64; N is 0 where nothing is authored. Raises MeshError where it holds something else."""
    values = _read(attribute, time)
    if values.size == 0:
        return np.zeros(0, np.int64)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise _type_error(attribute, time, "integers")
    return values.astype(np.int64)


def _read(attribute: Usd.Attribute, time: Usd.TimeCode) -> NDArray[Any]:
    if not attribute:  # a relationship may stand in its place
        return np.zeros(0)
    value = attribute.Get(time)
    return np.zeros(0) if value is None else np.asarray(value)


def _type_error(attribute: Usd.Attribute, time: Usd.TimeCode, wanted: str) -> MeshError:
    # The attribute's own type is the schema's, whatever a layer says.
    found = type(attribute.Get(time)).__name__
    return MeshError(f"{attribute.GetPath()} holds a {found}, no array of {wanted}; export it again.")
