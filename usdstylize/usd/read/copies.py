"""Copies: objects with the same mesh, UVs, base texture and material, which one style texture serves."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Tf, Usd

from usdstylize.model.base_colors import DisplayColor, GraphColor, TextureFile
from usdstylize.model.geometry import Geometry
from usdstylize.model.objects import StageObject
from usdstylize.usd.io.colorspaces import linear_rec709
from usdstylize.usd.io.primvars import find_primvar, read_corner_values
from usdstylize.usd.read.bindings import FaceSet
from usdstylize.usd.read.subdivision import can_refine, uv_corner_indices
from usdstylize.usd.read.uvs import ObjectUVs

__all__ = ["Shape", "mark_copies", "shape_of"]

Float64 = NDArray[np.float64]

_SCALE = 0.01
"""Share by which a copy may be larger or smaller."""
_SHEAR = 0.002
"""Share by which it may be stretched: as rounded rotations and scales are."""
_SUBDIVISION = (
    "interpolateBoundary",
    "faceVaryingLinearInterpolation",
    "cornerIndices",
    "cornerSharpnesses",
    "creaseIndices",
    "creaseLengths",
    "creaseSharpnesses",
)
_OF_A_NETWORK = ("inputs:", "outputs:", "info:", "config:", "colorSpace:")
"""Namespaces of what a renderer reads of a material; exporters also note a material's name."""


@dataclass(frozen=True, eq=False)
class Shape:
    """What of an object's arrays decides whether it is a copy.

    digest: of mesh, chosen faces, UVs and colours, before the mesh's transform.
    linear: (3, 3) float64, as `Geometry.linear`.
    """

    digest: bytes
    linear: Float64


def shape_of(
    mesh: Usd.Prim, face_set: FaceSet, geometry: Geometry, uvs: ObjectUVs, time: Usd.TimeCode, refine: int
) -> Shape | None:
    """The shape of an object; None where it gets new UVs, which fit its own mesh alone.

    refine: levels by which Catmull-Clark surfaces are refined.
    """
    if uvs.of_corners is None:
        return None
    digest = hashlib.blake2b(geometry.digest, digest_size=16)
    digest.update(b"all" if face_set.faces is None else face_set.faces.data)
    digest.update(np.ascontiguousarray(uvs.of_corners).data)
    if isinstance(uvs.base, DisplayColor):
        primvar = find_primvar(mesh, uvs.base.primvar)
        if primvar is not None:
            colors = read_corner_values(mesh, primvar, time, geometry, components=3)
            digest.update(np.ascontiguousarray(linear_rec709(colors, primvar.GetAttr())).data)
    if refine and can_refine(mesh):
        indices = uv_corner_indices(mesh, uvs.primvar, geometry, time)
        digest.update(b"linear" if indices is None else np.ascontiguousarray(indices).data)
        values = {name: mesh.GetAttribute(name).Get(time) for name in _SUBDIVISION}
        digest.update(repr({name: value and list(value) for name, value in values.items()}).encode())
    return Shape(digest.digest(), geometry.linear)


def mark_copies(
    stage: Usd.Stage,
    objects: Sequence[StageObject],
    shapes: Mapping[str, Shape],
    heroes: Sequence[str],
    time: Usd.TimeCode,
) -> tuple[StageObject, ...]:
    """The objects in the same order, each copy and its proxies with the name of its original.

    The original is the first of those that are alike. What is rendered together with others
    (`--by model`, `--share-materials`) is neither. shapes: by path; an object that has none is no copy.
    heroes: instances that are to have textures of their own.
    """
    apart = tuple(f"{hero}/" for hero in heroes)
    rendered = Counter(obj.group or obj.name for obj in objects if not obj.stands_in)
    materials: dict[str, Hashable] = {}
    alike: dict[Hashable, list[StageObject]] = {}
    originals: dict[str, StageObject] = {}
    for obj in objects:
        shape = shapes.get(obj.path)
        alone = rendered[obj.group or obj.name] == 1 and not obj.wears_another_look
        if shape is None or not alone or f"{obj.path}/".startswith(apart):
            continue
        candidates = alike.setdefault((shape.digest, *_appearance(obj)), [])
        for candidate in candidates:
            same_size = _is_same_size(shapes[candidate.path].linear, shape.linear)
            if same_size and len({_network(stage, each, materials, time) for each in (candidate, obj)}) == 1:
                originals[obj.name] = candidate
                break
        else:
            candidates.append(obj)
    return tuple(_marked(obj, originals) for obj in objects)


def _marked(obj: StageObject, originals: Mapping[str, StageObject]) -> StageObject:
    original = originals.get(obj.look or obj.name)
    if original is None:
        return obj
    marked = replace(obj, copy_of=original.name, group=original.group or original.name)
    if obj.wears_another_look:
        return marked
    note = f"It is a copy of {original.path} and shows its style texture; --unique gives it one of its own."
    return replace(marked, notes=(*obj.notes, note))


def _appearance(obj: StageObject) -> tuple[Hashable, ...]:
    """What copies have in common beside their shape, and but for where their materials lie."""
    base = obj.base
    if isinstance(base, TextureFile):
        base = replace(base, asset_path="")  # another layer may name the same file by another path
    elif isinstance(base, GraphColor):
        base = replace(base, attribute="")
    return base, obj.surface, obj.uv_primvar, obj.uv_transform, obj.settings


def _is_same_size(first: Float64, other: Float64) -> bool:
    """Whether a mesh has the same form and size under both transforms, wherever it is and however turned.

    A mirror image is none: the pattern would run the other way than on an object of its own.
    """
    if np.array_equal(first, other):
        return True
    products, others = first @ first.T, other @ other.T
    lengths = np.sqrt(np.diag(products))
    if not (lengths > 0).all() or _is_mirrored(first) != _is_mirrored(other):
        return False
    ratio = float(np.mean(np.diag(others) / np.diag(products)))
    stretched = np.abs(others / ratio - products) / np.outer(lengths, lengths) if ratio > 0 else np.inf
    return abs(np.sqrt(ratio) - 1) <= _SCALE and float(np.max(stretched)) <= 2 * _SHEAR


def _is_mirrored(linear: Float64) -> bool:
    return bool(np.linalg.det(linear / np.abs(linear).max()) < 0)


def _network(stage: Usd.Stage, obj: StageObject, known: dict[str, Hashable], time: Usd.TimeCode) -> Hashable:
    """The object's material but for names of prims: equal where networks and values are.

    known: by the material's path, to which this one is added. A material that USD fails at is like no other.
    """
    path = obj.material_path or ""
    if path not in known:
        try:
            known[path] = tuple(_facts(stage.GetPrimAtPath(path), time)) if path else ()
        except Tf.ErrorException:
            known[path] = path
    return known[path]


def _facts(material: Usd.Prim, time: Usd.TimeCode) -> list[Hashable]:
    """Every prim of a network with its values, in the order in which connections lead to them."""
    found: list[Hashable] = []
    numbers = {material.GetPath(): 0}
    pending = [material]
    for prim in pending:  # grows meanwhile
        found.append(prim.GetTypeName())
        for name in sorted(prim.GetAuthoredPropertyNames(lambda name: name.startswith(_OF_A_NETWORK))):
            attribute = prim.GetAttribute(name)
            sources = attribute.GetConnections() if attribute else []
            for source in sources:
                feeding = prim.GetStage().GetPrimAtPath(source.GetPrimPath())
                if feeding and feeding.GetPath() not in numbers:
                    numbers[feeding.GetPath()] = len(pending)
                    pending.append(feeding)
                found.append((name, source.name, numbers.get(source.GetPrimPath(), str(source))))
            if attribute and not sources:
                found.append((name, attribute.GetColorSpace(), *_values(attribute, time)))
    return found


def _values(attribute: Usd.Attribute, time: Usd.TimeCode) -> list[str]:
    """The value of a shader's attribute as text, or those of all its time samples."""
    times = attribute.GetTimeSamples() if attribute.ValueMightBeTimeVarying() else ()
    values = [(None, attribute.Get(time)), *((each, attribute.Get(each)) for each in times)]
    return [f"{when} {_text(value)}" for when, value in values]


def _text(value: Any) -> str:
    return value.resolvedPath or value.path if isinstance(value, Sdf.AssetPath) else repr(value)
