"""Meshes without UVs, colours of primvars and skinned meshes before Storm."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import problems
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from skeletons import add_skeleton, animate

from usdstylize.model.base_colors import ConstantColor, DisplayColor
from usdstylize.usd import read as reading
from usdstylize.usd import verify

from .storm_results import (
    SIZE,
    STYLE,
    ZOOM,
    Array,
    T,
    bilinear,
    decode,
    encode,
    material,
    render,
    smooth,
    stylize,
    texels_in_picture,
)
from .storm_scenes import Paint, add_material, add_mesh, bind, make_stage, write_image

pytestmark = pytest.mark.storm

SOFT = np.random.default_rng(3).uniform(-0.3, 0.3) + smooth(11, -0.25, 0.25)
"""A T_S that changes slowly, so that the GPU's eight bits of a filter weight play no part."""


def picture_uvs(root: Path, width: int) -> Array:
    """(width, width, 2): the UV under every pixel, from the mesh as the optimiser has it."""
    contents = reading.discover(root)
    mesh = reading.load(contents, contents.objects[0]).mesh
    middle = ((np.arange(width) + 0.5) / width) * 2 - 1
    x, y = np.meshgrid(middle, middle[::-1])
    corners, uvs = mesh.points[mesh.triangles[0]][:, :2].astype(np.float64), mesh.uvs[0].astype(np.float64)
    shares = np.linalg.solve(
        np.vstack([corners.T, np.ones(3)]), np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    )
    found: Array = (shares.T @ uvs).reshape(width, width, 2)
    return found


def between_corners(values: Array, width: int) -> Array:
    """Values (3, C) at the corners of the triangle, under every pixel; worked out apart from any texture."""
    middle = ((np.arange(width) + 0.5) / width) * 2 - 1
    x, y = np.meshgrid(middle, middle[::-1])
    second, third = (x + 2) / 8, (y + 2) / 8
    result: Array = np.stack([1 - second - third, second, third], axis=-1) @ values
    return result


COLORS: dict[str, tuple[str, list[tuple[float, float, float]], list[int] | None]] = {
    "constant": ("constant", [(0.3, 0.5, 0.1)], None),
    "uniform": ("uniform", [(0.6, 0.2, 0.1)], None),
    "uniform, indexed": ("uniform", [(0.1, 0.9, 0.9), (0.2, 0.3, 0.7)], [1]),
    "vertex": ("vertex", [(0.9, 0.1, 0.2), (0.2, 0.8, 0.1), (0.1, 0.3, 0.9)], None),
    "vertex, indexed": ("vertex", [(0.1, 0.3, 0.9), (0.9, 0.1, 0.2)], [0, 1, 0]),
    "faceVarying": ("faceVarying", [(0.2, 0.8, 0.1), (0.9, 0.1, 0.2), (0.1, 0.3, 0.9)], None),
    "faceVarying, indexed": ("faceVarying", [(0.8, 0.8, 0.1), (0.1, 0.2, 0.3)], [0, 1, 1]),
}


@pytest.fixture(scope="module", params=[True, False], ids=["with UVs", "without UVs"])
def colored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Array]]:
    """Live, bake, strength 0, `original` and the source lit, T + T_S and T of every kind of displayColor."""
    folder = tmp_path_factory.mktemp("colors")
    jobs: list[dict[str, Any]] = []
    expected: dict[str, list[Array]] = {}
    for number, (name, (interpolation, values, indices)) in enumerate(COLORS.items()):
        path = folder / f"case{number}" / "case.usda"
        path.parent.mkdir()
        source = make_stage(path, None, uv_range=(0.4, 0.5))
        mesh = UsdGeom.Mesh.Get(source, "/World/Triangle")
        if not request.param:
            UsdGeom.PrimvarsAPI(mesh).RemovePrimvar("st")
        color = mesh.CreateDisplayColorPrimvar(interpolation)
        color.Set([Gf.Vec3f(*value) for value in values])
        if indices is not None:
            color.SetIndices(indices)
        mesh.CreateDisplayOpacityPrimvar("constant").Set([1.0])
        source.Save()
        root, obj = stylize(path, style=SOFT)
        assert obj.unwrapped != request.param
        assert isinstance(obj.base, ConstantColor if interpolation == "constant" else DisplayColor)
        opened = Usd.Stage.Open(str(root))
        opacity = UsdGeom.Mesh.Get(opened, "/World/Triangle").GetDisplayOpacityAttr()
        assert [spec.layer.identifier for spec in opacity.GetPropertyStack()] == [str(path)]
        corner = np.array(values)[indices] if indices is not None else np.array(values)
        corner = np.repeat(corner, 3, axis=0) if len(corner) == 1 else corner
        linear = between_corners(corner, SIZE * ZOOM)
        total = np.clip(encode(linear) + bilinear(SOFT, picture_uvs(path, SIZE * ZOOM)), 0, 1)
        expected[name] = [decode(total), linear]
        common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
        jobs += [
            dict(common),
            common | {"preview": True},
            common | {"values": {f"{material(obj)}.inputs:strength": 0.0}},
            {"stage": str(root), "width": SIZE, "variants": {material(obj): "original"}},
            {"stage": str(path), "width": SIZE},
        ]
    pictures = render(folder, jobs)
    return {name: [*pictures[5 * n : 5 * n + 5], *expected[name]] for n, name in enumerate(COLORS)}


@pytest.mark.parametrize("name", COLORS)
def test_a_display_color_becomes_the_base(name: str, colored: dict[str, list[Array]]) -> None:
    live, bake, zero, original, source, total, plain = colored[name]
    across, down = np.meshgrid(np.arange(SIZE * ZOOM), np.arange(SIZE * ZOOM))
    aside = np.abs(across - down) > 2
    assert np.abs(live - total)[aside].max() <= 0.002
    assert np.abs(bake - total)[aside].max() <= 0.008
    assert np.abs(zero - plain)[aside].max() <= 0.002
    assert source.std() > 0 or name == "constant"
    assert np.abs(original - source).max() <= 1e-4


def test_a_subset_shows_the_colors_of_its_mesh(tmp_path: Path) -> None:
    """A GeomSubset inherits constants only, but what is drawn of it has all primvars of its mesh."""
    source = make_stage(tmp_path / "subset.usda", None, uv_range=(0.4, 0.5))
    mesh = UsdGeom.Mesh.Get(source, "/World/Triangle")
    colors = np.array([(0.9, 0.1, 0.2), (0.2, 0.8, 0.1), (0.1, 0.3, 0.9)])
    mesh.CreateDisplayColorPrimvar("vertex").Set([Gf.Vec3f(*color) for color in colors])
    look = UsdShade.Material.Define(source, "/World/Looks/Colors")
    surface = UsdShade.Shader.Define(source, "/World/Looks/Colors/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    reader = UsdShade.Shader.Define(source, "/World/Looks/Colors/Reader")
    reader.CreateIdAttr("UsdPrimvarReader_float3")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("displayColor")
    reader.CreateInput("fallback", Sdf.ValueTypeNames.Float3).Set(Gf.Vec3f(0.5))
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        reader.CreateOutput("result", Sdf.ValueTypeNames.Float3)
    )
    look.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    subset = UsdGeom.Subset.CreateGeomSubset(mesh, "all", UsdGeom.Tokens.face, [0], "materialBind")
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(look)
    source.Save()
    root, obj = stylize(tmp_path / "subset.usda", style=SOFT)
    assert (obj.path, obj.base) == ("/World/Triangle/all", DisplayColor("vertex", "displayColor"))
    width = SIZE * ZOOM
    shown = {"width": width, "unlit": True}
    jobs = [
        shown | {"stage": str(tmp_path / "subset.usda")},
        shown | {"stage": str(root)},
        shown | {"stage": str(root), "preview": True},
    ]
    plain, live, bake = render(tmp_path, jobs)
    linear = between_corners(colors, width)
    uvs = picture_uvs(tmp_path / "subset.usda", width)
    total = decode(np.clip(encode(linear) + bilinear(SOFT, uvs), 0, 1))
    across, down = np.meshgrid(np.arange(width), np.arange(width))
    aside = np.abs(across - down) > 2
    assert np.abs(plain - linear).max() <= 0.002
    assert np.abs(live - total)[aside].max() <= 0.002
    assert np.abs(bake - total)[aside].max() <= 0.008


def test_the_texture_of_a_skinned_mesh_holds_over_the_animation(tmp_path: Path) -> None:
    """A triangle on a joint that moves by a quarter of the picture: the sum moves along with it."""
    write_image(tmp_path / "T.png", T)
    source = make_stage(tmp_path / "figure.usda", Paint("./T.png"))
    source.SetStartTimeCode(1)
    source.SetEndTimeCode(9)
    source.GetPrimAtPath("/World").SetTypeName("SkelRoot")
    skeleton = add_skeleton(source, "/World/Skeleton", UsdGeom.Mesh.Get(source, "/World/Triangle"))
    animate(skeleton, "/World/Animation", {1: (0, 0, 0), 9: (0.5, 0, 0)})
    source.Save()
    root, _ = stylize(tmp_path / "figure.usda")
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    jobs = [common | {"frame": frame, "preview": preview} for frame in (1, 9) for preview in (False, True)]
    centred, rows, columns = texels_in_picture(SIZE * ZOOM, 0.0, 1.0, None)
    total = decode(np.clip(T + STYLE, 0, 1))
    for number, picture in enumerate(render(tmp_path, jobs)):
        moved = 0 if number < 2 else SIZE // 4
        shown = centred & (columns >= moved + 1)
        assert shown.sum() > SIZE * SIZE // 2
        difference = np.abs(picture - total[rows, columns - moved])
        assert difference[shown].max() <= (0.008 if number % 2 else 0.002)


GLASS, BEHIND = (0.2, 0.5, 0.8), (0.8, 0.1, 0.1)
OPACITIES: dict[str, tuple[str, list[float]]] = {
    "constant": ("constant", [0.5]),
    "invisible": ("constant", [0.0]),
    "uniform": ("uniform", [0.25]),
    "vertex": ("vertex", [0.25, 0.75, 0.5]),
    "faceVarying": ("faceVarying", [0.5, 0.25, 0.75]),
}


@pytest.fixture(scope="module")
def translucent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Array]]:
    """A mesh without a material before a red one: source, original, strength 0 and bake, all lit; then
    live and bake unlit.
    """
    folder = tmp_path_factory.mktemp("opacity")
    jobs: list[dict[str, Any]] = []
    for name, (interpolation, values) in OPACITIES.items():
        path = folder / name / "case.usda"
        path.parent.mkdir()
        source = make_stage(path, None, uv_range=(0.4, 0.5))
        mesh = UsdGeom.Mesh.Get(source, "/World/Triangle")
        mesh.CreateDisplayColorPrimvar("constant").Set([Gf.Vec3f(*GLASS)])
        mesh.CreateDisplayOpacityPrimvar(interpolation).Set(values)
        back = add_mesh(source, [(-2, -2), (6, -2), (-2, 6)], "st", (0, 1), path="/World/Back")
        UsdGeom.XformCommonAPI(back).SetTranslate(Gf.Vec3d(0, 0, -1))
        bind(back.GetPrim(), add_material(source, "/World/Looks/Back", Paint(constant=BEHIND)))
        source.Save()
        root, obj = stylize(path, style=np.zeros((4, 4, 3)))
        assert [str(check) for check in verify.verify(root).failed] == []
        assert problems(root) == []
        common = {"stage": str(root), "width": SIZE}
        original = common | {"variants": {material(obj): "original"}}
        zero = common | {"values": {f"{material(obj)}.inputs:strength": 0.0}}
        bake = common | {"preview": True}
        jobs += [{"stage": str(path), "width": SIZE}, original, zero, bake]
        jobs += [job | {"unlit": True} for job in (zero, bake)]
    pictures = render(folder, jobs)
    return {name: pictures[6 * n : 6 * n + 6] for n, name in enumerate(OPACITIES)}


@pytest.mark.parametrize("name", OPACITIES)
def test_a_mesh_without_a_material_stays_as_translucent_as_it_was(
    name: str, translucent: dict[str, list[Array]]
) -> None:
    """Storm covers 4 samples of a pixel, so the source shows opacities of 0.25 · n exactly."""
    source, original, zero, bake, *unlit = translucent[name]
    values = OPACITIES[name][1]
    opacity = between_corners(np.resize(values, (3, 1)), SIZE)
    glass, behind = np.array(GLASS), np.array(BEHIND)
    covered = glass * opacity + behind * (1 - opacity)
    # MaterialX lets emission through undimmed, where there is any surface.
    added = glass * (opacity > 0) + behind * (1 - opacity)
    for picture, expected, tolerance in zip(unlit, (added, covered), (0.002, 0.008), strict=True):
        # Between vertices llvmpipe spoils a few pixels of any picture that blends, the source's, too.
        assert np.quantile(np.abs(picture - expected), 0.95) <= tolerance
    # Storm lights a mesh without a material in its own way; the live network has its highlight undimmed.
    rounded = 0.0 if len(values) == 1 else 0.06
    assert np.nanmax(np.abs(original - source)) <= 0.002  # the red one behind is a live network
    for picture, tolerance in ((zero, 0.06 + rounded), (bake, 0.03 + rounded)):
        assert np.nanmedian(np.abs(picture - source)) <= tolerance
