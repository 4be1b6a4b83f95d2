"""Faults in values: arrays, numbers, tokens, types, time samples; of geometry and shaders alike."""

from typing import Any

import numpy as np
from pxr import Gf, Sdf, Vt

from mutated.case import Case, owner_of, register

__all__: list[str] = []

_NUMBERS = (float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 1e38, 1e-40, 5e-324, 0.0, -1.0, 1e308)
_INTEGERS = (-1, 0, 1, 7, 1000, 2**31 - 1, -(2**31))
_WORDS = (
    "",
    "banana",
    "constant",
    "uniform",
    "varying",
    "faceVarying",
    "none",
    "primvars:st",
    "st0",
    "Grüße 花瓶",
    "a" * 5000,
    "../..",
    "two\nlines",
    "left'\"quote",
    "%s{0}",
)
_OTHER_TYPES: tuple[tuple[str, Any], ...] = (
    ("string", "text"),
    ("token[]", Vt.TokenArray(["a", "b"])),
    ("matrix4d", Gf.Matrix4d(1)),
    ("int64[]", Vt.Int64Array([0, 1, 2**40])),
    ("asset", Sdf.AssetPath("./gone.png")),
    ("asset[]", Sdf.AssetPathArray([Sdf.AssetPath("./gone.png")])),
    ("bool", True),
    ("float", 0.5),
    ("float[]", Vt.FloatArray([0.1] * 5)),
    ("double3[]", Vt.Vec3dArray([(0, 0, 0)] * 3)),
    ("int[]", Vt.IntArray([1, 2, 3])),
    ("texCoord3f[]", Vt.Vec3fArray([(0, 0, 0)] * 4)),
    ("quatf[]", Vt.QuatfArray([Gf.Quatf(1)] * 2)),
    ("string[]", Vt.StringArray(["x"] * 4)),
    ("half2[]", Vt.Vec2hArray([(0, 0)] * 4)),
    ("float2", Gf.Vec2f(0, 1)),
    ("color4f", Gf.Vec4f(0, 1, 0, 1)),
    ("timecode", Sdf.TimeCode(3)),
)


def _attribute(case: Case, *, array: bool | None = None, numeric: bool = False) -> Sdf.AttributeSpec | None:
    def wanted(spec: Sdf.Spec) -> bool:
        if not isinstance(spec, Sdf.AttributeSpec) or spec.default is None:
            return False
        if array is not None and spec.typeName.isArray != array:
            return False
        return not numeric or np.array(spec.default).dtype.kind in "fiu"

    return case.spec(wanted)


def _set(spec: Sdf.AttributeSpec, values: np.ndarray) -> None:
    array = spec.typeName.type.pythonClass
    spec.default = array.FromNumpy(np.ascontiguousarray(values)) if len(values) else array()


@register
def wrong_length(case: Case) -> None:
    spec = _attribute(case, array=True, numeric=True)
    if spec is None:
        return
    values = np.array(spec.default)
    length = len(values)
    if not length:
        return
    wanted = case.choose((0, 1, length - 1, length + 1, 2 * length, length // 2))
    _set(spec, np.resize(values, (wanted, *values.shape[1:])))
    case.touch(spec, f"has {wanted} values instead of {length}")


@register
def absurd_numbers(case: Case) -> None:
    spec = _attribute(case, array=True, numeric=True)
    if spec is None:
        return
    values = np.array(spec.default)
    if not values.size:
        return
    chosen = case.rng.random(values.shape) < case.choose((1.0, 0.5, 0.0))
    chosen.reshape(-1)[int(case.rng.integers(values.size))] = True
    value = case.choose(_NUMBERS if values.dtype.kind == "f" else _INTEGERS)
    with np.errstate(over="ignore"):
        values[chosen] = np.array(value).astype(values.dtype)
    _set(spec, values)
    case.touch(spec, f"holds {value}")


@register
def absurd_scale(case: Case) -> None:
    spec = _attribute(case, array=True, numeric=True)
    if spec is None or np.array(spec.default).dtype.kind != "f":
        return
    factor = case.choose((1e30, 1e18, 1e6, 1e-6, 1e-20, 1e-39, -1.0, 0.0))
    with np.errstate(over="ignore"):
        _set(spec, np.array(spec.default) * np.array(spec.default).dtype.type(factor))
    case.touch(spec, f"is scaled by {factor}")


@register
def absurd_scalar(case: Case) -> None:
    spec = _attribute(case, array=False, numeric=True)
    if spec is None:
        return
    value = case.choose(_NUMBERS if np.array(spec.default).dtype.kind == "f" else _INTEGERS)
    shape = np.array(spec.default).shape
    try:
        spec.default = type(spec.default)(*[value] * shape[0]) if shape else type(spec.default)(value)
    except (TypeError, OverflowError):
        spec.default = type(spec.default)(0)
    case.touch(spec, f"is {value}")


@register
def wrong_word(case: Case) -> None:
    spec = case.spec(lambda s: isinstance(s, Sdf.AttributeSpec) and isinstance(s.default, str))
    if spec is not None:
        spec.default = case.choose(_WORDS)
        case.touch(spec, f"is {spec.default[:30]!r}")


@register
def wrong_type(case: Case) -> None:
    spec = _attribute(case)
    if spec is None:
        return
    owner, name, old = owner_of(spec), spec.name, spec.typeName
    connections, metadata = list(spec.connectionPathList.prependedItems), spec.GetInfo("interpolation")
    type_name, value = case.choose(_OTHER_TYPES)
    owner.RemoveProperty(spec)
    spec = Sdf.AttributeSpec(owner, name, Sdf.ValueTypeNames.Find(type_name))
    spec.default = value
    spec.connectionPathList.prependedItems = connections
    if metadata:
        spec.SetInfo("interpolation", metadata)
    case.touch(spec, f"is {type_name} instead of {old}")


@register
def attribute_as_relationship(case: Case) -> None:
    spec = _attribute(case)
    if spec is None:
        return
    owner, name = owner_of(spec), spec.name
    owner.RemoveProperty(spec)
    spec = Sdf.RelationshipSpec(owner, name)
    spec.targetPathList.explicitItems = [owner.path.StripAllVariantSelections()]
    case.touch(spec, "is a relationship")


@register
def blocked(case: Case) -> None:
    spec = _attribute(case)
    if spec is not None:
        spec.default = Sdf.ValueBlock()
        case.touch(spec, "is blocked")


@register
def removed_property(case: Case) -> None:
    spec = case.spec(lambda s: isinstance(s, Sdf.PropertySpec))
    if spec is not None:
        case.touch(spec, "is removed")
        owner_of(spec).RemoveProperty(spec)


@register
def wrong_interpolation(case: Case) -> None:
    spec = _attribute(case, array=True)
    if spec is not None:
        word = case.choose(
            ("banana", "", "constant", "uniform", "varying", "vertex", "faceVarying", "instance")
        )
        spec.SetInfo("interpolation", word)
        case.touch(spec, f"has the interpolation {word!r}")


@register
def wrong_element_size(case: Case) -> None:
    spec = _attribute(case, array=True)
    if spec is not None:
        size = case.choose((0, -1, 2, 3, 2**31 - 1))
        spec.SetInfo("elementSize", size)
        case.touch(spec, f"has elementSize {size}")


@register
def uneven_samples(case: Case) -> None:
    spec = _attribute(case, array=True, numeric=True)
    if spec is None:
        return
    values = np.array(spec.default)
    array = spec.typeName.type.pythonClass
    times = case.choose(
        ((0.0, 1.0, 2.0), (-1e9, 1e9), (1.0,), (1e300, -1e300), (0.5, 5.0), tuple(map(float, range(300))))
    )
    for number, time in enumerate(times):
        length = (len(values), len(values) // 2, len(values) + 3)[number % 3]
        sample = np.resize(values, (length, *values.shape[1:])) if len(values) else values
        spec.layer.SetTimeSample(spec.path, time, array.FromNumpy(np.ascontiguousarray(sample)))
    if case.rng.random() < 0.5:
        spec.ClearDefaultValue()
    case.touch(spec, f"has {len(times)} samples of differing lengths")


@register
def blocked_samples(case: Case) -> None:
    spec = _attribute(case)
    if spec is None:
        return
    for time in (0.0, 1.0, 24.0):
        spec.layer.SetTimeSample(spec.path, time, Sdf.ValueBlock())
    case.touch(spec, "has blocked samples")


@register
def many_sided_face(case: Case) -> None:
    mesh = case.spec(lambda s: isinstance(s, Sdf.PrimSpec) and "faceVertexCounts" in s.attributes)
    if mesh is None:
        return
    sides = case.choose((5, 50, 3000))
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    radius = case.choose((np.where(np.arange(sides) % 2, 1.0, 0.4), np.ones(sides), case.rng.random(sides)))
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(sides)], axis=1)
    if case.rng.random() < 0.3:
        ring = ring[case.rng.permutation(sides)]  # crosses itself over and over
    _set(mesh.attributes["points"], ring.astype(np.float32))
    _set(mesh.attributes["faceVertexCounts"], np.array([sides], np.int32))
    _set(mesh.attributes["faceVertexIndices"], np.arange(sides, dtype=np.int32))
    for name in ("primvars:st", "primvars:st:indices", "normals"):
        if name in mesh.attributes:
            mesh.RemoveProperty(mesh.attributes[name])
    st = Sdf.AttributeSpec(mesh, "primvars:st", Sdf.ValueTypeNames.TexCoord2fArray)
    st.default = Vt.Vec2fArray.FromNumpy(ring[:, :2].astype(np.float32))
    st.SetInfo("interpolation", "vertex")
    case.touch(mesh, f"is one face of {sides} sides")


@register
def degenerate_faces(case: Case) -> None:
    mesh = case.spec(lambda s: isinstance(s, Sdf.PrimSpec) and "faceVertexIndices" in s.attributes)
    if mesh is None or not mesh.attributes["faceVertexIndices"].default:
        return
    indices = np.array(mesh.attributes["faceVertexIndices"].default)
    if case.rng.random() < 0.5:
        indices[:] = indices[0]
    else:
        indices[1 : len(indices) // 2] = indices[0]
    _set(mesh.attributes["faceVertexIndices"], indices)
    case.touch(mesh, "has faces that collapse into a point")


@register
def strange_xform(case: Case) -> None:
    prim = case.spec(
        lambda s: isinstance(s, Sdf.PrimSpec) and s.typeName in ("Xform", "Mesh", "Scope", "SkelRoot")
    )
    if prim is None:
        return
    kind, name, value = case.choose(
        (
            ("Double3", "xformOp:translate", Gf.Vec3d(1e30, 0, 0)),
            ("Double3", "xformOp:translate", Gf.Vec3d(float("nan"), 0, 0)),
            ("Float3", "xformOp:scale", Gf.Vec3f(0, 0, 0)),
            ("Float3", "xformOp:scale", Gf.Vec3f(1, 0, 1)),
            ("Float3", "xformOp:scale", Gf.Vec3f(1e-30, 1e-30, 1e-30)),
            ("Float3", "xformOp:scale", Gf.Vec3f(1e30, 1e30, 1e30)),
            ("Float3", "xformOp:scale", Gf.Vec3f(-1, 1, 1)),
            ("Matrix4d", "xformOp:transform", Gf.Matrix4d(0)),
            ("Matrix4d", "xformOp:transform", Gf.Matrix4d(1e200)),
            ("Matrix4d", "xformOp:transform", Gf.Matrix4d(*[1.0] * 16)),
            ("String", "xformOp:translate", "text"),
            ("Quatf", "xformOp:orient", Gf.Quatf(0, 0, 0, 0)),
            ("Float", "xformOp:rotateX", float("inf")),
        )
    )
    for old in ("xformOpOrder", name):
        if old in prim.properties:
            prim.RemoveProperty(prim.properties[old])
    spec = Sdf.AttributeSpec(prim, name, getattr(Sdf.ValueTypeNames, kind))
    spec.default = value
    order = Sdf.AttributeSpec(prim, "xformOpOrder", Sdf.ValueTypeNames.TokenArray, Sdf.VariabilityUniform)
    order.default = case.choose(
        (
            [name],
            [name, name],
            [name, "xformOp:gone"],
            ["!resetXformStack!", name],
            [name, f"!invert!{name}"],
            ["banana"],
            [f"!invert!{name}"],
        )
    )
    case.touch(prim, f"has {name} = {value}, order {list(order.default)}")
