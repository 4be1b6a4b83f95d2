"""The other inputs of a UsdPreviewSurface, one by one and together, in Storm.

At strength 0 the live network is lit like the source: mean difference 2 % of the mean light.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, UsdGeom, UsdShade

from usdstylize.usd import verify

from .storm_results import SIZE, ZOOM, Array, bumps, material, render, smooth, stylize
from .storm_scenes import Paint, add_texture, make_stage, write_image

pytestmark = pytest.mark.storm

_Types = Sdf.ValueTypeNames
INPUTS: dict[str, dict[str, Any]] = {
    "nothing but the colour": {},
    "roughness": {"roughness": "g"},
    "metallic": {"metallic": "b"},
    "half metallic": {"metallic": 0.5},
    "wholly metallic": {"metallic": 1.0},
    "normal": {"normal": "rgb"},
    "opacity": {"opacity": "r"},
    "constant opacity": {"opacity": 0.5},
    "cut out": {"opacity": "r", "opacityThreshold": 0.7},
    "cut out metal": {"opacity": "r", "opacityThreshold": 0.7, "metallic": 0.7, "occlusion": "g"},
    "emission": {"emissiveColor": "rgb"},
    "occlusion": {"occlusion": "r"},
    "constant occlusion": {"occlusion": 0.5},
    "occlusion in the specular workflow": {
        "occlusion": "r",
        "useSpecularWorkflow": 1,
        "specularColor": Gf.Vec3f(0.08, 0.05, 0.03),
    },
    "rough metal": {"roughness": "g", "metallic": "b"},
    "transparent metal": {"opacity": "g", "metallic": "r"},
    "all together": {
        "roughness": "g",
        "metallic": "b",
        "occlusion": "r",
        "normal": "rgb",
        "emissiveColor": "rgb",
        "opacity": "g",
    },
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Array, Array]]:
    """The source and its live network at strength 0, everything rendered in one go."""
    folder = tmp_path_factory.mktemp("inputs")
    write_image(folder / "T.png", smooth(5, 0.2, 0.8))
    write_image(folder / "bumps.png", bumps())
    write_image(folder / "orm.png", smooth(6, 0.5, 0.9))
    write_image(folder / "glow.png", smooth(7, 0.0, 0.3))
    jobs = []
    for number, inputs in enumerate(INPUTS.values()):
        path = folder / f"case{number}.usda"
        add_inputs(path, inputs)
        root, obj = stylize(path)
        common = {"width": SIZE * ZOOM // 2}
        jobs.append(common | {"stage": str(path)})
        jobs.append(common | {"stage": str(root), "values": {f"{material(obj)}.inputs:strength": 0.0}})
    found = render(folder, jobs)
    return {name: (found[2 * i], found[2 * i + 1]) for i, name in enumerate(INPUTS)}


def add_inputs(path: Path, inputs: dict[str, Any]) -> None:
    where = "/World/Looks/Paint"
    source = make_stage(path, Paint("./T.png"))
    surface = UsdShade.Shader.Get(source, f"{where}/Surface")
    orm = add_texture(source, where, "ORM", "./orm.png", "raw", "st")
    bumpy = add_texture(
        source, where, "Bumps", "./bumps.png", "raw", "st", scale=(2, 2, 2, 1), bias=(-1, -1, -1, 0)
    )
    glow = add_texture(source, where, "Glow", "./glow.png", "sRGB", "st")
    images = {"normal": (bumpy, _Types.Normal3f), "emissiveColor": (glow, _Types.Color3f)}
    kinds = {"useSpecularWorkflow": _Types.Int, "specularColor": _Types.Color3f}
    for name, value in inputs.items():
        image, kind = images.get(name, (orm, kinds.get(name, _Types.Float)))
        item = surface.CreateInput(name, kind)
        if isinstance(value, str):
            output = image.CreateOutput(value, _Types.Float3 if value == "rgb" else _Types.Float)
            item.ConnectToSource(output)
        else:
            item.Set(value)
    source.Save()


@pytest.mark.parametrize("name", INPUTS)
def test_strength_zero_is_lit_like_the_source(name: str, pictures: Any) -> None:
    original, live = pictures[name]
    # The edge that clipping makes, with its wrong mip levels, runs along the diagonal.
    across, down = np.meshgrid(np.arange(original.shape[1]), np.arange(original.shape[0]))
    aside = np.abs(across - down) > 2
    assert original.std() > 0.02
    assert np.abs(live - original)[aside].mean() <= 0.02 * original[aside].mean()


UNDEFINED: dict[str, dict[str, Any]] = {
    "nothing but the colour": {},
    "a normal of length 0": {"normal": Gf.Vec3f(0)},
    "a normal along the tangent": {"normal": Gf.Vec3f(1, 0, 0)},
    "a normal that is no number": {"normal": Gf.Vec3f(float("nan"))},
    "a tilted normal": {"normal": Gf.Vec3f(1, 1, 1)},
    "normals that the mesh lacks": {"normal": "lacking"},
    "normals of the mesh": {"normal": "tilted"},
    "a normal of length 0 on a metal": {"normal": Gf.Vec3f(0), "metallic": 0.5},
}
"""What Storm ignores on a UsdPreviewSurface and MaterialX's surface does not."""


def test_a_normal_that_no_texture_gives_turns_nothing(tmp_path: Path) -> None:
    jobs = []
    for number, inputs in enumerate(UNDEFINED.values()):
        path = tmp_path / f"case{number}.usda"
        source = make_stage(path, Paint(constant=(0.3, 0.5, 0.1)))
        triangle = UsdGeom.PrimvarsAPI(source.GetPrimAtPath("/World/Triangle"))
        triangle.CreatePrimvar("tilted", _Types.Normal3fArray, "constant").Set([Gf.Vec3f(0.7, 0, 0.7)])
        surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
        reader = UsdShade.Shader.Define(source, "/World/Looks/Paint/Reader")
        reader.CreateIdAttr("UsdPrimvarReader_normal")
        for name, value in inputs.items():
            item = surface.CreateInput(name, _Types.Normal3f if name == "normal" else _Types.Float)
            if isinstance(value, str):
                reader.CreateInput("varname", _Types.String).Set(value)
                item.ConnectToSource(reader.CreateOutput("result", _Types.Normal3f))
            else:
                item.Set(value)
        source.Save()
        root, obj = stylize(path)
        assert [str(check) for check in verify.verify(root).failed] == []
        common = {"width": SIZE}
        jobs.append(common | {"stage": str(path)})
        jobs.append(common | {"stage": str(root), "values": {f"{material(obj)}.inputs:strength": 0.0}})
    pictures = render(tmp_path, jobs)
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    aside = np.abs(across - down) > 2
    for name, original, live in zip(UNDEFINED, pictures[0::2], pictures[1::2], strict=True):
        assert original.std() > 0.02, name
        assert np.abs(live - original)[aside].mean() <= 0.02 * original[aside].mean(), name
