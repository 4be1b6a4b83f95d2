"""What a viewer shows, pixel by pixel: layers of ours rendered by Hydra Storm against NumPy.

live network = bake = clamp(T + strength · T_S): max abs in linear 0.002 live, 0.008 baked; the
`original` variant = the source stage.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray
from pxr import Gf, Sdf, UsdGeom, UsdShade

import usdstylize
from usdstylize.model.base_colors import DisplayColor

from .storm_results import (
    SIZE,
    STYLE,
    ZOOM,
    Array,
    T,
    bumps,
    decode,
    encode,
    fold,
    material,
    render,
    smooth,
    stylize,
    texels_in_picture,
)
from .storm_scenes import (
    Paint,
    add_material,
    add_mesh,
    add_texture,
    bind,
    make_stage,
    write_image,
)

pytestmark = pytest.mark.storm

TRANSFORM = {"scale": (3.0, 1.0), "rotation": 90.0, "translation": (0.25, 0.125)}

CASES: dict[str, tuple[Paint | None, dict[str, Any]]] = {
    "sRGB texture": (Paint("./T.png"), {}),
    "strength 0.5": (Paint("./T.png"), {"strength": 0.5}),
    "raw texture with scale and bias": (
        Paint("./T.png", color_space="raw", scale=(0.8, 0.5, 0.3, 1), bias=(0.1, 0, 0.02, 0)),
        {},
    ),
    "sRGB texture with scale and bias": (
        Paint("./T.png", scale=(0.8, 0.5, 1.3, 1), bias=(0.1, -0.1, 0, 0)),
        {},
    ),
    "half texture": (Paint("./T.exr", color_space="raw"), {}),
    "grey texture": (Paint("./grey.png"), {}),
    "constant": (Paint(constant=(0.2, 0.5, 0.8)), {}),
    "transform": (Paint("./T.png", transform=TRANSFORM), {}),
    "mirror and clamp": (Paint("./T.png", wrap=("mirror", "clamp")), {"uv_range": (-1.0, 2.0)}),
    "black and repeat": (Paint("./T.png", wrap=("black", "repeat")), {"uv_range": (-1.0, 2.0)}),
    "primvar map1": (Paint("./T.png", primvar="map1"), {}),
    "node graph with interface": (Paint("./T.png", primvar="uv2", behind_graph=True), {}),
    "displayColor": (None, {}),
}


def encoded_base(name: str, paint: Paint | None) -> Array:
    """T, sRGB-encoded, by hand."""
    if paint is None:
        return T
    if paint.constant is not None:
        return np.broadcast_to(encode(np.array(paint.constant)), T.shape)
    if name == "half texture":
        return encode(T.astype(np.float16).astype(np.float64))
    if name == "grey texture":
        # One channel is not sRGB of itself, but sourceColorSpace says so here.
        return np.repeat(T[..., :1], 3, axis=-1)
    linear = decode(T) if paint.color_space == "sRGB" else T
    return encode(linear * (paint.scale or (1,) * 4)[:3] + np.array((paint.bias or (0,) * 4)[:3]))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Array]]:
    """Every case rendered in one go: Storm takes longer to start than to draw."""
    folder = tmp_path_factory.mktemp("storm")
    jobs, keys = [], []
    for number, (name, (paint, settings)) in enumerate(CASES.items()):
        here = folder / f"case{number}"
        here.mkdir()
        write_image(here / "T.png", T)
        write_image(here / "T.exr", T)
        write_image(here / "grey.png", T[..., :1])
        uv_range = settings.get("uv_range", (0.0, 1.0))
        source = make_stage(here / "case.usda", paint, uv_range=uv_range)
        if paint is None:
            mesh = UsdGeom.Mesh.Get(source, "/World/Triangle")
            colors = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
            colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1)])
        source.Save()
        # The triangle repeats over itself, for which new UVs would be made; what is drawn here is T at st.
        own: dict[str, Any] = {"base": T, "unwrapped": False, "uv_primvar": "st"} if paint is None else {}
        root, obj = stylize(here / "case.usda", strength=settings.get("strength", 1.0), **own)
        assert isinstance(obj.base, DisplayColor) == (paint is None)
        width = SIZE * ZOOM * (3 if paint and paint.transform else round(uv_range[1] - uv_range[0]))
        common = {"stage": str(root), "width": width, "unlit": True}
        keys += [(name, kind) for kind in ("live", "bake", "zero", "original", "source")]
        jobs += [
            dict(common),
            common | {"preview": True},
            common | {"values": {f"{material(obj)}.inputs:strength": 0.0}},
            common | {"variants": {material(obj): "original"}},
            common | {"stage": str(here / "case.usda")},
        ]
    found: dict[str, dict[str, Array]] = {name: {} for name in CASES}
    for (name, kind), picture in zip(keys, render(folder, jobs), strict=True):
        found[name][kind] = picture
    return found


def references(name: str, width: int) -> tuple[NDArray[np.bool_], Array, Array]:
    """Pixels to compare, and linear references of clamp(T + strength · T_S) and of T there."""
    paint, settings = CASES[name]
    low, high = settings.get("uv_range", (0.0, 1.0))
    centred, rows, columns = texels_in_picture(width, low, high, paint.transform if paint else None)
    wrap_s, wrap_t = paint.wrap if paint else ("repeat", "repeat")
    columns, inside_s = fold(columns, wrap_s)
    rows, inside_t = fold(rows, wrap_t)
    inside = (inside_s & inside_t)[..., None]
    base = encoded_base(name, paint)
    total = np.clip(base + settings.get("strength", 1.0) * STYLE, 0, 1)
    plain = np.clip(base, 0, 1)
    return centred, np.where(inside, decode(total)[rows, columns], 0), decode(plain)[rows, columns] * inside


@pytest.mark.parametrize("name", CASES)
def test_live_network_and_bake_show_the_clamped_sum(name: str, pictures: Any) -> None:
    centred, reference, _ = references(name, pictures[name]["live"].shape[1])
    assert centred.sum() >= SIZE * (SIZE - 1)
    assert np.abs(pictures[name]["live"] - reference)[centred].max() <= 0.002
    assert np.abs(pictures[name]["bake"] - reference)[centred].max() <= 0.008


@pytest.mark.parametrize("name", CASES)
def test_strength_zero_shows_the_source_color(name: str, pictures: Any) -> None:
    centred, _, plain = references(name, pictures[name]["zero"].shape[1])
    assert np.abs(pictures[name]["zero"] - plain)[centred].max() <= 0.002


@pytest.mark.parametrize("name", [name for name, (paint, _) in CASES.items() if paint is not None])
def test_original_variant_is_the_source(name: str, pictures: Any) -> None:
    assert np.abs(pictures[name]["original"] - pictures[name]["source"]).max() <= 1e-4
    assert pictures[name]["source"].std() > 0 or name == "constant"


def test_each_subset_shows_its_own_sum(tmp_path: Path) -> None:
    write_image(tmp_path / "T.png", T)
    source = make_stage(tmp_path / "subsets.usda", Paint("./T.png"))
    source.RemovePrim("/World/Triangle")
    left_and_right = [(0, -9), (0, 9), (-9, 0), (0, 9), (0, -9), (9, 0)]
    mesh = add_mesh(source, left_and_right, "st", (0.0, 1.0))
    api = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    api.Bind(UsdShade.Material.Get(source, "/World/Looks/Paint"))
    subset = api.CreateMaterialBindSubset("right", [1])
    api.SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.nonOverlapping)
    color = (0.1, 0.4, 0.7)
    bind(subset.GetPrim(), add_material(source, "/World/Looks/Plain", Paint(constant=color)))
    source.Save()
    root, _ = stylize(tmp_path / "subsets.usda")
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    live, bake = (
        picture[1::ZOOM, 1::ZOOM] for picture in render(tmp_path, [common, common | {"preview": True}])
    )
    base = T.copy()
    base[:, SIZE // 2 :] = encode(np.array(color))
    # Away from the edge between the two, and from the edges that clipping each of them makes.
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    half = across % (SIZE // 2)
    aside = (half > 1) & (half < SIZE // 2 - 2)
    aside &= (np.abs(2 * half - down) > 4) & (np.abs(SIZE - 2 * half - down) > 4)
    reference = decode(np.clip(base + STYLE, 0, 1))
    assert aside.sum() > SIZE * SIZE / 4
    assert np.abs(live - reference)[aside].max() <= 0.002
    assert np.abs(bake - reference)[aside].max() <= 0.008


def copy_sample(folder: Path) -> tuple[Path, Array]:
    """The UV test stage in ``folder``, and its T as 8-bit codes over 255."""
    samples = Path(__file__).parents[2] / "sample_stages"
    shutil.copy(samples / "uv_test.usda", folder)
    shutil.copytree(samples / "uv_test", folder / "uv_test")
    base = oiio.ImageBuf(str(folder / "uv_test/T.png")).get_pixels(oiio.FLOAT)[..., :3].astype(np.float64)
    return folder / "uv_test.usda", base


def hold_sample(folder: Path, source: Path, root: Path, name: str, base: Array, style: Array) -> None:
    """Live network, bake and the `original` variant of the stylised UV test stage, within tolerance."""
    size = base.shape[0]
    common = {"stage": str(root), "width": size * ZOOM, "unlit": True}
    jobs = [
        dict(common),
        common | {"preview": True},
        common | {"variants": {f"/World/StylizedLooks/{name}": "original"}},
        common | {"stage": str(source)},
    ]
    live, bake, original, plain = render(folder, jobs)
    assert np.abs(original - plain).max() <= 1e-4
    # The quad is two triangles, so all but their common edge.
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    aside = (np.abs(across - down) > 1) & (np.abs(size - 1 - across - down) > 1)
    reference = decode(np.clip(base + style, 0, 1))
    assert np.abs(live[1::ZOOM, 1::ZOOM] - reference)[aside].max() <= 0.002
    assert np.abs(bake[1::ZOOM, 1::ZOOM] - reference)[aside].max() <= 0.008


def test_the_sample_stage_shows_the_sum(tmp_path: Path) -> None:
    source, base = copy_sample(tmp_path)
    style = np.random.default_rng(9).uniform(-0.5, 0.5, base.shape).astype(np.float16).astype(np.float64)
    root, obj = stylize(source, style=style)
    hold_sample(tmp_path, source, root, obj.name, base, style)


def test_a_stylised_sample_shows_the_texture_that_was_optimised(tmp_path: Path) -> None:
    """The whole product: T_S as the optimiser leaves it, read from the file that it wrote."""
    source, base = copy_sample(tmp_path)
    gouache = Path(__file__).parents[2] / "sample_stages" / "styles" / "gouache"
    options = usdstylize.Options(preset="draft", iterations=40, texture_resolution=base.shape[0])
    result = usdstylize.stylize(source, gouache, options)
    assert result.root_layer is not None
    name = result.objects[0].name
    written = result.root_layer.parent / "uv_test.style" / "gouache" / name / f"{name}.gouache.TS.exr"
    style = oiio.ImageBuf(str(written)).get_pixels(oiio.FLOAT)[..., :3].astype(np.float64)
    assert np.abs(style).mean() > 0.05
    hold_sample(tmp_path, source, result.root_layer, name, base, style)


@pytest.mark.parametrize(
    ("primvar", "channels", "tolerance"),
    [
        ("st", {"roughness": "g"}, 0.02),
        ("map1", {"roughness": "g"}, 0.02),
        ("st", {"roughness": "g", "occlusion": "r"}, 0.02),
    ],
)
def test_strength_zero_is_lit_like_the_source(
    tmp_path: Path, primvar: str, channels: dict[str, str], tolerance: float
) -> None:
    write_image(tmp_path / "T.png", smooth(5, 0.2, 0.8))
    write_image(tmp_path / "bumps.png", bumps())
    write_image(tmp_path / "orm.png", smooth(6, 0.5, 0.9))
    write_image(tmp_path / "glow.png", smooth(7, 0.0, 0.3))
    source = make_stage(tmp_path / "lit.usda", Paint("./T.png", primvar=primvar))
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    where = "/World/Looks/Paint"
    float3, single, color = Sdf.ValueTypeNames.Float3, Sdf.ValueTypeNames.Float, Sdf.ValueTypeNames.Color3f
    normal = add_texture(
        source, where, "Bumps", "./bumps.png", "raw", primvar, scale=(2, 2, 2, 1), bias=(-1, -1, -1, 0)
    )
    surface.CreateInput("normal", Sdf.ValueTypeNames.Normal3f).ConnectToSource(
        normal.CreateOutput("rgb", float3)
    )
    orm = add_texture(source, where, "ORM", "./orm.png", "raw", primvar)
    for name, channel in channels.items():
        surface.CreateInput(name, single).ConnectToSource(orm.CreateOutput(channel, single))
    glow = add_texture(source, where, "Glow", "./glow.png", "sRGB", primvar)
    surface.CreateInput("emissiveColor", color).ConnectToSource(glow.CreateOutput("rgb", float3))
    displacement = UsdShade.Material.Get(source, where).CreateDisplacementOutput()
    displacement.ConnectToSource(surface.CreateOutput("displacement", Sdf.ValueTypeNames.Token))
    source.Save()
    root, obj = stylize(tmp_path / "lit.usda")
    common = {"stage": str(root), "width": SIZE * ZOOM}
    original, live = render(
        tmp_path,
        [
            common | {"stage": str(tmp_path / "lit.usda")},
            common | {"values": {f"{material(obj)}.inputs:strength": 0.0}},
        ],
    )
    # The edge that clipping makes, with its wrong mip levels, runs along the diagonal.
    across, down = np.meshgrid(np.arange(SIZE * ZOOM), np.arange(SIZE * ZOOM))
    aside = np.abs(across - down) > 2
    assert original.std() > 0.02
    assert np.abs(live - original)[aside].mean() <= tolerance * original[aside].mean()
