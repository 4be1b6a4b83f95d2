"""Runs that are killed (SIGKILL) at a chosen call of a chosen function, each in a process of its own."""

import importlib
import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from usdstylize import Options, stylize

__all__ = ["Moment", "run_in_process"]


@dataclass(frozen=True)
class Moment:
    """Right before the call ``number`` (1 is the first) of the function ``name`` of ``module``."""

    module: str
    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"

    def arrange(self) -> None:
        """Let this process be killed then."""
        owner: Any = importlib.import_module(self.module)
        *path, last = self.name.split(".")
        for part in path:
            owner = getattr(owner, part)
        real, calls = getattr(owner, last), 0

        def killing(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == self.number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        setattr(owner, last, killing)


def context() -> ForkServerContext:
    """Processes that have imported PyTorch already."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["usdstylize.distributed", "usdstylize.pipeline", "killed"])
    return found


def run_in_process(
    stage: Path, style: Path, options: Options, moment: Moment | None = None
) -> list[str] | None:
    """The status of every object in the stage's order; None where the run was killed."""
    found = context()
    answers, writing = found.Pipe(duplex=False)
    process = found.Process(target=_run, args=(stage, style, options, moment, writing))
    process.start()
    writing.close()
    try:
        answer: list[str] | None = answers.recv()
    except EOFError:
        answer = None
    process.join()
    assert process.exitcode == (0 if answer is not None else -signal.SIGKILL)
    return answer


def _run(stage: Path, style: Path, options: Options, moment: Moment | None, answers: Any) -> None:
    if moment is not None:
        moment.arrange()
    result = stylize(stage, style, options)
    assert result.problems == ()
    answers.send([found.status for found in result.objects])
