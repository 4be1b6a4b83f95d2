"""Where to compute, and what its lack of memory looks like."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from usdstylize.errors import OptionsError

__all__ = ["choose_device", "memory_errors"]


def choose_device(name: str) -> str:
    """``auto`` is CUDA where there is one, else the CPU. Raises OptionsError for a missing GPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionsError("--device cuda: PyTorch finds no CUDA GPU here; use --device cpu.")
    return name


@contextmanager
def memory_errors() -> Iterator[None]:
    """PyTorch's ways to run out of memory, as Python's."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise MemoryError(str(error)) from error
        raise
