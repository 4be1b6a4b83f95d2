"""The material that the source binds to a mesh or subset, and the faces that each of these prims has."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdShade

from usdstylize.errors import MaterialError, MeshError
from usdstylize.usd.io.arrays import read_integers
from usdstylize.usd.io.mtlx_layers import why_empty

__all__ = ["FaceSet", "bound_materials", "dropped_binding", "face_sets", "unbound_purposes"]

_PURPOSES = (UsdShade.Tokens.preview, UsdShade.Tokens.full)
"""Viewports draw ``preview``, final renders ``full``; both fall back to the binding for all."""
_BINDINGS = ("material:binding", *(f"material:binding:{purpose}" for purpose in _PURPOSES))


@dataclass(frozen=True, eq=False)
class FaceSet:
    """A prim that takes a material binding, and the faces it covers.

    faces: (N,) bool over the mesh's faces, None for every face.
    error: what is wrong with a subset, so that it costs only itself. notes: remarks on it.
    """

    prim: Usd.Prim
    faces: NDArray[np.bool_] | None
    error: MeshError | None = None
    notes: tuple[str, ...] = ()


def bound_materials(prim: Usd.Prim) -> list[UsdShade.Material]:
    """The prim's materials, the one that viewports draw first; empty where none is bound.

    Raises MaterialError where a binding names a material that is not there.
    """
    found: dict[str, UsdShade.Material] = {}
    for purpose in _PURPOSES:
        material, relationship = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(purpose)
        if material:
            found.setdefault(str(material.GetPath()), material)
        elif relationship:
            raise MaterialError(_dangling(prim, relationship))
    return list(found.values())


def unbound_purposes(prim: Usd.Prim) -> list[str]:
    """The purposes for which the prim shows no material, but its displayColor."""
    api = UsdShade.MaterialBindingAPI(prim)
    return [purpose for purpose in _PURPOSES if not api.ComputeBoundMaterial(purpose)[0]]


def dropped_binding(prim: Usd.Prim) -> str:
    """A binding at or above the prim, nearer than the one in use, whose target USD drops, as part of a
    sentence; empty where there is none.

    A reference or an inherit maps no path outside of what it brings, and so not that of a material there.
    """
    found = [UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(purpose)[1] for purpose in _PURPOSES]
    used = {relationship.GetPrim().GetPath() for relationship in found if relationship}
    owner = prim
    while owner and not owner.IsPseudoRoot() and owner.GetPath() not in used:
        for name in _BINDINGS:
            relationship = owner.GetRelationship(name)
            if not relationship or relationship.GetTargets():
                continue
            for spec in relationship.GetPropertyStack():
                for target in spec.targetPathList.GetAppliedItems():
                    layer = Path(spec.layer.identifier).name
                    return (
                        f"{owner.GetPath()} is bound to {target} in {layer}, outside of the prim that is "
                        "referenced or inherited, so USD drops the binding"
                    )
                if spec.targetPathList.isExplicit:  # it blocks what weaker layers say
                    break
        owner = owner.GetParent()
    return ""


def face_sets(mesh: UsdGeom.Mesh, time: Usd.TimeCode) -> list[FaceSet]:
    """The mesh's faces by the prim that has their binding, subsets first in name order of the stage.

    A GeomSubset of family materialBind with a binding of its own is a set of its own; the
    mesh keeps the faces that no such subset takes, and is left out where none remain.
    """
    face_count = len(read_integers(mesh.GetFaceVertexCountsAttr(), time))
    remaining = np.ones(face_count, dtype=bool)
    sets: list[FaceSet] = []
    for subset in UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets():
        if subset.GetElementTypeAttr().Get() != UsdGeom.Tokens.face or not _binds_itself(subset.GetPrim()):
            continue
        try:
            indices = read_integers(subset.GetIndicesAttr(), time)
        except MeshError as problem:
            sets.append(FaceSet(subset.GetPrim(), np.zeros(face_count, dtype=bool), problem))
            continue
        in_range = (indices >= 0) & (indices < face_count)
        faces = np.zeros(face_count, dtype=bool)
        faces[indices[in_range]] = True
        remaining &= ~faces
        error = None
        if not in_range.all():
            error = MeshError(
                f"GeomSubset {subset.GetPath()} has indices beyond the mesh's {face_count} faces; "
                "export it again."
            )
        elif not len(indices):
            error = MeshError(f"GeomSubset {subset.GetPath()} is empty; give it faces or remove it.")
        sets.append(FaceSet(subset.GetPrim(), faces, error, _overlaps(faces, sets)))
    if not sets:
        return [FaceSet(mesh.GetPrim(), None)]
    return sets if not remaining.any() else [*sets, FaceSet(mesh.GetPrim(), remaining)]


def _overlaps(faces: NDArray[np.bool_], others: list[FaceSet]) -> tuple[str, ...]:
    counts = {
        other.prim.GetPath(): int((faces & other.faces).sum()) for other in others if other.faces is not None
    }
    return tuple(
        f"Some of its faces ({count}) lie in {path} as well, whose material viewers may show; leave each "
        "face in one subset."
        for path, count in counts.items()
        if count
    )


def _binds_itself(subset: Usd.Prim) -> bool:
    """Whether the subset's material does not simply come from its mesh."""
    for purpose in _PURPOSES:
        material, relationship = UsdShade.MaterialBindingAPI(subset).ComputeBoundMaterial(purpose)
        if not relationship:
            continue
        if relationship.GetPrim() == subset:
            return True
        above, _ = UsdShade.MaterialBindingAPI(subset.GetParent()).ComputeBoundMaterial(purpose)
        if material and (not above or above.GetPath() != material.GetPath()):
            return True
    return False


def _dangling(prim: Usd.Prim, relationship: Usd.Relationship) -> str:
    targets = relationship.GetTargets()
    if not targets:
        return f"{prim.GetPath()} is bound to nothing; bind it again."
    target = targets[-1]
    for error in prim.GetStage().GetCompositionErrors():
        # What instances share is reported for one of them only.
        if target.HasPrefix(error.rootSite.path) or prim.IsInstanceProxy():
            why = why_empty(str(error))
            if why:
                return f"{prim.GetPath()} is bound to {target}, which is not on the stage: {why}."
    return f"{prim.GetPath()} is bound to {target}, which is no Material on the stage; bind it again."
