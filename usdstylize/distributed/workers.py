"""Many objects over several processes of our own, one object and one GPU each."""

import contextlib
import copy
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from usdstylize.config.method import Method
from usdstylize.distributed.jobs import Job, check_weights
from usdstylize.errors import WorkerError
from usdstylize.model.objects import Losses, ObjectData, StageCamera, StageObject, StyleSet, StyleTexture
from usdstylize.optimize import gpu_name, side_by_side, threads_per_object

__all__ = ["Workers"]

MODULE = "usdstylize.distributed.worker"
"""What the processes run."""

_PATIENCE_SECONDS = 10.0
_DEATHS_IN_A_ROW = 2


class Workers:
    """Looks like an `Optimizer`, and has others optimise. A context manager.

    Reading and writing stay here. Which process does an object changes nothing in its result.
    """

    def __init__(
        self,
        count: int,
        style: StyleSet,
        method: Method,
        device: str,
        *,
        weights: Path | None = None,
        memory_limit: float | None = None,
    ) -> None:
        """Raises WeightsError where the method's networks have no weights."""
        check_weights(method, weights)
        self.method = method
        self._style = style
        self._device = device
        self._weights = weights
        self._memory_limit = memory_limit
        self._count = count
        # They start at once: their imports take as long as the first object's loading.
        self._all = [_Worker(index, device, threads_per_object(method, device)) for index in range(count)]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._free.put(worker)
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._all:
            worker.end()

    def restyled(self, style: StyleSet, method: Method) -> "Workers":
        """The same processes for an object with its own style, seed, texture resolution or cameras."""
        other = copy.copy(self)
        other.method, other._style = method, style
        return other

    def each(
        self,
        groups: Sequence[tuple[StageObject, ...]],
        work: Callable[[tuple[StageObject, ...]], None],
    ) -> None:
        """As `Optimizer.each`; as many groups are under way as there are processes."""

        def stop() -> None:
            self._stop.set()
            for worker in self._all:
                worker.kill()

        side_by_side(self._count, groups, work, stop)

    def optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        *,
        cameras: Sequence[StageCamera] = (),
        on_iteration: Callable[[int, Losses], None] = lambda number, losses: None,
    ) -> tuple[StyleTexture, ...]:
        """As `Optimizer.optimize`, in the next process that is free.

        Raises WorkerError, too, where that process is lost; another takes its place.
        """
        job = Job.of(
            self._style, objects, data, cameras, self.method, self._device, self._weights, self._memory_limit
        )
        worker = self._free.get()
        try:
            if self._stop.is_set():
                raise KeyboardInterrupt
            return worker.do(job, on_iteration)
        except _LostError as lost:
            if self._stop.is_set():
                raise KeyboardInterrupt from None
            raise WorkerError(
                f"{objects[0].path}: the process that optimised it {lost}; the machine's memory may be too "
                "small for so many at once: give fewer --gpus, or --resume for this object alone."
            ) from None
        finally:
            self._give_back(worker)

    def _give_back(self, worker: "_Worker") -> None:
        """A GPU that fails again and again gets no more objects, unless it is the last one."""
        with self._lock:
            in_use = sum(not other.retired for other in self._all)
            worker.retired = worker.deaths >= _DEATHS_IN_A_ROW and in_use > 1
            if not worker.retired:
                self._free.put(worker)


class _LostError(Exception):
    """The process ended without an answer; how, in a few words."""


class _Worker:
    """One process, and the next one in its place where it is lost."""

    def __init__(self, index: int, device: str, threads: int) -> None:
        self._arguments = [sys.executable, "-m", MODULE, str(threads)]
        # What is imported here must be found there.
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._environment = {**os.environ, "PYTHONPATH": paths}
        if device.startswith("cuda"):
            self._environment["CUDA_VISIBLE_DEVICES"] = gpu_name(index)
        self.deaths = 0
        """In a row, with no object done between them."""
        self.retired = False
        self._start()

    def _start(self) -> None:
        self._known: dict[int, StyleSet] = {}
        self._broken = False
        self._process = subprocess.Popen(
            self._arguments, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def do(self, job: Job, on_iteration: Callable[[int, Losses], None]) -> tuple[StyleTexture, ...]:
        """Raises what the job raises, or _LostError."""
        if self._broken:
            self._end_now()
            self._start()
        self._broken = True  # until its last answer is here
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(job.without_known(self._known), self._process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            while isinstance(answer := pickle.load(self._process.stdout), tuple):
                on_iteration(*answer)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            self.deaths += 1
            raise _LostError(self._how_it_ended()) from None
        self._broken, self.deaths = False, 0
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_SECONDS)
        code = self._end_now()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def _end_now(self) -> int:
        self.kill()
        self._close()
        return self._process.wait()

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._process.kill()

    def end(self) -> None:
        """Let it end by itself; it has nothing left to do."""
        self._close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_SECONDS)
        self._end_now()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
