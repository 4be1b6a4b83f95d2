"""Storm's pixels of a mix: clamp(T + Σ strength · T_S) by hand, live, baked, and as its dials are turned."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from author_results import hold
from conftest import unchanged
from mtlx_scenes import From, add_mtlx_material, image, uv
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

import usdstylize
from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.usd import read, write

from .storm_results import SIZE, STYLE, ZOOM, Array, T, bilinear, decode, encode, noise, render
from .storm_scenes import CAMERA, Paint, add_material, bind, make_stage, write_image

pytestmark = pytest.mark.storm

INK = STYLE
GOUACHE = noise(31, -0.7, 0.7)[: SIZE // 2, : SIZE // 2].astype(np.float16).astype(np.float64)
"""Half as many texels on a side as T and ink have."""
BAKED = {"ink": 0.7, "gouache": 0.6}
CONSTANT = (0.2, 0.5, 0.8)

BASES = {
    (0, 0): T,
    (0, 1): np.broadcast_to(encode(np.array(CONSTANT)), T.shape),
    **dict.fromkeys([(0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)], T),
}
"""T of each cell of the picture, by row and column."""
UDIM = [(2, 1), (2, 2)]
"""The cells that show a bake, whatever is asked for."""


def add_quads(stage: Usd.Stage, path: str, *cells: tuple[int, int], tiles: bool = False) -> UsdGeom.Mesh:
    """A mesh of a quad in each cell, which UVs 0..1 cover; with tiles each in a UDIM tile of its own."""
    points, uvs = [], []
    for number, (row, column) in enumerate(cells):
        for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)):
            points.append(Gf.Vec3f(column + x - 1.5, 0.5 - row + y, 0))
            uvs.append(Gf.Vec2f(x + (number if tiles else 0), y))
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(points)
    mesh.CreateFaceVertexCountsAttr([4] * len(cells))
    mesh.CreateFaceVertexIndicesAttr(list(range(len(points))))
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    st.Set(uvs)
    return mesh


def make_source(folder: Path) -> Path:
    """Three cells by three: a texture, a constant, MaterialX, two instances, two subsets, two UDIM tiles."""
    for name in ("T", "T.1001", "T.1002"):
        write_image(folder / f"{name}.png", T)
    asset = Usd.Stage.CreateNew(str(folder / "asset.usda"))
    asset.SetDefaultPrim(UsdGeom.Xform.Define(asset, "/Asset").GetPrim())
    add_quads(asset, "/Asset/Quad", (1, 0))
    bind(asset.GetPrimAtPath("/Asset/Quad"), add_material(asset, "/Asset/Looks/Paint", Paint("./T.png")))
    asset.Save()

    stage = make_stage(folder / "mix.usda", Paint("./T.png"))
    stage.RemovePrim("/World/Triangle")
    camera = UsdGeom.Camera.Get(stage, CAMERA)
    camera.GetHorizontalApertureAttr().Set(30.0)
    camera.GetVerticalApertureAttr().Set(30.0)
    paint = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    flat = add_material(stage, "/World/Looks/Flat", Paint(constant=CONSTANT))
    mtlx = add_mtlx_material(
        stage, "/World/Looks/M", From("A"), {"UV": uv(), "A": image("./T.png")}, graph="Graph"
    )
    for cell, material in (((0, 0), paint), ((0, 1), flat), ((0, 2), mtlx)):
        bind(add_quads(stage, f"/World/Quad{cell[1]}", cell).GetPrim(), material)
    for number in range(2):
        instance = UsdGeom.Xform.Define(stage, f"/World/A{number}")
        instance.AddTranslateOp().Set(Gf.Vec3d(number, 0, 0))
        instance.GetPrim().GetReferences().AddReference("./asset.usda")
        instance.GetPrim().SetInstanceable(True)
    split = add_quads(stage, "/World/Split", (1, 2), (2, 0))
    for number in range(2):
        subset = UsdShade.MaterialBindingAPI.Apply(split.GetPrim()).CreateMaterialBindSubset(
            f"half{number}", [number]
        )
        bind(subset.GetPrim(), paint)
    tiles = add_material(stage, "/World/Looks/Tiles", Paint("./T.<UDIM>.png", wrap=("clamp", "clamp")))
    bind(add_quads(stage, "/World/Tiles", *UDIM, tiles=True).GetPrim(), tiles)
    stage.Save()
    return folder / "mix.usda"


def two_styles(source: Path) -> Path:
    contents = read.discover(source)
    assert [str(skipped) for skipped in contents.skipped if skipped.broken] == []
    for name, style in (("ink", INK), ("gouache", GOUACHE)):
        plan = write.plan(contents, name, output=None, force=False, resume=False)
        with write.Writer(plan, contents, strength=1.0, network="both") as writer:
            for obj in contents.objects:
                images = (style.astype(np.float32),) * (len(obj.tiles) or 1)
                texture = StyleTexture(images, 1.0, 1, 0, 0.0, Losses({}, 0))
                writer.write_object(obj, read.load(contents, obj), texture)
            root = writer.commit({})
    return root


def by_hand(base: Array, strengths: Mapping[str, float]) -> Array:
    """(SIZE, SIZE, 3) linear, at T's texel centres. base: T, sRGB-encoded."""
    middle = (np.arange(SIZE) + 0.5) / SIZE
    gouache = bilinear(GOUACHE, np.stack(np.meshgrid(middle, middle[::-1]), axis=-1))
    return decode(np.clip(base + strengths["ink"] * INK + strengths["gouache"] * gouache, 0, 1))


def difference(picture: Array, cell: tuple[int, int], reference: Array) -> float:
    """The largest at the texel centres that neither the outline nor the diagonal of a quad touches."""
    row, column = cell[0] * SIZE, cell[1] * SIZE
    shown = picture[1::ZOOM, 1::ZOOM][row : row + SIZE, column : column + SIZE]
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    inside = (np.minimum(across, down) > 0) & (np.maximum(across, down) < SIZE - 1)
    inside &= (np.abs(across - down) > 1) & (np.abs(SIZE - 1 - across - down) > 1)
    return float(np.abs(shown - reference)[inside].max())


def test_a_mix_shows_the_clamped_sum_and_follows_its_dials(tmp_path: Path) -> None:
    folder = tmp_path / "shot"
    folder.mkdir()
    root = two_styles(make_source(folder))
    with unchanged(*folder.glob("*.png"), folder / "mix.usda", folder / "asset.usda"):
        mixed = usdstylize.mix(root, BAKED)
        hold(root)
    assert len(mixed.objects) == 7
    opened = Usd.Stage.Open(str(root))
    inside = Usd.PrimRange.Stage(opened, Usd.PrimAllPrimsPredicate)
    dials = [f"{prim.GetPath()}.inputs:strength_{style}" for prim in inside for style in BAKED
             if prim.IsA(UsdShade.Material) and not prim.IsInPrototype()]  # fmt: skip
    dials = [path for path in dials if opened.GetAttributeAtPath(path)]
    turned = [
        BAKED,
        {"ink": 1.5, "gouache": 0.0},
        {"ink": 0.0, "gouache": 1.25},
        {"ink": 0.0, "gouache": 0.0},
    ]
    common = {"stage": str(root), "width": 3 * SIZE * ZOOM, "unlit": True}
    jobs = [common | {"values": {path: dial[path.rpartition("_")[2]] for path in dials}} for dial in turned]
    *live, bake = render(tmp_path, [*jobs, common | {"preview": True}])
    for cell, base in BASES.items():
        assert difference(bake, cell, by_hand(base, BAKED)) <= 0.008, cell
        for picture, strengths in zip(live, turned, strict=True):
            if cell in UDIM:
                assert difference(picture, cell, by_hand(base, BAKED)) <= 0.008, cell
            else:
                assert difference(picture, cell, by_hand(base, strengths)) <= 0.002, (cell, strengths)
