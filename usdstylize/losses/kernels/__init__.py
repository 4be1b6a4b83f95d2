"""Triton kernels of the losses, for CUDA only; import it only where a tensor is on a GPU."""

from usdstylize.losses.kernels.rows import content_mean, nearest_mean, smoothed_offsets
from usdstylize.losses.kernels.search import nearest

__all__ = ["content_mean", "nearest", "nearest_mean", "smoothed_offsets"]
