"""Our own GPU kernels, in Triton. Each computes what plain PyTorch computes beside its caller."""

from usdstylize.kernels.availability import fused

__all__ = ["fused"]
