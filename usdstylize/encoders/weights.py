"""Weights of the encoders: where their files lie, whether they are the right ones, and how to get them.

No torch here: `usdstylize weights` and the error about a missing file come in a moment. Nothing but
`fetch` downloads anything.
"""

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from usdstylize.config.presets import PRESETS
from usdstylize.encoders.registry import ENCODERS, EncoderSpec, WeightFile, find
from usdstylize.errors import WeightsError

__all__ = ["WeightStatus", "fetch", "locate", "report", "sha256_of"]

ENVIRONMENT_VARIABLE = "USDSTYLIZE_WEIGHTS"

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far, and with their total where the server announces it."""


@dataclass(frozen=True)
class WeightStatus:
    """The weights of one encoder, as `report` finds them."""

    name: str
    presets: tuple[str, ...]
    """Presets that need it without further options."""
    state: Literal["ok", "missing", "refused"]
    """``refused``: a file of that name holds other bytes."""
    path: Path | None
    """The file that was found; None where it is missing."""
    problem: str | None
    """Why it cannot be used, in one sentence; None where it can."""
    searched: tuple[Path, ...]


def locate(name: str, folder: Path | None) -> Path:
    """The weight file of an encoder: the first in `searched_folders`, its bytes checked.

    folder: the file itself, too, where the encoder takes any weights of its network.

    Raises OptionsError where there is no such encoder. Raises WeightsError where there is no such
    file, where a file of that name holds other bytes, and where ``folder`` does not exist.
    """
    spec = find(name)
    searched = searched_folders(spec, folder)
    if folder is not None and spec.takes_any_weights and folder.is_file():
        return folder
    if folder is not None and not folder.is_dir():
        raise WeightsError(f"{folder} is not a folder; --weights takes the folder of the weight files.")
    found = _find(spec, searched)
    if found is not None:
        path, file = found
        _check(path, file)
        return path
    names = " or ".join(file.name for file in spec.files)
    places = ", ".join(map(str, searched))
    if spec.in_package:
        raise WeightsError(f"The package lacks its own {names} in {places}; install usdstylize again.")
    if spec.takes_any_weights:
        raise WeightsError(
            f"The weights of {name} are missing: no {names} in {places}; name their file or its folder with "
            "`--weights`."
        )
    fetching = "" if spec.url is None else "fetch them with `usdstylize weights --fetch`, "
    raise WeightsError(
        f"The weights of {name} are missing: no {names} in {places}; {fetching}name their folder with "
        "`--weights DIR`, or use `--preset draft`, which needs none."
    )


def searched_folders(spec: EncoderSpec, folder: Path | None) -> tuple[Path, ...]:
    """Where `locate` searches, in order: ``folder`` or $USDSTYLIZE_WEIGHTS, then the encoder's own."""
    if spec.in_package:
        return spec.folders()
    first = folder or os.environ.get(ENVIRONMENT_VARIABLE)
    return (*((Path(first),) if first else ()), *spec.folders())


def _find(spec: EncoderSpec, places: Iterable[Path]) -> tuple[Path, WeightFile] | None:
    """The first file with one of the right names, its bytes unread."""
    for place in places:
        for file in spec.files:
            path = place / file.name
            if os.path.isfile(path):  # unlike Path.is_file, False for a folder that may not be entered
                return path, file
    return None


def report(folder: Path | None) -> tuple[WeightStatus, ...]:
    """For every encoder, the weights that were found and what is wrong with them.

    Raises WeightsError where ``folder`` does not exist.
    """
    if folder is not None and not folder.is_dir():
        raise WeightsError(f"{folder} is not a folder; --weights takes the folder of the weight files.")
    return tuple(_status(spec, folder) for spec in ENCODERS.values())


def fetch(name: str, folder: Path | None, progress: Progress | None = None) -> Path:
    """An encoder's weight file in ``folder``, or without one in `searched_folders`; downloaded if missing.

    A download goes to ``folder``, or without one to the first of the encoder's own folders. A wrong
    file is refused, never replaced.

    Raises OptionsError where there is no such encoder. Raises WeightsError where the download
    fails, arrives incomplete or altered, or cannot be written, and where there is none to make.
    """
    spec = find(name)
    places = searched_folders(spec, None) if folder is None or spec.in_package else (folder,)
    found = _find(spec, places)
    if found is not None:
        _check(*found)
        return found[0]
    if spec.url is None:
        return locate(name, None)
    file = spec.files[0]
    target = (folder or spec.folders()[0]) / file.name
    url = spec.url()
    temporary = target.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = temporary.open("wb")
    except OSError as error:
        raise WeightsError(f"{target} cannot be written ({error.strerror}); give another folder.") from error
    try:
        with stream:
            _download(url, stream.write, progress)
        _check(temporary, file, source=url)
        temporary.replace(target)
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"{url} could not be downloaded to {target.parent} ({reason}); try again, or fetch it on another "
            "machine and name its folder with `--weights DIR`."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _status(spec: EncoderSpec, folder: Path | None) -> WeightStatus:
    name, searched = spec.name, searched_folders(spec, folder)
    presets = tuple(
        preset for preset, method in PRESETS.items() if name in (method.encoder, method.content_encoder)
    )
    found = _find(spec, searched)
    path = found[0] if found else None
    try:
        locate(name, folder)
    except WeightsError as error:
        return WeightStatus(name, presets, "refused" if found else "missing", path, str(error), searched)
    return WeightStatus(name, presets, "ok", path, None, searched)


def sha256_of(path: Path) -> str:
    """Hexadecimal, of the file's bytes. Raises WeightsError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check the file.") from error


def _check(path: Path, file: WeightFile, *, source: str | None = None) -> None:
    """Raises WeightsError unless ``path`` holds the very bytes that ``file`` describes."""
    if file.sha256 is not None and (found := sha256_of(path)) != file.sha256:
        raise WeightsError(
            f"{source or path} is not the {file.name} expected: its sha256 is {found}, not {file.sha256}; "
            + ("nothing was kept." if source else "remove it and fetch it again.")
        )


def _download(url: str, write: Callable[[bytes], object], progress: Progress | None) -> None:
    opener = urllib.request.build_opener()  # urlopen would keep the proxies of its first call
    with opener.open(url, timeout=30) as response:
        length = response.headers.get("Content-Length")
        total, received = int(length) if length else None, 0
        while block := response.read(1 << 20):
            write(block)
            received += len(block)
            if progress is not None:
                progress(received, total)
    if total is not None and received != total:
        raise OSError(f"the connection broke after {received} of {total} bytes")
