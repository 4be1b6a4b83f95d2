"""Ctrl-C, SIGTERM and SIGHUP as a request that is read between steps, never raised inside another library.

Raised inside a function of USD, KeyboardInterrupt becomes a SystemError, and the object that was being read
or written fails for no reason of its own.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["SIGNALS", "check", "consume", "cooperative", "install", "last_signal", "postponed", "requested"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a run: Ctrl-C, a farm's manager, a closed ssh session."""

_IMPATIENT_SECONDS = 1.0
"""A second Ctrl-C this long after the first one means at once; torchrun passes one on within milliseconds."""

_request = threading.Event()
_last = signal.SIGINT
_when = 0.0
_active = False
_postponing = False


def install() -> None:
    """Let every signal that ends a run raise KeyboardInterrupt, as Ctrl-C does; for a process of ours.

    One that is ignored stays so, as nohup and a shell's ``&`` leave it.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


@contextmanager
def cooperative() -> Iterator[None]:
    """While it lasts, a signal that would raise KeyboardInterrupt sets a request, which `check` raises.

    Handlers of others, and signals that are ignored, stay as they are. Does nothing outside the main thread,
    or within another. A request that nobody has read is raised at its end.
    """
    global _active, _last
    if _active or threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    ours = {n: handler for n, handler in handlers.items() if handler in (signal.default_int_handler, _raise)}
    _request.clear()
    _active, _last = True, signal.SIGINT
    try:
        for number in ours:
            signal.signal(number, _on_signal)
        yield
        check()
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        _active = False
        _request.clear()


@contextmanager
def postponed() -> Iterator[None]:
    """While it lasts, no Ctrl-C raises anything, however many there are."""
    global _postponing
    _postponing = True
    try:
        yield
    finally:
        _postponing = False


def requested() -> bool:
    """Whether a signal has asked to end, and nobody has consumed it."""
    return _request.is_set()


def check() -> None:
    """Raises KeyboardInterrupt where a signal has asked to end."""
    if _request.is_set():
        raise KeyboardInterrupt


def consume() -> bool:
    """Whether a signal has asked to end; the request is then over."""
    asked = _request.is_set()
    _request.clear()
    return asked


def last_signal() -> int:
    """The number of the last signal that asked to end; that of Ctrl-C where none has."""
    return _last


def _raise(number: int, frame: FrameType | None) -> None:
    global _last
    _last = signal.Signals(number)
    raise KeyboardInterrupt


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _last, _when
    again = number == signal.SIGINT and _request.is_set() and time.monotonic() - _when > _IMPATIENT_SECONDS
    if again and not _postponing:
        raise KeyboardInterrupt
    if not _request.is_set():
        _last, _when = signal.Signals(number), time.monotonic()
    _request.set()
