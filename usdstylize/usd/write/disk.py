"""The file system under a result: errors as one sentence, renames that can be undone, a lock."""

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from usdstylize.errors import OutputError

if sys.platform != "win32":
    import fcntl

__all__ = ["ASIDE", "alone", "is_running", "undone_on_error", "write_errors"]

ASIDE = ".replaced"
"""Follows the name of what a replacement has put aside until all of them are made."""


@contextmanager
def write_errors(place: Path) -> Iterator[None]:
    """Raises OutputError for an OSError within; ``place`` is named where the error names no file."""
    try:
        yield
    except OSError as problem:
        where = problem.filename or place
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "free some space or choose another folder with --output"
        else:
            remedy = "change its permissions or choose another folder with --output"
        raise OutputError(
            f"{where} cannot be written ({problem.strerror or problem}); {remedy}."
        ) from problem


@contextmanager
def undone_on_error() -> Iterator[Callable[[Path, Path], None]]:
    """Yields ``replace(new, final)``; every replacement is taken back when one of them fails."""
    done: list[tuple[Path, Path, Path | None]] = []

    def replace(new: Path, final: Path) -> None:
        aside = new.with_name(f"{new.name}{ASIDE}") if final.exists() else None
        if aside is not None and not final.is_dir():
            try:
                # A hard link would do, but not on every file system; these files are small.
                shutil.copy2(final, aside)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
        done.append((new, final, aside))
        if aside is not None and final.is_dir():
            os.replace(final, aside)
        os.replace(new, final)

    try:
        yield replace
    except BaseException:
        for new, final, aside in reversed(done):
            if final.exists() and not new.exists():
                os.replace(final, new)
            if aside is not None and aside.exists():
                os.replace(aside, final)
        raise
    for _, _, aside in done:
        if aside is not None and aside.is_file():
            aside.unlink(missing_ok=True)
        elif aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Waits until no other run changes the layers of the result with this folder, and lets none meanwhile.

    Two that read and replace a layer at once would lose what one of them has added. Windows and some network
    disks cannot lock a folder: nothing is waited for there.
    """
    descriptor = None
    try:
        if sys.platform != "win32":
            with suppress(OSError):
                descriptor = os.open(folder, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def is_running(process: str) -> bool:
    """Whether this host runs, or may run, the process with that id; on Windows any may run."""
    if not process.isdigit():
        return False
    if sys.platform == "win32":  # the signal 0, which asks, is Ctrl-C there
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
