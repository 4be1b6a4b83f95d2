"""One group of objects: load each, optimise them together, write each."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from usdstylize.config.overrides import RunSettings
from usdstylize.errors import InputError, ObjectError
from usdstylize.model.objects import Losses, ObjectData, StageContents, StageObject, StyleTexture
from usdstylize.model.results import ObjectResult, Observer
from usdstylize.usd import read, write

if TYPE_CHECKING:
    from usdstylize import distributed

__all__ = ["stylize_group"]

_USD = threading.Lock()
"""Objects are optimised side by side, but read and written one at a time."""

_log = logging.getLogger(__name__)


def stylize_group(
    group: tuple[StageObject, ...],
    contents: StageContents,
    optimizer: "distributed.Optimizes",
    settings_of: dict[str, RunSettings],
    writer: write.Writer,
    observer: Observer,
) -> list[ObjectResult]:
    """One result for each object of the group; what is wrong with one costs it alone.

    Raises OutputError for what concerns every object: a full disk, a lost folder.
    """
    failed: dict[str, str] = {}
    data: dict[str, ObjectData] = {}
    for obj in group:
        observer.object_started(obj, optimizer.method.iterations)
        with _failures(obj, failed), _USD:
            data[obj.path] = read.load(contents, obj, settings_of[obj.path].method.texture_resolution)
    loaded = [obj for obj in group if obj.path in data]
    seen = [obj for obj in loaded if not obj.stands_in]
    textures: dict[str, StyleTexture] = {}
    if seen:

        def told(number: int, losses: Losses) -> None:
            for obj in loaded:
                observer.iteration(obj, number, losses)

        with _failures(seen[0], failed):
            restyled = optimizer.restyled(settings_of[group[0].path].style, settings_of[group[0].path].method)
            optimised = restyled.optimize(seen, [data[obj.path] for obj in seen], on_iteration=told)
            by_name = {obj.name: texture for obj, texture in zip(seen, optimised, strict=True)}
            found = ((obj, obj.look if obj.stands_in else obj.name) for obj in loaded)
            textures = {obj.path: by_name[name] for obj, name in found if name in by_name}
    for obj in loaded:
        if obj.path in textures:
            with _failures(obj, failed), _USD:
                strength = settings_of[obj.path].method.strength
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


def _done(obj: StageObject, texture: StyleTexture, writer: write.Writer) -> ObjectResult:
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
