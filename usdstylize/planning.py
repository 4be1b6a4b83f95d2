"""All that is decided before anything is computed or written: objects, style, settings, output, device."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usdstylize import interrupts, styles
from usdstylize.config import compatibility
from usdstylize.config.method import Method
from usdstylize.config.options import LookOptions, Options, StageOptions
from usdstylize.config.overrides import RunSettings, own_settings, prepare
from usdstylize.config.presets import preset_name, resolve
from usdstylize.encoders.registry import find
from usdstylize.errors import StageError
from usdstylize.model.objects import Skipped, StageContents, StageObject
from usdstylize.model.results import Plan, plain
from usdstylize.usd import read, write
from usdstylize.usd.io import assets

if TYPE_CHECKING:
    from usdstylize import distributed

__all__ = ["Job", "kept_names", "plan_run", "read_stage"]


@dataclass(frozen=True, eq=False)
class Job:
    """One run, ready to begin."""

    contents: StageContents
    defaults: RunSettings
    settings_of: dict[str, RunSettings]
    """By prim path, with what the stage asks for each object."""
    output: write.OutputPlan
    device: str
    parallelism: "distributed.Parallelism"
    plan: Plan
    fingerprints: dict[str, str]
    """By object name, of all that decides the object's result."""
    finished: dict[str, write.Finished]
    """By object name, what a killed run has finished and this one would make the same."""


def read_stage(stage: Path, options: StageOptions, earlier_heroes: Sequence[str] = ()) -> StageContents:
    """What the stage holds for us. Raises StageError as `pipeline.inspect`."""
    contents = read.discover(stage, options, earlier_heroes=earlier_heroes)
    interrupts.check()
    return contents


def plan_run(stage: Path, style_set: Path, options: Options) -> Job:
    """Read the stage and the style, settle every object's settings, plan the output; writes nothing.

    Raises InputError where nothing can be done at all.
    """
    place = options.output
    if options.in_session and place is None:
        place = write.session_folder(stage)
    contents = read_stage(stage, options, write.existing_heroes(stage, place))
    if not contents.objects:
        raise StageError(_nothing_to_do(contents))

    # PyTorch takes seconds to import; `inspect` does without.
    from usdstylize import distributed, encoders, optimize, render

    device = optimize.choose_device(options.device)
    method = resolve(options, cuda=device.startswith("cuda"), stage=contents.pattern_width)
    weights_hash = encoders.check_encoder(method.encoder, options.weights)
    method = _balanced(method, options, device)
    render.check_visibility(method.visibility, device)
    style = styles.load(
        style_set,
        primary=options.primary_image,
        palette=options.palette,
        weights=options.style_weights,
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
        strength=options.strength,
    )
    parallelism = distributed.choose_parallelism(options, method, device, len(contents.groups))
    machine = device, str(parallelism)
    plan = _describe(contents, output, defaults, settings_of, options, *machine, weights_hash)
    fingerprints = compatibility.fingerprints(plan, contents)
    finished, dropped = write.finished_objects(output, fingerprints)
    before = frozenset(output.existing) if options.resume else frozenset[str]()
    kept = frozenset[str]().union(*(kept_names(group, finished.keys(), before) for group in contents.groups))
    finished = {name: each for name, each in finished.items() if name in kept}
    plan = replace(plan, finished=tuple(sorted(finished)), dropped=dropped)
    interrupts.check()
    return Job(contents, defaults, settings_of, output, device, parallelism, plan, fingerprints, finished)


def kept_names(group: Sequence[StageObject], finished: Set[str], before: Set[str]) -> frozenset[str]:
    """Names of a group's objects that need not be made.

    Objects of a group are optimised together: either a killed run has finished all, or an earlier one has
    made all, or the group is made anew. finished, before: names of what the one and the other have done.
    """
    originals = {obj.name for obj in group if not obj.copy_of}
    if originals <= finished or originals <= before:
        return frozenset(obj.name for obj in group) & (finished | before)
    # Another run may have made a copy without its original, and given it files of its own.
    return frozenset(obj.name for obj in group if obj.copy_of) & before


def _balanced(method: Method, options: Options, device: str) -> Method:
    """With the λs of style and content as they are measured on networks for which that is to be done.

    What the user gives stays. Raises WeightsError where the networks have no weights.
    """
    literal = preset_name(options, cuda=device.startswith("cuda")) == "paper" or method.style_loss != "nnfm"
    if literal or not find(method.encoder).measured:
        return method
    from usdstylize import losses

    nnfm, content = losses.measure(method.encoder, method.content_encoder, options.weights)
    return replace(
        method,
        nnfm_weight=nnfm if options.nnfm_weight is None else options.nnfm_weight,
        content_weight=content if options.content_weight is None else options.content_weight,
    )


def _describe(
    contents: StageContents,
    output: write.OutputPlan,
    defaults: RunSettings,
    settings_of: dict[str, RunSettings],
    options: Options,
    device: str,
    parallelism: str,
    weights_hash: str | None,
) -> Plan:
    """What will be done, with every setting resolved. Raises OutputError where styles would be mixed."""
    style, method = defaults.style, defaults.method
    own = {path: own_settings(own, defaults) for path, own in settings_of.items()}
    if options.mask_image is None and options.mask_primvar is None:
        for obj in contents.objects:
            if obj.settings.mask_image is not None:
                own[obj.path] |= _mask_image(obj.settings.mask_image, contents)
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
            "style_weights": list(style.weights),
            **({"weights_sha256": weights_hash} if weights_hash else {}),
            "by": options.by,
            "share_materials": options.share_materials,
            "unique": options.unique,
            "frame": contents.frame,
            "posed": contents.posed,
            "refine": contents.refine,
            "network": options.network,
            "block_contexts": list(options.block_contexts),
            "ocio": contents.ocio or None,
            **_mask_of_run(contents, options),
        },
        pattern_width_reason=_pattern_width_reason(method.pattern_width, contents, options),
        own_settings={path: differing for path, differing in own.items() if differing},
        objects=contents.objects,
        skipped=contents.skipped,
    )
    before = output.earlier_run, output.staying, output.textures_folder
    compatibility.refuse_another_folder(plan, *before)
    return replace(plan, remarks=compatibility.remarks(plan, *before))


def _mask_of_run(contents: StageContents, options: StageOptions) -> dict[str, Any]:
    image = None if options.mask_image is None else contents.objects[0].settings.mask_image
    found = {"mask_image": None} if image is None else _mask_image(image, contents)
    return {**found, "mask_primvar": options.mask_primvar}


def _mask_image(image: Path, contents: StageContents) -> dict[str, Any]:
    """The name of a mask, and hexadecimal sha256 of its files, by which a repaint is noticed."""
    before, _, after = str(image).partition("<UDIM>")
    files = [s.sha256 for s in contents.sources if s.path.startswith(before) and s.path.endswith(after)]
    return {"mask_image": image.name, "mask_sha256": files}


def _pattern_width_reason(metres: float, contents: StageContents, options: LookOptions) -> str:
    if not metres:
        return ""
    return contents.pattern_width.reason if options.pattern_width is None else "as --pattern-width asks"


def _nothing_to_do(contents: StageContents) -> str:
    """Why no object is left, naming the first reasons."""
    first: tuple[Skipped, ...] = contents.skipped[:3]
    reasons = " ".join(f"{s.path}: {s.reason}" for s in first) or "it holds no mesh."
    return f"{contents.path.name} holds nothing that can be stylised: {reasons}"
