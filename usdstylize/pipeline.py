"""The whole product: read the stage and the style, optimise each object, write layers, verify.

stage.usda ─▶ stage.discover ─▶ StageObject ─▶ stage.load ─┐
                                                           ├─▶ optimize ─▶ author.Writer ─▶ layers
concept/ ───▶ styles.load ────▶ StyleSet ──────────────────┘
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from usdstylize import styles
from usdstylize.config import compatibility
from usdstylize.config.options import Options, StageOptions
from usdstylize.config.overrides import RunSettings, own_settings, prepare
from usdstylize.config.presets import preset_name, resolve
from usdstylize.errors import OutputError, ProcessGroupError, StageError
from usdstylize.grouped import stylize_group
from usdstylize.model.objects import Skipped, StageContents, StageObject
from usdstylize.model.results import ObjectResult, Observer, Plan, RunResult, Silent, plain
from usdstylize.usd import read, verify, write
from usdstylize.usd.io import assets

if TYPE_CHECKING:
    from usdstylize import distributed

__all__ = ["inspect", "stylize"]


def inspect(stage_path: str | Path, options: StageOptions | None = None) -> StageContents:
    """What of a stage would be stylised, and what would not and why. Writes nothing.

    Raises StageError where the stage or ``options.ocio`` cannot be read, or ``options.mask`` or
    ``per_instance`` names no such prim.
    """
    return read.discover(Path(stage_path), options or StageOptions())


def stylize(
    stage_path: str | Path,
    style_set: str | Path,
    options: Options | None = None,
    *,
    observer: Observer | None = None,
    dry_run: bool = False,
) -> RunResult:
    """Stylise every textured object of a stage by a folder of concept art.

    Writes ``<stage>.stylized.usda`` and its style layer and textures beside the stage, or at
    ``options.output``; the source is only read. An object that cannot be done costs only
    itself and is told in the result. An interrupt (Ctrl-C) and a disk that fills up keep the
    objects that are done.

    Raises InputError (StageError, StyleSetError, WeightsError, OutputError, …) where nothing
    can be done at all, before anything is written.

    >>> result = usdstylize.stylize("shot/stage.usda", "concept/gouache")
    >>> result.root_layer.name
    'stage.stylized.usda'
    """
    started = time.perf_counter()
    options, observer = options or Options(), observer or Silent()
    job = _prepare(Path(stage_path), Path(style_set), options)
    observer.planned(job.plan)
    if dry_run:
        return RunResult(job.plan, None, (), time.perf_counter() - started)

    from usdstylize import distributed

    style, method = job.defaults.style, job.defaults.method
    with (
        distributed.opened(job.parallelism, style, method, job.device, options) as optimizer,
        write.Writer(
            job.output,
            job.contents,
            strength=method.strength,
            network=options.network,
            block_contexts=options.block_contexts,
        ) as writer,
    ):
        results, interrupted = _stylize_all(job, options, optimizer, writer, observer)
        made = RunResult(job.plan, None, results, time.perf_counter() - started, interrupted)
        made = _committed(made, job.output, writer)
    return replace(_verified(made, job.output, options), seconds=time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class _Job:
    """All that is known before anything is computed or written."""

    contents: StageContents
    defaults: RunSettings
    settings_of: dict[str, RunSettings]
    output: write.OutputPlan
    device: str
    parallelism: "distributed.Parallelism"
    plan: Plan


def _prepare(stage_path: Path, style_set: Path, options: Options) -> _Job:
    """Read the stage and the style, settle every object's settings, plan the output; write nothing.

    Raises InputError where nothing can be done at all.
    """
    place = options.output
    if options.in_session and place is None:
        place = write.session_folder(stage_path)
    earlier_heroes = write.existing_heroes(stage_path, place)
    contents = read.discover(stage_path, options, earlier_heroes=earlier_heroes)
    if not contents.objects:
        raise StageError(_nothing_to_do(contents))

    from usdstylize import (  # torch takes seconds to import; `inspect` does without
        distributed,
        optimize,
        render,
    )

    device = optimize.choose_device(options.device)
    method = resolve(options, cuda=device.startswith("cuda"))
    render.check_visibility(method.visibility, device)
    style = styles.load(
        style_set,
        primary=options.primary_image,
        palette=options.palette,
        clusters=method.palette_clusters,
        seed=method.seed,
    )
    defaults = RunSettings(style, method)
    contents, settings_of = prepare(contents, defaults, options, assets.read_bytes)
    if not contents.objects:
        raise StageError(_nothing_to_do(contents))
    output = write.plan(
        contents,
        style.name,
        output=place,
        # A look in the cache is there to be looked at again with other settings.
        force=options.force or (options.in_session and not options.resume),
        resume=options.resume,
        package=options.package,
    )
    parallelism = distributed.choose_parallelism(options, method, device, len(contents.groups))
    plan = _describe(contents, output, defaults, settings_of, options, device, str(parallelism))
    return _Job(contents, defaults, settings_of, output, device, parallelism, plan)


def _stylize_all(
    job: _Job,
    options: Options,
    optimizer: "distributed.Optimizes",
    writer: write.Writer,
    observer: Observer,
) -> tuple[tuple[ObjectResult, ...], bool]:
    """Every object that was begun, in the stage's order, and whether an interrupt ended it early.

    Raises OutputError or ProcessGroupError where no object is done and none can be.
    """
    ended: dict[str, ObjectResult] = {}

    def work(group: tuple[StageObject, ...]) -> None:
        if options.resume and all(obj.name in job.output.existing for obj in group):
            results = [ObjectResult(obj.path, obj.name, "kept") for obj in group]
        else:
            results = stylize_group(group, job.contents, optimizer, job.settings_of, writer, observer)
        for result in results:
            ended[result.path] = result
            observer.object_ended(result)

    interrupted = False
    try:
        optimizer.each(job.contents.groups, work)
    except KeyboardInterrupt:
        interrupted = True
    except (
        OutputError,
        ProcessGroupError,
    ) as error:  # it concerns every object, but hours of work may be done
        if not any(result.status == "done" for result in ended.values()):
            raise
        for obj in job.contents.objects:
            if obj.path not in ended:
                ended[obj.path] = ObjectResult(obj.path, obj.name, "failed", reason=str(error))
                observer.object_ended(ended[obj.path])
    return tuple(ended[obj.path] for obj in job.contents.objects if obj.path in ended), interrupted


def _committed(made: RunResult, output: write.OutputPlan, writer: write.Writer) -> RunResult:
    """With the root layer of what was done, or of what was there already; None where there is neither.

    What was to be made anew and was not stays as an earlier run made it, which is then remarked.
    """
    statuses = {result.status for result in made.objects}
    if "done" in statuses:
        done = {result.name for result in made.objects if result.status == "done"}
        staying = [name for name in output.existing if name not in done]
        mixed = compatibility.remarks(made.plan, output.earlier_run, staying, output.textures_folder)
        new = tuple(remark for remark in mixed if remark not in made.plan.remarks)
        made = replace(
            made, root_layer=output.root_layer, plan=replace(made.plan, remarks=mixed), remarks=new
        )
        writer.commit(made.to_dict(folder=output.textures_folder))
        return made
    return replace(made, root_layer=output.root_layer if "kept" in statuses else None)


def _verified(made: RunResult, output: write.OutputPlan, options: Options) -> RunResult:
    """The result once more read from disk: what is wrong with it, and its package where asked for."""
    if made.root_layer is None:
        return made
    problems: list[str] = []
    package: Path | None = None
    interrupted = made.interrupted
    try:
        problems += map(str, verify.verify(made.root_layer).failed)
        package = _packed(made.root_layer, output, problems)
    except KeyboardInterrupt:  # the result is written and stays
        interrupted = True
    return replace(
        made,
        interrupted=interrupted,
        session_layer=output.style_layer if options.in_session else None,
        package=package,
        problems=tuple(problems),
    )


def _describe(
    contents: StageContents,
    output: write.OutputPlan,
    defaults: RunSettings,
    settings_of: dict[str, RunSettings],
    options: Options,
    device: str,
    parallelism: str,
) -> Plan:
    """What will be done, with every setting resolved. Raises OutputError where styles would be mixed."""
    style, method = defaults.style, defaults.method
    own = {path: own_settings(own, defaults) for path, own in settings_of.items()}
    plan = Plan(
        stage=contents.path,
        root_layer=output.root_layer,
        style=style.name,
        style_images=tuple(image.path for image in style.images),
        style_hashes=tuple(image.sha256 for image in style.images),
        palette=styles.hex_colors(style.palette),
        preset=preset_name(options, cuda=device.startswith("cuda")),
        device=device,
        parallelism=parallelism,
        settings={
            **plain(vars(method)),
            "by": options.by,
            "share_materials": options.share_materials,
            "frame": contents.frame,
            "posed": contents.posed,
            "refine": contents.refine,
            "network": options.network,
            "block_contexts": list(options.block_contexts),
            "ocio": contents.ocio or None,
        },
        own_settings={path: differing for path, differing in own.items() if differing},
        objects=contents.objects,
        skipped=contents.skipped,
    )
    before = output.earlier_run, output.staying, output.textures_folder
    compatibility.refuse_another_folder(plan, *before)
    return replace(plan, remarks=compatibility.remarks(plan, *before))


def _packed(root_layer: Path, output: write.OutputPlan, problems: list[str]) -> Path | None:
    """The result as one file, where that was asked for; what is wrong with it joins ``problems``."""
    if output.package is None:
        return None
    try:
        problems += map(str, write.write_package(root_layer, output.package))
    except OutputError as error:  # the result itself is written and whole
        problems.append(str(error))
        return None
    return output.package


def _nothing_to_do(contents: StageContents) -> str:
    """Why no object is left, naming the first reasons."""
    first: tuple[Skipped, ...] = contents.skipped[:3]
    reasons = " ".join(f"{s.path}: {s.reason}" for s in first) or "it holds no mesh."
    return f"{contents.path.name} holds nothing that can be stylised: {reasons}"
