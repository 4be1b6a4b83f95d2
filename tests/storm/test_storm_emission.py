"""T is seen through more inputs than the base colour: emission, highlights, subsurface, coat and the rest.

What must be seen is the same stage with the image itself painted over by hand: clamp(T + T_S) in its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import problems
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from numpy.typing import NDArray
from pxr import Gf, Sdf, UsdShade

from usdstylize.usd import verify

from .storm_results import SIZE, STYLE, ZOOM, Array, T, material, render, stylize
from .storm_scenes import Paint, add_texture, bind, make_stage, write_image

pytestmark = pytest.mark.storm

_Types = Sdf.ValueTypeNames
PAINTED = np.clip(T + STYLE, 0, 1)
OTHER = np.rint(np.random.default_rng(11).uniform(0, 0.5, (SIZE, SIZE, 3)) * 255) / 255


@dataclass(frozen=True)
class Reads:
    """A UsdUVTexture that feeds an input of a UsdPreviewSurface."""

    file: str = "./T.png"
    scale: tuple[float, ...] | None = None
    bias: tuple[float, ...] | None = None
    color_space: str = "sRGB"


@dataclass(frozen=True)
class Preview:
    """Inputs of a UsdPreviewSurface: textures and values."""

    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Mtlx:
    """Inputs of a MaterialX surface, and the nodes that feed them."""

    surface: str
    color: Any
    nodes: Mapping[str, Node]
    inputs: Mapping[str, tuple[str, Any]] = field(default_factory=dict)


NODES = {"UV": uv(), "A": image("./T.png")}
A, BLACK = ("color3", From("A")), Gf.Vec3f(0, 0, 0)
DIM = {
    **NODES,
    "Again": image("./T.png"),
    "Dim": Node(
        "ND_multiply_color3",
        "color3",
        {"in1": ("color3", From("Again")), "in2": ("color3", Gf.Vec3f(0.3, 0.5, 0.7))},
    ),
    "Lift": Node(
        "ND_add_color3", "color3", {"in1": ("color3", From("Dim")), "in2": ("color3", Gf.Vec3f(0.05, 0, 0.1))}
    ),
}
BRIGHT = {
    **NODES,
    "Bright": Node("ND_multiply_color3FA", "color3", {"in1": ("color3", From("A")), "in2": ("float", 3.0)}),
}
CASES: dict[str, Preview | Mtlx] = {
    "one image twice": Preview({"diffuseColor": Reads(), "emissiveColor": Reads()}),
    "its own scale and bias": Preview(
        {"diffuseColor": Reads(), "emissiveColor": Reads(scale=(0.5, 0.3, 0.8, 1), bias=(0.1, 0, 0.05, 0))}
    ),
    "its codes": Preview({"diffuseColor": Reads(), "emissiveColor": Reads(color_space="raw")}),
    "another image": Preview({"diffuseColor": Reads(), "emissiveColor": Reads("./other.png")}),
    "highlights": Preview(
        {
            "diffuseColor": Reads(),
            "specularColor": Reads(scale=(0.3, 0.3, 0.3, 1)),
            "useSpecularWorkflow": 1,
            "roughness": 0.6,
        }
    ),
    "emission alone": Preview({"diffuseColor": BLACK, "emissiveColor": Reads()}),
    "emission alone, dimmed": Preview(
        {"diffuseColor": BLACK, "emissiveColor": Reads(scale=(0.5, 0.3, 0.8, 1), bias=(0.1, 0, 0.05, 0))}
    ),
    "emission alone, bright": Preview({"diffuseColor": BLACK, "emissiveColor": Reads(scale=(3, 3, 3, 1))}),
    "standard_surface": Mtlx(
        "standard_surface", From("A"), NODES, {"emission": ("float", 0.7), "emission_color": A}
    ),
    "standard_surface, dimmed": Mtlx(
        "standard_surface",
        From("A"),
        DIM,
        {"emission": ("float", 1.0), "emission_color": ("color3", From("Lift"))},
    ),
    "standard_surface, lobes": Mtlx(
        "standard_surface",
        From("A"),
        NODES,
        {
            "subsurface": ("float", 0.5),
            "subsurface_color": A,
            "coat": ("float", 0.3),
            "coat_color": A,
            "sheen": ("float", 0.4),
            "sheen_color": A,
            "specular_color": A,
        },
    ),
    "standard_surface, emission alone": Mtlx(
        "standard_surface", BLACK, NODES, {"emission": ("float", 1.0), "emission_color": A}
    ),
    "standard_surface, emission alone, bright": Mtlx(
        "standard_surface",
        BLACK,
        BRIGHT,
        {"emission": ("float", 1.0), "emission_color": ("color3", From("Bright"))},
    ),
    "standard_surface without a base": Mtlx(
        "standard_surface",
        From("A"),
        NODES,
        {"base": ("float", 0.0), "emission": ("float", 1.0), "emission_color": A},
    ),
    "open_pbr": Mtlx(
        "open_pbr", From("A"), NODES, {"emission_luminance": ("float", 0.7), "emission_color": A}
    ),
    "gltf_pbr": Mtlx("gltf_pbr", From("A"), NODES, {"emissive": A, "metallic": ("float", 0.0)}),
    "gltf_pbr, emission alone": Mtlx("gltf_pbr", BLACK, NODES, {"emissive": A, "metallic": ("float", 0.0)}),
    "preview in MaterialX": Mtlx("preview", From("A"), NODES, {"emissiveColor": A}),
    "unlit": Mtlx("unlit", From("A"), NODES),
    "unlit, dimmed": Mtlx("unlit", From("A"), NODES, {"emission": ("float", 0.6)}),
}


def make_source(path: Path, case: Preview | Mtlx, image_codes: NDArray[np.float64]) -> None:
    """``path`` and its textures; ``image_codes`` are those of T.png."""
    path.parent.mkdir()
    write_image(path.parent / "T.png", image_codes)
    write_image(path.parent / "other.png", OTHER)
    stage, where = make_stage(path, Paint()), "/World/Looks/Paint"
    if isinstance(case, Mtlx):
        stage.RemovePrim(where)
        made = add_mtlx_material(
            stage, where, case.color, case.nodes, surface=case.surface, inputs=case.inputs
        )
        bind(stage.GetPrimAtPath("/World/Triangle"), made)
    else:
        surface = UsdShade.Shader.Get(stage, f"{where}/Surface")
        for name, value in case.inputs.items():
            kind = {"roughness": _Types.Float, "useSpecularWorkflow": _Types.Int}.get(name, _Types.Color3f)
            item = surface.CreateInput(name, kind)
            if isinstance(value, Reads):
                texture = add_texture(
                    stage, where, f"{name}Texture", value.file, value.color_space, "st",
                    scale=value.scale, bias=value.bias,
                )  # fmt: skip
                item.ConnectToSource(texture.CreateOutput("rgb", _Types.Float3))
            else:
                item.Set(value)
    stage.Save()


Pictures = dict[str, dict[str, Array]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pictures]:
    """By case and light: every picture of it."""
    folder = tmp_path_factory.mktemp("emission")
    jobs: list[dict[str, Any]] = []
    for number, case in enumerate(CASES.values()):
        source, painted = folder / f"source{number}/a.usda", folder / f"painted{number}/a.usda"
        make_source(source, case, T)
        make_source(painted, case, PAINTED)
        root, obj = stylize(source)
        assert problems(root) == []
        assert verify.verify(root).failed == ()
        ours = material(obj)
        for light in LIGHTS.values():
            common = light | {"width": SIZE * ZOOM, "stage": str(root)}
            jobs += [
                common | {"stage": str(source)},
                common | {"stage": str(painted)},
                common | {"variants": {ours: "original"}},
                common | {"values": {f"{ours}.inputs:strength": 0.0}},
                dict(common),
                common | {"preview": True},
            ]
    found = iter(render(folder, jobs))
    names = ("source", "painted", "original", "zero", "live", "bake")
    return {
        name: {light: {which: centres(next(found)) for which in names} for light in LIGHTS} for name in CASES
    }


LIGHTS: dict[str, dict[str, Any]] = {"lit": {}, "dark": {"dark": True}}


def centres(picture: Array) -> Array:
    """At texel centres: between them, what is filtered before the sum differs from what is filtered after.

    Those along the diagonal, the edge that clipping to the picture makes, are black.
    """
    found = picture[1::ZOOM, 1::ZOOM].copy()
    np.einsum("iic->ic", found)[:] = 0
    return found


def worst(picture: Array, expected: Array) -> float:
    """The largest difference, of the brightest light where that is more than 1."""
    return float(np.abs(picture - expected).max()) / max(1.0, float(expected.max()))


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("name", CASES)
def test_the_style_shows_wherever_the_image_does(
    name: str, light: str, pictures: dict[str, Pictures]
) -> None:
    found = pictures[name][light]
    source, painted = found["source"], found["painted"]
    emits = name != "standard_surface, lobes" and name != "highlights"
    if light == "lit" or (emits and name != "another image"):
        assert np.abs(painted - source).max() > 0.1, "nothing to see"
    assert np.abs(found["original"] - source).max() < 1e-3
    if isinstance(CASES[name], Mtlx) or light == "dark":
        # Its own surface: exact but for the 8 bits of the image painted by hand.
        assert worst(found["zero"], source) <= 0.002
        assert worst(found["live"], painted) <= 0.006
    else:
        # As `test_storm_inputs`: the source's surface is a native one, whose highlights differ a little.
        assert np.abs(found["zero"] - source).mean() <= 0.02 * source.mean()
        assert np.abs(found["live"] - painted).mean() <= 0.02 * painted.mean()


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if isinstance(case, Preview)])
def test_the_bake_shows_it_too(name: str, light: str, pictures: dict[str, Pictures]) -> None:
    found = pictures[name][light]
    assert worst(found["bake"], found["painted"]) <= 0.008


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if isinstance(case, Mtlx)])
def test_a_preview_of_a_materialx_surface_emits_it(name: str, pictures: dict[str, Pictures]) -> None:
    found = pictures[name]["dark"]
    assert worst(found["bake"], found["painted"]) <= 0.008
