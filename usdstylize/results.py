"""What a run tells about itself: read by the command line, `run.json` and farm scripts."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from usdstylize.objects import Losses, Skipped, StageObject

__all__ = ["ObjectResult", "Observer", "Plan", "RunResult", "Silent"]

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
    palette: tuple[str, ...]
    """``#rrggbb``, sRGB-encoded."""
    preset: str
    device: str
    settings: dict[str, Any]
    objects: tuple[StageObject, ...]
    skipped: tuple[Skipped, ...]


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


@dataclass(frozen=True)
class RunResult:
    """The whole run."""

    plan: Plan
    root_layer: Path | None
    """None after a dry run, and when no object could be done."""
    objects: tuple[ObjectResult, ...]
    seconds: float
    interrupted: bool = False

    @property
    def failed(self) -> tuple[ObjectResult, ...]:
        """The objects that were tried and are not in the result."""
        return tuple(o for o in self.objects if o.status == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; paths become strings."""
        result: dict[str, Any] = plain(asdict(self))
        return result


def plain(value: Any) -> Any:
    """``value`` with paths as strings and tuples as lists, all the way down."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


class Observer(Protocol):
    """Told what happens during a run; the command line draws progress with it."""

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


OnIteration = Callable[[int, Losses], None]
