"""Skinned and blended meshes: the bind pose, or the pose of a frame, against values worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from author_results import problems, write_result
from conftest import build_tiny_stage
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSkel
from skeletons import BODY, figure

from usdstylize.config.options import StageOptions
from usdstylize.model.objects import ObjectData, StageObject
from usdstylize.usd import read as reading

REST = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float)


def body(path: Path, frame: float | None) -> tuple[StageObject, ObjectData]:
    contents = reading.discover(path, StageOptions(mask=(BODY,), frame=frame))
    assert contents.skipped == ()
    return contents.objects[0], reading.load(contents, contents.objects[0])


def test_without_a_frame_the_bind_pose_is_read_and_remarked(tmp_path: Path) -> None:
    obj, data = body(figure(tmp_path), None)
    np.testing.assert_allclose(data.mesh.points, REST, atol=1e-6)
    assert "bind pose; --frame poses it" in " ".join(obj.notes)


@pytest.mark.parametrize("frame", [1.0, 5.5, 10.0])
def test_joints_and_blend_shapes_pose_the_mesh_at_a_frame(tmp_path: Path, frame: float) -> None:
    obj, data = body(figure(tmp_path), frame)
    share = (frame - 1) / 9
    expected = REST + np.array((0, 9 * share, 0))
    expected[3, 2] += 2 * share
    np.testing.assert_allclose(data.mesh.points, expected, atol=1e-5)
    assert "as posed at the frame" in " ".join(obj.notes)
    # Flat shading turns with the face: the smile tilts its second triangle.
    tilted = np.cross(expected[2] - expected[0], expected[3] - expected[0])
    of_face = np.cross(expected[2] - expected[0], expected[3] - expected[1])
    turned = data.mesh.normals[1, 0]
    assert min(np.linalg.norm(turned - n / np.linalg.norm(n)) for n in (tilted, of_face)) < 1e-5


def test_points_that_change_over_time_are_read_at_the_frame(tmp_path: Path) -> None:
    path = build_tiny_stage(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    stage.SetStartTimeCode(1)
    stage.SetEndTimeCode(9)
    points = UsdGeom.Mesh.Get(stage, "/World/Left").GetPointsAttr()
    points.Set([Gf.Vec3f(*point) for point in REST.tolist()], 1)
    points.Set([Gf.Vec3f(*point) for point in (REST * (1, 3, 1)).tolist()], 9)
    stage.Save()
    for frame, height in ((None, 1.0), (1.0, 1.0), (5.0, 2.0), (9.0, 3.0)):
        contents = reading.discover(path, StageOptions(mask=("/World/Left",), frame=frame))
        mesh = reading.load(contents, contents.objects[0]).mesh
        np.testing.assert_allclose(mesh.points, REST * (1, height, 1), atol=1e-6)
        np.testing.assert_allclose(mesh.uvs[0], [(0, 0), (1, 0), (1, 1)])
        assert contents.objects[0].notes == ()


def test_a_pose_where_nothing_is_animated_is_read(tmp_path: Path) -> None:
    path = figure(tmp_path)
    stage = Usd.Stage.Open(str(path))
    animation = UsdSkel.Animation.Get(stage, "/Figure/Animation")
    for attribute, value in (
        (animation.GetTranslationsAttr(), [Gf.Vec3f(3, 0, 0)]),
        (animation.GetBlendShapeWeightsAttr(), [0.0]),
    ):
        attribute.Clear()
        attribute.Set(value)
    stage.Save()
    np.testing.assert_allclose(body(path, 4.0)[1].mesh.points, REST + np.array((3, 0, 0)), atol=1e-5)
    np.testing.assert_allclose(body(path, None)[1].mesh.points, REST, atol=1e-5)


def test_the_result_leaves_the_binding_to_the_skeleton_alone(tmp_path: Path) -> None:
    path = figure(tmp_path, uvs=False)
    root = write_result(path)
    assert problems(root) == []
    opened = Usd.Stage.Open(str(root))
    style = Sdf.Layer.FindOrOpen(str(root.with_name("tiny.style.usda")))
    written = {spec.name.split(":")[0] for spec in list(style.GetPrimAtPath(BODY).properties)}
    assert written == {"material", "primvars"}
    binding = UsdSkel.BindingAPI(opened.GetPrimAtPath(BODY))
    assert binding.GetJointIndicesPrimvar().HasValue()
    assert UsdGeom.Mesh.Get(opened, BODY).GetPointsAttr().GetTimeSamples() == []


def test_new_uvs_do_not_hang_on_the_pose(tmp_path: Path) -> None:
    path = figure(tmp_path, uvs=False)
    at_rest, posed = body(path, None)[1], body(path, 10.0)[1]
    assert at_rest.new_uvs
    assert posed.new_uvs
    np.testing.assert_array_equal(at_rest.new_uvs.values, posed.new_uvs.values)
    np.testing.assert_array_equal(at_rest.mesh.uvs, posed.mesh.uvs)
    assert not np.array_equal(at_rest.mesh.points, posed.mesh.points)
