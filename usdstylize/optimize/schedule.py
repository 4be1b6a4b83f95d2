"""How far an optimisation has come: what its learning rate and weights follow, and when it ends."""

from collections.abc import Callable, Sequence
from typing import Any

from usdstylize.config.method import Method
from usdstylize.losses import Term

__all__ = ["CHECK_EVERY", "Schedule", "exponential", "weights_at"]

CHECK_EVERY = 20
"""Iterations between two validations."""
_FLAT = 0.01
"""A validation that gains less than this share of all that was gained so far counts as flat."""
_PATIENCE = 2
"""Flat validations in a row that make a plateau."""
_COOLING = 0.75
"""Iterations after the plateau, as a share of those before; the learning rate falls during them."""
_COOLING_AT_LEAST = 60


class Schedule:
    """``progress`` runs from 0 at the first iteration to 1 at the last.

    With a fixed count it runs evenly. To a plateau it stays at 0, where the learning rate is
    greatest, until the loss of the validation views has stopped falling; then it runs to 1. The
    count is the most that it takes.
    """

    def __init__(self, iterations: int, *, plateau: bool = False) -> None:
        self._iterations = iterations
        self._cooling_from: int | None = None if plateau else 1
        self.last = iterations
        self._losses: list[float] = []
        self._flat = 0

    @property
    def waits(self) -> bool:
        """Whether the plateau is still to come, which `validate` finds."""
        return self._cooling_from is None

    def progress(self, number: int) -> float:
        """``progress`` of iteration ``number``, counted from 1."""
        if self._cooling_from is None:
            # Cooling must begin while enough iterations are left for it: 0.75 of those before.
            if number < self._iterations / (1 + _COOLING):
                return 0.0
            self._cool(number)
        start = self._cooling_from or 1
        return (number - start) / max(1, self.last - start)

    def validate(self, number: int, loss: Callable[[], float]) -> None:
        """Ask for the loss of the validation views after iteration ``number``: the first, then every 20th."""
        if self._cooling_from is not None or (number > 1 and number % CHECK_EVERY):
            return
        self._losses.append(loss())
        if len(self._losses) < 2:
            return
        before, now = self._losses[-2:]
        gained = max(self._losses[0] - now, 1e-12)
        self._flat = self._flat + 1 if before - now < _FLAT * gained else 0
        if self._flat >= _PATIENCE:
            self._cool(number)

    def state_dict(self) -> dict[str, Any]:
        return {
            "cooling_from": self._cooling_from,
            "last": self.last,
            "losses": list(self._losses),
            "flat": self._flat,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the schedule stood that gave ``state``; both with the same arguments."""
        self._cooling_from, self.last = state["cooling_from"], state["last"]
        self._losses, self._flat = list(state["losses"]), state["flat"]

    def _cool(self, number: int) -> None:
        self._cooling_from = number
        self.last = min(self._iterations, number + max(_COOLING_AT_LEAST, round(_COOLING * number)))


def exponential(ends: tuple[float, float], progress: float) -> float:
    """From the first value to the last along an exponential; ``progress`` runs from 0 to 1."""
    first, last = ends
    return first * (last / first) ** progress if first > 0 and last > 0 else first


def weights_at(terms: Sequence[Term], method: Method, progress: float) -> dict[str, float]:
    """Each term's weight by its name; ``progress`` as for `exponential`."""
    found = {}
    for term in terms:
        weight = term.weight(method)
        found[term.name] = exponential(weight, progress) if isinstance(weight, tuple) else weight
    return found
