"""What `verify` reports: a list of checks."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Check", "VerifyReport"]


@dataclass(frozen=True)
class Check:
    """One thing that `verify` has checked."""

    name: str
    """What is checked: source, composition, validation, path, instances, binding, variants, live,
    bake, mix."""
    subject: str
    """The file or prim."""
    ok: bool
    detail: str
    """A sentence, or the number that was measured."""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.name, self.subject, self.detail)))


@dataclass(frozen=True)
class VerifyReport:
    """All checks of one result."""

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
