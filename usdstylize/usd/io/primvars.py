"""Primvars of a mesh, inherited ones too, as one value per face corner."""

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom

from usdstylize.errors import MeshError
from usdstylize.model.geometry import Geometry
from usdstylize.usd.io.arrays import read_floats, read_integers

__all__ = ["find_primvar", "read_corner_values", "read_uvs", "uv_primvars", "uvs_for"]

_UV_TYPES = {
    str(name)
    for name in (
        Sdf.ValueTypeNames.TexCoord2fArray,
        Sdf.ValueTypeNames.TexCoord2hArray,
        Sdf.ValueTypeNames.TexCoord2dArray,
        Sdf.ValueTypeNames.Float2Array,
        Sdf.ValueTypeNames.Half2Array,
        Sdf.ValueTypeNames.Double2Array,
    )
}
_UV_PREFIXES = ("st", "map", "uv")
_VARYING = ("vertex", "varying", "faceVarying")


def find_primvar(prim: Usd.Prim, name: str) -> UsdGeom.Primvar | None:
    """The primvar ``name`` on the mesh or inherited from an ancestor; None where it has no value.

    A subset has those of its mesh: by inheritance it would have the constant ones alone.
    """
    primvar = UsdGeom.PrimvarsAPI(_mesh(prim)).FindPrimvarWithInheritance(name)
    return primvar if primvar and primvar.HasValue() else None


def uv_primvars(prim: Usd.Prim) -> list[str]:
    """What may be the UVs of a mesh whose material names none: ``st``, then all that look like UVs.

    Look like UVs: of a texCoord2 type, or two floats named st…, map…, uv…; by name, so that
    the choice does not depend on the order of composition.
    """
    found = {
        primvar.GetPrimvarName(): str(primvar.GetTypeName())
        for primvar in UsdGeom.PrimvarsAPI(_mesh(prim)).FindPrimvarsWithInheritance()
        if str(primvar.GetTypeName()) in _UV_TYPES and primvar.GetInterpolation() in _VARYING
    }
    by_role = [name for name in sorted(found) if found[name].startswith("texCoord2")]
    by_name = [name for name in sorted(found) if name.lower().startswith(_UV_PREFIXES)]
    first = ["st"] if "st" in found else []
    return list(dict.fromkeys([*first, *by_role, *by_name]))


def uvs_for(prim: Usd.Prim, name: str) -> str:
    """The UVs of a mesh or subset for a reader of ``name``: these, or the only ones where it has none such.

    Exporters rename UVs on the mesh and not in the material, or the other way round.
    """
    own = uv_primvars(prim)
    return own[0] if len(own) == 1 and find_primvar(prim, name) is None else name


def _mesh(prim: Usd.Prim) -> Usd.Prim:
    return prim.GetParent() if prim.IsA(UsdGeom.Subset) else prim


def read_uvs(prim: Usd.Prim, name: str, time: Usd.TimeCode, geometry: Geometry) -> NDArray[np.float64]:
    """(C, 2) float64, a UV per face corner of the mesh, as authored.

    Raises MeshError where the primvar is missing, or cannot be UVs of this mesh.
    """
    primvar = find_primvar(prim, name)
    if primvar is None:
        others = " and ".join(f"primvars:{other}" for other in uv_primvars(prim))
        raise MeshError(
            f"Mesh {prim.GetPath()} has no UVs named primvars:{name}, which its texture reads, but {others}; "
            "name one of them in the reader (Blender exports the same name in both without Rename UV Maps)."
            if others
            else f"Mesh {prim.GetPath()} has no UVs named primvars:{name}, which its texture reads; "
            "author them or fix the reader's varname."
        )
    if str(primvar.GetTypeName()) not in _UV_TYPES:
        raise MeshError(
            f"Mesh {prim.GetPath()} has primvars:{name} of type {primvar.GetTypeName()}, which are no UVs; "
            "author texCoord2f[]."
        )
    return read_corner_values(prim, primvar, time, geometry, components=2)


def read_corner_values(
    prim: Usd.Prim, primvar: UsdGeom.Primvar, time: Usd.TimeCode, geometry: Geometry, *, components: int
) -> NDArray[np.float64]:
    """(C, components) float64, the primvar's value at every face corner.

    Raises MeshError where values or indices do not fit the mesh, or are not finite.
    """
    label = f"Mesh {prim.GetPath()} has primvars:{primvar.GetPrimvarName()}"
    values = read_floats(primvar.GetAttr(), time, components)
    if primvar.GetElementSize() != 1:
        raise MeshError(f"{label} with elementSize {primvar.GetElementSize()}; author it again with 1.")
    if primvar.IsIndexed():
        indices = read_integers(primvar.GetIndicesAttr(), time)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(values):
            raise MeshError(f"{label} with indices beyond its {len(values)} values; export the mesh again.")
        values = values[indices]
    at_corners = geometry.corner_values(str(primvar.GetInterpolation()), values)
    if at_corners is None:
        raise MeshError(
            f"{label} with {len(values)} values, which does not fit {primvar.GetInterpolation()} "
            "interpolation on this mesh; export the mesh again."
        )
    if not np.isfinite(at_corners).all():
        raise MeshError(f"{label} with NaN or infinite values; export the mesh again.")
    return at_corners
