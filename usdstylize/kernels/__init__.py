"""Our own GPU kernels, in Triton. Each module names its reference in plain PyTorch."""

from usdstylize.kernels.availability import fused

__all__ = ["fused"]
