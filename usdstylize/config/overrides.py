"""What each object is made with: the run's style and method, with what the stage asks over them.

The command line wins: an option that was given is never replaced by the stage's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from usdstylize import styles
from usdstylize.config.options import Method, Options
from usdstylize.errors import ObjectError, SettingsError, StyleSetError
from usdstylize.model.objects import ObjectSettings, Skipped, StageContents, StageObject, StyleSet
from usdstylize.model.results import plain

__all__ = ["Recipe", "own_settings", "prepare"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """One object's style and method. Objects that ask for the same style share the instance."""

    style: StyleSet
    method: Method


def prepare(
    contents: StageContents,
    run: Recipe,
    options: Options,
    read: Callable[[Path], bytes],
) -> tuple[StageContents, dict[str, Recipe]]:
    """The recipe of every object, by its path.

    An object whose settings cannot be followed is moved to ``skipped`` as broken, and has none.
    read: the bytes of a style image that the stage names, which may lie in a package.
    """
    known: dict[Any, StyleSet] = {}
    recipes: dict[str, Recipe] = {}
    paths = {obj.name: obj.path for obj in contents.objects}
    skipped = list(contents.skipped)
    for obj in contents.objects:
        if obj.wears_another_look:
            if paths.get(obj.look) in recipes:
                recipes[obj.path] = recipes[paths[obj.look]]
            else:
                reason = f"{obj.path} wears the look of {obj.look}, which asks for what cannot be done."
                skipped.append(Skipped(obj.path, reason, broken=True))
            continue
        try:
            method = _method(obj, run.method, options)
            style = _style(obj.settings, run, method, options, read, known)
            recipes[obj.path] = Recipe(style, method)
        except (ObjectError, StyleSetError) as error:
            reason = f"{obj.path} asks for what cannot be done: {error}"
            skipped.append(Skipped(obj.path, reason, broken=True))
    objects = tuple(obj for obj in contents.objects if obj.path in recipes)
    return replace(contents, objects=objects, skipped=tuple(skipped)), recipes


def own_settings(recipe: Recipe, run: Recipe) -> dict[str, Any]:
    """In which settings an object's recipe differs from the run's, as plain values but for paths."""
    own: dict[str, Any] = {
        name: plain(value) for name, value in vars(recipe.method).items() if value != vars(run.method)[name]
    }
    if recipe.style.images != run.style.images:
        own["style_images"] = [image.path for image in recipe.style.images]
        own["style_hashes"] = [image.sha256 for image in recipe.style.images]
    if not np.array_equal(recipe.style.palette, run.style.palette):
        own["palette"] = list(styles.hex_colors(recipe.style.palette))
    return own


def _style(
    settings: ObjectSettings,
    run: Recipe,
    method: Method,
    options: Options,
    read: Callable[[Path], bytes],
    known: dict[Any, StyleSet],
) -> StyleSet:
    """``known`` holds the styles of earlier objects."""
    given = settings.palette if options.palette is None else ()
    key = (settings.style_images, given, method.seed if settings.style_images else 0)
    if not settings.style_images and not given:
        return run.style
    if key not in known:
        palette = np.array(given, np.float32) if given else run.style.palette
        if settings.style_images:
            known[key] = styles.from_files(
                run.style.name,
                settings.style_images,
                palette=palette if given or options.palette is not None else None,
                clusters=method.palette_clusters,
                seed=method.seed,
                read=read,
            )
        else:
            known[key] = replace(run.style, palette=palette)
    return known[key]


def _method(obj: StageObject, method: Method, options: Options) -> Method:
    """Raises SettingsError where the pattern scale would bring the cameras into the object."""
    own: dict[str, Any] = {
        name: getattr(obj.settings, name)
        for name in ("strength", "texture_resolution", "seed")
        if getattr(obj.settings, name) is not None and getattr(options, name) is None
    }
    scale = obj.settings.pattern_scale
    if scale is not None and options.camera_distance is None:
        near, far = method.camera_distance
        if near * scale < 1.0:
            raise SettingsError(
                f"stylize:patternScale {scale:g} brings the cameras, at {near:g} bounding radii, into the "
                f"object; give {math.ceil(100.0 / near) / 100.0:g} or more."
            )
        own["camera_distance"] = (near * scale, far * scale)
    return replace(method, **own)
