"""Plan and result of a run, for the command line, `run.json` and farm scripts."""

import os
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from usdstylize.model.objects import Framed, Losses, Skipped, StageObject

__all__ = [
    "DialResult",
    "MixResult",
    "ObjectResult",
    "Observer",
    "Plan",
    "RunResult",
    "Silent",
    "in_words",
    "plain",
]

Status = Literal["done", "kept", "failed"]


@dataclass(frozen=True)
class Plan:
    """What a run will do, with every setting resolved; `--dry-run` prints it and stops."""

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
    """Number of processes and how they share the work, in words; empty for one process."""
    settings: dict[str, Any]
    pattern_width_reason: str
    """Where the pattern width comes from, in words; empty where there is none."""
    own_settings: dict[str, dict[str, Any]]
    """By prim path: the settings in which the object differs from the run (StylizeAPI)."""
    objects: tuple[StageObject, ...]
    skipped: tuple[Skipped, ...]
    remarks: tuple[str, ...] = ()
    """What a TD should know of the run as a whole, one sentence each."""
    finished: tuple[str, ...] = ()
    """Names of objects that a killed run has finished, just as this one would: they are kept."""
    dropped: tuple[str, ...] = ()
    """Names of objects that a killed run has finished from other inputs or settings: they are made anew."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks, and what becomes of a killed run's objects."""
        found = []
        if self.finished:
            found.append(f"{_finished(self.finished)}, which will be kept.")
        if self.dropped:
            found.append(f"{_finished(self.dropped)} from other inputs or settings, which will be made anew.")
        return (*self.remarks, *found)


def _finished(names: tuple[str, ...]) -> str:
    return "A killed run finished " + ("1 object" if len(names) == 1 else f"{len(names)} objects")


@dataclass(frozen=True)
class ObjectResult:
    """The outcome for one object."""

    path: str
    name: str
    status: Status
    """``kept`` is what an earlier run has done already."""
    reason: str | None = None
    """Why it failed, in one sentence."""
    seconds: float = 0.0
    iterations: int = 0
    coverage: float | None = None
    """Share of the object's texels that some camera saw, 0..1."""
    framed: Framed | None = None
    losses: Losses | None = None
    stages: dict[str, float] | None = None
    """Seconds spent in visibility, encoder, backward, …"""
    remarks: tuple[str, ...] = ()
    """What the live network could not copy from the source, one sentence each."""
    copy_of: str = ""
    """Path of the object whose texture files this one shares; no time was spent on it then."""


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run."""

    plan: Plan
    root_layer: Path | None
    """None after a dry run, and where no object is done or kept."""
    objects: tuple[ObjectResult, ...]
    seconds: float
    interrupted: bool = False
    session_layer: Path | None = None
    """Session layer that applies the result to the source stage, where nothing was written beside it."""
    package: Path | None = None
    """The result as one .usdz, with ``Options.package``."""
    problems: tuple[str, ...] = ()
    """What `verify` found wrong with the written result, one sentence each; empty is good."""
    remarks: tuple[str, ...] = ()
    """Remarks that the plan did not have yet: the run left more objects as an earlier run made them, or
    mixes of this style were written anew. ``plan.remarks`` has the former, too."""

    @property
    def failed(self) -> tuple[ObjectResult, ...]:
        """The objects that could not be done and are not in the result."""
        return tuple(o for o in self.objects if o.status == "failed")

    def to_dict(self, *, folder: Path | None = None) -> dict[str, Any]:
        """Plain values for JSON; paths become strings.

        folder: the folder that the JSON will be in. Paths are then relative to it, and paths that are
        valid only on this machine are left out, so that the file stays right when it is moved.
        """
        result: dict[str, Any] = plain(self, folder)
        return result


@dataclass(frozen=True)
class MixResult:
    """The outcome of `mix`."""

    root_layer: Path
    strengths: dict[str, float]
    """By style: where its dial stands, and what the bakes are made with."""
    objects: tuple[str, ...]
    """Prim paths of the objects that show the mix now; what shares the material of one changes with it."""
    failed: tuple[Skipped, ...] = ()
    """Those that could not be mixed and are as they were."""
    remarks: tuple[str, ...] = ()
    """What a TD should know, one sentence each."""
    package: Path | None = None
    """The result as one .usdz, where that was asked for."""
    problems: tuple[str, ...] = ()
    """What is wrong with the package, one sentence each; empty is good."""


@dataclass(frozen=True)
class DialResult:
    """The outcome of `dial`."""

    root_layer: Path
    strength: float
    """Where the dials stand, and what the bakes are made with."""
    styles: tuple[str, ...]
    objects: tuple[str, ...]
    """Prim paths of the objects that have this strength now; what shares a material of these has it, too."""
    failed: tuple[Skipped, ...] = ()
    """Those that could not be done and are as they were."""
    remarks: tuple[str, ...] = ()
    """What a TD should know, one sentence each."""
    package: Path | None = None
    """The result as one .usdz, where that was asked for."""
    problems: tuple[str, ...] = ()
    """What is wrong with the package, one sentence each; empty is good."""


_MACHINE_KEYS = frozenset({"resolved_path"})
_PATH_KEYS = frozenset({"files", "ocio"})
"""Keys of strings that are paths, also into a package."""


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


def in_words(name: str, value: Any) -> str:
    """A setting's value as text: two floats are a range (``2.0 to 4.0``), weights a list (``2.0, 4.0``)."""
    if not isinstance(value, (list, tuple)):
        return str(value)
    is_range = name != "style_weights" and len(value) == 2 and all(isinstance(end, float) for end in value)
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
    """Receives the events of a run; the command line draws progress with it.

    Several objects may be in progress at once; the events of each come from a thread of its own.
    """

    def planned(self, plan: Plan) -> None:
        """The stage and the style set are read and the settings resolved."""

    def object_started(self, obj: StageObject, iterations: int) -> None:
        """An object's optimisation begins."""

    def iteration(self, obj: StageObject, number: int, losses: Losses) -> None:
        """``number`` iterations of the object are done (not called for every one)."""

    def object_ended(self, result: ObjectResult) -> None:
        """An object is done, or failed with ``result.reason``."""


class Silent:
    """An observer that does nothing."""

    def planned(self, plan: Plan) -> None: ...

    def object_started(self, obj: StageObject, iterations: int) -> None: ...

    def iteration(self, obj: StageObject, number: int, losses: Losses) -> None: ...

    def object_ended(self, result: ObjectResult) -> None: ...
