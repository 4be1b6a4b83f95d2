"""Coarse to fine (supplement §2): T_S is small first, and is magnified from time to time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from usdstylize.config.method import Method
from usdstylize.model.base_colors import Wrap

__all__ = ["magnified", "magnifiers", "size_at"]


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
