"""Where a result goes, and whether it may go there. Nothing here writes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxr import Ar, Usd

from usdstylize.errors import OutputError
from usdstylize.model.objects import StageContents
from usdstylize.usd.io.opening import open_stage, quiet
from usdstylize.usd.write.instancing import heroes_of
from usdstylize.usd.write.provenance import Provenance, read_layer, read_provenance, read_run

__all__ = ["OutputPlan", "existing_heroes", "existing_styles", "plan"]

_LAYER_SUFFIXES = (".usd", ".usda", ".usdc")


@dataclass(frozen=True)
class OutputPlan:
    """The files of one result."""

    root_layer: Path
    """What an artist opens."""
    style_layer: Path
    """Opinions only; the root layer's first sublayer."""
    textures_folder: Path
    """Of this style."""
    package: Path | None
    """The result as one file, where that is asked for."""
    style_name: str
    """The variant's name."""
    existing: tuple[str, ...]
    """Names of the objects that hold this style already."""
    provenance: Provenance | None
    """What the style layer says of itself; None where there is none yet."""
    staying: tuple[str, ...]
    """Names of the objects that hold this style and that this run will not make anew."""
    earlier_run: dict[str, Any]
    """Of the style, as run.json tells it; empty where there is none."""


def plan(
    contents: StageContents,
    style_name: str,
    *,
    output: Path | None,
    force: bool,
    resume: bool,
    package: bool = False,
) -> OutputPlan:
    """Where the result of ``contents`` in the style goes.

    output: a folder, or a .usd, .usda or .usdc file for the root layer; beside the stage when
        None.
    force: objects that hold the style already may be replaced.
    resume: objects that hold the style already will be kept by the caller.
    package: the result will be written as a .usdz, too.

    Raises OutputError where that result exists already, cannot be written, or a file that is
    not ours stands in its place.
    """
    root_layer, stem = _root_layer(contents.path, output)
    folder = root_layer.parent
    style_layer = folder / f"{stem}.style.usda"
    sources = {os.path.realpath(path) for path in (str(contents.path), *(f.path for f in contents.sources))}
    for path in (root_layer, style_layer):
        if os.path.realpath(path) in sources:
            raise OutputError(
                f"{path} is a layer of the source stage, which is never written; choose another --output."
            )
    _check_source_is_no_result(contents.path)
    for needed in (folder, folder / f"{stem}.style" / style_name):
        _check_folder(needed)
    _check_search_paths(contents.path, root_layer)
    found = [_existing(path, contents.path) for path in (root_layer, style_layer)]
    provenance = found[1]
    textures = folder / f"{stem}.style" / style_name
    record = provenance.styles.get(style_name) if provenance else None
    if record is None and textures.exists() and not (textures / "run.json").is_file():
        raise OutputError(
            f"{textures} exists and was not written by usdstylize; move it or choose another --output."
        )
    # It is merged at the very end: what cannot be read is better refused now than then.
    earlier_run = read_run(textures) if record is not None else {}
    existing = record.objects if record else ()
    again = sorted(set(existing) & {item.name for item in contents.objects})
    if again and not (force or resume):
        raise OutputError(
            f"{root_layer} already holds the style {style_name} for {len(again)} of these objects; "
            "give --force to replace it or --resume to do only what is missing."
        )
    packed = root_layer.with_suffix(".usdz") if package else None
    if packed is not None:
        _existing(packed, contents.path)
    staying = existing if resume else tuple(name for name in existing if name not in again)
    return OutputPlan(
        root_layer,
        style_layer,
        textures,
        packed,
        style_name,
        existing,
        provenance,
        staying,
        earlier_run,
    )


def existing_heroes(stage: Path, output: Path | None) -> tuple[str, ...]:
    """Instances that an existing result of the stage has made none, outermost first."""
    root_layer, stem = _root_layer(stage, output)
    layer = read_layer(root_layer.parent / f"{stem}.style.usda")
    found = read_provenance(layer, root_layer.parent) if layer else None
    return heroes_of(layer) if layer and found else ()


def existing_styles(root_layer: Path) -> dict[str, list[str]]:
    """Names of the objects that hold each style of a result. Raises OutputError where it is none."""
    layer = read_layer(root_layer)
    found = read_provenance(layer, root_layer.parent) if layer else None
    if found is None:
        raise OutputError(
            f"{root_layer} is not a result of usdstylize; give the .stylized.usda that a run has written."
        )
    return {name: list(record.objects) for name, record in found.styles.items()}


def _root_layer(stage: Path, output: Path | None) -> tuple[Path, str]:
    """The root layer's path, absolute, and the stem that names the rest."""
    if output is None:
        return Path(os.path.abspath(stage.with_name(f"{stage.stem}.stylized.usda"))), stage.stem
    output = Path(os.path.abspath(output))
    if output.suffix == ".usdz":
        raise OutputError(
            f"{output} cannot be written, a package is never edited; give a folder or a .usda, and --package "
            "for a package beside it."
        )
    if output.suffix in _LAYER_SUFFIXES:
        return output, output.stem.removesuffix(".stylized")
    return output / f"{stage.stem}.stylized.usda", stage.stem


def _check_source_is_no_result(stage: Path) -> None:
    layer = read_layer(stage)
    found = read_provenance(layer, stage.parent) if layer else None
    if found is not None:
        raise OutputError(
            f"{stage} is itself a result of usdstylize; stylise {found.source}, "
            "and the new style joins it as a variant."
        )


def _check_folder(folder: Path) -> None:
    """The nearest folder that exists must be one that can be written into."""
    # os.path, unlike Path, says no where a folder may not be looked into or a name is too long.
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not os.path.isdir(there):
        raise OutputError(f"{there} is a file where a folder is needed; choose another --output.")
    effective = os.access in os.supports_effective_ids
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=effective):
        raise OutputError(
            f"{there} cannot be written into; change its permissions or choose another --output."
        )


def _check_search_paths(stage: Path, root_layer: Path) -> None:
    """What a stage finds by search path in its own folder, a result elsewhere would not find."""
    if os.path.realpath(stage.parent) == os.path.realpath(root_layer.parent):
        return
    with quiet():
        here = open_stage(stage)
        context = Ar.GetResolver().CreateDefaultContextForAsset(str(root_layer))
        there = Usd.Stage.Open(str(stage), context)  # shares its layers with `here`
        known = {str(error) for error in here.GetCompositionErrors()}
        lost = [str(error) for error in there.GetCompositionErrors() if str(error) not in known]
    if lost:
        raise OutputError(
            f"{stage} finds assets by search path from its own folder, which a result in "
            f"{root_layer.parent} would not ({lost[0].rstrip('. ')}); leave --output out, "
            f"or put {stage.parent} into PXR_AR_DEFAULT_SEARCH_PATH."
        )


def _existing(path: Path, stage: Path) -> Provenance | None:
    if not path.exists():
        return None
    layer = read_layer(path)
    found = read_provenance(layer, path.parent) if layer else None
    if found is None:
        raise OutputError(
            f"{path} exists and was not written by usdstylize; move it or choose another --output."
        )
    if os.path.realpath(found.source) != os.path.realpath(stage):
        raise OutputError(f"{path} is the result of another stage, {found.source}; choose another --output.")
    return found
