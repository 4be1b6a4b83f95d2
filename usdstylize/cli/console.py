"""Output of the command line: results as tables or JSON on stdout, notes on stderr."""

import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from usdstylize.encoders import weights
from usdstylize.model.base_colors import BaseColor, ConstantColor, GraphColor, TextureFile
from usdstylize.model.objects import ObjectSettings, Skipped, StageContents, StageObject
from usdstylize.model.results import DialResult, MixResult, Plan, RunResult, in_words, plain

if TYPE_CHECKING:
    from usdstylize.model.checks import VerifyReport

__all__ = [
    "count",
    "note",
    "seconds",
    "show_contents",
    "show_json",
    "show_mix",
    "show_plan",
    "show_run",
    "show_verification",
    "show_weights",
    "terminal",
]


def note(text: str) -> None:
    """One line on stderr, unwrapped, so that a log can be searched for it."""
    # In one piece: objects that run side by side report from threads of their own.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def show_json(value: Any) -> None:
    """``value`` alone on stdout."""
    print(json.dumps(plain(value), indent=2), flush=True)


def terminal(file: IO[str]) -> Console:
    """A rich console for a stream, whether it is a terminal or a log."""
    # Prim and asset paths contain brackets and colons, which are markup and emoji to rich. In a
    # log nothing may be wrapped or cut: a sentence must be found by grep.
    width = None if file.isatty() else 10_000
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)


def count(number: int, noun: str) -> str:
    """``1 object``, ``2 objects``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds(seconds: float) -> str:
    """``12.3 s``, or minutes and seconds."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    return "{} min {} s".format(*divmod(round(seconds), 60))


def show_contents(contents: StageContents) -> None:
    """The objects of a stage, and the prims that are left out."""
    _print_objects(contents.objects)
    _print_skipped(contents.skipped)
    width = contents.pattern_width
    if width.metres:
        print(f"Pattern width {width.units:.3g} ({width.metres:.3g} m), {width.reason}.")


def show_plan(plan: Plan) -> None:
    """What a run would do."""
    _print_objects(plan.objects)
    _print_skipped(plan.skipped)
    table = _table("setting", "value")
    rows = {
        "style": f"{plan.style} ({', '.join(path.name for path in plan.style_images)})",
        "palette": ", ".join(plan.palette),
        "preset": plan.preset,
        "device": f"{plan.device}, {plan.parallelism}" if plan.parallelism else plan.device,
        **plan.settings,
    }
    if plan.pattern_width_reason:
        rows["pattern_width"] = f"{plan.settings['pattern_width']:.4g} m, {plan.pattern_width_reason}"
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), in_words(name, value))
    terminal(sys.stdout).print(table)
    _print_own_settings(plan)
    for note_of_plan in plan.notes:
        print(f"Note: {note_of_plan}")
    print(f"Would write {_short(plan.root_layer)}; nothing is written in a dry run.")


def show_run(result: RunResult) -> None:
    """The summary table of a run, and the commands for its result."""
    table = _table("object", "status", "time", "coverage", "texels", "notes")
    for obj in result.objects:
        coverage = "" if obj.coverage is None else f"{obj.coverage:.0%}"
        texels = f"{obj.framed.texture_resolution}²" if obj.framed else ""
        copy = f"It is a copy of {obj.copy_of}." if obj.copy_of else None
        notes = " ".join(filter(None, (obj.reason, copy, *obj.remarks)))
        time = seconds(obj.seconds) if obj.seconds else ""
        table.add_row(obj.path, obj.status, time, coverage, texels, notes)
    for skipped in result.plan.skipped:
        table.add_row(skipped.path, "broken" if skipped.broken else "skipped", "", "", "", skipped.reason)
    terminal(sys.stdout).print(table)
    if result.root_layer is None:
        return
    path = shlex.quote(_short(result.root_layer))
    print(f"\n{_short(result.session_layer or result.root_layer)}  ({seconds(result.seconds)})")
    if result.session_layer is None:
        print(f"  view it      usdview {path}")
    else:
        source, session = (shlex.quote(_short(file)) for file in (result.plan.stage, result.session_layer))
        print(f"  view it      usdview {source} --sessionLayer {session}")
    if result.package is not None:
        print(f"  as one file  {_short(result.package)}")
    if result.plan.settings["network"] != "preview":
        print("  dial it      inputs:strength on each material under StylizedLooks, 0 (the source) to 1")
        print(f"  and bake it  usdstylize dial {path} 0.6")
    if result.session_layer is None:
        print(f"  undo it      usdstylize select {path} --style original, or remove its style layer")


def show_mix(mixed: MixResult) -> None:
    """What was mixed, and the commands for it."""
    path = shlex.quote(_short(mixed.root_layer))
    strengths = ", ".join(f"{style} {strength:g}" for style, strength in mixed.strengths.items())
    print(f"{path}: a mix of {strengths} is now selected on {count(len(mixed.objects), 'object')}.")
    if mixed.package is not None:
        print(f"  as one file  {_short(mixed.package)}")
    dials = ", ".join(f"inputs:strength_{style}" for style in mixed.strengths)
    print(f"  dial it      {dials} of the live networks under StylizedLooks; mix again to bake that")


def show_dial(dialled: DialResult) -> None:
    """What was dialled, and the commands for it."""
    path = shlex.quote(_short(dialled.root_layer))
    styles = " and ".join(dialled.styles)
    print(f"{path}: {styles} at strength {dialled.strength:g} on {count(len(dialled.objects), 'object')}.")
    if dialled.package is not None:
        print(f"  as one file  {_short(dialled.package)}")


def show_verification(report: "VerifyReport") -> None:
    """Every check and what it found."""
    table = _table("check", "subject", "result", "detail")
    for check in report.checks:
        table.add_row(check.name, check.subject, "ok" if check.ok else "FAILED", check.detail)
    terminal(sys.stdout).print(table)


def show_weights(statuses: Iterable[weights.WeightStatus]) -> None:
    """Which network weights are there, which presets need them, and what is wrong."""
    statuses = tuple(statuses)
    table = _table("network", "presets", "state", "file")
    for status in statuses:
        table.add_row(
            status.name, ", ".join(status.presets), status.state, _short(status.path) if status.path else ""
        )
    terminal(sys.stdout).print(table)
    for status in statuses:
        if status.problem:
            print(status.problem)


def _print_objects(objects: Iterable[StageObject]) -> None:
    table = _table("object", "base colour", "UVs", "triangles", "notes")
    for obj in objects:
        table.add_row(
            obj.path, _base(obj.base), obj.uv_primvar, f"{obj.triangle_count:,}", " ".join(_notes(obj))
        )
    if table.row_count:
        terminal(sys.stdout).print(table)


def _print_own_settings(plan: Plan) -> None:
    table = _table("object", "its own settings (StylizeAPI)")
    for path, own in plan.own_settings.items():
        values = {name: value for name, value in own.items() if name != "style_hashes"}
        if "style_images" in values:
            values["style_images"] = ", ".join(image.name for image in values["style_images"])
        text = "; ".join(
            f"{name.replace('_', ' ')} {in_words(name, value)}" for name, value in values.items()
        )
        table.add_row(path, text)
    if table.row_count:
        terminal(sys.stdout).print(table)


def _own_settings(settings: ObjectSettings) -> list[str]:
    """An object's own settings as a sentence; none where the stage sets nothing."""
    parts = [
        f"{settings.style_images[0].name} as its style" if settings.style_images else "",
        "a palette of its own" if settings.palette else "",
        *(
            f"{name} {value:g}"
            for name, value in (
                ("strength", settings.strength),
                ("pattern scale", settings.pattern_scale),
                ("texture resolution", settings.texture_resolution),
                ("seed", settings.seed),
            )
            if value is not None
        ),
    ]
    listed = ", ".join(filter(None, parts))
    return [f"The stage asks for {listed}."] if listed else []


def _print_skipped(skipped: Iterable[Skipped]) -> None:
    table = _table("left out", "reason")
    for item in skipped:
        table.add_row(item.path, item.reason)
    if table.row_count:
        terminal(sys.stdout).print(table)


def _notes(obj: StageObject) -> Iterator[str]:
    if obj.wears_another_look:
        yield f"It shares the style texture of {obj.look}."
    elif obj.group and obj.group != obj.name and not obj.copy_of:
        yield f"It is optimised together with {obj.group}."
    yield from _own_settings(obj.settings)
    yield from obj.notes


def _base(base: BaseColor) -> str:
    if isinstance(base, TextureFile):
        width, height = base.size
        tiles = f", {count(len(base.tiles), 'tile')}" if base.tiles else ""
        return f"{base.asset_path} ({width} x {height}, {base.encoding}{tiles})"
    if isinstance(base, GraphColor):
        return f"{base.attribute} ({base.size[0]} x {base.size[1]}, {count(len(base.files), 'image')})"
    if isinstance(base, ConstantColor):
        return "constant " + " ".join(f"{value:.3g}" for value in base.linear)
    return f"displayColor ({base.interpolation})"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("time", "coverage", "triangles") else "left")
    return table


def _short(path: Path) -> str:
    """Relative where it lies under the current folder."""
    relative = os.path.relpath(path) if path.is_absolute() else str(path)
    return str(path) if relative.startswith("..") else relative
