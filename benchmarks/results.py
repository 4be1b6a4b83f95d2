"""Reads a written result back: the source's T through usdstylize.usd.read, T_S from its EXR."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usdstylize import styles
from usdstylize.errors import OutputError
from usdstylize.model.objects import ObjectData, StageObject, StyleSet
from usdstylize.usd import read
from usdstylize.usd.io import images
from usdstylize.usd.verify.reread import Reading, reading_of
from usdstylize.usd.write.instancing import heroes_of
from usdstylize.usd.write.layout import ResultLayout, StyleLayout
from usdstylize.usd.write.parts import MIX, Facts
from usdstylize.usd.write.provenance import read_layer, read_provenance, read_run
from usdstylize.usd.write.selection import find_style_layer

__all__ = ["StylizedObject", "read_objects", "read_result", "read_style", "style_layout", "style_names"]


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
    files = style_layout(root_layer, name)
    run = read_run(files).get("plan")
    if run is None:
        raise OutputError(
            f"{root_layer} holds no style {name} (no {files.run}); give the --style-set of its run."
        )
    return styles.load(
        folder,
        primary=Path(run["style_images"][0]).name if folder.is_dir() else None,
        palette=",".join(run["palette"]),
        clusters=1,
        seed=0,
    )


def read_result(root_layer: Path, style: StyleSet, mask: str = "/") -> Iterator[StylizedObject]:
    """`read_objects` of a style set."""
    return read_objects(root_layer, style.name, mask)


def style_names(root_layer: Path) -> tuple[str, ...]:
    """The styles of a result, by name, without a mix of them. Raises OutputError where it is no result."""
    style_layer = find_style_layer(root_layer)
    layer = read_layer(style_layer)
    provenance = read_provenance(layer, style_layer.parent) if layer else None
    if provenance is None:
        raise OutputError(f"{root_layer} is not a result of usdstylize; give the .stylized.usda of a run.")
    return tuple(sorted(provenance.styles.keys() - {MIX}))


def read_objects(root_layer: Path, style_name: str, mask: str = "/") -> Iterator[StylizedObject]:
    """Every object at or under ``mask`` that holds the style, one in memory at a time.

    Raises OutputError where ``root_layer`` is no result of usdstylize.
    """
    style_layer = find_style_layer(root_layer)
    layer = read_layer(style_layer)
    provenance = read_provenance(layer, style_layer.parent) if layer else None
    if layer is None or provenance is None or style_name not in provenance.styles:
        raise OutputError(
            f"{root_layer} is not a result of usdstylize in the style {style_name}; give the .stylized.usda "
            "that a run has written."
        )
    layout = ResultLayout.of_style_layer(style_layer)
    files, written = layout.style(style_name), Facts(layout)
    readings: dict[Reading, dict[str, float]] = {}
    for name in provenance.styles[style_name].objects:
        facts = written.of(style_name, name)
        readings.setdefault(reading_of(facts, files), {})[name] = facts["strength"]
    for reading, strengths in readings.items():
        contents = reading.discover(provenance.source, () if mask == "/" else (mask,), heroes_of(layer))
        for found in contents.objects:
            if found.name not in strengths:
                continue
            if found.tiles:
                raise OutputError(
                    f"{found.path} has a UDIM set, which cannot be judged; leave it out by --mask."
                )
            look = found.look or found.name
            texture = images.read_image(str(files.object(look) / files.style_texture(look)))
            texture *= np.float32(strengths[found.name])
            yield StylizedObject(found, read.load(contents, found), texture)


def style_layout(root_layer: Path, style_name: str) -> StyleLayout:
    """Where the textures of a style and its run.json lie. Raises OutputError where it is no result."""
    return ResultLayout.of_style_layer(find_style_layer(root_layer)).style(style_name)
