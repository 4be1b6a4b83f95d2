"""Storm's pixels of islands that another colour surrounds in T: no mip level brings it over a seam."""

from pathlib import Path

import numpy as np
import pytest
import torch
from author_results import hold
from conftest import build_style_folder
from PIL import Image
from pxr import Gf, UsdGeom, UsdShade

import usdstylize
from usdstylize.optimize.step import Step

from .storm_results import Array, bilinear, decode, render
from .storm_scenes import Paint, add_mesh, bind, make_stage, write_image

pytestmark = pytest.mark.storm

ISLANDS = 4
"""Along each side of the square."""
TEXELS = 16
"""Of T, that an island is wide; as many lie between two of them."""
PAINT, MAGENTA = np.array([0.3, 0.4, 0.35]), np.array([1.0, 0.0, 1.0])
STYLE = (0.2, -0.1, 0.25)
WIDTHS = (16, 8)
"""Pixels of the picture; an island is 4 or 2 of them wide."""


def make_source(folder: Path, shift: float) -> Path:
    """A square of 4 x 4 quads, each an island of its own; shift: texels by which they are off T's grid."""
    size = 2 * ISLANDS * TEXELS
    island = np.arange(size) // TEXELS % 2 == 0
    codes = np.where((island[:, None] & island)[..., None], PAINT, MAGENTA)
    write_image(folder / "T.png", codes)
    stage = make_stage(folder / "islands.usda", Paint("./T.png"))
    stage.RemovePrim("/World/Triangle")
    corners, uvs = [], []
    for row in range(ISLANDS):
        for column in range(ISLANDS):
            for x, y in ((0, 0), (1, 0), (0, 1), (1, 1), (0, 1), (1, 0)):
                corners.append((2 * (column + x) / ISLANDS - 1, 2 * (row + y) / ISLANDS - 1))
                texels = (2 * np.array([column, ISLANDS - 1 - row]) + [x, 1 - y]) * TEXELS
                texels = texels - np.where([x, 1 - y], shift, -shift)
                uvs.append(Gf.Vec2f(float(texels[0] / size), float(1 - texels[1] / size)))
    mesh = add_mesh(stage, corners, "st", (0.0, 1.0), path="/World/Square")
    st = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    st.Set(uvs)
    st.SetIndices(list(range(len(uvs))))
    bind(mesh.GetPrim(), UsdShade.Material.Get(stage, "/World/Looks/Paint"))
    stage.Save()
    return folder / "islands.usda"


def mipped(encoded: Array, texels: int, shift: float) -> Array:
    """What a client shows of the mip level of an image that has so many texels, at 8 places of each island.

    Storm reads a UsdUVTexture at its full size from any distance, others do not.
    """
    small = decode(encoded)
    while len(small) > texels:
        small = small.reshape(len(small) // 2, 2, len(small) // 2, 2, 3).mean(axis=(1, 3))
    inside = shift / TEXELS + (np.arange(8) + 0.5) / 8 * (1 - 2 * shift / TEXELS)
    places = ((2 * np.arange(ISLANDS)[:, None] + inside) / (2 * ISLANDS)).ravel()
    return bilinear(small, np.stack(np.meshgrid(places, 1 - places), axis=-1))


@pytest.mark.parametrize(("size", "shift", "limit"), [(64, 0.0, 0.06), (128, 0.3, 0.004), (256, 0.3, 0.05)])
def test_no_gutter_of_the_source_comes_over_a_seam(
    size: int, shift: float, limit: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T_S of 0.5, 1 and 2 texels for one of T, one colour on all islands: T + T_S is one at every distance.

    Where the two have texels of different size, half of one at a border is a mixture of both.
    """
    source, styles = make_source(tmp_path, shift), build_style_folder(tmp_path / "ink")
    monkeypatch.setattr(Step, "__call__", lambda self, *_: torch.zeros(4))
    monkeypatch.setattr(Step, "texture", torch.tensor(STYLE).expand(1, size, size, 3))
    options = usdstylize.Options(preset="draft", device="cpu", texture_resolution=size, iterations=1)
    root = usdstylize.stylize(source, styles, options).root_layer
    assert root is not None
    hold(root)
    expected = decode(PAINT + np.array(STYLE))
    jobs = [{"stage": str(root), "width": width, "unlit": True} for width in WIDTHS]
    for picture in render(tmp_path, jobs):
        assert np.abs(picture - expected).max() <= limit
    base = np.array(Image.open(tmp_path / "T.png")) / 255
    baked = np.array(Image.open(next(root.parent.glob("islands.style/ink/*/*.baked.png")))) / 255
    for texels in (32, 16, 8, 4):
        shown = mipped(baked, texels, shift)
        assert np.abs(shown - expected).max() <= limit
        continued = mipped(np.clip(base + STYLE, 0, 1), texels, shift)
        assert np.abs(continued - expected).max() > 0.25, "what T_S alone would give, continued"
