"""Base colours traced from small materials, against values worked out by hand from the specification."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import define_material, define_quad, unchanged
from encoded import encoded_bases
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdUtils

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import ConstantColor, DisplayColor, TextureFile
from usdstylize.model.objects import ObjectData, StageObject
from usdstylize.usd import read as reading
from usdstylize.usd.io import assets

Edit = Callable[[Usd.Stage], None]
LOOK = "/World/Looks/Paint"


def decode(code: float) -> float:
    return code / 12.92 if code <= 0.04045 else ((code + 0.055) / 1.055) ** 2.4


def encode(linear: float) -> float:
    return linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """2 × 2 texels: red and green on top, blue and grey below."""
    texels = [[[200, 30, 10], [20, 180, 40]], [[15, 25, 220], [120, 130, 140]]]
    Image.fromarray(np.array(texels, np.uint8)).save(tmp_path / "color.png")
    return tmp_path / "color.png"


def write(folder: Path, edit: Edit) -> Path:
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    define_quad(stage, "/World/Quad", define_material(stage, LOOK, "./color.png"))
    edit(stage)
    stage.Save()
    return folder / "scene.usda"


def read_one(folder: Path, edit: Edit) -> tuple[StageObject, ObjectData]:
    path = write(folder, edit)
    with unchanged(folder):
        contents = reading.discover(path)
        assert contents.skipped == ()
        assert len(contents.objects) == 1
        return contents.objects[0], reading.load(contents, contents.objects[0])


def why_skipped(folder: Path, edit: Edit) -> str:
    contents = reading.discover(write(folder, edit))
    assert contents.objects == ()
    assert [skipped.path for skipped in contents.skipped] == ["/World/Quad"]
    return contents.skipped[0].reason


def shader(stage: Usd.Stage, name: str) -> UsdShade.Shader:
    return UsdShade.Shader(stage.GetPrimAtPath(f"{LOOK}/{name}"))


def set_inputs(stage: Usd.Stage, name: str, **values: tuple[str, Any]) -> None:
    for key, (type_name, value) in values.items():
        shader(stage, name).CreateInput(key, Sdf.ValueTypeNames.Find(type_name)).Set(value)


def test_an_srgb_texture_keeps_its_code_values_with_row_0_on_top(picture: Path) -> None:
    found, data = read_one(picture.parent, lambda stage: None)
    assert found.base == TextureFile(
        "./color.png", str(picture), "srgb", "repeat", "repeat", size=(2, 2), bit_depth="uint8"
    )
    assert (found.material_path, found.surface_path, found.uv_primvar) == (LOOK, f"{LOOK}/Surface", "st")
    np.testing.assert_array_equal(
        encoded_bases(data)[0][0, 0], np.array([200, 30, 10], np.float32) / np.float32(255)
    )
    np.testing.assert_array_equal(
        encoded_bases(data)[0][1, 1], np.array([120, 130, 140], np.float32) / np.float32(255)
    )


def test_scale_and_bias_apply_in_linear_and_negative_light_is_black(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        set_inputs(
            stage,
            "Texture",
            scale=("float4", Gf.Vec4f(0.5, 2, 1, 1)),
            bias=("float4", Gf.Vec4f(0.1, 0, -0.5, 0)),
        )

    _, data = read_one(picture.parent, edit)
    expected = [encode(decode(200 / 255) * 0.5 + 0.1), encode(decode(30 / 255) * 2), 0.0]
    np.testing.assert_allclose(encoded_bases(data)[0][0, 0], expected, atol=1e-6)


def test_a_raw_texture_is_linear_light(picture: Path) -> None:
    found, data = read_one(
        picture.parent, lambda stage: set_inputs(stage, "Texture", sourceColorSpace=("token", "raw"))
    )
    assert isinstance(found.base, TextureFile)
    assert found.base.encoding == "linear"
    np.testing.assert_allclose(
        encoded_bases(data)[0][0, 0], [encode(v / 255) for v in (200, 30, 10)], atol=1e-6
    )


def mid_grey_png(channels: int, depth: str, gamma: float | None) -> bytes:
    """4 × 4 texels, every channel at half its range, with a gAMA chunk where a gamma is given."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    bits, half = (8, b"\x80") if depth == "uint8" else (16, b"\x80\x00")
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, bits, color_type, 0, 0, 0))]
    if gamma is not None:
        parts.append(chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000))))
    parts += [chunk(b"IDAT", zlib.compress((b"\0" + half * channels * 4) * 4)), chunk(b"IEND", b"")]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("channels", "depth", "gamma", "encoding"),
    [
        (3, "uint8", None, "srgb"),
        (4, "uint8", None, "srgb"),
        (1, "uint8", None, "linear"),
        (2, "uint8", None, "linear"),
        (3, "uint16", None, "linear"),
        (3, "uint8", 1.0, "linear"),
        (3, "uint16", 0.45455, "srgb"),
    ],
)
def test_auto_decides_as_the_specification_says(
    picture: Path, channels: int, depth: str, gamma: float | None, encoding: str
) -> None:
    picture.write_bytes(mid_grey_png(channels, depth, gamma))
    found, data = read_one(
        picture.parent, lambda stage: set_inputs(stage, "Texture", sourceColorSpace=("token", "auto"))
    )
    assert isinstance(found.base, TextureFile)
    assert (found.base.encoding, found.base.bit_depth) == (encoding, depth)
    assert encoded_bases(data)[0].shape == (4, 4, 3)
    np.testing.assert_allclose(encoded_bases(data)[0], 0.5 if encoding == "srgb" else encode(0.5), atol=0.003)


def test_wrap_modes_and_their_default(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        set_inputs(stage, "Texture", wrapS=("token", "mirror"))
        shader(stage, "Texture").GetPrim().RemoveProperty("inputs:wrapT")
        UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad")).GetPrimvar("st").Set(
            [Gf.Vec2f(0, 0), Gf.Vec2f(2, 0), Gf.Vec2f(2, 2), Gf.Vec2f(0, 2)]
        )

    found, _ = read_one(picture.parent, edit)
    assert found.wrap == ("mirror", "black")
    assert any("black" in note for note in found.notes)


def test_a_transform_scales_then_rotates_then_translates(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        node = UsdShade.Shader.Define(stage, f"{LOOK}/Place")
        node.CreateIdAttr("UsdTransform2d")
        set_inputs(
            stage,
            "Place",
            scale=("float2", Gf.Vec2f(2, 3)),
            rotation=("float", 90.0),
            translation=("float2", Gf.Vec2f(0.25, 0.5)),
        )
        node.CreateInput("in", Sdf.ValueTypeNames.Float2).ConnectToSource(
            shader(stage, "Reader").ConnectableAPI(), "result"
        )
        shader(stage, "Texture").GetInput("st").ConnectToSource(node.ConnectableAPI(), "result")

    found, data = read_one(picture.parent, edit)
    assert found.uv_transform == UVTransform((2, 3), 90, (0.25, 0.5))
    # (0,0) (1,0) (1,1) scaled by (2,3), turned a quarter counter-clockwise, moved by (¼,½).
    np.testing.assert_allclose(data.mesh.uvs[0], [(0.25, 0.5), (0.25, 2.5), (-2.75, 2.5)], atol=1e-6)


def test_interface_inputs_and_node_graphs_are_followed(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        material = UsdShade.Material.Get(stage, LOOK)
        graph = UsdShade.NodeGraph.Define(stage, f"{LOOK}/Graph")
        for name in ("Texture", "Reader"):
            source, target = Sdf.Path(f"{LOOK}/{name}"), Sdf.Path(f"{LOOK}/Graph/{name}")
            Sdf.CopySpec(stage.GetRootLayer(), source, stage.GetRootLayer(), target)
            stage.RemovePrim(source)
        texture, reader = shader(stage, "Graph/Texture"), shader(stage, "Graph/Reader")
        texture.GetInput("st").ConnectToSource(reader.ConnectableAPI(), "result")
        color = graph.CreateOutput("color", Sdf.ValueTypeNames.Color3f)
        color.ConnectToSource(texture.ConnectableAPI(), "rgb")
        shader(stage, "Surface").GetInput("diffuseColor").ConnectToSource(graph.ConnectableAPI(), "color")
        for node, name, type_name, value in (
            (texture, "file", "asset", "./color.png"),
            (texture, "wrapS", "token", "clamp"),
            (reader, "varname", "token", "st"),
        ):
            node.GetPrim().RemoveProperty(f"inputs:{name}")
            kind = Sdf.ValueTypeNames.Find(type_name)
            outer, inner = material.CreateInput(name, kind), graph.CreateInput(name, kind)
            outer.Set(value)
            inner.ConnectToSource(outer)
            node.CreateInput(name, kind).ConnectToSource(inner)

    found, _ = read_one(picture.parent, edit)
    assert isinstance(found.base, TextureFile)
    assert (found.base.resolved_path, found.wrap) == (str(picture), ("clamp", "repeat"))


def test_a_constant_uses_st_or_what_looks_like_uvs(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        diffuse = shader(stage, "Surface").GetInput("diffuseColor")
        diffuse.GetAttr().ClearConnections()
        diffuse.Set(Gf.Vec3f(0.25, 0.5, 1))
        api = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad"))
        corners = api.GetPrimvar("st").Get()
        api.RemovePrimvar("st")
        for name, kind in (("aim", "float2[]"), ("uvSet", "float2[]"), ("zone", "texCoord2f[]")):
            api.CreatePrimvar(name, Sdf.ValueTypeNames.Find(kind), "vertex").Set(corners)

    found, data = read_one(picture.parent, edit)
    assert found.base == ConstantColor((0.25, 0.5, 1.0))
    assert found.uv_primvar == "zone"
    np.testing.assert_allclose(encoded_bases(data)[0], [[[encode(0.25), encode(0.5), 1]]], atol=1e-6)


def test_display_color_without_a_material_is_rasterised_over_the_uvs(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        stage.RemovePrim(LOOK)
        stage.GetPrimAtPath("/World/Quad").RemoveProperty("material:binding")
        colors = UsdGeom.Gprim(stage.GetPrimAtPath("/World/Quad")).CreateDisplayColorPrimvar("vertex")
        colors.Set([Gf.Vec3f(u, v, 0.25) for u, v in ((0, 0), (1, 0), (1, 1), (0, 1))])

    found, data = read_one(picture.parent, edit)
    assert (found.surface, found.material_path, found.base) == ("none", None, DisplayColor("vertex"))
    size = len(encoded_bases(data)[0])
    # Texel (row, column) shows linear red = u of its centre, green = v, which grows upwards.
    row, column = size // 4, size // 8
    expected = [encode((column + 0.5) / size), encode(1 - (row + 0.5) / size), encode(0.25)]
    np.testing.assert_allclose(encoded_bases(data)[0][row, column], expected, atol=1e-4)


def test_a_constant_display_color_is_inherited(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        stage.RemovePrim(LOOK)
        stage.GetPrimAtPath("/World/Quad").RemoveProperty("material:binding")
        UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World")).CreatePrimvar(
            "displayColor", Sdf.ValueTypeNames.Color3fArray, "constant"
        ).Set([Gf.Vec3f(0.5, 0.25, 0.125)])

    assert read_one(picture.parent, edit)[0].base == ConstantColor((0.5, 0.25, 0.125))


def test_the_material_that_viewports_draw_is_read_and_the_other_purpose_remarked(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        final = define_material(stage, "/World/Looks/Final", "./color.png")
        UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Quad")).Bind(final, materialPurpose="full")

    found, _ = read_one(picture.parent, edit)
    assert found.material_path == LOOK
    assert any("/World/Looks/Final" in note for note in found.notes)


def test_a_texture_in_a_package_is_read_and_the_package_hashed(picture: Path, tmp_path: Path) -> None:
    package = tmp_path / "asset.usdz"
    assert UsdUtils.CreateNewUsdzPackage(str(write(tmp_path, lambda stage: None)), str(package))
    picture.unlink()
    contents = reading.discover(package)
    data = reading.load(contents, contents.objects[0])
    np.testing.assert_array_equal(np.rint(encoded_bases(data)[0][0, 0] * 255), [200, 30, 10])
    assert [Path(source.path) for source in contents.sources] == [package]
    assert contents.sources[0].sha256 == assets.hash_file(str(package))


def break_surface(stage: Usd.Stage) -> None:
    graph = UsdShade.NodeGraph.Define(stage, f"{LOOK}/Loop")
    output = graph.CreateOutput("surface", Sdf.ValueTypeNames.Token)
    surface = UsdShade.Material.Get(stage, LOOK).GetSurfaceOutput()
    surface.ConnectToSource(output)
    output.ConnectToSource(surface)


def break_diffuse(stage: Usd.Stage) -> None:
    diffuse = shader(stage, "Surface").GetInput("diffuseColor")
    interface = UsdShade.Material.Get(stage, LOOK).CreateInput("tint", Sdf.ValueTypeNames.Color3f)
    interface.ConnectToSource(diffuse)
    diffuse.ConnectToSource(interface)


def only_mtlx(stage: Usd.Stage) -> None:
    material = UsdShade.Material.Get(stage, LOOK)
    material.GetPrim().RemoveProperty("outputs:surface")
    material.CreateSurfaceOutput("mtlx").ConnectToSource(shader(stage, "Surface").ConnectableAPI(), "surface")


def unbound(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath("/World/Quad").RemoveProperty("material:binding")


def reads_neither(stage: Usd.Stage) -> None:
    primvars = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad"))
    second = primvars.CreatePrimvar("map1", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    second.Set(primvars.GetPrimvar("st").Get())
    set_inputs(stage, "Reader", varname=("string", "other"))


def file_is_a_string(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(f"{LOOK}/Texture").RemoveProperty("inputs:file")
    set_inputs(
        stage, "Texture", file=("string", "./color.png"), fallback=("float4", Gf.Vec4f(0.2, 0.4, 0.6, 1))
    )


def no_reader(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(f"{LOOK}/Texture").RemoveProperty("inputs:st")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (break_surface, "cyclic"),
        (break_diffuse, "cyclic"),
        (only_mtlx, "outputs:mtlx:surface"),
        (unbound, "neither a material nor a displayColor"),
        (no_reader, f"{LOOK}/Texture has nothing connected to its inputs:st"),
        (lambda stage: stage.RemovePrim(LOOK), f"{LOOK}, which is no Material"),
        (lambda stage: shader(stage, "Surface").CreateIdAttr("ND_standard_surface"), "ND_standard_surface"),
        (lambda stage: shader(stage, "Texture").CreateIdAttr("ColorCorrect"), "ColorCorrect"),
        (lambda stage: shader(stage, "Reader").CreateIdAttr("Noise2d"), "Noise2d"),
        (reads_neither, "no UVs named primvars:other"),
        (lambda stage: set_inputs(stage, "Texture", file=("asset", "./gone.png")), "./gone.png"),
        (lambda stage: set_inputs(stage, "Texture", file=("asset", "./t.<UDIM>.png")), "UDIM"),
        (lambda stage: set_inputs(stage, "Texture", file=("asset", "")), "names no file"),
        (
            file_is_a_string,
            f"{LOOK}/Texture.inputs:file is of type string, whose path USD cannot find from its layer; "
            "author it as an asset.",
        ),
        (lambda stage: set_inputs(stage, "Texture", wrapS=("token", "periodic")), "periodic"),
    ],
)
def test_what_cannot_be_traced_is_skipped_by_name(
    picture: Path, capfd: pytest.CaptureFixture[str], edit: Edit, words: str
) -> None:
    reason = why_skipped(picture.parent, edit)
    assert words in reason
    assert reason.endswith(".")
    assert "\n" not in reason
    assert capfd.readouterr() == ("", ""), "USD's own diagnostics reached the terminal"


def test_an_animated_base_colour_says_that_one_frame_counts(picture: Path) -> None:
    def animate(name: str, type_name: str, values: tuple[Any, Any]) -> Edit:
        def edit(stage: Usd.Stage) -> None:
            node, _, item = name.partition(".")
            attribute = shader(stage, node).CreateInput(item, Sdf.ValueTypeNames.Find(type_name))
            attribute.GetAttr().ClearConnections()
            for time, value in enumerate(values, start=1):
                attribute.Set(value, time)

        return edit

    for name, type_name, values in (
        ("Surface.diffuseColor", "color3f", (Gf.Vec3f(0.1), Gf.Vec3f(0.9))),
        ("Texture.file", "asset", ("./color.png", "./other.png")),
    ):
        found, _ = read_one(picture.parent, animate(name, type_name, values))
        assert "is animated" in " ".join(found.notes), name
        (picture.parent / "scene.usda").unlink()
    assert read_one(picture.parent, lambda stage: None)[0].notes == ()


def test_an_interface_without_a_value_leaves_the_default(picture: Path) -> None:
    """As usdMtlx connects every input of a surface, set or not."""

    def edit(stage: Usd.Stage) -> None:
        outer = UsdShade.Material.Get(stage, LOOK).CreateInput("color", Sdf.ValueTypeNames.Color3f)
        inner = shader(stage, "Surface").GetInput("diffuseColor")
        inner.GetAttr().ClearConnections()
        inner.ConnectToSource(outer)

    found, _ = read_one(picture.parent, edit)
    assert found.base == ConstantColor((0.18, 0.18, 0.18))


def test_a_material_without_a_surface_leaves_the_display_color(picture: Path) -> None:
    """Of physics, as Isaac Sim binds it: Storm shows the displayColor."""

    def edit(stage: Usd.Stage) -> None:
        for child in stage.GetPrimAtPath(LOOK).GetChildren():
            stage.RemovePrim(child.GetPath())
        stage.GetPrimAtPath(LOOK).RemoveProperty("outputs:surface")
        if with_color:
            UsdGeom.Mesh.Get(stage, "/World/Quad").CreateDisplayColorAttr([Gf.Vec3f(0.2, 0.4, 0.6)])

    with_color = True
    found, _ = read_one(picture.parent, edit)
    assert (found.base, found.surface) == (ConstantColor(tuple(np.float32([0.2, 0.4, 0.6]).tolist())), "none")
    assert found.notes == (f"Material {LOOK} has no surface, so displayColor is the base.",)
    (picture.parent / "scene.usda").unlink()
    with_color = False
    assert why_skipped(picture.parent, edit) == (
        f"Material {LOOK} has no surface, and /World/Quad has no displayColor; give the material a "
        "UsdPreviewSurface on outputs:surface."
    )


def test_a_surface_for_storm_alone_is_refused_by_its_output(picture: Path) -> None:
    """As Maya wrote it before 2020. Its displayColor is not what Storm shows."""

    def edit(stage: Usd.Stage) -> None:
        UsdGeom.Mesh.Get(stage, "/World/Quad").CreateDisplayColorAttr([Gf.Vec3f(0.2, 0.4, 0.6)])
        material = UsdShade.Material.Get(stage, LOOK)
        material.GetPrim().RemoveProperty("outputs:surface")
        surface = shader(stage, "Surface").CreateOutput("surface", Sdf.ValueTypeNames.Token)
        material.CreateSurfaceOutput("glslfx").ConnectToSource(surface)

    assert why_skipped(picture.parent, edit) == (
        f"Material {LOOK} has its UsdPreviewSurface on outputs:glslfx:surface, which Storm alone reads; "
        "connect it to outputs:surface."
    )


def test_a_path_with_backslashes_is_named_as_of_windows(picture: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        set_inputs(stage, "Texture", file=("asset", ".\\textures\\color.png"))

    assert why_skipped(picture.parent, edit) == (
        f"Texture .\\textures\\color.png of {LOOK}/Texture does not resolve, because \\ separates folders on "
        "Windows alone; write ./textures/color.png."
    )
