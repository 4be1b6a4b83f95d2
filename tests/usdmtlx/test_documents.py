"""How we present .mtlx documents, against what an OpenUSD with usdMtlx composes of the same files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mtlx_documents import TEXTURED, make_stage, write_color, write_document

from usdstylize.stage.opening import open_stage, quiet

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
    assert len([prim for prim, (kind, _) in theirs.items() if kind == "Material"]) == 5
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
