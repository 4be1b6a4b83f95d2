"""Where to compute, and what its lack of memory looks like."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from usdstylize.errors import OptionsError

__all__ = ["choose_device", "computing", "memory_errors"]


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


@contextmanager
def computing(device: str) -> Iterator[None]:
    """On CUDA: a stream of its own, which graphs can be recorded on, and the same result every time."""
    if not device.startswith("cuda"):
        yield
        return
    before, own = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    own.wait_stream(before)
    # not `benchmark`: what is the fastest way of one day is not that of another
    with (
        torch.cuda.stream(own),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
    ):
        yield
    before.wait_stream(own)
