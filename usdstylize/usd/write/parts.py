"""What a style's variant adds to an object's T: its own T_S, or in a mix those of several styles."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usdstylize.config.options import Network
from usdstylize.errors import OutputError
from usdstylize.usd.write.layout import ResultLayout, StyleLayout
from usdstylize.usd.write.master import DIAL
from usdstylize.usd.write.provenance import read_run

__all__ = ["MIX", "Dialled", "Facts", "Mixed", "Part"]

MIX = "mix"
"""The variant that adds several styles; no style set may have that name."""


@dataclass(frozen=True)
class Part:
    """One T_S that a variant adds to T."""

    style: StyleLayout
    """Of its files."""
    owner: str
    """Name of the object whose files they are: a copy reads its original's."""
    strength: float
    mixed: str = ""
    """The style's name, where the variant is a mix of several."""

    @property
    def dial(self) -> str:
        """The material's input that scales it in the live network, without ``inputs:``."""
        return f"{DIAL}_{self.mixed}" if self.mixed else DIAL

    def file(self, tile: str = "") -> Path:
        """Of T_S. tile: as in `StyleLayout.style_texture`."""
        return self.style.object(self.owner) / self.style.style_texture(self.owner, tile)


@dataclass(frozen=True)
class Mixed:
    """What an object's mix is made of."""

    parts: tuple[Part, ...]
    textures: tuple[dict[str, str], ...]
    """For each part, hexadecimal sha256 of the files of its T_S, by name."""
    network: Network
    """What the mix is written as: what any of its styles is."""
    blocked: frozenset[str]
    """Render contexts whose own surfaces all of its styles switch off."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for copies, which are mixed from the same files."""
        return self.network, tuple((part.mixed, part.owner, part.strength) for part in self.parts)


@dataclass(frozen=True)
class Dialled:
    """An object's style with another strength."""

    part: Part
    """Its T_S as it lies on the disk, with the new strength."""
    facts: dict[str, Any]
    """Of how its style was made."""
    blocked: frozenset[str]
    """Render contexts whose own surfaces the style switches off."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The one part, as a mix has several."""
        return (self.part,)

    @property
    def network(self) -> Network:
        """What the style is written as."""
        found: Network = self.facts.get("network", "both")
        return found

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for copies, which read the same files."""
        return self.network, self.part.owner, self.part.strength


class Facts:
    """What the run.json of each style of a result says of its objects; each file is read once."""

    def __init__(self, layout: ResultLayout) -> None:
        self._layout = layout
        self._written: dict[str, Any] = {}

    def of(self, style: str, name: str) -> dict[str, Any]:
        """An object's facts in a style. Raises OutputError where it has none."""
        files = self._layout.style(style)
        if style not in self._written:
            self._written[style] = read_run(files).get("written", {})
        if name not in self._written[style]:
            raise OutputError(f"{files.run} is missing or says nothing of {name}; run again with --force.")
        with self._understood(style):
            return dict(self._written[style][name])

    def parts(self, style: str, name: str) -> tuple[Part, ...]:
        """What the style's variant, which may be a mix, adds to the object's T. Raises OutputError."""
        own = self.of(style, name)
        with self._understood(style):
            strengths = {each: float(part["strength"]) for each, part in own.get("mix", {}).items()}
            if strengths:
                return self.mixed(name, strengths)
            return (Part(self._layout.style(style), own.get("copy_of") or name, float(own["strength"])),)

    def mixed(self, name: str, strengths: Mapping[str, float]) -> tuple[Part, ...]:
        """The parts of a mix of these styles on an object that holds them all. Raises OutputError."""
        return tuple(
            Part(self._layout.style(style), self.of(style, name).get("copy_of") or name, strength, style)
            for style, strength in strengths.items()
        )

    def network(self, parts: Sequence[Part], name: str) -> Network:
        """What a mix of the parts is written as."""
        found = {self.of(part.style.name, name).get("network", "both") for part in parts}
        only: list[Network] = ["mtlx", "preview"]
        return next((network for network in only if found == {network}), "both")

    def textures(self, part: Part) -> dict[str, str]:
        """Hexadecimal sha256 of each file of the part's T_S, by name, as it was written."""
        hashes = self.of(part.style.name, part.owner).get("hashes", {})
        with self._understood(part.style.name):
            return {file: hashes[file] for file in part.style.style_textures(part.owner, hashes)}

    def resolution(self, parts: Sequence[Part]) -> int:
        """Texels on the longest side of the parts' T_S."""
        sides: list[int] = []
        for part in parts:
            facts = self.of(part.style.name, part.owner)
            with self._understood(part.style.name):
                sides += map(int, facts["style_size"])
        return max(sides)

    def stale(self, style: str, name: str) -> list[str]:
        """The styles of a mix whose T_S is not the one that the object was mixed from; none but for a mix."""
        mixed = self.of(style, name).get("mix", {})
        parts = self.parts(style, name) if mixed else ()
        with self._understood(style):
            return [p.mixed for p in parts if self.textures(p) != mixed[p.mixed]["textures"]]

    @contextmanager
    def _understood(self, style: str) -> Iterator[None]:
        """Raises OutputError where facts are not as they were written."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            files = self._layout.style(style)
            raise OutputError(
                f"{files.run} is not what usdstylize wrote; restore it or remove {files.folder}."
            ) from problem
