"""The processes that optimise one object: this one alone, or several that share every batch."""

import pickle
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from usdstylize.optimize.batches import Share

__all__ = ["ALONE", "ProcessGroup", "sendable"]


class ProcessGroup:
    """One process alone, which shares nothing; `TorchProcessGroup` is several."""

    share = Share()

    @property
    def reduce(self) -> Callable[[Tensor], None] | None:
        """Adds up a tensor over all processes, in place; None where there is one."""
        return None

    def use(self, device: str) -> None:
        """Get ready to add up tensors that are on ``device``."""

    def gathered(self, values: Sequence[float]) -> list[float]:
        """The values of all processes, those of the first before those of the second."""
        return list(values)

    def settle(self, error: Exception | None) -> None:
        """Raise in every process the error of the first that has one; all must call it."""
        if error is not None:
            raise error

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Where one process raises in the block, all do, so that none waits for another in vain."""
        error: Exception | None = None
        try:
            yield
        except Exception as raised:
            error = raised
        self.settle(error)


ALONE = ProcessGroup()


def sendable(error: Exception) -> Exception:
    """The error as another process can read it, with its trace for ``--verbose``."""
    trace = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(trace)
    return error
