"""Writes the sample assets and stages: geometry as usdc, looks and assemblies as usda."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import _shapes
import numpy as np
from _shapes import Part
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdLux, UsdShade, Vt

Colour = tuple[float, float, float]


@dataclass
class Mesh:
    """One mesh: `pieces` are (material, part); more than one piece makes one GeomSubset each."""

    name: str
    pieces: list[tuple[str, Part]]
    uv_name: str = "st"
    uv_interpolation: str = UsdGeom.Tokens.faceVarying


@dataclass
class Look:
    """One UsdPreviewSurface material. `route` is how the base texture's path reaches its shader:
    '' authored on it, 'material' through an input of the material, 'graph' through a NodeGraph too."""

    name: str
    colour: Colour = (0.5, 0.5, 0.5)
    base: str = ""
    roughness: float | str = 0.5
    normal: str = ""
    wrap: tuple[str, str] = ("clamp", "clamp")
    uv_name: str = "st"
    route: str = ""


@dataclass
class Asset:
    """A component: a folder, its meshes and its looks."""

    name: str
    meshes: list[Mesh]
    looks: list[Look]
    textures: list[str] = field(default_factory=list)


def assets() -> list[Asset]:
    """Everything that lies on, or stands behind, the table, and the table."""
    cover, pages = _shapes.book()
    top, base = _shapes.table()
    vertex = UsdGeom.Tokens.vertex
    return [
        Asset(
            "Vase",
            [Mesh("Body", [("Glaze", _shapes.vase())])],
            [Look("Glaze", base="vase_base.png", roughness="vase_roughness.png", wrap=("repeat", "clamp"))],
        ),
        Asset(
            "Mug",
            [Mesh("Body", [("Enamel", _shapes.mug())])],
            [Look("Enamel", base="mug_base.png", roughness=0.22, route="graph")],
        ),
        Asset(
            "Book",
            [Mesh("Volume", [("Cover", cover), ("Pages", pages)])],
            [
                Look("Cover", base="cover_base.png", roughness=0.62, normal="cover_normal.png"),
                Look("Pages", base="pages_base.png", roughness=0.9),
            ],
        ),
        Asset(
            "Pear",
            [Mesh("Fruit", [("Skin", _shapes.pear())], uv_name="map1")],
            [Look("Skin", base="pear_base.png", roughness=0.38, uv_name="map1")],
        ),
        Asset(
            "Table",
            [
                Mesh("Top", [("Wood", top)], uv_interpolation=vertex),
                Mesh("Base", [("Wood", base)], uv_interpolation=vertex),
            ],
            [Look("Wood", base="wood_base.png", roughness=0.45, wrap=("repeat", "repeat"), route="material")],
        ),
        Asset(
            "Egg",
            [Mesh("Shell", [("Shell", _shapes.egg())], uv_interpolation=vertex)],
            [Look("Shell", colour=(0.78, 0.55, 0.38), roughness=0.55)],
        ),
        Asset(
            "Wall",
            [Mesh("Plaster", [("Plaster", _shapes.wall())], uv_interpolation=vertex)],
            [Look("Plaster", colour=(0.20, 0.29, 0.31), roughness=0.95)],
        ),
    ]


def _new_stage(path: Path, default: str) -> Usd.Stage:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetDefaultPrim(stage.DefinePrim(f"/{default}", "Xform"))
    return stage


def write_mesh(stage: Usd.Stage, path: str, mesh: Mesh) -> UsdGeom.Mesh:
    """Author one mesh: welded with faceVarying data, or with split points where data is per vertex."""
    part = _shapes.join([piece for _, piece in mesh.pieces])
    points, index = part.points, np.arange(len(part.points))
    corners = np.concatenate([np.array(face) for face in part.faces])
    vertex = mesh.uv_interpolation == UsdGeom.Tokens.vertex
    if not vertex:
        points, index = _shapes.weld(part.points)
    prim = UsdGeom.Mesh.Define(stage, path)
    prim.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    prim.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points.astype(np.float32)))
    prim.CreateFaceVertexCountsAttr(Vt.IntArray([len(face) for face in part.faces]))
    prim.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(index[corners].astype(np.int32)))
    prim.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(prim.GetPointsAttr().Get()))
    normals = part.normals if vertex else part.normals[corners]
    prim.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(normals.astype(np.float32)))
    prim.SetNormalsInterpolation(mesh.uv_interpolation)
    uv = UsdGeom.PrimvarsAPI(prim).CreatePrimvar(
        mesh.uv_name, Sdf.ValueTypeNames.TexCoord2fArray, mesh.uv_interpolation
    )
    uv.Set(Vt.Vec2fArray.FromNumpy(part.uvs.astype(np.float32)))
    if not vertex:
        uv.SetIndices(Vt.IntArray.FromNumpy(corners.astype(np.int32)))
    if len(mesh.pieces) > 1:
        first = 0
        for name, piece in mesh.pieces:
            faces = Vt.IntArray(list(range(first, first + len(piece.faces))))
            UsdGeom.Subset.CreateGeomSubset(
                prim, name, UsdGeom.Tokens.face, faces, UsdShade.Tokens.materialBind
            )
            first += len(piece.faces)
        UsdGeom.Subset.SetFamilyType(prim, UsdShade.Tokens.materialBind, UsdGeom.Tokens.partition)
    return prim


def _texture(
    stage: Usd.Stage, path: str, file: str, colour_space: str, wrap: tuple[str, str], reader: UsdShade.Shader
) -> UsdShade.Shader:
    types = Sdf.ValueTypeNames
    shader = UsdShade.Shader.Define(stage, path)
    shader.CreateIdAttr("UsdUVTexture")
    file_input = shader.CreateInput("file", types.Asset)
    if file:
        file_input.Set(Sdf.AssetPath(file))
    shader.CreateInput("sourceColorSpace", types.Token).Set(colour_space)
    shader.CreateInput("wrapS", types.Token).Set(wrap[0])
    shader.CreateInput("wrapT", types.Token).Set(wrap[1])
    shader.CreateInput("st", types.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
    shader.CreateOutput("rgb", types.Float3)
    return shader


def write_look(stage: Usd.Stage, path: str, look: Look, folder: str = "./textures") -> UsdShade.Material:
    """Author one material and its shading network."""
    types = Sdf.ValueTypeNames
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, f"{path}/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("metallic", types.Float).Set(0.0)
    diffuse = surface.CreateInput("diffuseColor", types.Color3f)
    roughness = surface.CreateInput("roughness", types.Float)
    if isinstance(look.roughness, float):
        roughness.Set(look.roughness)
    surface.CreateOutput("surface", types.Token)
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    if not look.base:
        diffuse.Set(Gf.Vec3f(*look.colour))
        return material

    scope = path
    if look.route == "graph":
        scope = f"{path}/BaseColor"
        graph = UsdShade.NodeGraph.Define(stage, scope)
    reader = UsdShade.Shader.Define(stage, f"{scope}/TexCoord")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", types.String).Set(look.uv_name)
    reader.CreateOutput("result", types.Float2)

    file = f"{folder}/{look.base}"
    base = _texture(stage, f"{scope}/BaseTexture", "" if look.route else file, "sRGB", look.wrap, reader)
    if look.route:
        interface = material.CreateInput("baseColorTexture", types.Asset)
        interface.Set(Sdf.AssetPath(file))
        if look.route == "graph":
            inner = graph.CreateInput("file", types.Asset)
            inner.ConnectToSource(interface)
            interface = inner
        base.GetInput("file").ConnectToSource(interface)
    if look.route == "graph":
        output = graph.CreateOutput("rgb", types.Color3f)
        output.ConnectToSource(base.ConnectableAPI(), "rgb")
        diffuse.ConnectToSource(output)
    else:
        diffuse.ConnectToSource(base.ConnectableAPI(), "rgb")
    if isinstance(look.roughness, str):
        texture = _texture(
            stage, f"{path}/RoughnessTexture", f"{folder}/{look.roughness}", "raw", look.wrap, reader
        )
        roughness.ConnectToSource(texture.CreateOutput("r", types.Float))
    if look.normal:
        texture = _texture(
            stage, f"{path}/NormalTexture", f"{folder}/{look.normal}", "raw", look.wrap, reader
        )
        texture.CreateInput("scale", types.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
        texture.CreateInput("bias", types.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
        surface.CreateInput("normal", types.Normal3f).ConnectToSource(texture.ConnectableAPI(), "rgb")
    return material


def write_asset(folder: Path, asset: Asset) -> None:
    """`<name>.usda` (the handle) pays out `<name>_payload.usda`, which layers looks over geometry."""
    key, root = folder.name, f"/{asset.name}"
    geo = _new_stage(folder / f"{key}_geo.usdc", asset.name)
    UsdGeom.Scope.Define(geo, f"{root}/Geom")
    for mesh in asset.meshes:
        write_mesh(geo, f"{root}/Geom/{mesh.name}", mesh)
    extent = (
        UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
        .ComputeLocalBound(geo.GetDefaultPrim())
        .ComputeAlignedRange()
    )
    geo.GetRootLayer().Save()

    looks = _new_stage(folder / f"{key}_looks.usda", asset.name)
    UsdGeom.Scope.Define(looks, f"{root}/Looks")
    for look in asset.looks:
        write_look(looks, f"{root}/Looks/{look.name}", look)
    for mesh in asset.meshes:
        for name, _ in mesh.pieces:
            bound = f"{root}/Geom/{mesh.name}" + (f"/{name}" if len(mesh.pieces) > 1 else "")
            api = UsdShade.MaterialBindingAPI.Apply(looks.OverridePrim(bound))
            api.Bind(UsdShade.Material.Get(looks, f"{root}/Looks/{name}"))
    looks.GetRootLayer().Save()

    payload = _new_stage(folder / f"{key}_payload.usda", asset.name)
    payload.GetRootLayer().subLayerPaths = [f"./{key}_looks.usda", f"./{key}_geo.usdc"]
    payload.GetRootLayer().Save()

    handle = _new_stage(folder / f"{key}.usda", asset.name)
    prim = handle.GetDefaultPrim()
    model = Usd.ModelAPI(prim)
    model.SetKind(Kind.Tokens.component)
    model.SetAssetName(asset.name)
    model.SetAssetIdentifier(Sdf.AssetPath(f"./{key}.usda"))
    hint = UsdGeom.ModelAPI.Apply(prim)
    hint.SetExtentsHint(Vt.Vec3fArray([Gf.Vec3f(extent.GetMin()), Gf.Vec3f(extent.GetMax())]))
    prim.GetPayloads().AddPayload(f"./{key}_payload.usda")
    handle.GetRootLayer().Save()


PLACES: dict[
    str, tuple[tuple[float, float, float], float]
] = {  # where each asset stands, and its turn about Y
    "Table": ((0, 0, 0), 0),
    "Wall": ((0, 0, -46), 0),
    "Vase": ((-14.5, 74, -11), 22),
    "Book": ((7.5, 74, 7.5), 14),
    "Mug": ((11.5, 74, -11), -66),
    "Pear": ((-10.5, 74, 9), -80),
    "Egg": ((-4.5, 74, 16.5), 30),
}


def write_still_life(path: Path) -> None:
    """The assembly: references, a camera and lights."""
    stage = _new_stage(path, "World")
    Usd.ModelAPI(stage.GetDefaultPrim()).SetKind(Kind.Tokens.assembly)
    for name, (place, turn) in PLACES.items():
        prim = stage.DefinePrim(f"/World/{name}", "Xform")
        prim.GetReferences().AddReference(f"./assets/{name.lower()}/{name.lower()}.usda")
        form = UsdGeom.Xformable(prim)
        form.AddTranslateOp().Set(Gf.Vec3d(*place))
        if turn:
            form.AddRotateYOp().Set(float(turn))
    eye, target = Gf.Vec3d(7, 122, 91), Gf.Vec3d(-1.0, 85.8, 0)
    view = Gf.Matrix4d().SetLookAt(eye, target, Gf.Vec3d(0, 1, 0)).GetInverse()
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTransformOp().Set(view)
    camera.CreateFocalLengthAttr(51.0)
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(24.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(1, 1000))
    UsdGeom.Scope.Define(stage, "/World/Lights")
    dome = UsdLux.DomeLight.Define(stage, "/World/Lights/Sky")
    dome.CreateIntensityAttr(0.4)
    dome.CreateColorAttr(Gf.Vec3f(0.80, 0.90, 1.0))
    key = UsdLux.DistantLight.Define(stage, "/World/Lights/Key")
    key.CreateIntensityAttr(2.5)
    key.CreateAngleAttr(2.0)
    key.CreateColorAttr(Gf.Vec3f(1.0, 0.93, 0.82))
    key.AddRotateXYZOp().Set(Gf.Vec3f(-55, -42, 0))
    UsdLux.ShadowAPI.Apply(key.GetPrim()).CreateShadowEnableAttr(True)
    stage.GetRootLayer().Save()


def write_uv_test(path: Path) -> None:
    """A unit square that fills the frame of an orthographic camera."""
    stage = _new_stage(path, "World")
    Usd.ModelAPI(stage.GetDefaultPrim()).SetKind(Kind.Tokens.component)
    corners = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float)
    quad = Mesh(
        "Quad",
        [("Test", Part(corners, corners[:, :2], [[0, 1, 2, 3]]))],
        uv_interpolation=UsdGeom.Tokens.vertex,
    )
    mesh = write_mesh(stage, "/World/Quad", quad)
    UsdGeom.Scope.Define(stage, "/World/Looks")
    material = write_look(stage, "/World/Looks/Test", Look("Test", base="T.png", roughness=1.0), "./uv_test")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.CreateProjectionAttr(UsdGeom.Tokens.orthographic)
    camera.CreateHorizontalApertureAttr(10.0)  # tenths of a unit: exactly one unit wide
    camera.CreateVerticalApertureAttr(10.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.1, 10))
    camera.AddTranslateOp().Set(Gf.Vec3d(0.5, 0.5, 1))
    stage.GetRootLayer().Save()


def write_stages(root: Path) -> None:
    """Every USD file of the samples, under `root`."""
    for asset in assets():
        write_asset(root / "assets" / asset.name.lower(), asset)
    write_still_life(root / "still_life.usda")
    write_uv_test(root / "uv_test.usda")
