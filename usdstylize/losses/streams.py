"""Work that a GPU does side by side."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch

__all__ = ["forked"]


@contextmanager
def forked(device: str) -> Iterator[Callable[[], AbstractContextManager[object]]]:
    """Gives a context: what is launched in it runs beside what is launched outside it, until the end.

    What either of them uses must be there when `forked` begins, and what either of them makes may
    be used after its end. On a CPU one thing is done after the other.
    """
    if not device.startswith("cuda"):
        yield nullcontext
        return
    here, beside = torch.cuda.current_stream(), _beside(torch.cuda.current_device())
    beside.wait_stream(here)
    try:
        yield lambda: torch.cuda.stream(beside)
    finally:  # also where it failed: what lies in memory is used until then
        here.wait_stream(beside)


@cache
def _beside(index: int) -> torch.cuda.Stream:
    """Always the same one, since memory that was freed on a stream is used again by that stream alone.

    PyTorch hands out its ordinary streams in turn, so that one of them might be the caller's.
    """
    return torch.cuda.Stream(index, priority=-1)  # type: ignore[no-untyped-call]
