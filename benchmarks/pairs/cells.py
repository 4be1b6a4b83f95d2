"""One pair in one variant: optimised, judged, and kept at once as a JSON line with its pictures."""

import json
import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.baselines import baselines
from benchmarks.judge_network import FeatureNetwork
from benchmarks.pairs.measures import FeatureClusters, line_histogram, overlap, palette_histogram
from benchmarks.paper.cells import Run, picture
from benchmarks.paper.subjects import PaperSubject
from benchmarks.scores import judge, judged_pictures, quality, style_rows
from usdstylize import optimize, render
from usdstylize.config.method import Method
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.errors import OptionsError, UsdStylizeError
from usdstylize.losses.objective import cover_crop
from usdstylize.model.objects import Losses, StyleSet

__all__ = [
    "Made",
    "Measuring",
    "Settings",
    "Variant",
    "made_by",
    "parse_values",
    "parse_variant",
    "run_pairs",
]

Float32 = NDArray[np.float32]
Array = NDArray[Any]
Values = Mapping[str, Any]

_PICTURE = 192
_VIEW_WIDTH = 2 * math.tan(math.radians(45.0) / 2) * 2.5
"""What the judge's cameras see at the middle of the object, in radii, over 512 pixels."""
_JUDGE_SIDE = 512
_LINE_VIEWS = slice(0, 24, 4)
_INSIDE = 0.99
_EVERY = 4
"""Pixels of which one's colour counts."""
_WARM = 10
"""Iterations that are not timed: they record graphs, and wait for what is set up."""


@dataclass(frozen=True)
class Variant:
    """name: heads its columns. method: fields of `Method` over those of the preset."""

    name: str
    method: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """A T_S (H, W, 3) and how it came about; ms: of an iteration."""

    texture: Float32
    iterations: int = 0
    ms: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class Settings:
    """What all pairs share. share: (i, n), the pairs whose number is i by the remainder of n."""

    run: Run
    out: Path
    seeds: Sequence[int] = (0,)
    variants: Sequence[Variant] = (Variant("plain"),)
    share: tuple[int, int] = (0, 1)
    pattern_width: float = 0.0
    """Of the object's diameter; 0: whole-object framing."""
    rivals: bool = False
    """Measure the rivals of `benchmarks.baselines`, too, each as a variant of its name."""


def parse_variant(text: str) -> Variant:
    """``name:field=value,field=value``; fields are `Method`'s, a pair's numbers are parted by ``/``.

    Raises OptionsError.
    """
    name, _, rest = text.partition(":")
    if not name:
        raise OptionsError(f"The variant {text!r} has no name; give name:field=value,field=value.")
    return Variant(name, parse_values(rest))


def parse_values(text: str) -> dict[str, Any]:
    """``field=value,field=value`` as values of `Method`. Raises OptionsError."""
    known, found = vars(PRESETS["standard"]), {}
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key not in known or key in ("encoder", "content_encoder", "seed"):
            raise OptionsError(
                f"{key!r} is no field that a variant may set; give one of Method's, and encoder and seeds by "
                "their own options."
            )
        try:
            found[key] = _parsed(value, known[key])
        except ValueError as error:
            raise OptionsError(
                f"{part!r} holds no value of the kind of {known[key]!r}; correct it."
            ) from error
    return found


def _parsed(text: str, like: Any) -> Any:
    if isinstance(like, bool):
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    if isinstance(like, tuple):
        parts = [part for part in text.split("/") if part]
        numbers = tuple(int(part) if _integers(like) else float(part) for part in parts)
        return numbers * 2 if like and len(numbers) == 1 else numbers
    return type(like)(text)


def _integers(like: tuple[Any, ...]) -> bool:
    """An empty one is `texture_hierarchy`'s."""
    return all(isinstance(part, int) for part in like)


def run_pairs(
    subjects: Sequence[PaperSubject],
    styles: Sequence[StyleSet],
    settings: Settings,
    make: Callable[[PaperSubject, StyleSet, Method, Run], Made] | None = None,
) -> int:
    """Every cell of this share that no line in ``out`` has yet; returns how many were made.

    The lines go to ``cells-I-of-N.jsonl``, pictures to ``pictures/``. A cell that fails is a line with its
    reason, and is tried again by another run. make: instead of the product's optimisation.
    """
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "pictures").mkdir(exist_ok=True)
    share, count = settings.share
    path = settings.out / f"cells-{share}-of-{count}.jsonl"
    done, made = _done(settings.out), 0
    pairs = [(subject, style) for style in styles for subject in subjects]
    variants = [*settings.variants, *(Variant(f"={name}") for name in (_RIVALS if settings.rivals else ()))]
    kept: dict[int, Measuring] = {}
    for seed in settings.seeds:
        for subject, style in pairs[share::count]:
            for variant in variants:
                key = (subject.name, style.name, variant.name, seed)
                if key in done or time.monotonic() > settings.run.until:
                    continue
                if id(style) not in kept:
                    kept[id(style)] = Measuring(style, settings.run)
                line = _cell(subject, style, variant, seed, settings, kept[id(style)], make or made_by)
                with path.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(_short(line), flush=True)
                made += 1
    return made


_RIVALS = ("original", "recolour", "noise", "style by UV")


def _done(out: Path) -> set[tuple[str, str, str, int]]:
    lines = [json.loads(text) for path in out.glob("cells-*.jsonl") for text in path.read_text().splitlines()]
    return {(x["subject"], x["style"], x["variant"], x["seed"]) for x in lines if "missing" not in x}


def _short(line: Values) -> str:
    head = f"{line['subject']}, {line['style']}, {line['variant']}, seed {line['seed']}: "
    if "missing" in line:
        return head + str(line["missing"])
    keys = ("quality", "half_quality", "variety", "palette", "lines", "ms")
    shown = [f"{key} {line[key]:.2f}" for key in keys if line.get(key) is not None]
    return head + "  ".join(shown) + f"  fails {', '.join(line.get('failed', [])) or 'nothing'}"


def _cell(
    subject: PaperSubject,
    style: StyleSet,
    variant: Variant,
    seed: int,
    settings: Settings,
    measuring: "Measuring",
    make: Callable[[PaperSubject, StyleSet, Method, Run], Made],
) -> dict[str, Any]:
    method = method_of(subject, variant, seed, settings)
    line: dict[str, Any] = {
        "subject": subject.name, "style": style.name, "variant": variant.name, "seed": seed,
        "encoder": method.encoder, "set": dict(variant.method),
    }  # fmt: skip
    try:
        return line | _numbers(subject, style, variant, method, settings, measuring, make)
    except Exception as error:  # the other cells go on
        if not isinstance(error, UsdStylizeError):
            traceback.print_exc()
        return line | {"missing": str(error) or type(error).__name__}


def _numbers(
    subject: PaperSubject,
    style: StyleSet,
    variant: Variant,
    method: Method,
    settings: Settings,
    measuring: "Measuring",
    make: Callable[[PaperSubject, StyleSet, Method, Run], Made],
) -> dict[str, Any]:
    run, started = settings.run, time.perf_counter()
    if variant.name.startswith("="):
        texture = baselines(subject.data, style, subject.object.wrap)[variant.name[1:]]
        made = Made(np.ascontiguousarray(texture, np.float32))
    else:
        made = make(subject, style, method, run)
    found: dict[str, Any] = {"seconds": round(time.perf_counter() - started, 2), "ms": made.ms}
    found |= {"iterations": made.iterations, "coverage": made.coverage}
    if run.judge is not None:
        scores = judge(subject.data, made.texture, style, run.judge, wrap=subject.object.wrap)
        found |= asdict(scores) | {"failed": [name for name, good in scores.gates.items() if not good]}
    found |= measuring.of(subject, made.texture, _pixel(subject, method), method.resolution)
    name = "_".join((subject.name, style.name, variant.name, str(method.seed)))
    found["picture"] = f"pictures/{name.replace('=', '').replace(' ', '_')}.jpg"
    Image.fromarray(_pictures(subject, made.texture, run)).save(settings.out / found["picture"], quality=88)
    return found


def method_of(subject: PaperSubject, variant: Variant, seed: int, settings: Settings) -> Method:
    """The preset's method with the run's, then the variant's values."""
    run = settings.run
    method = resolve(replace(run.options, seed=seed), cuda=run.device.startswith("cuda"))
    assert {f.name for f in fields(Method)} >= {*run.method, *variant.method}
    if settings.pattern_width:
        width = settings.pattern_width * 2 * radius(subject)
        method = replace(method, pattern_width=width)
    return replace(method, **{**run.method, **variant.method})


def radius(subject: PaperSubject) -> float:
    """Of the sphere that bounds an object, metres."""
    return float(render.assemble([subject.object], [subject.data]).radius)


def made_by(subject: PaperSubject, style: StyleSet, method: Method, run: Run) -> Made:
    """The product's optimisation."""
    times: list[tuple[int, float]] = []

    def reported(number: int, losses: Losses) -> None:
        if number >= _WARM:
            times.append((number, time.perf_counter()))

    optimizer = optimize.Optimizer(style, method, run.device, weights=run.options.weights)
    found = optimizer.optimize([subject.object], [subject.data], on_iteration=reported)[0]
    ms = None
    if len(times) > 1:
        (first, began), (last, ended) = times[0], times[-1]
        ms = round(1e3 * (ended - began) / (last - first), 3)
    return Made(found.images[0], found.iterations, ms, found.coverage)


def _pixel(subject: PaperSubject, method: Method) -> float:
    """What a pixel of the encoder spans on the object, in pixels of the judge."""
    if method.pattern_width:
        radii = method.pattern_width / method.resolution / radius(subject)
    else:
        tangent = math.tan(math.radians(method.field_of_view) / 2)
        radii = 2 * tangent * float(np.mean(method.camera_distance)) / method.resolution
    return radii / (_VIEW_WIDTH / _JUDGE_SIDE)


class Measuring:
    """Variety, palette occupancy and lines of renders, against one style; what is the style's is kept."""

    def __init__(self, style: StyleSet, run: Run) -> None:
        self._style, self._run = style, run
        self._clusters = None if run.judge is None else FeatureClusters(style_rows(style, run.judge)[0])
        pixels = [cover_crop(image.pixels, _JUDGE_SIDE) for image in style.images]
        halves = (
            [part[:, : part.shape[1] // 2] for part in pixels],
            [p[:, p.shape[1] // 2 :] for p in pixels],
        )
        whole, *half = (
            palette_histogram(np.concatenate([part.reshape(-1, 3) for part in parts]), style.palette)
            for parts in (pixels, *halves)
        )
        self._palette, self._palette_halves = whole, overlap(*half)
        self._lines: dict[int, tuple[Array, float]] = {}
        self._originals: dict[Any, float] = {}

    def of(self, subject: PaperSubject, texture: Float32, pixel: float, resolution: int) -> dict[str, float]:
        """variety, palette and lines, and what the style's own halves have of the latter two."""
        found: dict[str, float] = {}
        wrap, device = subject.object.wrap, self._run.device
        if self._clusters is not None and self._run.judge is not None:
            lit, mask = judged_pictures(subject.data, texture, device, lit=True, wrap=wrap)
            found["variety"] = self._clusters.used(_inner_rows(lit, mask, self._run.judge))
        unlit, mask = judged_pictures(subject.data, texture, device, lit=False, wrap=wrap)
        colors = unlit.permute(0, 2, 3, 1)[mask[:, 0] > 0][::_EVERY].cpu().numpy()
        found["palette"] = overlap(palette_histogram(colors, self._style.palette), self._palette)
        found["palette_halves"] = self._palette_halves
        # Both at the coarser of the two pixels, so that nothing is enlarged.
        scale = max(1.0, pixel)
        shown = round(_JUDGE_SIDE / scale)
        style, halves = self._lines_of_style(round(resolution * pixel / scale))
        key = (subject.name, shown, style[0].tobytes())
        if key not in self._originals:
            plain, _ = judged_pictures(subject.data, None, device, lit=False, wrap=wrap)
            self._originals[key] = overlap(_lines(plain, mask, shown), style)
        raw = overlap(_lines(unlit, mask, shown), style)
        found |= {"lines": quality(-raw, -self._originals[key], -halves), "lines_overlap": raw}
        return found

    def _lines_of_style(self, side: int) -> tuple[Array, float]:
        if side not in self._lines:
            images = [cover_crop(image.pixels, side) for image in self._style.images]
            parts = [[i[:, : side // 2] for i in images], [i[:, side // 2 :] for i in images]]
            halves = overlap(*(line_histogram(part) for part in parts))
            self._lines[side] = line_histogram(images), halves
        return self._lines[side]


def _lines(images: Tensor, masks: Tensor, side: int) -> Array:
    images, masks = images[_LINE_VIEWS], masks[_LINE_VIEWS].float()
    if side != images.shape[2]:
        images = F.interpolate(images, (side, side), mode="area")
        masks = F.interpolate(masks, (side, side), mode="area")
    inside = (masks[:, 0] > _INSIDE).cpu().numpy()
    return line_histogram(list(images.permute(0, 2, 3, 1).cpu().numpy()), list(inside))


def _inner_rows(images: Tensor, masks: Tensor, network: FeatureNetwork) -> Tensor:
    """The judge's features (M, C) at positions well inside the object."""
    features = network(images)
    share = F.adaptive_avg_pool2d(masks.float(), (features.shape[2], features.shape[3]))
    inside = -F.max_pool2d(-share, 3, 1, 1)
    return features.permute(0, 2, 3, 1)[inside[:, 0] > _INSIDE]


def _pictures(subject: PaperSubject, texture: Float32, run: Run) -> NDArray[np.uint8]:
    """(192, 384, 3): the object from the front and from behind."""
    small = replace(run, picture_side=_PICTURE)
    mesh = subject.data.mesh
    turned = replace(mesh, points=mesh.points * (-1, 1, -1), normals=mesh.normals * (-1, 1, -1))
    turned = replace(
        turned, points=turned.points.astype(np.float32), normals=turned.normals.astype(np.float32)
    )
    behind = replace(subject, data=replace(subject.data, mesh=turned))
    return np.concatenate([picture(one, texture, small) for one in (subject, behind)], axis=1)
