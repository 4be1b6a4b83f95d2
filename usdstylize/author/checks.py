"""What `verify` reports: one check for each thing that it looks at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pxr import Tf, Usd

from usdstylize.errors import UsdStylizeError, one_line
from usdstylize.stage.opening import first_sentence

__all__ = ["Check", "VerifyReport", "as_written", "is_there"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What is checked: source, composition, validation, path, instances, binding, variants, live, bake."""
    subject: str
    """The file or prim."""
    ok: bool
    detail: str
    """A sentence, or the number that was measured."""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.name, self.subject, self.detail)))


@dataclass(frozen=True)
class VerifyReport:
    """Everything that `verify` looked at."""

    root_layer: Path
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True where nothing is wrong."""
        return all(check.ok for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """What is wrong."""
        return tuple(check for check in self.checks if not check.ok)


@contextmanager
def as_written(checks: list[Check], name: str, subject: str) -> Iterator[None]:
    """What cannot even be looked at is no longer as it was written: a check that has failed."""
    try:
        yield
    except (UsdStylizeError, OSError) as problem:
        checks.append(Check(name, subject, False, str(problem)))
    except Exception as problem:
        what = first_sentence(problem) if isinstance(problem, Tf.ErrorException) else str(problem)
        detail = f"It is not as it was written ({one_line(what)}); run again with --force."
        checks.append(Check(name, subject, False, detail))


def is_there(stage: Usd.Stage, path: str) -> bool:
    """Whether an object of a result is still on its stage: a mere opinion of ours has no type.

    A prototype of a point instancer may well be no defined prim.
    """
    prim = stage.GetPrimAtPath(path)
    return bool(prim) and prim.GetTypeName() != ""
