"""Light on a surface: Phong in linear Rec.709, with an ambient term (supplement §1)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.config.method import RenderMethod
from usdstylize.imaging.encoding import LUMINANCE
from usdstylize.model.base_colors import Transfer

__all__ = ["decode_srgb", "encode_base", "encode_srgb", "phong", "shade"]


def decode_srgb(encoded: Tensor) -> Tensor:
    """sRGB-encoded 0..1 to linear, exact piecewise curve."""
    # the clamp keeps the unused branch of `where` from giving NaN gradients
    return torch.where(
        encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    )


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear 0..1 to sRGB-encoded, exact piecewise curve."""
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    )


def encode_base(values: Tensor, transfer: Transfer) -> Tensor:
    """`usdstylize.imaging.encoding.encode_base` of a tensor (P, 3)."""
    if transfer.is_plain:
        return values
    linear = decode_srgb(values.abs()).copysign(values) if transfer.encoding == "srgb" else values
    if transfer.desaturation:
        grey = linear @ linear.new_tensor(LUMINANCE)
        linear = linear + transfer.desaturation * (grey[:, None] - linear)
    if transfer.is_scaled:
        linear = linear * linear.new_tensor(transfer.scale) + linear.new_tensor(transfer.bias)
    return encode_srgb(linear.clamp_min(0))


def phong(
    points: Tensor, normals: Tensor, eye: Tensor, light: Tensor, method: RenderMethod
) -> tuple[Tensor, Tensor]:
    """Diffuse factor and specular light per point, each (P, 1) float32, linear.

    points, normals: (P, 3); normals are turned to the viewer, so that the inside of a vase is
    lit too. eye, light: (3,). No inverse square: at the paper's distances it leaves the
    object nearly black.
    """
    to_eye = F.normalize(eye - points, dim=1)
    to_light = F.normalize(light - points, dim=1)
    normals = normals * torch.where((normals * to_eye).sum(1, keepdim=True) < 0, -1.0, 1.0)
    facing = (normals * to_light).sum(1, keepdim=True)
    reflected = 2 * facing * normals - to_light
    power = method.light_power / math.pi
    highlight = (reflected * to_eye).sum(1, keepdim=True).clamp_min(0) ** method.phong_exponent
    specular = method.specular * power * highlight * (facing > 0)
    return method.ambient + power * facing.clamp_min(0), specular


def shade(encoded: Tensor, diffuse: Tensor, specular: Tensor) -> Tensor:
    """Lit colour (P, 3), sRGB-encoded 0..1, of a surface colour (P, 3), sRGB-encoded.

    The surface colour is clamped to 0..1, decoded, lit in linear and encoded again: what USD
    viewers do, and what the written MaterialX network does.
    """
    return _Shade.apply(encoded, diffuse, specular)  # type: ignore[no-any-return, no-untyped-call]


class _Shade(torch.autograd.Function):
    """`shade`, its derivative taken on the way, where it needs no power of its own."""

    @staticmethod
    def forward(ctx, encoded: Tensor, diffuse: Tensor, specular: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        clamped = encoded.clamp(0, 1)
        curved = (clamped + 0.055).mul_(1 / 1.055)
        power = curved.pow(2.4)
        dark = clamped <= 0.04045
        lit = torch.addcmul(specular, torch.where(dark, clamped / 12.92, power), diffuse)
        clipped = lit.clamp(0, 1)
        bright = clipped.clamp_min(0.0031308)
        root = bright.pow(1 / 2.4).mul_(1.055)
        dim = clipped <= 0.0031308
        result = torch.where(dim, clipped * 12.92, root - 0.055)
        if ctx.needs_input_grad[0]:
            slope = power.mul_(2.4 / 1.055).div_(curved).masked_fill_(dark, 1 / 12.92).mul_(diffuse)
            slope.mul_(root.mul_(1 / 2.4).div_(bright).masked_fill_(dim, 12.92))
            ctx.save_for_backward(slope.mul_(clamped == encoded).mul_(clipped == lit))
        return result

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None
