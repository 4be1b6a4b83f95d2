"""The whole product: read the stage and the style, optimise each object, write layers, verify.

stage.usda ─▶ stage.discover ─▶ StageObject ─▶ stage.load ─┐
                                                           ├─▶ optimize ─▶ author.Writer ─▶ layers
concept/ ───▶ styles.load ────▶ StyleSet ──────────────────┘
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from usdstylize import author, mixing, stage, styles
from usdstylize.errors import InputError, ObjectError, OutputError, StageError, TeamError
from usdstylize.objects import Losses, ObjectData, Skipped, StageContents, StageObject, StyleTexture
from usdstylize.options import Options, preset_name, resolve
from usdstylize.recipes import Recipe, own_settings, prepare
from usdstylize.results import ObjectResult, Observer, Plan, RunResult, Silent, plain

if TYPE_CHECKING:
    from usdstylize import optimize

__all__ = ["inspect", "stylize"]

_USD = threading.Lock()
"""Objects are optimised side by side, but read and written one at a time."""

_log = logging.getLogger(__name__)


def inspect(stage_path: str | Path, options: Options | None = None) -> StageContents:
    """What of a stage would be stylised, and what would not and why. Writes nothing.

    Raises StageError where the stage or ``options.ocio`` cannot be read, or ``options.mask`` or
    ``per_instance`` names no such prim.
    """
    return _read(stage_path, options or Options())


def _read(stage_path: str | Path, options: Options, earlier_heroes: Sequence[str] = ()) -> StageContents:
    return stage.discover(
        Path(stage_path),
        mask=options.mask,
        purposes=options.purposes,
        frame=options.frame,
        refine=options.refine,
        by=options.by,
        share_materials=options.share_materials,
        heroes=options.per_instance,
        earlier_heroes=earlier_heroes,
        ocio=options.ocio,
    )


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

    place = options.output
    if options.in_session and place is None:
        place = author.session_folder(Path(stage_path))
    contents = _read(stage_path, options, author.existing_heroes(Path(stage_path), place))
    if not contents.objects:
        raise StageError(_nothing_to_do(contents))

    from usdstylize import optimize, render  # torch takes seconds to import; `inspect` does without

    device = optimize.choose_device(options.device)
    method = resolve(options, cuda=device.startswith("cuda"))
    render.check_visibility(method.visibility, device)
    style = styles.load(
        Path(style_set),
        primary=options.primary_image,
        palette=options.palette,
        clusters=method.palette_clusters,
        seed=method.seed,
    )
    everyone = Recipe(style, method)
    contents, recipes = prepare(contents, everyone, options, stage.read_bytes)
    if not contents.objects:
        raise StageError(_nothing_to_do(contents))
    output = author.plan(
        contents,
        style.name,
        output=place,
        # A look in the cache is there to be looked at again with other settings.
        force=options.force or (options.in_session and not options.resume),
        resume=options.resume,
        package=options.package,
    )
    spread = optimize.choose_spread(options, method, device, len(contents.groups))
    plan = _describe(contents, output, everyone, recipes, options, device, str(spread))
    observer.planned(plan)
    if dry_run:
        return RunResult(plan, None, (), time.perf_counter() - started)

    ended: dict[str, ObjectResult] = {}
    interrupted = False
    with (
        optimize.opened(spread, style, method, device, options) as optimizer,
        author.Writer(
            output,
            contents,
            strength=method.strength,
            network=options.network,
            block_contexts=options.block_contexts,
        ) as writer,
    ):

        def work(group: tuple[StageObject, ...]) -> None:
            if options.resume and all(obj.name in output.existing for obj in group):
                results = [ObjectResult(obj.path, obj.name, "kept") for obj in group]
            else:
                results = _stylize_group(group, contents, optimizer, recipes, writer, observer)
            for result in results:
                ended[result.path] = result
                observer.object_ended(result)

        try:
            optimizer.each(contents.groups, work)
        except KeyboardInterrupt:
            interrupted = True
        except (OutputError, TeamError) as error:  # it concerns every object, but hours of work may be done
            if not any(result.status == "done" for result in ended.values()):
                raise
            for obj in contents.objects:
                if obj.path not in ended:
                    ended[obj.path] = ObjectResult(obj.path, obj.name, "failed", reason=str(error))
                    observer.object_ended(ended[obj.path])
        results = [ended[obj.path] for obj in contents.objects if obj.path in ended]
        # Where all were kept, the result is the one that is there already.
        root_layer = output.root_layer if any(result.status == "kept" for result in results) else None
        if any(result.status == "done" for result in results):
            run = RunResult(
                plan, output.root_layer, tuple(results), time.perf_counter() - started, interrupted
            )
            root_layer = writer.commit(run.to_dict(folder=output.textures_folder))
    problems: list[str] = []
    package: Path | None = None
    if root_layer is not None:
        try:
            problems += map(str, author.verify(root_layer).failed)
            package = _packed(root_layer, output, problems)
        except KeyboardInterrupt:  # the result is written and stays
            interrupted = True
    return RunResult(
        plan,
        root_layer,
        tuple(results),
        time.perf_counter() - started,
        interrupted,
        session_layer=output.style_layer if root_layer is not None and options.in_session else None,
        package=package,
        problems=tuple(problems),
    )


def _describe(
    contents: StageContents,
    output: author.OutputPlan,
    everyone: Recipe,
    recipes: dict[str, Recipe],
    options: Options,
    device: str,
    spread: str,
) -> Plan:
    """What will be done, with every setting resolved. Raises OutputError where styles would be mixed."""
    style, method = everyone.style, everyone.method
    own = {path: own_settings(recipe, everyone) for path, recipe in recipes.items()}
    plan = Plan(
        stage=contents.path,
        root_layer=output.root_layer,
        style=style.name,
        style_images=tuple(image.path for image in style.images),
        style_hashes=tuple(image.sha256 for image in style.images),
        palette=styles.hex_colors(style.palette),
        preset=preset_name(options, cuda=device.startswith("cuda")),
        device=device,
        spread=spread,
        settings={
            **plain(vars(method)),
            "by": options.by,
            "share_materials": options.share_materials,
            "frame": contents.frame,
            "posed": contents.posed,
            "refine": contents.refine,
            "network": options.network,
            "block_contexts": list(options.block_contexts),
        },
        own_settings={path: differing for path, differing in own.items() if differing},
        objects=contents.objects,
        skipped=contents.skipped,
    )
    mixed = mixing.remarks(plan, output.earlier_run, output.staying, output.textures_folder)
    return replace(plan, remarks=mixed)


def _packed(root_layer: Path, output: author.OutputPlan, problems: list[str]) -> Path | None:
    """The result as one file, where that was asked for; what is wrong with it joins ``problems``."""
    if output.package is None:
        return None
    try:
        problems += map(str, author.write_package(root_layer, output.package))
    except OutputError as error:  # the result itself is written and whole
        problems.append(str(error))
        return None
    return output.package


def _stylize_group(
    group: tuple[StageObject, ...],
    contents: StageContents,
    optimizer: "optimize.Optimizes",
    recipes: dict[str, Recipe],
    writer: author.Writer,
    observer: Observer,
) -> list[ObjectResult]:
    """Load each object of a group, optimise them together, write each: one result for each.

    Raises OutputError for what concerns every object: a full disk, a lost folder.
    """
    failed: dict[str, str] = {}
    data: dict[str, ObjectData] = {}
    for obj in group:
        observer.object_started(obj, optimizer.method.iterations)
        with _failures(obj, failed), _USD:
            data[obj.path] = stage.load(contents, obj)
    loaded = [obj for obj in group if obj.path in data]
    seen = [obj for obj in loaded if not obj.stands_in]
    textures: dict[str, StyleTexture] = {}
    if seen:

        def told(number: int, losses: Losses) -> None:
            for obj in loaded:
                observer.iteration(obj, number, losses)

        with _failures(seen[0], failed):
            restyled = optimizer.restyled(recipes[group[0].path].style, recipes[group[0].path].method)
            optimised = restyled.optimize(seen, [data[obj.path] for obj in seen], on_iteration=told)
            by_name = {obj.name: texture for obj, texture in zip(seen, optimised, strict=True)}
            found = ((obj, obj.look if obj.stands_in else obj.name) for obj in loaded)
            textures = {obj.path: by_name[name] for obj, name in found if name in by_name}
    for obj in loaded:
        if obj.path in textures:
            with _failures(obj, failed), _USD:
                strength = recipes[obj.path].method.strength
                writer.write_object(obj, data[obj.path], textures[obj.path], strength=strength)
    together = failed.get(seen[0].path, "") if seen else ""
    for obj in loaded:
        if obj.stands_in and not seen:
            failed.setdefault(obj.path, f"{obj.path} stands in for {obj.look}, which could not be read.")
    return [
        _done(obj, textures[obj.path], writer)
        if obj.path in textures and obj.path not in failed
        else ObjectResult(obj.path, obj.name, "failed", reason=failed.get(obj.path, together))
        for obj in group
    ]


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


def _done(obj: StageObject, texture: StyleTexture, writer: author.Writer) -> ObjectResult:
    return ObjectResult(
        obj.path,
        obj.name,
        "done",
        seconds=texture.seconds,
        iterations=texture.iterations,
        coverage=texture.coverage,
        losses=texture.losses,
        stages=texture.stages,
        remarks=(*writer.remarks[obj.name], *texture.remarks),
    )


def _nothing_to_do(contents: StageContents) -> str:
    """Why no object is left, naming the first reasons."""
    first: tuple[Skipped, ...] = contents.skipped[:3]
    reasons = " ".join(f"{s.path}: {s.reason}" for s in first) or "it holds no mesh."
    return f"{contents.path.name} holds nothing that can be stylised: {reasons}"
