"""MaterialX documents, and stages that reference them, for the tests of reading and writing."""

from pathlib import Path

import numpy as np
from conftest import define_quad
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, UsdShade

MATERIALS = "/World/Looks/Materials"
HEAD = '<?xml version="1.0"?>\n<materialx version="1.39" colorspace="lin_rec709" {attributes}>\n'
TEXTURED = """
  <nodegraph name="NG_paint">
    <image name="albedo" type="color3">
      <input name="file" type="filename" value="color.png" colorspace="srgb_texture" />
    </image>
    <output name="out" type="color3" nodename="albedo" />
  </nodegraph>
  <standard_surface name="SR_paint" type="surfaceshader">
    <input name="base" type="float" value="1" />
    <input name="base_color" type="color3" nodegraph="NG_paint" output="out" />
    <input name="specular_roughness" type="float" value="0.35" />
  </standard_surface>
  <surfacematerial name="Paint" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="SR_paint" />
  </surfacematerial>
"""
"""A standard surface whose base colour is an sRGB file in a node graph."""


def write_document(path: Path, *parts: str, attributes: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(attributes=attributes) + "".join(parts) + "</materialx>\n")
    return path


def write_color(folder: Path, name: str = "color.png", size: int = 16) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    codes = np.random.default_rng(8).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(codes).save(folder / name)
    return folder / name


def make_stage(folder: Path, document: str = "./look.mtlx", material: str = "Paint") -> Path:
    """``scene.usda`` with /World/Quad, bound to a material of the document."""
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    looks = stage.DefinePrim(MATERIALS, "Scope")
    looks.GetReferences().AddReference(document, "/MaterialX/Materials")
    define_quad(stage, "/World/Quad", UsdShade.Material(stage.OverridePrim(f"{MATERIALS}/{material}")))
    relationship = stage.GetPrimAtPath("/World/Quad").GetRelationship("material:binding")
    relationship.SetTargets([Sdf.Path(f"{MATERIALS}/{material}")])
    stage.RemovePrim(f"{MATERIALS}/{material}")
    stage.Save()
    return folder / "scene.usda"
