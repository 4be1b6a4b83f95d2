"""Refined subdivision surfaces, against Catmull and Clark's own rules worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from conftest import define_material
from meshes import FACES, cube
from numpy.typing import NDArray
from PIL import Image
from pxr import Usd, UsdGeom, UsdShade

import usdstylize
from usdstylize.config.options import StageOptions
from usdstylize.errors import MeshError, OptionsError
from usdstylize.model.objects import Mesh
from usdstylize.usd import read as reading


def refined(stage: Usd.Stage, levels: int) -> Mesh:
    stage.Save()
    contents = reading.discover(Path(stage.GetRootLayer().realPath), StageOptions(refine=levels))
    return reading.load(contents, contents.objects[0]).mesh


def kinds(points: NDArray[np.floating]) -> set[tuple[float, ...]]:
    """Coordinates without sign and order."""
    return {tuple(sorted(round(abs(float(value)), 5) for value in point)) for point in points}


def test_a_cube_refines_by_catmull_and_clark(tmp_path: Path) -> None:
    once = refined(cube(tmp_path / "cube.usda")[0], 1)
    assert len(once.triangles) == 6 * 4 * 2
    # Vertex (F + 2 R) / 3 = (1/3 + 4/3) / 3; edge ((1 1 0) + (½ ½ 0)) / 2; face (1 0 0).
    assert kinds(once.points) == {(0.55556, 0.55556, 0.55556), (0, 0.75, 0.75), (0, 0, 1)}
    # A seam lies around every face, and its corners are sharp: the layout keeps its outline.
    assert (once.uvs.min(), once.uvs.max()) == (0, 1)
    assert len(refined(cube(tmp_path / "again.usda")[0], 2).triangles) == 6 * 16 * 2
    # Smooth: away from the middle, though a cage's faces are flat.
    outwards = once.points[once.triangles] / np.linalg.norm(
        once.points[once.triangles], axis=-1, keepdims=True
    )
    assert (np.einsum("fck,fck->fc", outwards, once.normals) > 0.99).all()


def test_a_subset_keeps_the_children_of_its_own_faces(tmp_path: Path) -> None:
    stage, mesh = cube(tmp_path / "cube.usda")
    subset = UsdGeom.Subset.CreateGeomSubset(mesh, "side", UsdGeom.Tokens.face, [1], "materialBind")
    Image.new("RGB", (4, 4), "red").save(tmp_path / "color.png")
    side = define_material(stage, "/Side", "./color.png")
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(side)
    stage.Save()
    contents = reading.discover(tmp_path / "cube.usda", StageOptions(refine=2))
    found = {obj.path: reading.load(contents, obj).mesh for obj in contents.objects}
    assert {path: len(own.triangles) for path, own in found.items()} == {
        "/Cube/side": 16 * 2,
        "/Cube": 5 * 16 * 2,
    }
    own = found["/Cube/side"]
    middles = own.points[own.triangles].mean(axis=1)
    assert (middles[:, 0] > np.abs(middles[:, 1:]).max(axis=1)).all(), "all of them towards +X"


def test_a_box_of_creases_stays_a_box(tmp_path: Path) -> None:
    stage, mesh = cube(tmp_path / "box.usda")
    edges = {tuple(sorted((face[i], face[(i + 1) % 4]))) for face in FACES for i in range(4)}
    mesh.CreateCreaseIndicesAttr([index for edge in sorted(edges) for index in edge])
    mesh.CreateCreaseLengthsAttr([2] * 12)
    mesh.CreateCreaseSharpnessesAttr([10.0] * 12)
    assert kinds(refined(stage, 1).points) == {(1, 1, 1), (0, 1, 1), (0, 0, 1)}


def test_a_crease_softens_by_one_a_level(tmp_path: Path) -> None:
    """Around the top: a sharp vertex is ¾ P + ⅛ (A + B) = (¾, 1, ¾), half sharp the mean of both."""
    for sharpness, height in ((10.0, 1.0), (0.5, (1 + 5 / 9) / 2)):
        stage, mesh = cube(tmp_path / f"top{sharpness}.usda")
        mesh.CreateCreaseIndicesAttr([2, 3, 7, 6, 2])
        mesh.CreateCreaseLengthsAttr([5])
        mesh.CreateCreaseSharpnessesAttr([sharpness])
        tops = [tuple(point) for point in refined(stage, 1).points if abs(point[0]) > 0.5 < abs(point[2])]
        assert max(point[1] for point in tops) == pytest.approx(height, abs=1e-5)


@pytest.mark.parametrize("lengths", [[3], [-2], [2_000_000_000], [1, 1]])
def test_creases_that_do_not_fit_cost_their_mesh_alone(tmp_path: Path, lengths: list[int]) -> None:
    stage, mesh = cube(tmp_path / "cube.usda")
    mesh.CreateCreaseIndicesAttr([0, 1])
    mesh.CreateCreaseLengthsAttr(lengths)
    mesh.CreateCreaseSharpnessesAttr([1.0])
    with pytest.raises(MeshError, match="creases that do not fit"):
        refined(stage, 1)
    assert len(refined(stage, 0).triangles) == 12, "the cage needs none"


def test_the_levels_have_an_end() -> None:
    with pytest.raises(OptionsError, match="--refine 4"):
        usdstylize.Options(refine=4)
