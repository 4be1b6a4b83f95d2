"""The one question of every caller: do our own kernels run on this device?"""

import importlib.util
from functools import cache

__all__ = ["fused"]


def fused(device: object) -> bool:
    """Do our own kernels run on this device (PyTorch's, or its name)? On CUDA, if Triton is installed.

    PyTorch for Linux brings Triton. Elsewhere, and on a CPU, the caller computes the same in plain PyTorch.
    """
    return str(device).startswith("cuda") and _has_triton()


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
