"""UVs of every kind in Storm: live network and bake show the optimiser's own sum where the source shows T."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from .storm_results import (
    SIZE,
    STYLE,
    ZOOM,
    Array,
    T,
    bilinear,
    decode,
    fold,
    material,
    render,
    smooth,
    stylize,
    texels_in_picture,
)
from .storm_scenes import Paint, add_mesh, add_texture, make_stage, write_image

pytestmark = pytest.mark.storm

QUARTER = {"scale": (1.0, 1.0), "rotation": 90.0, "translation": (0.0, 0.0)}
MOVE = {"scale": (1.0, 1.0), "rotation": 0.0, "translation": (0.25, 0.125)}
WIDE = {"scale": (3.0, 1.0), "rotation": 0.0, "translation": (0.0, 0.0)}
TURN = {"scale": (1.0, 1.0), "rotation": 45.0, "translation": (0.0, 0.0)}
SHEAR = ({**TURN, "rotation": 45.0}, {**TURN, "scale": (2.0, 1.0), "rotation": -45.0})
"""Turn, stretch, turn back: no single UsdTransform2d does that."""
MIRRORED = {"scale": (-1.0, -1.0), "rotation": 0.0, "translation": (0.5, 0.25)}


@dataclass(frozen=True)
class Case:
    paint: Paint
    uv_range: tuple[float, float] = (0.0, 1.0)
    uv_type: str = "texCoord2f[]"
    pixels: int = 1
    """Times SIZE · ZOOM: how wide the picture is."""
    least: int = SIZE * (SIZE - 1)
    """Pixels at texel centres that the picture must have."""
    source_fails: bool = False
    """Storm draws the source itself wrongly: of several UsdTransform2d it knows only one."""
    bake_fails: bool = False
    """And the bake, where they cannot be joined."""


CASES = {
    "st0": Case(Paint("./T.png", primvar="st0")),
    "texCoord2h": Case(Paint("./T.png", primvar="UVMap"), uv_type="texCoord2h[]"),
    "texCoord2d": Case(Paint("./T.png"), uv_type="texCoord2d[]"),
    "float2": Case(Paint("./T.png"), uv_type="float2[]"),
    "half2": Case(Paint("./T.png"), uv_type="half2[]"),
    "double2": Case(Paint("./T.png", primvar="map1"), uv_type="double2[]"),
    "chain of three": Case(Paint("./T.png", transform=(MOVE, QUARTER, WIDE)), pixels=3, source_fails=True),
    "chain in another order": Case(
        Paint("./T.png", transform=(WIDE, QUARTER, MOVE)), pixels=3, source_fails=True
    ),
    "chain that shears": Case(
        Paint("./T.png", transform=SHEAR), least=SIZE * SIZE // 3, source_fails=True, bake_fails=True
    ),
    "negative scale": Case(Paint("./T.png", transform=MIRRORED)),
    "negative scale, mirror": Case(
        Paint("./T.png", transform=MIRRORED, wrap=("mirror", "mirror")), (-1, 1), pixels=2
    ),
    "tiled": Case(Paint("./T.png"), (-1.0, 2.0), pixels=3),
    "mirror": Case(Paint("./T.png", wrap=("mirror", "mirror")), (-1.0, 2.0), pixels=3),
    "clamp": Case(Paint("./T.png", wrap=("clamp", "clamp")), (-1.0, 2.0), pixels=3),
    "black": Case(Paint("./T.png", wrap=("black", "black")), (-1.0, 2.0), pixels=3),
    "useMetadata": Case(Paint("./T.png", wrap=("useMetadata", "useMetadata")), (-1.0, 2.0), pixels=3),
    "far outside": Case(Paint("./T.png"), (100.0, 101.0)),
    "far outside, negative, mirror": Case(Paint("./T.png", wrap=("mirror", "repeat")), (-64.0, -63.0)),
}


def set_uv_type(source: Usd.Stage, name: str, type_name: str) -> None:
    """The UVs in another type; those of half precision per vertex, the only way that Storm draws them."""
    mesh = source.GetPrimAtPath("/World/Triangle")
    old = UsdGeom.PrimvarsAPI(mesh).GetPrimvar(name)
    values, indices = [tuple(uv) for uv in old.Get()], old.GetIndices()
    mesh.RemoveProperty(old.GetName())
    interpolation = "vertex" if "2h" in type_name or "half" in type_name else "faceVarying"
    new = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(name, Sdf.ValueTypeNames.Find(type_name), interpolation)
    new.Set(values)
    new.SetIndices(indices)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Array]]:
    folder = tmp_path_factory.mktemp("storm_uvs")
    jobs, keys = [], []
    for number, (name, case) in enumerate(CASES.items()):
        here = folder / f"case{number}"
        here.mkdir()
        write_image(here / "T.png", T)
        source = make_stage(here / "case.usda", case.paint, uv_range=case.uv_range)
        if case.uv_type != "texCoord2f[]":
            set_uv_type(source, case.paint.primvar, case.uv_type)
        source.Save()
        root, obj = stylize(here / "case.usda")
        common = {"stage": str(root), "width": SIZE * ZOOM * case.pixels, "unlit": True}
        keys += [(name, kind) for kind in ("live", "bake", "zero", "source")]
        jobs += [
            dict(common),
            common | {"preview": True},
            common | {"values": {f"{material(obj)}.inputs:strength": 0.0}},
            common | {"stage": str(here / "case.usda")},
        ]
    found: dict[str, dict[str, Array]] = {name: {} for name in CASES}
    for (name, kind), picture in zip(keys, render(folder, jobs), strict=True):
        found[name][kind] = picture
    return found


def shown(case: Case) -> tuple[NDArray[np.bool_], Array, Array]:
    """Pixels at texel centres, and what they show of clamp(T + T_S) and of T, linear, by hand."""
    wrap_s, wrap_t = ("black" if mode == "useMetadata" else mode for mode in case.paint.wrap)
    centred, rows, columns = texels_in_picture(
        SIZE * ZOOM * case.pixels, *case.uv_range, case.paint.transform
    )
    columns, inside_s = fold(columns, wrap_s)
    rows, inside_t = fold(rows, wrap_t)
    inside = (inside_s & inside_t)[..., None]
    return (
        centred,
        decode(np.clip(T + STYLE, 0, 1))[rows, columns] * inside,
        decode(T)[rows, columns] * inside,
    )


@pytest.mark.parametrize("name", CASES)
def test_uvs_of_every_kind_show_the_sum(name: str, pictures: dict[str, dict[str, Array]]) -> None:
    centred, total, plain = shown(CASES[name])
    assert centred.sum() >= CASES[name].least
    assert np.abs(pictures[name]["live"] - total)[centred].max() <= 0.002
    if not CASES[name].bake_fails:
        assert np.abs(pictures[name]["bake"] - total)[centred].max() <= 0.008
    # The source itself, too, so that the reference is not only our reading of the specification.
    assert np.abs(pictures[name]["zero"] - plain)[centred].max() <= 0.002
    if not CASES[name].source_fails:
        assert np.abs(pictures[name]["source"] - plain)[centred].max() <= 0.002


def add_second_uvs(source: Usd.Stage, name: str) -> None:
    """A second UV set on the triangle: u and v are swapped, so that each set shows another picture."""
    mesh = source.GetPrimAtPath("/World/Triangle")
    first = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").ComputeFlattened()
    second = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(name, Sdf.ValueTypeNames.TexCoord2fArray, "faceVarying")
    second.Set([Gf.Vec2f(uv[1], uv[0]) for uv in first])


def test_each_texture_of_a_material_reads_its_own_uv_set(tmp_path: Path) -> None:
    """Base at st1, emission and roughness at st: lit by Storm like the source."""
    codes = np.rint(smooth(5, 0.2, 0.8) * 255) / 255
    write_image(tmp_path / "T.png", codes)
    write_image(tmp_path / "glow.png", smooth(7, 0.0, 0.5))
    write_image(tmp_path / "rough.png", smooth(8, 0.3, 0.9))
    source = make_stage(tmp_path / "sets.usda", Paint("./T.png"))
    add_second_uvs(source, "st1")
    where = "/World/Looks/Paint"
    UsdShade.Shader.Get(source, f"{where}/BaseReader").GetInput("varname").Set("st1")
    surface = UsdShade.Shader.Get(source, f"{where}/Surface")
    float3, single, color = Sdf.ValueTypeNames.Float3, Sdf.ValueTypeNames.Float, Sdf.ValueTypeNames.Color3f
    glow = add_texture(source, where, "Glow", "./glow.png", "sRGB", "st").CreateOutput("rgb", float3)
    rough = add_texture(source, where, "Rough", "./rough.png", "raw", "st").CreateOutput("g", single)
    surface.CreateInput("emissiveColor", color).ConnectToSource(glow)
    surface.CreateInput("roughness", single).ConnectToSource(rough)
    glow_set = UsdShade.Shader.Get(source, f"{where}/GlowReader").GetInput("varname")
    glow_set.Set("st1")
    source.GetRootLayer().Export(str(tmp_path / "swapped.usda"))
    glow_set.Set("st")
    source.Save()
    root, obj = stylize(tmp_path / "sets.usda")
    assert obj.uv_primvar == "st1"
    common = {"stage": str(root), "width": SIZE * ZOOM}
    zero, original, swapped, live, bake = render(
        tmp_path,
        [
            common | {"values": {f"{material(obj)}.inputs:strength": 0.0}},
            common | {"stage": str(tmp_path / "sets.usda")},
            common | {"stage": str(tmp_path / "swapped.usda")},
            common | {"unlit": True},
            common | {"unlit": True, "preview": True},
        ],
    )
    across, down = np.meshgrid(np.arange(SIZE * ZOOM), np.arange(SIZE * ZOOM))
    aside = np.abs(across - down) > 2
    limit = 0.02 * original[aside].mean()
    assert np.abs(zero - original)[aside].mean() <= limit
    assert np.abs(swapped - original)[aside].mean() > 3 * limit, "the picture would not show a wrong set"
    # u is v and v is u, so that row and column change places, counted from the other end.
    centred, rows, columns = texels_in_picture(SIZE * ZOOM, 0.0, 1.0, None)
    total = decode(np.clip(codes + STYLE, 0, 1))[SIZE - 1 - columns, SIZE - 1 - rows]
    assert np.abs(live - total)[centred].max() <= 0.002
    assert np.abs(bake - total)[centred].max() <= 0.008


def test_overlapping_uvs_show_the_same_texels_twice(tmp_path: Path) -> None:
    write_image(tmp_path / "T.png", T)
    source = make_stage(tmp_path / "overlap.usda", Paint("./T.png"))
    source.RemovePrim("/World/Triangle")
    # Two triangles that meet at x = 0; both show u from 0 to ½ in the picture, away from the middle.
    corners: list[tuple[float, float]] = [(0, -9), (0, 9), (-9, 0), (0, 9), (0, -9), (9, 0)]
    mesh = add_mesh(source, corners, "st", (0.0, 1.0))
    st = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    st.Set([Gf.Vec2f(abs(x) / 2, (y + 1) / 2) for x, y in corners])
    st.SetIndices(list(range(6)))
    paint = UsdShade.Material.Get(source, "/World/Looks/Paint")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(paint)
    source.Save()
    root, _ = stylize(tmp_path / "overlap.usda")
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    live, bake = render(tmp_path, [dict(common), common | {"preview": True}])
    half = np.arange(1, SIZE // 2)  # the first column's pixels may lie at the common edge
    total = decode(np.clip(T + STYLE, 0, 1))[:, half]
    middle = SIZE * ZOOM // 2
    for picture, tolerance in ((live, 0.002), (bake, 0.008)):
        shown = picture[1::ZOOM]
        assert np.abs(shown[:, middle + half * ZOOM + 1] - total).max() <= tolerance
        assert np.abs(shown[:, middle - 1 - half * ZOOM - 1] - total).max() <= tolerance


OBLIQUE = {"scale": (1.5, 0.75), "rotation": 30.0, "translation": (0.2, -0.35)}
BACK = {"scale": (0.8, 1.3), "rotation": -50.0, "translation": (0.45, 0.1)}
SOFT_T, SOFT_STYLE = smooth(5, 0.25, 0.75), smooth(9, -0.35, 0.25).astype(np.float16).astype(np.float64)
GLOW = smooth(7, 0.1, 0.9)
WIDE_RANGE = (-0.7, 1.6)
WIDTH = 288


def placed_in_picture(width: int, low: float, high: float, place: dict[str, Any]) -> Array:
    """(H, W, 2): the UVs under each pixel, scaled, turned counter-clockwise, moved."""
    middle = low + (np.arange(width) + 0.5) / width * (high - low)
    u, v = np.meshgrid(middle * place["scale"][0], middle[::-1] * place["scale"][1])
    angle = np.radians(place["rotation"])
    turned = (u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle))
    return np.stack(turned, axis=-1) + place["translation"]


@pytest.mark.parametrize("wrap", [("mirror", "clamp"), ("repeat", "mirror")])
def test_oblique_coordinates_and_a_turned_dial_show_the_sum(tmp_path: Path, wrap: tuple[str, str]) -> None:
    """Nothing symmetric: other wrap modes in s and t, 30°, no square scale, written at 0.35, turned to 1.4.

    One of them is mirror: with the others alone, Mesa filters in 8 bits. The emission reads a texture of its
    own, wrapped and placed otherwise, and shows alone where there is no light.
    """
    write_image(tmp_path / "T.png", SOFT_T)
    write_image(tmp_path / "glow.png", GLOW)
    paint = Paint("./T.png", wrap=wrap, transform=OBLIQUE)
    source = make_stage(tmp_path / "oblique.usda", paint, uv_range=WIDE_RANGE)
    glow = add_texture(
        source, "/World/Looks/Paint", "Glow", "./glow.png", "sRGB", "st", wrap=wrap[::-1], transform=BACK,
        scale=(0.9, 0.5, 0.7, 1), bias=(0.02, 0.1, 0.05, 0),
    )  # fmt: skip
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    surface.CreateInput("emissiveColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        glow.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    )
    source.Save()
    root, obj = stylize(tmp_path / "oblique.usda", style=SOFT_STYLE, strength=0.35)
    common = {"stage": str(root), "width": WIDTH}
    unlit, dial = common | {"unlit": True}, f"{material(obj)}.inputs:strength"
    live, turned, bake, zero, plain, glowing = render(
        tmp_path,
        [
            dict(unlit),
            unlit | {"values": {dial: 1.4}},
            unlit | {"preview": True},
            unlit | {"values": {dial: 0.0}},
            unlit | {"stage": str(tmp_path / "oblique.usda")},
            common | {"dark": True},
        ],
    )
    across, down = np.meshgrid(np.arange(WIDTH), np.arange(WIDTH))
    aside = np.abs(across - down) > 2
    uvs = placed_in_picture(WIDTH, *WIDE_RANGE, OBLIQUE)
    codes = np.rint(SOFT_T * 255) / 255
    base, style = bilinear(codes, uvs, wrap), bilinear(SOFT_STYLE, uvs, wrap)

    def error(picture: Array, strength: float) -> float:
        return float(np.abs(picture - decode(np.clip(base + strength * style, 0, 1)))[aside].max())

    assert error(live, 0.35) <= 0.002
    assert error(turned, 1.4) <= 0.002
    assert error(bake, 0.35) <= 0.008
    assert error(zero, 0.0) <= 0.002
    # Of sRGB textures, Mesa decodes each texel to within 0.002, and before it filters.
    assert error(plain, 0.0) <= 0.004
    other = placed_in_picture(WIDTH, *WIDE_RANGE, BACK)
    shown = bilinear(decode(np.rint(GLOW * 255) / 255), other, wrap[::-1]) * (0.9, 0.5, 0.7) + (
        0.02,
        0.1,
        0.05,
    )
    assert np.abs(glowing - shown)[aside].max() <= 0.004
