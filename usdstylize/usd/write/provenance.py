"""Where a result comes from: ``customLayerData["usdstylize"]`` in both layers.

    {version, source, styles: {<style>: {date, seed, strength, objects: […],
                                         sourceFiles: […], sourceHashes: […]}}}

Paths are relative to the layer that holds them.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from pxr import Sdf, Tf, Vt

from usdstylize.errors import OutputError
from usdstylize.model.objects import FileHash
from usdstylize.usd.io.paths import anchored, resolve_anchored
from usdstylize.usd.write.layout import StyleLayout

__all__ = [
    "KEY",
    "Provenance",
    "StyleRecord",
    "inputs_of",
    "read_layer",
    "read_provenance",
    "read_run",
    "write_provenance",
]

KEY = "usdstylize"


@dataclass(frozen=True)
class StyleRecord:
    """One style set's run (the last, where there were several)."""

    date: str
    """UTC, ISO 8601."""
    seed: int
    strength: float
    objects: tuple[str, ...]
    """Names of the objects that hold this style."""
    sources: tuple[FileHash, ...]
    """Absolute paths."""


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from."""

    version: str
    source: Path
    """The source stage's root layer, absolute."""
    styles: dict[str, StyleRecord] = field(default_factory=dict)

    def with_run(
        self, style: str, *, objects: Sequence[str], seed: int, strength: float, sources: Sequence[FileHash]
    ) -> "Provenance":
        """This, with the objects of one more run.

        A file that this style has read before keeps its older hash while objects of that run
        remain: if it changed since, those are stale, and `verify` must report that.
        """
        before = self.styles.get(style)
        kept = [name for name in before.objects if name not in objects] if before else []
        hashes = {found.path: found.sha256 for found in sources}
        if before and kept:
            hashes |= {found.path: found.sha256 for found in before.sources}
        record = StyleRecord(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=seed,
            strength=strength,
            objects=tuple(sorted({*kept, *objects})),
            sources=tuple(FileHash(path, digest) for path, digest in sorted(hashes.items())),
        )
        return replace(self, styles={**self.styles, style: record})


def read_layer(path: Path) -> Sdf.Layer | None:
    """The layer as it is on disk now, apart from any that is open; None where it is not one."""
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        return None
    try:
        return Sdf.Layer.OpenAsAnonymous(str(path))
    except Tf.ErrorException:
        return None


def read_provenance(layer: Sdf.Layer, folder: Path) -> Provenance | None:
    """That of a layer, which lies in ``folder``; None for a layer not of ours.

    Raises OutputError where it was edited and cannot be understood.
    """
    data = layer.customLayerData.get(KEY)
    if not isinstance(data, dict) or "source" not in data:
        return None
    styles = {}
    try:
        for name, record in data.get("styles", {}).items():
            files = [resolve_anchored(path, folder) for path in record["sourceFiles"]]
            styles[name] = StyleRecord(
                date=record["date"],
                seed=record["seed"],
                strength=record["strength"],
                objects=tuple(record["objects"]),
                sources=tuple(map(FileHash, files, record["sourceHashes"])),
            )
        return Provenance(str(data["version"]), Path(resolve_anchored(data["source"], folder)), styles)
    except (KeyError, TypeError, AttributeError) as problem:
        raise OutputError(
            f"A layer in {folder} has customLayerData of usdstylize that cannot be understood "
            f"({type(problem).__name__}: {problem}); restore it or stylise to another --output."
        ) from problem


def read_run(style: StyleLayout) -> dict[str, Any]:
    """The run.json of a style, empty where there is none.

    Raises OutputError where it cannot be read.
    """
    path = style.run
    try:
        run = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as problem:
        raise OutputError(
            f"{path} cannot be read ({problem}); restore it or remove {style.folder}."
        ) from problem
    if not isinstance(run, dict) or not isinstance(run.get("written", {}), dict):
        raise OutputError(f"{path} is not what usdstylize wrote; restore it or remove {style.folder}.")
    return run


def inputs_of(run: Mapping[str, Any]) -> dict[str, str]:
    """What shaped a style, for its record: each image by its file name, seed and network. No paths.

    run: of a run's report, empty where a caller gives none.
    """
    plan = run.get("plan", {})
    found: dict[str, str] = {}
    for made in (plan, *plan.get("own_settings", {}).values()):
        for image, digest in zip(made.get("style_images", ()), made.get("style_hashes", ()), strict=True):
            found[f"styleImage:{PurePath(image).name}"] = f"sha256:{digest}"
    settings = plan.get("settings", {})
    return found | {name: str(settings[name]) for name in ("seed", "encoder") if name in settings}


def write_provenance(layer: Sdf.Layer, provenance: Provenance, folder: Path) -> None:
    """Put it beside whatever else the layer's custom data holds."""
    styles: dict[str, Any] = {}
    for name, record in provenance.styles.items():
        styles[name] = {
            "date": record.date,
            "seed": record.seed,
            "strength": record.strength,
            "objects": Vt.StringArray(record.objects),
            "sourceFiles": Vt.StringArray([anchored(found.path, folder) for found in record.sources]),
            "sourceHashes": Vt.StringArray([found.sha256 for found in record.sources]),
        }
    data = dict(layer.customLayerData)
    data[KEY] = {
        "version": provenance.version,
        "source": anchored(provenance.source, folder),
        "styles": styles,
    }
    layer.customLayerData = data
