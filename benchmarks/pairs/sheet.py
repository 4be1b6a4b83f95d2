"""Cells as a table and a contact sheet: two variants beside each other."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.paper.cells import Cell
from benchmarks.paper.tables import caption
from benchmarks.scores import GATES, Scores

__all__ = ["contact_sheet", "mean_lines", "read_lines", "table"]

Line = Mapping[str, Any]

_SCORES = tuple(Scores.__annotations__)
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("Q", "quality", ".2f"),
    ("Q½", "half_quality", ".2f"),
    ("nnR", "style_to_render", ".3f"),
    ("variety", "variety", ".2f"),
    ("palette", "palette", ".2f"),
    ("lines", "lines", ".2f"),
    ("ms", "ms", ".1f"),
)
_LARGEST = 400_000
"""Bytes of a sheet, as of those in the documentation."""
_GAP, _HEAD = 3, 14
_PASSED, _FAILED = (40, 150, 60), (205, 60, 50)


def read_lines(paths: Iterable[Path]) -> list[Line]:
    """The lines of ``cells-*.jsonl`` in folders, or of files; ``root`` says where pictures lie.

    Of a cell that was made twice the last line counts, and one with numbers before one without.
    """
    found: dict[tuple[str, str, str, int], Line] = {}
    for path in paths:
        for file in sorted(path.glob("cells-*.jsonl")) if path.is_dir() else [path]:
            for text in file.read_text().splitlines():
                try:
                    line: Line = json.loads(text) | {"root": str(file.parent)}
                except json.JSONDecodeError:  # a process was stopped while it wrote
                    continue
                key = (line["subject"], line["style"], line["variant"], line["seed"])
                if "missing" not in line or key not in found:
                    found[key] = line
    return list(found.values())


def mean_lines(lines: Iterable[Line]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """By (subject, style, variant): every number's mean over the seeds; ``passed``: of these means."""
    groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if "missing" not in line:
            groups[line["subject"], line["style"], line["variant"]].append(line)
    return {key: _mean(group) for key, group in groups.items()}


def _mean(group: Sequence[Line]) -> dict[str, Any]:
    names = {*_SCORES, *(key for _, key, _ in _COLUMNS)}
    found: dict[str, Any] = {
        name: float(np.mean(values))
        for name in names
        if (values := [line[name] for line in group if line.get(name) is not None])
    }
    found["seeds"], found["picture"] = len(group), str(Path(group[0]["root"]) / group[0]["picture"])
    if all(name in found for name in _SCORES if name != "correlation"):
        # A flat original has no correlation to lose.
        scores = Scores(**{name: found.get(name) for name in _SCORES})  # type: ignore[arg-type]
        found["failed"] = [name for name, good in scores.gates.items() if not good]
        found["passed"] = scores.passed
        found["caption"] = caption(Cell("", scores=scores))
    return found


def table(lines: Sequence[Line], before: str, after: str) -> str:
    """Markdown: a row for each style, before / after in each cell; then what no mean shows."""
    cells = mean_lines(lines)
    styles = _names(lines, "style")
    heads = ["style", *(head for head, _, _ in _COLUMNS), "pairs that pass", "gates held"]
    rows = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for style in [*styles, ""]:
        sides = []
        for variant in (before, after):
            own = [c for (_, s, v), c in cells.items() if v == variant and style in ("", s)]
            sides.append(_row(own))
        joined = [one if one == other else f"{one} / {other}" for one, other in zip(*sides, strict=True)]
        rows.append("| " + " | ".join([style or "**all**", *joined]) + " |")
    title = f"{before} / {after}; Q and Q½ as means over subjects and seeds.\n\n"
    return title + "\n".join(rows) + "\n\n" + _remarks(lines, cells, before, after)


def _row(own: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for _, key, form in _COLUMNS:
        values = [cell[key] for cell in own if key in cell]
        found.append(format(float(np.mean(values)), form) if values else "—")
    judged = [cell for cell in own if "passed" in cell]
    held = sum(len(GATES) - len(cell["failed"]) for cell in judged)
    passed = sum(cell["passed"] for cell in judged)
    return [*found, f"{passed} of {len(judged)}", f"{held} of {len(GATES) * len(judged)}"]


def _remarks(lines: Sequence[Line], cells: Mapping[Any, Any], before: str, after: str) -> str:
    both = [
        (f"{subject}, {style}", cells[subject, style, before], cells[subject, style, after])
        for subject, style, variant in cells
        if variant == before and (subject, style, after) in cells
    ]
    judged = [(name, a, b) for name, a, b in both if "passed" in a and "passed" in b]
    lost = [f"{name} ({', '.join(b['failed'])})" for name, a, b in judged if a["passed"] and not b["passed"]]
    won = [name for name, a, b in judged if b["passed"] and not a["passed"]]
    fell = sum(b["style_to_render"] < a["style_to_render"] for _, a, b in judged)
    missing = [
        (1 - a["variety"], b["variety"] - a["variety"])
        for _, a, b in both
        if "variety" in a and "variety" in b
    ]
    room = sum(m for m, _ in missing)
    found = [
        f"- {len(judged)} pairs have both. Pass all five gates: {sum(a['passed'] for _, a, _ in judged)} "
        f"before, {sum(b['passed'] for _, _, b in judged)} after.",
        f"- Pass before and fail after: {'; '.join(lost) or 'none'}.",
        f"- Fail before and pass after: {'; '.join(won) or 'none'}.",
        f"- nnR falls on {fell} of {len(judged)} pairs.",
    ]
    if room:
        found.append(
            f"- Of the variety that is missing before, {sum(g for _, g in missing) / room:.0%} is gained."
        )
    for line in lines:
        if "missing" in line:
            found.append(f"- {line['subject']}, {line['style']}, {line['variant']}: {line['missing']}")
    return "\n".join(found) + "\n"


def contact_sheet(
    lines: Sequence[Line],
    before: str,
    after: str,
    out: Path,
    style_picture: Callable[[str], Image.Image | None] = lambda name: None,
    side: int = 132,
) -> None:
    """Write a JPEG under 400 KB: rows are subjects, columns styles, ``before`` above ``after``.

    A frame is green where all gates hold, red where one fails, grey where there is no judge. style_picture:
    of a style by its name, for the top row; None where there is none.
    """
    cells = mean_lines(lines)
    styles, subjects = _names(lines, "style"), _names(lines, "subject")
    step = side + _GAP
    left = _HEAD + _GAP
    height = _HEAD + step + len(subjects) * (2 * step + 2 * _GAP)
    page = Image.new("RGB", (left + len(styles) * step, height), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for column, style in enumerate(styles):
        x = left + column * step
        pen.text((x, 1), _fitting(style, font, side), (0, 0, 0), font)
        if (shown := style_picture(style)) is not None:
            page.paste(ImageOps.fit(shown.convert("RGB"), (side, side)), (x, _HEAD))
        for row, subject in enumerate(subjects):
            top = _HEAD + step + row * (2 * step + 2 * _GAP)
            for number, variant in enumerate((before, after)):
                if (cell := cells.get((subject, style, variant))) is not None:
                    picture = _framed(cell, side, font)
                    page.paste(picture, (x, top + number * step))
    for row, subject in enumerate(subjects):
        for number, variant in enumerate((before, after)):
            text = Image.new("RGB", (side, _HEAD), "white")
            ImageDraw.Draw(text).text(
                (2, 0), _fitting(f"{subject}, {variant}", font, side - 2), (0, 0, 0), font
            )
            at = (0, _HEAD + step + row * (2 * step + 2 * _GAP) + number * step)
            page.paste(text.rotate(90, expand=True), at)
    for quality in (86, 78, 70, 60):
        page.save(out, quality=quality)
        if out.stat().st_size <= _LARGEST:
            return
    contact_sheet(lines, before, after, out, style_picture, side * 4 // 5)


def _framed(cell: Mapping[str, Any], side: int, font: Any) -> Image.Image:
    page = Image.new("RGB", (side, side), "white")
    path = Path(cell["picture"])
    if path.is_file():
        with Image.open(path) as file:
            picture = file.convert("RGB")
        page.paste(picture.crop((0, 0, picture.height, picture.height)).resize((side, side)), (0, 0))
    pen = ImageDraw.Draw(page)
    color = (150, 150, 150) if "passed" not in cell else _PASSED if cell["passed"] else _FAILED
    pen.rectangle((0, 0, side - 1, side - 1), outline=color, width=2)
    if "quality" in cell:
        pen.text((4, side - 14), f"{cell['quality']:.2f}", color, font)
    return page


def _fitting(text: str, font: Any, width: int) -> str:
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text


def _names(lines: Sequence[Line], key: str) -> list[str]:
    return list(dict.fromkeys(str(line[key]) for line in lines))
