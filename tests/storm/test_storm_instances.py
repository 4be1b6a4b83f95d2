"""Instances in Storm: each shows the sum of what it shares, wherever and however it stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.config.options import StageOptions
from usdstylize.model.objects import Losses, StageObject, StyleTexture
from usdstylize.usd import read, write

from .storm_results import SIZE, STYLE, ZOOM, Array, T, decode, noise, render
from .storm_scenes import CAMERA, Paint, add_material, bind, write_image

pytestmark = pytest.mark.storm

OTHER = np.rint(noise(21, 0, 1) * 255) / 255
"""Codes of a second texture."""
OTHER_STYLE = noise(22, -0.7, 0.7).astype(np.float16).astype(np.float64)
LOWER_LEFT, LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT = (-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)
"""Centres of the quarters of the picture, each the size of one quad."""
Quarter = tuple[float, float]


def new_stage(path: Path, root: str) -> Usd.Stage:
    write_image(path.parent / "T.png", T)
    write_image(path.parent / "other.png", OTHER)
    opened = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(opened, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(opened, 1.0)
    opened.SetDefaultPrim(UsdGeom.Xform.Define(opened, root).GetPrim())
    return opened


def new_shot(folder: Path) -> Usd.Stage:
    shot = new_stage(folder / "shot.usda", "/World")
    camera = UsdGeom.Camera.Define(shot, CAMERA)
    camera.CreateProjectionAttr(UsdGeom.Tokens.orthographic)
    camera.CreateHorizontalApertureAttr(20.0)
    camera.CreateVerticalApertureAttr(20.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.1, 100))
    camera.AddTranslateOp().Set(Gf.Vec3d(0, 0, 5))
    return shot


def add_quad(opened: Usd.Stage, path: str, material: UsdShade.Material | None) -> None:
    """A unit quad around the origin, UVs 0..1."""
    mesh = UsdGeom.Mesh.Define(opened, path)
    corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    mesh.CreatePointsAttr([Gf.Vec3f(x, y, 0) for x, y in corners])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    mesh.CreateExtentAttr([Gf.Vec3f(-0.5, -0.5, 0), Gf.Vec3f(0.5, 0.5, 0)])
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    st.Set([Gf.Vec2f(x + 0.5, y + 0.5) for x, y in corners])
    if material is not None:
        bind(mesh.GetPrim(), material)


def make_asset(folder: Path, name: str, texture: str | None) -> str:
    opened = new_stage(folder / f"{name}.usda", "/Asset")
    material = add_material(opened, "/Asset/Looks/Paint", Paint(texture)) if texture else None
    add_quad(opened, "/Asset/Quad", material)
    opened.Save()
    return f"./{name}.usda"


def add_instance(opened: Usd.Stage, path: str, asset: str, at: Quarter = (0.0, 0.0)) -> Usd.Prim:
    xform = UsdGeom.Xform.Define(opened, path)
    xform.AddTranslateOp().Set(Gf.Vec3d(*at, 0))
    xform.GetPrim().GetReferences().AddReference(asset)
    xform.GetPrim().SetInstanceable(True)
    return xform.GetPrim()


def is_other(obj: StageObject) -> bool:
    return getattr(obj.base, "asset_path", "") == "./other.png"


def stylize(folder: Path, styles: Mapping[str, Array] | None = None, **how: Any) -> Path:
    """T_S by the object's path; else OTHER_STYLE goes with the other texture, STYLE with T."""
    contents = read.discover(folder / "shot.usda", StageOptions(**how))
    assert not any(skipped.broken for skipped in contents.skipped)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for obj in contents.objects:
            style = (styles or {}).get(obj.path, OTHER_STYLE if is_other(obj) else STYLE)
            texture = StyleTexture((style.astype(np.float32),), 1.0, 1, 0, 0.0, Losses({}, 0))
            writer.write_object(obj, read.load(contents, obj), texture)
        return writer.commit({})


def quarter(picture: Array, at: Quarter) -> Array:
    """The texels that a quarter shows, one pixel each."""
    width = SIZE * ZOOM
    left, top = (0 if at[0] < 0 else width), (width if at[1] < 0 else 0)
    return picture[top : top + width, left : left + width][1::ZOOM, 1::ZOOM]


def hold(folder: Path, root: Path, wanted: Mapping[Quarter, Array], *, source_is_right: bool = True) -> None:
    """Live network and bake in every quarter; and ``original`` is lit as the source is."""
    common: dict[str, Any] = {"stage": str(root), "width": 2 * SIZE * ZOOM}
    opened = Usd.Stage.Open(str(root))
    looks = [str(prim.GetPath()) for prim in opened.GetPrimAtPath("/World/StylizedLooks").GetChildren()]
    live, bake, original, source = render(
        folder,
        [
            common | {"unlit": True},
            common | {"unlit": True, "preview": True},
            common | {"variants": dict.fromkeys(looks, "original")},
            common | {"stage": str(folder / "shot.usda")},
        ],
    )
    # Away from the edges of the two triangles of each quad.
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    aside = (np.abs(SIZE - 1 - across - down) > 1) & (np.minimum(across, down) > 0)
    aside &= np.maximum(across, down) < SIZE - 1
    for at, total in wanted.items():
        reference = decode(np.clip(total, 0, 1))
        assert np.abs(quarter(live, at) - reference)[aside].max() <= 0.002, at
        assert np.abs(quarter(bake, at) - reference)[aside].max() <= 0.008, at
    if source_is_right:
        assert np.abs(original - source).max() <= 1e-4
    assert source.std() > 0


def test_instances_and_nested_instances(tmp_path: Path) -> None:
    inner = make_asset(tmp_path, "inner", "./T.png")
    outer = new_stage(tmp_path / "outer.usda", "/Outer")
    add_instance(outer, "/Outer/Inner", inner, UPPER_LEFT)
    add_quad(outer, "/Outer/Board/Quad", add_material(outer, "/Outer/Looks/Board", Paint("./other.png")))
    UsdGeom.Xform.Define(outer, "/Outer/Board").AddTranslateOp().Set(Gf.Vec3d(*LOWER_RIGHT, 0))
    outer.Save()
    shot = new_shot(tmp_path)
    add_instance(shot, "/World/A1", inner, LOWER_LEFT)
    add_instance(shot, "/World/A2", inner, UPPER_RIGHT)
    add_instance(shot, "/World/B1", "./outer.usda")
    add_instance(shot, "/World/B2", "./outer.usda", (9.0, 9.0))
    shot.Save()
    root = stylize(tmp_path)
    same = dict.fromkeys((LOWER_LEFT, UPPER_RIGHT, UPPER_LEFT), T + STYLE)
    hold(tmp_path, root, same | {LOWER_RIGHT: OTHER + OTHER_STYLE})


def test_point_instancer_prototypes(tmp_path: Path) -> None:
    """One in place, one a mere over elsewhere, one an instance."""
    asset = make_asset(tmp_path, "asset", "./T.png")
    shot = new_shot(tmp_path)
    instancer = UsdGeom.PointInstancer.Define(shot, "/World/Grass")
    other = add_material(shot, "/World/Looks/Other", Paint("./other.png"))
    add_quad(shot, "/World/Grass/Protos/Blade", other)
    add_quad(shot, "/World/Library/Leaf", add_material(shot, "/World/Looks/Leaf", Paint("./T.png")))
    shot.GetRootLayer().GetPrimAtPath("/World/Library").specifier = Sdf.SpecifierOver
    add_instance(shot, "/World/Grass/Protos/Rock", asset)
    prototypes = ["/World/Grass/Protos/Blade", "/World/Library/Leaf", "/World/Grass/Protos/Rock"]
    instancer.CreatePrototypesRel().SetTargets(prototypes)
    instancer.CreateProtoIndicesAttr([0, 1, 2, 0])
    quarters = [LOWER_LEFT, LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT]
    instancer.CreatePositionsAttr([Gf.Vec3f(*at, 0) for at in quarters])
    shot.Save()
    leaf = noise(23, -0.7, 0.7).astype(np.float16).astype(np.float64)
    root = stylize(tmp_path, {"/World/Library/Leaf": leaf})
    sums = [OTHER + OTHER_STYLE, T + leaf, T + STYLE, OTHER + OTHER_STYLE]
    hold(tmp_path, root, dict(zip(quarters, sums, strict=True)))


@pytest.mark.parametrize("where", ["on each", "strong on each", "strong above"])
def test_looks_by_bindings_above(tmp_path: Path, where: str) -> None:
    """One prototype in two materials, bound outside of it; also where they beat what is inside."""
    asset = make_asset(tmp_path, "asset", None if where == "on each" else "./T.png")
    shot = new_shot(tmp_path)
    quarters = [LOWER_LEFT, LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT]
    strength = UsdShade.Tokens.weakerThanDescendants
    if where != "on each":
        strength = UsdShade.Tokens.strongerThanDescendants
    for name, texture, numbers in (("Red", "./T.png", (0, 3)), ("Blue", "./other.png", (1, 2))):
        group = UsdGeom.Xform.Define(shot, f"/World/{name}").GetPrim()
        material = add_material(shot, f"/World/Looks/{name}", Paint(texture))
        if where == "strong above":
            UsdShade.MaterialBindingAPI.Apply(group).Bind(material, strength)
        for number in numbers:
            prim = add_instance(shot, f"/World/{name}/A{number}", asset, quarters[number])
            if where != "strong above":
                UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, strength)
    shot.Save()
    root = stylize(tmp_path)
    red, blue = T + STYLE, OTHER + OTHER_STYLE
    wanted = dict(zip(quarters, [red, blue, blue, red], strict=True))
    # Storm never looks above an instance for a stronger binding: it shows the source wrongly.
    hold(tmp_path, root, wanted, source_is_right=where == "on each")


def test_a_hero_beside_those_that_share(tmp_path: Path) -> None:
    asset = make_asset(tmp_path, "asset", "./T.png")
    shot = new_shot(tmp_path)
    quarters = [LOWER_LEFT, LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT]
    for number, at in enumerate(quarters):
        add_instance(shot, f"/World/A{number}", asset, at)
    shot.Save()
    root = stylize(tmp_path, {"/World/A0/Quad": OTHER_STYLE}, per_instance=("/World/A0",))
    hold(tmp_path, root, dict.fromkeys(quarters, T + STYLE) | {LOWER_LEFT: T + OTHER_STYLE})
