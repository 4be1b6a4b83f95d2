"""Copies: objects with the same mesh, UVs, base texture and material, which one style texture serves."""

import hashlib
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
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
_NOTE = re.compile(r"^ *custom \w+ userProperties:.*\n", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Shape:
    """What of an object's arrays decides whether it is a copy.

    digest: of mesh, chosen faces, UVs and colours, before the mesh's transform.
    linear: (3, 3) float64, as `Geometry.linear`.
    """

    digest: bytes
    linear: Float64

    def masked(self, values: Float64) -> "Shape":
        """With a mask by values (C, 1) at the face corners."""
        digest = hashlib.blake2b(self.digest, digest_size=16)
        digest.update(np.ascontiguousarray(values).data)
        return replace(self, digest=digest.digest())


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
    networks = _Networks(stage, time)
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
            if same_size and networks.of(candidate) == networks.of(obj):
                originals[obj.name] = candidate
                break
        else:
            candidates.append(obj)
    return tuple(_marked(obj, originals) for obj in objects)


def _marked(obj: StageObject, originals: Mapping[str, StageObject]) -> StageObject:
    original = originals.get(obj.look or obj.name)
    if original is None:
        return obj
    note = f"It is a copy of {original.path} and shows its style texture; --unique gives it one of its own."
    notes = obj.notes if obj.wears_another_look else (*obj.notes, note)
    return replace(obj, copy_of=original.name, group=original.group or original.name, notes=notes)


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


class _Networks:
    """Materials but for their paths and the names in them: equal where networks and values are."""

    def __init__(self, stage: Usd.Stage, time: Usd.TimeCode) -> None:
        self._stage, self._time = stage, time
        self._known: dict[str, Hashable] = {"": ()}
        self._by_text: dict[Hashable, Hashable] = {}

    def of(self, obj: StageObject) -> Hashable:
        """That of an object's material; one that USD fails at is like no other."""
        path = obj.material_path or ""
        if path not in self._known:
            try:
                self._known[path] = self._read(self._stage.GetPrimAtPath(path))
            except Tf.ErrorException:
                self._known[path] = path
        return self._known[path]

    def _read(self, material: Usd.Prim) -> Hashable:
        # Text is compared first, since that takes a quarter of the time.
        text = _as_text(material)
        if text is None:
            return tuple(_facts(material, self._time))
        if text not in self._by_text:
            self._by_text[text] = tuple(_facts(material, self._time))
        return self._by_text[text]


def _as_text(material: Usd.Prim) -> tuple[str, str] | None:
    """The layer of a material and its content without its path; None where that is not the whole network."""
    specs = material.GetPrimStack()
    if len(specs) != 1:
        return None
    path, (_, _, text) = specs[0].path, specs[0].GetAsText().partition("\n")
    text = text.replace(f"<{path}/", "<:").replace(f"<{path}.", "<:.")
    if "userProperties:" in text:
        text = _NOTE.sub("", text)
    # A path that leads out of it, or samples, which a reference may shift in time.
    return None if "</" in text or "timeSamples" in text else (specs[0].layer.identifier, text)


def _facts(material: Usd.Prim, time: Usd.TimeCode) -> list[Hashable]:
    """Every prim of a network with its values, in the order in which connections lead to them."""
    found: list[Hashable] = []
    numbers = {material.GetPath(): 0}
    pending = [material]
    for prim in pending:  # grows meanwhile
        found.append(prim.GetTypeName())
        for attribute in prim.GetAuthoredAttributes():
            name = attribute.GetName()
            if not name.startswith(_OF_A_NETWORK):
                continue
            if attribute.HasAuthoredConnections():
                for source in attribute.GetConnections():
                    place = source.GetPrimPath()
                    feeding = None if place in numbers else prim.GetStage().GetPrimAtPath(place)
                    if feeding:
                        numbers[place] = len(pending)
                        pending.append(feeding)
                    found.append((name, source.name, numbers.get(place, str(source))))
            elif not name.startswith("outputs:"):
                found.append((name, *_values(attribute, time)))
    return found


def _values(attribute: Usd.Attribute, time: Usd.TimeCode) -> Iterator[str]:
    """The colour space of a shader's input, and its value as text, or those of all its time samples."""
    if attribute.HasColorSpace():
        yield attribute.GetColorSpace()
    yield _text(attribute.Get(time))
    if attribute.ValueMightBeTimeVarying():
        yield from (f"{each} {_text(attribute.Get(each))}" for each in attribute.GetTimeSamples())


def _text(value: Any) -> str:
    return value.resolvedPath or value.path if isinstance(value, Sdf.AssetPath) else repr(value)
