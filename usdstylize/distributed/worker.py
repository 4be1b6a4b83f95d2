"""``python -m usdstylize.distributed.worker``: does the jobs that come in on stdin, one after the other.

Jobs and answers are pickles. For each job there is any number of (number, Losses), and at last a
tuple of StyleTextures or an exception. It ends when its stdin does, that is, with its parent process.
"""

import os
import pickle
import signal
import sys
from typing import Any

import torch

from usdstylize.distributed.jobs import JobRunner
from usdstylize.model.objects import Losses
from usdstylize.optimize import sendable


def main() -> None:
    """Do jobs until stdin ends. The first argument is PyTorch's number of threads, 0 for its own choice."""
    # Ctrl-C and the end of a session reach every process of a terminal; this one ends with its stdin.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    if threads := int(sys.argv[1]):
        torch.set_num_threads(threads)

    def answer(value: Any) -> None:
        pickle.dump(value, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()

    def report(number: int, losses: Losses) -> None:
        answer((number, losses))

    runner = JobRunner()
    try:
        while True:
            job = pickle.load(sys.stdin.buffer)
            try:
                result: Any = list(runner.do(job, report))
            except BrokenPipeError:
                raise
            except Exception as error:
                result = sendable(error)
            answer(result)
    except (EOFError, BrokenPipeError):
        # Not through the interpreter's own exit, which would flush into a closed pipe.
        os._exit(0)


if __name__ == "__main__":
    main()
