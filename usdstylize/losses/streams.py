"""Work that a GPU does side by side."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch

__all__ = ["forked"]


@contextmanager
def forked(device: str) -> Iterator[Callable[[], AbstractContextManager[object]]]:
    """Gives a context: what is launched in it runs beside what is launched outside it, until the end.

    Both may use what was computed before `forked` began; what they compute may be used after its end.
    On a CPU one runs after the other.
    """
    if not device.startswith("cuda"):
        yield nullcontext
        return
    here, beside = torch.cuda.current_stream(), _beside(torch.cuda.current_device())
    beside.wait_stream(here)
    try:
        yield lambda: torch.cuda.stream(beside)
    finally:  # after an error, too: the other stream still uses its memory
        here.wait_stream(beside)


@cache
def _beside(index: int) -> torch.cuda.Stream:
    """Always the same one, since memory that was freed on a stream is used again by that stream alone.

    PyTorch hands out its ordinary streams in turn, so that one of them might be the caller's.
    """
    return torch.cuda.Stream(index, priority=-1)  # type: ignore[no-untyped-call]
