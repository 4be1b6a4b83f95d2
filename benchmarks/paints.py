"""The material of generated stages: a UsdPreviewSurface that reads one texture."""

from pxr import Sdf, Usd, UsdShade

__all__ = ["define_paint"]

_Types = Sdf.ValueTypeNames


def define_paint(stage: Usd.Stage, path: str, file: str) -> UsdShade.Material:
    """A Material at ``path`` whose diffuseColor is the sRGB image ``file`` at ``st``, repeated."""
    material = UsdShade.Material.Define(stage, path)
    surface, image, reader = (
        UsdShade.Shader.Define(stage, f"{path}/{name}") for name in ("Surface", "Texture", "Reader")
    )
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", _Types.Float).Set(0.6)
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", _Types.String).Set("st")
    image.CreateIdAttr("UsdUVTexture")
    image.CreateInput("file", _Types.Asset).Set(file)
    image.CreateInput("sourceColorSpace", _Types.Token).Set("sRGB")
    image.CreateInput("wrapS", _Types.Token).Set("repeat")
    image.CreateInput("wrapT", _Types.Token).Set("repeat")
    image.CreateInput("st", _Types.Float2).ConnectToSource(reader.CreateOutput("result", _Types.Float2))
    diffuse = surface.CreateInput("diffuseColor", _Types.Color3f)
    diffuse.ConnectToSource(image.CreateOutput("rgb", _Types.Float3))
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", _Types.Token))
    return material
