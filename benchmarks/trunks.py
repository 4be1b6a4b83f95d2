"""CLIP's and VGG16's trunk, forward and backward to the image, against their floor and plain PyTorch.

python -m benchmarks.trunks [--layers] [--weights DIR]

Needs a CUDA GPU, and of the package only its encoders. CLIP's weights are random, with batch
norms that are not the identity; so are VGG16's without a folder. The gradient comes from rows
at a third of each map's positions.

The floor of a layer is the larger of its operations over the measured rate of a matrix product
and its bytes (weights, maps and gradients written and read once) over the measured rate of a
copy, forward and backward, summed over the convolutions.
"""

import statistics
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usdstylize.encoders import clip, convolution, frozen, image_kernels, maps, vgg16
from usdstylize.encoders.first import FirstConvolution
from usdstylize.encoders.frozen import FrozenConvolution
from usdstylize.encoders.trunk import Trunk

__all__ = ["PlainClip", "PlainVgg16", "main"]

_SHARE = 3
"""One position in so many gets a gradient."""


class PlainClip(nn.Module):
    """CLIP's trunk as one would write it down: the peer. Same inputs and outputs as `ClipResNet50`."""

    strides = clip.ClipResNet50.strides

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            if name.endswith("running_mean"):
                norm = name.removesuffix(".running_mean")
                module: nn.Module = nn.BatchNorm2d(len(value))
                module.load_state_dict(
                    {
                        part: state[f"{norm}.{part}"]
                        for part in ("weight", "bias", "running_mean", "running_var")
                    },
                    strict=False,
                )
                self.add_module(norm.replace(".", "_"), module)
            elif value.dim() == 4:
                self.register_buffer(name.replace(".", "_"), value)
        self._names = sorted({name.rsplit(".", 2)[0] for name in state if name.startswith("layer")})
        self.eval().requires_grad_(False)

    def _normed(self, x: Tensor, convolution: str, norm: str, **options: Any) -> Tensor:
        x = F.conv2d(x, self.get_buffer(f"{convolution}_weight".replace(".", "_")), **options)
        return self.get_submodule(norm.replace(".", "_"))(x)  # type: ignore[no-any-return]

    def forward(self, images: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
        mean, deviation = (images.new_tensor(v).view(3, 1, 1) for v in (clip._MEAN, clip._DEVIATION))
        x = ((images - mean) / deviation).to(self.get_buffer("conv1_weight").dtype)
        for number, stride in ((1, 2), (2, 1), (3, 1)):
            x = self._normed(x, f"conv{number}", f"bn{number}", stride=stride, padding=1).relu()
        x = F.avg_pool2d(x, 2)
        features: list[Tensor] = []
        for layer, count in enumerate(clip._BLOCKS, 1):
            for n in range(count):
                name, pools = f"layer{layer}.{n}", n == 0 and layer > 1
                inner = self._normed(x, f"{name}.conv1", f"{name}.bn1").relu()
                middle = F.conv2d(inner, self.get_buffer(f"{name}.conv2_weight".replace(".", "_")), padding=1)
                if layer in clip._FEATURE_LAYERS:
                    flat = middle.permute(0, 2, 3, 1).reshape(-1, middle.shape[1])
                    features.append(flat.index_select(0, rows[len(features)]))
                inner = self.get_submodule(f"{name}.bn2".replace(".", "_"))(middle).relu()
                out = self._normed(F.avg_pool2d(inner, 2) if pools else inner, f"{name}.conv3", f"{name}.bn3")
                if n == 0:
                    x = self._normed(
                        F.avg_pool2d(x, 2) if pools else x, f"{name}.downsample.0", f"{name}.downsample.1"
                    )
                x = (out + x).relu()
        return features


class PlainVgg16(nn.Module):
    """VGG16 to relu3_3 as one would write it down, with torchvision's preprocessing."""

    strides = vgg16.Vgg16.strides

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            self.register_buffer(name.replace(".", "_"), value.float())

    def forward(self, images: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
        mean, deviation = (
            images.new_tensor(v).view(3, 1, 1) for v in (vgg16._IMAGENET_MEAN, vgg16._IMAGENET_STD)
        )
        x = ((images - mean) / deviation).to(self.get_buffer("features_0_weight").dtype)
        features = []
        for numbers in vgg16._STAGES:
            if numbers[0]:
                x = F.max_pool2d(x, 2)
            for number in numbers:
                weight, bias = (self.get_buffer(f"features_{number}_{part}") for part in ("weight", "bias"))
                x = F.conv2d(x, weight, bias, padding=1).relu()
                if numbers is vgg16._STAGES[-1]:
                    flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
                    features.append(flat.index_select(0, rows[len(features)]))
        return features


@dataclass(frozen=True)
class Case:
    """A network's inputs: images, positions per map, and the gradients of the rows there (float32)."""

    images: Tensor
    rows: list[Tensor]
    gradients: list[Tensor]

    def run(self, network: nn.Module) -> tuple[list[Tensor], Tensor]:
        """Its features and the images' gradient."""
        images = self.images.detach().requires_grad_()
        features = network(images, self.rows)
        given = [g.to(f.dtype) for g, f in zip(self.gradients, features, strict=True)]
        (gradient,) = torch.autograd.grad(features, images, given)
        return features, gradient


def milliseconds(work: Callable[[], object], repeats: int = 10) -> float:
    """The median over a few runs of ``work``, by the device's own clock."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def captured(work: Callable[[], object], times: int = 1) -> torch.cuda.CUDAGraph:
    """``work``, so many times in a row, as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            work()
    return graph


def rates() -> tuple[float, float]:
    """Measured bf16 operations per second of a matrix product, and bytes per second of a copy."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    operations = 2 * 8192**3 / milliseconds(lambda: a @ b) * 1e3
    source = torch.empty(1 << 30, device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    moved = 2 * source.numel() / milliseconds(lambda: target.copy_(source)) * 1e3
    return operations, moved


@dataclass(frozen=True)
class Layer:
    """A convolution of a network and the shapes of the maps that it gets and gives."""

    convolution: FrozenConvolution | FirstConvolution
    shape: torch.Size
    result: torch.Size

    @property
    def operations(self) -> int:
        """Of the forward pass."""
        positions = self.result[0] * self.result[2] * self.result[3]
        return 2 * positions * self.convolution.weight.numel()

    @property
    def bytes(self) -> int:
        """Of the forward pass: weights, what is read and what is written, in bf16."""
        return 2 * (self.convolution.weight.numel() + self.shape.numel() + self.result.numel())

    def floor(self, operations: float, moved: float) -> float:
        """Milliseconds, forward and backward."""
        return 2e3 * max(self.operations / operations, self.bytes / moved)


def layers(network: Trunk, case: Case) -> list[Layer]:
    found: list[Layer] = []

    def noting(do: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(self: FrozenConvolution, x: Tensor, *others: Any) -> Tensor:
            result = do(self, x, *others)
            if not any(layer.convolution is self for layer in found):  # one may call the other
                found.append(Layer(self, x.shape, result.shape))
            return result

        return noted

    recorded = {name: noting(getattr(FrozenConvolution, name)) for name in ("forward", "rectified")}
    first = patch.object(FirstConvolution, "forward", noting(FirstConvolution.forward))
    with patch.multiple(FrozenConvolution, **recorded), first, torch.no_grad():
        network(case.images, case.rows)
    return found


def relative(found: Tensor, expected: Tensor) -> float:
    """Length of the difference over the length of what is expected."""
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


def make_case(strides: Sequence[int], channels: Sequence[int], batch: int, size: int, device: str) -> Case:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, size // 8, size // 8, generator=generator)
    images = F.interpolate(coarse, size=(size, size), mode="bilinear").to(device)
    rows, gradients = [], []
    for stride, width in zip(strides, channels, strict=True):
        count = batch * (size // stride) ** 2
        where = torch.randperm(count, generator=generator)[: count // _SHARE].sort().values
        gradient = torch.randn(len(where), width, generator=generator)
        # Padding: a position that is there already, with nothing to add.
        rows.append(torch.cat([where, where[:7]]).to(device))
        gradients.append(torch.cat([gradient, torch.zeros(len(where[:7]), width)]).to(device))
    return Case(images.contiguous(memory_format=torch.channels_last), rows, gradients)


def clip_weights() -> dict[str, Tensor]:
    """Random, batch norms far from the identity and such that maps keep their size."""
    torch.manual_seed(0)
    state = clip.random_weights()
    for name in [name for name in state if name.endswith("running_mean")]:
        norm = name.removesuffix(".running_mean")
        ends = norm.endswith("bn3") and norm != "bn3"
        state[f"{norm}.weight"] = torch.empty_like(state[name]).uniform_(0.5, 1.5) * (0.3 if ends else 1)
        state[f"{norm}.bias"] = torch.randn_like(state[name]) * 0.3
        state[f"{norm}.running_mean"] = torch.randn_like(state[name]) * 0.3
        state[f"{norm}.running_var"] = torch.empty_like(state[name]).uniform_(0.5, 1.5)
    return state


def vgg_weights(folder: Path | None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    if folder is None:
        return vgg16.random_weights()
    from safetensors.torch import load_file

    return load_file(folder / "vgg16_features_fp16.safetensors")


def check(name: str, plain: nn.Module, network: Trunk, case: Case) -> bool:
    """Prints relative errors against float32 without TF32; whether they are what rounding explains."""
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    features, gradient = case.run(plain)
    good = True

    def line(what: str, given: tuple[list[Tensor], Tensor], limit: float | None) -> None:
        nonlocal good
        errors = [relative(a, b) for a, b in zip(given[0], features, strict=True)]
        error = relative(given[1], gradient)
        fine = limit is None or all(each < limit for each in (*errors, error))  # not so for NaN
        good &= fine
        print(
            f"{name:6s} {what:22s} features {max(errors):.2e}  gradient {error:.2e}  "
            f"{'' if limit is None else 'ok' if fine else f'MISSED, below {limit}'}"
        )

    # Sums in another order turn a few ReLUs over, and that is all there is to see in a gradient.
    other = case.run(plain.to(memory_format=torch.channels_last))
    line("plain, channels_last", other, None)
    line("ours float32", case.run(network.float()), max(5e-3, 3 * relative(other[1], gradient)))
    half = case.run(plain.to(torch.bfloat16, memory_format=torch.channels_last))
    line("plain bfloat16", half, None)
    network.to(torch.bfloat16, memory_format=torch.channels_last)
    # What reads memory that nobody has written finds out.
    if case.images.is_cuda:
        torch.full((1 << 31,), float("nan"), dtype=torch.bfloat16, device="cuda")
    started = time.perf_counter()
    first = case.run(network)
    first[1].sum().item()
    print(f"{name:6s} the first time takes {time.perf_counter() - started:.1f} s, kernels compiled or not")
    second = case.run(network)
    line("ours bfloat16", first, 1.3 * max(relative(half[1], gradient), 0.05))
    same = all(torch.equal(a, b) for a, b in zip([*first[0], first[1]], [*second[0], second[1]], strict=True))
    print(f"{name:6s} cuDNN {'fuses' if frozen.cudnn_fuses else 'does not fuse'}")
    print(f"{name:6s} twice the same bits: {'yes' if same else 'NO'}")
    plain.float()
    torch.backends.cudnn.allow_tf32 = tf32
    return good and same


def peak(work: Callable[[], object]) -> float:
    """GB above what was there before."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e9


def profile(work: Callable[[], object]) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    work()
    torch.cuda.synchronize()
    with record(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(3):
            work()
        torch.cuda.synchronize()
    table = sorted(found.key_averages(), key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in table)
    print(f"kernels of one forward and backward: {total / 3e3:.3f} ms on the device")
    for event in table[:28]:
        print(f"  {event.self_device_time_total / 3:9.1f} us {event.count // 3:4d} x  {event.key[:110]}")


def variants(size: int, inputs: int, outputs: int) -> list[convolution.Tiles]:
    """Tiles worth a try."""
    boxes = [(1, 64), (1, 128), (1, 256)] if size == 1 else [(8, 8), (8, 16), (16, 16), (4, 32)]
    step = 64 if inputs % 64 == 0 else 32
    found = []
    for high, wide in boxes:
        for channels in (64, 128, 256):
            area = high * wide * channels
            if outputs % channels or not 4096 <= area <= 32768:
                continue
            for stages in (2, 3, 4):
                if stages * (high * wide + channels) * step * 2 <= 200_000:
                    found.append(
                        convolution.Tiles(high, wide, channels, step, 8 if area > 8192 else 4, stages)
                    )
    return found


def alternatives(layer: Layer) -> list[str]:
    """Microseconds of one layer, forward and its gradient, by several routines, ten times in a graph."""
    conv = layer.convolution
    if isinstance(conv, FirstConvolution):
        images = torch.rand(layer.shape, device="cuda").contiguous(memory_format=torch.channels_last)
        found = conv(images)
        back = found.clone()
        return [
            f"OURS {timed_in_graph(lambda: conv(images)):.1f}",
            f"OURS back {timed_in_graph(lambda: conv.gradient(back, found, torch.float32)):.1f}",
        ]
    weight, half_bias = conv.weight, conv.bias.to(torch.bfloat16)
    _, inputs, size, _ = weight.shape
    x = torch.randn(layer.shape, device="cuda", dtype=torch.bfloat16).relu_()
    x = x.contiguous(memory_format=torch.channels_last)
    pad, one = [size // 2] * 2, [1, 1]
    flat = x.permute(0, 2, 3, 1).reshape(-1, inputs)
    matrix = weight[:, :, 0, 0]

    def cudnn(x: Tensor, weight: Tensor) -> Tensor:
        return torch.ops.aten.cudnn_convolution(x, weight, pad, one, one, 1, False, True, True)  # type: ignore[no-any-return]

    y = cudnn(x, weight)
    ways: list[tuple[str, Callable[[], object]]] = [
        ("plain", lambda: cudnn(x, weight)),
        ("+relu", lambda: maps.rectify_(cudnn(x, weight), conv.bias)),
        ("cudnn", lambda: torch.cudnn_convolution_relu(x, weight, half_bias, one, pad, one, 1)),
        ("back+gate", lambda: maps.gate_(cudnn(y, conv.flipped), x)),
        (
            "cudnn's back",
            lambda: torch.ops.aten.convolution_backward(
                y, x, weight, None, one, pad, one, False, [0, 0], 1, [True, False, False]
            ),
        ),
    ]
    if size == 1:
        ways.append(("matmul", lambda: torch._addmm_activation(half_bias, flat, matrix.T)))
    if convolution.suits(x, weight):
        ways.append(("OURS", lambda: convolution.convolve(x, weight, shift=conv.bias, rectify=True)))
    if convolution.suits(y, conv.flipped):
        ways.append(("OURS back", lambda: convolution.convolve(y, conv.flipped, gate=x)))
    shown = []
    for name, way in ways:
        try:
            shown.append(f"{name} {timed_in_graph(way):.1f}")
        except RuntimeError as error:
            print(f"  {name}: {error}"[:300])
    for name, given, factor, gate in (("best", x, weight, None), ("best back", y, conv.flipped, x)):
        if convolution.suits(given, factor):
            shown.append(f"{name} {best_tiles(given, factor, gate)}")
    return shown


def timed_in_graph(work: Callable[[], object]) -> float:
    """Microseconds."""
    return milliseconds(captured(work, 10).replay, 5) * 100


def best_tiles(x: Tensor, weight: Tensor, gate: Tensor | None) -> str:
    outputs, inputs, size, _ = weight.shape
    best: tuple[float, convolution.Tiles | None] = (float("inf"), None)
    for tiles in variants(size, inputs, outputs):

        def work(tiles: convolution.Tiles = tiles) -> Tensor:
            return convolution.convolve(x, weight, gate=gate, rectify=gate is None, tiles=tiles)

        try:
            best = min(best, (timed_in_graph(work), tiles), key=lambda each: each[0])
        except Exception as error:  # whatever Triton says of tiles that do not fit: the others go on
            print(f"  {tiles}: {type(error).__name__} {error}"[:200])
    if best[1] is None:
        return "none"
    t = best[1]
    return f"{best[0]:.1f} ({t.high}x{t.wide} o{t.outputs} w{t.warps} s{t.stages})"


def print_alternatives(found: Sequence[Layer], operations: float, moved: float) -> None:
    print("microseconds of one layer in one direction, with bias and ReLU or gate except where plain:")
    shapes: dict[tuple[int, ...], list[Layer]] = {}
    for layer in found:
        shapes.setdefault((*layer.convolution.weight.shape[:3], layer.shape[2]), []).append(layer)
    for (outputs, inputs, size, height), same in shapes.items():
        print(
            f"  {len(same)} x {inputs:4d} -> {outputs:4d} {size}x{size} at {height:3d}: "
            f"floor {same[0].floor(operations, moved) * 500:.1f} | {', '.join(alternatives(same[0]))}",
            flush=True,
        )


def measure(name: str, plain: nn.Module, network: Trunk, case: Case) -> tuple[float, list[Layer]]:
    """Prints times and memory; milliseconds of ours in a CUDA graph, and its layers."""

    def line(what: str, value: float, unit: str = "ms") -> None:
        print(f"{name:6s} {what:22s} {value:8.3f} {unit}", flush=True)

    plain.float()
    line("plain float32", milliseconds(lambda: case.run(plain)))
    plain.to(torch.bfloat16, memory_format=torch.channels_last)
    line("plain bfloat16", milliseconds(lambda: case.run(plain)))
    line("plain bfloat16, peak", peak(lambda: case.run(plain)), "GB")
    network.float()
    line("ours float32", milliseconds(lambda: case.run(network)))
    network.to(torch.bfloat16, memory_format=torch.channels_last)
    line("ours bfloat16", milliseconds(lambda: case.run(network)))
    line("ours bfloat16, peak", peak(lambda: case.run(network)), "GB")
    with patch.object(convolution, "enabled", False), patch.object(frozen, "cudnn_fuses", False):
        graph = captured(lambda: case.run(network))
        line("cuDNN, CUDA graph", milliseconds(graph.replay))
        del graph
    with patch.object(frozen, "cudnn_fuses", False):
        graph = captured(lambda: case.run(network))
        line("without its fusion", milliseconds(graph.replay))
        del graph
    graph = captured(lambda: case.run(network))
    spent = milliseconds(graph.replay)
    line("ours, CUDA graph", spent)
    try:
        profile(graph.replay)
    except RuntimeError as error:
        print(f"no profile: {error}")
    return spent, layers(network, case)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print errors, times, floor, memory and kernels; 1 where results are wrong."""
    # Not cyclopts: this runs on machines with nothing but PyTorch.
    parser = ArgumentParser(prog="benchmarks.trunks", description="The frozen trunks against their floor.")
    parser.add_argument("--batch", type=int, default=8, help="images at a time")
    parser.add_argument("--size", type=int, default=512, help="pixels of an image's side")
    parser.add_argument("--layers", action="store_true", help="also each layer by several routines")
    parser.add_argument("--weights", type=Path, help="folder with vgg16_features_fp16.safetensors")
    parser.add_argument("--no-fused", action="store_true", help="all convolutions by cuDNN")
    options = parser.parse_args(arguments)
    convolution.enabled = image_kernels.enabled = not options.no_fused
    if not torch.cuda.is_available():
        print("benchmarks.trunks needs a CUDA GPU.", file=sys.stderr)
        return 2
    operations, moved = rates()
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
    )
    print(f"matrix product {operations / 1e12:.0f} TFLOP/s, copy {moved / 1e12:.2f} TB/s", flush=True)
    clip_state, vgg_state = clip_weights(), vgg_weights(options.weights)
    networks: list[tuple[str, nn.Module, Trunk, Sequence[int], Sequence[int]]] = [
        (
            "CLIP",
            PlainClip(clip_state),
            clip.ClipResNet50(state=clip_state),
            clip.ClipResNet50.strides,
            [256] * 6 + [512] * 3,
        ),
        (
            "VGG16",
            PlainVgg16(vgg_state),
            vgg16.Vgg16(caffe=False, state=vgg_state),
            vgg16.Vgg16.strides,
            [256] * 3,
        ),
    ]
    good = True
    total = floors = 0.0
    for name, plain, network, strides, channels in networks:
        plain.cuda()
        network.cuda()
        case = make_case(strides, channels, options.batch, options.size, "cuda")
        good &= check(name, plain, network, case)
        spent, found = measure(name, plain, network, case)
        plain.cpu()
        floor = sum(layer.floor(operations, moved) for layer in found)
        work = 2e-12 * sum(layer.operations for layer in found)
        print(f"{name:6s} {spent / floor:.2f} x floor {floor:.3f} ms ({work:.2f} TFLOP)", flush=True)
        total, floors = total + spent, floors + floor
        if options.layers:
            with torch.no_grad():
                print_alternatives(found, operations, moved)
        network.cpu()
        torch.cuda.empty_cache()
    print(f"both: {total:.3f} ms = {total / floors:.2f} x floor {floors:.3f} ms")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
