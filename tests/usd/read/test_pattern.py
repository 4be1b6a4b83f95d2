"""The pattern width that suits a stage: by its cameras, else by its meshes, always by the whole stage."""

from pathlib import Path

import pytest
from conftest import build_tiny_stage, define_quad
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt

from usdstylize import inspect
from usdstylize.config.options import StageOptions
from usdstylize.model.objects import PatternWidth


@pytest.fixture
def stage(tmp_path: Path) -> Usd.Stage:
    """Two unit quads in a row, from (0, 0, 0) to (3, 1, 0); a unit is a centimetre."""
    stage = Usd.Stage.Open(str(build_tiny_stage(tmp_path / "shot")))
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    return stage


def camera(stage: Usd.Stage, path: str, at: tuple[float, float, float]) -> UsdGeom.Camera:
    """Looks along -Z; at a distance of 10 it sees 10 units across and 5 up."""
    made = UsdGeom.Camera.Define(stage, path)
    made.AddTranslateOp().Set(Gf.Vec3d(*at))
    made.CreateHorizontalApertureAttr(36.0)
    made.CreateVerticalApertureAttr(18.0)
    made.CreateFocalLengthAttr(36.0)
    return made


def found(stage: Usd.Stage, **options: object) -> PatternWidth:
    stage.Save()
    path = stage.GetRootLayer().realPath
    return inspect(path, StageOptions(**options)).pattern_width  # type: ignore[arg-type]


def test_it_is_two_thirds_of_the_height_that_the_camera_sees(stage: Usd.Stage) -> None:
    camera(stage, "/World/Shot", (1.5, 0.5, 10.0))
    width = found(stage)
    assert width.units == pytest.approx(5.0 * 2 / 3)
    assert width.metres == pytest.approx(0.05 * 2 / 3)
    assert width.reason == "two thirds of the height that /World/Shot sees"


def test_a_mask_changes_nothing(stage: Usd.Stage) -> None:
    camera(stage, "/World/Shot", (1.5, 0.5, 10.0))
    quad = UsdGeom.Mesh.Get(stage, "/World/Right")
    quad.AddTranslateOp().Set(Gf.Vec3d(0, 0, -30))
    assert found(stage, mask=("/World/Left",)) == found(stage)


def test_what_lies_outside_of_the_picture_does_not_count(stage: Usd.Stage) -> None:
    camera(stage, "/World/Shot", (1.5, 0.5, 10.0))
    before = found(stage)
    material = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    define_quad(stage, "/World/Beside", material, x=100.0)
    define_quad(stage, "/World/Behind", material).AddTranslateOp().Set(Gf.Vec3d(0, 0, 90))
    assert found(stage) == before


def test_an_orthographic_camera_sees_its_aperture(stage: Usd.Stage) -> None:
    """Apertures are in tenths of a unit."""
    shot = camera(stage, "/World/Shot", (1.5, 0.5, 10.0))
    shot.CreateProjectionAttr("orthographic")
    assert found(stage).units == pytest.approx(1.8 * 2 / 3)


def test_of_several_cameras_it_is_the_median_and_the_render_settings_choose_one(stage: Usd.Stage) -> None:
    for name, distance in (("A", 10.0), ("B", 20.0), ("C", 80.0)):
        camera(stage, f"/World/{name}", (1.5, 0.5, distance))
    assert found(stage).units == pytest.approx(10.0 * 2 / 3)
    assert found(stage).reason == "two thirds of the height that 3 cameras see"
    settings = stage.DefinePrim("/Render/Settings", "RenderSettings")
    settings.CreateRelationship("camera", custom=False).SetTargets([Sdf.Path("/World/C")])
    stage.SetMetadata("renderSettingsPrimPath", "/Render/Settings")
    assert found(stage).units == pytest.approx(40.0 * 2 / 3)


def test_without_a_camera_that_sees_something_it_is_the_median_diameter(stage: Usd.Stage) -> None:
    camera(stage, "/World/Shot", (1.5, 0.5, -10.0))
    width = found(stage)
    assert width.units == pytest.approx(2**0.5)
    assert width.reason == "the median diameter of its meshes"


def test_a_broken_mesh_or_lens_counts_for_nothing(stage: Usd.Stage) -> None:
    broken = define_quad(stage, "/World/Broken", UsdShade.Material.Get(stage, "/World/Looks/Paint"))
    broken.GetPointsAttr().Set(Vt.Vec3fArray([Gf.Vec3f(float("nan"))] * 4))
    camera(stage, "/World/Shot", (1.5, 0.5, 10.0)).GetFocalLengthAttr().Set(0.0)
    assert found(stage).units == pytest.approx(2**0.5)


def test_a_stage_without_extent_has_none(tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "empty.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    assert found(stage) == PatternWidth()
