"""A network's own mean and standard deviation, in float32 whatever the network's dtype."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Standardize"]


class Standardize:
    """``(images - mean) / deviation`` per channel, for (B, 3, H, W) float images.

    No ``nn.Module`` with buffers: ``to(torch.bfloat16)`` would round them.
    """

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        self._mean = torch.tensor(mean).view(1, -1, 1, 1)
        self._deviation = torch.tensor(deviation).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        if self._mean.device != images.device:
            self._mean, self._deviation = self._mean.to(images.device), self._deviation.to(images.device)
        return (images - self._mean) / self._deviation
