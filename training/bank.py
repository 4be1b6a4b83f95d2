"""The bank of pictures, and the crops that are drawn from it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from training.painted import PAINTERS

__all__ = ["SIZE", "Bank"]

SIZE = 512
"""Width and height of a picture in the bank."""
_PER_PAINTER = {
    "strokes": 160,
    "hatching": 40,
    "glass": 40,
    "fabric": 32,
    "flat": 64,
    "dots": 24,
    "noise": 64,
}
_AT_ONCE = 8


class Bank:
    """Pictures on the device, at full and at half size so that no crop skips texels."""

    def __init__(self, photographs: Sequence[NDArray[np.uint8]], device: str, seed: int) -> None:
        """photographs: (H, W, 3) uint8 sRGB-encoded. They are kept, and painted in every manner."""
        self._generator = torch.Generator(device).manual_seed(seed)
        own = torch.cat([_cover(photo, device) for photo in photographs])
        pictures = [own] * 3  # real edges and gradients count as much as all paintings
        for name, count in _PER_PAINTER.items():
            for _ in range(count // _AT_ONCE):
                chosen = own[self._integers(len(own), _AT_ONCE)]
                pictures.append(PAINTERS[name](self.jitter(chosen), self._generator).clamp(0, 1))
        whole = torch.cat(pictures)
        self.count = len(whole)
        self._levels = [whole.mul(255).byte(), F.avg_pool2d(whole, 2).mul(255).byte()]

    def crops(self, count: int, size: int) -> Tensor:
        """(count, 3, size, size) float 0..1: turned, scaled and mirrored pieces, recoloured, mixed."""
        half = [count - count // 2, count // 2]
        parts = [self._pieces(level, number, size) for level, number in zip(self._levels, half, strict=True)]
        return self._mixed(self.jitter(torch.cat(parts)))

    def _pieces(self, level: Tensor, count: int, size: int) -> Tensor:
        images = level[self._integers(len(level), count)].float() / 255
        # Texels of the picture per pixel of the piece: never so many that some are skipped.
        zoom = torch.exp(self._uniform(count, math.log(0.35), math.log(1.3))) * size / level.shape[-1]
        turn = torch.where(self._uniform(count, 0, 1) < 0.5, 0.0, self._uniform(count, -math.pi, math.pi))
        mirror = torch.where(self._uniform(count, 0, 1) < 0.5, 1.0, -1.0)
        shift = self._uniform(2 * count, -0.8, 0.8).view(2, count) * (1 - zoom).clamp_min(0)
        cos, sin = turn.cos() * zoom, turn.sin() * zoom
        matrix = torch.stack(
            [torch.stack([cos * mirror, -sin, shift[0]], 1), torch.stack([sin * mirror, cos, shift[1]], 1)], 1
        )
        grid = F.affine_grid(matrix, [count, 3, size, size], align_corners=False)
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    def jitter(self, images: Tensor) -> Tensor:
        """Other colours: channels exchanged, contrast and tint changed, a few inverted."""
        count = len(images)
        order = torch.rand(count, 3, generator=self._generator, device=images.device).argsort(1)
        exchanged = images.gather(1, order[:, :, None, None].expand_as(images))
        images = torch.where(self._uniform(count, 0, 1)[:, None, None, None] < 0.5, exchanged, images)
        contrast = self._uniform(count, 0.4, 1.6)[:, None, None, None]
        tint = torch.randn(count, 3, 1, 1, generator=self._generator, device=images.device) * 0.12
        changed = (images - 0.5) * contrast + 0.5 + tint
        images = torch.where(self._uniform(count, 0, 1)[:, None, None, None] < 0.6, changed, images)
        inverted = self._uniform(count, 0, 1)[:, None, None, None] < 0.1
        return torch.where(inverted, 1 - images, images).clamp(0, 1)

    def _mixed(self, images: Tensor) -> Tensor:
        """Some pictures cut into one another as an object stands before its background; some noisy."""
        count = len(images)
        mask = torch.randn(count, 1, 6, 6, generator=self._generator, device=images.device)
        mask = (F.interpolate(mask, images.shape[-2:], mode="bicubic") > 0).float()
        cut = mask * images + (1 - mask) * images.roll(1, 0)
        images = torch.where(self._uniform(count, 0, 1)[:, None, None, None] < 0.3, cut, images)
        grain = torch.randn(images.shape, generator=self._generator, device=images.device)
        amount = self._uniform(count, -0.3, 0.12).clamp_min(0)[:, None, None, None]
        return (images + amount * grain).clamp(0, 1)

    def _integers(self, high: int, count: int) -> Tensor:
        device = self._generator.device
        return torch.randint(high, (count,), generator=self._generator, device=device)

    def _uniform(self, count: int, low: float, high: float) -> Tensor:
        values = torch.rand(count, generator=self._generator, device=self._generator.device)
        return low + (high - low) * values


def _cover(photo: NDArray[np.uint8], device: str) -> Tensor:
    """(1, 3, SIZE, SIZE) float 0..1, the photograph scaled to cover it and cropped at the centre."""
    image = torch.from_numpy(photo.copy()).to(device).permute(2, 0, 1)[None].float() / 255
    scale = SIZE / min(image.shape[-2:])
    height, width = (max(SIZE, round(side * scale)) for side in image.shape[-2:])
    image = F.interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (height - SIZE) // 2, (width - SIZE) // 2
    return image[:, :, top : top + SIZE, left : left + SIZE]
