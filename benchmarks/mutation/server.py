"""Runs tests in forks of one process that has PyTorch, USD and the others loaded, and the package not.

Started as ``python -m benchmarks.mutation.server`` in a copy of the project. Reads requests as
lines of JSON from stdin and answers each with one on stdout. A request: ``tests``, a list of node ids,
and ``cpu`` and ``wall``, limits in seconds; or ``record``, a test file to be run and measured
``without`` some tests.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = (
    "MaterialX", "OpenImageIO", "PIL.Image", "cyclopts", "embreex.rtcore_scene", "numpy", "open_clip",
    "pxr.Gf", "pxr.Sdf", "pxr.Usd", "pxr.UsdGeom", "pxr.UsdShade", "pxr.UsdSkel", "pxr.UsdUtils",
    "pxr.UsdValidation", "rich.console", "rich.progress", "safetensors.torch", "scipy.fft",
    "scipy.ndimage", "scipy.spatial", "torch", "torchvision", "xatlas",
)  # fmt: skip

MEMORY = 10 << 30
"""Bytes of data that tests may take: a wrong size must not bring the machine down."""


class Selection:
    """Pytest plugin: the tests with these ids in this order; and what fails first."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: i for i, test in enumerate(tests)}
        self.failed: str | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = [item for item in items if item.nodeid in self.order]
        # Where the change gave a test another id, all of that function are run.
        lost = {test.partition("[")[0] for test in self.order.keys() - {item.nodeid for item in known}}
        known.sort(key=lambda item: self.order[item.nodeid])
        renamed = [i for i in items if i.nodeid not in self.order and i.nodeid.partition("[")[0] in lost]
        items[:] = known + renamed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = f"{report.nodeid} (import)"


def main() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in requests:
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    Path("../answer.json").unlink(missing_ok=True)
    child = os.fork()
    if not child:
        os._exit(_child(request))
    ends = time.monotonic() + request["wall"]
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > ends:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"status": "timeout", "failed": "waited"}
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):  # what a test has left running
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return {"status": "timeout", "failed": "computed"}
    try:
        answer: dict[str, Any] = json.loads(Path("../answer.json").read_text())
    except FileNotFoundError:
        answer = {"failed": f"ended with {code}"}
    answer["seconds"] = used.ru_utime + used.ru_stime
    names = {0: "passed", pytest.ExitCode.NO_TESTS_COLLECTED: "nothing"}
    answer["status"] = names.get(code, "failed")
    return answer


def _child(request: dict[str, Any]) -> int:
    os.setsid()
    log = os.open("../log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    answer = Path("../answer.json").resolve()  # a test may leave another folder behind
    options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "--basetemp=../tmp"]
    if "record" in request:
        from benchmarks.mutation.recorder import record

        options = [*options[1:], *(f"--deselect={test}" for test in request["without"])]
        return record(request["record"], options, answer)
    cpu = int(request["cpu"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    selection = Selection(request["tests"])
    files = list(dict.fromkeys(test.partition("::")[0] for test in request["tests"]))
    code = int(pytest.main([*options, *files], plugins=[selection]))
    answer.write_text(json.dumps({"failed": selection.failed}))
    return code


if __name__ == "__main__":
    main()
