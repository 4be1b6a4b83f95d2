"""The step on one CUDA GPU against its floor and against the straightforward version, and what it costs.

python -m benchmarks.gpu --stage STAGE --prim PATH --style IMAGE … --weights DIR --out DIR

Prints the ceilings that it measured, the step's floor, its time with one and with eight style
images, the straightforward float32 step's time, memory, and where the time goes. With VGG16's
real weights: bfloat16 against float32, and the plateau against the fixed count, by the judge.
CLIP's weights are random where the real ones are not found; the table says so.

The floor is the sum over the networks' convolutions (see `benchmarks.network_layers`), the matching and
the texture, each the larger of its operations over the measured rate of a bf16 matrix product
and of its bytes, moved once, over the measured rate of a copy.
"""

import gc
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
from cyclopts import App, Parameter
from torch import Tensor

from benchmarks import gpu_clock, network_layers, plain_networks
from benchmarks.plain_step import PlainStep
from usdstylize import styles
from usdstylize.config.method import Method
from usdstylize.config.options import Options, StageOptions
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.encoders import loading
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.errors import WeightsError
from usdstylize.losses import objective
from usdstylize.losses.batch import Target
from usdstylize.model.objects import ObjectData, StageObject, StyleSet
from usdstylize.optimize import Optimizer, run
from usdstylize.optimize.devices import computing
from usdstylize.optimize.schedule import weights_at
from usdstylize.optimize.step import Step
from usdstylize.optimize.steps import new_step

__all__ = ["Asset", "Bench", "clip_or_random", "main", "read_asset", "timed"]

STEP_GOAL = 2.0
"""Times the floor."""
EIGHT_GOAL = 1.15
"""Eight style images over one."""
PEER_GOAL = 5.0
"""Times faster than the straightforward step."""
MEMORY_GOAL = 6.0
"""GB at the paper's settings."""

_POOL = 256
_ITERATIONS = 32
"""Done before the time is taken; the batches of these are what it is taken with."""

app = App(name="benchmarks.gpu", help="The step on one GPU.")


@dataclass(frozen=True)
class Asset:
    """One object and a style."""

    obj: StageObject
    data: ObjectData
    style: StyleSet


def read_asset(path: Path, prim: str, images: Sequence[Path], method: Method) -> Asset:
    from usdstylize.usd import read

    contents = read.discover(path, StageOptions(mask=(prim,)))
    (obj,) = contents.objects
    style = styles.from_files(
        images[0].stem,
        tuple(images),
        palette=None,
        clusters=method.palette_clusters,
        seed=0,
        read=Path.read_bytes,
    )
    return Asset(obj, read.load(contents, obj), style)


def clip_or_random(weights: Path | None) -> tuple[AbstractContextManager[Any], str]:
    """A patch that lets the product run with random CLIP weights where there are no real ones."""
    real = loading.load_encoder
    try:
        real("clip-rn50", device="cpu", dtype=torch.float32, folder=weights)
        return patch.object(objective, "load_encoder", real), "real"
    except WeightsError:
        state = plain_networks.clip_weights()

        def load(name: str, *, device: str, dtype: torch.dtype, folder: Path | None, bn_relu: bool) -> Any:
            if name != "clip-rn50":
                return real(name, device=device, dtype=dtype, folder=folder, bn_relu=bn_relu)  # type: ignore[arg-type]
            model = ClipResNet50(bn_relu=bn_relu, state=state).eval().requires_grad_(False)
            return model.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

        return patch.object(objective, "load_encoder", load), "random"


class Bench:
    """A step as the optimiser makes it, with its views, after a few iterations."""

    def __init__(self, asset: Asset, method: Method, weights: Path | None, *, device: str = "cuda") -> None:
        self.method = replace(method, iterations=_ITERATIONS, plateau=False)
        optimiser = Optimizer(asset.style, self.method, device, weights=weights)
        made: list[Step] = []
        batches: list[Sequence[Target]] = []

        def spied(*given: Any, **named: Any) -> Step:
            if device != "cpu":
                self.pool_peak, self.pool_size = peak(), torch.cuda.memory_allocated() / 2**30
                torch.cuda.reset_peak_memory_stats()
            made.append(new_step(*given, **named))
            called = type(made[0]).__call__

            def remember(step: Step, targets: Sequence[Target], *rest: Any) -> Tensor:
                batches.append(targets)
                if not self.method.view_pool:  # else the pool holds them anyway
                    del batches[:-2]
                return called(step, targets, *rest)

            stack.enter_context(patch.object(type(made[0]), "__call__", remember))
            return made[0]

        with ExitStack() as stack:
            stack.enter_context(patch.object(run, "new_step", spied))
            (texture,) = optimiser.optimize([asset.obj], [asset.data])
        self.seconds = texture.stages or {}
        if device != "cpu":
            torch.cuda.synchronize()
        self.step, self._batches, self._number = made[0], batches, 0
        self.objective = self.step._objective

    def next(self) -> Sequence[Target]:
        self._number += 1
        return self._batches[self._number % len(self._batches)]

    def run(self) -> Tensor:
        weights = weights_at(self.objective.terms, self.method, 0.0)
        return self.step(self.next(), self.method.learning_rate[0], weights)

    def matching_floor(self, operations: float, moved: float) -> float:
        """Milliseconds: each map's product of its rows and keys, and its bytes in bf16, read and written."""
        batch = self.objective.join(self.next())
        total = 0.0
        for keys, stride in zip(
            self.objective.style.keys, self.objective._style_encoder.strides, strict=True
        ):
            rows = len(batch.positions[stride].rows)
            count, channels = keys.shape
            bytes_moved = 2 * (count * channels + 3 * rows * channels)
            total += max(2 * rows * count * channels / operations, bytes_moved / moved)
        for original in batch.original:
            total += 2 * 3 * original.numel() / moved
        return 1e3 * total

    def texture_floor(self, moved: float) -> float:
        """Milliseconds: Adam's four float32 values per texel read and three written, the mip table
        written and its gradient read, and what each pixel of the object needs, forward and backward."""
        batch = self.objective.join(self.next())
        texels = self.step.texture.numel()
        table = texels * 4 / 3
        pixels = len(batch.views.pixels) * (8 * 8 + 8 + 5 * 4) * 2
        images = 2 * batch.views.count * 3 * batch.views.resolution**2 * 4 * 2
        return 1e3 * (4 * (7 * texels + 2 * table) + pixels + images) / moved


def timed(work: Callable[[], object], count: int = 60) -> float:
    """Milliseconds of one, the median over runs of ten, after a warm-up."""
    for _ in range(12):
        work()
    torch.cuda.synchronize()
    found = []
    for _ in range(count // 10):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(10):
            work()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 10)
    return statistics.median(found)


def peak() -> float:
    """GB, at most, since the last reset."""
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 2**30


def measure_step(
    asset: Asset, eight: Asset, weights: Path | None, operations: float, moved: float
) -> list[tuple[str, float, str]]:
    """Rows of the table: name, value, unit or goal."""
    method = replace(PRESETS["standard"], visibility="z-buffer", plateau=False)
    rows: list[tuple[str, float, str]] = []
    with computing("cuda"):
        rows += _one_style(asset, method, weights, operations, moved)
        step, memory = rows[-2][1], rows[-1][1]
        many = _fresh(eight, method, weights)
        of_eight = timed(many.run)
        rows += [
            (f"step, {len(eight.style.images)} style images, ms", of_eight, ""),
            ("over one", of_eight / step, f"≤ {EIGHT_GOAL}"),
            ("more memory, GiB", max(peak(), many.pool_peak) - memory, "≤ 0.3"),
        ]
        del many
        many = _fresh(asset, replace(PRESETS["paper"], visibility="z-buffer"), weights)
        rows.append(("peak memory, paper, GiB", max(peak(), many.pool_peak), f"≤ {MEMORY_GOAL}"))
        del many
        many = _fresh(asset, replace(method, precision="float32"), weights)
        rows.append(("step, float32, ms", timed(many.run, 20), ""))
        rows.append(("peak memory, float32, GiB", max(peak(), many.pool_peak), ""))
        targets = many.next()
    del many
    plain = plain_step(asset, method, weights)
    originals = plain.originals(targets)
    peer = timed(lambda: plain(targets, originals), 20)
    rows += [
        ("straightforward step, float32, ms", peer, ""),
        ("faster than it", peer / step, f"≥ {PEER_GOAL}"),
    ]
    return rows


def _fresh(asset: Asset, method: Method, weights: Path | None) -> Bench:
    """A step alone on the device, its memory counted from here."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return Bench(asset, method, weights)


def _one_style(
    asset: Asset, method: Method, weights: Path | None, operations: float, moved: float
) -> list[tuple[str, float, str]]:
    """The floor and the step; the last two rows are its time and its memory."""
    bench = _fresh(asset, method, weights)
    step, memory = timed(bench.run), max(peak(), bench.pool_peak)
    again = timed(bench.run)
    gpu_clock.profile(bench.run)
    images = torch.rand(method.batch, 3, method.resolution, method.resolution, device="cuda")
    images = images.contiguous(memory_format=torch.channels_last)
    networks = sum(
        layer.floor(operations, moved)
        for network in (bench.objective._style_encoder, bench.objective._content_encoder)
        for layer in network_layers.layers(network, images, None)  # type: ignore[arg-type]
    )
    matching, texture = bench.matching_floor(operations, moved), bench.texture_floor(moved)
    floor = networks + matching + texture
    return [
        *((f"{_ITERATIONS} iterations: {name}, s", spent, "") for name, spent in bench.seconds.items()),
        ("peak memory before the first iteration, GiB", bench.pool_peak, ""),
        (f"of it views and their targets ({_POOL}), style, networks, GiB", bench.pool_size, ""),
        ("floor: networks, ms", networks, ""),
        ("floor: matching and content, ms", matching, ""),
        ("floor: texture and pictures, ms", texture, ""),
        ("floor, ms", floor, ""),
        ("step over floor", step / floor, f"≤ {STEP_GOAL}"),
        ("step, one style image, again, ms", again, ""),
        ("step, one style image, ms", step, ""),
        ("peak memory, one style image, GiB", memory, f"≤ {MEMORY_GOAL}"),
    ]


def plain_step(asset: Asset, method: Method, weights: Path | None) -> PlainStep:
    images = [
        torch.from_numpy(objective.cover_crop(image.pixels, method.resolution)).permute(2, 0, 1).cuda()
        for image in asset.style.images
    ]
    clip = plain_networks.PlainClip(plain_networks.clip_weights()).cuda()
    vgg = plain_networks.PlainVgg16(plain_networks.vgg_weights(weights)).cuda()
    return PlainStep(method, clip, vgg, images, torch.from_numpy(asset.style.palette).cuda())


@app.default
def main(
    *,
    stage_path: Annotated[Path, Parameter(name="--stage")],
    prim: str,
    style: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    weights: Path | None = None,
    out: Path,
) -> int:
    """Print and write the table; 1 where a goal is missed.

    Parameters
    ----------
    style
        At least one image; the first is the single style, all of them the many.
    out
        Folder for gpu.json.
    """
    operations, moved = gpu_clock.rates()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"matrix product {operations / 1e12:.0f} TFLOP/s, copy {moved / 1e12:.2f} TB/s", flush=True)
    method = resolve(Options(preset="standard"), cuda=True)
    one = read_asset(stage_path, prim, style[:1], method)
    eight = read_asset(stage_path, prim, style, method)
    replaced, kind = clip_or_random(weights)
    with replaced:
        rows = measure_step(one, eight, weights, operations, moved)
    print(f"CLIP weights: {kind}; VGG16: {'real' if weights else 'random'}")
    for name, value, goal in rows:
        print(f"{name:40s} {value:9.3f}  {goal}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps({"clip": kind, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(app())
