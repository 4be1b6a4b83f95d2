"""Style textures of several sizes as one stack of the largest size."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.imaging.encoding import encode_base
from usdstylize.imaging.sampling import resample
from usdstylize.model.base_colors import Wrap
from usdstylize.optimize.hierarchy import magnified, magnifiers, smoothed
from usdstylize.render import Sheet

__all__ = ["SheetTexels", "base_texels", "shrunk"]


class SheetTexels:
    """Makes T_S of all sheets, at one size, of texels of which each sheet has as many as it needs.

    Stands where a `Field` can, and is linear, too. Were they texels of the one size, then small objects
    would have many more than their cameras see, and grain in them.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        wraps: Sequence[tuple[Wrap, Wrap]],
        shown: NDArray[np.bool_],
        device: str,
    ) -> None:
        """sizes: texels on a side of each sheet, at most those of ``shown``, (S, size, size)."""
        self.shown = shown
        self._device, self._wraps = device, list(wraps)
        self._shapes = [(1, size, size, 3) for size in sizes]
        self._counts = [size * size for size in sizes]
        full = shown.shape[1]
        self._magnifiers = [
            magnifiers(torch.empty(shape, device=device), full, [wrap])
            for shape, wrap in zip(self._shapes, self._wraps, strict=True)
        ]

    def parameters(self) -> Tensor:
        """(N, 3) float32, 0: the texels of all sheets, one after the other."""
        return torch.zeros(sum(self._counts), 3, device=self._device)

    def texture(self, parameters: Tensor) -> Tensor:
        """(S, size, size, 3): each sheet blurred by a texel of its own, and magnified."""
        parts = zip(
            torch.split(parameters, self._counts), self._shapes, self._wraps, self._magnifiers, strict=True
        )
        each = [magnified(smoothed(own.view(shape), [wrap]), by) for own, shape, wrap, by in parts]
        return torch.cat(each)


def shrunk(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(H, W, C) with ``size`` texels on a side at most, each the mean of those that it replaces."""
    fewer = (min(image.shape[0], size), min(image.shape[1], size))
    if image.shape[:2] == fewer:
        return image
    means = F.adaptive_avg_pool2d(torch.from_numpy(image).permute(2, 0, 1), fewer)
    return means.permute(1, 2, 0).contiguous().numpy()


def base_texels(sheet: Sheet, size: int) -> NDArray[np.float32]:
    """T of a sheet with ``size`` texels on a side, sRGB-encoded: what viewers add T_S of that size to."""
    base = resample(shrunk(sheet.base, size), (size, size), sheet.wrap)
    return encode_base(base, sheet.transfer)
