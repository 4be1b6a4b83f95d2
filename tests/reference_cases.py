"""A tiny scene in which no two things are alike, for the package and for `paper_reference` side by side.

All random numbers are NumPy's, which are the same on every machine.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from unittest import mock

import numpy as np
import paper_reference as reference
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from usdstylize import render
from usdstylize.config.method import Method
from usdstylize.config.options import Options
from usdstylize.config.presets import resolve
from usdstylize.encoders import weights
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.encoders.loading import Encoder, load_encoder
from usdstylize.encoders.vgg16 import Vgg16
from usdstylize.imaging import uv_raster
from usdstylize.losses import objective
from usdstylize.model.base_colors import TextureFile, Transfer, Wrap
from usdstylize.model.objects import Mesh, ObjectData, StageObject, StyleImage, StyleSet
from usdstylize.optimize.schedule import weights_at
from usdstylize.optimize.steps import new_step
from usdstylize.optimize.texels import every_texel, palette_texels

Tensor = torch.Tensor
Chosen = list[tuple[Tensor, Tensor, int]]

RESOLUTION = 32
"""Of a render, in pixels: the least that CLIP takes, since every unit more is a kink more."""
SIZE = 64
"""Of T_S, in texels."""
TERMS = ("nnfm", "content", "palette", "total")
EYES = np.array([[0.5, 0.4, 1.7], [-1.1, 0.7, -2.1], [1.4, -0.6, 1.9], [-0.4, 1.2, 1.5]])
"""The first two, 1.8 and 2.5 radii from the object, stand before and behind it."""
LIGHTS = np.array([[0.5, 2.5, 2.6], [3.9, 0.9, -1.4], [-2.0, 1.5, 2.0], [0.3, 4.0, -0.5]])
"""The first is above its camera, the second far off to the side."""


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# The scene


@dataclass(frozen=True)
class Case:
    """What is compared.

    seed: of random networks and of T_S: one with which no value lies near a kink, see `bend`. linear: T
    is a linear file with scale and bias. precision: in which the package's networks compute.
    """

    preset: str
    encoder: str
    wrap: tuple[Wrap, Wrap]
    seed: int
    linear: bool = False
    precision: str = "float32"


CASES = (
    Case("paper", "draft", ("repeat", "clamp"), 2),
    Case("paper", "vgg16", ("repeat", "clamp"), 2),
    Case("paper", "clip-rn50", ("repeat", "clamp"), 2),
    Case("standard", "draft", ("mirror", "repeat"), 2, linear=True),
    Case("standard", "vgg16", ("mirror", "repeat"), 2, linear=True),
    Case("standard", "clip-rn50", ("mirror", "repeat"), 2, linear=True),
    Case("draft", "draft", ("clamp", "mirror"), 2),
    Case("draft", "vgg16", ("clamp", "mirror"), 2),
    Case("draft", "clip-rn50", ("clamp", "mirror"), 10),
)


def sheet() -> Mesh:
    """A bent sheet of 40 triangles whose UVs are aslant and leave 0..1 on every side."""
    s, t = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 5)))
    points = np.stack([2.1 * s, 1.4 * t + 0.3 * s, 0.7 * np.sin(3.1 * s) + 0.5 * t * t], -1) + 5
    slope = np.stack([-0.9 * np.cos(3.1 * s), -0.6 * t + 0.1, np.ones_like(s)], -1)
    normals = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    uvs = np.stack([1.5 * s + 0.23 * t - 0.37, 1.31 * t - 0.17 * s - 0.11], -1)
    index = np.arange(30).reshape(5, 6)
    a, b, c, d = (x.ravel() for x in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    return Mesh(
        points.astype(np.float32),
        triangles,
        normals.astype(np.float32)[triangles],
        uvs.astype(np.float32)[triangles],
    )


def texture() -> NDArray[np.float32]:
    """48 × 32 values, brighter to the right, redder to the top."""
    y, x = np.mgrid[0:32, 0:48]
    slope = np.stack([0.8 - 0.5 * y / 32, 0.2 + 0.5 * x / 48, 0.4 + 0.01 * x - 0.01 * y], -1)
    return (slope + random(1).uniform(-0.15, 0.15, slope.shape)).astype(np.float32)


def style_texture(seed: int) -> NDArray[np.float32]:
    """64 × 64 signed values, some of which leave 0..1 with T."""
    return random(seed).uniform(-0.4, 0.4, (SIZE, SIZE, 3)).astype(np.float32)


def blocks(
    seed: int, height: int, width: int, low: Sequence[float], high: Sequence[float]
) -> NDArray[np.float32]:
    """Patches of 5 × 5 pixels of random colours, and grain."""
    drawn = random(seed).uniform(low, high, (math.ceil(height / 5), math.ceil(width / 5), 3))
    large = drawn.repeat(5, 0).repeat(5, 1)[:height, :width]
    return (large + random(seed + 1).uniform(-0.1, 0.1, large.shape)).clip(0, 1).astype(np.float32)


def style_set() -> StyleSet:
    """A wide primary image, dark and warm, and a tall one, light and cold."""
    wide = blocks(10, 70, 150, (0.1, 0.0, 0.0), (0.9, 0.5, 0.3))
    tall = blocks(20, 170, 90, (0.1, 0.4, 0.5), (0.5, 1.0, 1.0))
    palette = random(3).uniform(0.05, 0.95, (5, 3)).astype(np.float32)
    images = (StyleImage(Path("wide.png"), wide, ""), StyleImage(Path("tall.png"), tall, ""))
    return StyleSet("blocks", images, palette)


SCALE, BIAS = (0.9, 0.7, 1.1), (0.02, 0.1, -0.03)


def stage_object(case: Case) -> tuple[StageObject, ObjectData]:
    base = TextureFile(
        asset_path="./T.exr",
        resolved_path="/T.exr",
        encoding="linear" if case.linear else "srgb",
        wrap_s=case.wrap[0],
        wrap_t=case.wrap[1],
        size=(48, 32),
        bit_depth="float",
        scale=SCALE if case.linear else (1.0, 1.0, 1.0),
        bias=BIAS if case.linear else (0.0, 0.0, 0.0),
    )
    described = StageObject(
        path="/World/Sheet",
        mesh_path="/World/Sheet",
        name="World__Sheet",
        material_path=None,
        surface="preview",
        surface_path=None,
        base=base,
        uv_primvar="st",
        uv_transform=None,
        triangle_count=40,
    )
    # what is sRGB-encoded is taken as it is
    transfer = base.transfer if case.linear else Transfer()
    return described, ObjectData(sheet(), (texture(),), transfer)


# Networks of random weights


BIAS_SHIFT = 2.0
"""Most units are so far from the kink of their ReLU, where float32 and float64 would part ways."""


def _drawn(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Weights that keep the size of what passes, and batch norms that are far from the identity."""
    generator = random(seed)
    result = {}
    for name, value in state.items():
        normal, uniform = generator.standard_normal(value.shape), generator.uniform(0.5, 1.5, value.shape)
        if value.dim() == 4:
            # they add up to 0, or all features would follow the brightness, and be one feature
            drawn = (normal - normal.mean((1, 2, 3), keepdims=True)) * math.sqrt(2 / value[0].numel())
        elif name.endswith(("running_var", "weight")):
            # little of what each block adds, as sixteen of them add up
            drawn = uniform * (0.3 if name.endswith("bn3.weight") else 1.0)
        else:
            drawn = 0.2 * normal + (1.0 if "bn" in name or "downsample" in name else BIAS_SHIFT)
        result[name] = torch.as_tensor(drawn).to(value.dtype)
    return result


@cache
def network(name: str, seed: int) -> tuple[reference.Encoder, dict[str, Tensor]]:
    """The reference's own, in float64, and the float32 weights that it has."""
    if name == "draft":
        state = load_file(weights.locate("draft", None))
        return reference.draft({key: value.double() for key, value in state.items()}), {}
    module: torch.nn.Module
    if name == "vgg16":
        from torchvision.models import vgg

        module = torch.nn.ModuleDict({"features": vgg.make_layers(vgg.cfgs["D"], batch_norm=False)[:16]})
    else:
        from open_clip.modified_resnet import ModifiedResNet

        module = ModifiedResNet(layers=(3, 4, 6, 3), output_dim=16, heads=32, image_size=64, width=64)
    state = _drawn(module.state_dict(), seed)
    module.load_state_dict(state)
    module = module.double().eval().requires_grad_(False)
    if name == "vgg16":
        return reference.vgg16(module["features"]), state  # type: ignore[index]
    return reference.clip(module), state


def _loader(seed: int) -> Callable[..., Encoder]:
    def load(
        name: str, *, device: str, dtype: torch.dtype, folder: Path | None = None, bn_relu: bool = False
    ) -> Encoder:
        if name == "draft":
            return load_encoder("draft", device=device, dtype=dtype, folder=folder)
        _, state = network(name, seed)
        module: torch.nn.Module
        module = ClipResNet50(state=state) if name == "clip-rn50" else Vgg16(caffe=False, state=state)
        module = module.eval().requires_grad_(False)
        return module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]

    return load


# Both sides


def method_of(case: Case, **changes: object) -> Method:
    """The preset's own, at a size for tests."""
    method = resolve(
        Options(preset=case.preset, encoder=case.encoder, color_start=0.0, variety=0.0), cuda=False
    )  # type: ignore[arg-type]
    small = {"resolution": RESOLUTION, "batch": 2, "texture_resolution": SIZE, "precision": case.precision}
    return dataclasses.replace(method, **{**small, **changes})  # type: ignore[arg-type]


def problem_of(case: Case, keys: Sequence[Tensor] | None = None) -> reference.Problem:
    mesh = sheet()
    double = {name: torch.from_numpy(getattr(mesh, name)).double() for name in ("points", "normals", "uvs")}
    corners = double["points"][torch.from_numpy(mesh.triangles).long()]
    more = {"linear": True, "scale": SCALE, "bias": BIAS} if case.linear else {}
    style = style_set()
    content = "draft" if case.encoder == "draft" else "vgg16"
    return reference.Problem(
        preset=reference.preset(case.preset, case.encoder),
        scene=reference.Scene(
            reference.normalized(corners),
            double["normals"],
            double["uvs"],
            torch.from_numpy(texture()).double(),
            case.wrap,
            **more,  # type: ignore[arg-type]
        ),
        images=[torch.from_numpy(image.pixels).double().permute(2, 0, 1) for image in style.images],
        palette=torch.from_numpy(style.palette).double(),
        encoder=network(case.encoder, case.seed)[0],
        content_encoder=network(content, case.seed)[0],
        smooth=case.encoder == "clip-rn50",
        resolution=RESOLUTION,
        keys=keys,
    )


@cache
def reference_cameras(count: int = 2) -> list[reference.Camera]:
    return [reference.Camera(torch.from_numpy(eye), torch.from_numpy(light)) for eye, light in _looks(count)]


def cameras(count: int = 2) -> list[render.Camera]:
    """The same as `reference_cameras`."""
    return [render.look_at(eye, light, 45.0) for eye, light in _looks(count)]


def _looks(count: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return list(islice(cycle(zip(EYES, LIGHTS, strict=True)), count))


@dataclass(frozen=True)
class Found:
    """Of each term its value, a scalar, and its gradient of T_S (size, size, 3), both float64."""

    values: dict[str, Tensor]
    gradients: dict[str, Tensor]


@dataclass(frozen=True)
class Ours:
    """The package's side. chosen: what its search for representative keys was given, and gave."""

    found: Found
    losses: Tensor
    chosen: Chosen
    covered: Tensor


@contextmanager
def random_networks(seed: int) -> Iterator[Chosen]:
    """The package with random weights; gives, per call, what its choice of style keys is given and gives."""
    chosen: Chosen = []
    choose = objective.representatives

    def representatives(rows: Tensor, count: int, seed: int) -> Tensor:
        found = choose(rows, count, seed)
        chosen.append((rows, found, seed))
        return found

    with (
        mock.patch.object(objective, "load_encoder", _loader(seed)),
        mock.patch.object(objective, "representatives", representatives),
    ):
        yield chosen


def ours(case: Case, *, terms: Sequence[str] = TERMS[:3], **changes: object) -> Ours:
    """The package's terms one by one, and their weighted sum by a whole step. changes: of the method."""
    method = method_of(case, **changes)
    described, data = stage_object(case)
    assembly = render.assemble([described], [data])
    subject = render.Subject(assembly, (SIZE, SIZE), "cpu")
    engine = render.choose_visibility(method.visibility, assembly.mesh.points, assembly.mesh.triangles, "cpu")
    views = render.trace_views(subject, engine, cameras(), method)
    with random_networks(case.seed) as chosen:
        made = objective.Objective(style_set(), method, "cpu", weights=None)
    targets = made.targets(views)
    covered = uv_raster.covered_texels(assembly.uvs_of(0), case.wrap, SIZE)[None]
    if method.palette_everywhere:
        texels = every_texel(subject, covered, "cpu")
    else:
        texels = palette_texels(subject, covered, [float(np.median([view.level for view in views]))], "cpu")
    batch = made.join(targets)
    style = torch.from_numpy(style_texture(case.seed))[None]
    values, gradients = {}, {}
    for name in TERMS[:3]:
        if name not in terms:
            continue
        leaf = style.clone().requires_grad_()
        table = subject.style_table(leaf)
        # a frozen network goes back once, so each term has a pass of its own
        found = made.texture_losses(table, texels) | made.view_losses(batch, table)
        value = found[name]
        (gradient,) = torch.autograd.grad(value, leaf)
        values[name], gradients[name] = value.detach().double(), gradient[0].double()
    step = new_step(made, subject, texels, 1, SIZE)
    with torch.no_grad():
        step.texture.copy_(style)
    losses = step(targets, 0.0, weights_at(made.terms, method, 0.0)).double()
    assert step.texture.grad is not None
    values["total"], gradients["total"] = losses[3], step.texture.grad[0].double()
    return Ours(Found(values, gradients), losses, chosen, torch.stack([view.mask() for view in views]) > 0)


def theirs(case: Case, problem: reference.Problem, noise: float = 0.0, seed: int = 0) -> Found:
    """The reference's. noise: how much is added to T_S, at random."""
    level = reference.view_level(problem, reference_cameras(), SIZE)
    added = noise * random(seed).uniform(-1, 1, (SIZE, SIZE, 3))
    style = (torch.from_numpy(style_texture(case.seed)).double() + torch.from_numpy(added)).requires_grad_()
    each = reference.terms(problem, reference_cameras(), style, level)
    lambdas = (problem.preset.nnfm, problem.preset.content, problem.preset.palette[0])
    gradients = [torch.autograd.grad(term, style, retain_graph=True)[0] for term in each]

    def with_total(terms: Sequence[Tensor]) -> dict[str, Tensor]:
        whole = sum(weight * term for weight, term in zip(lambdas, terms, strict=True))
        return dict(zip(TERMS, (*terms, torch.as_tensor(whole)), strict=True))

    return Found(with_total([term.detach() for term in each]), with_total(gradients))


def differences(found: Found, exact: Found) -> dict[str, tuple[float, float]]:
    """Per term the relative error of the value, and of the gradient, norm over norm."""

    def relative(one: Tensor, other: Tensor) -> float:
        return float((one - other).norm() / other.norm())

    return {
        name: (
            relative(found.values[name], exact.values[name]),
            relative(found.gradients[name], exact.gradients[name]),
        )
        for name in found.values
    }


def bend(case: Case, problem: reference.Problem, exact: Found, noise: float = 1e-5) -> float:
    """How far the gradients are from straight lines along a random change of T_S, the greatest of all terms.

    About 1e-8, but far more where a ReLU, a maximum, a nearest key or colour or a clamp changes sides
    on the way. ``noise`` is some ten times what float32 changes in a pixel: nothing changes sides there.
    """
    one, other = (theirs(case, problem, sign * noise) for sign in (1, -1))
    curved = (one.gradients[name] + other.gradients[name] - 2 * exact.gradients[name] for name in TERMS)
    return max(float(c.norm() / exact.gradients[n].norm()) for c, n in zip(curved, TERMS, strict=True))


def with_keys(problem: reference.Problem, chosen: Chosen) -> reference.Problem:
    """With the same of all style features as the package has chosen, if it has chosen any.

    Which ones those are no formula says: k-means has many ends. Each must be one of the features.
    """
    if not chosen:
        return problem
    every = [layer for image in reference.all_keys(problem) for layer in image]
    picked = []
    for exact, (rows, found, _) in zip(every, chosen, strict=True):
        same = (found[:, None] == rows).all(2)
        assert same.any(1).all()
        picked.append(exact[same.int().argmax(1)])
    layers = len(every) // len(problem.images)
    keys = [torch.cat(picked[layer::layers]) for layer in range(layers)]
    return dataclasses.replace(problem, keys=keys)
