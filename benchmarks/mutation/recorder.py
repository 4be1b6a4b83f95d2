"""Which lines of the package each test runs, and how many seconds of a processor it takes."""

import json
import os
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest


def record(file: str, options: list[str], answer: Path) -> int:
    """Run one test file and write what was found; pytest's exit code.

    ``tests``: for each id ``passed``, ``contexts`` (its own and those of the fixtures that it shares
    with others) and ``processes``, whether any of these starts one. ``seconds``: of each context.
    ``lines``: for each file of the package, line numbers and the contexts that ran them, "" while
    importing.
    """
    measured = coverage.Coverage(data_file=None, include=["usdstylize/*"], config_file=False)
    recorder = Recorder(measured)
    measured.start()
    code = int(pytest.main([*options, file], plugins=[recorder]))
    measured.stop()
    data = measured.get_data()
    here = Path.cwd()
    lines = {
        str(Path(name).relative_to(here)): data.contexts_by_lineno(name) for name in data.measured_files()
    }
    for test in recorder.tests.values():
        test["processes"] = bool(recorder.starting.intersection(test["contexts"]))
    answer.write_text(json.dumps({"tests": recorder.tests, "seconds": recorder.seconds, "lines": lines}))
    return code


class Recorder:
    """Pytest plugin."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.tests: dict[str, dict[str, Any]] = {}
        self.seconds: dict[str, float] = {}
        self.starting: set[str] = set()
        self.context, self.since = "", _processor_seconds()
        original = subprocess.Popen.__init__

        def noted(*arguments: Any, **keywords: Any) -> None:
            self.starting.add(self.context)
            original(*arguments, **keywords)

        subprocess.Popen.__init__ = noted  # type: ignore[method-assign]

    def enter(self, context: str) -> None:
        now = _processor_seconds()
        self.seconds[self.context] = self.seconds.get(self.context, 0.0) + now - self.since
        self.context, self.since = context, now
        self.measured.switch_context(context)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        shared = [
            _name(definition)
            for definitions in item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
            for definition in definitions
            if definition.scope != "function"
        ]
        self.tests[item.nodeid] = {"passed": True, "contexts": [item.nodeid, *shared]}
        self.enter(item.nodeid)
        try:
            return (yield)
        finally:
            self.enter("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        if fixturedef.scope == "function":
            return (yield)
        outer = self.context
        self.enter(_name(fixturedef))
        try:
            return (yield)
        finally:
            self.enter(outer)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.tests[report.nodeid]["passed"] = False


def _name(fixture: Any) -> str:
    return f"fixture {fixture.baseid}::{fixture.argname}"


def _processor_seconds() -> float:
    return sum(os.times()[:4])
