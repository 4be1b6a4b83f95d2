"""A result's source, read once more as the run that made the result read it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usdstylize.config.options import StageOptions
from usdstylize.errors import MaterialError, OutputError
from usdstylize.model.objects import StageContents, StageObject
from usdstylize.usd import read
from usdstylize.usd.write import StyleLayout

__all__ = ["Reading", "Source", "object_at", "reading_of"]

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


class Source:
    """The source of a result, read again: once for each way in which some object was read."""

    def __init__(self, path: Path, owners: Sequence[str], heroes: Sequence[str]) -> None:
        """path: the stage's. owners: the objects, all on the stage. heroes: instances that are none here."""
        self._path, self._owners, self._heroes = path, owners, heroes
        self._contents: dict[Reading, StageContents] = {}

    def contents(self, facts: Mapping[str, Any], style: StyleLayout) -> StageContents:
        """The stage as the object with these facts was read. Raises StageError or OutputError."""
        try:
            asked = reading_of(facts, style)
        except (AttributeError, KeyError, TypeError) as problem:
            raise OutputError(
                f"{style.run} is not what usdstylize wrote; restore it or remove {style.folder}."
            ) from problem
        if asked not in self._contents:
            self._contents[asked] = asked.discover(self._path, self._owners, self._heroes)
        return self._contents[asked]


def object_at(contents: StageContents, path: str) -> StageObject:
    """The object at a prim path. Raises MaterialError where there is none any more, with the reason."""
    for found in contents.objects:
        if found.path == path:
            return found
    for skipped in contents.skipped:
        if skipped.path == path:
            raise MaterialError(skipped.reason)
    raise MaterialError(f"{path} is not on the source stage any more; run again.")


def reading_of(facts: Mapping[str, Any], style: StyleLayout) -> Reading:
    """How the object with these facts was read."""
    ocio = facts.get("ocio") or (facts["base"].get("color_space") or {}).get("ocio")
    return Reading(
        frame=facts.get("frame") if facts.get("posed", True) else None,
        refine=facts.get("refine", 0),
        ocio=Path(os.path.normpath(style.folder / ocio)) if ocio else None,
    )
