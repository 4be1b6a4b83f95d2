"""What a run tells about itself: read by the command line, `run.json` and farm scripts."""

import os
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from usdstylize.model.objects import Losses, Skipped, StageObject

__all__ = ["ObjectResult", "Observer", "Plan", "RunResult", "Silent", "in_words", "plain"]

Status = Literal["done", "kept", "failed"]


@dataclass(frozen=True)
class Plan:
    """What a run is about to do; `--dry-run` prints it and stops.

    The settings are the resolved ones: nothing in them is "as the preset says" any more.
    """

    stage: Path
    root_layer: Path
    style: str
    style_images: tuple[Path, ...]
    style_hashes: tuple[str, ...]
    """Hexadecimal sha256 of each style image's file, in their order."""
    palette: tuple[str, ...]
    """``#rrggbb``, sRGB-encoded."""
    preset: str
    device: str
    parallelism: str
    """Over how many processes, in words; empty for one."""
    settings: dict[str, Any]
    own_settings: dict[str, dict[str, Any]]
    """By prim path: in which settings an object differs, as the stage asks (StylizeAPI)."""
    objects: tuple[StageObject, ...]
    skipped: tuple[Skipped, ...]
    remarks: tuple[str, ...] = ()
    """What a TD should know of the run as a whole, one sentence each."""


@dataclass(frozen=True)
class ObjectResult:
    """What became of one object."""

    path: str
    name: str
    status: Status
    """``kept`` is what `--resume` found already done."""
    reason: str | None = None
    """Why it failed, in one sentence."""
    seconds: float = 0.0
    iterations: int = 0
    coverage: float | None = None
    """Share of the object's texels that some camera saw, 0..1."""
    losses: Losses | None = None
    stages: dict[str, float] | None = None
    """Seconds spent in visibility, encoder, backward, …"""
    remarks: tuple[str, ...] = ()
    """What the live network could not take over from the source, one sentence each."""


@dataclass(frozen=True)
class RunResult:
    """The whole run."""

    plan: Plan
    root_layer: Path | None
    """None after a dry run, and when no object could be done or kept."""
    objects: tuple[ObjectResult, ...]
    seconds: float
    interrupted: bool = False
    session_layer: Path | None = None
    """What shows the result on the source stage, where nothing was written beside it."""
    package: Path | None = None
    """The result as one .usdz, where that was asked for."""
    problems: tuple[str, ...] = ()
    """What `verify` found wrong with the written result, one sentence each; empty is good."""
    remarks: tuple[str, ...] = ()
    """Those of the plan that are true only since the run has left something as it was."""

    @property
    def failed(self) -> tuple[ObjectResult, ...]:
        """The objects that were tried and are not in the result."""
        return tuple(o for o in self.objects if o.status == "failed")

    def to_dict(self, *, folder: Path | None = None) -> dict[str, Any]:
        """Plain values for JSON; paths become strings.

        folder: where the JSON will lie. Paths are then relative to it and those that only this
        machine knows are left out, so that the file still tells the truth after a move.
        """
        result: dict[str, Any] = plain(self, folder)
        return result


_MACHINE_KEYS = frozenset({"resolved_path"})
_PATH_KEYS = frozenset({"files", "ocio"})
"""Of text that is a path, or several, and may lie in a package."""


def plain(value: Any, folder: Path | None = None) -> Any:
    """``value`` with dataclasses as dicts, paths as strings and tuples as lists, all the way down.

    folder: paths become relative to it, with forward slashes; absolute where it is None.
    """
    if isinstance(value, Losses):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, dict):
        kept = value.keys() - _MACHINE_KEYS if folder else value.keys()
        return {
            key: _relative(item, folder) if folder and key in _PATH_KEYS else plain(item, folder)
            for key, item in value.items()
            if key in kept
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, folder) for item in value]
    if isinstance(value, Path):
        return _relative(str(value), folder) if folder else str(value)
    return value


def in_words(value: Any) -> str:
    """A setting's value as a person reads it: two numbers with a fraction are a range, else a list is one."""
    if not isinstance(value, (list, tuple)):
        return str(value)
    is_range = len(value) == 2 and all(isinstance(end, float) for end in value)
    return (" to " if is_range else ", ").join(map(str, value)) or "none"


def _relative(text: Any, folder: Path) -> Any:
    if isinstance(text, (list, tuple)):
        return [_relative(item, folder) for item in text]
    if not text or "://" in text:
        return text
    try:
        return Path(os.path.relpath(text, folder)).as_posix()
    except ValueError:  # on another drive of Windows, to which no relative path leads
        return Path(text).as_posix()


class Observer(Protocol):
    """Told what happens during a run; the command line draws progress with it.

    Several objects may be under way at once, and each is told of from a thread of its own.
    """

    def planned(self, plan: Plan) -> None:
        """The stage and the style set are read and the settings resolved."""

    def object_started(self, obj: StageObject, iterations: int) -> None:
        """An object's optimisation begins."""

    def iteration(self, obj: StageObject, number: int, losses: Losses) -> None:
        """``number`` iterations of the object are done (not told for every one)."""

    def object_ended(self, result: ObjectResult) -> None:
        """An object is done, or failed with ``result.reason``."""


class Silent:
    """An observer that does nothing."""

    def planned(self, plan: Plan) -> None: ...

    def object_started(self, obj: StageObject, iterations: int) -> None: ...

    def iteration(self, obj: StageObject, number: int, losses: Losses) -> None: ...

    def object_ended(self, result: ObjectResult) -> None: ...
