"""A result's source, read once more as the run that made the result read it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usdstylize.config.options import StageOptions
from usdstylize.errors import OutputError
from usdstylize.model.objects import StageContents
from usdstylize.usd import read
from usdstylize.usd.write import StyleLayout, read_run

__all__ = ["Reading", "facts_of", "reading_of"]

_ALL_PURPOSES = ("default", "render", "proxy")


@dataclass(frozen=True)
class Reading:
    """The options that an object was read with; the same for most objects of a result."""

    frame: float | None
    """As given with --frame; None for the stage's start, in the bind pose."""
    refine: int
    ocio: Path | None

    def discover(self, source: Path, mask: Sequence[str], heroes: Sequence[str]) -> StageContents:
        """The stage ``source``, its proxies too. heroes: the instances that the result makes none."""
        options = StageOptions(
            mask=tuple(mask),
            purposes=_ALL_PURPOSES,
            frame=self.frame,
            refine=self.refine,
            unique=True,
            ocio=self.ocio,
        )
        return read.discover(source, options, earlier_heroes=heroes)


def facts_of(style: StyleLayout, name: str) -> dict[str, Any]:
    """An object's facts in the run.json of a style. Raises OutputError where it has none."""
    written = read_run(style).get("written", {})
    if name not in written:
        raise OutputError(f"{style.run} is missing or says nothing of {name}; run again with --force.")
    return dict(written[name])


def reading_of(facts: Mapping[str, Any], style: StyleLayout) -> Reading:
    """How the object with these facts was read."""
    ocio = facts.get("ocio") or (facts["base"].get("color_space") or {}).get("ocio")
    return Reading(
        frame=facts.get("frame") if facts.get("posed", True) else None,
        refine=facts.get("refine", 0),
        ocio=Path(os.path.normpath(style.folder / ocio)) if ocio else None,
    )
