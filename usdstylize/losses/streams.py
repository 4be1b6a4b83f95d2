"""A second CUDA stream, for work that a GPU can do at the same time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch

__all__ = ["forked"]


@contextmanager
def forked(device: str) -> Iterator[Callable[[], AbstractContextManager[object]]]:
    """Yields a function that makes a context; work launched in that context runs on a second stream.

    It runs at the same time as work that is launched in the block, but not in that context. Both may use
    what was computed before the block; what they compute may be used after it. On a CPU one runs after
    the other.
    """
    if not device.startswith("cuda"):
        yield nullcontext
        return
    here, beside = torch.cuda.current_stream(), _second_stream(torch.cuda.current_device())
    beside.wait_stream(here)
    try:
        yield lambda: torch.cuda.stream(beside)
    finally:  # after an error, too: the other stream still uses its memory
        here.wait_stream(beside)


@cache
def _second_stream(index: int) -> torch.cuda.Stream:
    """The second stream, always the same, since only the stream that freed memory can use it again.

    PyTorch gives out its ordinary streams in turn, so that one of them might be the caller's.
    """
    return torch.cuda.Stream(index, priority=-1)  # type: ignore[no-untyped-call]
