"""Is a result good? Every object's scores, as a table.

python -m benchmarks.judge RESULT.stylized.usda --style-set DIR [--baselines]
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from benchmarks.baselines import baselines
from benchmarks.judge_network import DEFAULT_WEIGHTS, GoogLeNet
from benchmarks.results import read_result, read_style
from benchmarks.scores import GATES, Scores, judge, judge_all
from usdstylize.errors import UsdStylizeError

__all__ = ["Scores", "judge", "main"]

app = App(
    name="benchmarks.judge", help="Judge every object of a written result by a network no loss has used."
)


@app.default
def main(
    result: Path,
    /,
    *,
    style_set: Path,
    judge_weights: Path = DEFAULT_WEIGHTS,
    with_baselines: Annotated[bool, Parameter(name="--baselines", negative=())] = False,
    mask: str = "/",
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    device: str = "cpu",
) -> int:
    """Judge every object of a written result; the exit code is 1 where one does not pass.

    Parameters
    ----------
    result
        The .stylized.usda that a run has written.
    style_set
        The folder of concept art that it was made with.
    judge_weights
        The file of BVLC GoogLeNet.
    with_baselines
        Judge, too, what anyone could make without the method.
    mask
        Only objects at or under this prim path.
    as_json
        Print one JSON object instead of tables.
    device
        Where to compute: cpu or cuda.
    """
    try:
        network = GoogLeNet(judge_weights, device)
        style = read_style(result, style_set)
        console = Console()
        report: dict[str, dict[str, object]] = {}
        passed = True
        for item in read_result(result, style, mask):
            textures = {"result": item.style_texture}
            if with_baselines:
                textures |= baselines(item.data, style, item.object.wrap)
            scores = judge_all(item.data, textures, style, network, wrap=item.object.wrap)
            passed &= scores["result"].passed
            report[item.object.path] = {
                name: {**asdict(found), "passed": found.passed} for name, found in scores.items()
            }
            if not as_json:
                console.print(scores_table(item.object.path, scores))
    except UsdStylizeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(report, indent=2))
    return 0 if passed else 1


def scores_table(title: str, scores: Mapping[str, Scores]) -> Table:
    """A row per texture; what fails its gate is red and marked."""
    table = Table(title=title, title_justify="left")
    table.add_column("texture")
    for heading in (*GATES.values(), "nnP", "nnR"):
        table.add_column(heading, justify="right")
    table.add_column("passed")
    for name, found in scores.items():
        cells = []
        for gate in GATES:
            value = getattr(found, gate)
            text = "flat" if value is None else f"{value:.1f}" if gate == "difference" else f"{value:.2f}"
            cells.append(text if found.gates[gate] else f"[red]{text} ✗[/red]")
        distances = (f"{found.render_to_style:.3f}", f"{found.style_to_render:.3f}")
        table.add_row(name, *cells, *distances, "yes" if found.passed else "no")
    return table


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
