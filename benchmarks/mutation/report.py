"""A run's results as a table and as Markdown."""

from collections import Counter, defaultdict
from typing import Any

Results = list[dict[str, Any]]


def table(results: Results) -> str:
    """Per group: mutants, killed, survived, of these equivalent, timeouts, per cent killed.

    The per cent are of those that a test could notice and did not only hang.
    """
    groups: dict[str, Results] = defaultdict(list)
    for result in results:
        groups[result["group"]].append(result)
    rows = ["| group | mutants | killed | survived | of these equivalent | timed out | killed of the rest |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows += [_row(name, found) for name, found in groups.items()]
    return "\n".join([*rows, _row("**all**", results)])


def _row(name: str, results: Results) -> str:
    count = Counter(result["status"] for result in results)
    equivalent = sum(r["status"] == "survived" and bool(r["judged"]) for r in results)
    share = 100 * count["killed"] / max(1, count["killed"] + count["survived"] - equivalent)
    numbers = len(results), count["killed"], count["survived"], equivalent, count["timeout"], f"{share:.0f} %"
    return " | ".join([f"| {name}", *map(str, numbers)]) + " |"


def summary(results: Results) -> str:
    """The table, then every mutant that was not killed with its difference and its judgement."""
    parts = [table(results), ""]
    for result in results:
        if result["status"] == "killed":
            continue
        judgement = result["judged"] or "a hole"
        parts.append(f"`{result['module']}:{result['line']}` {result['status']}: {judgement}")
        parts += ["```diff", *result["difference"], "```", ""]
    return "\n".join(parts)
