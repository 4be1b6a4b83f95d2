"""Base colours of MaterialX surfaces, against values worked out by hand from MaterialX's specification."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import define_material, define_quad, unchanged
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize import stage as reading
from usdstylize.base_colors import ConstantColor, DisplayColor, GraphColor, TextureFile, UVTransform
from usdstylize.objects import ObjectData, StageObject

LOOK = "/World/Looks/Paint"
A, MIX = From("A"), From("Mix")
CODES = np.array([[[200, 30, 10], [20, 180, 40]], [[15, 25, 220], [120, 130, 140]]], np.uint8)


def decode(code: Any) -> Any:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


LINEAR = decode(CODES / 255)
ACESCG = np.array(
    [[1.70505, -0.62179, -0.08326], [-0.13026, 1.14080, -0.01055], [-0.02400, -0.12897, 1.15297]]
)
"""To linear Rec.709."""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """2 × 2 texels: red and green on top, blue and grey below."""
    Image.fromarray(CODES).save(tmp_path / "color.png")
    Image.fromarray(255 - CODES).save(tmp_path / "inverse.png")
    return tmp_path


def write(folder: Path, color: Any, nodes: Mapping[str, Node] | None = None, **options: Any) -> Usd.Stage:
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    material = add_mtlx_material(stage, LOOK, color, nodes, **options)
    define_quad(stage, "/World/Quad", material)
    stage.Save()
    return stage


def read(folder: Path) -> tuple[StageObject, ObjectData]:
    with unchanged(folder):
        contents = reading.discover(folder / "scene.usda")
        assert contents.skipped == ()
        return contents.objects[0], reading.load(contents, contents.objects[0])


def linear_of(data: ObjectData) -> Any:
    return decode(data.bases[0].astype(np.float64))


def reason(folder: Path) -> str:
    contents = reading.discover(folder / "scene.usda")
    assert contents.objects == ()
    return contents.skipped[0].reason


PLAIN = {"UV": uv(), "A": image("./color.png")}


@pytest.mark.parametrize("surface", ["standard_surface", "open_pbr", "gltf_pbr", "preview"])
@pytest.mark.parametrize("graph", ["", "Graph"])
def test_an_image_is_found_before_each_surface(picture: Path, surface: str, graph: str) -> None:
    write(picture, A, PLAIN, surface=surface, graph=graph)
    obj, data = read(picture)
    assert obj.surface == "mtlx"
    assert obj.surface_path == f"{LOOK}/Surface"
    assert isinstance(obj.base, TextureFile)
    assert (obj.base.asset_path, obj.base.encoding, obj.wrap) == (
        "./color.png", "srgb", ("repeat", "repeat")
    )  # fmt: skip
    assert np.array_equal(data.bases[0], (CODES / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("surface", "default"),
    [("standard_surface", 0.8), ("open_pbr", 0.8), ("gltf_pbr", 1.0), ("preview", 0.18)],
)
def test_a_surface_without_a_color_has_the_default_of_its_definition(
    picture: Path, surface: str, default: float
) -> None:
    stage = write(picture, Gf.Vec3f(0), surface=surface)
    name = "diffuseColor" if surface == "preview" else "base_color"
    stage.GetPrimAtPath(f"{LOOK}/Surface").RemoveProperty(f"inputs:{name}")
    stage.Save()
    assert read(picture)[0].base == ConstantColor((default,) * 3)


def test_a_constant_comes_through_the_interface(picture: Path) -> None:
    stage = write(picture, Sdf.Path(f"{LOOK}.inputs:tint"))
    tint = UsdShade.Material.Get(stage, LOOK).CreateInput("tint", Sdf.ValueTypeNames.Color3f)
    tint.Set(Gf.Vec3f(0.25, 0.5, 0.75))
    stage.Save()
    assert read(picture)[0].base == ConstantColor((0.25, 0.5, 0.75))


def placed(identifier: str, **inputs: tuple[str, Any]) -> dict[str, Node]:
    return {
        "UV": uv("map1"),
        "Place": Node(identifier, "vector2", inputs),
        "A": image("./color.png", texcoord="Place", uaddressmode=("string", "mirror")),
    }


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            {
                "UV": uv("map1"),
                "A": image(
                    "./color.png",
                    node="tiledimage",
                    uvtiling=("vector2", Gf.Vec2f(3, 2)),
                    uvoffset=("vector2", Gf.Vec2f(0.5, 0.25)),
                    realworldimagesize=("vector2", Gf.Vec2f(2, 2)),
                    realworldtilesize=("vector2", Gf.Vec2f(1, 4)),
                ),
            },
            # ((uv · tiling − offset) / image size) · tile size
            UVTransform((1.5, 4.0), 0.0, (-0.25, -0.5)),
        ),
        (
            placed("ND_multiply_vector2", in1=("vector2", From("UV")), in2=("vector2", Gf.Vec2f(2, 3))),
            UVTransform((2.0, 3.0), 0.0, (0.0, 0.0)),
        ),
        (
            placed("ND_subtract_vector2FA", in1=("vector2", From("UV")), in2=("float", 0.25)),
            UVTransform((1.0, 1.0), 0.0, (-0.25, -0.25)),
        ),
        (
            # MaterialX turns clockwise where USD turns counter-clockwise.
            placed("ND_rotate2d_vector2", **{"in": ("vector2", From("UV")), "amount": ("float", 30.0)}),
            UVTransform((1.0, 1.0), -30.0, (0.0, 0.0)),
        ),
        (
            placed(
                "ND_place2d_vector2",
                texcoord=("vector2", From("UV")),
                scale=("vector2", Gf.Vec2f(0.5, 0.25)),
                offset=("vector2", Gf.Vec2f(0.1, 0.2)),
            ),
            UVTransform((2.0, 4.0), 0.0, (-0.1, -0.2)),
        ),
    ],
    ids=["tiledimage", "multiply", "subtract", "rotate2d", "place2d"],
)
def test_texture_coordinates_become_one_transform(
    picture: Path, nodes: Mapping[str, Node], expected: UVTransform
) -> None:
    stage = write(picture, A, nodes)
    primvars = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad"))
    map1 = primvars.CreatePrimvar("map1", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
    map1.Set(primvars.GetPrimvar("st").Get())
    stage.Save()
    obj, _ = read(picture)
    assert isinstance(obj.base, TextureFile)
    assert obj.uv_primvar == "map1"
    found = obj.uv_transform
    assert found is not None
    assert found.then is None
    flat = [*found.scale, found.rotation, *found.translation]
    assert flat == pytest.approx([*expected.scale, expected.rotation, *expected.translation], abs=1e-6)


def test_a_sheared_texture_is_a_chain_of_two_transforms(picture: Path) -> None:
    nodes = {
        "UV": uv(),
        "Turn": Node(
            "ND_rotate2d_vector2", "vector2", {"in": ("vector2", From("UV")), "amount": ("float", 45.0)}
        ),
        "Grow": Node(
            "ND_multiply_vector2FA", "vector2", {"in1": ("vector2", From("Turn")), "in2": ("float", 2.0)}
        ),
        "Move": Node(
            "ND_multiply_vector2",
            "vector2",
            {"in1": ("vector2", From("Grow")), "in2": ("vector2", Gf.Vec2f(1, 0.5))},
        ),
        "A": image("./color.png", texcoord="Move"),
    }
    write(picture, A, nodes)
    obj, data = read(picture)
    # (1, 0) turns clockwise to (√½, −√½), then grows to (√2, −√½).
    assert obj.uv_transform is not None
    assert data.mesh.uvs.reshape(-1, 2).max(axis=0) == pytest.approx([2 * np.sqrt(2), np.sqrt(0.5)], abs=1e-5)
    assert data.mesh.uvs.reshape(-1, 2).min(axis=0) == pytest.approx([0, -np.sqrt(0.5)], abs=1e-5)


Arithmetic = tuple[str, dict[str, tuple[str, Any]], Callable[[Any], Any]]
LUMA = np.array([0.2722287, 0.6740818, 0.0536895])
OPERATIONS: list[Arithmetic] = [
    ("ND_multiply_color3FA", {"in1": ("color3", A), "in2": ("float", 0.25)}, lambda a: a * 0.25),
    (
        "ND_add_color3",
        {"in1": ("color3", A), "in2": ("color3", Gf.Vec3f(0.1, 0, 0.2))},
        lambda a: a + np.array([0.1, 0, 0.2]),
    ),
    (
        "ND_subtract_color3FA",
        {"in1": ("color3", A), "in2": ("float", 0.01)},
        lambda a: np.maximum(a - 0.01, 0),
    ),
    ("ND_divide_color3FA", {"in1": ("color3", A), "in2": ("float", 2.0)}, lambda a: a / 2),
    ("ND_power_color3FA", {"in1": ("color3", A), "in2": ("float", 2.0)}, lambda a: a**2),
    ("ND_invert_color3", {"in": ("color3", A)}, lambda a: 1 - a),
    (
        "ND_clamp_color3FA",
        {"in": ("color3", A), "low": ("float", 0.1), "high": ("float", 0.4)},
        lambda a: np.clip(a, 0.1, 0.4),
    ),
    (
        "ND_mix_color3",
        {"fg": ("color3", A), "bg": ("color3", Gf.Vec3f(0.5)), "mix": ("float", 0.75)},
        lambda a: a * 0.75 + 0.125,
    ),
    (
        "ND_contrast_color3FA",
        {"in": ("color3", A), "amount": ("float", 0.5), "pivot": ("float", 0.2)},
        lambda a: (a - 0.2) / 2 + 0.2,
    ),
    (
        "ND_remap_color3FA",
        {"in": ("color3", A), "inhigh": ("float", 2.0), "outlow": ("float", 0.5)},
        lambda a: 0.5 + a / 4,
    ),
    ("ND_luminance_color3", {"in": ("color3", A)}, lambda a: np.repeat((a * LUMA).sum(-1)[..., None], 3, -1)),
    (
        "ND_saturate_color3",
        {"in": ("color3", A), "amount": ("float", 0.5)},
        lambda a: a / 2 + (a * LUMA).sum(-1)[..., None] / 2,
    ),
    (
        # Half of the circle of hues: the largest channel becomes the smallest.
        "ND_hsvadjust_color3",
        {"in": ("color3", A), "amount": ("vector3", Gf.Vec3f(0.5, 1, 0.5))},
        lambda a: (a.max(-1)[..., None] + a.min(-1)[..., None] - a) / 2,
    ),
]


@pytest.mark.parametrize(("node", "inputs", "expected"), OPERATIONS, ids=[name for name, *_ in OPERATIONS])
def test_arithmetic_between_image_and_surface_is_evaluated(
    picture: Path, node: str, inputs: dict[str, tuple[str, Any]], expected: Callable[[Any], Any]
) -> None:
    write(picture, MIX, PLAIN | {"Mix": Node(node, "color3", inputs)}, graph="Graph")
    obj, data = read(picture)
    assert isinstance(obj.base, GraphColor)
    assert obj.base.files == (str(picture / "color.png"),)
    assert linear_of(data) == pytest.approx(expected(LINEAR), abs=1e-5)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (None, lambda codes: codes),
        ("none", lambda codes: codes),
        ("lin_rec709", lambda codes: codes),
        ("srgb_texture", decode),
        ("g22_rec709", lambda codes: codes**2.2),
        (
            "acescg",
            lambda codes: np.maximum(
                codes @ ACESCG.T,
                0,
            ),
        ),
    ],
)
def test_the_color_space_on_the_file_counts(
    picture: Path, space: str | None, expected: Callable[[Any], Any]
) -> None:
    write(picture, A, {"UV": uv(), "A": image("./color.png", color_space=space)})
    obj, data = read(picture)
    assert isinstance(obj.base, GraphColor) == (space in ("g22_rec709", "acescg"))
    assert linear_of(data) == pytest.approx(expected(CODES / 255), abs=2e-5)
    assert obj.notes == ()


def test_a_color_space_that_nobody_knows_is_told(picture: Path) -> None:
    write(picture, A, {"UV": uv(), "A": image("./color.png", color_space="show_paint")})
    obj, data = read(picture)
    assert any("show_paint" in note for note in obj.notes)
    assert linear_of(data) == pytest.approx(CODES / 255, abs=1e-5)


@pytest.mark.parametrize(
    ("mode", "wrap"),
    [("periodic", "repeat"), ("mirror", "mirror"), ("clamp", "clamp"), ("constant", "black")],
)
def test_address_modes_are_wrap_modes(picture: Path, mode: str, wrap: str) -> None:
    nodes = {"UV": uv(), "A": image("./color.png", uaddressmode=("string", mode))}
    write(picture, A, nodes)
    assert read(picture)[0].wrap == (wrap, "repeat")


def test_images_at_different_scales_meet_in_the_uvs_of_the_mesh(picture: Path) -> None:
    nodes = {
        "UV": uv(),
        "A": image("./color.png"),
        "B": image("./inverse.png", node="tiledimage", uvtiling=("vector2", Gf.Vec2f(2, 2))),
        "Mix": Node("ND_add_color3", "color3", {"in1": ("color3", A), "in2": ("color3", From("B"))}),
    }
    write(picture, MIX, nodes)
    obj, data = read(picture)
    assert isinstance(obj.base, GraphColor)
    assert obj.base.size == (4, 4)
    assert set(obj.base.files) == {str(picture / "color.png"), str(picture / "inverse.png")}
    assert {file.path for file in reading.discover(picture / "scene.usda").sources} >= set(obj.base.files)
    # The upper left texel of 4 × 4: of the large image a mixture of codes, which then are decoded;
    # the tiled one has a texel of its own there.
    weights = np.outer([0.75, 0.25], [0.75, 0.25])
    large = decode(((CODES / 255) * weights[..., None]).sum(axis=(0, 1)))
    tiled = decode((255 - CODES[0, 0]) / 255)
    assert linear_of(data)[0, 0] == pytest.approx(large + tiled, abs=2e-5)


def test_a_gltf_image_has_its_factor_and_vertex_color(picture: Path) -> None:
    node = Node(
        "ND_gltf_colorimage",
        "color3",
        {
            "file": ("filename", Sdf.AssetPath("./color.png")),
            "texcoord": ("vector2", From("UV")),
            "color": ("color4", Gf.Vec4f(0.5, 1, 0.25, 1)),
        },
        "srgb_texture",
        output="outcolor",
    )
    write(picture, From("A", "outcolor"), {"UV": uv(), "A": node}, surface="gltf_pbr")
    _, data = read(picture)
    assert linear_of(data) == pytest.approx(LINEAR * (0.5, 1, 0.25), abs=1e-5)


@pytest.mark.parametrize(
    "node",
    [
        Node("ND_geomcolor_color3", "color3"),
        Node("ND_geompropvalue_color3", "color3", {"geomprop": ("string", "displayColor")}),
    ],
)
def test_a_primvar_is_the_color(picture: Path, node: Node) -> None:
    stage = write(picture, A, {"A": node})
    quad = UsdGeom.Mesh.Get(stage, "/World/Quad")
    colors = quad.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1), Gf.Vec3f(1, 1, 1)])
    stage.Save()
    assert read(picture)[0].base == DisplayColor("vertex", "displayColor")
    colors.SetInterpolation(UsdGeom.Tokens.constant)
    colors.Set([Gf.Vec3f(0.25, 0.5, 0.75)])
    stage.Save()
    assert read(picture)[0].base == ConstantColor((0.25, 0.5, 0.75))


def test_the_weight_of_the_base_stays_on_the_surface(picture: Path) -> None:
    write(picture, A, PLAIN, inputs={"base": ("float", 0.5)})
    obj, data = read(picture)
    assert np.array_equal(data.bases[0], (CODES / 255).astype(np.float32))
    assert any("inputs:base" in note for note in obj.notes)


NOISE = {
    "Mix": Node("ND_noise2d_color3", "color3", {"texcoord": ("vector2", From("UV"))}),
    "UV": uv(),
}
POSITION = {
    "P": Node("ND_position_vector3", "vector3"),
    "Mix": Node("ND_convert_vector3_color3", "color3", {"in": ("vector3", From("P"))}),
}
CYCLE = {
    "A": Node("ND_add_color3", "color3", {"in1": ("color3", MIX)}),
    "Mix": Node("ND_add_color3", "color3", {"in1": ("color3", A)}),
}
WARPED = {
    "UV": uv(),
    "W": Node("ND_sin_vector2", "vector2", {"in": ("vector2", From("UV"))}),
    "Mix": image("./color.png", texcoord="W"),
}


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (NOISE, f"{LOOK}/Mix (ND_noise2d_color3)"),
        (POSITION, f"{LOOK}/P (ND_position_vector3)"),
        (CYCLE, "feeds itself"),
        (WARPED, f"{LOOK}/W (ND_sin_vector2)"),
        ({"Mix": image("./gone.png", texcoord=None)}, "./gone.png"),
        ({"Mix": image("./t.<UDIM>.png", texcoord=None)}, "./t.<UDIM>.png"),
        ({"UV": uv("other"), "Mix": image("./color.png")}, "primvars:other"),
        ({"Mix": image("./color.png", texcoord=None, uaddressmode=("string", "wrap"))}, "wrap"),
        ({"Mix": Node("ND_geomcolor_color3", "color3")}, "primvars:displayColor"),
    ],
)
def test_what_cannot_be_evaluated_is_skipped_by_name(
    picture: Path, capfd: pytest.CaptureFixture[str], nodes: Mapping[str, Node], words: str
) -> None:
    write(picture, MIX, nodes)
    told = reason(picture)
    assert words in told
    assert told.endswith(".")
    assert capfd.readouterr().err == ""


def test_a_surface_whose_color_is_not_known_is_named(picture: Path) -> None:
    stage = write(picture, A, PLAIN)
    UsdShade.Shader.Get(stage, f"{LOOK}/Surface").CreateIdAttr("ND_lama_surface")
    stage.Save()
    assert "ND_lama_surface" in reason(picture)


def test_a_preview_surface_is_read_where_the_graph_cannot_be(picture: Path) -> None:
    stage = write(picture, MIX, NOISE)
    other = define_material(stage, "/World/Looks/Other", "./color.png")
    material = UsdShade.Material.Get(stage, LOOK)
    for prim in other.GetPrim().GetChildren():
        Sdf.CopySpec(
            stage.GetRootLayer(), prim.GetPath(), stage.GetRootLayer(), f"{LOOK}/Preview{prim.GetName()}"
        )
    preview = UsdShade.Shader.Get(stage, f"{LOOK}/PreviewSurface")
    for name, target in (
        ("Surface.inputs:diffuseColor", "Texture.outputs:rgb"),
        ("Texture.inputs:st", "Reader.outputs:result"),
    ):
        stage.GetAttributeAtPath(f"{LOOK}/Preview{name}").SetConnections([f"{LOOK}/Preview{target}"])
    material.CreateSurfaceOutput().ConnectToSource(preview.GetOutput("surface"))
    stage.Save()
    obj, data = read(picture)
    assert obj.surface == "preview"
    assert any("ND_noise2d_color3" in note for note in obj.notes)
    assert np.array_equal(data.bases[0], (CODES / 255).astype(np.float32))


def test_a_graph_of_a_thousand_nodes_is_evaluated_or_refused_in_a_sentence(picture: Path) -> None:
    nodes: dict[str, Node] = dict(PLAIN)
    for number in range(1000):
        source = From(f"N{number - 1}") if number else A
        nodes[f"N{number}"] = Node(
            "ND_add_color3FA", "color3", {"in1": ("color3", source), "in2": ("float", 0.0)}
        )
    write(picture, From("N999"), nodes)
    assert reason(picture).endswith(".")


def write_tiles(folder: Path) -> None:
    for tile in (1001, 1002):
        Image.fromarray(np.full((4, 4, 3), tile - 950, np.uint8)).save(folder / f"tile.{tile}.png")


def test_a_udim_set_is_read_tile_by_tile(picture: Path) -> None:
    write_tiles(picture)
    write(picture, A, {"UV": uv(), "A": image("./tile.<UDIM>.png")})
    obj, data = read(picture)
    assert obj.tiles == (1001, 1002)
    assert [float(base[0, 0, 0] * 255) for base in data.bases] == pytest.approx([51, 52])


def test_a_udim_set_in_arithmetic_is_refused(picture: Path) -> None:
    write_tiles(picture)
    inputs = {"in1": ("color3", A), "in2": ("float", 0.5)}
    nodes = {
        "UV": uv(),
        "A": image("./tile.<UDIM>.png"),
        "Mix": Node("ND_multiply_color3FA", "color3", inputs),
    }
    write(picture, MIX, nodes)
    assert "tile.<UDIM>.png" in reason(picture)


IDS = [
    *(name for name, *_ in OPERATIONS),
    "ND_image_color3", "ND_image_color4", "ND_image_float", "ND_tiledimage_color3", "ND_gltf_colorimage",
    "ND_gltf_image_color3_color3_1_0", "ND_convert_float_color3", "ND_convert_vector2_color3",
    "ND_convert_color3", "ND_extract_color4", "ND_swizzle_color3_color3", "ND_combine3_color3",
    "ND_separate3_color3", "ND_switch_color3", "ND_ramplr_color3", "ND_place2d_vector2",
    "ND_rotate2d_vector2", "ND_geompropvalue_vector2", "ND_geompropvalue_color3", "ND_texcoord_vector2",
    "ND_geomcolor_color4",
    "ND_UsdUVTexture_23", "UsdUVTexture", "UsdPrimvarReader_float2", "ND_", "ND_add", "",
]  # fmt: skip
INPUTS = (
    "in", "in1", "in2", "in3", "fg", "bg", "mix", "amount", "index", "channels", "which", "file", "texcoord",
    "uvtiling", "realworldimagesize", "pivot", "scale", "rotate", "st", "geomprop", "varname", "uaddressmode",
    "valuel", "low", "high", "value",
)  # fmt: skip
VALUES: list[tuple[Any, Any]] = [
    (Sdf.ValueTypeNames.Float, 0.0), (Sdf.ValueTypeNames.Float, float("nan")),
    (Sdf.ValueTypeNames.Float, 1e30),
    (Sdf.ValueTypeNames.Int, -3), (Sdf.ValueTypeNames.Color3f, Gf.Vec3f(0.5)),
    (Sdf.ValueTypeNames.Color4f, Gf.Vec4f(1)), (Sdf.ValueTypeNames.Float2, Gf.Vec2f(0, 2)),
    (Sdf.ValueTypeNames.String, "st"), (Sdf.ValueTypeNames.Asset, Sdf.AssetPath("./color.png")),
    (Sdf.ValueTypeNames.Matrix4d, Gf.Matrix4d(1)), (Sdf.ValueTypeNames.FloatArray, [1.0, 2.0]),
    (Sdf.ValueTypeNames.Token, "mirror"), (Sdf.ValueTypeNames.Bool, True),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_graphs_drawn_by_lot_are_evaluated_or_refused_in_a_sentence(picture: Path, seed: int) -> None:
    lot = np.random.default_rng(seed)
    stage = write(picture, From("N0"), {"N0": Node("ND_dot_color3", "color3")})
    for number in range(40):
        prim = UsdShade.Shader.Define(stage, f"{LOOK}/N{number}")
        prim.CreateIdAttr(str(lot.choice(IDS)) if number else "ND_mix_color3")
    for case in range(40):
        stage.GetAttributeAtPath(f"{LOOK}/Surface.inputs:base_color").SetConnections(
            [f"{LOOK}/N{case}.outputs:out"]
        )
        for number in range(case, 40):
            shader = UsdShade.Shader.Get(stage, f"{LOOK}/N{number}")
            for name in lot.choice(INPUTS, 6, replace=False):
                kind, value = VALUES[lot.integers(len(VALUES))]
                item = shader.CreateInput(str(name), kind)
                item.GetAttr().SetConnections([])
                if lot.random() < 0.5:
                    item.GetAttr().SetConnections([f"{LOOK}/N{lot.integers(40)}.outputs:out"])
                elif item.GetTypeName() == kind:
                    item.Set(value)
            shader.CreateOutput("out", Sdf.ValueTypeNames.Color3f)
        stage.Save()
        contents = reading.discover(picture / "scene.usda")
        assert len(contents.objects) + len(contents.skipped) == 1
        for skipped in contents.skipped:
            assert skipped.reason.endswith(".")
            assert "internal" not in skipped.reason
        for obj in contents.objects:
            assert np.isfinite(reading.load(contents, obj).bases[0]).all()
