"""Test stages whose pixels are known: one large triangle before an orthographic camera.

The camera sees -1..1 in x and y; the triangle reaches beyond the picture on every side, so that
no edge of its own is in it. Without a transform, u and v run over 0..1 (or ``uv_range``) in the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

CAMERA = "/World/Camera"
_Types = Sdf.ValueTypeNames


@dataclass(frozen=True)
class Paint:
    """How the source material gets its base colour."""

    file: str | None = None
    constant: tuple[float, float, float] | None = None
    color_space: str = "sRGB"
    wrap: tuple[str, str] = ("repeat", "repeat")
    scale: tuple[float, ...] | None = None
    bias: tuple[float, ...] | None = None
    primvar: str = "st"
    transform: dict[str, Any] | Sequence[dict[str, Any]] | None = None
    """A UsdTransform2d, or a chain of them, the one nearest to the primvar first."""
    behind_graph: bool = False
    """The texture sits in a NodeGraph, file and primvar name come through interface inputs."""
    inputs: dict[str, Any] = field(default_factory=dict)
    """Other values of the surface."""


def steps(transform: dict[str, Any] | Sequence[dict[str, Any]] | None) -> Sequence[dict[str, Any]]:
    """A transform, a chain of them or none, as a chain."""
    return [transform] if isinstance(transform, dict) else transform or ()


def write_image(path: Path, codes: NDArray[np.float64]) -> None:
    """8 bit for .png, half for .exr; values of a .png are those of ``codes``·255, rounded."""
    is_png = path.suffix == ".png"
    pixels = np.rint(codes * 255).astype(np.uint8) if is_png else codes.astype(np.float16)
    spec = oiio.ImageSpec(codes.shape[1], codes.shape[0], codes.shape[2], "uint8" if is_png else "half")
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec)
    assert output.write_image(np.ascontiguousarray(pixels))
    assert output.close()


def make_stage(path: Path, paint: Paint | None, *, uv_range: tuple[float, float] = (0.0, 1.0)) -> Usd.Stage:
    """A stage with /World/Triangle, in the material /World/Looks/Paint where a paint is given."""
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    world = UsdGeom.Xform.Define(stage, "/World")
    stage.SetDefaultPrim(world.GetPrim())
    camera = UsdGeom.Camera.Define(stage, CAMERA)
    camera.CreateProjectionAttr(UsdGeom.Tokens.orthographic)
    camera.CreateHorizontalApertureAttr(20.0)
    camera.CreateVerticalApertureAttr(20.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.1, 100))
    camera.AddTranslateOp().Set(Gf.Vec3d(0, 0, 5))
    mesh = add_mesh(stage, [(-2, -2), (6, -2), (-2, 6)], paint.primvar if paint else "st", uv_range)
    if paint is not None:
        bind(mesh.GetPrim(), add_material(stage, "/World/Looks/Paint", paint))
    return stage


def add_mesh(
    stage: Usd.Stage,
    corners: list[tuple[float, float]],
    primvar: str,
    uv_range: tuple[float, float],
    *,
    path: str = "/World/Triangle",
) -> UsdGeom.Mesh:
    mesh = UsdGeom.Mesh.Define(stage, path)
    points = [Gf.Vec3f(x, y, 0) for x, y in corners]
    mesh.CreatePointsAttr(points)
    mesh.CreateFaceVertexCountsAttr([3] * (len(corners) // 3))
    mesh.CreateFaceVertexIndicesAttr(list(range(len(corners))))
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    low, high = uv_range
    uvs = [Gf.Vec2f(*(low + (c + 1) / 2 * (high - low) for c in corner)) for corner in corners]
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(primvar, _Types.TexCoord2fArray, UsdGeom.Tokens.faceVarying)
    st.Set(uvs[::-1])
    st.SetIndices(list(range(len(uvs)))[::-1])
    return mesh


def bind(prim: Usd.Prim, material: UsdShade.Material) -> None:
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)


def add_material(stage: Usd.Stage, path: str, paint: Paint) -> UsdShade.Material:
    """A UsdPreviewSurface without anything that shines, unless ``inputs`` says so."""
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, f"{path}/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", _Types.Token))
    for name, value in paint.inputs.items():
        surface.CreateInput(name, _Types.Color3f if isinstance(value, tuple) else _Types.Float).Set(value)
    diffuse = surface.CreateInput("diffuseColor", _Types.Color3f)
    if paint.constant is not None:
        diffuse.Set(paint.constant)
    if paint.file is None:
        return material
    where = f"{path}/Graph" if paint.behind_graph else path
    color = add_texture(
        stage, where, "Base", paint.file, paint.color_space, paint.primvar,
        wrap=paint.wrap, scale=paint.scale, bias=paint.bias, transform=paint.transform,
    ).CreateOutput("rgb", _Types.Float3)  # fmt: skip
    if paint.behind_graph:
        graph = UsdShade.NodeGraph.Define(stage, where)
        for owner, name, type_name, value in (
            ("Base", "file", _Types.Asset, Sdf.AssetPath(paint.file)),
            ("BaseReader", "varname", _Types.String, paint.primvar),
        ):
            inner = UsdShade.Shader.Get(stage, f"{where}/{owner}").GetInput(name)
            inner.GetAttr().Clear()
            inner.ConnectToSource(graph.CreateInput(name, type_name))
            outer = material.CreateInput(name, type_name)
            outer.Set(value)
            graph.GetInput(name).ConnectToSource(outer)
        output = graph.CreateOutput("color", _Types.Float3)
        output.ConnectToSource(color)
        color = output
    diffuse.ConnectToSource(color)
    return material


def add_texture(
    stage: Usd.Stage,
    where: str,
    name: str,
    file: str,
    color_space: str,
    primvar: str,
    *,
    wrap: tuple[str, str] = ("repeat", "repeat"),
    scale: tuple[float, ...] | None = None,
    bias: tuple[float, ...] | None = None,
    transform: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
) -> UsdShade.Shader:
    reader = UsdShade.Shader.Define(stage, f"{where}/{name}Reader")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", _Types.String).Set(primvar)
    coordinates = reader.CreateOutput("result", _Types.Float2)
    for number, step in enumerate(steps(transform)):
        place = UsdShade.Shader.Define(stage, f"{where}/{name}Place{number or ''}")
        place.CreateIdAttr("UsdTransform2d")
        place.CreateInput("in", _Types.Float2).ConnectToSource(coordinates)
        place.CreateInput("scale", _Types.Float2).Set(step["scale"])
        place.CreateInput("rotation", _Types.Float).Set(step["rotation"])
        place.CreateInput("translation", _Types.Float2).Set(step["translation"])
        coordinates = place.CreateOutput("result", _Types.Float2)
    image = UsdShade.Shader.Define(stage, f"{where}/{name}")
    image.CreateIdAttr("UsdUVTexture")
    image.CreateInput("file", _Types.Asset).Set(Sdf.AssetPath(file))
    image.CreateInput("sourceColorSpace", _Types.Token).Set(color_space)
    image.CreateInput("wrapS", _Types.Token).Set(wrap[0])
    image.CreateInput("wrapT", _Types.Token).Set(wrap[1])
    image.CreateInput("st", _Types.Float2).ConnectToSource(coordinates)
    if scale is not None:
        image.CreateInput("scale", _Types.Float4).Set(Gf.Vec4f(*scale))
    if bias is not None:
        image.CreateInput("bias", _Types.Float4).Set(Gf.Vec4f(*bias))
    return image
