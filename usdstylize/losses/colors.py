"""Whose colours the result has: the style's, or the original's with the style's light and dark."""

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
    luma: Tensor = torch.tensordot(colors, colors.new_tensor(LUMA), ([dim], [0])).unsqueeze(dim)
    return torch.lerp(luma.expand_as(colors), colors, share)
