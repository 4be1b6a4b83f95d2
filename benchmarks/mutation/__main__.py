"""``python -m benchmarks.mutation``: change the package in small ways and see which tests notice."""

import argparse
import json
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from threading import Lock
from typing import Any

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult

from benchmarks.mutation.mutants import Mutant, Source, judged, sample
from benchmarks.mutation.report import summary, table
from benchmarks.mutation.trial import Trial

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".mutation"


def main() -> None:
    arguments = _arguments()
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutation"]
    judgements = tomllib.loads(Path(__file__).with_name("judged.toml").read_text(encoding="utf-8"))["judged"]
    groups = {name: group for name, group in config["groups"].items() if name in (arguments.only or [name])}
    sources = {name: _sources(group, config, arguments.module) for name, group in groups.items()}
    if arguments.again:
        chosen = _again(json.loads(arguments.again.read_text(encoding="utf-8")), sources)
    else:
        chosen = sample(sources, arguments.sample, config["least"], arguments.seed)
    FOLDER.mkdir(exist_ok=True)
    results: list[dict[str, Any]] = []
    writing = Lock()
    trials: Queue[Trial] = Queue()
    for number in range(arguments.workers):
        trials.put(Trial(ROOT, FOLDER / f"copy-{number}", config))

    def run(name: str) -> None:
        """All mutants of a group, in a copy that nobody uses meanwhile."""
        trial = trials.get()
        by_module = {source.module: source for source in sources[name]}
        patterns = arguments.tests or groups[name]["tests"]
        files = sorted({str(path.relative_to(ROOT)) for p in patterns for path in ROOT.glob(p)})
        trial.measure(files)
        for mutant in chosen[name]:
            source = by_module[mutant.module]
            answer = trial.run(mutant, source, trial.tests(source, mutant.line, files))
            result = _result(name, mutant, source, answer, judgements)
            with writing:
                results.append(result)
                print(_line(result), flush=True)
                (FOLDER / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        trials.put(trial)

    largest_first = sorted((name for name in chosen if chosen[name]), key=lambda name: -len(chosen[name]))
    with ThreadPoolExecutor(arguments.workers) as pool:
        for done in [pool.submit(run, name) for name in largest_first]:
            done.result()
    while not trials.empty():
        trials.get().close()
    results.sort(key=lambda result: (list(chosen).index(result["group"]), result["module"], result["line"]))
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    (FOLDER / "report.md").write_text(summary(results), encoding="utf-8")
    _keep(chosen, results)
    print(table(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("--only", action="append", metavar="GROUP", help="a group of pyproject.toml; several")
    parser.add_argument("--module", help="only modules whose path contains this, such as nnfm")
    parser.add_argument("--tests", action="append", metavar="FILE", help="these tests alone; several")
    parser.add_argument("--sample", type=int, default=320, help="mutants of all chosen groups together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="groups that are tried side by side")
    parser.add_argument("--again", type=Path, metavar="RESULTS.json", help="what an earlier run did not kill")
    return parser.parse_args()


def _sources(group: dict[str, Any], config: dict[str, Any], module: str | None) -> list[Source]:
    paths = sorted({path for pattern in group["modules"] for path in ROOT.glob(pattern)})
    names = [str(path.relative_to(ROOT)) for path in paths]
    return [Source(ROOT, name, config) for name in names if module is None or module in name]


def _again(results: list[dict[str, Any]], sources: dict[str, list[Source]]) -> dict[str, list[Mutant]]:
    """The mutants of earlier results that were not killed, found by what they change."""
    chosen: dict[str, list[Mutant]] = {name: [] for name in sources}
    for result in results:
        if result["status"] == "killed" or result["group"] not in sources:
            continue
        for source in (s for s in sources[result["group"]] if s.module == result["module"]):
            alike = [m for m in source.mutants if m.operator == result["operator"]]
            lines = source.text.splitlines()
            alike = [m for m in alike if f"-{lines[m.line - 1]}" in result["difference"]]
            fitting = [m for m in alike if m.difference(source.text) == result["difference"]]
            nearest = sorted(fitting, key=lambda m: abs(m.line - result["line"]))
            chosen[result["group"]] += nearest[:1]
    return chosen


def _result(
    group: str, mutant: Mutant, source: Source, answer: dict[str, Any], judgements: list[dict[str, str]]
) -> dict[str, Any]:
    why = judged(mutant, source.text, judgements) if answer["status"] != "killed" else None
    return {
        "mutant": _identity(mutant),
        "group": group,
        "module": mutant.module,
        "line": mutant.line,
        "operator": mutant.operator,
        "status": answer["status"],
        "failed": answer["failed"],
        "seconds": round(answer.get("seconds", 0.0), 1),
        "judged": why,
        "difference": mutant.difference(source.text),
    }


def _line(result: dict[str, Any]) -> str:
    """One line for a mutant that died, and what it changes for one that did not."""
    place = f"{result['module']}:{result['line']}"
    head = f"{result['status']:8} {place} {result['operator']} {result['seconds']} s"
    if result["status"] == "killed":
        return f"{head} {re.sub('^tests/', '', result['failed'] or '')}"
    reason = f"{head} {result['failed'] or ''} {result['judged'] or ''}".rstrip()
    return "\n".join([reason, *result["difference"]])


def _keep(chosen: dict[str, list[Mutant]], results: list[dict[str, Any]]) -> None:
    """For Cosmic Ray's own reports, such as ``cr-html .mutation/session.sqlite``."""
    path = FOLDER / "session.sqlite"
    path.unlink(missing_ok=True)
    specs = {_identity(mutant): mutant.spec() for mutants in chosen.values() for mutant in mutants}
    with use_db(str(path), WorkDB.Mode.create) as database:
        for result in results:
            identity = result["mutant"]
            database.add_work_item(WorkItem.single(identity, specs[identity]))
            outcome = TestOutcome.SURVIVED if result["status"] == "survived" else TestOutcome.KILLED
            text = "\n".join(result["difference"])
            database.set_result(identity, WorkResult(WorkerOutcome.NORMAL, result["failed"], outcome, text))


def _identity(mutant: Mutant) -> str:
    return f"{mutant.module}:{mutant.operator}:{mutant.occurrence}"


if __name__ == "__main__":
    main()
