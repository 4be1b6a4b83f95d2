"""Thousands of stages with faults: never a trace or a hang, a typed reason each, the good objects done."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STAGES = 2000
_PROCESSES = os.cpu_count() or 2
_TESTS = Path(__file__).parents[2]


def run_seeds(first: int, last: int) -> list[str]:
    """What fails among the seeds. A process that dies names the seed it was at; the next goes on after it."""
    found = []
    while first < last:
        command = [sys.executable, "-W", "error", "-m", "mutated", str(first), str(last - first)]
        path = os.pathsep.join([str(_TESTS.parent), str(_TESTS)])
        run = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, cwd=_TESTS
        )
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        assert lines, run.stderr
        for line in lines:
            if "problems" in line:
                found.append(
                    f"python -m mutated {line['seed']}: {line['what']}\n" + "\n".join(line["problems"])
                )
        if run.returncode in (0, 1):
            break
        found.append(f"python -m mutated {lines[-1]['seed']} died ({run.returncode}): {run.stderr[-2000:]}")
        first = lines[-1]["seed"] + 1
    return found


def test_no_mutated_stage_ends_in_a_trace_a_hang_or_the_loss_of_a_good_object() -> None:
    shares = [(n * STAGES // _PROCESSES, (n + 1) * STAGES // _PROCESSES) for n in range(_PROCESSES)]
    with ThreadPoolExecutor(_PROCESSES) as pool:
        failures = [line for found in pool.map(lambda share: run_seeds(*share), shares) for line in found]
    assert failures == [], "\n\n".join(failures[:20])
