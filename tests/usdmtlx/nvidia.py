"""What NVIDIA's asset validator says of a result that it does not say of the result's source."""

import json
import re
import subprocess
from pathlib import Path

from pxr import Sdf, Usd, UsdShade

from .usdmtlx_python import USDMTLX_PYTHON

__all__ = ["findings", "own_findings"]


def own_findings(*results: Path) -> list[str]:
    """Findings that are ours, one line each.

    What is found in the source, too, is the source's; so is what is found in one of our materials and,
    at the same place below, of the source material that it references. Overs below a class that instances
    inherit are dangling by intent: the rule itself asks to ignore it of speculative opinions.
    """
    sources = {result: _source(result) for result in results}
    found = findings(*results, *sources.values())
    ours = []
    for result, source in sources.items():
        excused = {tuple(finding) for finding in found[source]}
        classes = _classes(result)
        for finding in found[result]:
            rule, _, where, _ = finding
            if rule == "DanglingOverPrimChecker" and any(f"<{path}/" in where for path in classes):
                continue
            before = finding
            for path, original in _materials(result).items():
                before = [re.sub(rf"{re.escape(path)}(?!\w)", original, text) for text in before]
            if tuple(finding) not in excused and tuple(before) not in excused:
                ours.append(f"{result}: {' '.join(finding)}")
    return ours


def findings(*stages: Path) -> dict[Path, list[list[str]]]:
    """Per stage (rule, severity, where, message)."""
    script = Path(__file__).with_name("validate_with_nvidia.py")
    command = [str(USDMTLX_PYTHON), str(script), *map(str, dict.fromkeys(stages))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {Path(path): found for path, found in json.loads(done.stdout).items()}


def _classes(result: Path) -> list[str]:
    stage = Usd.Stage.Open(str(result))
    return [str(prim.GetPath()) for prim in stage.TraverseAll() if prim.GetSpecifier() == Sdf.SpecifierClass]


def _source(result: Path) -> Path:
    """The source's root layer: the weakest sublayer of ours."""
    layer = Sdf.Layer.FindOrOpen(str(result))
    return Path(Sdf.ComputeAssetPathRelativeToLayer(layer, layer.subLayerPaths[-1]))


def _materials(result: Path) -> dict[str, str]:
    """Our materials with the source materials that they reference."""
    found: dict[str, str] = {}
    stage = Usd.Stage.Open(str(result))
    for prim in stage.Traverse():
        if prim.IsA(UsdShade.Material) and prim.GetParent().GetName() == "StylizedLooks":
            for spec in prim.GetPrimStack():
                for reference in spec.referenceList.prependedItems:
                    if not reference.assetPath:
                        found.setdefault(str(prim.GetPath()), str(reference.primPath))
    return found
