"""A shot as a studio has it."""

from pathlib import Path

from pxr import Gf, Sdf, Usd, UsdGeom


def make_show(folder: Path) -> Path:
    """Above the tiny stage, a shot as a studio has it: rates, offsets, units, colour management, kinds, asset
    info, expressions."""
    (folder / "ocio").mkdir()
    (folder / "ocio/config.ocio").write_text("ocio_profile_version: 2\n")
    animation = Sdf.Layer.CreateNew(str(folder / "animation.usda"))
    animation.timeCodesPerSecond = 48
    left = Sdf.CreatePrimInLayer(animation, "/World/Left")
    height = Sdf.AttributeSpec(left, "studio:height", Sdf.ValueTypeNames.Double)
    animation.SetTimeSample(height.path, 0.0, 0.0)
    animation.SetTimeSample(height.path, 48.0, 10.0)
    animation.Save()
    root = Sdf.Layer.CreateNew(str(folder / "shot.usda"))
    root.subLayerPaths = ["./animation.usda", '`"./${ASSET}.usda"`']
    root.subLayerOffsets[0] = Sdf.LayerOffset(100.0, 2.0)
    root.expressionVariables = {"ASSET": "tiny"}
    brief, elsewhere = Sdf.AssetPath("./ocio/config.ocio"), Sdf.AssetPath("studio/show.ocio")
    root.customLayerData = {"studio": {"ticket": 12, "brief": brief, "elsewhere": elsewhere}}
    root.documentation = "Shot 010"
    root.Save()
    shot = Usd.Stage.Open(root)
    UsdGeom.SetStageUpAxis(shot, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(shot, 0.01)
    shot.SetMetadata("kilogramsPerUnit", 0.5)
    shot.SetDefaultPrim(shot.GetPrimAtPath("/World"))
    shot.SetStartTimeCode(101.0)
    shot.SetEndTimeCode(150.0)
    shot.SetTimeCodesPerSecond(30.0)
    shot.SetFramesPerSecond(15.0)
    shot.SetColorConfiguration(Sdf.AssetPath("ocio/config.ocio"))
    shot.SetColorManagementSystem("OpenColorIO")
    world, mesh = shot.GetPrimAtPath("/World"), shot.GetPrimAtPath("/World/Left")
    Usd.ModelAPI(world).SetKind("assembly")
    Usd.ModelAPI(mesh).SetKind("component")
    Usd.ModelAPI(mesh).SetAssetIdentifier(Sdf.AssetPath("./tiny.usda"))
    Usd.ModelAPI(mesh).SetAssetName("left")
    Usd.ModelAPI(mesh).SetAssetVersion("v012")
    Usd.ColorSpaceAPI.Apply(world).CreateColorSpaceNameAttr("lin_rec709_scene")
    tint = mesh.CreateAttribute("studio:tint", Sdf.ValueTypeNames.Color3f)
    tint.Set(Gf.Vec3f(0.2, 0.4, 0.6))
    tint.SetColorSpace("srgb_rec709_scene")
    mesh.CreateAttribute("studio:sheet", Sdf.ValueTypeNames.Asset).Set("./textures/color.png")
    mesh.SetMetadata("comment", "hero")
    shot.Save()
    return folder / "shot.usda"
