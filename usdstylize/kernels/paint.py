"""Sampling, shading and placing of all object pixels as one Triton kernel, for CUDA only.

Import it only where a tensor is on a GPU. The reference is `render.views.paint` on a CPU: `sample`, `shade`
and `index_copy`, with their gradients by autograd. A clamp passes a gradient on at both of its ends.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["paint_pixels"]

_PIXELS = 64
"""That a program paints: with eight taps each, four taps a thread."""
_WARPS = 4
_DIGITS = tl.constexpr(30)
"""Binary digits of the table's gradient below the largest one of a pixel. A texel's gradient is a
sum of integers, which is the same in any order, and reaches 2^32 times the largest pixel's:
twelve digits for what shading may multiply it by and twenty for pixels with the same texel."""


def paint_pixels(
    table: Tensor | None,
    rows: Tensor,
    weights: Tensor,
    base: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    pixels: Tensor,
    background: Tensor,
    views: int,
) -> Tensor:
    """Renders (B, 3, R, R) float32, channels last in memory, sRGB-encoded 0..1, row 0 the top.

    table: (N, 3) float32, the mip table of T_S, the only input with a gradient; None renders
    the original. rows: (P, 8) int32 and weights: (P, 8) float32, the taps of each pixel. base:
    (P, 3) float32, sRGB-encoded. diffuse, specular: (P, 1) float32, linear. pixels: (P,)
    int64, counted through the B pictures; one of -1 is skipped, whatever its other values are,
    as long as its rows lie in the table. background: (3, R, R) float, sRGB-encoded, behind the
    object in each of the ``views`` pictures.

    The gradient is summed in fixed point and does not depend on the order of pixels: the same
    inputs give it to the last bit. Where a pixel's gradient is not finite, all of it is nan.
    """
    resolution = background.shape[1]
    picture = background.float().permute(1, 2, 0)
    # Always a copy, as it is painted over: for a single view, expand alone would give the background itself.
    images = picture.expand(views, resolution, resolution, 3).clone(memory_format=torch.contiguous_format)
    inputs = [tensor.contiguous() for tensor in (rows, weights, base, diffuse, specular, pixels)]
    if table is None:
        _forward(None, inputs, images)
    else:
        images = _Paint.apply(table, images, *inputs)
    return images.permute(0, 3, 1, 2)


class _Paint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, images: Tensor, *inputs: Tensor) -> Tensor:
        table = table.contiguous()
        ctx.save_for_backward(table, *inputs)
        ctx.mark_dirty(images)
        _forward(table, inputs, images)
        return images

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        table, *inputs = ctx.saved_tensors
        gradient = gradient.contiguous()
        largest = torch.linalg.vector_norm(gradient, float("inf"))
        fixed = torch.zeros(table.shape, dtype=torch.int64, device=table.device)
        result = torch.empty_like(table)
        count = len(inputs[-1])
        with torch.cuda.device_of(table):
            if count:
                _table_gradient[(triton.cdiv(count, _PIXELS),)](
                    table, *inputs, gradient, largest, fixed, count, tile=_PIXELS, num_warps=_WARPS
                )
            _to_float[(triton.cdiv(fixed.numel(), 1024),)](
                fixed, largest, result, fixed.numel(), tile=1024, num_warps=4
            )
        return result, *(None for _ in range(1 + len(inputs)))


def _forward(table: Tensor | None, inputs: Any, images: Tensor) -> None:
    count = len(inputs[-1])
    if count:
        with torch.cuda.device_of(images):
            _paint[(triton.cdiv(count, _PIXELS),)](
                images if table is None else table,
                *inputs,
                images,
                count,
                styled=table is not None,
                tile=_PIXELS,
                num_warps=_WARPS,
            )


@triton.jit
def _power(base, exponent):
    """``base`` to the power ``exponent``, for a positive ``base``."""
    return tl.exp2(tl.log2(base) * exponent)


@triton.jit
def _surface(table_at, base_at, row, weight, pixel, inside, channel: tl.constexpr, styled: tl.constexpr):
    """T + T_S of one channel, not clamped; row, weight: (tile, 8)."""
    color = tl.load(base_at + pixel * 3 + channel, inside, 0.0)
    if styled:
        texel = tl.load(table_at + row * 3 + channel, inside[:, None], 0.0)
        color += tl.sum(tl.where(inside[:, None], texel * weight, 0.0), axis=1)
    return color


@triton.jit
def _light(color, diffuse, specular):
    """The clamped surface colour, and its linear colour under light, not clamped."""
    encoded = tl.minimum(tl.maximum(color, 0.0), 1.0)
    curve = _power((tl.maximum(encoded, 0.04045) + 0.055) / 1.055, 2.4)
    return encoded, tl.where(encoded <= 0.04045, encoded / 12.92, curve) * diffuse + specular


@triton.jit(do_not_specialize=["count"])
def _paint(
    table_at,
    rows_at,
    weights_at,
    base_at,
    diffuse_at,
    specular_at,
    pixels_at,
    images_at,
    count,
    styled: tl.constexpr,
    tile: tl.constexpr,
):
    pixel = tl.program_id(0) * tile + tl.arange(0, tile)
    inside = pixel < count
    place = tl.load(pixels_at + pixel, inside, -1)
    inside = place >= 0
    tap = pixel[:, None] * 8 + tl.arange(0, 8)[None, :]
    row = tl.load(rows_at + tap, inside[:, None], 0)
    weight = tl.load(weights_at + tap, inside[:, None], 0.0)
    diffuse = tl.load(diffuse_at + pixel, inside, 0.0)
    specular = tl.load(specular_at + pixel, inside, 0.0)
    for channel in tl.static_range(3):
        color = _surface(table_at, base_at, row, weight, pixel, inside, channel, styled)
        _encoded, lit = _light(color, diffuse, specular)
        lit = tl.minimum(tl.maximum(lit, 0.0), 1.0)
        curve = 1.055 * _power(tl.maximum(lit, 0.0031308), 1 / 2.4) - 0.055
        tl.store(images_at + place * 3 + channel, tl.where(lit <= 0.0031308, lit * 12.92, curve), inside)


@triton.jit
def _scale(largest):
    """The power of two by which ``largest`` becomes at most 2^_DIGITS, and its inverse."""
    exponent = (largest.to(tl.int32, bitcast=True) >> 23) & 255
    # the power and its inverse must both be ordinary numbers
    exponent = tl.minimum(tl.maximum(exponent, _DIGITS + 2), 254 - _DIGITS) - 126
    up = (127 + _DIGITS - exponent) << 23
    down = (127 - _DIGITS + exponent) << 23
    return up.to(tl.float32, bitcast=True), down.to(tl.float32, bitcast=True)


@triton.jit(do_not_specialize=["count"])
def _table_gradient(
    table_at,
    rows_at,
    weights_at,
    base_at,
    diffuse_at,
    specular_at,
    pixels_at,
    gradient_at,
    largest_at,
    fixed_at,
    count,
    tile: tl.constexpr,
):
    pixel = tl.program_id(0) * tile + tl.arange(0, tile)
    inside = pixel < count
    place = tl.load(pixels_at + pixel, inside, -1)
    inside = place >= 0
    tap = pixel[:, None] * 8 + tl.arange(0, 8)[None, :]
    row = tl.load(rows_at + tap, inside[:, None], 0)
    weight = tl.load(weights_at + tap, inside[:, None], 0.0)
    diffuse = tl.load(diffuse_at + pixel, inside, 0.0)
    specular = tl.load(specular_at + pixel, inside, 0.0)
    scale, _inverse = _scale(tl.load(largest_at))
    counts = inside[:, None] & (weight != 0.0)
    for channel in tl.static_range(3):
        color = _surface(table_at, base_at, row, weight, pixel, inside, channel, True)
        encoded, lit = _light(color, diffuse, specular)
        slope = tl.load(gradient_at + place * 3 + channel, inside, 0.0)
        curve = (1.055 / 2.4) * _power(tl.maximum(lit, 0.0031308), 1 / 2.4 - 1)
        slope *= tl.where(lit <= 0.0031308, 12.92, curve)
        slope = tl.where((lit >= 0.0) & (lit <= 1.0), slope * diffuse, 0.0)
        curve = (2.4 / 1.055) * _power((tl.maximum(encoded, 0.04045) + 0.055) / 1.055, 1.4)
        slope *= tl.where(encoded <= 0.04045, 1 / 12.92, curve)
        slope = tl.where((color >= 0.0) & (color <= 1.0), slope, 0.0)
        amount = (slope * scale)[:, None] * weight
        whole = tl.floor(amount + 0.5).to(tl.int64)
        tl.atomic_add(fixed_at + row * 3 + channel, whole, counts, sem="relaxed")


@triton.jit(do_not_specialize=["count"])
def _to_float(fixed_at, largest_at, result_at, count, tile: tl.constexpr):
    place = tl.program_id(0) * tile + tl.arange(0, tile)
    inside = place < count
    largest = tl.load(largest_at)
    _up, inverse = _scale(largest)
    value = tl.load(fixed_at + place, inside, 0).to(tl.float32) * inverse
    tl.store(result_at + place, tl.where(largest < float("inf"), value, float("nan")), inside)
