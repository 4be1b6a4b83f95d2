"""A Triton kernel for a frozen convolution in bfloat16 and all that is done to its result.

For GPUs with a tensor memory accelerator (Hopper and later). A tile of positions is one box of
the map, which the accelerator fetches, zeros around the map included: no index is computed.

The reference is `encoders.frozen`: cuDNN's convolution, or `torch.nn.functional.conv2d` on a CPU.
`benchmarks.convolution` measures what this module saves of a step.
"""

# Triton's language knows no annotations but constexpr's, and writes constants in capitals.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-decorators=False, disallow-untyped-calls=False
# ruff: noqa: N803

from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

__all__ = ["Tiles", "choose_tiles", "convolve", "suits"]

enabled = True
"""Off, cuDNN does it all: `benchmarks.trunks` compares them."""

_ACCELERATED = 9
"""Compute capability from which on there is an accelerator."""


@triton.jit(do_not_specialize=["height", "width", "shifted", "added", "gated"])
def _convolve(
    x, weight, result, shift, plus, gate, height, width, inputs, outputs, shifted, added, gated, least,
    SIZE: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """What is switched off is masked, not compiled away: one compilation serves all uses."""
    columns = tl.cdiv(outputs, BN)
    tiles_x = tl.cdiv(width, BW)
    tiles_y = tl.cdiv(height, BH)
    number = tl.program_id(0)
    tile = number // columns
    column = (number % columns) * BN
    left = (tile % tiles_x) * BW
    top = (tile // tiles_x % tiles_y) * BH
    image = tile // (tiles_x * tiles_y)
    steps = inputs // BK
    # Channels × positions: both factors then go to the tensor cores straight from shared memory.
    total = tl.zeros((BN, BH * BW), tl.float32)
    for step in range(SIZE * SIZE * steps):
        tap = step // steps
        box = x.load(
            [
                image,
                top + tap // SIZE - SIZE // 2,
                left + tap % SIZE - SIZE // 2,
                (step % steps) * BK,
            ]
        )
        total = tl.dot(weight.load([column, step * BK]), box.reshape(BH * BW, BK).T, total)
    found = total.T
    place = tl.arange(0, BH * BW)
    row = top + place // BW
    across = left + place % BW
    channel = column + tl.arange(0, BN)
    inside = ((row < height) & (across < width))[:, None] & (channel < outputs)[None, :]
    position = (image * height + row) * width + across
    at = position.to(tl.int64)[:, None] * outputs + channel[None, :]
    found += tl.load(shift + channel, mask=(channel < outputs) & (shifted != 0), other=0.0)[None, :]
    found += tl.load(plus + at, mask=inside & (added != 0), other=0.0).to(tl.float32)
    found = tl.maximum(found, least)
    found = tl.where(tl.load(gate + at, mask=inside & (gated != 0), other=1.0) > 0, found, 0.0)
    tl.store(result + at, found.to(result.dtype.element_ty), mask=inside)


@dataclass(frozen=True)
class Tiles:
    """What one program computes: a box of ``high`` × ``wide`` positions, ``outputs`` channels.

    inputs: channels that it multiplies at a time. stages: boxes in flight.
    """

    high: int
    wide: int
    outputs: int
    inputs: int
    warps: int
    stages: int


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether `convolve` takes this map and these weights (O, I, k, k)."""
    outputs, inputs = weight.shape[:2]
    return (
        enabled
        and x.dtype == torch.bfloat16
        and outputs % 64 == 0
        and inputs % 32 == 0
        and (not x.is_cuda or _capability(x.get_device()) >= _ACCELERATED)
    )


def choose_tiles(shape: torch.Size, outputs: int, size: int, processors: int) -> Tiles:
    """For a map (B, I, h, w), a kernel of ``size`` × ``size`` and a GPU of so many processors.

    The best of those that `benchmarks.trunks --layers` tries on one H200, or near it.
    """
    batch, inputs, height, width = shape
    step = 64 if inputs % 64 == 0 else 32

    def programs(positions: int, channels: int) -> int:
        return int(triton.cdiv(batch * height * width, positions) * triton.cdiv(outputs, channels))

    if size == 1:
        # Short sums wait for memory: small tiles, of which many are at work at the same time.
        if outputs % 128 or inputs <= 64 or programs(128, 128) < 0.9 * processors:
            return Tiles(1, 128, 64, step, 4, 2 if inputs <= 64 else 4)
        return Tiles(1, 128, 128, step, 8, 3)
    if outputs % 128:
        return Tiles(8, 16, 64, step, 4, 2) if width <= 128 else Tiles(4, 32, 64, step, 4, 2)
    if programs(256, 128) >= 4 * processors:
        return Tiles(16, 16, 128, step, 8, 3)
    if programs(128, 128) >= 0.9 * processors:
        return Tiles(8, 16, 128, step, 8, 3)
    return Tiles(8, 8, 128, step, 4, 4)


def convolve(
    x: Tensor,
    weight: Tensor,
    *,
    shift: Tensor | None = None,
    plus: Tensor | None = None,
    gate: Tensor | None = None,
    rectify: bool = False,
    tiles: Tiles | None = None,
) -> Tensor:
    """The convolution of a map (B, I, h, w), stride 1, zeros around it, as (B, O, h, w).

    ``shift`` (O,) float32 and ``plus``, a map like the result, are added; then comes a ReLU if
    asked for; then all is 0 where ``gate``, a map like the result, is not above 0. In float32
    up to the result. Maps and weights are channels_last.
    """
    batch, inputs, height, width = x.shape
    outputs, _, size, _ = weight.shape
    result = torch.empty(
        (batch, outputs, height, width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )
    for other in (plus, gate):
        if other is not None and (
            other.shape != result.shape or not other.is_contiguous(memory_format=torch.channels_last)
        ):
            raise ValueError(f"a map {tuple(other.shape)} does not lie like a result {tuple(result.shape)}")
    if size == 1:  # a list of positions
        batch, height, width = 1, 1, batch * height * width
    chosen = tiles or choose_tiles(
        torch.Size((batch, inputs, height, width)), outputs, size, _processors(x.get_device())
    )
    boxes = TensorDescriptor.from_tensor(
        x.permute(0, 2, 3, 1).contiguous().view(batch, height, width, inputs),
        [1, chosen.high, chosen.wide, chosen.inputs],
    )
    matrix = TensorDescriptor.from_tensor(
        weight.permute(0, 2, 3, 1).contiguous().view(outputs, -1), [chosen.outputs, chosen.inputs]
    )
    count = batch * triton.cdiv(height, chosen.high) * triton.cdiv(width, chosen.wide)
    _convolve[(count * triton.cdiv(outputs, chosen.outputs),)](
        boxes,
        matrix,
        result,
        matrix.base if shift is None else shift,
        result if plus is None else plus,
        result if gate is None else gate,
        height,
        width,
        inputs,
        outputs,
        int(shift is not None),
        int(plus is not None),
        int(gate is not None),
        0.0 if rectify else float("-inf"),
        SIZE=size,
        BH=chosen.high,
        BW=chosen.wide,
        BN=chosen.outputs,
        BK=chosen.inputs,
        num_warps=chosen.warps,
        num_stages=chosen.stages,
    )
    return result


@cache
def _capability(device: int) -> int:
    return torch.cuda.get_device_capability(device)[0]


@cache
def _processors(device: int) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count) if device >= 0 else 1
