"""The numbers of an experiment as markdown and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper.cells import Cell
from benchmarks.scores import GATES

__all__ = ["caption", "markdown", "write_tables"]


def caption(cell: Cell) -> str:
    """Two short lines below a picture, in letters that every font has; what fails its gate is marked."""
    if cell.scores is None:
        return ""
    s, good = cell.scores, cell.scores.gates
    mark = {name: "" if held else "*" for name, held in good.items()}
    correlation = "flat" if s.correlation is None else f"{s.correlation:.2f}"
    return (
        f"Q {s.quality:.2f}{mark['quality']} half {s.half_quality:.2f}{mark['half_quality']}  "
        f"albcorr {correlation}{mark['correlation']}\n"
        f"dE {s.difference:.1f}{mark['difference']}  seam {s.seam:.2f}{mark['seam']}"
    )


def markdown(rows: Sequence[tuple[str, Sequence[Cell]]]) -> str:
    """A line per cell; a number that fails its gate is bold."""
    heads = ["subject, style", "cell", *GATES.values(), "nnP", "nnR", "coverage", "seconds"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for title, cells in rows:
        for cell in cells:
            lines.append("| " + " | ".join([title, cell.label.replace("\n", " "), *_values(cell)]) + " |")
    return "\n".join(lines) + "\n"


def _values(cell: Cell) -> list[str]:
    if cell.missing or cell.scores is None:
        return [cell.missing or "—", *[""] * (len(GATES) + 3)]
    found = []
    for gate in GATES:
        value = getattr(cell.scores, gate)
        text = "flat" if value is None else f"{value:.1f}" if gate == "difference" else f"{value:.2f}"
        found.append(text if cell.scores.gates[gate] else f"**{text}**")
    s = cell.scores
    coverage = "" if cell.coverage is None else f"{cell.coverage:.1%}"
    return [*found, f"{s.render_to_style:.3f}", f"{s.style_to_render:.3f}", coverage, f"{cell.seconds:.1f}"]


def write_tables(
    rows: Sequence[tuple[str, Sequence[Cell]]], about: dict[str, Any], folder: Path, name: str
) -> None:
    """``NAME.md`` and ``NAME.json`` in ``folder``."""
    (folder / f"{name}.md").write_text(markdown(rows))
    plain = [{"row": title} | cell.numbers() for title, cells in rows for cell in cells]
    (folder / f"{name}.json").write_text(json.dumps({"about": about, "cells": plain}, indent=1))
