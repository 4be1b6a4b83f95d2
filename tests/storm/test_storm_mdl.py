"""Materials that have nothing but an OmniPBR, in Storm, which knows no MDL: our networks stand for it.

T is what OmniPBR makes of its map, worked out here from its documentation.
"""

from typing import Any

import numpy as np
import pytest
from mdl_stages import add_mdl
from pxr import Gf, UsdShade

from .storm_results import SIZE, STYLE, ZOOM, Array, T, decode, encode, render, stylize
from .storm_scenes import bind, make_stage, write_image

pytestmark = pytest.mark.storm

ADJUSTED = {
    "diffuse_tint": Gf.Vec3f(0.5, 0.9, 0.7),
    "albedo_brightness": 0.8,
    "albedo_add": 0.05,
    "albedo_desaturation": 0.4,
}
CASES: dict[str, dict[str, Any]] = {
    "plain": {"diffuse_texture": "./T.png"},
    "raw": {"diffuse_texture": "./T.png", "colorSpace": "raw"},
    "adjusted": {"diffuse_texture": "./T.png", **ADJUSTED},
    "turned": {
        "diffuse_texture": "./T.png",
        "texture_rotate": 90.0,
        "texture_translate": Gf.Vec2f(0.25, 0.125),
    },
    "constant": {"diffuse_color_constant": Gf.Vec3f(0.2, 0.5, 0.8), "diffuse_tint": Gf.Vec3f(1, 0.5, 1)},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Array, Array]]:
    """The live network and the bake of every case."""
    folder = tmp_path_factory.mktemp("mdl")
    write_image(folder / "T.png", T)
    jobs = []
    for name, inputs in CASES.items():
        source = make_stage(folder / f"{name}.usda", None)
        shader = add_mdl(source, **inputs)
        bind(source.GetPrimAtPath("/World/Triangle"), UsdShade.Material(shader.GetPrim().GetParent()))
        source.Save()
        root, obj = stylize(folder / f"{name}.usda")
        assert obj.surface == "mdl"
        common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
        jobs += [common, common | {"preview": True}]
    found = iter(render(folder, jobs))
    return {name: (next(found), next(found)) for name in CASES}


def base(name: str) -> Array:
    """T as it lies in the file, sRGB-encoded."""
    if name == "constant":
        return np.broadcast_to(encode(np.array([0.2, 0.25, 0.8])), T.shape)
    linear = T if name == "raw" else decode(T)
    if name == "adjusted":
        linear = linear * 0.8 + 0.05
        grey = linear @ np.array([0.212671, 0.715160, 0.072169])
        linear = (0.6 * linear + 0.4 * grey[..., None]) * np.array([0.5, 0.9, 0.7])
    return encode(linear)


@pytest.mark.parametrize("name", CASES)
def test_live_network_and_bake_show_the_sum(name: str, pictures: dict[str, tuple[Array, Array]]) -> None:
    total = decode(np.clip(base(name) + STYLE, 0, 1))
    if name == "turned":
        # u' = v + 0.125, v' = 1 - u - 0.25: moved, then turned clockwise about the middle.
        texel = (np.arange(SIZE) + 0.5) / SIZE
        u, v = np.meshgrid(texel, texel[::-1])
        across, up = (v + 0.125) % 1.0, (1 - u - 0.25) % 1.0
        total = total[np.int64((1 - up) * SIZE), np.int64(across * SIZE)]
    down, right = np.mgrid[0:SIZE, 0:SIZE]
    aside = np.abs(down - right) > 1
    live, bake = (picture[1::ZOOM, 1::ZOOM] for picture in pictures[name])
    assert np.abs(live - total)[aside].max() <= 0.002
    assert np.abs(bake - total)[aside].max() <= 0.008
