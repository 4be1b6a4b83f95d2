"""What becomes of a collection of assets, each layer a stage of its own, with a made-up style texture.

    python -m benchmarks.collection FOLDER [--limit 40] [--seconds 60] [--json-out OUT.json]

Every object that is found is loaded and written, at most ``limit`` of a stage, the result is verified, and
its inputs are counted: how many objects show T through more than one input of their surface, and how many
emit it. A `.mtlx` document becomes a stage of a quad for each of its materials. Optimising is not the matter
here. Exit code 1 when anything fails that was found.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import MaterialX as mx
import numpy as np
from cyclopts import App
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.config.options import StageOptions
from usdstylize.errors import UsdStylizeError
from usdstylize.model.objects import Losses, StageObject, StyleTexture
from usdstylize.usd import read, verify, write
from usdstylize.usd.io.opening import open_stage, quiet
from usdstylize.usd.shading.surface_inputs import read_surface_inputs

_ENDINGS = (".usd", ".usda", ".usdc", ".usdz", ".mtlx")
_TEXELS = 64

app = App(name="benchmarks.collection", help="What becomes of every object of a collection of assets.")


@dataclass
class Counts:
    """What became of the stages and objects."""

    stages: int = 0
    refused: list[str] = field(default_factory=list)
    """Stages that do not open, and why."""
    empty: int = 0
    """Stages with nothing to stylise."""
    found: int = 0
    written: int = 0
    failed: list[str] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)
    """Stages that took too long."""
    many_inputs: list[str] = field(default_factory=list)
    """Objects whose surface shows T through more than one input."""
    emitted: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    """Why prims were left out, without their paths."""


@app.default
def main(folder: Path, /, *, limit: int = 40, seconds: float = 60.0, json_out: Path | None = None) -> int:
    """Read, write and verify every stage below a folder.

    Parameters
    ----------
    folder
        The collection.
    limit
        Objects of a stage that are written at most.
    seconds
        After which a stage is cut off.
    json_out
        The counts once more, as a file.
    """
    counts = Counts()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _ENDINGS):
        with tempfile.TemporaryDirectory() as scratch:
            stage = _stage_of_document(path, Path(scratch)) if path.suffix == ".mtlx" else path
            if stage is not None:
                counts.stages += 1
                _try(stage, Path(scratch), str(path.relative_to(folder)), counts, limit, seconds)
    found = asdict(counts)
    for name, value in found.items():
        print(f"{name}: {value if isinstance(value, int) else len(value)}")
        lines = [f"{count} × {kind}" for kind, count in value.items()] if isinstance(value, dict) else value
        for line in () if isinstance(lines, int) else lines:
            print(f"    {line}")
    if json_out is not None:
        json_out.write_text(json.dumps(found, indent=1))
    return 1 if counts.failed else 0


def _try(stage: Path, scratch: Path, label: str, counts: Counts, limit: int, seconds: float) -> None:
    try:
        contents = read.discover(stage, StageOptions(unique=True))
    except UsdStylizeError as error:
        counts.refused.append(f"{label}: {error}")
        return
    for skipped in contents.skipped:
        kind = _kind(skipped.reason)
        counts.reasons[kind] = counts.reasons.get(kind, 0) + 1
    counts.found += len(contents.objects)
    if not contents.objects:
        counts.empty += 1
        return
    with quiet():
        opened = open_stage(stage)
    for obj in contents.objects:
        material = UsdShade.Material.Get(opened, obj.material_path) if obj.material_path else None
        inputs = read_surface_inputs(material, obj, Usd.TimeCode.EarliestTime())
        if len(inputs.preview_uses) > 1 or len(inputs.live_uses) > 1:
            counts.many_inputs.append(
                f"{label}{obj.path}: {', '.join({**inputs.live_uses, **inputs.preview_uses})}"
            )
        if obj.is_emitted:
            counts.emitted.append(f"{label}{obj.path}")
    end = time.monotonic() + seconds
    try:
        plan = write.plan(contents, "made_up", output=scratch / "o.usda", force=True, resume=False)
        with write.Writer(plan, contents, strength=1.0, network="both") as writer:
            for obj in contents.objects[:limit]:
                if time.monotonic() > end:
                    counts.cut_off.append(label)
                    break
                data = read.load(contents, obj, at_least=_TEXELS)
                writer.write_object(obj, data, _made_up(obj))
                counts.written += 1
            result = writer.commit({})
        for check in verify.verify(result).failed:
            counts.failed.append(f"{label}: {check}")
    except Exception as error:  # of whatever kind: that is what is counted
        counts.failed.append(f"{label}: {type(error).__name__}: {error}")


def _made_up(obj: StageObject) -> StyleTexture:
    image = np.random.default_rng(0).uniform(-0.5, 0.5, (_TEXELS, _TEXELS, 3)).astype(np.float32)
    return StyleTexture((image,) * (len(obj.tiles) or 1), 1.0, 1, 0, 0.0, Losses({}, 0.0))


def _kind(reason: str) -> str:
    """A reason without what differs from prim to prim."""
    return re.sub(r"\s+", " ", re.sub(r"(@[^@]*@|</?[^>]*>|\S*/\S*|\d+)", "…", reason))[:140]


def _stage_of_document(document: Path, scratch: Path) -> Path | None:
    """A stage of a quad in each of a document's materials; None where it has none."""
    described = mx.createDocument()
    try:
        mx.readFromXmlFile(described, str(document))
    except mx.ExceptionParseError:
        return None
    names = [node.getName() for node in described.getMaterialNodes()]
    if not names:
        return None
    with quiet():
        return _write_quads(document, names, scratch / "document.usda")


def _write_quads(document: Path, names: list[str], path: Path) -> Path:
    stage = Usd.Stage.CreateNew(str(path))
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    for number, name in enumerate(names):
        material = UsdShade.Material.Define(stage, f"/World/Looks/{name}")
        material.GetPrim().GetReferences().AddReference(str(document), f"/MaterialX/Materials/{name}")
        quad = UsdGeom.Mesh.Define(stage, f"/World/Quad{number}")
        quad.CreatePointsAttr([Gf.Vec3f(x + 2 * number, y, 0) for x, y in _corners()])
        quad.CreateFaceVertexCountsAttr([4])
        quad.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
        st = UsdGeom.PrimvarsAPI(quad).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
        st.Set([Gf.Vec2f(*corner) for corner in _corners()])
        UsdShade.MaterialBindingAPI.Apply(quad.GetPrim()).Bind(material)
    stage.Save()
    return path


def _corners() -> Iterator[tuple[float, float]]:
    yield from ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


if __name__ == "__main__":
    sys.exit(app())
