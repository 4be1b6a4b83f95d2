"""Colour palette loss (paper, Eq. 3): where the colours come from."""

import torch
from torch import Tensor

__all__ = ["palette_loss"]

_CHUNK = 8192
"""Texels compared together on a CPU, so that their distances stay in its cache."""
_TIE = 1e-6
"""Squared distance by which a palette colour must be nearer than one before it."""


def palette_loss(colors: Tensor, palette: Tensor, *, squared: bool = True) -> Tensor:
    """Mean distance of texels to their nearest palette colour, a scalar.

    colors: (N, 3) float, T + T_S at the texels that the mesh's UVs cover, sRGB-encoded and
    **not clamped** (a clamp has no gradient outside 0..1). palette: (Q, 3), sRGB-encoded.
    squared: squared L2; False is the paper's plain L2, whose pull does not weaken near a
    palette colour, so that no stroke of other colours can form.
    """
    parts = (colors.detach(),) if colors.is_cuda else torch.split(colors.detach(), _CHUNK)
    difference = colors - torch.cat([_nearest(part, palette) for part in parts])
    if squared:
        return difference.square().sum() / len(colors)
    return (difference.square().sum(1) + 1e-10).sqrt().mean()


@torch.no_grad()
def _nearest(colors: Tensor, palette: Tensor) -> Tensor:
    """For each of (N, 3) colours the nearest of (Q, 3) palette colours; the first of equally near ones.

    A matrix product picks it: searching for its index takes a CPU several times as long.
    """
    preferred = palette.square().sum(1) + _TIE * torch.arange(len(palette), device=palette.device)
    distances = torch.addmm(preferred[:, None], palette, colors.T, alpha=-2)
    chosen = distances.eq_(distances.amin(0))
    return (palette.T @ chosen).div_(chosen.sum(0)).T
