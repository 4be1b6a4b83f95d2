"""Blender shows the bake: its own USD importer, rendered by Cycles, against NumPy.

Max abs in linear 0.01 at texel centres. Blender reads UsdPreviewSurface only, so the live network is
no matter here. Where its importer cannot show a thing of the source, a test shows that on the
source itself.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pxr import Gf, UsdGeom, UsdShade

from usdstylize import Options

from .blender_results import render
from .storm_results import SIZE, STYLE, ZOOM, Array, T, decode, encode, fold, stylize, texels_in_picture
from .storm_scenes import Paint, add_material, add_mesh, bind, make_stage, write_image
from .test_storm import TRANSFORM, encoded_base
from .test_storm_groups import TILES, author_all, away_from_edges, codes, signed, square
from .test_storm_uvs import MIRRORED, MOVE, QUARTER, set_uv_type
from .test_storm_uvs import WIDE as STRETCH

pytestmark = pytest.mark.storm

TOLERANCE = 0.01
WIDE = (-1.0, 2.0)


class Case(NamedTuple):
    paint: Paint | None
    """None: displayColor."""
    uv_range: tuple[float, float] = (0.0, 1.0)
    uv_type: str = "texCoord2f[]"


SHOWN = {
    "sRGB texture": Case(Paint("./T.png")),
    "raw texture with scale and bias": Case(
        Paint("./T.png", color_space="raw", scale=(0.8, 0.5, 0.3, 1), bias=(0.1, 0, 0.02, 0))
    ),
    "half texture": Case(Paint("./T.exr", color_space="raw")),
    "grey texture": Case(Paint("./grey.png")),
    "constant": Case(Paint(constant=(0.2, 0.5, 0.8))),
    "transform": Case(Paint("./T.png", transform=TRANSFORM)),
    "chain of transforms": Case(Paint("./T.png", transform=(MOVE, QUARTER, STRETCH))),
    "negative scale": Case(Paint("./T.png", transform=MIRRORED)),
    "repeat": Case(Paint("./T.png"), WIDE),
    "mirror": Case(Paint("./T.png", wrap=("mirror", "mirror")), WIDE),
    "clamp": Case(Paint("./T.png", wrap=("clamp", "clamp")), WIDE),
    "black": Case(Paint("./T.png", wrap=("black", "black")), WIDE),
    "far outside": Case(Paint("./T.png"), (100.0, 101.0)),
    "primvar map1": Case(Paint("./T.png", primvar="map1")),
    "texCoord2h": Case(Paint("./T.png", primvar="UVMap"), uv_type="texCoord2h[]"),
    "texCoord2d": Case(Paint("./T.png"), uv_type="texCoord2d[]"),
    "float2": Case(Paint("./T.png"), uv_type="float2[]"),
    "node graph with interface": Case(Paint("./T.png", primvar="uv2", behind_graph=True)),
    "displayColor": Case(None),
}
NOT_SHOWN = {
    "another wrap mode in s than in t": Case(Paint("./T.png", wrap=("black", "repeat")), WIDE),
    "half2": Case(Paint("./T.png"), uv_type="half2[]"),
    "double2": Case(Paint("./T.png", primvar="map1"), uv_type="double2[]"),
}
"""What Blender's importer gets wrong in any stage: its image node has one wrap mode for both axes, and
of the UVs that are no texCoord it reads float2 only."""


def references(name: str, case: Case) -> tuple[Any, Array, Array]:
    """Pixels to compare, and linear references of clamp(T + T_S) and of T there."""
    paint, width = case.paint, picture_width(case)
    centred, rows, columns = texels_in_picture(width, *case.uv_range, paint.transform if paint else None)
    wrap_s, wrap_t = paint.wrap if paint else ("repeat", "repeat")
    columns, inside_s = fold(columns, wrap_s)
    rows, inside_t = fold(rows, wrap_t)
    inside = (inside_s & inside_t)[..., None]
    base = encoded_base(name, paint)
    both = (decode(np.clip(image, 0, 1))[rows, columns] * inside for image in (base + STYLE, base))
    return centred, *both


def picture_width(case: Case) -> int:
    stretched = case.paint is not None and case.paint.transform is not None
    return SIZE * ZOOM * (3 if stretched else round(case.uv_range[1] - case.uv_range[0]))


def make_case(folder: Path, case: Case) -> tuple[Path, Path]:
    """The stylised stage of a case and its source, in a new folder."""
    folder.mkdir()
    write_image(folder / "T.png", T)
    write_image(folder / "T.exr", T)
    write_image(folder / "grey.png", T[..., :1])
    source = make_stage(folder / "case.usda", case.paint, uv_range=case.uv_range)
    if case.paint is not None and case.uv_type != "texCoord2f[]":
        set_uv_type(source, case.paint.primvar, case.uv_type)
    if case.paint is None:
        colors = UsdGeom.Mesh.Get(source, "/World/Triangle").CreateDisplayColorPrimvar("vertex")
        colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1)])
    source.Save()
    # The triangle repeats over itself, for which new UVs would be made; what is drawn here is T at st.
    own: dict[str, Any] = {"base": T, "unwrapped": False, "uv_primvar": "st"} if case.paint is None else {}
    return stylize(folder / "case.usda", **own)[0], folder / "case.usda"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Array, Array]]:
    """The bake and the source of every case."""
    folder = tmp_path_factory.mktemp("blender")
    jobs = []
    for number, case in enumerate((SHOWN | NOT_SHOWN).values()):
        stages = make_case(folder / f"case{number}", case)
        jobs += [{"stage": str(stage), "width": picture_width(case)} for stage in stages]
    found = render(folder, jobs)
    return dict(zip(SHOWN | NOT_SHOWN, zip(found[::2], found[1::2], strict=True), strict=True))


@pytest.mark.parametrize("name", SHOWN)
def test_blender_shows_the_bake(name: str, pictures: Any) -> None:
    centred, reference, _ = references(name, SHOWN[name])
    assert centred.sum() >= SIZE * (SIZE - 1)
    assert np.abs(pictures[name][0] - reference)[centred].max() <= TOLERANCE


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_blender_gets_the_source_itself_wrong(name: str, pictures: Any) -> None:
    """If this fails, Blender has learnt it: move the case to SHOWN and mend docs/fidelity.md."""
    centred, reference, plain = references(name, NOT_SHOWN[name])
    assert np.abs(pictures[name][1] - plain)[centred].max() > 0.1
    assert np.abs(pictures[name][0] - reference)[centred].max() > 0.1


def test_blender_shows_each_subset(tmp_path: Path) -> None:
    write_image(tmp_path / "T.png", T)
    source = make_stage(tmp_path / "subsets.usda", Paint("./T.png"))
    source.RemovePrim("/World/Triangle")
    left_and_right = [(0, -9), (0, 9), (-9, 0), (0, 9), (0, -9), (9, 0)]
    mesh = add_mesh(source, left_and_right, "st", (0.0, 1.0))
    colors = {"left": encode(np.array((0.1, 0.4, 0.7))), "right": T}
    for index, name in enumerate(colors):
        subset = UsdGeom.Subset.CreateGeomSubset(
            mesh, name, UsdGeom.Tokens.face, [index], "materialBind", UsdGeom.Tokens.nonOverlapping
        )
        paint = Paint(constant=(0.1, 0.4, 0.7)) if name == "left" else Paint("./T.png")
        bind(subset.GetPrim(), add_material(source, f"/World/Looks/{name}", paint))
    source.Save()
    root, _ = stylize(tmp_path / "subsets.usda")
    bake = render(tmp_path, [{"stage": str(root), "width": SIZE * ZOOM}])[0][1::ZOOM, 1::ZOOM]
    across = np.arange(SIZE)[None, :, None]
    base = np.where(across < SIZE // 2, colors["left"], colors["right"])
    aside = np.abs(across[0, :, 0] - (SIZE - 1) / 2) > 1
    assert np.abs(bake - decode(np.clip(base + STYLE, 0, 1)))[:, aside].max() <= TOLERANCE


def test_blender_shows_each_tile_of_a_udim_set(tmp_path: Path) -> None:
    for number, tile in enumerate(TILES):
        write_image(tmp_path / f"T.{tile}.png", codes(number))
    source = make_stage(tmp_path / "udim.usda", Paint("./T.<UDIM>.png", wrap=("clamp", "clamp")))
    source.RemovePrim("/World/Triangle")
    corners = [corner for v in (-1, 0) for u in (-1, 0) for corner in square(u, v, 1)]
    mesh = add_mesh(source, corners, "st", (0.0, 2.0))
    bind(mesh.GetPrim(), UsdShade.Material.Get(source, "/World/Looks/Paint"))
    source.Save()
    root = author_all(tmp_path / "udim.usda", Options())
    bake = render(tmp_path, [{"stage": str(root), "width": 2 * SIZE * ZOOM}])[0][1::ZOOM, 1::ZOOM]
    for number, (row, column) in enumerate(((1, 0), (1, 1), (0, 0), (0, 1))):
        part = bake[row * SIZE : (row + 1) * SIZE, column * SIZE : (column + 1) * SIZE]
        reference = decode(np.clip(codes(number) + signed(number), 0, 1))
        assert np.abs(part - reference)[away_from_edges(SIZE)].max() <= TOLERANCE


@pytest.mark.parametrize("kind", ["instances", "point instancer"])
def test_blender_shows_instances(kind: str, tmp_path: Path) -> None:
    """The left half of the picture by one instance, the right half by another."""
    write_image(tmp_path / "T.png", T)
    model = make_stage(tmp_path / "model.usda", Paint("./T.png"))
    model.RemovePrim("/World/Triangle")
    model.RemovePrim("/World/Camera")
    corners: list[tuple[float, float]] = [(-1, -1), (0, -1), (-1, 1), (0, 1), (-1, 1), (0, -1)]
    mesh = add_mesh(model, corners, "st", (0.0, 1.0))
    bind(mesh.GetPrim(), UsdShade.Material.Get(model, "/World/Looks/Paint"))
    model.Save()
    shot = make_stage(tmp_path / "shot.usda", None)
    shot.RemovePrim("/World/Triangle")
    if kind == "instances":
        for name, x in (("A", 0), ("B", 1)):
            prim = UsdGeom.Xform.Define(shot, f"/World/{name}")
            prim.AddTranslateOp().Set(Gf.Vec3d(x, 0, 0))
            prim.GetPrim().GetReferences().AddReference("./model.usda")
            prim.GetPrim().SetInstanceable(True)
    else:
        instancer = UsdGeom.PointInstancer.Define(shot, "/World/Many")
        shot.DefinePrim("/World/Many/Prototype").GetReferences().AddReference("./model.usda")
        instancer.CreatePrototypesRel().SetTargets(["/World/Many/Prototype"])
        instancer.CreateProtoIndicesAttr([0, 0])
        instancer.CreatePositionsAttr([(0, 0, 0), (1, 0, 0)])
    shot.Save()
    root, _ = stylize(tmp_path / "shot.usda")
    bake = render(tmp_path, [{"stage": str(root), "width": SIZE * ZOOM}])[0][1::ZOOM, 1::ZOOM]
    half = SIZE // 2
    reference = decode(np.clip(T + STYLE, 0, 1))[:, :half]
    inside = away_from_edges(SIZE)[:, :half] & (np.arange(half) < half - 1)
    inside &= np.abs(2 * np.arange(half) - (SIZE - 1 - np.arange(SIZE))[:, None]) > 3
    assert inside.sum() > SIZE * SIZE / 5
    for part in (bake[:, :half], bake[:, half:]):
        assert np.abs(part - reference)[inside].max() <= TOLERANCE
