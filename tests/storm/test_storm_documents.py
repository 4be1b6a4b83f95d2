"""Materials of .mtlx documents, read here without usdMtlx, rendered by a Storm whose OpenUSD has it.

The written override and the document itself meet there for the first time.
"""

from typing import Any

import numpy as np
import pytest
from mtlx_documents import TEXTURED, write_document
from pxr import Sdf, UsdShade

from .storm_results import SIZE, STYLE, ZOOM, Array, T, decode, encode, material, render, stylize
from .storm_scenes import make_stage, write_image

pytestmark = pytest.mark.storm

LOOKS = "/World/Looks/Materials"
LOOSE = """
  <tiledimage name="tiles" type="color3">
    <input name="file" type="filename" value="color.png" colorspace="srgb_texture" />
    <input name="uvtiling" type="vector2" value="2, 2" />
  </tiledimage>
  <gltf_pbr name="SR_loose" type="surfaceshader">
    <input name="base_color" type="color3" nodename="tiles" />
    <input name="metallic" type="float" value="0" />
  </gltf_pbr>
  <surfacematerial name="Loose" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_loose" />
  </surfacematerial>
"""
TINTED = """
  <nodegraph name="NG_tinted">
    <input name="tint" type="color3" value="0.5, 1, 0.8" />
    <image name="raw" type="color3">
      <input name="file" type="filename" value="color.png" />
    </image>
    <multiply name="product" type="color3">
      <input name="in1" type="color3" nodename="raw" />
      <input name="in2" type="color3" interfacename="tint" />
    </multiply>
    <output name="out" type="color3" nodename="product" />
  </nodegraph>
  <open_pbr_surface name="SR_tinted" type="surfaceshader">
    <input name="base_color" type="color3" nodegraph="NG_tinted" output="out" />
  </open_pbr_surface>
  <surfacematerial name="Tinted" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_tinted" />
  </surfacematerial>
"""
CONSTANT = """
  <open_pbr_surface name="SR_constant" type="surfaceshader">
    <input name="base_color" type="color3" value="0.2, 0.5, 0.8" />
  </open_pbr_surface>
  <surfacematerial name="Constant" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_constant" />
  </surfacematerial>
"""
ENCODED = (
    CONSTANT.replace("SR_constant", "SR_encoded")
    .replace("Constant", "Encoded")
    .replace('value="0.2, 0.5, 0.8"', 'value="0.5, 0.7, 0.9" colorspace="srgb_texture"')
)
DEFAULT = """
  <open_pbr_surface name="SR_default" type="surfaceshader">
    <input name="specular_roughness" type="float" value="0.4" />
  </open_pbr_surface>
  <surfacematerial name="Default" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_default" />
  </surfacematerial>
"""


def flat(*linear: float) -> Array:
    return np.broadcast_to(encode(np.array(linear)), T.shape)


CASES: dict[str, tuple[str, Array]] = {
    "Paint": (TEXTURED, T),
    "Loose": (LOOSE, T),
    "Tinted": (TINTED, encode(T * np.array([0.5, 1.0, 0.8]))),
    "Constant": (CONSTANT, flat(0.2, 0.5, 0.8)),
    "Encoded": (ENCODED, np.broadcast_to(np.array([0.5, 0.7, 0.9]), T.shape)),
    "Default": (DEFAULT, flat(0.8, 0.8, 0.8)),
}
"""Material, its part of the document, and T, sRGB-encoded."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Array]]:
    """Live and bake unlit; the live network at strength 0 and the source lit."""
    folder = tmp_path_factory.mktemp("documents")
    write_image(folder / "color.png", T)
    write_document(folder / "look.mtlx", *(part for part, _ in CASES.values()))
    jobs: list[dict[str, Any]] = []
    for name in CASES:
        source = make_stage(folder / f"{name}.usda", None)
        looks = source.DefinePrim(LOOKS, "Scope")
        looks.GetReferences().AddReference("./look.mtlx", "/MaterialX/Materials")
        binding = UsdShade.MaterialBindingAPI.Apply(source.GetPrimAtPath("/World/Triangle"))
        binding.GetPrim().CreateRelationship("material:binding").SetTargets([Sdf.Path(f"{LOOKS}/{name}")])
        source.Save()
        root, obj = stylize(folder / f"{name}.usda")
        assert obj.surface == "mtlx"
        common = {"stage": str(root), "width": SIZE * ZOOM * (2 if name == "Loose" else 1)}
        zero = {"values": {f"{material(obj)}.inputs:strength": 0.0}}
        jobs += [
            common | {"unlit": True},
            common | {"unlit": True, "preview": True},
            common | zero,
            common | {"stage": str(folder / f"{name}.usda")},
        ]
    found = iter(render(folder, jobs))
    kinds = ("live", "bake", "lit", "source")
    return {name: {kind: next(found) for kind in kinds} for name in CASES}


def aside(size: int) -> Any:
    """All but the edge that clipping makes, where llvmpipe has no differences."""
    down, right = np.mgrid[0:size, 0:size]
    return np.abs(down - right) > 1


@pytest.mark.parametrize("name", CASES)
def test_live_network_and_bake_show_the_sum(name: str, pictures: dict[str, dict[str, Array]]) -> None:
    base, tiling = CASES[name][1], 2 if name == "Loose" else 1
    total = np.tile(decode(np.clip(base + STYLE, 0, 1)), (tiling, tiling, 1))
    chosen = aside(SIZE * tiling)
    live, bake = (pictures[name][kind][1::ZOOM, 1::ZOOM] for kind in ("live", "bake"))
    assert np.abs(live - total)[chosen].max() <= 0.002
    assert np.abs(bake - total)[chosen].max() <= 0.008


@pytest.mark.parametrize("name", CASES)
def test_strength_zero_is_lit_as_the_document_says(name: str, pictures: dict[str, dict[str, Array]]) -> None:
    """Every other lobe is still the document's own."""
    lit, source = pictures[name]["lit"], pictures[name]["source"]
    chosen = aside(lit.shape[0])
    assert source[chosen].mean() > 0.05
    assert np.abs(lit - source)[chosen].mean() <= 0.02 * source[chosen].mean()
