"""How we present .mtlx documents, against what an OpenUSD with usdMtlx composes of the same files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from author_results import write_result
from conftest import unchanged
from mtlx_documents import MATERIALS, TEXTURED, make_stage, write_color, write_document
from pxr import Usd, UsdGeom

from usdstylize.usd import verify
from usdstylize.usd.io.opening import open_stage, quiet

from .dump_materials import materials
from .usdmtlx_python import USDMTLX_PYTHON

pytestmark = pytest.mark.usdmtlx

RICH = """
  <tiledimage name="loose_tiles" type="color3">
    <input name="file" type="filename" value="color.png" colorspace="srgb_texture" />
    <input name="uvtiling" type="vector2" value="2, 3" />
  </tiledimage>
  <image name="loose_rough" type="float">
    <input name="file" type="filename" value="color.png" />
  </image>
  <standard_surface name="SR_loose" type="surfaceshader">
    <input name="base_color" type="color3" nodename="loose_tiles" />
    <input name="specular_roughness" type="float" nodename="loose_rough" />
    <input name="base" type="float" value="0.8" />
  </standard_surface>
  <surfacematerial name="Loose" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_loose" />
  </surfacematerial>
  <nodegraph name="NG_top" fileprefix="textures/">
    <input name="file" type="filename" value="color.png" colorspace="srgb_texture" />
    <input name="tint" type="color3" value="1, 0.5, 0.5" />
    <geompropvalue name="uv" type="vector2">
      <input name="geomprop" type="string" value="st1" />
    </geompropvalue>
    <place2d name="place" type="vector2">
      <input name="texcoord" type="vector2" nodename="uv" />
      <input name="rotate" type="float" value="30" />
    </place2d>
    <image name="picture" type="color3">
      <input name="file" type="filename" interfacename="file" />
      <input name="texcoord" type="vector2" nodename="place" />
      <input name="uaddressmode" type="string" value="clamp" />
    </image>
    <multiply name="tinted" type="color3">
      <input name="in1" type="color3" nodename="picture" />
      <input name="in2" type="color3" interfacename="tint" />
    </multiply>
    <image name="all" type="color4">
      <input name="file" type="filename" value="color.png" colorspace="srgb_texture" />
    </image>
    <separate4 name="parts" type="multioutput"><input name="in" type="color4" nodename="all" /></separate4>
    <output name="color" type="color3" nodename="tinted" />
    <output name="alpha" type="float" nodename="parts" output="outa" />
  </nodegraph>
  <UsdPreviewSurface name="SR_preview" type="surfaceshader">
    <input name="diffuseColor" type="color3" nodegraph="NG_top" output="color" />
    <input name="opacity" type="float" nodegraph="NG_top" output="alpha" />
    <input name="useSpecularWorkflow" type="integer" value="1" />
    <input name="specularColor" type="color3" value="0.1, 0.2, 0.3" />
  </UsdPreviewSurface>
  <displacement name="DISP" type="displacementshader">
    <input name="displacement" type="float" value="0.1" />
    <input name="scale" type="float" value="0.5" />
  </displacement>
  <surfacematerial name="Preview" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_preview" />
    <input name="displacementshader" type="displacementshader" nodename="DISP" />
  </surfacematerial>
  <open_pbr_surface name="SR_open" type="surfaceshader">
    <input name="base_color" type="color3" value="0.5, 0.25, 0.1" colorspace="srgb_texture" />
  </open_pbr_surface>
  <surfacematerial name="Open" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_open" />
  </surfacematerial>
  <gltf_pbr name="SR_gltf" type="surfaceshader">
    <input name="base_color" type="color3" value="0.5, 0.25, 0.1" />
    <input name="metallic" type="float" value="0.25" />
  </gltf_pbr>
  <surfacematerial name="Gltf" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_gltf" />
  </surfacematerial>
  <output name="doc_color" type="color3" nodename="loose_tiles" />
  <gltf_pbr name="SR_doc" type="surfaceshader">
    <input name="base_color" type="color3" output="doc_color" />
  </gltf_pbr>
  <surfacematerial name="OfTheDocument" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_doc" />
  </surfacematerial>
  <gltf_pbr name="SR_unnamed" type="surfaceshader">
    <input name="base_color" type="color3" nodegraph="NG_top" />
    <input name="attenuation_color" type="color3" value="1, nonsense" />
  </gltf_pbr>
  <surfacematerial name="Unnamed" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_unnamed" />
  </surfacematerial>
  <look name="Look"><materialassign name="Assign" material="Open" geom="/A" /></look>
"""


def peer(*paths: Path) -> list[dict[str, Any]]:
    command = [str(USDMTLX_PYTHON), str(Path(__file__).with_name("dump_materials.py")), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def ours(path: Path) -> dict[str, Any]:
    with quiet():
        stage = open_stage(path)
        assert stage.GetCompositionErrors() == []
        found: dict[str, Any] = json.loads(json.dumps(materials(stage)))
    return found


def without_unused(found: dict[str, Any]) -> dict[str, Any]:
    """usdMtlx copies every graph into that of the loose nodes; what nothing there uses is left out."""
    return {path: prim for path, prim in found.items() if "NodeGraphs/" not in path or "/loose_" in path}


@pytest.mark.parametrize("namespace", ["", 'namespace="prod"'])
def test_we_present_what_usdmtlx_composes(tmp_path: Path, namespace: str) -> None:
    write_color(tmp_path)
    write_document(tmp_path / "parts.mtlx", TEXTURED)
    write_document(
        tmp_path / "look.mtlx",
        '<xi:include href="parts.mtlx" />',
        RICH,
        attributes=f'xmlns:xi="http://www.w3.org/2001/XInclude" {namespace}',
    )
    path = make_stage(tmp_path)
    theirs = peer(path)[0]
    assert len([prim for prim, (kind, _) in theirs.items() if kind == "Material"]) == 7
    assert without_unused(ours(path)) == without_unused(theirs)


def test_several_materials_that_share_nothing(tmp_path: Path) -> None:
    """One material per object, with and without texture, as `guc` converts glTF."""
    write_color(tmp_path)
    plain = TEXTURED.replace("NG_paint", "NG2").replace("SR_paint", "SR2").replace('"Paint"', '"Second"')
    write_document(tmp_path / "look.mtlx", TEXTURED, plain)
    path = make_stage(tmp_path)
    theirs = peer(path)[0]
    assert theirs
    assert ours(path) == theirs


DEFAULT = """
  <open_pbr_surface name="SR_default" type="surfaceshader">
    <input name="specular_roughness" type="float" value="0.2" />
  </open_pbr_surface>
  <surfacematerial name="Default" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_default" />
  </surfacematerial>
"""
"""Its base colour is not even mentioned."""


def behind(found: dict[str, Any], path: str) -> tuple[str, Any]:
    """The output or the value behind an input, through graphs and interfaces: its path, and the value."""
    while True:
        prim, _, name = path.partition(".")
        _, value, connections, _ = found[prim][1][name]
        if not connections or (name.startswith("outputs:") and found[prim][0] == "Shader"):
            return path, value
        path = connections[0]


@pytest.mark.parametrize(
    ("material", "surface", "original"),
    [
        ("Paint", "SR_paint.inputs:base_color", "NG_paint/albedo.outputs:out"),
        ("Loose", "SR_loose.inputs:base_color", "NodeGraphs/loose_tiles.outputs:out"),
        ("Preview", "SR_preview.inputs:diffuseColor", "NG_top/tinted.outputs:out"),
        ("Gltf", "SR_gltf.inputs:base_color", ".inputs:base_color"),
        ("Default", "SR_default.inputs:base_color", "StylizedNetwork.inputs:base"),
    ],
)
def test_the_override_works_where_usdmtlx_composes_the_document(
    tmp_path: Path, material: str, surface: str, original: str
) -> None:
    """The surface takes its colour from our graph, and our graph its base from the document's own."""
    write_color(tmp_path)
    write_color(tmp_path / "textures")
    write_document(tmp_path / "look.mtlx", TEXTURED, RICH, DEFAULT)
    path = make_stage(tmp_path, material=material)
    if material == "Preview":  # its graph reads another set of UVs
        stage = Usd.Stage.Open(str(path))
        st = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad")).GetPrimvar("st")
        second = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad")).CreatePrimvar(
            "st1", st.GetTypeName(), st.GetInterpolation()
        )
        second.Set(st.Get())
        stage.Save()
    source = set(validate_found(path))
    with unchanged(tmp_path, may_add=True):
        result = write_result(path)
    assert verify.verify(result).failed == ()
    look = "/World/StylizedLooks/World__Quad"
    found = peer(result)[0]
    color, _ = behind(found, f"{look}/{surface}")
    assert color == f"{look}/StylizedNetwork/ToLinear.outputs:out"
    base, value = behind(found, f"{look}/StylizedNetwork.inputs:base")
    assert base == (f"{look}{original}" if original.startswith(".") else f"{look}/{original}")
    if material == "Default":
        assert value == pytest.approx([0.8, 0.8, 0.8])  # an interface without a value would be black
    # Everything else of the surface is the document's.
    untouched = found[f"{MATERIALS}/{material}/{surface.partition('.')[0]}"][1]
    for name, attribute in found[f"{look}/{surface.partition('.')[0]}"][1].items():
        if name != surface.partition(".")[2]:
            assert (
                json.loads(json.dumps(attribute).replace(look, f"{MATERIALS}/{material}")) == untouched[name]
            )
    assert {text.replace(look, f"{MATERIALS}/{material}") for text in validate_found(result)} == source


def validate_found(stage: Path) -> list[str]:
    """What an OpenUSD with usdMtlx finds wrong with a stage."""
    script = Path(__file__).with_name("validate_with_usdmtlx.py")
    done = subprocess.run([str(USDMTLX_PYTHON), str(script), str(stage)], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith(str(stage))]
