"""Coarse to fine (supplement §2): T_S is small first, and is magnified from time to time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from usdstylize.config.method import Method
from usdstylize.model.base_colors import Wrap

__all__ = ["magnified", "magnifiers", "size_at", "smoothed"]


def size_at(method: Method, number: int) -> int:
    """Width and height that T_S has in iteration ``number``, counted from 1."""
    full = method.texture_resolution
    sizes = [*(size for size in method.texture_hierarchy if size < full), full]
    return sizes[(number - 1) * len(sizes) // method.iterations]


def magnifiers(
    textures: Tensor, size: int, wraps: Sequence[tuple[Wrap, Wrap]]
) -> tuple[tuple[Tensor, Tensor], ...]:
    """Two bilinear matrices that magnify each texture (S, h, w, 3) to size² texels; empty at that size.

    A texture continues beyond its border as it wraps. A product with matrices has the same gradient in
    every run on every device.
    """
    height, width = textures.shape[1:3]
    if height == width == size:
        return ()
    device = textures.device
    return tuple(
        (_weights(height, size, up).to(device), _weights(width, size, across).to(device))
        for across, up in wraps
    )


def magnified(textures: Tensor, by: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """(S, h, w, 3) to (S, size, size, 3) by its `magnifiers`; as they are where there are none."""
    if not by:
        return textures
    pairs = zip(textures, by, strict=True)
    return torch.stack([torch.einsum("ah,hwc,bw->abc", rows, own, columns) for own, (rows, columns) in pairs])


def smoothed(textures: Tensor, wraps: Sequence[tuple[Wrap, Wrap]]) -> Tensor:
    """(S, H, W, 3) with each texel a mean of its neighbourhood, 1 2 1 along either axis; they wrap as given.

    What is left has no detail of a single texel, which the networks hardly see and a close-up shows as grain.
    """
    return torch.stack(
        [
            _blurred(_blurred(texture, 0, up == "repeat"), 1, across == "repeat")
            for texture, (across, up) in zip(textures, wraps, strict=True)
        ]
    )


def _blurred(texture: Tensor, axis: int, circular: bool) -> Tensor:
    if circular:
        before, after = texture.roll(1, axis), texture.roll(-1, axis)
    else:
        last = texture.shape[axis] - 1
        before = torch.cat([texture.narrow(axis, 0, 1), texture.narrow(axis, 0, last)], axis)
        after = torch.cat([texture.narrow(axis, 1, last), texture.narrow(axis, last, 1)], axis)
    return (before + after).mul_(0.25).add_(texture, alpha=0.5)


def _weights(small: int, large: int, wrap: Wrap) -> Tensor:
    """(large, small): the share of each coarse texel in each fine one along an axis."""
    place = (torch.arange(large, dtype=torch.float64) + 0.5) * small / large - 0.5
    first = place.floor()
    blend = (place - first).float()
    result = torch.zeros(large, small)
    each = torch.arange(large)
    for index, share in ((first.long(), 1 - blend), (first.long() + 1, blend)):
        inside = index.remainder(small) if wrap == "repeat" else index.clamp(0, small - 1)
        result.index_put_((each, inside), share, accumulate=True)
    return result
