"""Colour palette loss (paper, Eq. 3): where the colours come from."""

import torch
from torch import Tensor

__all__ = ["palette_loss"]


def palette_loss(colors: Tensor, palette: Tensor, *, squared: bool = True) -> Tensor:
    """Mean distance of texels to their nearest palette colour, a scalar.

    colors: (N, 3) float, T + T_S at the texels that the mesh's UVs cover, sRGB-encoded and
    **not clamped** (a clamp has no gradient outside 0..1). palette: (Q, 3), sRGB-encoded.
    squared: squared L2; False is the paper's plain L2, whose pull does not weaken near a
    palette colour and so leaves no room for strokes (see the calibration in docs).
    """
    with torch.no_grad():
        nearest = (palette.square().sum(1) - 2 * (colors @ palette.T)).argmin(1)
    distance = (colors - palette.index_select(0, nearest)).square().sum(1)
    return (distance if squared else (distance + 1e-10).sqrt()).mean()
