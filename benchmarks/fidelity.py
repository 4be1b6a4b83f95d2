"""The table of docs/fidelity.md: what the proofs measured, row by row of what a studio's stages have.

    python -m benchmarks.fidelity [--numbers ALL.json] [--three-js THREE.json]

Runs the tests of tests/storm and tests/usdmtlx (their Pythons as for .ci/run), notes the left side of
every assertion `measured <= limit` that holds, and writes the largest of each kind into the table
between the markers in docs/fidelity.md. Exit code 1 when a test fails or a row has no test.
"""

import fnmatch
import json
import math
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from benchmarks.fidelity_rows import ROWS, Row

DOCUMENT = Path(__file__).parents[1] / "docs" / "fidelity.md"
HEAD = "| row | live | bake | lit | Blender | three.js | validators | shown by |"
MARKERS = "<!-- table -->", "<!-- /table -->"
TESTS = ("tests/storm", "tests/usdmtlx")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w(])")

app = App(name="benchmarks.fidelity", help="The table of docs/fidelity.md, measured.")


@dataclass(eq=False)
class Recorder:
    """A pytest plugin: outcomes by test, and (measured, limit, share) of the assertions that hold.

    A limit may be a share of a measured mean, such as ``0.02 * source.mean()``; else the share is 0.
    """

    outcomes: dict[str, str] = field(default_factory=dict)
    measured: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    def pytest_assertion_pass(self, item: pytest.Item, lineno: int, orig: str, expl: str) -> None:
        left, compared, right = expl.partition("\n")[0].partition(" <= ")
        sides = [[float(number) for number in _NUMBER.findall(side)] for side in (left, right)]
        if compared and all(sides) and len(sides[0]) == 1:
            share = sides[1][0] if len(sides[1]) == 2 else 0.0
            held = sides[0][0], math.prod(sides[1]), share
            self.measured.setdefault(item.nodeid, []).append(held)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            self.outcomes[report.nodeid] = report.outcome


@app.default
def main(
    *tests: str,
    numbers: Path | None = None,
    three_js: Path | None = None,
    document: Path = DOCUMENT,
) -> int:
    """Run the proofs and write the table.

    Parameters
    ----------
    tests
        Run these only, as pytest names them; every proof where none is given.
    numbers
        A file that keeps every number: what it holds of tests that are not run now stays.
    three_js
        What `python -m benchmarks.clients.three_js --json-out` wrote.
    document
        The page that holds the table.
    """
    recorder = Recorder()
    # One process, in which the recorder hears every assertion; the proofs are marked as slow.
    options = ["-q", "-n0", "-m", "", "-p", "no:cacheprovider", "-o", "enable_assertion_pass_hook=true"]
    code = pytest.main([*options, *(tests or TESTS)], plugins=[recorder])
    if numbers is not None:
        if numbers.is_file():
            kept = json.loads(numbers.read_text())
            recorder.outcomes = kept["outcomes"] | recorder.outcomes
            recorder.measured = kept["measured"] | recorder.measured
        numbers.write_text(json.dumps(vars(recorder), indent=1))
    shown = json.loads(three_js.read_text())["cases"] if three_js else {}
    lines = [HEAD, "| --- " * HEAD.count(" |") + "|"]
    bare = []
    for row in ROWS:
        tests = _tests(row.tests, recorder.outcomes)
        if not tests and not row.elsewhere:
            bare.append(row.name)
        lines.append(_line(row, tests, recorder, shown))
    text = document.read_text()
    before, _, rest = text.partition(MARKERS[0])
    after = rest.partition(MARKERS[1])[2]
    document.write_text(f"{before}{MARKERS[0]}\n" + "\n".join(lines) + f"\n{MARKERS[1]}{after}")
    if bare:
        print(f"error: no test shows {', '.join(bare)}; mend benchmarks/fidelity_rows.py.")
    return 1 if code or bare else 0


def _tests(patterns: Iterable[str], outcomes: dict[str, str]) -> list[str]:
    """Node ids of passed tests that match ``file::test`` patterns; the parametrisation counts, too."""
    found = []
    for pattern in patterns:
        # A node id's brackets are no character class.
        wanted = pattern.replace("[", "[[]")
        found += [
            name
            for name, outcome in outcomes.items()
            if outcome == "passed" and (fnmatch.fnmatchcase(name, f"tests/{wanted}") or
                                        fnmatch.fnmatchcase(name.partition("[")[0], f"tests/{wanted}"))
        ]  # fmt: skip
    return list(dict.fromkeys(found))


def _line(row: Row, tests: list[str], recorder: Recorder, shown: dict[str, Any]) -> str:
    judged = any(test.startswith("tests/usdmtlx") for test in tests)
    cells = [
        _largest(tests, recorder, 0.002),
        _largest(tests, recorder, 0.008),
        _share(tests, recorder),
        _largest(tests, recorder, 0.01),
        f"{max(shown[name]['bake'] for name in row.three_js):.4f}" if shown and row.three_js else "",
        "all" if judged else "usd-core",
    ]
    # A pattern that takes a whole file is named as the file.
    whole = [pattern.removesuffix("::*") for pattern in row.tests if pattern.endswith("::*")]
    single = [re.sub(r"^tests/|\[.*$", "", test) for test in tests]
    names = dict.fromkeys([*whole, *(name for name in single if name.partition("::")[0] not in whole)])
    tests_of = {path.name: path.as_posix() for path in Path("tests").rglob("test_*.py")}
    listed = ", ".join(f"`{name}`" for name in [*names, *(tests_of[name] for name in row.elsewhere)])
    return f"| {row.name} | {' | '.join(cells)} | {listed} |"


def _largest(tests: Iterable[str], recorder: Recorder, limit: float) -> str:
    """The largest number that was held to ``limit`` in these tests; empty where none was."""
    values = [value for test in tests for value, held, _ in recorder.measured.get(test, ()) if held == limit]
    return f"{max(values):.4f}" if values else ""


def _share(tests: Iterable[str], recorder: Recorder) -> str:
    """The largest mean difference from the lit source, in per cent of its mean."""
    values = [
        value / held * share
        for test in tests
        for value, held, share in recorder.measured.get(test, ())
        if share and held
    ]
    return f"{100 * max(values):.1f} %" if values else ""


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
