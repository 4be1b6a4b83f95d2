"""Draws and writes the sample content.

    python sample_stages/make_samples.py [--out FOLDER] [--only PART ...]

Everything is made here, from fixed seeds: meshes, textures, stages and the three style sets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _glass
import _gouache
import _ink
from _draw import save
from _stages import write_stages
from _textures import TEXTURES, uv_test
from PIL import Image

PARTS = ("stages", "textures", "gouache", "ink", "stained_glass")


def images() -> dict[str, Callable[[], Image.Image]]:
    """What draws each image, by its path within the samples."""
    found: dict[str, Callable[[], Image.Image]] = {"uv_test/T.png": uv_test}
    found |= {f"assets/{name}": draw for name, draw in TEXTURES.items()}
    for folder, pictures in (
        ("gouache", _gouache.PICTURES),
        ("ink", _ink.PICTURES),
        ("stained_glass", _glass.PICTURES),
    ):
        found |= {f"styles/{folder}/{name}": draw for name, draw in pictures.items()}
    return found


def make(out: Path, parts: Collection[str] = PARTS) -> list[Path]:
    """Write the chosen parts under `out`; returns the images written."""
    if "stages" in parts:
        write_stages(out)
    written = []
    for name, draw in images().items():
        part = name.split("/")[1] if name.startswith("styles/") else "textures"
        if part in parts:
            save(draw(), out / name)
            written.append(out / name)
    return written


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parent, help="folder to write into"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="make only these parts")
    args = parser.parse_args()
    for path in make(args.out, args.only):
        print(path)


if __name__ == "__main__":
    main()
