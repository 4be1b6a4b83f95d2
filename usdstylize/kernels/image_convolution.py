"""Triton kernels for the convolution that reads the image: a general one is slow with three channels.

Backward, each position's gradient becomes 27 numbers, one per tap and channel, in one pass over the
map; a second pass adds up what belongs to each pixel.

The reference is `encoders.first`: `torch.nn.functional.conv2d` and PyTorch's gradient of it.
"""

# Triton's language knows no annotations but constexpr's, and writes constants in capitals.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-decorators=False, disallow-untyped-calls=False
# ruff: noqa: N803

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["FILLED", "convolve_image", "image_gradient"]

enabled = True
"""Off, cuDNN does it: `benchmarks.trunks` compares them."""

FILLED = 32
"""Rows of a weight matrix: the 27 of tap and channel (y, x, c), and zeros."""
_ROWS = 128
_PIXELS = 256

_SIZES = ["length", "height", "width", "image_height", "image_width"]


@triton.jit(do_not_specialize=[*_SIZES, "image_stride", "channel_stride", "row_stride", "column_stride"])
def _convolve_image(
    images, matrix, shift, mean, result, length, height, width, image_height, image_width,
    image_stride, channel_stride, row_stride, column_stride,
    STRIDE: tl.constexpr, OUTPUTS: tl.constexpr, FILLED: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    positions = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    k = tl.arange(0, FILLED)
    tap, channel = k // 3, k % 3
    y = ((positions // width) % height * STRIDE)[:, None] + (tap // 3 - 1)[None, :]
    x = (positions % width * STRIDE)[:, None] + (tap % 3 - 1)[None, :]
    inside = (positions < length)[:, None] & (tap < 9)[None, :]
    inside = inside & (y >= 0) & (y < image_height) & (x >= 0) & (x < image_width)
    image = (positions // (width * height)).to(tl.int64)[:, None]
    at = image * image_stride + channel[None, :] * channel_stride + y * row_stride + x * column_stride
    # The padding around the image is 0 after the mean is subtracted, not before.
    value = tl.load(images + at, mask=inside, other=0.0).to(tl.float32) - tl.load(mean + channel)[None, :]
    value = tl.where(inside, value, 0.0).to(matrix.dtype.element_ty)
    columns = tl.arange(0, OUTPUTS)
    weight = tl.load(matrix + k[:, None] * OUTPUTS + columns[None, :])
    total = tl.dot(value, weight) + tl.load(shift + columns)[None, :]
    at = positions.to(tl.int64)[:, None] * OUTPUTS + columns[None, :]
    total = tl.maximum(total, 0.0).to(result.dtype.element_ty)
    tl.store(result + at, total, mask=(positions < length)[:, None])


@triton.jit  # length is a multiple of 16, as a rule: then eight positions are written at a time
def _to_taps(
    gradient, activated, matrix, planes, length,
    OUTPUTS: tl.constexpr, FILLED: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    positions = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, OUTPUTS)
    k = tl.arange(0, FILLED)
    at = positions.to(tl.int64)[:, None] * OUTPUTS + columns[None, :]
    exists = (positions < length)[:, None]
    value = tl.load(gradient + at, mask=exists, other=0.0)
    passes = tl.load(activated + at, mask=exists, other=0.0) > 0
    value = tl.where(passes, value, 0.0).to(gradient.dtype.element_ty)
    weight = tl.load(matrix + k[None, :] * OUTPUTS + columns[:, None])
    total = tl.dot(value, weight).to(planes.dtype.element_ty)
    place = k.to(tl.int64)[None, :] * length + positions[:, None]
    tl.store(planes + place, total, mask=exists & (k < 27)[None, :])


@triton.jit(do_not_specialize=[*_SIZES])
def _add_taps(
    planes, result, length, height, width, image_height, image_width,
    STRIDE: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    pixels = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    image = pixels // (image_height * image_width)
    y = pixels // image_width % image_height
    x = pixels % image_width
    exists = pixels < length // (height * width) * (image_height * image_width)
    red = tl.zeros((PIXELS,), tl.float32)
    green = tl.zeros((PIXELS,), tl.float32)
    blue = tl.zeros((PIXELS,), tl.float32)
    for tap in tl.static_range(9):
        # In units of STRIDE, and one of these further on so that nothing is negative.
        from_y = y + STRIDE - (tap // 3 - 1)
        from_x = x + STRIDE - (tap % 3 - 1)
        row = from_y // STRIDE - 1
        column = from_x // STRIDE - 1
        inside = exists & (from_y % STRIDE == 0) & (from_x % STRIDE == 0)
        inside = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        position = ((image * height + row) * width + column).to(tl.int64) + tap * 3 * length.to(tl.int64)
        red += tl.load(planes + position, mask=inside, other=0.0).to(tl.float32)
        green += tl.load(planes + position + length, mask=inside, other=0.0).to(tl.float32)
        blue += tl.load(planes + position + length * 2, mask=inside, other=0.0).to(tl.float32)
    at = pixels.to(tl.int64) * 3
    tl.store(result + at, red.to(result.dtype.element_ty), mask=exists)
    tl.store(result + at + 1, green.to(result.dtype.element_ty), mask=exists)
    tl.store(result + at + 2, blue.to(result.dtype.element_ty), mask=exists)


def convolve_image(images: Tensor, matrix: Tensor, shift: Tensor, mean: Tensor, *, stride: int) -> Tensor:
    """``relu(convolution of (images - mean) + shift)``, 3 × 3, zeros around, as (B, O, h, w) like ``matrix``.

    images: (B, 3, H, W) float of any strides, H and W multiples of ``stride``. matrix: (32, O),
    `FILLED` rows. shift: (O,) and mean: (3,) float32. O is a power of two.
    """
    batch, _, image_height, image_width = images.shape
    height, width, outputs = image_height // stride, image_width // stride, matrix.shape[1]
    result = torch.empty(
        (batch, outputs, height, width),
        dtype=matrix.dtype,
        device=images.device,
        memory_format=torch.channels_last,
    )
    length = batch * height * width
    _convolve_image[(triton.cdiv(length, _ROWS),)](
        images, matrix, shift, mean, result, length, height, width, image_height, image_width,
        *images.stride(), STRIDE=stride, OUTPUTS=outputs, FILLED=FILLED, ROWS=_ROWS,
    )  # fmt: skip
    return result


def image_gradient(
    gradient: Tensor, activated: Tensor, matrix: Tensor, dtype: torch.dtype, *, stride: int
) -> Tensor:
    """The gradient (B, 3, H, W) of `convolve_image`'s images from that of its result ``activated``."""
    batch, outputs, height, width = gradient.shape
    for x in (gradient, activated):
        if x.shape != gradient.shape or not x.is_contiguous(memory_format=torch.channels_last):
            raise ValueError(f"a map of shape {tuple(x.shape)}, strides {x.stride()} is not channels_last")
    length = batch * height * width
    planes = torch.empty((27, length), dtype=gradient.dtype, device=gradient.device)
    _to_taps[(triton.cdiv(length, _ROWS),)](
        gradient, activated, matrix, planes, length, OUTPUTS=outputs, FILLED=FILLED, ROWS=_ROWS
    )
    image_height, image_width = height * stride, width * stride
    result = torch.empty(
        (batch, 3, image_height, image_width),
        dtype=dtype,
        device=gradient.device,
        memory_format=torch.channels_last,
    )
    _add_taps[(triton.cdiv(batch * image_height * image_width, _PIXELS),)](
        planes, result, length, height, width, image_height, image_width, STRIDE=stride, PIXELS=_PIXELS
    )
    return result
