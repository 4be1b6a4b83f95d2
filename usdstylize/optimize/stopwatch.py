"""Where the time of an object goes."""

import time

__all__ = ["Stopwatch"]


class Stopwatch:
    """Adds up host seconds by name; a lap ends what ran since the lap before.

    On a CUDA device work is asynchronous, and laps tell only when it was queued.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
