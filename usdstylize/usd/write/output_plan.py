"""Where a result goes, and whether it may go there. Nothing here writes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxr import Ar, Usd

from usdstylize.errors import OutputError
from usdstylize.model.objects import StageContents
from usdstylize.usd.io.opening import open_stage, quiet
from usdstylize.usd.write.instancing import heroes_of
from usdstylize.usd.write.layout import ResultLayout, StyleLayout
from usdstylize.usd.write.provenance import Provenance, read_layer, read_provenance, read_run
from usdstylize.usd.write.unfinished import Finished, abandoned, is_intact, read_finished

__all__ = ["OutputPlan", "existing_heroes", "existing_styles", "finished_objects", "plan"]


@dataclass(frozen=True)
class OutputPlan:
    """Where one run's result goes, and what is there already."""

    layout: ResultLayout
    style_name: str
    """The variant's name."""
    existing: tuple[str, ...]
    """Names of the objects that hold this style already, with all their textures as they were written."""
    staying: tuple[str, ...]
    """Names of the objects that hold this style and that this run will not make anew."""
    earlier_run: dict[str, Any]
    """The style's run.json; empty where there is none."""
    abandoned: tuple[StyleLayout, ...]
    """Folders of killed runs of this style."""
    replace: bool
    """Whether what an earlier run made may be lost."""
    packed: bool
    """Whether the result is to be one file, too."""
    dial: bool = False
    """Whether the objects get another strength only."""

    @property
    def root_layer(self) -> Path:
        """What an artist opens."""
        return self.layout.root_layer

    @property
    def style_layer(self) -> Path:
        """Opinions only; the root layer's first sublayer."""
        return self.layout.style_layer

    @property
    def style(self) -> StyleLayout:
        """Of this style's files."""
        return self.layout.style(self.style_name)

    @property
    def textures_folder(self) -> Path:
        """Of this style."""
        return self.style.folder

    @property
    def package(self) -> Path | None:
        """The result as one file, where that is asked for."""
        return self.layout.package if self.packed else None


def plan(
    contents: StageContents,
    style_name: str,
    *,
    output: Path | None,
    force: bool,
    resume: bool,
    package: bool = False,
    dial: bool = False,
    strength: float | None = None,
) -> OutputPlan:
    """Where the result of ``contents`` in the style goes.

    output: a folder, or a .usd, .usda or .usdc file for the root layer; beside the stage when
        None.
    force: objects that hold the style already may be replaced.
    resume: objects that hold the style already will be kept by the caller.
    package: the result will be written as a .usdz, too.
    dial: the objects get another strength only.
    strength: what the user asks for, if anything.

    Raises OutputError where that result exists already, cannot be written, or a file that is
    not ours stands in its place.
    """
    layout = ResultLayout.of(contents.path, output)
    root_layer, style_layer, style = layout.root_layer, layout.style_layer, layout.style(style_name)
    sources = {os.path.realpath(path) for path in (str(contents.path), *(f.path for f in contents.sources))}
    for path in (root_layer, style_layer):
        if os.path.realpath(path) in sources:
            raise OutputError(
                f"{path} is a layer of the source stage, which is never written; choose another --output."
            )
    _refuse_a_result(contents.path)
    for needed in (layout.folder, style.folder):
        _check_folder(needed)
    _check_search_paths(contents.path, root_layer)
    found = [_existing(path, contents.path) for path in (root_layer, style_layer)]
    provenance = found[1]
    record = provenance.styles.get(style_name) if provenance else None
    if record is None and _is_foreign(style):
        raise OutputError(
            f"{style.folder} exists and was not written by usdstylize; move it or choose another --output."
        )
    # It is merged at the very end: what cannot be read is better refused now than then.
    earlier_run = read_run(style) if record is not None else {}
    existing = record.objects if record else ()
    again = sorted(set(existing) & {item.name for item in contents.objects})
    if again and not (force or resume):
        ways = "give --force to replace it or --resume to do only what is missing"
        if strength is not None:
            verb = f"usdstylize dial {root_layer} {strength:g}"
            ways = f"`{verb}` changes its strength and bakes it anew, else {ways}"
        raise OutputError(
            f"{root_layer} already holds the style {style_name} for {len(again)} of these objects; {ways}."
        )
    if package:
        _existing(layout.package, contents.path)
    if resume:
        existing = tuple(
            name for name in existing if name not in again or _is_whole(style, name, earlier_run)
        )
    return OutputPlan(
        layout=layout,
        style_name=style_name,
        existing=existing,
        staying=existing if resume else tuple(name for name in existing if name not in again),
        earlier_run=earlier_run,
        abandoned=tuple(abandoned(layout, style_name, dial=dial)),
        replace=force or resume,
        packed=package,
        dial=dial,
    )


def _is_foreign(style: StyleLayout) -> bool:
    """Whether the folder holds something, and no run.json; a run killed as it commits leaves it empty."""
    if style.run.is_file() or not style.folder.exists():
        return False
    return not style.folder.is_dir() or any(style.folder.iterdir())


def _is_whole(style: StyleLayout, name: str, run: dict[str, Any]) -> bool:
    """Whether an object's textures, or those that it is a copy of, are there with their recorded hashes.

    Not where a record lies beside them: a killed run did not get to give their opinions to the style layer.
    """
    if (style.object(name) / style.record(name)).exists():
        return False
    facts = run.get("written", {}).get(name, {})
    original = facts.get("copy_of")
    if original and not _is_whole(style, original, run):
        return False
    return is_intact(style.object(name), facts.get("hashes", {}))


def finished_objects(
    plan: OutputPlan, fingerprints: Mapping[str, str]
) -> tuple[dict[str, Finished], tuple[str, ...]]:
    """What killed runs have finished of the objects in ``fingerprints``.

    By name, what would be made just the same now; and the names of the others, which are made anew.

    Raises OutputError where there are others, and ``plan.replace`` does not say that they may be lost.
    """
    places = [*plan.abandoned, plan.style]  # a run killed while it commits leaves them in either
    found = [
        each for name in fingerprints for each in (read_finished(place, name) for place in places) if each
    ]
    same = {each.name: each for each in found if each.fingerprint == fingerprints[each.name]}
    others = sorted({each.name for each in found} - same.keys())
    if others and not plan.replace:
        what = "an object" if len(others) == 1 else f"{len(others)} objects"
        raise OutputError(
            f"{plan.layout.textures} holds {what} of the style {plan.style_name} that a killed run finished "
            "from other inputs or with other settings; repeat that run to keep them, or give --force to make "
            "all anew."
        )
    return same, tuple(others)


def existing_heroes(stage: Path, output: Path | None) -> tuple[str, ...]:
    """Instances that an existing result of the stage has made none, outermost first."""
    layout = ResultLayout.of(stage, output)
    layer = read_layer(layout.style_layer)
    found = read_provenance(layer, layout.folder) if layer else None
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


def result_remark(stage: Path) -> str:
    """Why a stage cannot be stylised, where it is a result or the package of one; else empty."""
    layer = read_layer(stage)
    found = read_provenance(layer, stage.parent) if layer else None
    if found is None:
        return ""
    # A package may lie anywhere.
    source = found.source if os.path.exists(found.source) else "the stage that it was made from"
    return (
        f"{stage} is itself a result of usdstylize; stylise {source}, "
        "and the new style joins it as a variant."
    )


def _refuse_a_result(stage: Path) -> None:
    remark = result_remark(stage)
    if remark:
        raise OutputError(remark)


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
