"""The CUDA kernels on a GPU: right against float64 or float32, and their time against a floor.

python -m benchmarks.kernels [search|sweep|rows|paint|matching ...]

Every kernel is checked on fresh random numbers and runs twice for equal bits; then it is timed
inside a captured CUDA graph with a cold L2 cache, the median of many replays, beside the plain
PyTorch version and beside the floor: the larger of its FLOPs over the bf16 rate and its bytes (inputs
read once, outputs written once) over the copy bandwidth, both measured at the start. Exits with 1
where a kernel is wrong or does not run. ``sweep`` times other tile sizes of the search.
"""

import statistics
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from unittest.mock import MagicMock

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from usdstylize.kernels import rows as row_kernels
from usdstylize.kernels import search as search_kernels
from usdstylize.losses import nearest_keys, nnfm_loss, prepare_search, style_keys

__all__ = ["main"]

_REPLAYS = 30
_CLIP_MAPS = ((256, 64, 1), (256, 32, 5), (512, 32, 1), (512, 16, 2))
"""Channels and side of CLIP's maps at 512², and how many there are of each."""
_VIEWS = 8


@dataclass(frozen=True)
class Ceilings:
    """bytes: copied a second, read and written. flops: of a bf16 matrix product a second."""

    bytes: float
    flops: float

    def floor(self, size: float, flops: float = 0.0) -> float:
        """Milliseconds."""
        return 1e3 * max(size / self.bytes, flops / self.flops)


class Report:
    """One table, and whether anything was wrong."""

    def __init__(self) -> None:
        self.failed = False
        self.table = Table("kernel", "shape", "ms", "PyTorch ms", "×", "floor ms", "of floor", "error", "")

    def add(
        self,
        name: str,
        shape: str,
        took: float,
        plain: float | None,
        floor: float,
        error: float,
        goal: float,
        equal: bool = True,
    ) -> None:
        right = error <= goal and equal
        self.failed |= not right
        self.table.add_row(
            name,
            shape,
            f"{took:.3f}",
            "" if plain is None else f"{plain:.3f}",
            "" if plain is None else f"{plain / took:.1f}",
            f"{floor:.3f}",
            f"{floor / took:.0%}",
            f"{error:.1e}",
            "" if right else ("WRONG" if equal else "NOT EQUAL TWICE"),
        )

    @contextmanager
    def case(self, name: str, shape: str = "") -> Iterator[None]:
        """What goes wrong inside is printed and does not end the others."""
        try:
            yield
        except Exception:
            self.failed = True
            traceback.print_exc()
            self.table.add_row(name, shape, "FAILED", "", "", "", "", "", "see above")
        torch.cuda.empty_cache()


def milliseconds(work: Callable[[], object], replays: int = _REPLAYS) -> float:
    """Of ``work`` in a captured graph, the median of replays with a cold cache."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()
    cold = torch.empty(1 << 28, dtype=torch.int8, device="cuda")
    times = []
    for _ in range(replays):
        cold.zero_()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    del kept
    return statistics.median(times)


def measure_ceilings() -> Ceilings:
    source = torch.randn(1 << 28, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * source.nbytes / milliseconds(lambda: target.copy_(source)) * 1e3
    side = 8192
    first, second = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return Ceilings(copied, 2 * side**3 / milliseconds(lambda: first @ second) * 1e3)


def relative(result: Tensor, exact: Tensor) -> float:
    return float((result.double() - exact.double()).norm() / exact.double().norm())


def search_cases() -> list[tuple[int, int, int, bool]]:
    """(M, N, C, with bias): VGG16's conv3 of eight views and CLIP's maps against 1 and 8 images; odd ones."""
    cases = [(40_000, 16_384 * k, 256, False) for k in (1, 8)]
    for channels, side, _count in _CLIP_MAPS:
        cases += [(_VIEWS * side**2, side**2 * k, channels, True) for k in (1, 8)]
    odd = [(512, 16_384, 256, False), (40_000, 16_384, 128, False), (40_000, 16_384, 64, False)]
    return cases + odd + [(1_003, 5_001, 96, True), (17, 3, 64, False)]


def check_search(rows_count: int, keys_count: int, channels: int, biased: bool) -> tuple[float, bool]:
    """Share of wrong indices among whole numbers, whose products are exact and often tie; equal twice."""
    rows, keys = (
        torch.randint(-2, 3, (count, channels), device="cuda").bfloat16()
        for count in (rows_count, keys_count)
    )
    bias = torch.randint(-2, 3, (keys_count,), device="cuda").float() if biased else None
    index = search_kernels.nearest(rows, keys, bias)
    wrong, last = 0, 0
    exact_keys = keys.float()
    for part, found in zip(torch.split(rows, 1024), torch.split(index, 1024), strict=True):
        products = part.float() @ exact_keys.T
        if bias is not None:
            products += bias
        best = products.max(1, keepdim=True).values
        first = (products == best).int().argmax(1)
        wrong += int((first != found).sum())
        last += len(part)
    equal = bool((index == search_kernels.nearest(rows, keys, bias)).all())
    return wrong / last, equal


def search(report: Report, ceilings: Ceilings) -> None:
    for rows_count, keys_count, channels, biased in search_cases():
        shape = f"{rows_count} × {keys_count} × {channels}{' + bias' if biased else ''}"
        with report.case("nearest", shape):
            error, equal = check_search(rows_count, keys_count, channels, biased)
            rows, keys = random_rows(rows_count, channels), random_rows(keys_count, channels)
            bias = torch.randn(keys_count, device="cuda") if biased else None
            took = milliseconds(partial(search_kernels.nearest, rows, keys, bias))
            plain = milliseconds(partial(nearest_keys, rows, keys, bias), 10)
            floor = ceilings.floor(rows.nbytes + keys.nbytes, 2.0 * rows_count * keys_count * channels)
            report.add("nearest", shape, took, plain, floor, error, 0.0, equal)


def random_rows(count: int, channels: int) -> Tensor:
    return torch.randn(count, channels, device="cuda").bfloat16()


# rows, keys, channels at a time, warps, stages, group
_CHOICES = {
    256: (
        (128, 128, 256, 8, 2, 4),
        (128, 128, 256, 8, 2, 8),
        (128, 128, 256, 4, 2, 8),
        (128, 64, 256, 8, 3, 4),
        (128, 64, 256, 8, 4, 4),
        (128, 64, 256, 4, 3, 4),
        (256, 64, 256, 8, 2, 4),
        (64, 128, 256, 4, 2, 4),
        (128, 256, 64, 8, 3, 8),
        (128, 256, 64, 8, 4, 8),
        (256, 128, 64, 8, 3, 8),
        (256, 128, 64, 8, 4, 8),
        (128, 128, 64, 4, 3, 8),
        (128, 128, 64, 8, 4, 8),
        (128, 128, 128, 8, 3, 4),
    ),
    512: (
        (128, 256, 64, 8, 4, 8),
        (128, 256, 64, 8, 3, 8),
        (128, 128, 64, 8, 4, 8),
        (128, 128, 64, 4, 4, 8),
        (128, 128, 128, 8, 3, 8),
        (64, 256, 64, 4, 4, 8),
        (64, 64, 512, 4, 2, 4),
    ),
    64: (
        (128, 128, 64, 8, 3, 4),
        (128, 128, 64, 8, 2, 8),
        (128, 256, 64, 8, 3, 8),
        (128, 128, 64, 4, 3, 8),
    ),
}
_SWEPT = (
    (40_000, 16_384, 256),
    (32_768, 32_768, 256),
    (8_192, 1_024, 256),
    (8_192, 8_192, 512),
    (8_192, 1_024, 512),
    (40_000, 16_384, 64),
)


def sweep(report: Report, ceilings: Ceilings) -> None:
    from usdstylize.kernels import search as module

    chosen = module._tiles
    for rows_count, keys_count, channels in _SWEPT:
        shape = f"{rows_count} × {keys_count} × {channels}"
        rows, keys = random_rows(rows_count, channels), random_rows(keys_count, channels)
        reference = search_kernels.nearest(rows, keys)
        floor = ceilings.floor(rows.nbytes + keys.nbytes, 2.0 * rows_count * keys_count * channels)
        for choice in _CHOICES[channels]:
            name = "tiles " + " ".join(map(str, choice))
            tiles = module._Tiles(*choice)
            with report.case(name, shape):
                try:
                    module._tiles = lambda _channels, _rows, tiles=tiles: tiles
                    wrong = float((search_kernels.nearest(rows, keys) != reference).float().mean())
                    took = milliseconds(partial(search_kernels.nearest, rows, keys), 10)
                    # sums in another order differ in their last digits, and so may a close choice
                    report.add(name, shape, took, None, floor, wrong, 1e-3)
                finally:
                    module._tiles = chosen


def plain_nearest_mean(rows: Tensor, keys: Tensor, index: Tensor, smooth: bool, weights: Tensor) -> Tensor:
    exact = rows.to(torch.promote_types(rows.dtype, keys.dtype))
    feature = exact.softmax(1) if smooth else exact
    distance = 1 - F.cosine_similarity(feature, keys.index_select(0, index), dim=1, eps=1e-12)
    return (distance * weights).sum() / weights.sum()


def plain_content_mean(rows: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    return ((rows - targets).square().mean(1) * weights).sum() / weights.sum()


def rows(report: Report, ceilings: Ceilings) -> None:
    for count, channels in ((40_000, 256), (32_768, 256), (8_192, 512), (2_049, 512), (5_000, 64)):
        shape = f"{count} × {channels}"
        features = random_rows(count, channels).requires_grad_()
        exact = features.detach().double().requires_grad_()
        weights = torch.rand(count, device="cuda")
        index = torch.randint(0, 4096, (count,), device="cuda")
        bytes_of_rows = features.nbytes
        for smooth in (False, True):
            keys = style_keys(torch.randn(4096, channels, device="cuda"), smooth=smooth)
            compare(
                report,
                "nearest_mean" + (" smooth" if smooth else ""),
                shape,
                ceilings.floor(3 * bytes_of_rows + 2 * 4 * features.numel()),
                features,
                exact,
                partial(row_kernels.nearest_mean, features, keys, index, smooth=smooth, weights=weights),
                partial(plain_nearest_mean, features, keys, index, smooth, weights),
                partial(plain_nearest_mean, exact, keys.double(), index, smooth, weights.double()),
            )
        targets = random_rows(count, channels)
        compare(
            report,
            "content_mean",
            shape,
            ceilings.floor(5 * bytes_of_rows),
            features,
            exact,
            partial(row_kernels.content_mean, features, targets, weights=weights),
            partial(plain_content_mean, features, targets.float(), weights),
            partial(plain_content_mean, exact, targets.double(), weights.double()),
        )
        with report.case("smoothed_offsets", shape):
            centre = torch.rand(channels, device="cuda") / channels
            work = partial(row_kernels.smoothed_offsets, features.detach(), centre, torch.bfloat16)
            error = relative(work(), exact.detach().softmax(1) - centre)
            plain = partial(plain_offsets, features.detach(), centre)
            floor = ceilings.floor(2 * bytes_of_rows)
            report.add("smoothed_offsets", shape, milliseconds(work), milliseconds(plain), floor, error, 4e-3)


def plain_offsets(rows: Tensor, centre: Tensor) -> Tensor:
    return (rows.float().softmax(1) - centre).bfloat16()


def compare(
    report: Report,
    name: str,
    shape: str,
    floor: float,
    leaf: Tensor,
    exact_leaf: Tensor,
    ours: Callable[[], Tensor],
    plain: Callable[[], Tensor],
    exact: Callable[[], Tensor],
) -> None:
    """A loss forward and backward: ours, PyTorch's, and the truth in float64."""
    with report.case(name, shape):
        value, truth = ours(), exact()
        (gradient,) = torch.autograd.grad(value, leaf)
        (again,) = torch.autograd.grad(ours(), leaf)
        (right,) = torch.autograd.grad(truth, exact_leaf)
        # a gradient in bfloat16 cannot be nearer than 2^-9
        error = max(abs(value.item() / truth.item() - 1), relative(gradient, right) / 400)
        # Their graphs keep the leaf's node on the stream of now, on which nothing can be captured.
        del value, truth
        took = milliseconds(lambda: torch.autograd.grad(ours(), leaf))
        peer = milliseconds(lambda: torch.autograd.grad(plain(), leaf))
        equal = bool((gradient == again).all())
        report.add(name, shape + " and back", took, peer, floor, error, 1e-5, equal)


def renderer() -> Any:
    """usdstylize.render, also where embreex is missing: nothing here traces a ray."""
    if find_spec("embreex") is None:
        sys.modules.update(
            {f"embreex{part}": MagicMock() for part in ("", ".rtcore_scene", ".mesh_construction")}
        )
    return import_module("usdstylize.render")


def painting(resolution: int, size: int) -> tuple[Tensor, ...]:
    """Table, rows, weights, base, diffuse, specular, pixels, background: a disc in each of eight views."""
    axis = torch.linspace(-1, 1, resolution, device="cuda")
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    disc = ((x.square() + y.square()) < 0.6).reshape(-1).nonzero().squeeze(1)
    pixels = torch.cat([disc + view * resolution**2 for view in range(_VIEWS)])
    angle = torch.arange(_VIEWS, device="cuda").repeat_interleave(len(disc)) * 0.7
    u, v = (part.reshape(-1)[disc].repeat(_VIEWS) * 0.4 for part in (x, y))
    uvs = torch.stack([u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos()], 1) + 0.5
    footprint = torch.eye(2, device="cuda").expand(len(uvs), 2, 2) * (0.8 / resolution)
    footprint = footprint * (0.5 + torch.rand(len(uvs), 1, 1, device="cuda"))
    render = renderer()
    taps = render.find_taps(uvs, footprint, (size, size), ("repeat", "repeat"))
    texels = sum(height * width for height, width in render.level_sizes(size, size))
    count = len(pixels)
    return (
        torch.randn(texels, 3, device="cuda") * 0.2,
        taps.rows,
        taps.weights,
        torch.rand(count, 3, device="cuda"),
        torch.rand(count, 1, device="cuda") * 1.2,
        torch.rand(count, 1, device="cuda") * 0.1,
        pixels,
        torch.rand(3, resolution, resolution, device="cuda"),
    )


def plain_paint(
    table: Tensor,
    rows: Tensor,
    weights: Tensor,
    base: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    pixels: Tensor,
    background: Tensor,
) -> Tensor:
    render = renderer()
    lit = render.shade(base + render.sample(table, render.Taps(rows, weights)), diffuse, specular)
    resolution = background.shape[1]
    images = background.permute(1, 2, 0).reshape(1, -1, 3).repeat(_VIEWS, 1, 1).view(-1, 3)
    images = images.index_copy(0, pixels, lit)
    return images.view(_VIEWS, resolution, resolution, 3).permute(0, 3, 1, 2)


def paint(report: Report, ceilings: Ceilings) -> None:
    for resolution, size in ((512, 1024), (256, 512)):
        with report.case("paint_pixels", f"{_VIEWS} × {resolution}², T_S {size}²"):
            paint_case(report, ceilings, resolution, size)


def paint_case(report: Report, ceilings: Ceilings, resolution: int, size: int) -> None:
    shape = f"{_VIEWS} × {resolution}², T_S {size}²"
    table, *inputs = painting(resolution, size)
    paint_pixels = import_module("usdstylize.kernels.paint").paint_pixels
    table.requires_grad_()
    exact = table.detach().double().requires_grad_()
    gradient = torch.randn(_VIEWS, 3, resolution, resolution, device="cuda")
    gradient = gradient.to(memory_format=torch.channels_last)

    def ours() -> Tensor:
        return paint_pixels(table, *inputs, _VIEWS)

    def back(images: Tensor) -> Tensor:
        return torch.autograd.grad(images, table, gradient)[0]

    right = plain_paint(exact, *(part.double() if part.is_floating_point() else part for part in inputs))
    error = float((ours() - right).abs().max())
    moved = sum(part.nbytes for part in inputs) + 4 * right.numel()
    took, plain = milliseconds(ours), milliseconds(lambda: plain_paint(table, *inputs))
    equal = bool((ours() == ours()).all())
    report.add("paint_pixels", shape, took, plain, ceilings.floor(moved), error, 2e-6, equal)
    (truth,) = torch.autograd.grad(right, exact, gradient.double())
    error = relative(back(ours()), truth)
    took, plain = milliseconds(lambda: back(ours())), milliseconds(lambda: back(plain_paint(table, *inputs)))
    equal = bool((back(ours()) == back(ours())).all())
    floor = ceilings.floor(2 * moved + table.nbytes)
    report.add("paint_pixels", shape + " and back", took, plain, floor, error, 1e-5, equal)


def matching(report: Report, ceilings: Ceilings) -> None:
    """NNFM of CLIP's nine maps, forward and backward, against K style images of 512²."""
    for images in (1, 3, 8):
        with report.case("nnfm_loss", f"9 maps, K = {images}, and back"):
            matching_case(report, ceilings, images)


def matching_case(report: Report, ceilings: Ceilings, images: int) -> None:
    layers = []
    flops = size = 0.0
    for channels, side, count in _CLIP_MAPS:
        for _ in range(count):
            keys = style_keys(torch.randn(images * side**2, channels, device="cuda"), smooth=True)
            features = random_rows(_VIEWS * side**2, channels).requires_grad_()
            search_keys = prepare_search(keys, smooth=True, dtype=torch.bfloat16)
            layers.append((features, keys, search_keys, torch.rand(len(features), device="cuda")))
            flops += 2.0 * len(features) * len(keys) * channels
            size += 4 * features.nbytes + 2 * 4 * features.numel()

    def loss(exactly: bool) -> tuple[Tensor, ...]:
        terms = [
            nnfm_loss(
                features, keys, smooth=True, weights=weights, search_keys=None if exactly else search_keys
            )
            for features, keys, search_keys, weights in layers
        ]
        total = torch.stack(terms).mean()
        return (total.detach(), *torch.autograd.grad(total, [layer[0] for layer in layers]))

    fused = loss(False)
    error = abs(float(fused[0]) / float(loss(True)[0]) - 1)
    equal = all(bool((a == b).all()) for a, b in zip(fused, loss(False), strict=True))
    took, plain = milliseconds(lambda: loss(False)), milliseconds(lambda: loss(True), 10)
    floor = 1e3 * (size / ceilings.bytes + flops / ceilings.flops)
    report.add("nnfm_loss", f"9 maps, K = {images}, and back", took, plain, floor, error, 1e-3, equal)


def main(parts: list[str]) -> int:
    torch.seed()  # fresh numbers every time
    console = Console(width=150)
    known = {"search": search, "rows": rows, "paint": paint, "matching": matching, "sweep": sweep}
    ceilings = measure_ceilings()
    console.print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}: copy {ceilings.bytes / 1e12:.2f} TB/s, "
        f"bf16 {ceilings.flops / 1e12:.0f} TFLOP/s, seed {torch.initial_seed()}"
    )
    report = Report()
    for name in parts or ("search", "rows", "paint", "matching"):
        with report.case(name):
            known[name](report, ceilings)
    console.print(report.table)
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
