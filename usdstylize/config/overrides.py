"""Style and method of each object: the run's, overridden by the stage's own settings (StylizeAPI).

An option that the user gave is never overridden.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from usdstylize import styles
from usdstylize.config.method import Method
from usdstylize.config.options import LookOptions, Options, StyleOptions
from usdstylize.errors import ObjectError, SettingsError, StyleSetError
from usdstylize.model.objects import ObjectSettings, Skipped, StageContents, StageObject, StyleSet
from usdstylize.model.results import plain

__all__ = ["RunSettings", "own_settings", "prepare"]


@dataclass(frozen=True, eq=False)
class RunSettings:
    """One object's style and method. Objects that ask for the same style share the instance."""

    style: StyleSet
    method: Method


def prepare(
    contents: StageContents,
    defaults: RunSettings,
    options: Options,
    read: Callable[[Path], bytes],
) -> tuple[StageContents, dict[str, RunSettings]]:
    """The contents with the objects whose settings can be applied, and those objects' settings by path.

    All others are in ``skipped``, as broken.
    defaults: the run's. read: returns the bytes of a style image that the stage names, which may
    be inside a package.
    """
    known: dict[Any, StyleSet] = {}
    settings: dict[str, RunSettings] = {}
    paths = {obj.name: obj.path for obj in contents.objects}
    skipped = list(contents.skipped)
    for obj in contents.objects:
        shared = obj.copy_of or (obj.look if obj.wears_another_look else "")
        if shared:
            if paths.get(shared) in settings:
                settings[obj.path] = settings[paths[shared]]
            else:
                reason = f"{obj.path} shares the style texture of {shared}, whose settings cannot be applied."
                skipped.append(Skipped(obj.path, reason, broken=True))
            continue
        try:
            method = _method(obj, defaults.method, options)
            style = _style(obj.settings, defaults, method, options, read, known)
            settings[obj.path] = RunSettings(style, method)
        except (ObjectError, StyleSetError) as error:
            reason = f"{obj.path} has settings that cannot be applied: {error}"
            skipped.append(Skipped(obj.path, reason, broken=True))
    objects = tuple(obj for obj in contents.objects if obj.path in settings)
    return replace(contents, objects=objects, skipped=tuple(skipped)), settings


def own_settings(own: RunSettings, defaults: RunSettings) -> dict[str, Any]:
    """The settings in which an object differs from the run's defaults, as plain values except for paths."""
    differing: dict[str, Any] = {
        name: plain(value) for name, value in vars(own.method).items() if value != vars(defaults.method)[name]
    }
    if own.style.images != defaults.style.images:
        differing["style_images"] = [image.path for image in own.style.images]
        differing["style_hashes"] = [image.sha256 for image in own.style.images]
    if own.style.weights != defaults.style.weights:
        differing["style_weights"] = list(own.style.weights)
    if not np.array_equal(own.style.palette, defaults.style.palette):
        differing["palette"] = list(styles.hex_colors(own.style.palette))
    return differing


def _style(
    settings: ObjectSettings,
    defaults: RunSettings,
    method: Method,
    options: StyleOptions,
    read: Callable[[Path], bytes],
    known: dict[Any, StyleSet],
) -> StyleSet:
    """The object's style. known: the styles of earlier objects, to which a new one is added."""
    given = settings.palette if options.palette is None else ()
    key = (
        settings.style_images,
        settings.style_weights,
        given,
        method.seed if settings.style_images else 0,
    )
    if not settings.style_images and not given:
        return defaults.style
    if key not in known:
        palette = np.array(given, np.float32) if given else defaults.style.palette
        if settings.style_images:
            weights = settings.style_weights or (1.0,) * len(settings.style_images)
            known[key] = styles.from_files(
                defaults.style.name,
                [path for path, weight in zip(settings.style_images, weights, strict=True) if weight],
                weights=tuple(weight for weight in settings.style_weights if weight),
                palette=palette if given or options.palette is not None else None,
                clusters=method.palette_clusters,
                seed=method.seed,
                read=read,
            )
        else:
            known[key] = replace(defaults.style, palette=palette, palette_is_given=True)
    return known[key]


def _method(obj: StageObject, method: Method, options: LookOptions) -> Method:
    """The object's method. Raises SettingsError where its pattern scale puts cameras inside the object."""
    own: dict[str, Any] = {
        name: getattr(obj.settings, name)
        for name in ("strength", "texture_resolution", "seed")
        if getattr(obj.settings, name) is not None and getattr(options, name) is None
    }
    if "texture_resolution" in own:
        own["texture_limit"] = 0
    scale = obj.settings.pattern_scale
    if method.pattern_width:
        width = obj.settings.pattern_width if options.pattern_width is None else None
        own["pattern_width"] = (width or method.pattern_width) * (scale or 1.0)
    elif scale is not None and options.camera_distance is None:
        near, far = method.camera_distance
        if near * scale < 1.0:
            raise SettingsError(
                f"stylize:patternScale {scale:g} brings the cameras, at {near:g} bounding radii, into the "
                f"object; give {math.ceil(100.0 / near) / 100.0:g} or more."
            )
        own["camera_distance"] = (near * scale, far * scale)
    return replace(method, **own)
