"""The strength of styles that a result holds: on its dials, and in bakes that are made anew from the T_S.

Nothing is optimised.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from usdstylize import interrupts, mixing
from usdstylize.config.options import DIAL_RANGE
from usdstylize.errors import OptionsError, OutputError, StageError
from usdstylize.model.objects import Skipped
from usdstylize.model.results import DialResult
from usdstylize.rewriting import counted, packed, packed_before, rewrite
from usdstylize.usd import write

__all__ = ["dial"]


def dial(
    root_layer: str | Path,
    strength: float,
    mask: Sequence[str] = (),
    *,
    style: str | None = None,
    package: bool = False,
) -> DialResult:
    """Show styles of a result with another strength: on the dials of their objects, and in their bakes.

    strength: 0 (the source) to 2. mask: only objects at or under these prim paths. style: this style alone;
    every one of the result when None, but for a mix, which has dials of its own. package: write the result as
    one .usdz, too.

    What each object shows stays selected. Strengths that somebody has authored over these dials in the
    result's own two layers are removed, the master dial's among them. Changes only the result's own files.

    Raises OutputError where ``root_layer`` is no result or cannot be written, OptionsError where the strength
    is out of range, StageError where the result does not hold the style or the mask names no object; nothing
    is written then.

        >>> result = usdstylize.dial("shot/stage.stylized.usda", 0.6)
        >>> result.objects
        ('/World/Mug/Geom/Body',)
    """
    with interrupts.cooperative():
        found = _read(Path(root_layer))
        styles = _checked(found, strength, style)
        held = found.held(styles, mask)
        names = {each: [name for name, own in held.items() if each in own] for each in styles}
        if not any(names.values()):
            raise StageError(
                f"No object at {', '.join(mask)} holds {style or 'a style'}; stylise them first."
            )
        remarks = _remarks(found, held, style, everything=not mask and len(styles) == len(found.styles))
        done: dict[str, None] = {}
        failed: list[Skipped] = []
        for each in styles:
            changes = {
                name: found.dialled(each, name, strength)
                for name in _originals_first(found, each, names[each])
            }
            objects, reasons = rewrite(found, each, changes, strength=strength, select=False)
            done |= dict.fromkeys(objects)
            failed += reasons
        remarks += mixing.refresh(found.root_layer)
        if not package:
            remarks += packed_before(found.layout, "this")
        made = DialResult(
            found.root_layer, strength, tuple(styles), tuple(done), tuple(failed), tuple(remarks)
        )
        if package and done:
            file, problems = packed(found)
            made = replace(made, package=file, problems=problems)
        interrupts.consume()  # An interrupt that comes while the layers are replaced is too late.
        return made


def _read(root_layer: Path) -> write.Mixable:
    if root_layer.suffix == ".usdz":
        raise OutputError(
            f"{root_layer} is a package, which is never edited; give the .stylized.usda that it was packed "
            "from, and --package to pack that anew."
        )
    return write.Mixable.read(root_layer)


def _checked(found: write.Mixable, strength: float, style: str | None) -> list[str]:
    """The styles to dial. Raises StageError or OptionsError."""
    root_layer, known = found.root_layer, ", ".join(found.styles)
    least, most = DIAL_RANGE
    if not (math.isfinite(strength) and least <= strength <= most):
        raise OptionsError(f"The strength {strength:g} is out of range; give {least:g} to {most:g}.")
    if style == write.MIX and style in found.provenance.styles:
        raise StageError(
            f"A mix has a dial for each style; give {root_layer} another with "
            f"`usdstylize mix {root_layer} {' '.join(f'{name}={strength:g}' for name in found.styles)}`."
        )
    if style is not None and style not in found.styles:
        raise StageError(f"{root_layer} holds no style {style}; choose from {known}.")
    return found.styles if style is None else [style]


def _originals_first(found: write.Mixable, style: str, names: Sequence[str]) -> list[str]:
    """The names, so that an object whose files others read comes before those."""
    return sorted(names, key=lambda name: bool(found.facts.of(style, name).get("copy_of")))


def _remarks(
    found: write.Mixable, held: dict[str, list[str]], style: str | None, *, everything: bool
) -> list[str]:
    without = sum(not own for own in held.values())
    remarks = []
    if without:
        verb = "does" if without == 1 else "do"
        remarks.append(
            f"{without} of {counted(len(held))} {verb} not hold {style or 'a style'}: left as it was."
        )
    root = write.read_layer(found.root_layer)
    if not everything and any(
        layer is not None and write.has_opinion(layer) for layer in (found.layer, root)
    ):
        remarks.append(
            f"The master dial {write.MASTER} had a strength, which is removed: each object's own counts now."
        )
    return remarks
