"""The tests' own rules: one thread each, and no proof that is left out in silence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import PROOFS

TESTS = Path(__file__).parents[1]


def without_python(marker: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    """Exit code and summary of pytest on the smallest file of these proofs, whose Python is missing."""
    monkeypatch.setenv(f"USDSTYLIZE_{marker.upper()}_PYTHON", "/nowhere/python")
    file = min((TESTS / marker).glob("test_*.py"), key=lambda path: path.stat().st_size)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "-m", "", "-v", str(file)]
    command += options
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parent)
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("marker", PROOFS)
def test_a_proof_whose_python_is_missing_skips_by_name_and_fails_where_it_is_required(
    marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = without_python(marker, monkeypatch)
    assert code == 0, text
    assert re.search(rf"^tests/{marker}/test_\w+\.py::test_.* SKIPPED", text, re.MULTILINE), text
    assert re.search(r"^SKIPPED .*: there is no /nowhere/python$", text, re.MULTILINE), text
    assert "passed" not in text
    code, text = without_python(marker, monkeypatch, "--require-proofs")
    assert code == 1, text
    assert "there is no /nowhere/python" in text
    assert not re.search(r"SKIPPED|passed", text)


@pytest.mark.parametrize("marker", PROOFS)
def test_every_proof_is_marked(marker: str) -> None:
    """One without its marker would not be known for a proof, and could skip."""
    unmarked = [
        path.name
        for path in (TESTS / marker).glob("test_*.py")
        if f"\npytestmark = pytest.mark.{marker}\n" not in path.read_text()
    ]
    assert unmarked == []


def test_one_thread_computes_here_and_in_processes_that_tests_start() -> None:
    assert torch.get_num_threads() == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"
