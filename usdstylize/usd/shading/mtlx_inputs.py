"""The inputs of a MaterialX surface, except its base colour, as inputs of a UsdPreviewSurface.

A constant graph becomes a value. A graph that gives one image, with at most a factor and an
offset on each channel, becomes a texture with scale and bias; that is found by evaluating the
graph on a few known codes, whatever its nodes are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError, ObjectError
from usdstylize.imaging.encoding import linear_to_srgb
from usdstylize.model.affine_uvs import Placement, as_transform
from usdstylize.model.objects import StageObject
from usdstylize.usd.shading.evaluate import ImageRead, evaluate
from usdstylize.usd.shading.inputs import producer, producing_shader, shader_id
from usdstylize.usd.shading.materialx import PLAIN_SPACES
from usdstylize.usd.shading.preview import PREVIEW_DEFAULTS
from usdstylize.usd.shading.source_inputs import (
    Constant,
    SourceInput,
    Stylized,
    Texture,
    Untraced,
    use_of,
)

__all__ = [
    "Formula",
    "MtlxInputs",
    "Read",
    "gltf_alpha",
    "gltf_cutoff",
    "named",
    "one",
    "product",
    "read_mtlx_inputs",
    "read_weight",
    "trace_input",
    "trace_relation",
]

Float32 = NDArray[np.float32]
Read = Callable[[str, float], Float32]
"""An input of the surface by its name and default, (components,)."""
Formula = Callable[[Read], Float32]
"""Computes one input of a UsdPreviewSurface, (components,), from inputs of the surface."""

_COLORS = ("emissiveColor", "specularColor")
_COMPONENTS = {"GfVec3f": 3, "GfVec4f": 4}
"""Of outputs that a colour comes from, by the type of their values."""
_PROBE = 0.5
_PROBES = (
    (0.1, 0.5, 0.9, 1.0),
    (0.9, 0.2, 0.4, 1.0),
    (0.3, 0.8, 0.1, 1.0),
    (0.6, 0.6, 0.6, 1.0),
    (0.2, 0.3, 0.7, 1.0),
)
"""Colours of an image that no factor and offset explains by chance."""
_LEAST_SPAN, _SAME = 1e-3, 1e-4
_UNSCALED = (Constant(1.0), Constant((1.0, 1.0, 1.0)))


@dataclass(frozen=True)
class MtlxInputs:
    """How a MaterialX surface's inputs, except its base colour, become a UsdPreviewSurface's."""

    formulas: Mapping[str, Formula]
    """By the input's name on a UsdPreviewSurface; inputs that are not here keep their defaults."""
    highlights: tuple[str, str] | None = ("specular", "specular_color")
    """Weight and tint of highlights; None where the formulas give all of them."""
    normal: str = "normal"
    """The input that takes a normal map."""
    is_normal_map_unpacked: bool = False
    """Whether it takes -1..1 in tangent space, as a UsdPreviewSurface does, and not an ND_normalmap."""
    beyond: tuple[str, ...] = ()
    """Weights of lobes that a UsdPreviewSurface does not have."""


def named(name: str, default: float) -> Formula:
    """The input of that name."""
    return lambda read: read(name, default)


def product(first: tuple[str, float], second: tuple[str, float]) -> Formula:
    """Two inputs, (name, default) each, multiplied."""
    return lambda read: read(*first) * read(*second)


def gltf_alpha(read: Read) -> Float32:
    """The opacity of a gltf_pbr, whose mode decides whether its alpha counts."""
    return read("alpha", 1.0) if read("alpha_mode", 0.0)[0] else np.ones(1, dtype=np.float32)


def gltf_cutoff(read: Read) -> Float32:
    """The opacity threshold of a gltf_pbr, which counts in the mode MASK alone."""
    masked = read("alpha_mode", 0.0)[0] == 1
    return read("alpha_cutoff", 0.5) if masked else np.zeros(1, dtype=np.float32)


def one(read: Read) -> Float32:
    """1, whatever the surface's inputs are."""
    return np.ones(1, dtype=np.float32)


def read_weight(surface: UsdShade.Shader, weight: tuple[str, float], time: Usd.TimeCode) -> float | None:
    """The value of an input (name, default) that scales the base colour; None where no value gives it."""
    found = trace_input(surface, named(*weight), time, gray=True)
    return float(found.value) if isinstance(found, Constant) else None


def read_mtlx_inputs(
    described: MtlxInputs,
    surface: UsdShade.Shader,
    material: UsdShade.Material,
    source: StageObject,
    color: str,
    time: Usd.TimeCode,
) -> tuple[Mapping[str, SourceInput], list[str]]:
    """Inputs of a MaterialX surface that are not at UsdPreviewSurface's default, by their names there, and
    remarks on what has no counterpart (see `surface_spec.InputReader`).
    """
    remarks: list[str] = []
    formulas = dict(described.formulas)
    if described.highlights is not None:
        scaled = trace_input(
            surface, product(*((name, 1.0) for name in described.highlights)), time, gray=False
        )
        metal = trace_input(surface, _formula(described, "metallic"), time, gray=True)
        # The specular workflow, which alone scales and tints highlights, has no metals.
        if scaled not in _UNSCALED and metal == Constant(0.0) and isinstance(scaled, Constant):
            formulas |= {"useSpecularWorkflow": one, "specularColor": _highlight(described)}
        elif scaled not in _UNSCALED:
            remarks.append(
                f"The preview network leaves out the weight and tint of highlights of {surface.GetPath()}; "
                "it can follow plain values on what is no metal."
            )
    inputs: dict[str, SourceInput] = {}
    base, own = producer(surface, color), trace_input(surface, named(color, 0.0), time, gray=False)
    if base is not None and producing_shader(base) is None:
        base = None  # a value that several inputs share is no image
    for target, formula in formulas.items():
        is_color = target in _COLORS
        traced = trace_input(surface, formula, time, gray=not is_color, base=base if is_color else None)
        if is_color and isinstance(traced, Texture) and isinstance(own, Texture):
            traced = use_of(own, traced) or traced
        if isinstance(traced, Untraced):
            remarks.append(f"The preview network leaves {target} at its default: {traced.reason}")
        elif traced != Constant(PREVIEW_DEFAULTS.get(target)):
            inputs[target] = _typed(target, traced)
    normal = _normal(described, surface, time)
    if isinstance(normal, Untraced):
        remarks.append(f"The preview network has no normal map: {normal.reason}")
    elif normal is not None:
        inputs["normal"] = normal
    for beyond in filter(surface.GetInput, described.beyond):
        if trace_input(surface, named(beyond, 0.0), time, gray=True) != Constant(0.0):
            remarks.append(f"The preview network has nothing for inputs:{beyond} of {surface.GetPath()}.")
    return inputs, remarks


def _formula(described: MtlxInputs, target: str) -> Formula:
    """The formula of an input of a UsdPreviewSurface: its default where the surface has no counterpart."""
    default = np.full(1, PREVIEW_DEFAULTS[target], dtype=np.float32)
    return described.formulas.get(target, lambda read: default)


def _typed(target: str, value: SourceInput) -> SourceInput:
    if isinstance(value, Constant) and target == "useSpecularWorkflow":
        return Constant(int(value.value == 1))
    if isinstance(value, Constant) and target in _COLORS and not isinstance(value.value, tuple):
        return Constant((value.value,) * 3)
    return value


def _highlight(described: MtlxInputs) -> Formula:
    """The colour that a dielectric reflects at normal incidence, for the specular workflow."""
    index_of_refraction = _formula(described, "ior")
    weight, tint = described.highlights or ("", "")

    def reflected(read: Read) -> Float32:
        index = index_of_refraction(read)
        scaled = read(weight, 1.0) * read(tint, 1.0)
        color: Float32 = ((index - 1) / (index + 1)) ** 2 * scaled * np.ones(3, dtype=np.float32)
        return color

    return reflected


def _normal(described: MtlxInputs, surface: UsdShade.Shader, time: Usd.TimeCode) -> SourceInput | None:
    """A normal map as UsdPreviewSurface reads it: tangent space, -1..1."""
    attribute = producer(surface, described.normal)
    node = None if attribute is None else producing_shader(attribute)
    if node is None:
        return None
    if described.is_normal_map_unpacked:
        return trace_input(surface, named(described.normal, 0.0), time, gray=False)
    if not shader_id(node).startswith("ND_normalmap"):
        return Untraced(f"{node.GetPath()} ({shader_id(node)}) feeds it, which is no ND_normalmap.")

    def unpacked(read: Read) -> Float32:
        scale = np.ones(3, dtype=np.float32)
        scale[:2] = read("scale", 1.0)
        return (read("in", 0.5) * 2 - 1) * scale

    return trace_input(node, unpacked, time, gray=False)


class _ProbedInputs:
    """Graph inputs in which every image has one known value."""

    def __init__(self, value: Float32) -> None:
        self.value = value
        self.images: list[ImageRead] = []

    def image(self, read: ImageRead) -> Float32:
        self.images.append(read)
        codes = self.value[: read.components]
        if read.color_space != "srgb_texture":
            return codes
        return np.concatenate([linear_to_srgb(codes[:3]), codes[3:]])

    def position(self, placement: Placement) -> Float32:
        raise MaterialError("texture coordinates themselves feed it, which no UsdPreviewSurface can read.")

    def primvar(self, name: str, components: int, node: str) -> Float32 | None:
        raise MaterialError(f"{node} reads primvars:{name}, which is not carried over.")


def trace_input(
    shader: UsdShade.Shader,
    formula: Formula,
    time: Usd.TimeCode,
    *,
    gray: bool,
    base: Usd.Attribute | None = None,
) -> SourceInput:
    """What a formula gives, as a value or as one texture with scale and bias.

    base: the output that T comes from; what is made of it, and nothing else, is `Stylized`.
    """

    def probe(*value: float, given: Float32 | None = None) -> tuple[Float32, list[ImageRead]]:
        inputs = _ProbedInputs(np.array(value, dtype=np.float32))
        known = {} if base is None or given is None else {str(base.GetPath()): given}

        def read(name: str, default: float) -> Float32:
            attribute = producer(shader, name)
            if attribute is None:
                return np.full(1, default, dtype=np.float32)
            return evaluate(attribute, inputs, time, known)

        found = formula(read)
        return (found[..., :1] if gray else found), inputs.images

    components = 0 if base is None else _COMPONENTS.get(base.GetTypeName().type.typeName, 0)
    stylized = _trace_stylized(probe, components) if components else None
    if stylized is not None:
        return stylized
    try:
        start, images = probe(0, 0, 0, 0)
        if start.shape not in ((1,), (3,), (4,)):
            return Untraced("it comes to no number and no colour.")
        if not images:
            if not np.isfinite(start).all():
                return Untraced("it comes to no finite value.")
            values = tuple(float(value) for value in start)
            return Constant(values[0] if len(values) == 1 else values[:3])
        steps = np.array([probe(*unit)[0] - start for unit in np.eye(4)])
        half = probe(_PROBE, _PROBE, _PROBE, _PROBE)[0]
    except ObjectError as problem:
        return Untraced(str(problem))
    except (ValueError, LookupError):
        return Untraced("what feeds it has inputs that do not fit each other.")
    first = images[0]
    one = all(_reads_alike(read, first) for read in images)
    known = first.color_space in PLAIN_SPACES
    if not one or not known or not np.allclose(half, start + _PROBE * steps.sum(axis=0), atol=1e-5):
        return Untraced("what feeds it is more than one image with a factor and an offset.")
    return _texture(first, start, steps)


def _trace_stylized(probe: Any, components: int) -> Stylized | None:
    """What comes of T alone, each channel times a factor plus an offset; None where it is anything else.

    probe: gives the value and the images that it reads, for a value of T, (components,).
    """

    def at(*value: float) -> Float32:
        alpha = (1.0,) * (components - 3)
        found, images = probe(0, 0, 0, 0, given=np.array((*value, *alpha), dtype=np.float32))
        if images:
            raise MaterialError("It reads an image besides.")
        color: Float32 = found[:3]
        return color

    try:
        black, half = at(0, 0, 0), at(_PROBE, _PROBE, _PROBE)
        steps = np.array([at(*unit) - black for unit in np.eye(3)])
    except (ObjectError, ValueError, LookupError):
        return None
    scale = np.diag(steps)
    plain = steps.shape == (3, 3) and np.isfinite(steps).all() and np.abs(steps - np.diag(scale)).max() < 1e-6
    if not plain or not scale.any() or not np.allclose(half, black + _PROBE * scale, atol=1e-5):
        return None
    values = [round(float(number), 6) for number in (*scale, *black)]
    return Stylized((values[0], values[1], values[2]), (values[3], values[4], values[5]))


def trace_relation(base: Usd.Attribute, other: Usd.Attribute, time: Usd.TimeCode) -> Stylized | None:
    """What ``other`` is of ``base`` where both come from one image: a factor and an offset on each channel.

    They may read it by nodes of their own, in any colour space. None where they are related otherwise.
    """
    values: list[list[Float32]] = []
    images: list[ImageRead] = []
    try:
        for value in _PROBES:
            inputs = _ProbedInputs(np.array(value, dtype=np.float32))
            values.append([evaluate(attribute, inputs, time)[:3] for attribute in (base, other)])
            images += inputs.images
        found = np.array(values, dtype=np.float64)
    except (ObjectError, ValueError, LookupError):
        return None
    if not images or not all(_reads_alike(read, images[0]) for read in images) or found.shape[2:] != (3,):
        return None
    theirs, ours = found.swapaxes(0, 1)
    spans = [np.ptp(side, axis=0) for side in (theirs, ours)]
    if not np.isfinite(found).all() or min(spans[0]) < _LEAST_SPAN:
        return None
    steps = ((ours - ours.mean(0)) * (theirs - theirs.mean(0))).sum(0) / (theirs - theirs.mean(0)).var(0)
    scale = steps / len(_PROBES)
    bias = (ours - scale * theirs).mean(0)
    if not scale.any() or np.abs(scale * theirs + bias - ours).max() > _SAME:
        return None
    numbers = [round(float(number), 6) for number in (*scale, *bias)]
    return Stylized((numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5]))


def _reads_alike(read: ImageRead, other: ImageRead) -> bool:
    return (
        (read.resolved_path, read.wrap, read.color_space, read.placement.primvar)
        == (other.resolved_path, other.wrap, other.color_space, other.placement.primvar)
    ) and read.placement.equals(other.placement)


def _texture(read: ImageRead, start: Float32, steps: Float32) -> SourceInput:
    """start: (n,) the value of black. steps: (4, n), what each channel of the image adds to it."""
    scale, bias = np.ones(4), np.zeros(4)
    if len(start) == 1:
        channels = np.flatnonzero(np.abs(steps[:, 0]) > 1e-6)
        if len(channels) != 1:
            return Untraced("it is mixed of several channels of an image.")
        output = "rgba"[channels[0]]
        scale[channels[0]], bias[channels[0]] = steps[channels[0], 0], start[0]
    else:
        diagonal = np.diag(steps[:3, :3])
        if np.abs(steps - np.concatenate([np.diag(diagonal), np.zeros((1, 3))])).max() > 1e-6:
            return Untraced("it mixes the channels of an image.")
        output = "rgb"
        scale[:3], bias[:3] = diagonal, start[:3]
    return Texture(
        file=read.resolved_path,
        srgb=read.color_space == "srgb_texture",
        wrap=read.wrap,
        primvar=read.placement.primvar,
        transform=as_transform(read.placement),
        scale=_four(scale),
        bias=_four(bias),
        output=output,
    )


def _four(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    red, green, blue, alpha = (round(float(value), 6) for value in values)
    return red, green, blue, alpha
