"""The seconds that an object takes, by stage."""

import time
from collections.abc import Mapping

__all__ = ["Stopwatch"]


class Stopwatch:
    """Adds up host seconds by name; a lap ends what ran since the lap before.

    On a CUDA device work is asynchronous, and laps measure only when it was queued.
    """

    def __init__(self, before: Mapping[str, float] | None = None) -> None:
        """before: the seconds of what is continued."""
        self.seconds: dict[str, float] = dict(before or {})
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
