"""Bad input: one sentence each, at the cost of its own object; the good neighbour is still read."""

import io
import os
import resource
import signal
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from conftest import HANG_SECONDS, define_material, define_quad, unchanged
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdUtils, Vt

from usdstylize.config.options import StageOptions
from usdstylize.errors import ObjectError, OutputError, StageError, TextureError
from usdstylize.model.objects import StageContents
from usdstylize.usd import read as reading
from usdstylize.usd.io import images

Edit = Callable[[Usd.Stage], None]


def bad(stage: Usd.Stage) -> UsdGeom.Mesh:
    return UsdGeom.Mesh(stage.GetPrimAtPath("/World/Bad"))


def retype(attribute: Usd.Attribute, type_name: str, value: object) -> None:
    prim, name = attribute.GetPrim(), attribute.GetName()
    prim.RemoveProperty(name)
    # As a specification: Usd would not let such a value pass.
    spec = prim.GetStage().GetRootLayer().GetPrimAtPath(prim.GetPath())
    Sdf.AttributeSpec(spec, name, Sdf.ValueTypeNames.Find(type_name)).default = value


def add_second_uvs(stage: Usd.Stage, reads: str) -> None:
    primvars = UsdGeom.PrimvarsAPI(bad(stage))
    second = primvars.CreatePrimvar("map1", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    second.Set(primvars.GetPrimvar("st").Get())
    stage.GetAttributeAtPath("/World/Looks/Bad/Reader.inputs:varname").Set(reads)


def write(folder: Path, edit: Edit) -> Path:
    """Two textured quads, /World/Good and /World/Bad, each with a material and texture of its own."""
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    for name in ("Good", "Bad"):
        Image.fromarray(np.full((16, 16, 3), 128, np.uint8)).save(folder / f"{name}.png")
        define_quad(stage, f"/World/{name}", define_material(stage, f"/World/Looks/{name}", f"./{name}.png"))
    edit(stage)
    stage.Save()
    return folder / "scene.usda"


def discover_good(path: Path) -> StageContents:
    """Everything but /World/Good must have a reason; that one must load."""
    with unchanged(path.parent):
        contents = reading.discover(path)
        assert [found.path for found in contents.objects] == ["/World/Good"]
        assert reading.load(contents, contents.objects[0]).bases[0].shape == (16, 16, 3)
    for skipped in contents.skipped:
        assert skipped.reason.endswith(".")
        assert "\n" not in skipped.reason
    return contents


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda s: bad(s).GetPointsAttr().Set([Gf.Vec3f(float("nan"), 0, 0)] * 4), "NaN"),
        (lambda s: bad(s).GetPointsAttr().Set([Gf.Vec3f(float("inf"), 0, 0)] * 4), "infinite"),
        (lambda s: bad(s).GetFaceVertexIndicesAttr().Set([0, 1, 2, 9]), "beyond its 4 points"),
        (lambda s: bad(s).GetFaceVertexIndicesAttr().Set([0, -1, 2, 3]), "beyond its 4 points"),
        (lambda s: bad(s).GetFaceVertexCountsAttr().Set([4, 4]), "ask for 8 indices"),
        (lambda s: bad(s).GetFaceVertexCountsAttr().Set([-1, 5]), "faceVertexCounts"),
        (lambda s: bad(s).GetFaceVertexCountsAttr().Set([2, 2]), "no face that is drawn"),
        (lambda s: bad(s).GetPointsAttr().Set([Gf.Vec3f(i, i, i) for i in range(4)]), "zero area"),
        (lambda s: UsdGeom.Xformable(bad(s)).AddScaleOp().Set(Gf.Vec3f(0)), "zero area"),
        (lambda s: bad(s).GetPointsAttr().Set([]), "empty"),
        (
            lambda s: add_second_uvs(s, reads="map9"),
            "has no UVs named primvars:map9, which its texture reads, but primvars:st and primvars:map1; "
            "name one of them in the reader (Blender exports the same name in both without Rename UV Maps).",
        ),
        (lambda s: UsdGeom.PrimvarsAPI(bad(s)).GetPrimvar("st").Set([Gf.Vec2f(0)] * 3), "3 values"),
        (lambda s: UsdGeom.PrimvarsAPI(bad(s)).GetPrimvar("st").SetIndices([0, 1, 2, 4]), "4 values"),
        (lambda s: UsdGeom.PrimvarsAPI(bad(s)).GetPrimvar("st").SetInterpolation("uniform"), "uniform"),
        (
            lambda s: UsdGeom.PrimvarsAPI(bad(s)).GetPrimvar("st").Set([Gf.Vec2f(float("nan"))] * 4),
            "NaN",
        ),
        (lambda s: retype(bad(s).GetPointsAttr(), "string", "four"), "points holds a str"),
        (
            lambda s: retype(bad(s).GetPointsAttr(), "quatf[]", Vt.QuatfArray([Gf.Quatf(1)] * 4)),
            "Bad.points holds a QuatfArray",
        ),
        (
            lambda s: retype(bad(s).GetFaceVertexCountsAttr(), "asset", Sdf.AssetPath("a.png")),
            "Counts holds a AssetPath",
        ),
        (
            lambda s: retype(
                UsdGeom.PrimvarsAPI(bad(s)).GetPrimvar("st").GetAttr(), "token[]", Vt.TokenArray(["a"] * 4)
            ),
            "token",
        ),
        (
            lambda s: UsdGeom.PrimvarsAPI(bad(s)).GetPrimvar("st").Set([Gf.Vec2f(0, 0), (1e30, 0)] * 2),
            "1e+30",
        ),
        (lambda s: UsdGeom.PrimvarsAPI(bad(s)).GetPrimvar("st").SetElementSize(2), "elementSize 2"),
        (lambda s: UsdGeom.Xformable(bad(s)).AddScaleOp().Set(Gf.Vec3f(1e30)), "1e+28 metres"),
        (lambda s: UsdGeom.Xformable(bad(s)).AddTranslateOp().Set(Gf.Vec3d(1e9, 0, 0)), "zero area"),
    ],
)
def test_a_bad_mesh_is_skipped_by_name(
    tmp_path: Path, edit: Edit, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    contents = discover_good(write(tmp_path, edit))
    assert [skipped.path for skipped in contents.skipped] == ["/World/Bad"]
    assert words in contents.skipped[0].reason
    assert "/World/Bad" in contents.skipped[0].reason
    assert capfd.readouterr() == ("", "")


def claims_30000_texels_a_side() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(30001), 9)
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, pixels)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def wide_png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((2, 20000, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"", "not an image"),
        (b"no picture", "not an image"),
        (claims_30000_texels_a_side(), "not an image"),
        (wide_png(), "20000 by 2"),
        (None, "does not resolve"),
    ],
    ids=["empty", "text", "lying header", "too wide", "missing"],
)
def test_a_texture_that_does_not_open_is_skipped_by_name(
    tmp_path: Path, contents: bytes | None, words: str
) -> None:
    path = write(tmp_path, lambda stage: None)
    (tmp_path / "Bad.png").unlink()
    if contents is not None:
        (tmp_path / "Bad.png").write_bytes(contents)
    reason = discover_good(path).skipped[0].reason
    assert words in reason
    assert "Bad.png" in reason


def test_a_pipe_in_the_place_of_a_texture_is_not_waited_for(tmp_path: Path) -> None:
    path = write(tmp_path, lambda stage: None)
    (tmp_path / "Bad.png").unlink()
    os.mkfifo(tmp_path / "Bad.png")
    signal.alarm(int(HANG_SECONDS))  # ends the process where it waits
    try:
        contents = reading.discover(path)
    finally:
        signal.alarm(0)
    assert [found.path for found in contents.objects] == ["/World/Good"]
    assert "Bad.png cannot be opened" in contents.skipped[0].reason


@pytest.mark.parametrize(
    ("shader", "name", "type_name", "value", "words"),
    [
        (
            "Texture",
            "scale",
            "float4",
            (1e30, 1, 1, 1),
            "inputs:scale that is NaN, infinite or absurdly large",
        ),
        ("Texture", "scale", "string", "text", "inputs:scale of type string"),
        ("Texture", "bias", "float2", (0, 1), "inputs:bias of type float2"),
        ("Texture", "bias", "float4", (float("nan"), 0, 0, 0), "inputs:bias that is NaN"),
        (
            "Surface",
            "diffuseColor",
            "color3f",
            (float("inf"), 0, 0),
            "inputs:diffuseColor that is NaN, infinite",
        ),
        ("Surface", "diffuseColor", "float", 0.5, "inputs:diffuseColor of type float"),
    ],
)
def test_an_input_that_is_no_such_number_is_named(
    tmp_path: Path, shader: str, name: str, type_name: str, value: object, words: str
) -> None:
    def edit(stage: Usd.Stage) -> None:
        prim = stage.GetPrimAtPath(f"/World/Looks/Bad/{shader}")
        prim.RemoveProperty(f"inputs:{name}")
        UsdShade.Shader(prim).CreateInput(name, Sdf.ValueTypeNames.Find(type_name)).Set(value)

    reason = discover_good(write(tmp_path, edit)).skipped[0].reason
    assert f"/World/Looks/Bad/{shader} has an {words}" in reason


def test_names_that_would_break_a_line_do_not(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        UsdShade.Shader(stage.GetPrimAtPath("/World/Looks/Bad/Surface")).CreateIdAttr("two\nlines\x1b[31m")

    assert "two lines [31m" in discover_good(write(tmp_path, edit)).skipped[0].reason


def test_a_shader_that_usd_stumbles_over_costs_only_its_own_subset(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        binding = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Good"))
        bad(stage).GetPrim().SetActive(False)
        for name, face in (("Good", 0), ("Bad", 1)):
            subset = binding.CreateMaterialBindSubset(name, [face])
            material = UsdShade.Material(stage.GetPrimAtPath(f"/World/Looks/{name}"))
            UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
        good = UsdGeom.Mesh(stage.GetPrimAtPath("/World/Good"))
        good.GetFaceVertexCountsAttr().Set([4, 4])
        good.GetFaceVertexIndicesAttr().Set([0, 1, 2, 3] * 2)
        surface = stage.GetRootLayer().GetPrimAtPath("/World/Looks/Bad/Surface")
        surface.RemoveProperty(surface.attributes["info:id"])
        Sdf.RelationshipSpec(surface, "info:id")

    contents = reading.discover(write(tmp_path, edit))
    assert [found.path for found in contents.objects] == ["/World/Good/Good"]
    assert "/World/Good/Bad" in [skipped.path for skipped in contents.skipped]
    assert len(reading.load(contents, contents.objects[0]).mesh.triangles) == 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "exr"])
def test_a_truncated_image_is_an_error_of_its_object(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).random((64, 64, 3), np.float32)
    file = tmp_path / f"noise.{suffix}"
    image = oiio.ImageOutput.create(str(file))
    assert image.open(str(file), oiio.ImageSpec(64, 64, 3, "half" if suffix == "exr" else "uint8"))
    assert image.write_image(noise)
    image.close()
    assert images.read_image(str(file)).shape == (64, 64, 3)

    def edit(stage: Usd.Stage) -> None:
        UsdShade.Shader(stage.GetPrimAtPath("/World/Looks/Bad/Texture")).GetInput("file").Set(
            f"./{file.name}"
        )

    path = write(tmp_path, edit)
    contents = reading.discover(path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(TextureError, match=file.name):
        reading.load(contents, contents.objects[1])
    assert reading.load(contents, contents.objects[0]).bases[0].shape == (16, 16, 3)


def test_what_vanishes_between_discover_and_load_is_an_object_error(tmp_path: Path) -> None:
    path = write(tmp_path, lambda stage: None)
    contents = reading.discover(path)
    path.unlink()
    with pytest.raises(ObjectError, match="/World/Good"):
        reading.load(contents, contents.objects[0])


@pytest.mark.parametrize("text", [None, "", '#usda 1.0\ndef Xform "A" {\n', "not usd at all"])
def test_a_stage_that_does_not_open_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "shot.usda"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StageError, match=r"shot\.usda.*\.$"):
        reading.discover(path)


@pytest.mark.parametrize("mask", ["/World/Nobody", "World/Good", "", "/World/Good.points", "not a path!"])
def test_an_unknown_mask_path_is_named(tmp_path: Path, mask: str) -> None:
    path = write(tmp_path, lambda stage: None)
    with pytest.raises(StageError, match=f"--mask names {mask}"):
        reading.discover(path, StageOptions(mask=("/World/Good", mask)))


def test_a_missing_payload_is_reported_and_the_rest_is_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def edit(stage: Usd.Stage) -> None:
        stage.RemovePrim("/World/Bad")
        stage.DefinePrim("/World/Lost", "Xform").GetPayloads().AddPayload("./lost.usda")
        stage.DefinePrim("/World/Mtlx", "Scope").GetReferences().AddReference("./looks.mtlx", "/MaterialX")
        define_quad(stage, "/World/Shiny", UsdShade.Material(stage.GetPrimAtPath("/World/Looks/Good")))
        UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Shiny")).GetDirectBindingRel().SetTargets(
            [Sdf.Path("/World/Mtlx/Materials/Shiny")]
        )

    (tmp_path / "looks.mtlx").write_text('<?xml version="1.0"?><materialx version="1.38">')
    path = write(tmp_path, edit)
    capfd.readouterr()
    reasons = {skipped.path: skipped.reason for skipped in discover_good(path).skipped}
    assert "lost.usda" in reasons["/World/Lost"]
    assert "MaterialX cannot read it" in reasons["/World/Mtlx"]
    assert "MaterialX cannot read it" in reasons["/World/Shiny"]
    assert capfd.readouterr() == ("", "")


def test_what_is_no_mesh_of_the_purposes_in_use_is_skipped_with_its_reason(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        paint = UsdShade.Material(stage.GetPrimAtPath("/World/Looks/Good"))
        for purpose in ("proxy", "guide", "render"):
            define_quad(stage, f"/World/{purpose}", paint).CreatePurposeAttr(purpose)
        UsdGeom.Sphere.Define(stage, "/World/Ball")
        UsdGeom.Xform.Define(stage, "/World/Off").GetPrim().SetActive(False)
        UsdGeom.PointInstancer.Define(stage, "/World/Grass")
        define_quad(stage, "/World/Grass/Blade", paint)
        stage.CreateClassPrim("/Prototype")
        define_quad(stage, "/Prototype/Leaf", paint)
        leaf = stage.DefinePrim("/World/Copy")
        leaf.GetReferences().AddInternalReference("/Prototype")
        leaf.SetInstanceable(True)
        stage.RemovePrim("/World/Bad")

    path = write(tmp_path, edit)
    contents = reading.discover(path)
    assert [found.path for found in contents.objects] == ["/World/Good", "/World/render", "/World/Copy/Leaf"]
    reasons = {skipped.path.rpartition("/")[2]: skipped.reason for skipped in contents.skipped}
    assert sorted(reasons) == ["Ball", "Grass", "Off", "guide", "proxy"]
    for name, word in (
        ("Ball", "Sphere"),
        ("Grass", "PointInstancer"),
        ("Off", "inactive"),
    ):
        assert word in reasons[name]
    wider = reading.discover(
        path, StageOptions(purposes=("default", "proxy"), mask=("/World/proxy", "/World/guide"))
    )
    assert [found.path for found in wider.objects] == ["/World/proxy"]
    masked = reading.discover(path, StageOptions(mask=("/World/Copy/Leaf",)))
    assert ([found.path for found in masked.objects], masked.skipped) == (["/World/Copy/Leaf"], ())


def test_names_are_made_from_the_path_alone_and_never_meet(tmp_path: Path) -> None:
    paths = [
        "/World/Vase/Geom",
        "/World/Vase__Geom",
        "/World__Vase/Geom",
        "/World/Vase_/Geom",
        "/World/Vase/_Geom",
    ]
    paths.append("/World/" + "/".join(f"Level{i:03}" for i in range(40)))
    paths.append("/World/" + "/".join("花瓶模型部件" * 3 for _ in range(5)))

    def edit(stage: Usd.Stage) -> None:
        paint = UsdShade.Material(stage.GetPrimAtPath("/World/Looks/Good"))
        for path in paths:
            define_quad(stage, path, paint)

    contents = reading.discover(write(tmp_path, edit), StageOptions(mask=tuple(paths)))
    names = {found.path: found.name for found in contents.objects}
    assert sorted(names) == sorted(paths)
    assert len(set(names.values())) == len(paths)
    assert names["/World/Vase/Geom"] == "World__Vase__Geom"
    assert all(Sdf.Path.IsValidIdentifier(name) for name in names.values())
    for name in names.values():
        (tmp_path / f"{name}.something_that_follows").mkdir()


def test_a_full_temporary_folder_is_named_and_no_texture_blamed(tmp_path: Path) -> None:
    path = tmp_path / "scene.usdz"  # only what lies in a package is unpacked
    assert UsdUtils.CreateNewUsdzPackage(str(write(tmp_path, lambda stage: None)), str(path))
    other = tmp_path / "unseen.usdz"
    other.write_bytes(path.read_bytes())
    contents = reading.discover(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # as on a full disk
    try:
        for read in (lambda: reading.discover(other), lambda: reading.load(contents, contents.objects[0])):
            with pytest.raises(OutputError, match=r"cannot be written \(.*\), where .* TMPDIR\.$"):
                read()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
