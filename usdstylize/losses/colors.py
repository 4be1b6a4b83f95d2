"""Whose colours the result has: the style's, or the original's with the style's light and dark."""

from functools import lru_cache

import torch
from torch import Tensor

from usdstylize.model.base_colors import LUMA

__all__ = ["muted"]


def muted(colors: Tensor, share: float, *, dim: int = -1) -> Tensor:
    """The luma of colours, and ``share`` of what is beside it; the same tensor at 1.

    colors: any shape with red, green and blue along ``dim``, sRGB-encoded or differences of such. An offset
    that is muted to 0 is the same for the three channels: what it is added to keeps its chroma.
    """
    if share == 1.0:
        return colors
    luma: Tensor = torch.tensordot(colors, _luma(colors.device, colors.dtype), ([dim], [0])).unsqueeze(dim)
    return torch.lerp(luma.expand_as(colors), colors, share)


@lru_cache
def _luma(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Kept, since a graph may not be captured while something is copied from the host."""
    return torch.tensor(LUMA, device=device, dtype=dtype)
