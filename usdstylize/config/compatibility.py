"""Objects of one style, made by several runs: what differs between those runs is told."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from usdstylize.errors import OutputError
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import StageContents
from usdstylize.model.results import Plan, in_words, plain
from usdstylize.version import __version__

__all__ = ["fingerprints", "refuse_another_folder", "remarks"]

_OF_NO_EFFECT = frozenset({"objects_at_once"})


def remarks(plan: Plan, earlier: Mapping[str, Any], staying: Sequence[str], folder: Path) -> tuple[str, ...]:
    """A sentence where objects of an earlier run stay beside what this one will make otherwise.

    earlier: that run's run.json, empty where there is none. staying: names of the objects that
    stay. folder: where run.json lies, which its paths are relative to.
    """
    before = earlier.get("plan")
    if not staying or not isinstance(before, dict):
        return ()
    # What was mixed before is still mixed.
    said = [text for text in before.get("remarks", ()) if isinstance(text, str)]
    spaces = _other_spaces(plan, earlier.get("written", {}), staying, folder)
    different = ", ".join((*_differences(plan, before, folder), *spaces))
    if different:
        one = len(staying) == 1
        stay = (
            "1 object stays as an earlier run made it"
            if one
            else (f"{len(staying)} objects stay as an earlier run made them")
        )
        said.append(f"{stay}, with other settings ({different}); --force makes all anew.")
    return tuple(dict.fromkeys(said))


def fingerprints(plan: Plan, contents: StageContents) -> dict[str, str]:
    """By object name, a hexadecimal sha256 of all that decides the object's result.

    That is every file of the stage, the style, every setting that has an effect, the device, our version,
    and the objects that stand before the cameras together: equal fingerprints mean equal results.
    """
    settings = {name: value for name, value in plan.settings.items() if name not in _OF_NO_EFFECT}
    run = {
        "settings": plain(settings),
        "style": (plan.style, plan.style_hashes, plan.palette),
        "device": plan.device,
        "version": __version__,
        "sources": sorted(source.sha256 for source in contents.sources),
    }
    found = {}
    for group in contents.groups:
        together = [(obj.path, _asked(plan.own_settings.get(obj.path))) for obj in group]
        for obj in group:
            text = json.dumps([obj.name, together, run], sort_keys=True, default=str)
            found[obj.name] = hashlib.sha256(text.encode()).hexdigest()
    return found


def refuse_another_folder(
    plan: Plan, earlier: Mapping[str, Any], staying: Sequence[str], folder: Path
) -> None:
    """Raises OutputError where objects stay whose style was another folder of the same name."""
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
    settings = before.get("settings", {})
    if settings.get("ocio"):
        settings = {**settings, "ocio": os.path.normpath(folder / settings["ocio"])}
    for name, value in plan.settings.items():
        if name in settings and name not in _OF_NO_EFFECT and settings[name] != plain(value):
            yield f"{name.replace('_', ' ')} {in_words(settings[name])} (now {in_words(value)})"
    if before.get("device", plan.device) != plan.device:
        yield f"device {before['device']} (now {plan.device})"
    if before.get("style_hashes") != list(plan.style_hashes):
        yield "style images"
    elif before.get("palette") != list(plan.palette):
        yield "palette"
    own = before.get("own_settings", {})
    for path in sorted({*own, *plan.own_settings}):
        if _asked(own.get(path)) != _asked(plan.own_settings.get(path)):
            yield f"what the stage asks for {path}"


def _other_spaces(
    plan: Plan, written: Mapping[str, Any], staying: Sequence[str], folder: Path
) -> Iterator[str]:
    """Objects that stay and whose texture was read by another OCIO configuration: $OCIO may say which."""
    for obj in plan.objects:
        if obj.name in staying and obj.name in written and isinstance(obj.base, TextureFile):
            space = obj.base.color_space
            now = plain(asdict(space), folder) if space else None
            if written[obj.name].get("base", {}).get("color_space") != now:
                yield f"the colour space of {obj.path}"


def _asked(own: Mapping[str, Any] | None) -> dict[str, Any]:
    """Style images count by their hashes, wherever they lie."""
    return {name: plain(value) for name, value in (own or {}).items() if name != "style_images"}
