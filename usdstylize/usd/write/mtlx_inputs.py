"""What a MaterialX surface says besides its colour, in the words of a UsdPreviewSurface.

A constant graph becomes a value. A graph that hands on one image, with at most a factor and an
offset on each channel, becomes a texture with scale and bias; that is found by evaluating the
graph on a few known codes, whatever its nodes are.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from usdstylize.errors import MaterialError, ObjectError
from usdstylize.imaging.encoding import linear_to_srgb
from usdstylize.model.affine_uvs import Placement, as_transform
from usdstylize.usd.shading.evaluate import ImageRead, evaluate
from usdstylize.usd.shading.inputs import producer, producing_shader, shader_id
from usdstylize.usd.shading.materialx import BASE_INPUTS, PLAIN_SPACES
from usdstylize.usd.shading.source_inputs import Constant, SourceInput, Texture, Untraced

__all__ = ["read_mtlx_inputs"]

Float32 = NDArray[np.float32]
Read = Callable[[str, float], Float32]
"""An input of the surface by its name and default, (components,)."""
Lobe = Callable[[Read], Float32]

_PREVIEW_DEFAULTS = {
    "metallic": 0.0,
    "roughness": 0.5,
    "clearcoat": 0.0,
    "clearcoatRoughness": 0.01,
    "opacity": 1.0,
    "opacityThreshold": 0.0,
    "ior": 1.5,
    "occlusion": 1.0,
    "emissiveColor": 0.0,
    "useSpecularWorkflow": 0,
}
_COLORS = ("emissiveColor", "specularColor")
_PROBE = 0.5


def _plain(name: str, default: float) -> Lobe:
    return lambda read: read(name, default)


def _one(read: Read) -> Float32:
    return np.ones(1, dtype=np.float32)


def _alpha(read: Read) -> Float32:
    return read("alpha", 1.0) if read("alpha_mode", 0.0)[0] else np.ones(1, dtype=np.float32)


def _cutoff(read: Read) -> Float32:
    masked = read("alpha_mode", 0.0)[0] == 1
    return read("alpha_cutoff", 0.5) if masked else np.zeros(1, dtype=np.float32)


_STANDARD: dict[str, Lobe] = {
    "metallic": _plain("metalness", 0.0),
    "roughness": _plain("specular_roughness", 0.2),
    "clearcoat": _plain("coat", 0.0),
    "clearcoatRoughness": _plain("coat_roughness", 0.1),
    "ior": _plain("specular_IOR", 1.5),
    "opacity": _plain("opacity", 1.0),
    "emissiveColor": lambda read: read("emission", 0.0) * read("emission_color", 1.0),
}
_OPEN_PBR: dict[str, Lobe] = {
    "metallic": _plain("base_metalness", 0.0),
    "roughness": _plain("specular_roughness", 0.3),
    "clearcoat": _plain("coat_weight", 0.0),
    "clearcoatRoughness": _plain("coat_roughness", 0.0),
    "ior": _plain("specular_ior", 1.5),
    "opacity": _plain("geometry_opacity", 1.0),
    "emissiveColor": lambda read: read("emission_luminance", 0.0) * read("emission_color", 1.0),
}
_GLTF: dict[str, Lobe] = {
    "metallic": _plain("metallic", 1.0),
    "roughness": _plain("roughness", 1.0),
    "clearcoat": _plain("clearcoat", 0.0),
    "clearcoatRoughness": _plain("clearcoat_roughness", 0.0),
    "ior": _plain("ior", 1.5),
    "opacity": _alpha,
    "opacityThreshold": _cutoff,
    "occlusion": _plain("occlusion", 1.0),
    "emissiveColor": lambda read: read("emissive", 0.0) * read("emissive_strength", 1.0),
}
_SAME: dict[str, Lobe] = {name: _plain(name, float(value)) for name, value in _PREVIEW_DEFAULTS.items()}
_SAME["specularColor"] = _plain("specularColor", 0.0)
_LOBES = {
    "ND_standard_surface_surfaceshader": _STANDARD,
    "ND_standard_surface_surfaceshader_100": _STANDARD,
    "ND_open_pbr_surface_surfaceshader": _OPEN_PBR,
    "ND_gltf_pbr_surfaceshader": _GLTF,
    "ND_UsdPreviewSurface_surfaceshader": _SAME,
}
_SPECULAR = {"ND_open_pbr_surface_surfaceshader": "specular_weight"}
"""The weight of highlights, where it is not called ``specular``."""
_NORMALS = {"ND_open_pbr_surface_surfaceshader": "geometry_normal"}
_BEYOND = ("transmission", "transmission_weight", "subsurface", "subsurface_weight", "sheen", "fuzz_weight")
"""Weights of lobes that a UsdPreviewSurface does not have."""


def read_mtlx_inputs(
    surface: UsdShade.Shader, time: Usd.TimeCode, *, preview: bool
) -> tuple[float, Mapping[str, SourceInput], list[str]]:
    """The weight on the base colour, every other input by its name on a UsdPreviewSurface, remarks.

    preview: whether the other inputs are asked for; else there are none.
    """
    remarks: list[str] = []
    weight = 1.0
    name = BASE_INPUTS[shader_id(surface)].weight
    if name is not None:
        found = _trace(surface, _plain(name, 1.0), time, gray=True)
        if isinstance(found, Constant):
            weight = float(found.value)
        else:
            remarks.append(
                f"The preview network leaves out inputs:{name} of {surface.GetPath()}, which no value gives."
            )
    if not preview:
        return weight, {}, remarks
    lobes = dict(_LOBES[shader_id(surface)])
    own = _LOBES[shader_id(surface)] is not _SAME
    if own and _trace(surface, _specular(surface), time, gray=False) not in _UNSCALED:
        if _shows_highlight(surface, time):
            lobes |= {"useSpecularWorkflow": _one, "specularColor": _highlight(surface)}
        else:
            remarks.append(
                f"The preview network leaves out the weight and tint of highlights of {surface.GetPath()}; "
                "it can follow plain values on what is no metal."
            )
    inputs: dict[str, SourceInput] = {}
    for target, lobe in lobes.items():
        traced = _trace(surface, lobe, time, gray=target not in _COLORS)
        if isinstance(traced, Untraced):
            remarks.append(f"The preview network leaves {target} at its default: {traced.reason}")
        elif traced != Constant(_PREVIEW_DEFAULTS.get(target)):
            inputs[target] = _typed(target, traced)
    normal = _normal(surface, time)
    if isinstance(normal, Untraced):
        remarks.append(f"The preview network has no normal map: {normal.reason}")
    elif normal is not None:
        inputs["normal"] = normal
    for beyond in _BEYOND:
        if surface.GetInput(beyond) and _trace(surface, _plain(beyond, 0.0), time, gray=True) != Constant(
            0.0
        ):
            remarks.append(f"The preview network has nothing for inputs:{beyond} of {surface.GetPath()}.")
    return weight, inputs, remarks


def _typed(target: str, value: SourceInput) -> SourceInput:
    if isinstance(value, Constant) and target == "useSpecularWorkflow":
        return Constant(int(value.value == 1))
    if isinstance(value, Constant) and target in _COLORS and not isinstance(value.value, tuple):
        return Constant((value.value,) * 3)
    return value


def _shows_highlight(surface: UsdShade.Shader, time: Usd.TimeCode) -> bool:
    """Whether the specular workflow, which alone scales and tints highlights, says the same."""
    metal = _trace(surface, _LOBES[shader_id(surface)]["metallic"], time, gray=True)
    scaled = _trace(surface, _specular(surface), time, gray=False)
    return metal == Constant(0.0) and isinstance(scaled, Constant)


_UNSCALED = (Constant(1.0), Constant((1.0, 1.0, 1.0)))


def _specular(surface: UsdShade.Shader) -> Lobe:
    weight = _SPECULAR.get(shader_id(surface), "specular")
    return lambda read: read(weight, 1.0) * read("specular_color", 1.0)


def _highlight(surface: UsdShade.Shader) -> Lobe:
    ior = _LOBES[shader_id(surface)]["ior"]
    specular = _specular(surface)

    def reflected(read: Read) -> Float32:
        index = ior(read)
        color: Float32 = ((index - 1) / (index + 1)) ** 2 * specular(read) * np.ones(3, dtype=np.float32)
        return color

    return reflected


def _normal(surface: UsdShade.Shader, time: Usd.TimeCode) -> SourceInput | None:
    """A normal map as UsdPreviewSurface reads it: tangent space, -1..1."""
    name = _NORMALS.get(shader_id(surface), "normal")
    attribute = producer(surface, name)
    node = None if attribute is None else producing_shader(attribute)
    if node is None:
        return None
    if shader_id(surface) == "ND_UsdPreviewSurface_surfaceshader":
        return _trace(surface, _plain(name, 0.0), time, gray=False)
    if not shader_id(node).startswith("ND_normalmap"):
        return Untraced(f"{node.GetPath()} ({shader_id(node)}) feeds it, which is no ND_normalmap.")

    def unpacked(read: Read) -> Float32:
        scale = np.ones(3, dtype=np.float32)
        scale[:2] = read("scale", 1.0)
        return (read("in", 0.5) * 2 - 1) * scale

    return _trace(node, unpacked, time, gray=False)


class _Probe:
    """Surroundings in which every image has one known value."""

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


def _trace(shader: UsdShade.Shader, lobe: Lobe, time: Usd.TimeCode, *, gray: bool) -> SourceInput:
    """A lobe as a value or as one texture with scale and bias."""

    def probe(*value: float) -> tuple[Float32, list[ImageRead]]:
        surroundings = _Probe(np.array(value, dtype=np.float32))

        def read(name: str, default: float) -> Float32:
            attribute = producer(shader, name)
            if attribute is None:
                return np.full(1, default, dtype=np.float32)
            return evaluate(attribute, surroundings, time)

        found = lobe(read)
        return (found[..., :1] if gray else found), surroundings.images

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
    one = all(
        (read.resolved_path, read.wrap, read.color_space, read.placement.primvar)
        == (first.resolved_path, first.wrap, first.color_space, first.placement.primvar)
        and read.placement.equals(first.placement)
        for read in images
    )
    known = first.color_space in PLAIN_SPACES
    if not one or not known or not np.allclose(half, start + _PROBE * steps.sum(axis=0), atol=1e-5):
        return Untraced("what feeds it is more than one image with a factor and an offset.")
    return _texture(first, start, steps)


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
