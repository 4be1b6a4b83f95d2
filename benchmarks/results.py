"""Reads a written result back: the source's T through usdstylize.stage, T_S from its EXR."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usdstylize import stage, styles
from usdstylize.author.provenance import read_layer, read_provenance, read_run
from usdstylize.errors import OutputError
from usdstylize.objects import ObjectData, StageObject, StyleSet

__all__ = ["StylizedObject", "read_result", "read_style"]


@dataclass(frozen=True, eq=False)
class StylizedObject:
    """One object of a result, with what it showed before and what was added.

    style_texture: (H, W, 3) float32, T_S times the strength that the result was written with.
    """

    object: StageObject
    data: ObjectData
    style_texture: NDArray[np.float32]


def read_style(root_layer: Path, folder: Path) -> StyleSet:
    """The style set in ``folder`` with the palette and the primary image of the run.

    Raises OutputError where the result holds no such style, StyleSetError.
    """
    name = styles.load(folder, primary=None, palette="#000000", clusters=1, seed=0).name
    report = _textures_folder(root_layer, name)
    run = read_run(report).get("plan")
    if run is None:
        raise OutputError(
            f"{root_layer} holds no style {name} (no run.json in {report}); give the --style-set of its run."
        )
    return styles.load(
        folder,
        primary=Path(run["style_images"][0]).name if folder.is_dir() else None,
        palette=",".join(run["palette"]),
        clusters=1,
        seed=0,
    )


def read_result(root_layer: Path, style: StyleSet, mask: str = "/") -> Iterator[StylizedObject]:
    """Every object at or under ``mask`` that holds the style, one in memory at a time.

    Raises OutputError where ``root_layer`` is no result of usdstylize.
    """
    layer = read_layer(root_layer)
    provenance = read_provenance(layer, root_layer.parent.absolute()) if layer else None
    if provenance is None or style.name not in provenance.styles:
        raise OutputError(
            f"{root_layer} is not a result of usdstylize in the style {style.name}; give the .stylized.usda "
            "that a run has written."
        )
    folder = _textures_folder(root_layer, style.name)
    written = read_run(folder).get("written", {})
    contents = stage.discover(
        provenance.source, mask=() if mask == "/" else (mask,), purposes=("default", "render", "proxy")
    )
    for found in contents.objects:
        if found.name in written:
            texture = stage.read_image(str(folder / found.name / "TS.exr"))
            texture *= np.float32(written[found.name]["strength"])
            yield StylizedObject(found, stage.load(contents, found), texture)


def _textures_folder(root_layer: Path, style_name: str) -> Path:
    """Design §4: ``<stage>.style/<style>/`` beside ``<stage>.stylized.usda``."""
    return root_layer.with_name(f"{root_layer.stem.removesuffix('.stylized')}.style") / style_name
