"""Files behind a stage, found through Ar: a texture may sit in a package or behind a resolver."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pxr import Ar

from usdstylize.errors import OutputError, TextureError

__all__ = ["hash_file", "local_file", "package_stamp", "read_bytes", "suffix"]

_CHUNK = 1 << 22


def hash_file(path: str) -> str:
    """Hexadecimal sha256 of the bytes that Ar finds at ``path``, which may lie in a package.

    Raises TextureError where nothing can be read.
    """
    asset = _asset(path)
    digest = hashlib.sha256()
    position, size = 0, asset.GetSize()
    while position < size:
        chunk = asset.Read(min(_CHUNK, size - position), position)
        if not chunk:
            raise TextureError(f"{path} ends after {position} of {size} bytes; restore the file.")
        digest.update(chunk)
        position += len(chunk)
    return digest.hexdigest()


def read_bytes(path: str | Path) -> bytes:
    """The bytes that Ar finds at a resolved path, which may lie in a package. Raises TextureError."""
    return bytes(_asset(str(path)).GetBuffer() or b"")


def package_stamp(path: str) -> tuple[int, int] | None:
    """Time and size of the package that ``path`` lies in, which change with it; None where in none."""
    if not Ar.IsPackageRelativePath(path):
        return None
    outer = Ar.SplitPackageRelativePathOuter(path)[0]
    try:
        found = os.stat(outer)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def suffix(path: str) -> str:
    """The suffix of a file, which may lie in a package: lower case, without a dot."""
    return str(Ar.GetResolver().GetExtension(path)).lower()


@contextmanager
def local_file(path: str) -> Iterator[str]:
    """A file on the disk with what Ar finds at ``path``: itself, or a temporary copy.

    Libraries that decode images open files by name only. Raises TextureError where nothing can
    be read, OutputError where the temporary folder cannot be written.
    """
    asset = _asset(path)
    # OpenImageIO takes what follows a question mark for settings.
    if not Ar.IsPackageRelativePath(path) and os.path.isfile(path) and "?" not in path:
        yield path
        return
    # Ar gives None for the buffer of an empty file.
    contents = asset.GetBuffer() or b""
    with _temporary_folder() as folder:
        copy = os.path.join(folder, f"texture.{suffix(path)}")
        with _temporary_space(), open(copy, "wb") as file:
            file.write(contents)
        del contents
        yield copy


def _asset(path: str) -> Any:
    # Opening a pipe or a device would wait for it, for ever.
    special = os.path.exists(path) and not os.path.isfile(path)
    asset = Ar.GetResolver().OpenAsset(Ar.ResolvedPath(path)) if path and not special else None
    if not asset:
        raise TextureError(
            f"{path or 'An empty path'} cannot be opened; restore the file or its permissions."
        )
    return asset


@contextmanager
def _temporary_space() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        place = tempfile.gettempdir() if tempfile.tempdir else "The temporary folder"
        raise OutputError(
            f"{place} cannot be written ({problem.strerror or problem}), where textures are unpacked; "
            "free some space there or name another folder in TMPDIR."
        ) from problem


@contextmanager
def _temporary_folder() -> Iterator[str]:
    with _temporary_space():
        folder = tempfile.TemporaryDirectory(prefix="usdstylize-", ignore_cleanup_errors=True)
    with folder as path:
        yield path
