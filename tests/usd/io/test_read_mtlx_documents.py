""".mtlx documents in a build of USD without usdMtlx: what composes, against the documents' own words."""

import subprocess
import sys
from pathlib import Path

import pytest
from author_results import discover
from conftest import define_quad, unchanged
from mtlx_documents import MATERIALS, TEXTURED, make_stage, write_color, write_document
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.usd.io.opening import open_stage, quiet

PAINT = f"{MATERIALS}/Paint"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_color(tmp_path)
    write_document(tmp_path / "look.mtlx", TEXTURED)
    return make_stage(tmp_path)


def opened(path: Path) -> Usd.Stage:
    with quiet():
        return open_stage(path)


def color_source(stage: Usd.Stage, material: str, name: str = "base_color") -> Usd.Attribute:
    surface = UsdShade.Material.Get(stage, material).ComputeSurfaceSource("mtlx")[0]
    attribute: Usd.Attribute = surface.GetInput(name).GetValueProducingAttributes()[0]
    return attribute


def test_a_document_composes_as_shaders_that_are_connected(scene: Path) -> None:
    stage = opened(scene)
    assert stage.GetCompositionErrors() == []
    surface = UsdShade.Material.Get(stage, PAINT).ComputeSurfaceSource("mtlx")[0]
    assert surface.GetPath() == f"{PAINT}/SR_paint"
    assert surface.GetShaderId() == "ND_standard_surface_surfaceshader"
    attribute = color_source(stage, PAINT)
    assert attribute.GetPath() == f"{PAINT}/NG_paint/albedo.outputs:out"
    image = UsdShade.Shader(attribute.GetPrim())
    assert image.GetShaderId() == "ND_image_color3"
    file = image.GetInput("file")
    assert file.Get().resolvedPath == str(scene.parent / "color.png")
    assert file.GetAttr().GetColorSpace() == "srgb_texture"
    # A plain value is an interface of the material, as in usdMtlx.
    roughness = surface.GetInput("specular_roughness").GetValueProducingAttributes()[0]
    assert roughness.GetPath() == f"{PAINT}.inputs:specular_roughness"
    assert roughness.Get() == pytest.approx(0.35)


def test_nothing_is_written_and_nothing_stays_behind(scene: Path) -> None:
    with unchanged(scene.parent):
        stage = opened(scene)
        layers = {Path(layer.realPath).name for layer in stage.GetUsedLayers() if layer.realPath}
        assert layers == {"scene.usda", "look.mtlx"}
        for layer in stage.GetUsedLayers():
            assert not layer.realPath.endswith(".mtlx") or not (
                layer.permissionToSave or layer.permissionToEdit
            )
        layer = None
        del stage
    assert [found for found in Sdf.Layer.GetLoadedLayers() if "look.mtlx" in found.identifier] == []


def test_a_document_that_changes_is_read_anew(scene: Path) -> None:
    stage = opened(scene)
    assert stage.GetAttributeAtPath(f"{PAINT}.inputs:specular_roughness").Get() == pytest.approx(0.35)
    del stage
    write_document(scene.parent / "look.mtlx", TEXTURED.replace('value="0.35"', 'value="0.75"'))
    stage = opened(scene)
    assert stage.GetAttributeAtPath(f"{PAINT}.inputs:specular_roughness").Get() == pytest.approx(0.75)


def test_documents_that_a_document_includes_are_read_and_watched(tmp_path: Path) -> None:
    write_color(tmp_path / "textures")
    graph, _, rest = TEXTURED.partition("</nodegraph>")
    write_document(tmp_path / "parts" / "graphs.mtlx", graph, "</nodegraph>")
    write_document(
        tmp_path / "look.mtlx",
        '<xi:include href="parts/graphs.mtlx" />',
        rest,
        attributes='xmlns:xi="http://www.w3.org/2001/XInclude" fileprefix="textures/"',
    )
    path = make_stage(tmp_path)
    stage = opened(path)
    image = UsdShade.Shader(color_source(stage, PAINT).GetPrim())
    assert Path(image.GetInput("file").Get().path).name == "color.png"
    sources = {Path(source.path).name for source in discover(path).sources}
    assert {"look.mtlx", "graphs.mtlx", "scene.usda"} <= sources


def test_loose_nodes_lie_in_a_graph_of_their_own(tmp_path: Path) -> None:
    write_color(tmp_path)
    loose = (
        TEXTURED.replace('<nodegraph name="NG_paint">', "")
        .replace("</nodegraph>", "")
        .replace('<output name="out" type="color3" nodename="albedo" />', "")
        .replace('nodegraph="NG_paint" output="out"', 'nodename="albedo"')
    )
    write_document(tmp_path / "look.mtlx", loose)
    stage = opened(make_stage(tmp_path))
    attribute = color_source(stage, PAINT)
    assert attribute.GetPath() == f"{PAINT}/NodeGraphs/albedo.outputs:out"


def test_interfaces_placement_and_color_spaces_come_over(tmp_path: Path) -> None:
    write_color(tmp_path)
    write_document(
        tmp_path / "look.mtlx",
        """
  <nodegraph name="NG">
    <input name="tint" type="color3" value="1, 0.5, 0.25" />
    <geompropvalue name="uv" type="vector2">
      <input name="geomprop" type="string" value="st1" />
    </geompropvalue>
    <tiledimage name="tiles" type="color3">
      <input name="file" type="filename" value="color.png" colorspace="srgb_texture" />
      <input name="texcoord" type="vector2" nodename="uv" />
      <input name="uvtiling" type="vector2" value="2, 3" />
    </tiledimage>
    <multiply name="tinted" type="color3">
      <input name="in1" type="color3" nodename="tiles" />
      <input name="in2" type="color3" interfacename="tint" />
    </multiply>
    <output name="color" type="color3" nodename="tinted" />
  </nodegraph>
  <gltf_pbr name="SR" type="surfaceshader">
    <input name="base_color" type="color3" nodegraph="NG" output="color" />
  </gltf_pbr>
  <surfacematerial name="Paint" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR" />
  </surfacematerial>
  <open_pbr_surface name="SR2" type="surfaceshader">
    <input name="base_color" type="color3" value="0.5, 0.25, 0.1" colorspace="srgb_texture" />
  </open_pbr_surface>
  <surfacematerial name="Plain" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR2" />
  </surfacematerial>
""",
    )
    stage = opened(make_stage(tmp_path))
    tinted = UsdShade.Shader(color_source(stage, PAINT).GetPrim())
    tint = tinted.GetInput("in2").GetValueProducingAttributes()[0]
    assert (tint.GetPath(), tint.Get()) == (f"{PAINT}/NG.inputs:tint", Gf.Vec3f(1, 0.5, 0.25))
    tiles = UsdShade.Shader(tinted.GetInput("in1").GetValueProducingAttributes()[0].GetPrim())
    assert tiles.GetInput("uvtiling").Get() == Gf.Vec2f(2, 3)
    reader = UsdShade.Shader(tiles.GetInput("texcoord").GetValueProducingAttributes()[0].GetPrim())
    assert reader.GetShaderId() == "ND_geompropvalue_vector2"
    assert reader.GetInput("geomprop").Get() == "st1"
    color = color_source(stage, f"{MATERIALS}/Plain")
    assert color.Get() == Gf.Vec3f(0.5, 0.25, 0.1)
    assert color.GetColorSpace() == "srgb_texture"


def test_references_of_references_and_instances_find_it_and_the_asset_may_override(tmp_path: Path) -> None:
    """What usdMtlx would compose: the document is the weakest opinion, an asset's own beats it."""
    write_color(tmp_path)
    write_document(tmp_path / "look.mtlx", TEXTURED)
    asset = make_stage(tmp_path)
    layer = Sdf.Layer.FindOrOpen(str(asset))
    over = Sdf.CreatePrimInLayer(layer, PAINT)
    Sdf.AttributeSpec(over, "inputs:specular_roughness", Sdf.ValueTypeNames.Float).default = 0.9
    layer.Save()
    shot = Usd.Stage.CreateNew(str(tmp_path / "shot.usda"))
    for name in ("A", "B"):
        prim = UsdGeom.Xform.Define(shot, f"/Shot/{name}").GetPrim()
        prim.GetReferences().AddReference("./scene.usda")
        prim.SetInstanceable(True)
    shot.Save()
    stage = opened(tmp_path / "shot.usda")
    assert stage.GetCompositionErrors() == []
    assert len(stage.GetPrototypes()) == 1
    for name in ("A", "B"):
        material = UsdShade.Material.Get(stage, f"/Shot/{name}/Looks/Materials/Paint")
        surface = material.ComputeSurfaceSource("mtlx")[0]
        assert surface.GetShaderId() == "ND_standard_surface_surfaceshader"
        roughness = surface.GetInput("specular_roughness").GetValueProducingAttributes()[0]
        assert roughness.Get() == pytest.approx(0.9)


def test_a_document_that_cannot_be_read_costs_only_its_objects(scene: Path) -> None:
    stage = Usd.Stage.Open(str(scene))
    good = UsdShade.Material.Define(stage, "/World/Good")
    good.CreateSurfaceOutput().ConnectToSource(
        UsdShade.Shader.Define(stage, "/World/Good/S").CreateOutput("surface", Sdf.ValueTypeNames.Token)
    )
    UsdShade.Shader.Get(stage, "/World/Good/S").CreateIdAttr("UsdPreviewSurface")
    define_quad(stage, "/World/Other", good)
    stage.Save()
    (scene.parent / "look.mtlx").write_text('<?xml version="1.0"?>\n<materialx version="1.39"><image na')
    contents = discover(scene)
    assert [found.path for found in contents.objects] == ["/World/Other"]
    reasons = {skipped.path: skipped.reason for skipped in contents.skipped}
    assert "MaterialX cannot read it (XML parse error" in reasons["/World/Quad"]
    write_document(
        scene.parent / "look.mtlx",
        '<xi:include href="gone.mtlx" />',
        attributes='xmlns:xi="http://www.w3.org/2001/XInclude"',
    )
    reasons = {skipped.path: skipped.reason for skipped in discover(scene).skipped}
    assert "gone.mtlx" in reasons["/World/Quad"]


def test_a_document_that_is_missing_is_named(scene: Path) -> None:
    (scene.parent / "look.mtlx").unlink()
    reasons = {skipped.path: skipped.reason for skipped in discover(scene).skipped}
    assert "look.mtlx is missing; restore it" in reasons["/World/Quad"]


def test_a_material_that_the_document_does_not_hold_is_named(tmp_path: Path) -> None:
    write_color(tmp_path)
    write_document(tmp_path / "look.mtlx", TEXTURED)
    (skipped,) = discover(make_stage(tmp_path, material="Gone")).skipped
    assert "/Gone, which is no Material on the stage" in skipped.reason


def test_without_the_package_the_reason_names_the_extra(scene: Path) -> None:
    code = (
        "import sys; sys.modules['MaterialX'] = None\n"  # as where it is not installed
        "from pathlib import Path; from usdstylize.usd import read\n"
        "print(*(s.reason for s in read.discover(Path(sys.argv[1])).skipped), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(scene)], capture_output=True, text=True, check=True
    )
    assert "pip install 'usdstylize[mtlx]'" in done.stdout
    assert "/World/Quad is bound to" in done.stdout
    assert done.stderr == ""
