"""The images that the student learns from: each with its licence, its author and its hash."""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["ManifestError", "Source", "load_image", "read_manifest"]

_HERE = Path(__file__).parent
_SHORT_SIDE = 512


class ManifestError(Exception):
    """An image of the manifest is missing or is not the one that was listed."""


@dataclass(frozen=True)
class Source:
    """One image of the manifest."""

    name: str
    path: Path
    licence: str
    author: str
    held_out: bool
    """Never trained on: the held-out table is made from it."""
    sha256: str


def read_manifest(path: Path = _HERE / "manifest.json") -> tuple[Source, ...]:
    """Every image, found and checked. Raises ManifestError that names the one that is not right."""
    sources = []
    for entry in json.loads(path.read_text(encoding="utf-8")):
        file = _folder(entry["package"]) / entry["file"]
        if not file.is_file():
            raise ManifestError(f"{file} is missing; install the extra `training`.")
        if hashlib.sha256(file.read_bytes()).hexdigest() != entry["sha256"]:
            raise ManifestError(
                f"{file} is not the image that the manifest lists; install the pinned version."
            )
        sources.append(
            Source(
                name=file.stem,
                path=file,
                licence=entry["licence"],
                author=entry["author"],
                held_out=entry["held_out"],
                sha256=entry["sha256"],
            )
        )
    return tuple(sources)


def _folder(package: str | None) -> Path:
    if package is None:
        return _HERE.parent
    spec = importlib.util.find_spec(package)  # its files are wanted, not its code
    if spec is None or not spec.submodule_search_locations:
        raise ManifestError(f"The package {package} is missing; install the extra `training`.")
    return Path(spec.submodule_search_locations[0])


def load_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, sRGB-encoded, row 0 the top, the short side brought to 512 texels or less."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = _SHORT_SIDE / min(image.size)
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image)
