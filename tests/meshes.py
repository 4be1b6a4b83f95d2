"""Small meshes, for the tests."""

from pathlib import Path

from pxr import Gf, Sdf, Usd, UsdGeom

FACES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def cube(path: Path) -> tuple[Usd.Stage, UsdGeom.Mesh]:
    """From -1 to 1, with faceVarying UVs that lay each face into 0..1."""
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    mesh = UsdGeom.Mesh.Define(stage, "/Cube")
    mesh.CreatePointsAttr([Gf.Vec3f(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    mesh.CreateFaceVertexCountsAttr([4] * 6)
    mesh.CreateFaceVertexIndicesAttr([index for face in FACES for index in face])
    mesh.CreateDisplayColorAttr([Gf.Vec3f(0.5)])
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "faceVarying")
    st.Set([Gf.Vec2f(0, 0), Gf.Vec2f(1, 0), Gf.Vec2f(1, 1), Gf.Vec2f(0, 1)])
    st.SetIndices([0, 1, 2, 3] * 6)
    return stage, mesh
