"""CLIP's and VGG16's trunk, forward and backward to the image, against their floor and plain PyTorch.

python -m benchmarks.trunks [--layers] [--weights DIR]

Needs a CUDA GPU, and of the package only its encoders. CLIP's weights are random, with batch
norms that are not the identity; so are VGG16's without a folder. The gradient comes from rows
at a third of each map's positions.

The floor of a layer is the larger of its operations over the measured rate of a matrix product
and its bytes (weights, maps and gradients written and read once) over the measured rate of a
copy, forward and backward, summed over the convolutions.
"""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.gpu_clock import captured, milliseconds, peak, profile, rates
from benchmarks.network_layers import Layer, layers, print_alternatives
from benchmarks.plain_networks import PlainClip, PlainVgg16, clip_weights, vgg_weights
from usdstylize.encoders import clip, frozen, vgg16
from usdstylize.encoders.trunk import Trunk

__all__ = ["Case", "main"]

_SHARE = 3
"""One position in so many gets a gradient."""


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
    return spent, layers(network, case.images, case.rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print errors, times, floor, memory and kernels; 1 where results are wrong."""
    # Not cyclopts: this runs on machines with nothing but PyTorch.
    parser = ArgumentParser(prog="benchmarks.trunks", description="The frozen trunks against their floor.")
    parser.add_argument("--batch", type=int, default=8, help="images at a time")
    parser.add_argument("--size", type=int, default=512, help="pixels of an image's side")
    parser.add_argument("--layers", action="store_true", help="also each layer by several routines")
    parser.add_argument("--weights", type=Path, help="folder with vgg16_features_fp16.safetensors")
    options = parser.parse_args(arguments)
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
