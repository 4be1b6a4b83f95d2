"""The λs of style and content that suit a network, measured on it: one ratio serves them all.

A λ makes up for how large a network's features are, and how steeply its loss rises when pixels change. Both
are measured by the gradients of the losses on pictures of noise, which no asset and no style has part in. The
λs make every network's gradients as large as VGG16's are with the λs that were chosen for it by eye.
"""

import math
from pathlib import Path

import torch
from torch import Tensor

from usdstylize.encoders import Encoder, load_encoder
from usdstylize.errors import WeightsError
from usdstylize.losses.content import content_loss
from usdstylize.losses.nnfm import nnfm_loss, style_keys

__all__ = ["measure", "measured_weights"]

_SIDE = 256
_CONTRAST, _CHANGE = 0.15, 0.08
"""Deviations of a picture from grey, and of the change whose gradient is measured; sRGB-encoded."""
_LONGEST = 64
"""Pixels: the longest wavelength of the noise, whose octaves are all as strong."""
_NNFM, _CONTENT = 9.816e-3, 2.138e-3
"""Root mean squares of a pixel's gradient of either loss, times its λ, as VGG16 has them."""


def measure(encoder: str, content_encoder: str, weights: Path | None) -> tuple[float, float]:
    """`measured_weights` of networks by name. weights: see `load_encoder`, whose errors this raises.

    Raises WeightsError, too, where no λ would do.
    """
    names = dict.fromkeys((encoder, content_encoder))
    loaded = {name: load_encoder(name, device="cpu", dtype=torch.float32, folder=weights) for name in names}
    found = measured_weights(loaded[encoder], loaded[content_encoder])
    if not all(map(math.isfinite, found)):
        raise WeightsError(
            f"The weights of {encoder} are of no use: its features do not follow the picture, or are no "
            "finite numbers; give those of a trained network."
        )
    return found


def measured_weights(encoder: Encoder, content_encoder: Encoder) -> tuple[float, float]:
    """λ of NNFM by one network and of the content loss by another, or by the same.

    Both on the CPU, in float32. Three digits, so that machines which round otherwise agree. Infinite or NaN
    where features do not follow the picture, as with weights of 0 or NaN.
    """
    first, change, other = (_noise(seed) for seed in range(3))
    picture = (0.5 + _CONTRAST * first).clamp(0, 1)
    changed = (picture + _CHANGE * change).clamp(0, 1)
    style = (0.5 + _CONTRAST * other).clamp(0, 1)
    with torch.no_grad():
        keys = [style_keys(rows, smooth=encoder.smooth) for rows in encoder(style)]
        original = [rows.clone() for rows in content_encoder(picture)]

    def nnfm(pictures: Tensor) -> Tensor:
        each = zip(encoder(pictures), keys, strict=True)
        return torch.stack([nnfm_loss(rows, own, smooth=encoder.smooth) for rows, own in each]).mean()

    def content(pictures: Tensor) -> Tensor:
        each = zip(content_encoder(pictures), original, strict=True)
        weights = [torch.ones(len(rows)) for rows in original]
        found = [content_loss(*own, all_, total=all_.sum()) for own, all_ in zip(each, weights, strict=True)]
        return torch.stack(found).mean()

    steepness = []
    for loss in (nnfm, content):
        pixels = changed.clone(memory_format=torch.channels_last).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(pixels), pixels)
        steepness.append(float(gradient.square().mean().sqrt()))
    each = zip((_NNFM, _CONTENT), steepness, strict=True)
    nnfm_weight, content_weight = (
        float(f"{size / found:.3g}") if found else math.inf for size, found in each
    )
    return nnfm_weight, content_weight


def _noise(seed: int) -> Tensor:
    """(1, 3, 256, 256) float32, mean 0, deviation 1, channels last."""
    random = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft2(torch.randn(1, 3, _SIDE, _SIDE, generator=random, dtype=torch.float64))
    rows, columns = torch.fft.fftfreq(_SIDE)[:, None], torch.fft.rfftfreq(_SIDE)[None]
    noise = torch.fft.irfft2(spectrum / torch.hypot(rows, columns).clamp_min(1 / _LONGEST), s=(_SIDE, _SIDE))
    noise = (noise - noise.mean()) / noise.std()
    result: Tensor = noise.float()
    return result.contiguous(memory_format=torch.channels_last)
