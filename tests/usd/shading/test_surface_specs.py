"""The registry of surfaces: its entries against MaterialX's own definitions, and a surface added to it."""

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import MaterialX as mx
import mdl_stages
import mtlx_scenes
import numpy as np
import pytest
from author_results import discover, hold, offsets, surface, write_result
from network_values import Network, decode, encode, points, texel
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdShade
from surface_inputs import LOOK, OURS, SQUARE, TEXTURES, add_mtlx_surface, by_hand, new_stage

from usdstylize.errors import MaterialError
from usdstylize.usd import verify
from usdstylize.usd.read.looks import trace_look
from usdstylize.usd.shading.materialx import trace_mtlx
from usdstylize.usd.shading.mtlx_inputs import MtlxInputs, named, read_mtlx_inputs
from usdstylize.usd.shading.surface_spec import SurfaceSpec
from usdstylize.usd.shading.surfaces import SURFACES

Array = NDArray[np.float64]

UVS = points()
SIZE = (12, 12)
DISNEY = "ND_disney_principled"
"""A surface of MaterialX that is in nobody's table."""
SPEC = SurfaceSpec(
    identifiers=(DISNEY,),
    kind="mtlx",
    color="baseColor",
    default=(0.16, 0.16, 0.16),
    trace=trace_mtlx,
    read_inputs=functools.partial(
        read_mtlx_inputs,
        MtlxInputs(
            {
                "metallic": named("metallic", 0.0),
                "roughness": named("roughness", 0.5),
                "clearcoat": named("clearcoat", 0.0),
                "ior": named("ior", 1.5),
            },
            highlights=None,
            beyond=("sheen", "specTrans"),
        ),
    ),
    live="source",
)
"""All that it takes to add it."""
INPUTS = {
    "roughness": ("float", TEXTURES["roughness"]),
    "metallic": ("float", 0.3),
    "ior": ("float", 1.8),
    "sheen": ("float", 0.2),
}


@functools.cache
def library() -> Any:
    """MaterialX's own definitions."""
    found = mx.createDocument()
    mx.loadLibraries(mx.getDefaultDataLibraryFolders(), mx.getDefaultDataSearchPath(), found)
    return found


def defined(identifier: str, name: str) -> list[float]:
    """The default of an input of a surface, as MaterialX defines it."""
    value = library().getNodeDef(identifier).getActiveInput(name).getValue()
    return list(value.asTuple()) if hasattr(value, "asTuple") else [float(value)]


MTLX = [(name, spec) for name, spec in SURFACES.items() if spec.kind == "mtlx"]


@pytest.mark.parametrize(("identifier", "spec"), MTLX, ids=[name for name, _ in MTLX])
def test_an_entry_says_what_materialx_defines(identifier: str, spec: SurfaceSpec) -> None:
    assert defined(identifier, spec.color) == pytest.approx(spec.default)
    for weight in filter(None, (spec.weight, spec.emission_weight)):
        assert defined(identifier, weight[0]) == pytest.approx([weight[1]])
    assert defined(identifier, spec.emission) == pytest.approx([spec.emission_default] * 3)
    assert isinstance(spec.read_inputs, functools.partial)
    described = spec.read_inputs.args[0]
    inputs = {given.getName() for given in library().getNodeDef(identifier).getActiveInputs()}
    named = {described.normal, *described.beyond, *(described.highlights or ()), *spec.colors}
    assert named - {""} <= inputs
    asked: dict[str, float] = dict.fromkeys(described.highlights or (), 1.0)

    def read(name: str, default: float) -> Any:
        asked[name] = default
        return np.ones(1, np.float32)  # of a glTF surface's alpha_mode: its cutoff counts

    for formula in described.formulas.values():
        formula(read)
    assert asked
    for name, default in asked.items():
        assert defined(identifier, name) == pytest.approx([default] * len(defined(identifier, name))), name


@pytest.fixture
def disney(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A quad in a Disney Principled, whose spec is not registered."""
    monkeypatch.setitem(mtlx_scenes.SURFACES, "disney", (DISNEY, "baseColor"))
    stage = new_stage(tmp_path)
    add_mtlx_surface(stage, "disney", INPUTS)
    stage.Save()
    return tmp_path / "scene.usda"


def reason(root: Path) -> str:
    contents = discover(root)
    assert contents.objects == ()
    (skipped,) = [found for found in contents.skipped if found.path == "/World/Quad"]
    assert skipped.broken
    return skipped.reason


def test_a_surface_that_nobody_knows_is_refused_with_those_that_are_known(disney: Path) -> None:
    assert reason(disney) == (
        f"Material {LOOK} has the surface {LOOK}/Surface ({DISNEY}) on outputs:mtlx:surface, whose base "
        "colour is not known; use standard_surface, open_pbr_surface, gltf_pbr, UsdPreviewSurface or "
        "surface_unlit."
    )


def test_one_entry_adds_a_surface_from_reading_to_verifying(
    disney: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SURFACES, DISNEY, SPEC)
    result = write_result(disney, size=SIZE, strength=0.35)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    live, preview = surface(opened, OURS, "mtlx"), surface(opened, OURS)
    assert live.GetShaderId() == DISNEY
    style = offsets(0, SIZE).astype(np.float16).astype(np.float64)
    total = encode(by_hand(SQUARE, UVS)) + 0.35 * texel(style, SQUARE.placed(UVS), SQUARE.wrap)
    expected = decode(np.clip(total, 0, 1))
    np.testing.assert_allclose(Network(UVS).input(live, "baseColor"), expected, atol=2e-5)
    np.testing.assert_allclose(Network(UVS).input(preview, "diffuseColor", None), expected, atol=0.0046)
    for name in ("roughness", "metallic", "ior"):
        by_itself = by_hand(INPUTS[name][1], UVS)
        for shader in (live, preview):
            np.testing.assert_allclose(Network(UVS).input(shader, name, None), by_itself, atol=2e-5)
    written = json.loads((disney.parent / "scene.style/ink/run.json").read_text())["written"]
    assert [remark for remark in written["World__Quad"]["remarks"] if "sheen" in remark] == [
        f"The preview network has nothing for inputs:sheen of {LOOK}/Surface."
    ]


@pytest.mark.parametrize("lost", ["read_inputs", "live"])
def test_a_surface_that_can_only_be_read_is_refused_before_anything_is_optimised(
    disney: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setitem(SURFACES, DISNEY, replace(SPEC, **{lost: None}))
    stage = Usd.Stage.Open(str(disney))
    with pytest.raises(MaterialError) as refused:
        trace_look(stage.GetPrimAtPath("/World/Quad"), Usd.TimeCode.EarliestTime())
    assert str(refused.value) == reason(disney)
    assert "can be read, but not written yet; use standard_surface" in reason(disney)
    plain = UsdShade.Shader.Define(stage, f"{LOOK}/Plain")
    plain.CreateIdAttr("UsdPreviewSurface")
    output = plain.CreateOutput("surface", Sdf.ValueTypeNames.Token)
    UsdShade.Material.Get(stage, LOOK).CreateSurfaceOutput().ConnectToSource(output)
    stage.Save()
    (obj,) = discover(disney).objects
    assert (obj.surface, obj.surface_path) == ("preview", f"{LOOK}/Plain")
    hold(write_result(disney, size=SIZE))


def test_one_entry_adds_a_studios_own_mdl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = mdl_stages.make_stage(
        tmp_path, module="StudioPBR.mdl", name="StudioPBR", diffuse_texture=Sdf.AssetPath("./color.png"),
        metallic_constant=0.4,
    )  # fmt: skip
    assert "has the MDL StudioPBR.mdl, StudioPBR only, whose base colour is not known" in reason(root)
    spec = replace(SURFACES["OmniPBR.mdl"], identifiers=("StudioPBR.mdl",))
    monkeypatch.setitem(SURFACES, "StudioPBR.mdl", spec)
    result = write_result(root)
    assert verify.verify(result).failed == ()  # USD's validators miss the module, which lies on no disk
    opened = Usd.Stage.Open(str(result))
    mdl = UsdShade.Shader.Get(opened, f"{OURS}/Mdl")
    assert mdl.GetInput("diffuse_texture").Get().path.endswith("baked.png")
    np.testing.assert_allclose(Network(UVS).input(surface(opened, OURS), "metallic", None), 0.4, atol=1e-6)
