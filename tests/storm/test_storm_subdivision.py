"""Refinement against Storm's own (OpenSubdiv): surface and UVs, at every rule for UV borders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from scipy import ndimage

from usdstylize.config.options import StageOptions
from usdstylize.imaging import uv_raster
from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.usd import read as reading
from usdstylize.usd import write

from .storm_results import Array, bilinear, decode, encode, render
from .storm_scenes import Paint, make_stage, write_image
from .test_storm_geometry import SOFT

pytestmark = pytest.mark.storm

WIDTH = 96
RULES = ["none", "cornersOnly", "cornersPlus1", "cornersPlus2", "boundaries", "all"]


def add_patch(source: Usd.Stage, *, rule: str, boundary: str, uvs: str, creases: bool) -> None:
    """A flat, uneven grid of faces in the picture; its UVs are seamed, and meet in a corner of three."""
    source.RemovePrim("/World/Triangle")
    mesh = UsdGeom.Mesh.Define(source, "/World/Patch")
    side = 4
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, side), np.linspace(-0.9, 0.9, side))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    points += np.random.default_rng(4).uniform(-0.12, 0.12, points.shape)
    faces = [
        [r * side + c, r * side + c + 1, (r + 1) * side + c + 1, (r + 1) * side + c]
        for r in range(3)
        for c in range(3)
    ]
    # One is split into triangles, two are joined to a hexagon.
    faces[4:5] = [[faces[4][0], faces[4][1], faces[4][2]], [faces[4][0], faces[4][2], faces[4][3]]]
    faces[0:2] = [[faces[0][0], faces[0][1], faces[1][1], faces[1][2], faces[0][2], faces[0][3]]]
    regions = [0, 0, 1, 2, 2, 0, 1, 1, 2]
    mesh.CreatePointsAttr([Gf.Vec3f(float(a), float(b), 0) for a, b in points])
    mesh.CreateFaceVertexCountsAttr([len(face) for face in faces])
    mesh.CreateFaceVertexIndicesAttr([index for face in faces for index in face])
    mesh.CreateExtentAttr([Gf.Vec3f(-1.1, -1.1, 0), Gf.Vec3f(1.1, 1.1, 0)])
    mesh.CreateSubdivisionSchemeAttr("catmullClark")
    mesh.CreateInterpolateBoundaryAttr(boundary)
    mesh.CreateFaceVaryingLinearInterpolationAttr(rule)
    if creases:
        mesh.CreateCreaseIndicesAttr([4, 5, 6, 9, 13])
        mesh.CreateCreaseLengthsAttr([3, 2])
        mesh.CreateCreaseSharpnessesAttr([10.0, 1.5])
        mesh.CreateCornerIndicesAttr([10])
        mesh.CreateCornerSharpnessesAttr([10.0])
    flat = 0.5 + 0.25 * points + 0.1 * points[:, ::-1] ** 2
    texture_coordinates = Sdf.ValueTypeNames.TexCoord2fArray
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", texture_coordinates, uvs)
    if uvs != "faceVarying":
        st.Set([Gf.Vec2f(*map(float, uv)) for uv in flat])
    else:
        # Each region's UVs lie a little aside of the others'.
        keys = [(index, region) for face, region in zip(faces, regions, strict=True) for index in face]
        order = sorted(set(keys))
        moved = [flat[index] + (0.12 * region - 0.1, 0.05 * region) for index, region in order]
        st.Set([Gf.Vec2f(*map(float, uv)) for uv in moved])
        st.SetIndices([order.index(key) for key in keys])
    paint = UsdShade.Material.Get(source, "/World/Looks/Paint")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(paint)


def read_picture(path: Path, levels: int) -> tuple[Array, Array]:
    """The UVs that our refinement shows in every pixel, and which pixels it covers."""
    contents = reading.discover(path, StageOptions(refine=levels))
    mesh = reading.load(contents, contents.objects[0]).mesh
    in_picture = mesh.points[mesh.triangles][..., :2] / 2 + 0.5
    triangles, shares = uv_raster.rasterize(in_picture, WIDTH)
    shown = np.einsum("hwc,hwcu->hwu", shares, mesh.uvs[triangles])
    return shown.astype(np.float64), triangles >= 0


DEFAULTS = {"rule": "cornersPlus1", "boundary": "edgeAndCorner", "uvs": "faceVarying", "creases": False}
CASES: dict[str, dict[str, Any]] = {
    **{f"seams, {rule}": {"rule": rule} for rule in RULES},
    "creases": {"creases": True},
    "edgeOnly": {"boundary": "edgeOnly"},
    "vertex UVs": {"uvs": "vertex"},
    "varying UVs": {"uvs": "varying"},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Array]]:
    folder = tmp_path_factory.mktemp("subdivision")
    ramp = (np.arange(64) + 0.5) / 64
    u, v = np.meshgrid(ramp, ramp[::-1])
    write_image(folder / "ramp.exr", np.stack([u, v, np.full_like(u, 0.5)], axis=-1))
    jobs: list[dict[str, Any]] = []
    paths = []
    for number, case in enumerate(CASES.values()):
        path = folder / f"case{number}.usda"
        source = make_stage(path, Paint("./ramp.exr", color_space="raw", wrap=("clamp", "clamp")))
        settings = {
            "rule": "cornersPlus1",
            "boundary": "edgeAndCorner",
            "uvs": "faceVarying",
            "creases": False,
        }
        add_patch(source, **(settings | case))
        source.Save()
        paths.append(path)
        jobs.append({"stage": str(path), "width": WIDTH, "unlit": True, "complexity": 1.3})
    return dict(zip(CASES, zip(paths, render(folder, jobs), strict=True), strict=True))


def away_from_seams(shown: Array, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose neighbours are covered, too, and show UVs near to theirs."""
    contrast = ndimage.maximum_filter(shown, (3, 3, 1)) - ndimage.minimum_filter(shown, (3, 3, 1))
    away: NDArray[np.bool_] = ndimage.binary_erosion(covered, np.ones((3, 3))) & (
        contrast.max(axis=-1) < 0.03
    )
    return away


@pytest.mark.parametrize("name", CASES)
def test_refined_surface_and_uvs_are_those_of_the_viewer(
    name: str, pictures: dict[str, tuple[Path, Array]]
) -> None:
    path, storm = pictures[name]
    shown, covered = read_picture(path, 3)
    drawn = storm[..., 2] > 0.25
    assert (covered != drawn).mean() < 0.01, "the outline differs"
    compared = away_from_seams(shown, covered & drawn)
    assert compared.sum() > 0.6 * drawn.sum()
    # Half a hundredth of the texture where a quad's diagonal runs the other way, elsewhere nothing.
    difference = np.abs(storm[..., :2] - shown)[compared].max(axis=-1)
    assert difference.max() <= 0.007
    assert np.percentile(difference, 99) <= 0.002
    cage, cage_covered = read_picture(path, 0)
    aside = np.abs(storm[..., :2] - cage)[compared & cage_covered].max(axis=-1)
    assert np.percentile(aside, 80) > 0.004, "refinement changes nothing"


@pytest.mark.parametrize("refined", [0, 2])
def test_the_style_lies_right_at_every_complexity(tmp_path: Path, refined: int) -> None:
    """Whether the cage or a refined surface was looked at: the sum shows at the UVs that Storm draws."""
    ramp = (np.arange(64) + 0.5) / 64
    u, v = np.meshgrid(ramp, ramp[::-1])
    write_image(tmp_path / "ramp.exr", np.stack([u, v, np.full_like(u, 0.5)], axis=-1))
    path = tmp_path / "patch.usda"
    source = make_stage(path, Paint("./ramp.exr", color_space="raw", wrap=("clamp", "clamp")))
    add_patch(source, **DEFAULTS)  # type: ignore[arg-type]
    source.Save()
    contents = reading.discover(path, StageOptions(refine=refined))
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    (obj,) = contents.objects
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        image = SOFT.astype(np.float32)
        texture = StyleTexture((image,), 1.0, 1, 0, 0.0, Losses({}, 0))
        writer.write_object(obj, reading.load(contents, obj), texture)
        root = writer.commit({})
    jobs = [
        {"stage": str(path if kind == "source" else root), "preview": kind == "bake"}
        | {"width": 2 * WIDTH, "unlit": True, "complexity": complexity}
        for complexity in (1.0, 1.1)
        for kind in ("source", "live", "bake")
    ]
    pictures = render(tmp_path, jobs)
    for plain, live, bake in (pictures[:3], pictures[3:]):
        # The source paints its own UVs: red is u, green is v.
        inside = away_from_seams(plain[..., :2], plain[..., 2] > 0.25)
        assert inside.mean() > 0.5
        total = decode(np.clip(encode(plain) + bilinear(SOFT, plain[..., :2]), 0, 1))
        # render.py says what happens to MaterialX along the edges of triangles, of which there are many.
        difference = np.abs(live - total)[inside].max(axis=-1)
        assert np.percentile(difference, 85) <= 0.002
        assert np.abs(bake - total)[inside].max() <= 0.008
    low, high = pictures[0], pictures[3]
    assert np.abs(low - high).max() > 0.1, "refinement changes nothing"
