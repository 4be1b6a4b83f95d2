"""MaterialX graphs evaluated in texture space, against values worked out by hand from its specification."""

import colorsys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import MaterialX as mx
import numpy as np
import pytest
from mtlx_reading import (
    CODES,
    LOOK,
    NOISE,
    PLAIN,
    decode,
    linear_of,
    read,
    reason,
    write,
    write_pictures,
    write_tiles,
)
from mtlx_scenes import From, Node, image, uv
from PIL import Image
from pxr import Gf, Sdf, UsdShade

from usdstylize.model.base_colors import GraphColor
from usdstylize.usd import read as reading
from usdstylize.usd.shading.nodes import color_to_linear

A, MIX = From("A"), From("Mix")
LINEAR = decode(CODES / 255)
ACESCG = np.array(
    [[1.70505, -0.62179, -0.08326], [-0.13026, 1.14080, -0.01055], [-0.02400, -0.12897, 1.15297]]
)
"""To linear Rec.709."""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write_pictures(tmp_path)


Arithmetic = tuple[str, dict[str, tuple[str, Any]], Callable[[Any], Any]]
LUMA = np.array([0.2722287, 0.6740818, 0.0536895])
BELOW = np.array([0.25, 0.5, 0.125])
OVER = {"fg": ("color3", A), "bg": ("color3", Gf.Vec3f(*BELOW)), "mix": ("float", 0.75)}


def compared(value: float) -> dict[str, tuple[str, Any]]:
    """The image where ``value`` compares to 1 as the node asks; else one colour."""
    values = {"value1": ("float", value), "value2": ("float", 1.0)}
    return values | {"in1": ("color3", A), "in2": ("color3", Gf.Vec3f(*BELOW))}


def each(convert: Callable[..., Any], image: Any) -> Any:
    return np.array([convert(*color) for color in image.reshape(-1, 3)]).reshape(image.shape)


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
    ("ND_min_color3FA", {"in1": ("color3", A), "in2": ("float", 0.3)}, lambda a: np.minimum(a, 0.3)),
    ("ND_max_color3FA", {"in1": ("color3", A), "in2": ("float", 0.3)}, lambda a: np.maximum(a, 0.3)),
    ("ND_modulo_color3FA", {"in1": ("color3", A), "in2": ("float", 0.23)}, lambda a: np.fmod(a, 0.23)),
    ("ND_inside_color3", {"in": ("color3", A), "mask": ("float", 0.3)}, lambda a: a * 0.3),
    ("ND_outside_color3", {"in": ("color3", A), "mask": ("float", 0.3)}, lambda a: a * 0.7),
    ("ND_plus_color3", OVER, lambda a: BELOW / 4 + (BELOW + a) * 0.75),
    ("ND_minus_color3", OVER, lambda a: np.maximum(BELOW / 4 + (BELOW - a) * 0.75, 0)),
    ("ND_difference_color3", OVER, lambda a: BELOW / 4 + abs(BELOW - a) * 0.75),
    ("ND_screen_color3", OVER, lambda a: BELOW / 4 + (BELOW + a - BELOW * a) * 0.75),
    ("ND_rgbtohsv_color3", {"in": ("color3", A)}, lambda a: each(colorsys.rgb_to_hsv, a)),
    ("ND_hsvtorgb_color3", {"in": ("color3", A)}, lambda a: each(colorsys.hsv_to_rgb, a)),
    ("ND_ifgreater_color3", compared(2.0), lambda a: a),
    ("ND_ifgreatereq_color3", compared(1.0), lambda a: a),
    ("ND_ifequal_color3", compared(1.0), lambda a: a),
    (
        "ND_smoothstep_color3FA",
        {"in": ("color3", A), "low": ("float", 0.1), "high": ("float", 0.6)},
        lambda a: np.polyval((-2, 3, 0, 0), np.clip((a - 0.1) / 0.5, 0, 1)),
    ),
    (
        "ND_colorcorrect_color3",
        {
            "in": ("color3", A), "hue": ("float", 0.5), "saturation": ("float", 0.5), "gamma": ("float", 2.0),
            "lift": ("float", 0.1), "gain": ("float", 0.8), "contrast": ("float", 1.2),
            "contrastpivot": ("float", 0.4), "exposure": ("float", -1.0),
        },
        lambda a: corrected(a.max(-1)[..., None] + a.min(-1)[..., None] - a),
    ),
]  # fmt: skip


def corrected(turned: Any) -> Any:
    """In the order of MaterialX's own graph: saturation, gamma, lift, gain, contrast, exposure."""
    muted = turned / 2 + (turned * LUMA).sum(-1)[..., None] / 2
    lifted = (np.sqrt(muted) * 0.9 + 0.1) * 0.8
    return np.maximum((lifted - 0.4) * 1.2 + 0.4, 0) / 2


@pytest.mark.parametrize(("node", "inputs", "expected"), OPERATIONS, ids=[name for name, *_ in OPERATIONS])
def test_arithmetic_between_image_and_surface_is_evaluated(
    picture: Path, node: str, inputs: dict[str, tuple[str, Any]], expected: Callable[[Any], Any]
) -> None:
    write(picture, MIX, PLAIN | {"Mix": Node(node, "color3", inputs)}, graph="Graph")
    obj, data = read(picture)
    assert isinstance(obj.base, GraphColor)
    assert obj.base.files == (str(picture / "color.png"),)
    assert linear_of(data) == pytest.approx(expected(LINEAR), abs=1e-5)


def test_a_switch_chooses_texel_by_texel(picture: Path) -> None:
    """As MaterialX's own graph of the node: in1 below 1, in2 below 2, nothing from 10 on."""
    nodes = {
        "UV": uv(),
        "A": image("./color.png"),
        "B": image("./inverse.png"),
        "Which": image("./which.png", kind="float", color_space=None),
        "Steps": Node(
            "ND_multiply_float", "float", {"in1": ("float", From("Which")), "in2": ("float", 25.5)}
        ),
        "Mix": Node(
            "ND_switch_color3",
            "color3",
            {"in1": ("color3", A), "in2": ("color3", From("B")), "which": ("float", From("Steps"))},
        ),
    }
    # Tenths of the code: 0, 1.5, 3.1 (nothing is connected there) and 25.5.
    Image.fromarray(np.array([[0, 15], [31, 255]], np.uint8)).save(picture / "which.png")
    write(picture, MIX, nodes)
    obj, data = read(picture)
    assert isinstance(obj.base, GraphColor)
    assert {Path(file).name for file in obj.base.files} == {"color.png", "inverse.png", "which.png"}
    expected = np.zeros((2, 2, 3))
    expected[0] = LINEAR[0, 0], decode((255 - CODES[0, 1]) / 255)
    assert linear_of(data) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("which", "source"), [(-3.0, "A"), (0.9, "A"), (1.0, "B")])
def test_a_switch_of_one_value_hands_on_one_branch(picture: Path, which: float, source: str) -> None:
    inputs = {"in1": ("color3", A), "in2": ("color3", From("B")), "which": ("float", which)}
    nodes = PLAIN | {"B": image("./inverse.png"), "Mix": Node("ND_switch_color3", "color3", inputs)}
    write(picture, MIX, nodes)
    codes = CODES if source == "A" else 255 - CODES
    assert linear_of(read(picture)[1]) == pytest.approx(decode(codes / 255), abs=1e-5)


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


@pytest.mark.parametrize("space", ["acescg", "lin_adobergb", "lin_displayp3", "srgb_displayp3"])
def test_gamuts_are_materialxs_own_to_their_digits(space: str) -> None:
    library = mx.createDocument()
    mx.loadLibraries(mx.getDefaultDataLibraryFolders(), mx.getDefaultDataSearchPath(), library)
    graph = library.getNodeGraph(f"NG_{space}_to_lin_rec709_color3")
    (matrix,) = [node for node in graph.getNodes("constant") if node.getType() == "matrix33"]
    # A row by which MaterialX multiplies is what red, green or blue alone becomes.
    rows = [float(number) for number in matrix.getInput("value").getValueString().split(",")]
    found = color_to_linear(np.eye(3, dtype=np.float32), space)
    assert found == pytest.approx(np.reshape(rows, (3, 3)), abs=2e-5)


def test_an_unknown_color_space_is_remarked(picture: Path) -> None:
    write(picture, A, {"UV": uv(), "A": image("./color.png", color_space="show_paint")})
    obj, data = read(picture)
    assert any("show_paint" in note for note in obj.notes)
    assert linear_of(data) == pytest.approx(CODES / 255, abs=1e-5)


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


@pytest.mark.parametrize(
    ("identifier", "output", "factor"),
    [
        ("ND_gltf_colorimage", "outcolor", {"color": ("color4", Gf.Vec4f(0.5, 1, 0.25, 1))}),
        ("ND_gltf_image_color3_color3_1_0", "out", {"factor": ("color3", Gf.Vec3f(0.5, 1, 0.25))}),
    ],
)
def test_a_gltf_image_has_its_factor_and_vertex_color(
    picture: Path, identifier: str, output: str, factor: dict[str, Any]
) -> None:
    file = {"file": ("filename", Sdf.AssetPath("./color.png")), "texcoord": ("vector2", From("UV"))}
    node = Node(identifier, "color3", file | factor, "srgb_texture", output=output)
    write(picture, From("A", output), {"UV": uv(), "A": node}, surface="gltf_pbr")
    _, data = read(picture)
    assert linear_of(data) == pytest.approx(LINEAR * (0.5, 1, 0.25), abs=1e-5)


POSITION = {
    "P": Node("ND_position_vector3", "vector3"),
    "Mix": Node("ND_convert_vector3_color3", "color3", {"in": ("vector3", From("P"))}),
}
CYCLE = {
    "A": Node("ND_add_color3", "color3", {"in1": ("color3", MIX)}),
    "Mix": Node("ND_add_color3", "color3", {"in1": ("color3", A)}),
}
MINUS = {
    **PLAIN,
    "E": Node("ND_extract_color3", "float", {"in": ("color3", A), "index": ("integer", -1)}),
    "Mix": Node("ND_combine3_color3", "color3", {f"in{i}": ("float", From("E")) for i in (1, 2, 3)}),
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
        ({"Mix": image("./color.png", texcoord=None, uaddressmode=("string", "wrap"))}, "wrap"),
        ({"Mix": Node("ND_geomcolor_color3", "color3")}, "primvars:displayColor"),
        (MINUS, f"{LOOK}/E asks for a channel that is not there"),
    ],
)
def test_what_cannot_be_evaluated_is_skipped_by_name(
    picture: Path, capfd: pytest.CaptureFixture[str], nodes: Mapping[str, Node], words: str
) -> None:
    write(picture, MIX, nodes)
    sentence = reason(picture)
    assert words in sentence
    assert sentence.endswith(".")
    assert capfd.readouterr().err == ""


def test_a_graph_of_a_thousand_nodes_is_refused_for_its_depth(picture: Path) -> None:
    nodes: dict[str, Node] = dict(PLAIN)
    for number in range(1000):
        source = From(f"N{number - 1}") if number else A
        nodes[f"N{number}"] = Node(
            "ND_add_color3FA", "color3", {"in1": ("color3", source), "in2": ("float", 0.0)}
        )
    write(picture, From("N999"), nodes)
    assert "more than 200 nodes" in reason(picture)


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
    "ND_separate3_color3", "ND_switch_color3", "ND_convert_vector2_vector3", "ND_rotate3d_vector3",
    "ND_convert_vector3_vector2", "ND_combine2_vector2", "ND_separate2_vector2", "ND_multiply_vector2",
    "ND_ramplr_color3", "ND_place2d_vector2",
    "ND_rotate2d_vector2", "ND_geompropvalue_vector2", "ND_geompropvalue_color3", "ND_texcoord_vector2",
    "ND_geomcolor_color4",
    "ND_UsdUVTexture_23", "UsdUVTexture", "UsdPrimvarReader_float2", "ND_", "ND_add", "",
]  # fmt: skip
INPUTS = (
    "in", "in1", "in2", "in3", "fg", "bg", "mix", "amount", "index", "channels", "which", "file", "texcoord",
    "uvtiling", "realworldimagesize", "pivot", "scale", "rotate", "st", "geomprop", "varname", "uaddressmode",
    "valuel", "low", "high", "value", "axis",
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
