"""Whether a run fits beside an earlier one of the same style, whose objects stay in the result."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from usdstylize.errors import OutputError
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import StageContents, StageObject
from usdstylize.model.results import Plan, in_words, plain
from usdstylize.version import __version__

__all__ = ["fingerprints", "refuse_another_folder", "remarks"]

_OF_NO_EFFECT = frozenset({"objects_at_once"})


def remarks(plan: Plan, earlier: Mapping[str, Any], staying: Sequence[str], folder: Path) -> tuple[str, ...]:
    """One sentence that lists how this run differs from the earlier one, where objects of that one stay.

    Sentences of the earlier run come first. Empty where nothing stays or nothing differs.
    earlier: the earlier run's run.json, empty where there is none. staying: names of the objects
    that stay. folder: the folder of run.json, to which its paths are relative.
    """
    before = earlier.get("plan")
    if not staying or not isinstance(before, dict):
        return ()
    # The earlier run may itself have left objects with other settings.
    sentences = [text for text in before.get("remarks", ()) if isinstance(text, str)]
    color_spaces = _other_color_spaces(plan, earlier.get("written", {}), staying, folder)
    dialled = _other_strengths(plan, before, earlier.get("written", {}), staying)
    different = ", ".join((*_differences(plan, before, folder), *color_spaces, *dialled))
    if different:
        one = len(staying) == 1
        stay = (
            "1 object stays as an earlier run made it"
            if one
            else (f"{len(staying)} objects stay as an earlier run made them")
        )
        sentences.append(f"{stay}, with other settings ({different}); --force makes all anew.")
    return tuple(dict.fromkeys(sentences))


def fingerprints(plan: Plan, contents: StageContents) -> dict[str, str]:
    """By object name, a hexadecimal sha256 of all that decides the object's result.

    That is every file of the stage, the style, every setting that has an effect, the device, our version,
    what was found of the objects that are rendered together, and where all this lies as seen from the
    result: equal fingerprints mean equal results.
    """
    folder = plan.root_layer.parent
    settings = {name: value for name, value in plan.settings.items() if name not in _OF_NO_EFFECT}
    run = {
        "settings": plain(settings),
        "style": (plan.style, plan.style_hashes, plan.palette),
        "device": plan.device,
        "version": __version__,
        "sources": sorted((plain(Path(s.path), folder), s.sha256) for s in contents.sources),
        "heroes": contents.heroes,
    }
    found = {}
    for group in contents.groups:
        rendered = [obj for obj in group if not obj.copy_of]
        for obj in group:
            # Copies are not rendered: there may be more or fewer of them.
            together = [_decisive(each, plan) for each in (*rendered, *([obj] if obj.copy_of else []))]
            text = json.dumps([together, run], sort_keys=True, default=str)
            found[obj.name] = hashlib.sha256(f"{obj.name} {text}".encode()).hexdigest()
    return found


def _decisive(obj: StageObject, plan: Plan) -> dict[str, Any]:
    """What of an object decides its result: no notes, of its settings what the plan makes of them."""
    facts = {name: value for name, value in vars(obj).items() if name not in ("notes", "settings")}
    own = _comparable(plan.own_settings.get(obj.path))
    mask = {"mask_image": obj.settings.mask_image, "mask_primvar": obj.settings.mask_primvar}
    return {**plain(facts | mask, plan.root_layer.parent), "own_settings": own}


def refuse_another_folder(
    plan: Plan, earlier: Mapping[str, Any], staying: Sequence[str], folder: Path
) -> None:
    """Raises OutputError where objects stay that were made from another style folder of the same name.

    It is the same folder where its path is, or the bytes of any of its images.
    """
    before = earlier.get("plan")
    if not staying or not isinstance(before, dict):
        return
    images, hashes = before.get("style_images"), before.get("style_hashes")
    if not images or not hashes or set(hashes) & set(plan.style_hashes):
        return
    there, here = (folder / images[0]).parent, plan.style_images[0].parent
    if os.path.realpath(there) != os.path.realpath(here):
        raise OutputError(
            f"{plan.root_layer} holds a style {plan.style} already, made from {os.path.normpath(there)}, and "
            f"{here} gives the same name; rename one of the folders."
        )


def _differences(plan: Plan, before: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Each setting that differs, with both values, and each input that does. before: the earlier plan."""
    settings = before.get("settings", {})
    if settings.get("ocio"):
        settings = {**settings, "ocio": os.path.normpath(folder / settings["ocio"])}
    for name, value in plan.settings.items():
        if name in settings and name not in _OF_NO_EFFECT and settings[name] != plain(value):
            if name == "mask_sha256":
                yield "what is painted in the mask"
                continue
            yield f"{name.replace('_', ' ')} {in_words(name, settings[name])} (now {in_words(name, value)})"
    if before.get("device", plan.device) != plan.device:
        yield f"device {before['device']} (now {plan.device})"
    if before.get("style_hashes") != list(plan.style_hashes):
        yield "style images"
    elif before.get("palette") != list(plan.palette):
        yield "palette"
    own = before.get("own_settings", {})
    for path in sorted({*own, *plan.own_settings}):
        if _comparable(own.get(path)) != _comparable(plan.own_settings.get(path)):
            yield f"what the stage asks for {path}"


def _other_color_spaces(
    plan: Plan, written: Mapping[str, Any], staying: Sequence[str], folder: Path
) -> Iterator[str]:
    """Each object that stays and whose texture would be read in another colour space now, by a new $OCIO."""
    for obj in plan.objects:
        if obj.name in staying and obj.name in written and isinstance(obj.base, TextureFile):
            space = obj.base.color_space
            now = plain(asdict(space), folder) if space else None
            if written[obj.name].get("base", {}).get("color_space") != now:
                yield f"the colour space of {obj.path}"


def _other_strengths(
    plan: Plan, before: Mapping[str, Any], written: Mapping[str, Any], staying: Sequence[str]
) -> Iterator[str]:
    """Each object that stays and was dialled by itself since, to another strength than this run's."""
    run = before.get("settings", {}).get("strength")
    for obj in plan.objects:
        own = before.get("own_settings", {}).get(obj.path, {}).get("strength", run)
        stands = written.get(obj.name, {}).get("strength", own)
        now = plan.own_settings.get(obj.path, {}).get("strength", plan.settings.get("strength"))
        if obj.name in staying and stands not in (own, now):
            yield f"strength {stands:g} of {obj.path} (now {now:g})"


def _comparable(own: Mapping[str, Any] | None) -> dict[str, Any]:
    """An object's own settings without the paths of its style images, of which the hashes count."""
    return {name: plain(value) for name, value in (own or {}).items() if name != "style_images"}
