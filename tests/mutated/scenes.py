"""The good stages that faults are put into: folders of small layers and tiny textures."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from conftest import build_tiny_stage, define_material, define_quad
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdSkel, UsdUtils, Vt
from skeletons import add_skeleton
from storm.storm_scenes import Paint, add_material

from usdstylize.usd.io.opening import quiet

__all__ = ["FACES", "build_scenes"]

FACES = 24
"""Faces of a mesh that are kept."""
_REPOSITORY = Path(__file__).parents[2]
_SHARED = _REPOSITORY.parent / "shared" / "assets"
_OWN = ("sample_stages/still_life.usda", "sample_stages/uv_test.usda")
_OTHERS = (
    "spot/spot.usda",
    "teapot/Teapot.usd",
    "TextureTransformTest/TextureTransformTest.usd",
    "TextureCoordinateTest/TextureCoordinateTest.usda",
    "TextureCoordinateTest/TextureCoordinateTestMaterialX.usda",
)
_Types = Sdf.ValueTypeNames


def build_scenes(folder: Path) -> list[Path]:
    """Root layers, each in a folder of its own under ``folder``; ours first, always in the same order."""
    scenes = []
    for source in [_REPOSITORY / name for name in _OWN]:
        scenes.append(shrink(source, folder / source.stem))
    for build in (_tiny, _paints, _kit):
        (folder / build.__name__).mkdir()
        scenes.append(build(folder / build.__name__))
    for source in [_SHARED / name for name in _OTHERS]:
        if source.is_file():
            scenes.append(shrink(source, folder / source.stem))
    return scenes


def shrink(source: Path, folder: Path) -> Path:
    """A copy of a stage with few faces per mesh and textures of a few texels."""
    with quiet():
        layers, assets, _ = UsdUtils.ComputeAllDependencies(str(source))
    for layer in layers:
        copy = Sdf.Layer.OpenAsAnonymous(layer.realPath)
        copy.Traverse(Sdf.Path.absoluteRootPath, lambda path, of=copy: _decimate(of, path))
        target = folder / Path(layer.realPath).relative_to(source.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy.Export(str(target))
    for asset in map(Path, assets):
        target = folder / asset.relative_to(source.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        if asset.suffix.lower() in (".png", ".jpg"):
            with Image.open(asset) as picture:
                picture.resize((8, 8)).save(target)
        else:
            shutil.copyfile(asset, target)
    for document in source.parent.glob("*.mtlx"):  # USD without usdMtlx does not list them
        shutil.copyfile(document, folder / document.name)
    return folder / source.name


def _decimate(layer: Sdf.Layer, path: Sdf.Path) -> None:
    spec = layer.GetPrimAtPath(path) if (path.IsPrimPath() or path.IsPrimVariantSelectionPath()) else None
    if spec is None:
        return
    names = set(spec.attributes.keys())
    if spec.typeName == "GeomSubset" and "indices" in names:
        chosen = np.unique(np.array(spec.attributes["indices"].default) % FACES)
        spec.attributes["indices"].default = Vt.IntArray.FromNumpy(chosen.astype(np.int32))
    if not {"faceVertexCounts", "faceVertexIndices", "points", "primvars:st"} <= names:
        return
    counts = np.array(spec.attributes["faceVertexCounts"].default)
    indices = np.array(spec.attributes["faceVertexIndices"].default)
    points = np.array(spec.attributes["points"].default)
    faces = min(FACES, len(counts))
    corners = int(counts[:faces].sum())
    used, remapped = np.unique(indices[:corners], return_inverse=True)
    by_interpolation = {
        "uniform": np.arange(faces),
        "faceVarying": np.arange(corners),
        "vertex": used,
        "varying": used,
    }
    arrays: dict[str, Any] = {}
    for attribute in spec.attributes:
        owner = attribute.name.removesuffix(":indices")
        if not attribute.name.startswith(("primvars:", "normals")) or attribute.default is None:
            continue
        if owner == attribute.name and f"{owner}:indices" in spec.attributes:
            continue
        chosen = by_interpolation.get(spec.attributes[owner].GetInfo("interpolation"))
        values = np.array(attribute.default)
        if chosen is not None and values.ndim and len(values) > len(chosen):
            arrays[attribute.name] = values[chosen]
    arrays |= {"faceVertexCounts": counts[:faces], "faceVertexIndices": remapped.astype(np.int32)}
    arrays["points"] = points[used]
    for name, values in arrays.items():
        attribute = spec.attributes[name]
        attribute.default = attribute.typeName.type.pythonClass.FromNumpy(np.ascontiguousarray(values))


def _picture(path: Path, size: tuple[int, int] = (8, 8)) -> None:
    codes = np.random.default_rng(len(path.name)).integers(30, 220, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(codes).save(path)


def _tiny(folder: Path) -> Path:
    root = build_tiny_stage(folder / "shot")
    _picture(root.parent / "textures" / "color.png")
    return root


def _paints(folder: Path) -> Path:
    """Quads that wear what the renderer's tests paint with."""
    _picture(folder / "T.png")
    _picture(folder / "Rough.png")
    transform = {"scale": (2.0, 0.5), "rotation": 30.0, "translation": (0.25, -0.5)}
    paints = [
        Paint(file="./T.png"),
        Paint(file="./T.png", behind_graph=True, transform=transform, wrap=("mirror", "clamp")),
        Paint(file="./T.png", color_space="raw", scale=(0.5, 0.6, 0.7, 1), bias=(0.1, 0.0, 0.1, 0)),
        Paint(constant=(0.2, 0.4, 0.1), inputs={"roughness": 0.3, "emissiveColor": (0.1, 0.0, 0.0)}),
        Paint(file="./T.png", wrap=("black", "repeat"), inputs={"opacity": 0.5}),
    ]
    stage = Usd.Stage.CreateNew(str(folder / "paints.usda"))
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    for number, paint in enumerate(paints):
        material = add_material(stage, f"/World/Looks/Paint{number}", paint)
        define_quad(stage, f"/World/Quad{number}", material, x=2.0 * number)
    stage.Save()
    return folder / "paints.usda"


def _kit(folder: Path) -> Path:
    """A little of everything that stages are made of, over several layers."""
    for name in ("base.png", "rough.png", "tile.1001.png", "tile.1002.png"):
        _picture(folder / name)
    _write_looks(folder / "looks.usda")
    _write_part(folder / "part.usdc")
    stage = Usd.Stage.CreateNew(str(folder / "kit.usda"))
    stage.GetRootLayer().subLayerPaths = ["./looks.usda"]
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    stage.SetStartTimeCode(1)
    stage.SetEndTimeCode(10)
    world = UsdGeom.Xform.Define(stage, "/World")
    stage.SetDefaultPrim(world.GetPrim())
    paint = UsdShade.Material(stage.GetPrimAtPath("/World/Looks/Paint"))
    _split_quad(stage, "/World/Split", paint)
    for number, name in enumerate(("Standard", "Omni", "Tiles", "Bare")):
        material = UsdShade.Material(stage.GetPrimAtPath(f"/World/Looks/{name}"))
        define_quad(stage, f"/World/{name}", material, x=2.0 * number, uvs=name != "Bare")
    moving = define_quad(stage, "/World/Rig/Moving", paint)
    move = moving.AddTranslateOp()
    for time in (1, 5, 10):
        move.Set(Gf.Vec3d(time, 0, 0), time)
    moving.GetPointsAttr().Set(moving.GetPointsAttr().Get(), 1)
    moving.GetPointsAttr().Set([Gf.Vec3f(0, 0, 1)] * 4, 10)
    colored = UsdGeom.PrimvarsAPI(define_quad(stage, "/World/Colored", paint))
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Colored")).UnbindAllBindings()
    shades = colored.CreatePrimvar("displayColor", _Types.Color3fArray, UsdGeom.Tokens.vertex)
    shades.Set([Gf.Vec3f(0.1 * i, 0.5, 0.2) for i in range(4)])
    for name in ("First", "Second"):
        part = UsdGeom.Xform.Define(stage, f"/World/{name}")
        part.GetPrim().GetReferences().AddReference("./part.usdc")
        part.GetPrim().SetInstanceable(name == "Second")
        part.AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
    crowd = UsdGeom.PointInstancer.Define(stage, "/World/Crowd")
    define_quad(stage, "/World/Crowd/Prototypes/Leaf", paint)
    crowd.CreatePrototypesRel().SetTargets([Sdf.Path("/World/Crowd/Prototypes/Leaf")])
    crowd.CreateProtoIndicesAttr([0, 0, 0])
    crowd.CreatePositionsAttr([Gf.Vec3f(i, 0, 0) for i in range(3)])
    _skinned(stage, paint)
    UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(folder / "part.usdc")), str(folder / "pack.usdz"))
    packed = define_material(stage, "/World/Packed/Looks/Paint", "./pack.usdz[0/base.png]")
    define_quad(stage, "/World/Packed/Quad", packed)
    _wishes(stage)
    stage.Save()
    return folder / "kit.usda"


def _split_quad(stage: Usd.Stage, path: str, paint: UsdShade.Material) -> None:
    """Two quads in one mesh, each half a subset, with an indexed primvar and a variant on the mesh."""
    mesh = define_quad(stage, path, paint)
    mesh.GetPointsAttr().Set([Gf.Vec3f(x, y, 0) for y in (0, 1) for x in (0, 1, 2)])
    mesh.GetFaceVertexCountsAttr().Set([4, 4])
    mesh.GetFaceVertexIndicesAttr().Set([0, 1, 4, 3, 1, 2, 5, 4])
    mesh.GetSubdivisionSchemeAttr().Set(UsdGeom.Tokens.catmullClark)
    st = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    st.SetInterpolation(UsdGeom.Tokens.faceVarying)
    st.Set([Gf.Vec2f(0, 0), Gf.Vec2f(1, 0), Gf.Vec2f(1, 1), Gf.Vec2f(0, 1)])
    st.SetIndices([0, 1, 2, 3, 0, 1, 2, 3])
    binding = UsdShade.MaterialBindingAPI(mesh)
    for face, name in enumerate(("left", "right")):
        subset = binding.CreateMaterialBindSubset(name, [face])
        look = stage.GetPrimAtPath("/World/Looks/" + ("Paint", "Standard")[face])
        UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(UsdShade.Material(look))
    variants = mesh.GetPrim().GetVariantSets().AddVariantSet("shape")
    for name in ("high", "low"):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            mesh.CreateDoubleSidedAttr(name == "high")


def _skinned(stage: Usd.Stage, paint: UsdShade.Material) -> None:
    UsdSkel.Root.Define(stage, "/World/Body")
    add_skeleton(stage, "/World/Body/Bones", define_quad(stage, "/World/Body/Skin", paint))


def _wishes(stage: Usd.Stage) -> None:
    """What StylizeAPI says, on a component."""
    packed = stage.GetPrimAtPath("/World/Packed")
    Usd.ModelAPI(packed).SetKind("component")
    packed.SetMetadata("apiSchemas", Sdf.TokenListOp.Create(prependedItems=["StylizeAPI"]))
    for name, type_name, value in (
        ("enabled", _Types.Bool, True),
        ("styleImages", _Types.AssetArray, Sdf.AssetPathArray([Sdf.AssetPath("./base.png")])),
        ("palette", _Types.Color3fArray, [Gf.Vec3f(0.1, 0.2, 0.3), Gf.Vec3f(0.8, 0.7, 0.2)]),
        ("strength", _Types.Float, 0.8),
        ("patternScale", _Types.Float, 1.5),
        ("textureResolution", _Types.Int, 64),
        ("seed", _Types.Int, 3),
    ):
        packed.CreateAttribute(f"stylize:{name}", type_name, False).Set(value)


def _write_part(path: Path) -> None:
    """A component with a texture of its own, for references and instances."""
    stage = Usd.Stage.CreateNew(str(path))
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/Part").GetPrim())
    define_quad(stage, "/Part/Geom", define_material(stage, "/Part/Looks/Paint", "./base.png"))
    stage.Save()


def _write_looks(path: Path) -> None:
    """UsdPreviewSurface, MaterialX, MDL and UDIM materials, and one without anything."""
    stage = Usd.Stage.CreateNew(str(path))
    paint = define_material(stage, "/World/Looks/Paint", "./base.png")
    surface = UsdShade.Shader(stage.GetPrimAtPath("/World/Looks/Paint/Surface"))
    rough = UsdShade.Shader.Define(stage, "/World/Looks/Paint/Rough")
    rough.CreateIdAttr("UsdUVTexture")
    rough.CreateInput("file", _Types.Asset).Set("./rough.png")
    reader = UsdShade.Shader(stage.GetPrimAtPath("/World/Looks/Paint/Reader"))
    rough.CreateInput("st", _Types.Float2).ConnectToSource(reader.GetOutput("result"))
    surface.CreateInput("roughness", _Types.Float).ConnectToSource(rough.CreateOutput("r", _Types.Float))
    dial = paint.CreateInput("metallic", _Types.Float)
    dial.Set(0.25)
    surface.CreateInput("metallic", _Types.Float).ConnectToSource(dial)
    define_material(stage, "/World/Looks/Tiles", "./tile.<UDIM>.png")
    define_material(stage, "/World/Looks/Bare", "./base.png")
    _standard_surface(stage, "/World/Looks/Standard")
    omni = UsdShade.Material.Define(stage, "/World/Looks/Omni")
    shader = UsdShade.Shader.Define(stage, "/World/Looks/Omni/Shader")
    shader.SetSourceAsset(Sdf.AssetPath("OmniPBR.mdl"), "mdl")
    shader.SetSourceAssetSubIdentifier("OmniPBR", "mdl")
    shader.CreateInput("diffuse_texture", _Types.Asset).Set("./base.png")
    omni.CreateSurfaceOutput("mdl").ConnectToSource(shader.CreateOutput("out", _Types.Token))
    stage.Save()


def _standard_surface(stage: Usd.Stage, path: str) -> None:
    material = UsdShade.Material.Define(stage, path)
    graph = UsdShade.NodeGraph.Define(stage, f"{path}/Graph")
    coordinates = UsdShade.Shader.Define(stage, f"{path}/Graph/Coordinates")
    coordinates.CreateIdAttr("ND_geompropvalue_vector2")
    coordinates.CreateInput("geomprop", _Types.String).Set("st")
    image = UsdShade.Shader.Define(stage, f"{path}/Graph/Image")
    image.CreateIdAttr("ND_image_color3")
    file = image.CreateInput("file", _Types.Asset)
    file.Set("./base.png")
    file.GetAttr().SetColorSpace("srgb_texture")
    image.CreateInput("texcoord", _Types.Float2).ConnectToSource(
        coordinates.CreateOutput("out", _Types.Float2)
    )
    color = graph.CreateOutput("color", _Types.Color3f)
    color.ConnectToSource(image.CreateOutput("out", _Types.Color3f))
    surface = UsdShade.Shader.Define(stage, f"{path}/Surface")
    surface.CreateIdAttr("ND_standard_surface_surfaceshader")
    surface.CreateInput("base_color", _Types.Color3f).ConnectToSource(color)
    surface.CreateInput("specular_roughness", _Types.Float).Set(0.4)
    material.CreateSurfaceOutput("mtlx").ConnectToSource(surface.CreateOutput("out", _Types.Token))
