"""Several styles on one object at once: clamp(T + Σ strength · T_S), as one more variant of a result.

Nothing is optimised: the T_S of the styles are read as they lie there, and only bakes are written.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from usdstylize import interrupts
from usdstylize.config.options import DIAL_RANGE
from usdstylize.errors import OptionsError, StageError, UsdStylizeError
from usdstylize.model.objects import Skipped
from usdstylize.model.results import MixResult
from usdstylize.rewriting import counted, packed, packed_before, rewrite
from usdstylize.usd import write

__all__ = ["mix", "refresh"]

Strengths = Mapping[str, float]
"""By style."""


def mix(
    root_layer: str | Path, strengths: Strengths, mask: Sequence[str] = (), *, package: bool = False
) -> MixResult:
    """Show several styles at once: a variant ``mix`` of clamp(T + Σ strength · T_S), with a dial for each.

    strengths: by style, 0 to 2. mask: only objects at or under these prim paths. package: write the
    result as one .usdz, too.

    An object that holds only some of the styles is mixed of those, one that holds none stays as it is. A
    mix that is there already is replaced. Changes only the result's own files.

    Raises OutputError where ``root_layer`` is no result or cannot be written, OptionsError where a
    strength is out of range, StageError where the result does not hold a style or the mask names no
    object; nothing is written then.

        >>> result = usdstylize.mix("shot/stage.stylized.usda", {"ink": 0.7, "gouache": 0.3})
        >>> result.objects
        ('/World/Mug/Geom/Body',)
    """
    with interrupts.cooperative():
        found = write.Mixable.read(Path(root_layer))
        _check(found, strengths)
        held = found.held(list(strengths), mask)
        wanted = {name: {s: strengths[s] for s in styles} for name, styles in held.items() if styles}
        if not wanted:
            where, styles = ", ".join(mask), " or ".join(strengths)
            raise StageError(f"No object at {where} holds {styles}; stylise them with these first.")
        objects, failed = _write(found, wanted, select=True)
        remarks = _remarks(held, len(strengths))
        if not package:
            remarks += packed_before(found.layout, "this mix")
        made = MixResult(found.root_layer, dict(strengths), objects, failed, tuple(remarks))
        if package and objects:
            file, problems = packed(found)
            made = replace(made, package=file, problems=problems)
        interrupts.consume()  # An interrupt that comes while the layers are replaced is too late.
        return made


def refresh(root_layer: Path) -> tuple[str, ...]:
    """Write mixes anew, with the strengths that they have, whose styles were made anew since.

    Selections stay as they are. Returns remarks: what was done, or why it could not be.
    """
    stale = f"The mix in {root_layer} is stale and could not be written anew"
    try:
        found = write.Mixable.read(root_layer)
        record = found.provenance.styles.get(write.MIX)
        names = [n for n in record.objects if found.facts.stale(write.MIX, n)] if record else []
        wanted = {n: {p.mixed: p.strength for p in found.facts.parts(write.MIX, n)} for n in names}
        objects, failed = _write(found, wanted, select=False) if wanted else ((), ())
    except UsdStylizeError as error:
        return (f"{stale}: {error}",)
    done = f"The mix of {counted(len(objects))} was written anew, from the new style textures."
    return (*([done] if objects else []), *(f"{stale}: {item.reason}" for item in failed))


def _check(found: write.Mixable, strengths: Strengths) -> None:
    """Raises StageError or OptionsError where that is no mix of what the result holds."""
    root_layer, styles = found.root_layer, found.styles
    known = ", ".join(styles)
    if len(styles) < 2:
        source = found.provenance.source
        raise StageError(
            f"{root_layer} holds the style {known or 'of no run'} alone, and a mix needs two; add another "
            f"with `usdstylize {source} --style-set DIR --output {root_layer}`."
        )
    if not strengths:
        example = " ".join(f"{style}=0.5" for style in styles[:2])
        raise OptionsError(
            f"A mix needs styles with their strengths, such as {example}; {root_layer} holds {known}."
        )
    least, most = DIAL_RANGE
    for style, strength in strengths.items():
        if style not in styles:
            raise StageError(f"{root_layer} holds no style {style} to mix; choose from {known}.")
        if not (math.isfinite(strength) and least <= strength <= most):
            raise OptionsError(
                f"The strength {strength:g} of {style} is out of range; give {least:g} to {most:g}."
            )


def _remarks(held: Mapping[str, Sequence[str]], count: int) -> list[str]:
    """How many objects hold not all of ``count`` styles, one sentence each."""
    some = sum(0 < len(styles) < count for styles in held.values())
    none = sum(not styles for styles in held.values())
    return [
        f"{number} of {counted(len(held))} {text}"
        for number, text in (
            (some, "held only some of these styles: mixed of those."),
            (none, "held none of these styles: left as it was."),
        )
        if number
    ]


def _write(
    found: write.Mixable, wanted: Mapping[str, Strengths], *, select: bool
) -> tuple[tuple[str, ...], tuple[Skipped, ...]]:
    """Mix the objects with these names, each of styles that it holds; as `rewrite`."""
    mixes = {name: found.mixed(name, strengths) for name, strengths in wanted.items()}
    return rewrite(found, write.MIX, mixes, select=select)
