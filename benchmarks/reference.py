"""How near the product is to the paper's loss, written anew in float64: a table over presets and encoders.

    python -m benchmarks.reference

The cases are those of tests/reference/test_reference.py: random weights, a tiny scene, two views at 32².
Exit code 1
where a value or a gradient in float32 is farther than the goal. Prints Markdown, for docs/paper.md.
"""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType

import torch
from cyclopts import App

__all__ = ["main"]

GOAL = 1e-5
"""Relative error in float32 of each term and of its gradient of T_S, norm over norm."""
TESTS = Path(__file__).parents[1] / "tests"

app = App(name="benchmarks.reference", help="The product's loss against the paper's in float64.")


@app.default
def main() -> None:
    """Compare every preset with every encoder, in float32 and in bfloat16."""
    torch.set_num_threads(1)
    cases = _cases()
    print(f"| preset, encoder | | {' | '.join(f'{name}, gradient' for name in cases.TERMS)} |")
    print("| --- " * (len(cases.TERMS) + 2) + "|")
    worst = 0.0
    for case in cases.CASES:
        for precision in ("float32", "bfloat16"):
            ours = cases.ours(dataclasses.replace(case, precision=precision))
            problem = cases.with_keys(cases.problem_of(case), ours.chosen)
            found = cases.differences(ours.found, cases.theirs(case, problem))
            cells = (f"{value:.0e}, {gradient:.0e}" for value, gradient in found.values())
            print(f"| `{case.preset}`, {case.encoder} | {precision} | {' | '.join(cells)} |", flush=True)
            if precision == "float32":
                worst = max(worst, *map(max, found.values()))
    print(f"\nfloat32: at most {worst:.1e}, goal {GOAL:.0e}")
    sys.exit(worst > GOAL)


def _cases() -> ModuleType:
    """The tests' own side of it, which is no package."""
    sys.path.insert(0, str(TESTS))
    import reference_cases

    return reference_cases


if __name__ == "__main__":
    app()
