"""UV transforms as the stage authors them, against values worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from author_results import problems, write_result
from conftest import build_tiny_stage
from pxr import Gf, Sdf, Usd, UsdShade

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.usd import read as reading

Step = tuple[tuple[float, float], float, tuple[float, float]]


def with_chain(folder: Path, *steps: Step) -> Path:
    """The tiny stage, its texture read through UsdTransform2d, the one nearest to the primvar first."""
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    source = UsdShade.Shader.Get(stage, "/World/Looks/Paint/Reader").GetOutput("result")
    for number, (scale, rotation, translation) in enumerate(steps):
        node = UsdShade.Shader.Define(stage, f"/World/Looks/Paint/Place{number}")
        node.CreateIdAttr("UsdTransform2d")
        node.CreateInput("in", Sdf.ValueTypeNames.Float2).ConnectToSource(source)
        node.CreateInput("scale", Sdf.ValueTypeNames.Float2).Set(Gf.Vec2f(*scale))
        node.CreateInput("rotation", Sdf.ValueTypeNames.Float).Set(rotation)
        node.CreateInput("translation", Sdf.ValueTypeNames.Float2).Set(Gf.Vec2f(*translation))
        source = node.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    texture = UsdShade.Shader.Get(stage, "/World/Looks/Paint/Texture")
    texture.GetInput("st").ConnectToSource(source)
    stage.Save()
    return path


def read(path: Path) -> tuple[UVTransform | None, np.ndarray]:
    """The transform that was read, and the UVs of the left quad's corners (0,0), (1,0), (1,1)."""
    contents = reading.discover(path)
    data = reading.load(contents, contents.objects[0])
    return contents.objects[0].uv_transform, data.mesh.uvs[0]


def test_a_chain_of_transforms_becomes_one_where_one_does_the_same(tmp_path: Path) -> None:
    # (u, v) -> (u + 1, v) -> quarter turn: (-v, u + 1) -> (-2 v, 3 u + 3) + (0.5, 0).
    chain = (((1, 1), 0, (1, 0)), ((1, 1), 90, (0, 0)), ((2, 3), 0, (0.5, 0)))
    transform, uvs = read(with_chain(tmp_path, *chain))  # type: ignore[arg-type]
    assert transform is not None
    assert transform.then is None
    np.testing.assert_allclose(transform.scale, (3, 2), atol=1e-6)
    np.testing.assert_allclose((transform.rotation, *transform.translation), (90, 0.5, 3), atol=1e-6)
    np.testing.assert_allclose(uvs, [(0.5, 3), (0.5, 6), (-1.5, 6)], atol=1e-6)


def test_a_mirroring_chain_keeps_its_mirror(tmp_path: Path) -> None:
    chain = (((-1, 1), 0, (0, 0)), ((1, 1), 90, (0, 0)))
    transform, uvs = read(with_chain(tmp_path, *chain))  # type: ignore[arg-type]
    assert transform is not None
    assert transform.scale[0] * transform.scale[1] == pytest.approx(-1)
    np.testing.assert_allclose(uvs, [(0, 0), (0, -1), (-1, -1)], atol=1e-6)


def test_a_chain_that_shears_stays_a_chain_and_is_remarked(tmp_path: Path) -> None:
    path = with_chain(tmp_path, ((1, 1), 45, (0, 0)), ((2, 1), -45, (0.25, 0)))
    transform, uvs = read(path)
    assert transform is not None
    assert [step.rotation for step in transform.chain()] == [45, -45]
    # Turned by 45°, x doubled, turned back: the diagonal (1, -1) doubles and (1, 1) stays.
    np.testing.assert_allclose(uvs - (0.25, 0), [(0, 0), (1.5, -0.5), (1, 1)], atol=1e-6)
    assert "shears" in " ".join(reading.discover(path).objects[0].notes)
    assert problems(write_result(path)) == []


def test_a_chain_that_feeds_itself_is_named(tmp_path: Path) -> None:
    path = with_chain(tmp_path, ((1, 1), 45, (0, 0)), ((2, 1), 0, (0, 0)))
    stage = Usd.Stage.Open(str(path))
    last = UsdShade.Shader.Get(stage, "/World/Looks/Paint/Place1").GetOutput("result")
    UsdShade.Shader.Get(stage, "/World/Looks/Paint/Place0").GetInput("in").ConnectToSource(last)
    stage.Save()
    contents = reading.discover(path)
    assert contents.objects == ()
    assert all("feeds itself" in skipped.reason for skipped in contents.skipped)


def test_the_only_uvs_are_taken_where_the_reader_has_another_name(tmp_path: Path) -> None:
    """As Blender exports a UV Map node: the mesh's UVMap becomes st, the reader's does not."""
    path = build_tiny_stage(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    UsdShade.Shader.Get(stage, "/World/Looks/Paint/Reader").GetInput("varname").Set("UVMap")
    stage.Save()
    contents = reading.discover(path)
    assert contents.skipped == ()
    note = (
        "Its texture reads primvars:UVMap, which it lacks, so viewers show one texel of the original; the "
        "style reads primvars:st, its only UVs."
    )
    assert all(obj.uv_primvar == "st" and note in obj.notes for obj in contents.objects)
    root = write_result(path)
    assert problems(root) == []
    result = Usd.Stage.Open(str(root))
    for obj in contents.objects:
        material = result.GetPrimAtPath(f"/World/StylizedLooks/{obj.name}")
        shown = {}
        for name in ("original", "ink"):
            material.GetVariantSet("style").SetVariantSelection(name)
            shown[name] = material.GetChild("Reader").GetAttribute("inputs:varname").Get()
        assert shown == {"original": "UVMap", "ink": "st"}
