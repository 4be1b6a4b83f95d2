"""MaterialX materials in Storm: the stylise graph stands before the source's own surface.

live network = bake = clamp(T + strength · T_S): max abs in linear 0.002 live, 0.008 baked. At
strength 0 the lit picture is the source's, whatever other inputs it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import problems
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from pxr import Gf

from usdstylize.usd import verify

from .storm_results import (
    SIZE,
    STYLE,
    ZOOM,
    Array,
    T,
    bumps,
    decode,
    encode,
    material,
    render,
    smooth,
    stylize,
)
from .storm_scenes import Paint, bind, make_stage, write_image

pytestmark = pytest.mark.storm

OTHER = np.rint(np.random.default_rng(11).uniform(0, 1, (SIZE, SIZE, 3)) * 255) / 255


@dataclass(frozen=True)
class Case:
    """A base colour, its nodes, and T by hand."""

    color: Any
    nodes: Mapping[str, Node]
    base: Array
    """T, sRGB-encoded."""
    surface: str = "standard_surface"
    graph: str = ""
    inputs: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    has_preview: bool = False
    """The material has a UsdPreviewSurface, too."""
    primvar: str = "st"
    tiling: int = 1
    """How often T repeats in the picture, in each direction."""


def two(identifier: str, **inputs: tuple[str, Any]) -> dict[str, Node]:
    """The images A and B, and a node that mixes them."""
    return {
        "UV": uv(),
        "A": image("./T.png"),
        "B": image("./other.png"),
        "Mix": Node(identifier, "color3", inputs),
    }


PLAIN = {"UV": uv(), "A": image("./T.png")}
A, B, MIX = From("A"), From("B"), From("Mix")
LINEAR_T, LINEAR_OTHER = decode(T), decode(OTHER)
HALF = LINEAR_T * 0.5 + LINEAR_OTHER * 0.5

CASES: dict[str, Case] = {
    "standard_surface": Case(A, PLAIN, T),
    "open_pbr": Case(A, PLAIN, T, surface="open_pbr"),
    "gltf_pbr": Case(A, PLAIN, T, surface="gltf_pbr"),
    "preview": Case(A, PLAIN, T, surface="preview"),
    "constant": Case(
        Gf.Vec3f(0.2, 0.5, 0.8), {}, np.broadcast_to(encode(np.array([0.2, 0.5, 0.8])), T.shape)
    ),
    "linear image": Case(A, {"UV": uv(), "A": image("./T.png", color_space="lin_rec709")}, encode(T)),
    "acescg image": Case(
        A,
        {"UV": uv(), "A": image("./T.png", color_space="acescg")},
        encode(
            T
            @ np.array(
                [
                    [1.705050992658, -0.621792120657, -0.083258872001],
                    [-0.130256417507, 1.140804736575, -0.010548319068],
                    [-0.024003356805, -0.128968976065, 1.15297233287],
                ]
            ).T
        ),
    ),
    "tiledimage": Case(
        A,
        {"UV": uv(), "A": image("./T.png", node="tiledimage", uvtiling=("vector2", Gf.Vec2f(2, 2)))},
        T,
        tiling=2,
    ),
    "place2d": Case(
        A,
        {
            "UV": uv(),
            "Place": Node(
                "ND_place2d_vector2",
                "vector2",
                {
                    "texcoord": ("vector2", From("UV")),
                    "pivot": ("vector2", Gf.Vec2f(0.5, 0.5)),
                    "rotate": ("float", 90.0),
                },
            ),
            "A": image("./T.png", texcoord="Place"),
        },
        T,
    ),
    "node graph": Case(
        MIX,
        two("ND_mix_color3", fg=("color3", A), bg=("color3", B), mix=("float", 0.5)),
        encode(HALF),
        graph="Graph",
    ),
    "multiply and clamp": Case(
        From("Clamp"),
        {
            **two("ND_multiply_color3", in1=("color3", A), in2=("color3", B)),
            "Clamp": Node(
                "ND_clamp_color3", "color3", {"in": ("color3", MIX), "high": ("color3", Gf.Vec3f(0.4))}
            ),
        },
        encode(np.clip(LINEAR_T * LINEAR_OTHER, 0, 0.4)),
        surface="gltf_pbr",
    ),
    "hue and contrast": Case(
        From("Contrast"),
        {
            "UV": uv(),
            "A": image("./T.png"),
            "Hue": Node(
                "ND_hsvadjust_color3",
                "color3",
                {"in": ("color3", A), "amount": ("vector3", Gf.Vec3f(1 / 3, 1, 1))},
            ),
            "Contrast": Node(
                "ND_contrast_color3",
                "color3",
                {"in": ("color3", From("Hue")), "amount": ("color3", Gf.Vec3f(0.5))},
            ),
        },
        # A third of the circle: red becomes green, green blue, blue red.
        encode((np.roll(LINEAR_T, 1, axis=-1) - 0.5) * 0.5 + 0.5),
        surface="open_pbr",
    ),
    "swapped channels of a color4": Case(
        From("Combine"),
        {
            "UV": uv(),
            "A": image("./T.png", kind="color4"),
            "Parts": Node("ND_separate4_color4", "float", {"in": ("color4", A)}, output="outr"),
            "Combine": Node(
                "ND_combine3_color3",
                "color3",
                {f"in{i + 1}": ("float", From("Parts", f"out{c}")) for i, c in enumerate("bgr")},
            ),
        },
        T[..., ::-1],
    ),
}
CASES |= {
    "a UsdPreviewSurface beside it": Case(A, PLAIN, T, has_preview=True),
    "primvar map1": Case(A, PLAIN | {"UV": uv("map1")}, T, primvar="map1"),
}
STRENGTHS = (0.0, 1.0, -0.5)


def make(path: Path, case: Case) -> None:
    write_image(path.parent / "T.png", T)
    write_image(path.parent / "other.png", OTHER)
    stage = make_stage(path, Paint("./T.png", primvar=case.primvar))
    if not case.has_preview:
        stage.RemovePrim("/World/Looks")
    where = "/World/Looks/Paint"
    paint = add_mtlx_material(
        stage, where, case.color, case.nodes,
        surface=case.surface, inputs=case.inputs, graph=case.graph, name="Glaze",
    )  # fmt: skip
    bind(stage.GetPrimAtPath("/World/Triangle"), paint)
    stage.Save()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Array]]:
    """For each case the live network at each strength, then the bake."""
    folder = tmp_path_factory.mktemp("mtlx")
    jobs = []
    for number, case in enumerate(CASES.values()):
        path = folder / f"case{number}" / "case.usda"
        path.parent.mkdir()
        make(path, case)
        root, obj = stylize(path)
        assert verify.verify(root).failed == ()
        assert problems(root) == []
        common = {"stage": str(root), "width": SIZE * ZOOM * case.tiling, "unlit": True}
        dial = f"{material(obj)}.inputs:strength"
        jobs += [common | {"values": {dial: strength}} for strength in STRENGTHS]
        jobs.append(common | {"preview": True})
    found = render(folder, jobs)
    each = len(STRENGTHS) + 1
    return {name: found[each * i : each * (i + 1)] for i, name in enumerate(CASES)}


@pytest.mark.parametrize("name", CASES)
def test_live_network_and_bake_show_the_clamped_sum(name: str, pictures: Any) -> None:
    case, (*live, bake) = CASES[name], pictures[name]
    across, down = np.meshgrid(np.arange(SIZE * case.tiling), np.arange(SIZE * case.tiling))
    aside = np.abs(across - down) > 1
    turn = 1 if name == "place2d" else 0
    for strength, picture in zip((*STRENGTHS, 1.0), (*live, bake), strict=True):
        total = decode(np.clip(case.base + strength * STYLE, 0, 1))
        reference = np.tile(np.rot90(total, turn), (case.tiling, case.tiling, 1))
        tolerance = 0.008 if picture is bake else 0.002
        assert np.abs(picture[1::ZOOM, 1::ZOOM] - reference)[aside].max() <= tolerance


LOBES: dict[str, tuple[str, dict[str, tuple[str, Any]]]] = {
    "standard_surface": (
        "standard_surface",
        {
            "base": ("float", 0.8),
            "specular_roughness": ("float", From("G")),
            "metalness": ("float", From("Metal")),
            "coat": ("float", 0.3),
            "emission": ("float", 0.2),
            "emission_color": ("color3", From("B")),
            "normal": ("vector3", From("Bumpy")),
            "sheen": ("float", 0.2),
        },
    ),
    "open_pbr": (
        "open_pbr",
        {
            "base_weight": ("float", 0.9),
            "specular_roughness": ("float", From("G")),
            "base_metalness": ("float", 0.3),
            "coat_weight": ("float", 0.5),
            "geometry_normal": ("vector3", From("Bumpy")),
        },
    ),
    "gltf_pbr": (
        "gltf_pbr",
        {
            "roughness": ("float", From("G")),
            "metallic": ("float", 0.25),
            "occlusion": ("float", 0.8),
            "emissive": ("color3", From("B")),
            "emissive_strength": ("float", 0.2),
            "normal": ("vector3", From("Bumpy")),
        },
    ),
    "preview": (
        "preview",
        {"roughness": ("float", From("G")), "metallic": ("float", 0.5), "clearcoat": ("float", 0.5)},
    ),
}


@pytest.fixture(scope="module")
def lit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Array, Array, Array]]:
    """The source, its live network at strength 0 and its `original` variant, in light."""
    folder = tmp_path_factory.mktemp("lit")
    jobs = []
    for number, (surface, inputs) in enumerate(LOBES.values()):
        path = folder / f"case{number}" / "case.usda"
        path.parent.mkdir()
        write_image(path.parent / "T.png", smooth(5, 0.2, 0.8))
        write_image(path.parent / "glow.png", smooth(7, 0.0, 0.3))
        write_image(path.parent / "orm.png", smooth(6, 0.5, 0.9))
        write_image(path.parent / "bumps.png", bumps())
        nodes = {
            "UV": uv(),
            "A": image("./T.png"),
            "B": image("./glow.png"),
            "ORM": image("./orm.png", kind="vector3", color_space=None),
            "G": Node(
                "ND_extract_vector3", "float", {"in": ("vector3", From("ORM")), "index": ("integer", 1)}
            ),
            "Metal": Node(
                "ND_extract_vector3", "float", {"in": ("vector3", From("ORM")), "index": ("integer", 2)}
            ),
            "Map": image("./bumps.png", kind="vector3", color_space=None),
            "Bumpy": Node("ND_normalmap_float", "vector3", {"in": ("vector3", From("Map"))}),
        }
        make_lit(path, surface, nodes, inputs)
        root, obj = stylize(path)
        common = {"stage": str(root), "width": SIZE}
        jobs.append(common | {"stage": str(path)})
        jobs.append(common | {"values": {f"{material(obj)}.inputs:strength": 0.0}})
        jobs.append(common | {"variants": {material(obj): "original"}})
    found = render(folder, jobs)
    return {name: (found[3 * i], found[3 * i + 1], found[3 * i + 2]) for i, name in enumerate(LOBES)}


def make_lit(
    path: Path, surface: str, nodes: Mapping[str, Node], inputs: Mapping[str, tuple[str, Any]]
) -> None:
    stage = make_stage(path, None)
    paint = add_mtlx_material(
        stage, "/World/Looks/Paint", A, nodes, surface=surface, inputs=inputs, graph="Graph"
    )
    bind(stage.GetPrimAtPath("/World/Triangle"), paint)
    stage.Save()


@pytest.mark.parametrize("name", LOBES)
def test_strength_zero_is_lit_like_the_source(name: str, lit: Any) -> None:
    source, live, original = lit[name]
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    aside = np.abs(across - down) > 2
    assert source.std() > 0.02
    assert np.abs(live - source)[aside].mean() <= 0.001 * source[aside].mean()
    assert np.abs(original - source).max() <= 1e-4
