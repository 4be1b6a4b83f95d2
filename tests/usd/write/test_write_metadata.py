"""The stylised stage says of itself, prim by prim, what its source says."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from author_results import problems, write_result
from pxr import Sdf, Usd, UsdGeom
from shows import make_show

TIMES = [Usd.TimeCode.Default(), *map(Usd.TimeCode, (90.0, 101.0, 110.5, 150.0))]


@pytest.fixture
def show(tiny_stage: Path) -> Path:
    return make_show(tiny_stage.parent)


def plain(value: Any) -> Any:
    """Asset paths count by what they resolve to, wherever they are written."""
    if isinstance(value, Sdf.AssetPath):
        return value.resolvedPath or value.path
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def of_stage(stage: Usd.Stage) -> dict[str, Any]:
    """Metadata of a stage as a whole."""
    root = stage.GetPseudoRoot().GetAllMetadata()
    ours = {"subLayers", "subLayerOffsets", "customLayerData", "documentation"}
    whole = {key: plain(value) for key, value in root.items() if key not in ours}
    whole["upAxis"] = UsdGeom.GetStageUpAxis(stage)
    whole["metersPerUnit"] = UsdGeom.GetStageMetersPerUnit(stage)
    whole["range"] = (stage.GetStartTimeCode(), stage.GetEndTimeCode())
    whole["rates"] = (stage.GetTimeCodesPerSecond(), stage.GetFramesPerSecond())
    whole["defaultPrim"] = stage.GetDefaultPrim().GetPath()
    whole["color"] = (plain(stage.GetColorConfiguration()), stage.GetColorManagementSystem())
    return whole


def of_prim(prim: Usd.Prim) -> dict[str, Any]:
    """Everything that a prim composes to, except its material."""
    result: dict[str, Any] = {key: plain(value) for key, value in prim.GetAllAuthoredMetadata().items()}
    result["apiSchemas"] = set(prim.GetAppliedSchemas())
    result["colorSpace"] = Usd.ColorSpaceAPI.ComputeColorSpaceName(prim, None)
    result["kind"] = Usd.ModelAPI(prim).GetKind()
    for item in prim.GetAuthoredProperties():
        if item.GetName().startswith("material:binding"):
            continue
        result[item.GetName()] = {
            k: plain(v) for k, v in item.GetAllAuthoredMetadata().items() if k != "default"
        }
        if isinstance(item, Usd.Relationship):
            result[item.GetName() + " targets"] = item.GetTargets()
        else:
            result[item.GetName() + " values"] = [plain(item.Get(time)) for time in TIMES]
            result[item.GetName() + " connections"] = item.GetConnections()
    return result


def assert_same(source: Path, result: Path) -> None:
    before, after = Usd.Stage.Open(str(source)), Usd.Stage.Open(str(result))
    assert of_stage(after) == of_stage(before)
    paths = [prim.GetPath() for prim in before.TraverseAll()]
    assert len(paths) == 8
    for path in paths:
        assert of_prim(after.GetPrimAtPath(path)) == of_prim(before.GetPrimAtPath(path)), path
    new = {prim.GetPath() for prim in after.TraverseAll()} - set(paths)
    ours = ("/World/StylizedLooks", "/_class_Stylized")
    assert all(str(path).startswith(ours) for path in new)


@pytest.mark.parametrize("output", [None, "elsewhere/deep"])
def test_nothing_that_the_source_says_is_changed(show: Path, output: str | None) -> None:
    result = write_result(show, output=None if output is None else show.parents[1] / output)
    assert_same(show, result)
    assert problems(result) == problems(show)
    stage = Usd.Stage.Open(str(result))
    # Computed by hand: sample 24 of 48 a second, 2 times slower, from 100 at 30 a second on.
    assert stage.GetAttributeAtPath("/World/Left.studio:height").Get(130.0) == pytest.approx(5.0)
    layer = stage.GetRootLayer()
    assert layer.pseudoRoot.GetInfo("colorConfiguration").path.startswith(("./", "../"))
    assert layer.customLayerData["studio"]["elsewhere"].path == "studio/show.ocio", "a search path stays one"
    assert layer.documentation == "Shot 010"
    assert layer.customLayerData["studio"]["ticket"] == 12
    brief = layer.customLayerData["studio"]["brief"].path
    assert brief.startswith(("./", "../"))
    assert Path(layer.ComputeAbsolutePath(brief)) == show.parent / "ocio/config.ocio"


def paths_of(layer: Sdf.Layer) -> list[str]:
    """Every path to a file that a layer writes."""
    found = list(layer.subLayerPaths)

    def visit(path: Sdf.Path) -> None:
        spec = layer.GetAttributeAtPath(path) if path.IsPropertyPath() else None
        if spec is not None and isinstance(spec.default, Sdf.AssetPath):
            found.append(spec.default.path)
        prim = layer.GetPrimAtPath(path) if path.IsPrimPath() else None
        if prim is not None:
            found.extend(item.assetPath for item in prim.referenceList.prependedItems if item.assetPath)

    layer.Traverse(Sdf.Path.absoluteRootPath, visit)
    return found


@pytest.mark.parametrize("output", [None, "elsewhere/deep"])
def test_every_path_is_anchored_and_survives_a_move(show: Path, tmp_path: Path, output: str | None) -> None:
    result = write_result(show, output=None if output is None else show.parents[1] / output)
    for name in ("shot.stylized.usda", "shot.style.usda"):
        written = paths_of(Sdf.Layer.FindOrOpen(str(result.with_name(name))))
        assert written
        assert all(path.startswith(("./", "../")) for path in written), written
    # Stage and result move together, and nothing is left where they were.
    moved = tmp_path / "archive" / "v2"
    moved.mkdir(parents=True)
    for name in {show.parent.name, *(output or "").split("/")[:1]} - {""}:
        shutil.move(tmp_path / name, moved / name)
    here = moved / result.relative_to(tmp_path)
    assert_same(moved / "shot" / "shot.usda", here)
    assert problems(here) == problems(moved / "shot" / "shot.usda")
    stage = Usd.Stage.Open(str(here))
    assert all(str(moved) in layer.realPath for layer in stage.GetLayerStack(includeSessionLayers=False))
