"""Where our own GPU kernels run."""

import importlib.util
from functools import cache

__all__ = ["fused"]


def fused(device: object) -> bool:
    """Whether our own kernels run on a device (PyTorch's, or its name): on CUDA where Triton is.

    PyTorch brings Triton on Linux; elsewhere, and on a CPU, plain PyTorch computes the same.
    """
    return str(device).startswith("cuda") and _has_triton()


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
