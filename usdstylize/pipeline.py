"""The whole product: read the stage and the style, optimise each object, write layers, verify.

stage.usda ─▶ read.discover ─▶ StageObject ─▶ read.load ─┐
                                                         ├─▶ optimize ─▶ write.Writer ─▶ layers ─▶ verify
concept/ ───▶ styles.load ───▶ StyleSet ─────────────────┘
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from usdstylize import interrupts, mixing
from usdstylize.config import compatibility
from usdstylize.config.options import Options, StageOptions
from usdstylize.errors import InputError, ObjectError, OutputError, ProcessGroupError
from usdstylize.model.objects import Losses, ObjectData, Skipped, StageContents, StageObject, StyleTexture
from usdstylize.model.results import ObjectResult, Observer, RunResult, Silent
from usdstylize.planning import Job, kept_names, plan_run, read_stage
from usdstylize.usd import read, verify, write

if TYPE_CHECKING:
    from usdstylize import distributed

__all__ = ["inspect", "stylize"]

_USD = threading.Lock()
"""Objects are optimised side by side, but read and written one at a time."""

_log = logging.getLogger(__name__)


def inspect(stage_path: str | Path, options: StageOptions | None = None) -> StageContents:
    """What of a stage would be stylised, and what would not and why. Writes nothing.

    Raises StageError where the stage or ``options.ocio`` cannot be read, or ``options.mask`` or
    ``per_instance`` names no such prim.
    """
    with interrupts.cooperative():
        contents = read_stage(Path(stage_path), options or StageOptions())
        try:
            remark = write.result_remark(Path(stage_path))
        except OutputError as error:  # it was a result, and somebody has damaged it
            remark = str(error)
        return replace(contents, skipped=(Skipped("/", remark), *contents.skipped)) if remark else contents


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
    ``options.output``; the source is only read. An object that cannot be done costs only itself:
    the result says why. An interrupt (Ctrl-C) and a disk that fills up keep the objects that are
    done; so does a kill: the same call again does only the rest.

    Raises InputError (StageError, StyleSetError, WeightsError, OutputError, …) where nothing
    can be done at all, before anything is written.

        >>> result = usdstylize.stylize("shot/stage.usda", "concept/gouache")
        >>> result.root_layer.name
        'stage.stylized.usda'
    """
    started = time.perf_counter()
    options, observer = options or Options(), observer or Silent()
    with interrupts.cooperative():
        job = plan_run(Path(stage_path), Path(style_set), options)
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
                fingerprints=job.fingerprints,
                finished=job.finished,
                creator=options.creator,
                usage_terms=options.usage_terms,
            ) as writer,
        ):
            results, interrupted = _stylize_all(job, options, optimizer, writer, observer)
            made = RunResult(job.plan, None, results, time.perf_counter() - started, interrupted)
            made = _committed(made, job, writer)
        made = _verified(made, job.output, options)
    return replace(made, seconds=time.perf_counter() - started)


def _stylize_all(
    job: Job,
    options: Options,
    optimizer: "distributed.Optimizes",
    writer: write.Writer,
    observer: Observer,
) -> tuple[tuple[ObjectResult, ...], bool]:
    """Every object that was begun, in the stage's order, and whether an interrupt ended it early.

    Raises OutputError or ProcessGroupError where no object is done and none can be.
    """
    ended: dict[str, ObjectResult] = {}
    before = set(job.output.existing) if options.resume else set()
    finished = writer.finished

    def end(results: list[ObjectResult]) -> None:
        for result in results:
            ended[result.path] = result
            observer.object_ended(result)

    def work(group: tuple[StageObject, ...]) -> None:
        interrupts.check()
        end(_stylize_group(group, job, optimizer, writer, observer))

    interrupted = False
    try:
        missing = []
        for group in job.contents.groups:
            names = kept_names(group, finished, before)
            end([ObjectResult(obj.path, obj.name, "kept") for obj in group if obj.name in names])
            if rest := tuple(obj for obj in group if obj.name not in names):
                missing.append(rest)
        optimizer.each(missing, work)
    except KeyboardInterrupt:
        interrupted = True
        interrupts.consume()
    except (OutputError, ProcessGroupError) as error:  # it concerns every object, but some may be done
        if not writer.finished:
            raise
        for obj in job.contents.objects:
            if obj.path not in ended:
                ended[obj.path] = ObjectResult(obj.path, obj.name, "failed", reason=str(error))
                observer.object_ended(ended[obj.path])
    return tuple(ended[obj.path] for obj in job.contents.objects if obj.path in ended), interrupted


def _stylize_group(
    group: tuple[StageObject, ...],
    job: Job,
    optimizer: "distributed.Optimizes",
    writer: write.Writer,
    observer: Observer,
) -> list[ObjectResult]:
    """Load each object of the group, optimise them together, write each and its copies; one result for each.

    What is wrong with one costs it and its copies alone. Raises OutputError for what concerns every object: a
    full disk. Where all are copies, what they are copies of is kept from an earlier run.
    """
    failed: dict[str, str] = {}
    data: dict[str, ObjectData] = {}
    rendered = tuple(obj for obj in group if not obj.copy_of)
    for obj in rendered:
        with _failures(obj, failed), _USD:
            resolution = job.settings_of[obj.path].method.graph_resolution
            data[obj.path] = read.load(job.contents, obj, resolution)
    loaded = [obj for obj in rendered if obj.path in data]
    textures = _optimised(loaded, data, job, optimizer, observer, failed) if loaded else {}
    for obj in loaded:
        if obj.path in textures:
            with _failures(obj, failed), _USD:
                strength = job.settings_of[obj.path].method.strength
                writer.write_object(obj, data[obj.path], textures[obj.path], strength=strength)
    originals = _write_copies([obj for obj in group if obj.copy_of], data, job, writer, failed)
    return [
        ObjectResult(obj.path, obj.name, "failed", reason=failed[obj.path])
        if obj.path in failed
        else _done(obj, textures[obj.path], writer)
        if obj.path in textures
        else ObjectResult(
            obj.path,
            obj.name,
            "done",
            remarks=tuple(writer.remarks[obj.name]),
            copy_of=originals[obj.copy_of].path,
        )
        for obj in group
    ]


def _write_copies(
    copies: list[StageObject],
    data: dict[str, ObjectData],
    job: Job,
    writer: write.Writer,
    failed: dict[str, str],
) -> dict[str, StageObject]:
    """Write copies; what they are copies of, by name. Reasons into ``failed``.

    data: by path; an original's is added where it is kept from an earlier run.
    """
    names = {obj.copy_of for obj in copies}
    originals = {obj.name: obj for obj in job.contents.objects if obj.name in names}
    for original in originals.values():
        if original.path not in data and original.path not in failed:
            with _failures(original, failed), _USD:
                resolution = job.settings_of[original.path].method.graph_resolution
                data[original.path] = read.load(job.contents, original, resolution)
    for obj in copies:
        original = originals[obj.copy_of]
        if original.path in failed:
            failed[obj.path] = f"{obj.path} is a copy of {original.path}, which failed; see its reason."
            continue
        with _failures(obj, failed), _USD:
            writer.write_copy(obj, data[original.path])
    return originals


def _optimised(
    loaded: list[StageObject],
    data: dict[str, ObjectData],
    job: Job,
    optimizer: "distributed.Optimizes",
    observer: Observer,
    failed: dict[str, str],
) -> dict[str, StyleTexture]:
    """The style texture of each object by its path; a reason in ``failed`` for each that gets none."""

    def on_iteration(number: int, losses: Losses) -> None:
        for obj in loaded:
            observer.iteration(obj, number, losses)

    seen = [obj for obj in loaded if not obj.stands_in]
    if not seen:
        for obj in loaded:
            failed[obj.path] = f"{obj.path} stands in for {obj.look}, which could not be read."
        return {}
    from usdstylize import optimize

    settings = job.settings_of[seen[0].path]
    textures: dict[str, StyleTexture] = {}
    with _failures(seen[0], failed):
        own = optimizer.restyled(settings.style, settings.method)
        iterations = optimize.iterations_of(settings.method, seen, [data[obj.path] for obj in seen])
        for obj in loaded:
            observer.object_started(obj, iterations)
        optimised = own.optimize(
            seen,
            [data[obj.path] for obj in seen],
            cameras=job.contents.cameras,
            on_iteration=on_iteration,
        )
        by_name = {obj.name: texture for obj, texture in zip(seen, optimised, strict=True)}
        for obj in seen:
            if not by_name[obj.name].coverage:
                del by_name[obj.name]
                turns = ", or give more --iterations" if settings.method.views == "scene" else ""
                failed[obj.path] = (
                    f"{obj.path}: no camera sees any of its texels; check its normals and UVs{turns}."
                )
        wanted = ((obj, obj.look if obj.stands_in else obj.name) for obj in loaded)
        textures = {obj.path: by_name[name] for obj, name in wanted if name in by_name}
    for obj in loaded:
        if obj.path not in textures:
            looked_like = next((other for other in seen if other.name == obj.look), seen[0])
            failed.setdefault(obj.path, failed.get(looked_like.path, failed.get(seen[0].path, "")))
    return textures


@contextmanager
def _failures(obj: StageObject, failed: dict[str, str]) -> Iterator[None]:
    """An object's own troubles end here, as its reason in ``failed``."""
    try:
        yield
    except InputError:
        raise
    except ObjectError as error:
        failed[obj.path] = str(error)
    except MemoryError:
        remedy = "lower --texture-resolution or scale its texture down"
        failed[obj.path] = f"{obj.path} needs more memory than there is; {remedy}."
    except Exception as error:  # our own mistake, which must not cost the objects that are done
        _log.debug("%s failed", obj.path, exc_info=True)
        what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(". ")
        failed[obj.path] = f"{obj.path}: internal error ({what}); please report it with what --verbose shows."


def _done(obj: StageObject, texture: StyleTexture, writer: write.Writer) -> ObjectResult:
    return ObjectResult(
        obj.path,
        obj.name,
        "done",
        seconds=texture.seconds,
        iterations=texture.iterations,
        coverage=texture.coverage,
        framed=texture.framed,
        losses=texture.losses,
        stages=texture.stages,
        remarks=(*writer.remarks[obj.name], *texture.remarks),
    )


def _committed(made: RunResult, job: Job, writer: write.Writer) -> RunResult:
    """With the root layer of what was done, or of what was there already; None where there is neither.

    What was to be made anew and was not stays as an earlier run made it, which is then remarked.
    """
    output = job.output
    if not writer.finished:
        is_there = any(result.status == "kept" for result in made.objects)
        return replace(made, root_layer=output.root_layer if is_there else None)
    staying = [name for name in output.existing if name not in writer.finished]
    mixed = compatibility.remarks(made.plan, output.earlier_run, staying, output.textures_folder)
    new = tuple(remark for remark in mixed if remark not in made.plan.remarks)
    made = replace(made, root_layer=output.root_layer, plan=replace(made.plan, remarks=mixed), remarks=new)
    try:
        with interrupts.postponed():
            writer.commit(made.to_dict(folder=output.textures_folder))
    except OutputError as error:
        raise OutputError(f"{str(error).rstrip('.')}; what is done stays for the next run.") from error
    return made


def _verified(made: RunResult, output: write.OutputPlan, options: Options) -> RunResult:
    """The result once more read from disk: what is wrong with it, and its package where asked for.

    Mixes of what was made anew are written anew before.
    """
    root_layer = made.root_layer
    if root_layer is None:
        return made
    problems: list[str] = []
    package: Path | None = None
    interrupted = made.interrupted
    try:
        interrupts.check()
        remixed = mixing.refresh(root_layer)
        made = replace(made, remarks=(*made.remarks, *remixed))
        interrupts.check()
        problems += map(str, verify.verify(root_layer).failed)
        interrupts.check()
        package = _packed(root_layer, output, problems)
        interrupts.check()
    except KeyboardInterrupt:  # the result is written and stays
        interrupts.consume()
        interrupted = True
    return replace(
        made,
        interrupted=interrupted,
        session_layer=output.style_layer if options.in_session else None,
        package=package,
        problems=tuple(problems),
    )


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
