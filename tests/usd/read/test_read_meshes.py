"""Meshes read from small stages, against values worked out by hand."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import define_material, define_quad
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.config.options import StageOptions
from usdstylize.model.objects import Mesh, ObjectData, StageContents
from usdstylize.usd import read as reading
from usdstylize.usd.read.triangulate import triangulate

Edit = Callable[[Usd.Stage, UsdGeom.Mesh], None]


def write(folder: Path, edit: Edit | None = None) -> Path:
    """A stage in metres, Y up, with one textured unit quad at /World/Quad, then edited."""
    Image.fromarray(np.full((4, 4, 3), 128, np.uint8)).save(folder / "color.png")
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.Xform.Define(stage, "/World")
    quad = define_quad(stage, "/World/Quad", define_material(stage, "/World/Looks/Paint", "./color.png"))
    if edit:
        edit(stage, quad)
    stage.Save()
    return folder / "scene.usda"


def read_all(path: Path, **options: object) -> tuple[StageContents, dict[str, ObjectData]]:
    contents = reading.discover(path, StageOptions(**options))  # type: ignore[arg-type]
    return contents, {found.path: reading.load(contents, found) for found in contents.objects}


def read_quad(folder: Path, edit: Edit | None = None) -> Mesh:
    contents, data = read_all(write(folder, edit))
    assert contents.skipped == ()
    assert contents.objects[0].triangle_count == len(data["/World/Quad"].mesh.triangles)
    return data["/World/Quad"].mesh


def face_normals(mesh: Mesh) -> np.ndarray:
    corners = mesh.points[mesh.triangles].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def set_points(
    mesh: UsdGeom.Mesh, points: list[tuple[float, ...]], counts: list[int], st: bool = True
) -> None:
    """Replaces a mesh by faces of consecutive points, with UVs equal to x and y."""
    mesh.GetPointsAttr().Set([Gf.Vec3f(*p) for p in points])
    mesh.GetFaceVertexCountsAttr().Set(counts)
    mesh.GetFaceVertexIndicesAttr().Set(list(range(len(points))))
    if st:
        UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").Set([Gf.Vec2f(*p[:2]) for p in points])


def test_a_quad_comes_out_as_it_is(tmp_path: Path) -> None:
    mesh = read_quad(tmp_path)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    np.testing.assert_array_equal(mesh.points[:, :2], corners)
    np.testing.assert_array_equal(mesh.triangles, [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(mesh.uvs, corners[mesh.triangles])
    assert (mesh.normals == (0, 0, 1)).all()
    assert (mesh.points.dtype, mesh.triangles.dtype, mesh.uvs.dtype) == (np.float32, np.int32, np.float32)


def test_z_up_centimetres_become_y_up_metres(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(stage, 0.01)
        UsdGeom.Xformable(quad).AddTranslateOp().Set(Gf.Vec3d(100, 200, 300))

    mesh = read_quad(tmp_path, edit)
    # (x, y, z) cm -> (x, z, -y) / 100 m; the quad's +Z normal now points up.
    np.testing.assert_allclose(mesh.points[0], (1, 3, -2), atol=1e-6)
    np.testing.assert_allclose(mesh.points[2], (1.01, 3, -2.01), atol=1e-6)
    np.testing.assert_allclose(face_normals(mesh), [(0, 1, 0)] * 2, atol=1e-6)
    np.testing.assert_allclose(mesh.normals.reshape(-1, 3), [(0, 1, 0)] * 6, atol=1e-6)


@pytest.mark.parametrize("left_handed", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_winding_is_counter_clockwise_seen_from_outside(
    tmp_path: Path, left_handed: bool, mirrored: bool
) -> None:
    def edit(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        if left_handed:
            quad.CreateOrientationAttr(UsdGeom.Tokens.leftHanded)
            quad.GetFaceVertexIndicesAttr().Set([0, 3, 2, 1])
        if mirrored:
            UsdGeom.Xformable(quad).AddScaleOp().Set(Gf.Vec3f(-1, 1, 1))

    mesh = read_quad(tmp_path, edit)
    np.testing.assert_allclose(face_normals(mesh), [(0, 0, 1)] * 2, atol=1e-6)
    assert (mesh.normals == (0, 0, 1)).all()
    expected_u = -mesh.points[mesh.triangles][..., 0] if mirrored else mesh.points[mesh.triangles][..., 0]
    np.testing.assert_array_equal(mesh.uvs[..., 0], expected_u)


def test_concave_polygons_are_covered_exactly(tmp_path: Path) -> None:
    comb = [(0, 0), (5, 0), (5, 3), (4, 1), (3, 3), (2, 1), (1, 3), (0, 1)]
    arrow = [(10, 0), (12, 2), (10, 4), (11, 2)]
    tilt = [(x, y, 0.5 * x - 0.25 * y) for x, y in comb + arrow]

    mesh = read_quad(tmp_path, lambda _, quad: set_points(quad, tilt, [8, 4]))
    corners = mesh.points[mesh.triangles].astype(np.float64)[..., :2]
    doubled = np.cross(
        np.pad(corners[:, 1] - corners[:, 0], ((0, 0), (0, 1))),
        np.pad(corners[:, 2] - corners[:, 0], ((0, 0), (0, 1))),
    )[:, 2]
    assert len(mesh.triangles) == 6 + 2
    assert (doubled > 0).all(), "a triangle lies outside the polygon"
    # Shoelace by hand: the comb's area is 10, the arrow's is 2.
    assert doubled[:6].sum() / 2 == pytest.approx(10)
    assert doubled[6:].sum() / 2 == pytest.approx(2)
    np.testing.assert_allclose(mesh.uvs, mesh.points[mesh.triangles][..., :2], atol=1e-6)


def star(sides: int) -> np.ndarray:
    """(sides, 3): points on two circles in turn, of radius 0.5 and 1."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    radius = np.where(np.arange(sides) % 2, 1.0, 0.5)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(sides)], axis=1)


def test_a_face_of_thousands_of_sides_is_covered_exactly(tmp_path: Path) -> None:
    outline = [tuple(map(float, point)) for point in star(3000)]
    mesh = read_quad(tmp_path, lambda stage, quad: set_points(quad, outline, [3000]))
    corners = mesh.points[mesh.triangles].astype(np.float64)
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert areas.min() > -1e-7
    # 3,000 triangles from the centre, with sides 1 and 0.5 and the same angle between them.
    assert areas.sum() == pytest.approx(3000 * 0.5 * np.sin(2 * np.pi / 3000) / 2, rel=1e-4)


def test_twice_the_sides_take_twice_the_steps() -> None:
    """Minutes for a face of thousands otherwise. Every call of a function counts as a step."""

    def steps(sides: int) -> int:
        points, count = star(sides), 0

        def profile(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(profile)
        try:
            triangulate(points, np.array([sides]), np.array([0]))
        finally:
            sys.setprofile(None)
        return count

    few, many = steps(400), steps(800)
    assert few > 400
    assert many < 2.5 * few


def test_a_face_that_crosses_itself_comes_out_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = [(float(x), float(y), 0.0) for x, y in rng.random((1500, 2))]
    mesh = read_quad(tmp_path, lambda stage, quad: set_points(quad, points, [1500]))
    assert len(mesh.triangles) == 1498


def test_holes_and_faces_without_area_are_left_out_with_their_points(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        far = [(100.0, 100.0, 0.0), (101.0, 100.0, 0.0), (101.0, 101.0, 0.0)]
        near = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)]
        set_points(quad, [*far, *near, (50.0, 0.0, 0.0), (51.0, 0.0, 0.0)], [3, 3, 2])
        quad.CreateHoleIndicesAttr([0])

    mesh = read_quad(tmp_path, edit)
    assert len(mesh.triangles) == 1
    assert mesh.points.max() == 1, "the bounds are those of what is drawn"


@pytest.mark.parametrize("type_name", ["texCoord2f[]", "texCoord2h[]", "texCoord2d[]", "float2[]"])
@pytest.mark.parametrize(
    ("interpolation", "values", "indices"),
    [
        ("vertex", [(0, 0), (1, 0), (1, 1), (0, 1)], None),
        ("varying", [(1, 1), (0, 0), (1, 0)], [1, 2, 0, 1]),
        ("faceVarying", [(0, 0), (1, 0), (1, 1), (0, 1)], None),
        ("faceVarying", [(0.5, 0.25), (0, 1), (1, 0)], [2, 1, 0, 0]),
    ],
)
def test_uvs_of_every_interpolation_and_type(
    tmp_path: Path,
    type_name: str,
    interpolation: str,
    values: list[tuple[float, float]],
    indices: list[int] | None,
) -> None:
    def edit(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        stage.GetPrimAtPath("/World/Looks/Paint/Reader").GetAttribute("inputs:varname").Set("map7")
        # The face starts at point 1, so that vertex and faceVarying order differ.
        quad.GetFaceVertexIndicesAttr().Set([1, 2, 3, 0])
        primvar = UsdGeom.PrimvarsAPI(quad).CreatePrimvar(
            "map7", Sdf.ValueTypeNames.Find(type_name), interpolation
        )
        primvar.Set(values)
        if indices is not None:
            primvar.SetIndices(indices)

    mesh = read_quad(tmp_path, edit)
    flat = np.array(values, float) if indices is None else np.array(values, float)[indices]
    of_corner = flat if interpolation == "faceVarying" else flat[[1, 2, 3, 0]]
    np.testing.assert_array_equal(mesh.uvs, of_corner[[[0, 1, 2], [0, 2, 3]]])


def test_normals_authored_smooth_and_flat(tmp_path: Path) -> None:
    def roof(quad: UsdGeom.Mesh) -> None:
        # Two unit squares that meet at a right angle along the edge from point 1 to point 2.
        points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (1, 0, -1), (1, 1, -1)]
        set_points(quad, points, [])
        quad.GetFaceVertexCountsAttr().Set([4, 4])
        quad.GetFaceVertexIndicesAttr().Set([0, 1, 2, 3, 1, 4, 5, 2])
        UsdGeom.PrimvarsAPI(quad).GetPrimvar("st").Set([Gf.Vec2f(x - z, y) for x, y, z in points])

    def normals_at(folder: str, edit: Edit) -> dict[tuple[float, ...], set[tuple[float, ...]]]:
        (tmp_path / folder).mkdir()
        mesh = read_quad(tmp_path / folder, lambda s, q: (roof(q), edit(s, q))[0])
        found: dict[tuple[float, ...], set[tuple[float, ...]]] = {}
        for point, normal in zip(mesh.triangles.ravel(), mesh.normals.reshape(-1, 3), strict=True):
            key = tuple(float(v) for v in mesh.points[point])
            found.setdefault(key, set()).add(tuple(round(float(v), 4) for v in normal))
        return found

    flat = normals_at("flat", lambda s, q: None)
    assert flat[(1, 0, 0)] == {(0, 0, 1), (1, 0, 0)}
    smooth = normals_at("smooth", lambda s, q: q.GetSubdivisionSchemeAttr().Set("catmullClark"))
    assert smooth[(1, 0, 0)] == {(0.7071, 0, 0.7071)}
    assert smooth[(0, 0, 0)] == {(0, 0, 1)}

    def authored(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        quad.CreateNormalsAttr([Gf.Vec3f(0, 0, 1)] * 6)
        quad.SetNormalsInterpolation("vertex")
        own = UsdGeom.PrimvarsAPI(quad).CreatePrimvar("normals", Sdf.ValueTypeNames.Normal3fArray, "uniform")
        own.Set([Gf.Vec3f(0, 3, 3), Gf.Vec3f(3, 3, 0)])
        UsdGeom.Xformable(quad).AddScaleOp().Set(Gf.Vec3f(1, 2, 1))

    # primvars:normals wins, and a normal under scale (1, 2, 1) leans by the inverse: (0, ½, 1).
    stretched = normals_at("authored", authored)
    assert stretched[(0, 0, 0)] == {(0, 0.4472, 0.8944)}
    assert stretched[(1, 0, -1)] == {(0.8944, 0.4472, 0)}


def test_subsets_with_a_binding_are_objects_and_the_mesh_keeps_the_rest(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        points = [(x + dx, dy, 0.0) for x in range(4) for dx, dy in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))]
        set_points(quad, points, [3] * 4)
        red = define_material(stage, "/World/Looks/Red", "./color.png")
        for name, faces in (("Red", [2, 0]), ("Unbound", [1]), ("Broken", [99])):
            subset = UsdShade.MaterialBindingAPI(quad).CreateMaterialBindSubset(name, faces)
            if name != "Unbound":
                UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(red)
        UsdGeom.Subset.CreateGeomSubset(quad, "Region", "face", [3], "somethingElse")

    path = write(tmp_path, edit)
    contents, data = read_all(path)
    assert {found.path: found.material_path for found in contents.objects} == {
        "/World/Quad/Red": "/World/Looks/Red",
        "/World/Quad": "/World/Looks/Paint",
    }
    assert [skipped.path for skipped in contents.skipped] == ["/World/Quad/Broken"]
    assert set(data["/World/Quad/Red"].mesh.points[:, 0]) == {0, 1, 2, 3}
    assert set(data["/World/Quad"].mesh.points[:, 0]) == {1, 2, 3, 4}
    masked, _ = read_all(path, mask=("/World/Quad/Red",))
    assert [found.path for found in masked.objects] == ["/World/Quad/Red"]


def test_a_mesh_whose_faces_are_all_in_subsets_is_no_object(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        subset = UsdShade.MaterialBindingAPI(quad).CreateMaterialBindSubset("All", [0])
        UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(
            define_material(stage, "/World/Looks/Red", "./color.png")
        )

    contents, _ = read_all(write(tmp_path, edit))
    assert [found.path for found in contents.objects] == ["/World/Quad/All"]


def test_points_and_visibility_are_read_at_the_frame(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage, quad: UsdGeom.Mesh) -> None:
        stage.SetStartTimeCode(10)
        stage.SetEndTimeCode(20)
        move = UsdGeom.Xformable(quad).AddTranslateOp()
        move.Set(Gf.Vec3d(0, 0, 10), 10)
        move.Set(Gf.Vec3d(0, 0, 20), 20)
        quad.CreateVisibilityAttr().Set("inherited", 10)
        quad.GetVisibilityAttr().Set("invisible", 18)

    path = write(tmp_path, edit)
    for frame, depth in ((None, 10), (10.0, 10), (15.0, 15)):
        _, data = read_all(path, frame=frame)
        assert (data["/World/Quad"].mesh.points[:, 2] == depth).all()
    contents, _ = read_all(path, frame=20.0)
    assert contents.objects == ()
    assert "invisible" in contents.skipped[0].reason
