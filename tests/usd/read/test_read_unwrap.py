"""Meshes without UVs: unwrapped by xatlas, the new primvar in the style layer alone."""

import sys
from pathlib import Path

import numpy as np
import pytest
from author_results import bound, discover, problems, write_result
from conftest import define_material, define_quad, unchanged
from encoded import encoded_bases
from numpy.typing import NDArray
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from usdstylize.config.options import StageOptions
from usdstylize.imaging import uv_raster
from usdstylize.imaging.encoding import srgb_to_linear
from usdstylize.model.base_colors import ConstantColor, DisplayColor
from usdstylize.model.objects import ObjectData, StageObject
from usdstylize.usd import read as reading

RED = (0.6, 0.1, 0.05)


def new_stage(path: Path) -> Usd.Stage:
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    return stage


def define_mesh(
    stage: Usd.Stage, path: str, points: NDArray[np.float64], faces: list[list[int]]
) -> UsdGeom.Mesh:
    """A mesh without UVs, red by displayColor."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr([Gf.Vec3f(*map(float, point)) for point in points])
    mesh.CreateFaceVertexCountsAttr([len(face) for face in faces])
    mesh.CreateFaceVertexIndicesAttr([index for face in faces for index in face])
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(mesh.GetPointsAttr().Get()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr([Gf.Vec3f(*RED)])
    return mesh


def bumpy_torus() -> tuple[NDArray[np.float64], list[list[int]]]:
    """Quads that are not flat, so that an unwrapper wants to tear them, and two that make a hexagon."""
    around, along = 24, 16
    u, v = np.meshgrid(np.arange(around), np.arange(along), indexing="ij")
    a, b = u * 2 * np.pi / around, v * 2 * np.pi / along
    radius = 0.4 + 0.12 * np.sin(5 * a) * np.cos(4 * b)
    ring = 1 + radius * np.cos(b)
    points = np.stack([ring * np.cos(a), radius * np.sin(b), ring * np.sin(a)], axis=-1).reshape(-1, 3)

    def at(i: int, j: int) -> int:
        return i % around * along + j % along

    faces = [
        [at(i, j), at(i, j + 1), at(i + 1, j + 1), at(i + 1, j)] for i in range(around) for j in range(along)
    ]
    first, second = faces.pop(0), faces.pop(0)
    return points, [*faces, [first[0], first[1], second[1], second[2], second[3], first[3]]]


def torus_stage(folder: Path) -> Path:
    stage = new_stage(folder / "torus.usda")
    define_mesh(stage, "/World/Torus", *bumpy_torus())
    stage.Save()
    return folder / "torus.usda"


def load_one(path: Path, frame: float | None = None) -> tuple[StageObject, ObjectData]:
    contents = reading.discover(path, StageOptions(frame=frame))
    assert [skipped.reason for skipped in contents.skipped] == []
    return contents.objects[0], reading.load(contents, contents.objects[0])


def uv_areas(uvs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed areas (F,) of UV triangles (F, 3, 2)."""
    first, second = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    return (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def test_polygons_stay_whole_do_not_overlap_and_keep_their_size(tmp_path: Path) -> None:
    obj, data = load_one(torus_stage(tmp_path))
    assert obj.unwrapped
    assert data.new_uvs is not None
    # One UV per face corner is what indices are; the triangles of a face must use those.
    assert len(data.new_uvs.indices) == 4 * (24 * 16 - 2) + 6
    uvs = data.mesh.uvs.astype(np.float64)
    assert uvs.min() > 0
    assert uvs.max() < 1
    areas = uv_areas(uvs)
    assert (areas > 0).all(), "a triangle has no area or is mirrored"
    # Independent of areas: texels under any triangle. Overlap would make them fewer than the areas' sum.
    shown = (uv_raster.rasterize(uvs, 1024)[0] >= 0).mean()
    assert areas.sum() == pytest.approx(shown, rel=0.01)
    assert shown > 0.35, "the atlas is mostly empty"
    corners = data.mesh.points[data.mesh.triangles].astype(np.float64)
    sizes = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    stretch = np.sqrt(areas / sizes)
    assert np.percentile(stretch, 90) / np.percentile(stretch, 10) < 1.5


def test_charts_have_gutters(tmp_path: Path) -> None:
    uvs = load_one(torus_stage(tmp_path))[1].mesh.uvs
    # A chart is what hangs together by common UVs.
    vertices = np.unique(uvs.reshape(-1, 2), axis=0, return_inverse=True)[1].reshape(-1, 3)
    links = coo_array((np.ones(vertices.size), (vertices.ravel(), np.roll(vertices, 1, axis=1).ravel())))
    chart_of_vertex = connected_components(links, directed=False)[1]
    triangles = uv_raster.rasterize(uvs, 1024)[0]
    charts = np.where(triangles >= 0, chart_of_vertex[vertices[triangles, 0]], -1)
    assert len(np.unique(charts)) > 10
    nearest = min(
        ndimage.distance_transform_edt(charts != one)[(charts >= 0) & (charts != one)].min()
        for one in np.unique(charts[charts >= 0])
    )
    assert nearest >= 5, "texels between two charts"


def test_the_same_mesh_gives_the_same_uvs_at_every_frame(tmp_path: Path) -> None:
    path = torus_stage(tmp_path)
    stage = Usd.Stage.Open(str(path))
    points = UsdGeom.Mesh.Get(stage, "/World/Torus").GetPointsAttr()
    rest = points.Get()
    points.Set(rest, 1)
    points.Set([p * (1 + p[1]) for p in rest], 9)
    stage.Save()
    first, again, later = (load_one(path, frame)[1] for frame in (1.0, 1.0, 9.0))
    assert first.new_uvs
    assert again.new_uvs
    assert later.new_uvs
    for other in (again.new_uvs, later.new_uvs):
        np.testing.assert_array_equal(first.new_uvs.values, other.values)
        np.testing.assert_array_equal(first.new_uvs.indices, other.indices)
    assert not np.array_equal(first.mesh.points, later.mesh.points)


def test_faces_that_change_over_time_are_refused(tmp_path: Path) -> None:
    stage = new_stage(tmp_path / "melt.usda")
    mesh = define_mesh(stage, "/World/Melt", np.eye(3), [[0, 1, 2]])
    points = [Gf.Vec3f(*map(float, point)) for point in [*np.eye(3), np.zeros(3)]]
    for frame, counts, indices in ((1, [3], [0, 1, 2]), (2, [3, 3], [0, 1, 2, 0, 3, 1])):
        mesh.GetPointsAttr().Set(points, frame)
        mesh.GetFaceVertexCountsAttr().Set(counts, frame)
        mesh.GetFaceVertexIndicesAttr().Set(indices, frame)
    stage.Save()
    with pytest.raises(reading.loading.MeshError, match="faces that change over time"):
        load_one(tmp_path / "melt.usda", 2.0)


def test_the_style_layer_brings_the_uvs_and_nothing_else_changes(tmp_path: Path) -> None:
    path = torus_stage(tmp_path)
    with unchanged(tmp_path, may_add=True):
        root = write_result(path, "ink")
        assert write_result(path, "gouache", seed=2) == root
    assert problems(root) == []
    opened = Usd.Stage.Open(str(root))
    mesh = opened.GetPrimAtPath("/World/Torus")
    new = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("stylizeSt")
    assert str(new.GetTypeName()) == "texCoord2f[]"
    assert new.GetInterpolation() == "faceVarying"
    assert [spec.layer.identifier for spec in new.GetAttr().GetPropertyStack()] == [
        str(root.with_name("torus.style.usda"))
    ]
    data = load_one(path)[1]
    assert data.new_uvs is not None
    flat = np.array(new.ComputeFlattened())
    np.testing.assert_allclose(flat, data.new_uvs.values[data.new_uvs.indices], atol=1e-6)
    reader = next(
        UsdShade.Shader(prim)
        for prim in Usd.PrimRange(opened.GetPrimAtPath(bound(opened, "/World/Torus")))
        if prim.GetName() == "StylizedCoordinates"
    )
    assert reader.GetInput("varname").Get() == "stylizeSt"


def test_each_subset_gets_a_whole_texture_and_taken_names_are_left_alone(tmp_path: Path) -> None:
    path = torus_stage(tmp_path)
    stage = Usd.Stage.Open(str(path))
    mesh = UsdGeom.Mesh.Get(stage, "/World/Torus")
    taken = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("stylizeSt", Sdf.ValueTypeNames.Float, "constant")
    taken.Set(1.0)
    green = UsdShade.Material.Define(stage, "/World/Looks/Green")
    surface = UsdShade.Shader.Define(stage, "/World/Looks/Green/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set((0.1, 0.6, 0.2))
    green.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    api = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    api.SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.nonOverlapping)
    subset = api.CreateMaterialBindSubset("Half", list(range(200)))
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(green)
    stage.Save()
    contents = discover(path)
    found = {obj.path: obj for obj in contents.objects}
    assert found["/World/Torus"].uv_primvar == "stylizeSt2"
    assert found["/World/Torus/Half"].uv_primvar == "stylizeSt_Half"
    assert found["/World/Torus/Half"].base == ConstantColor(pytest.approx((0.1, 0.6, 0.2)))  # type: ignore[arg-type]
    for obj in contents.objects:
        uvs = reading.load(contents, obj).mesh.uvs
        assert uvs.max() > 0.9, "each fills a texture of its own"
        assert uvs.min() > 0
    assert problems(write_result(path)) == []


def paint_with_texture(stage: Usd.Stage, folder: Path) -> UsdShade.Material:
    """A palette of four pure colours, two by two; linear file, so that codes are values."""
    codes = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]], np.uint8)
    Image.fromarray(codes).save(folder / "palette.png")
    material = define_material(stage, "/World/Looks/Palette", "./palette.png")
    texture = stage.GetPrimAtPath("/World/Looks/Palette/Texture")
    texture.GetAttribute("inputs:sourceColorSpace").Set("raw")
    for wrap in ("wrapS", "wrapT"):
        texture.GetAttribute(f"inputs:{wrap}").Set("clamp")
    return material


def test_uvs_that_only_pick_a_palette_colour_count_as_none(tmp_path: Path) -> None:
    """Every face of a box reads one point of a palette: T becomes that colour on that face."""
    stage = new_stage(tmp_path / "palette.usda")
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    mesh = define_mesh(stage, "/World/Box", corners, faces)
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(paint_with_texture(stage, tmp_path))
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "uniform")
    places = [(0.25, 0.75), (0.75, 0.75), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
    st.Set([Gf.Vec2f(*place) for place in places])
    stage.Save()
    obj, data = load_one(tmp_path / "palette.usda")
    assert isinstance(obj.base, DisplayColor)
    assert "primvars:st that span no area" in " ".join(obj.notes)
    expected = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (1, 0, 0), (0, 1, 0)]
    base = encoded_bases(data)[0]
    middles = data.mesh.uvs.mean(axis=1)
    rows = ((1 - middles[:, 1]) * len(base)).astype(int)
    shown = base[rows, (middles[:, 0] * len(base)).astype(int)]
    np.testing.assert_allclose(shown, np.repeat(expected, 2, axis=0), atol=1e-3)
    assert problems(write_result(tmp_path / "palette.usda")) == []


@pytest.mark.parametrize("layout", ["apart", "overlapping", "tiled"])
def test_colours_of_points_need_uvs_that_share_no_texel(tmp_path: Path, layout: str) -> None:
    stage = new_stage(tmp_path / "colors.usda")
    points = np.array(
        [(x, y, 0) for x in (0, 1) for y in (0, 1)] + [(x, y, 0) for x in (2, 3) for y in (0, 1)], float
    )
    mesh = define_mesh(stage, "/World/Pair", points, [[0, 2, 3, 1], [4, 6, 7, 5]])
    mesh.CreateDisplayColorPrimvar("vertex").Set([Gf.Vec3f(*RED)] * 4 + [Gf.Vec3f(0, 0, 1)] * 4)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    scale = {"apart": (1 / 3, 1), "overlapping": (1, 1), "tiled": (1, 1)}[layout]
    places = points[:, :2] * scale
    if layout == "overlapping":
        places[4:, 0] -= 2
        places /= 2
    st.Set([Gf.Vec2f(*map(float, place)) for place in places])
    stage.Save()
    obj, data = load_one(tmp_path / "colors.usda")
    assert obj.unwrapped == (layout != "apart")
    base, middles = encoded_bases(data)[0], data.mesh.uvs.mean(axis=1) % 1
    rows = ((1 - middles[:, 1]) * len(base)).astype(int)
    shown = srgb_to_linear(base[rows, (middles[:, 0] * len(base)).astype(int)])
    np.testing.assert_allclose(shown, [RED, RED, (0, 0, 1), (0, 0, 1)], atol=1e-3)
    assert ("lay several faces over each other" in " ".join(obj.notes)) == obj.unwrapped


def test_a_texture_on_a_mesh_without_any_uvs_is_one_colour_and_is_remarked(tmp_path: Path) -> None:
    stage = new_stage(tmp_path / "bare.usda")
    define_quad(stage, "/World/Quad", paint_with_texture(stage, tmp_path), uvs=False)
    stage.Save()
    obj, data = load_one(tmp_path / "bare.usda")
    assert obj.unwrapped
    assert "single colour" in " ".join(obj.notes)
    # Viewers read a missing primvar as (0, 0): the bottom left of the palette is blue.
    assert np.abs(encoded_bases(data)[0] - (0, 0, 1)).max() < 1e-3


def test_without_xatlas_the_reason_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xatlas", None)
    contents = reading.discover(torus_stage(tmp_path))
    assert contents.objects == ()
    assert "usdstylize[unwrap]" in contents.skipped[0].reason
    assert contents.skipped[0].broken


def test_uvs_of_an_earlier_style_are_never_replaced(tmp_path: Path) -> None:
    path = torus_stage(tmp_path)
    write_result(path, "ink")
    stage = Usd.Stage.Open(str(path))
    points = UsdGeom.Mesh.Get(stage, "/World/Torus").GetPointsAttr()
    points.Set([Gf.Vec3f(p[0] * 3, p[1], p[2]) for p in points.Get()])
    stage.Save()
    with pytest.raises(reading.loading.MeshError, match="another way for an earlier style"):
        write_result(path, "gouache")
    root = write_result(path, "ink", force=True)  # alone, it may be made anew
    data = load_one(path)[1]
    assert data.new_uvs is not None
    opened = Usd.Stage.Open(str(root))
    written = UsdGeom.PrimvarsAPI(opened.GetPrimAtPath("/World/Torus")).GetPrimvar("stylizeSt")
    np.testing.assert_allclose(
        written.ComputeFlattened(), data.new_uvs.values[data.new_uvs.indices], atol=1e-6
    )


def test_instances_share_the_unwrapped_prototype(tmp_path: Path) -> None:
    torus_stage(tmp_path)
    stage = new_stage(tmp_path / "set.usda")
    for name in ("A", "B"):
        prim = stage.DefinePrim(f"/World/{name}", "Xform")
        prim.GetReferences().AddReference("./torus.usda")
        prim.SetInstanceable(True)
    stage.Save()
    root = write_result(tmp_path / "set.usda")
    assert problems(root) == []
    opened = Usd.Stage.Open(str(root))
    assert len(opened.GetPrototypes()) == 1
    for name in ("A", "B"):
        mesh = opened.GetPrimAtPath(f"/World/{name}/Torus")
        assert mesh.IsInstanceProxy()
        assert UsdGeom.PrimvarsAPI(mesh).GetPrimvar("stylizeSt").GetInterpolation() == "faceVarying"
