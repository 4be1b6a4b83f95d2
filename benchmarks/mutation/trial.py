"""A copy of the project in which one mutant after the other is tried, by the tests that reach it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.mutation.mutants import Mutant, Source

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TRITON_INTERPRET": "1",  # as tests/conftest.py has it
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # those plugins come with libraries that are loaded already
}


class Trial:
    """The copy, the process that runs tests in it, and what the tests were measured to reach."""

    def __init__(self, root: Path, folder: Path, config: dict[str, Any]) -> None:
        self.root, self.folder, self.config = root, folder, config
        self.copy = folder / "project"
        self._measured: dict[str, dict[str, Any]] = {}
        self._kills: Counter[tuple[str, str]] = Counter()
        self._server: subprocess.Popen[str] | None = None
        self._update()

    def _update(self) -> None:
        """Make the copy equal to what git tracks or would track here."""
        command = [
            "git",
            "-C",
            str(self.root),
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        wanted = {name for name in names if name and (self.root / name).is_file()}
        present = {str(p.relative_to(self.copy)) for p in self.copy.rglob("*") if p.is_file()}
        for name in present - wanted:
            if not name.endswith(".pyc"):
                (self.copy / name).unlink()
        for name in wanted:
            here, there = self.root / name, self.copy / name
            if not there.exists() or here.read_bytes() != there.read_bytes():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(here, there)
        shared, link = self.root.parent / "shared", self.folder / "shared"
        if shared.exists() and not link.exists():
            link.symlink_to(shared)

    def close(self) -> None:
        if self._server:
            assert self._server.stdin
            self._server.stdin.close()
            self._server.wait()

    def measure(self, files: list[str]) -> None:
        """Run test files as they are and note which lines each test reaches; kept until something changes."""
        for file in files:
            if file in self._measured:
                continue
            kept = self.folder.parent / "clean" / f"{Path(file).stem}-{self._key(file)}.json"
            if not kept.exists():
                print(f"measuring {file}", file=sys.stderr, flush=True)
                answer = self._ask({"record": file, "without": self.config["too_long"], "wall": 3600})
                if "tests" not in answer:
                    raise SystemExit(f"{file} does not run: {self.log()}")
                for other in kept.parent.glob(f"{Path(file).stem}-*.json"):
                    other.unlink()
                kept.parent.mkdir(exist_ok=True)
                kept.write_text(json.dumps(answer))
            self._measured[file] = json.loads(kept.read_text())
            for test, found in self._measured[file]["tests"].items():
                if not found["passed"]:
                    print(f"left out, since it does not pass here: {test}", file=sys.stderr, flush=True)

    def _key(self, file: str) -> str:
        """Of all that a test file may depend on: the package, what tests share, and itself."""
        paths = list(self.copy.glob("usdstylize/**/*.py"))
        paths += [p for p in self.copy.glob("tests/*.py") if not p.name.startswith("test_")]
        total = hashlib.sha256()
        for path in sorted([*paths, self.copy / file]):
            total.update(path.read_bytes())
        return total.hexdigest()[:16]

    def tests(self, source: Source, line: int, files: list[str]) -> dict[str, float]:
        """The tests that reach a line and their seconds, as many as are quick.

        First those that have killed mutants of the module before; what starts processes last.
        """
        chosen = self._reaching(source, line, files)
        kills = {test: -self._kills[source.module, test] for test in chosen}
        within, counted = {}, set[str]()
        for test in sorted(
            chosen, key=lambda test: (kills[test], chosen[test][0], sum(chosen[test][1].values()))
        ):
            # A fixture that tests share takes its time once.
            new = {context: seconds for context, seconds in chosen[test][1].items() if context not in counted}
            if sum(within.values()) + sum(new.values()) <= self.config["together"]:
                within[test] = sum(new.values())
                counted |= new.keys()
        return within

    def _reaching(
        self, source: Source, line: int, files: list[str]
    ) -> dict[str, tuple[bool, dict[str, float]]]:
        """The tests that reach a line: whether they start processes, and seconds by context.

        What runs while a module is imported acts elsewhere than at its own line. There all tests count
        that reach any function of the module, or the one whose head it is, or whose file names the module.
        """
        lines, function, inside = source.place(line)
        if function is not None and not inside:
            lines = range(function.lineno, function.end_lineno + 1)  # type: ignore[attr-defined]
        elif function is None:
            lines = range(1, len(source.text.splitlines()) + 1)
        dotted = source.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found: dict[str, tuple[bool, dict[str, float]]] = {}
        for file in files:
            measured = self._measured[file]
            reached = measured["lines"].get(source.module, {})
            contexts = {c for number in lines for c in reached.get(str(number), ()) if c}
            named = function is None and dotted in (self.copy / file).read_text(encoding="utf-8")
            for test, facts in measured["tests"].items():
                seconds = {context: measured["seconds"].get(context, 0.0) for context in facts["contexts"]}
                usable = facts["passed"] and sum(seconds.values()) <= self.config["longest"]
                if usable and (named or facts["processes"] or contexts.intersection(facts["contexts"])):
                    found[test] = (facts["processes"], seconds)
        return found

    def run(self, mutant: Mutant, source: Source, tests: dict[str, float]) -> dict[str, Any]:
        """Try one mutant: ``status`` killed, survived or timeout, ``failed`` the test that noticed."""
        if not tests:
            return {"status": "survived", "failed": "no test reaches it", "seconds": 0.0}
        changed = mutant.apply(source.text)
        path = self.copy / mutant.module
        before = path.stat()
        path.write_text(changed, encoding="utf-8")
        try:
            # processor seconds, which a busy machine does not lengthen; the other limit is for what waits
            cpu = 20 + 10 * sum(tests.values())
            answer = self._ask({"tests": list(tests), "cpu": cpu, "wall": 10 * cpu})
        finally:
            path.write_text(source.text, encoding="utf-8")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if answer["status"] == "nothing":
            raise SystemExit(f"no test was run for {mutant}: {self.log()}")
        self._kills[mutant.module, answer["failed"]] += answer["status"] == "failed"
        names = {"passed": "survived", "failed": "killed", "timeout": "timeout"}
        return answer | {"status": names[answer["status"]]}

    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")[-3000:]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._server is None:
            environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(self.copy)}
            self._server = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.mutation.server"],
                cwd=self.copy,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin
        assert self._server.stdout
        print(json.dumps(request), file=self._server.stdin, flush=True)
        line = self._server.stdout.readline()
        if not line:
            raise SystemExit("the process that runs the tests has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
