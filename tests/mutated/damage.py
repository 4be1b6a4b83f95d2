"""Results that somebody has edited, cut or lost parts of; and what works on results must say so."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from author_results import write_result
from pxr import Sdf, Vt

from mutated.case import Case, faults
from mutated.files import damaged_layer, strange_image
from usdstylize.errors import UsdStylizeError
from usdstylize.model import checks
from usdstylize.usd import verify, write

__all__ = ["build_result", "damage", "trials"]

_VALUES: tuple[Any, ...] = (7, -1.5, "", "text", "../../../..", True, Vt.StringArray(), Vt.IntArray([1]), {})
_JSON: tuple[Any, ...] = (None, 7, -1.5, "", "text", True, [], {}, [[]], 1e400, "花瓶\u0000")


def build_result(scene: Path) -> Path:
    """The root layer of a result of two styles of ``scene``, beside it."""
    write_result(scene, "oil", seed=1)
    return write_result(scene, "ink")


def damage(case: Case) -> None:
    """One fault in the layers, the textures or what a run has noted."""
    kind = case.choose(
        (_provenance, _provenance, _notes, _notes, _any_fault, damaged_layer, strange_image, _gone)
    )
    kind(case)


def trials(case: Case, source: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is asked of a damaged result, by name."""
    yield "verify", lambda: verify.verify(case.path)
    yield "styles", lambda: write.existing_styles(case.path)
    yield "select", lambda: write.select(case.path, "oil")
    yield "original", lambda: write.select(case.path, "original", ["/World"])
    yield "resume", lambda: write_result(source, "ink", resume=True)
    yield "add", lambda: write_result(source, "gouache")
    yield "again", lambda: verify.verify(case.path)


def _provenance(case: Case) -> None:
    name = case.choose([name for name in case.names if ".style" in name or ".stylized" in name])
    layer = case.layer(name)
    case.touch_path(name, Sdf.Path.absoluteRootPath, "has edited customData")
    owners: list[Any] = [layer.pseudoRoot]
    if case.rng.random() < 0.4:
        layer.Traverse(
            Sdf.Path.absoluteRootPath,
            lambda path: owners.append(layer.GetObjectAtPath(path)) if path.IsPrimPath() else None,
        )
    key = "customLayerData"
    for spec in owners:
        key = "customLayerData" if spec == layer.pseudoRoot else "customData"
        data = spec.GetInfo(key) if spec.HasInfo(key) else {}
        if data:
            spec.SetInfo(key, _edited(case, data, _VALUES))


def _notes(case: Case) -> None:
    """run.json of a style, edited or cut."""
    name = case.choose([name for name in case.files if name.endswith("run.json")])
    contents = (case.folder / name).read_text(encoding="utf-8")
    case.touch_path(name, Sdf.Path.absoluteRootPath, "is edited")
    if case.rng.random() < 0.25:
        contents = case.choose(("", "[]", "null", contents[: len(contents) // 2], "\x00", "{}", "[" * 5000))
    else:
        contents = json.dumps(_edited(case, json.loads(contents), _JSON))
    case.replace(name).write_text(contents, encoding="utf-8")


def _edited(case: Case, data: dict[str, Any], values: tuple[Any, ...]) -> dict[str, Any]:
    """A copy with one value, at any depth, replaced or removed."""
    key = case.choose(sorted(data))
    copy = dict(data)
    if isinstance(copy[key], dict) and copy[key] and case.rng.random() < 0.8:
        copy[key] = _edited(case, copy[key], values)
    elif case.rng.random() < 0.3:
        del copy[key]
    else:
        copy[key] = case.choose(values)
    return copy


def _any_fault(case: Case) -> None:
    case.choose(faults)(case)


def _gone(case: Case) -> None:
    name = case.choose([name for name in case.files if (case.folder / name).is_file()])
    case.touch_path(name, Sdf.Path.absoluteRootPath, "is gone")
    case.afterwards.append(
        lambda: case.replace(name).touch() if case.rng.random() < 0.3 else case.replace(name)
    )


def judged(name: str, trial: Callable[[], Any]) -> Iterator[str]:
    """Sentences that a trial has printed, errors and findings alike."""
    try:
        outcome = trial()
    except UsdStylizeError as error:
        yield f"{name}: {error}"
        return
    if isinstance(outcome, checks.VerifyReport):
        yield from (f"{name}: {check}" for check in outcome.failed)
