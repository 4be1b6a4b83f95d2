"""Which objects `--views scene` joins, and the stage's cameras as it reads them."""

from pathlib import Path

import numpy as np
import pytest
from conftest import build_tiny_stage, define_quad
from copied_stages import build_lamps
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize import inspect
from usdstylize.config.options import StageOptions
from usdstylize.model.objects import StageContents
from usdstylize.usd import read


@pytest.fixture
def stage(tmp_path: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(build_tiny_stage(tmp_path / "shot")))


def contents(stage: Usd.Stage | Path, **options: object) -> StageContents:
    if isinstance(stage, Usd.Stage):
        stage.Save()
        stage = Path(stage.GetRootLayer().realPath)
    return inspect(stage, StageOptions(views="scene", **options))  # type: ignore[arg-type]


def names(found: StageContents) -> list[list[str]]:
    return [[obj.path.rpartition("/")[2] for obj in group] for group in found.groups]


def add_row(stage: Usd.Stage, count: int) -> None:
    """Quads in a row beside the tiny stage's two, each 10 units from the next."""
    material = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    for number in range(count):
        define_quad(stage, f"/World/Q{number:02}", material, x=100.0 + 10 * number)


def test_neighbours_are_one_group_and_inspect_says_so(stage: Usd.Stage) -> None:
    assert names(contents(stage)) == [["Left", "Right"]]


def test_many_are_cut_in_the_middle_of_their_longest_axis(stage: Usd.Stage) -> None:
    """26 objects: halves of 13, quarters of 6 and 7."""
    add_row(stage, 24)
    found = names(contents(stage))
    assert [len(group) for group in found] == [6, 7, 6, 7]
    assert found[0] == ["Left", "Right", "Q00", "Q01", "Q02", "Q03"]
    assert found[3] == [f"Q{number:02}" for number in range(17, 24)]


def test_an_object_with_settings_of_its_own_is_not_joined(stage: Usd.Stage) -> None:
    add_row(stage, 1)
    prim = stage.GetPrimAtPath("/World/Right")
    prim.AddAppliedSchema("StylizeAPI")
    prim.CreateAttribute("stylize:seed", Sdf.ValueTypeNames.Int).Set(7)
    assert names(contents(stage)) == [["Left", "Q00"], ["Right"]]


def test_copies_stay_with_their_original(tmp_path: Path) -> None:
    lamps = build_lamps(tmp_path / "shot")
    found = contents(lamps)
    [group] = found.groups
    assert [bool(obj.copy_of) for obj in group] == [False, True, True]


def test_prototypes_of_a_point_instancer_are_not_joined(stage: Usd.Stage) -> None:
    """They stand where the instancer puts them, not where their prims are."""
    instancer = UsdGeom.PointInstancer.Define(stage, "/World/Points")
    material = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    define_quad(stage, "/World/Points/Proto", material, x=50.0)
    instancer.CreatePrototypesRel().SetTargets(["/World/Points/Proto"])
    instancer.CreateProtoIndicesAttr([0])
    instancer.CreatePositionsAttr([Gf.Vec3f(5, 0, 0)])
    assert names(contents(stage)) == [["Left", "Right"], ["Proto"]]


def test_a_camera_is_read_in_metres_with_y_up(stage: Usd.Stage) -> None:
    """By hand: in a stage with Z up, (1, 2, 3) cm is (0.01, 0.03, -0.02) m; it looks along +Y there."""
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    camera = UsdGeom.Camera.Define(stage, "/World/Shot")
    camera.AddTranslateOp().Set(Gf.Vec3d(1, 2, 3))
    camera.AddRotateXOp().Set(90.0)
    camera.AddScaleOp().Set(Gf.Vec3f(2.0))
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(18.0)
    camera.CreateFocalLengthAttr(36.0)
    flat = UsdGeom.Camera.Define(stage, "/World/Flat")
    flat.CreateProjectionAttr("orthographic")
    stage.Save()
    [found] = read.discover(Path(stage.GetRootLayer().realPath)).cameras
    assert found.eye == pytest.approx((0.01, 0.03, -0.02))
    # right is +X; up is the stage's +Z, our +Y; backward is the stage's -Y, our +Z
    assert found.axes == pytest.approx(np.eye(3), abs=1e-6)
    assert found.tangents == pytest.approx((0.5, 0.25))
