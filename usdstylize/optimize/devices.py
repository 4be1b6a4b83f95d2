"""Where to compute, and how a device reports that its memory is full."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from usdstylize.errors import OptionsError

__all__ = ["alike_gpus", "choose_device", "computing", "gpu_name", "memory_errors"]


def choose_device(name: str) -> str:
    """``auto`` is CUDA where there is one, else the CPU. Raises OptionsError for a missing GPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionsError("--device cuda: PyTorch finds no CUDA GPU here; use --device cpu.")
    return name


def alike_gpus() -> int:
    """How many of the GPUs that this process sees are the same as the first: any gives the same result."""
    if not torch.cuda.is_available():
        return 0
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return names.count(names[0])


def gpu_name(index: int) -> str:
    """What CUDA_VISIBLE_DEVICES calls the GPU of that index among those that this process sees.

    Where fewer are listed than that, the list as it is: a scheduler gave this process its own.
    """
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return str(index)
    names = listed.split(",")
    return names[index] if index < len(names) else listed


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
    """On CUDA: a stream of its own, on which graphs can be captured, and the same result every time."""
    if not device.startswith("cuda"):
        yield
        return
    before, own = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    own.wait_stream(before)
    # TF32 where float32 is asked for: exact convolutions take ten times as long, and 40 GB of scratch space.
    # Not `benchmark`: which algorithm is fastest, and so the result, could change from run to run.
    with (
        torch.cuda.stream(own),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=True),
    ):
        yield
    before.wait_stream(own)
