"""Stages as exporters write them: a mesh and its material again and again, with nothing instanced."""

from pathlib import Path

from conftest import build_tiny_stage, define_material
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

__all__ = ["NAMES", "build_lamps", "define_lamp"]

NAMES = ("Lamp", "Lamp_001", "Lamp_002")


def build_lamps(folder: Path) -> Path:
    """``lamps.usda``: three lamps as Blender exports them, each with a mesh and a material of its own."""
    build_tiny_stage(folder).unlink()
    stage = Usd.Stage.CreateNew(str(folder / "lamps.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    for number, name in enumerate(NAMES):
        define_lamp(stage, name, (3.0 * number, 0.0, 0.0))
    stage.Save()
    return folder / "lamps.usda"


def define_lamp(stage: Usd.Stage, name: str, place: tuple[float, float, float]) -> UsdGeom.Mesh:
    """A folded strip of two quads at /World/<name>/Mesh with the material /World/Looks/<name>."""
    UsdGeom.XformCommonAPI(UsdGeom.Xform.Define(stage, f"/World/{name}")).SetTranslate(place)
    mesh = UsdGeom.Mesh.Define(stage, f"/World/{name}/Mesh")
    corners = [(x, y) for y in (0.0, 1.0) for x in (0.0, 0.5, 1.0)]
    mesh.CreatePointsAttr([Gf.Vec3f(x, y, 0.5 if x == 0.5 else 0.0) for x, y in corners])
    mesh.CreateFaceVertexCountsAttr([4, 4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 4, 3, 1, 2, 5, 4])
    mesh.CreateExtentAttr([Gf.Vec3f(0.0), Gf.Vec3f(1.0, 1.0, 0.5)])
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
    )
    st.Set([Gf.Vec2f(*corner) for corner in corners])
    material = define_material(stage, f"/World/Looks/{name}", "./textures/color.png")
    material.GetPrim().CreateAttribute("userProperties:blender:data_name", Sdf.ValueTypeNames.String).Set(
        name
    )
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return mesh
