"""One object over several processes, as torchrun starts them.

The first process runs the command: it alone reads the stage, writes, prints and has an exit code
of its own. The others wait for jobs and do their share of every batch.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from usdstylize import interrupts
from usdstylize.distributed.jobs import Job, JobRunner
from usdstylize.errors import ProcessGroupError
from usdstylize.optimize import ProcessGroup, Share, gpu_name, sendable

__all__ = ["TorchProcessGroup", "current", "run"]

_JOINING = timedelta(minutes=5)
_IDLE = timedelta(days=7)
"""The others wait while the first process reads, writes or verifies: as long as it lives."""
_STEP = timedelta(minutes=10)
"""Processes that compute reach the same sum at about the same time."""
_OVER = "over"
_POLL_SECONDS = 0.5

_log = logging.getLogger(__name__)


class TorchProcessGroup(ProcessGroup):
    """The processes that torchrun started."""

    def __init__(self) -> None:
        """Waits for the others to join."""
        store, rank, size = next(rendezvous("env://", timeout=_JOINING))
        self._store = PrefixStore("usdstylize", store)
        # Messages go through gloo on the host; sums of a GPU's tensors get a group of their own.
        dist.init_process_group("gloo", store=self._store, rank=rank, world_size=size, timeout=_IDLE)
        self._sums: dict[str, dist.ProcessGroup | None] = {"cpu": None}
        self.share = Share(rank, size)

    @property
    def reduce(self) -> Callable[[Tensor], None]:
        return self._add

    def _add(self, values: Tensor) -> None:
        with _lost_process():
            dist.all_reduce(values, group=self._sums[values.device.type])

    def use(self, device: str) -> None:
        kind = torch.device(device).type
        if kind not in self._sums:
            self._sums[kind] = dist.new_group(backend="nccl", timeout=_STEP)

    def gathered(self, values: Sequence[float]) -> list[float]:
        found: list[list[float]] = [[] for _ in range(self.share.count)]
        with _lost_process():
            dist.all_gather_object(found, list(values))
        return [value for own in found for value in own]

    def settle(self, error: Exception | None) -> None:
        errors: list[Exception | None] = [None] * self.share.count
        with _lost_process():
            dist.all_gather_object(errors, None if error is None else sendable(error))
        first = next((found for found in errors if found is not None), None)
        if first is not None:
            # its own error still has its trace
            raise error if error is not None and first is errors[self.share.index] else first

    def send(self, job: Job) -> None:
        """Give the others the next job; for the first process."""
        with _lost_process():
            dist.broadcast_object_list([job], src=0)

    def follow(self) -> None:
        """Do jobs until the first process ends, and end then; for the others."""
        # A signal reaches all processes; the first one still needs these to come to its next step.
        for number in interrupts.SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._end_with_the_first, daemon=True).start()
        runner = JobRunner(self)
        jobs: list[Job | None] = [None]
        while True:
            try:
                dist.broadcast_object_list(jobs, src=0)
            except RuntimeError:  # the first process is gone
                os._exit(0)
            job = jobs[0]
            assert job is not None
            try:
                runner.do(job)
            except Exception:  # the first process raises the same, and reports it
                _log.debug("%s failed", job.objects[0].path, exc_info=True)

    def _end_with_the_first(self) -> None:
        # A process may wait in a collective operation that never completes: only this ends it.
        while True:
            try:
                over = self._store.check([_OVER])
            except RuntimeError:  # the store ended with the first process
                over = True
            if over:
                os._exit(0)
            time.sleep(_POLL_SECONDS)

    def end(self) -> None:
        """Let the others end; for the first process."""
        with _lost_process():
            self._store.set(_OVER, "")
        dist.destroy_process_group()


@contextmanager
def _lost_process() -> Iterator[None]:
    """Raises ProcessGroupError, which ends the run and keeps what is done, where a process is lost."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        _log.debug("a collective operation failed", exc_info=True)
        raise ProcessGroupError(
            "A process that torchrun started is lost; see its messages, and give --resume to do what is left."
        ) from error


_process_group: TorchProcessGroup | None = None


def current() -> TorchProcessGroup | None:
    """The process group that this process leads, if it does."""
    return _process_group


def run(command: Callable[[], int]) -> int:
    """In a process that torchrun started: the first runs the command, the others do its jobs."""
    global _process_group
    if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        # Each process sees its own GPU alone: then no library takes another by mistake.
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu_name(int(os.environ["LOCAL_RANK"]))
    process_group = TorchProcessGroup()
    if process_group.share.index:
        process_group.follow()
    _process_group = process_group
    try:
        return command()
    finally:
        _process_group = None
        process_group.end()
