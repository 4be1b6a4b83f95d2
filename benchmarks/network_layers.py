"""The convolutions of a trunk, the floor of each, and each by several routines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gpu_clock import captured, milliseconds
from usdstylize.encoders import maps
from usdstylize.encoders.first import FirstConvolution
from usdstylize.encoders.frozen import FrozenConvolution
from usdstylize.encoders.trunk import Trunk

__all__ = ["Layer", "layers", "print_alternatives"]


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


def layers(network: Trunk, images: Tensor, rows: Sequence[Tensor] | None) -> list[Layer]:
    """In the order of a pass over images (B, 3, H, W) for the rows asked for."""
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
        network(images, rows)
    return found


def alternatives(layer: Layer) -> list[str]:
    """Microseconds of one layer, forward and its gradient, by several routines, ten times in a graph."""
    conv = layer.convolution
    if isinstance(conv, FirstConvolution):
        images = torch.rand(layer.shape, device="cuda").contiguous(memory_format=torch.channels_last)
        found = conv(images)
        back = found.clone()
        return [
            f"ours {timed_in_graph(lambda: conv(images)):.1f}",
            f"ours back {timed_in_graph(lambda: conv.gradient(back, found, torch.float32)):.1f}",
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
    shown = []
    for name, way in ways:
        try:
            shown.append(f"{name} {timed_in_graph(way):.1f}")
        except RuntimeError as error:
            print(f"  {name}: {error}"[:300])
    return shown


def timed_in_graph(work: Callable[[], object]) -> float:
    """Microseconds."""
    return milliseconds(captured(work, 10).replay, 5) * 100


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
