"""The objects of a run that has not ended: each is whole on the disk as soon as it is done.

A run writes into a folder of its own and keeps that locked while it lives. Where the lock is free, the run
was killed, and another may take over its objects: those that were made from the same inputs with the same
settings, and whose files still have the hashes that were recorded. Nothing waits for the disk (fsync): a
power cut may cost the objects of the last seconds, which then do not match their hashes.
"""

import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from usdstylize.usd.write.disk import write_errors
from usdstylize.usd.write.layout import ResultLayout, StyleLayout

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = [
    "Finished",
    "Unfinished",
    "abandoned",
    "hashes_of",
    "is_intact",
    "read_finished",
    "write_finished",
]


@dataclass(frozen=True)
class Finished:
    """One object that is done, and not in the style layer yet."""

    name: str
    folder: Path
    """With its textures, its opinions and its record."""
    fingerprint: str
    """Of all that decides what it looks like; equal for equal results."""
    facts: dict[str, Any]
    """For run.json."""


class Unfinished:
    """The folder of this run, locked as long as it is open."""

    def __init__(self, layout: ResultLayout, style: str, *, dial: bool = False) -> None:
        """Makes the folder, and those above it. Raises OutputError where that cannot be done.

        dial: as for `ResultLayout.unfinished`.
        """
        self._made: list[Path] = []
        with write_errors(layout.textures):
            while not self._open(layout.unfinished(style, secrets.token_hex(4), dial=dial)):
                pass  # in the moment before it was locked, another run took it for that of a killed one

    def _open(self, layout: StyleLayout) -> bool:
        """Make the folder and lock it; False where another run has removed it, or is about to."""
        self.layout = layout
        self.make_folder(layout.folder)
        try:
            self._lock = layout.lock.open("w", encoding="utf-8")
        except FileNotFoundError:
            return False
        with suppress(OSError):  # without locks, nobody takes a folder for that of a killed run
            if not (_try_lock(self._lock) and layout.lock.exists()):
                self._lock.close()
                shutil.rmtree(layout.folder, ignore_errors=True)
                return False
        return True

    def make_folder(self, folder: Path) -> None:
        """With the folders above it; `close` removes those that are empty then."""
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._made.append(path)

    def adopt(
        self, killed: StyleLayout, finished: Mapping[str, Finished], names: Collection[str]
    ) -> dict[str, Finished]:
        """Make objects of a killed run objects of this one; by name, those that are still there.

        The other objects in ``names`` are removed from the killed run's folder; those that are not in it,
        since ``--mask`` leaves them out, stay for the run that asks for them.
        """
        found: dict[str, Finished] = {}
        with _locked(killed) as is_ours:
            if not is_ours:  # another run adopts them at this moment
                return found
            for name, each in finished.items():
                folder = self.layout.object(name)
                if each.folder == killed.object(name) and each.folder.is_dir():
                    os.replace(each.folder, folder)
                    found[name] = Finished(name, folder, each.fingerprint, each.facts)
            _remove_objects(killed, names)
        return found

    def close(self, *, keep: bool) -> None:
        """Unlock the folder. keep: leave its objects for the next run, and all else as it is."""
        self._lock.close()
        if keep:
            return
        shutil.rmtree(self.layout.folder, ignore_errors=True)
        for folder in reversed(self._made):
            with suppress(OSError):  # it holds the result, or is gone
                folder.rmdir()


def abandoned(layout: ResultLayout, style: str, *, dial: bool = False) -> list[StyleLayout]:
    """The folders of killed runs of this style: those that nobody has locked. dial: see `ResultLayout`."""
    found = []
    for folder in layout.all_unfinished(style, dial=dial):
        try:
            with folder.lock.open("r+", encoding="utf-8") as lock:
                if _try_lock(lock):
                    found.append(folder)
        except FileNotFoundError:  # killed before it had one
            found.append(folder)
        except OSError:  # another user's, whose run may live; or there are no locks
            continue
    return found


@contextmanager
def _locked(layout: StyleLayout) -> Iterator[bool]:
    """Whether the folder of a killed run is locked by us, and by nobody else, while it lasts."""
    try:
        lock = layout.lock.open("a", encoding="utf-8")
    except OSError:  # it is gone, or another user's
        yield False
        return
    with lock:
        try:
            is_ours = _try_lock(lock) and layout.lock.exists()
        except OSError:
            is_ours = False
        yield is_ours


def _remove_objects(killed: StyleLayout, names: Collection[str]) -> None:
    """Remove what is left in the folder, but for whole objects that are not in ``names``."""
    asked = {killed.object(name) for name in names}
    stay = [
        path
        for path in killed.folder.iterdir()
        if path not in asked and not path.name.startswith(".") and any(path.glob(killed.record("*")))
    ]
    if not stay:
        shutil.rmtree(killed.folder, ignore_errors=True)
        return
    for path in killed.folder.iterdir():
        if path.is_dir() and path not in stay:
            shutil.rmtree(path, ignore_errors=True)


def _try_lock(file: IO[str]) -> bool:
    """Whether the file is locked by us now; False where another has it.

    Raises OSError where the file system knows no locks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def write_finished(
    layout: StyleLayout, name: str, opinions: str, fingerprint: str, facts: Mapping[str, Any]
) -> Finished:
    """Put the opinions and a record beside an object's textures, all of which are then there at once.

    The textures lie in ``layout.partial(name)`` already. opinions: a layer as text.
    """
    partial, folder = layout.partial(name), layout.object(name)
    finished = Finished(name, folder, fingerprint, {**facts, "hashes": hashes_of(partial)})
    data = opinions.encode()
    (partial / layout.opinions(name)).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    record = {"fingerprint": fingerprint, "opinions": digest, "facts": finished.facts}
    (partial / layout.record(name)).write_text(json.dumps(record, default=str) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return finished


def read_finished(layout: StyleLayout, name: str) -> Finished | None:
    """The object as a run has left it; None where it is not there, or not as it was written."""
    folder = layout.object(name)
    try:
        record = json.loads((folder / layout.record(name)).read_text(encoding="utf-8"))
        finished = Finished(name, folder, record["fingerprint"], record["facts"])
        hashes = {**finished.facts["hashes"], layout.opinions(name): record["opinions"]}
        return finished if is_intact(folder, hashes) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def hashes_of(folder: Path) -> dict[str, str]:
    """Hexadecimal sha256 of every file in a folder, by name."""
    return {path.name: _digest(path) for path in sorted(folder.iterdir())}


def is_intact(folder: Path, hashes: Mapping[str, str]) -> bool:
    """Whether every file in ``folder`` that has a hash is there, as it was written."""
    try:
        return all(_digest(folder / name) == digest for name, digest in hashes.items())
    except OSError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
