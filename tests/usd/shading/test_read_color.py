"""Named colour spaces of textures, compared with published matrices, OCIO's own configuration and Gf."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import problems, write_result
from conftest import define_material, define_quad
from encoded import encoded_bases
from numpy.typing import NDArray
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

import usdstylize
from usdstylize.config.options import StageOptions
from usdstylize.errors import StageError
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import ObjectData, StageObject
from usdstylize.usd import read as reading
from usdstylize.usd import verify
from usdstylize.usd.io import images

Array = NDArray[np.float64]
Edit = Callable[[Usd.Stage], None]
TEXTURE = "/World/Paint/Texture"
CODES = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
LIGHT = np.random.default_rng(1).uniform(0, 1, (6, 8, 3)).astype(np.float16)

# Academy TB-2014-004 and SMPTE EG 432-1, adapted to D65 by Bradford where the white differs.
FROM_AP1 = [[1.70505, -0.62179, -0.08326], [-0.13026, 1.14080, -0.01055], [-0.02400, -0.12897, 1.15297]]
FROM_AP0 = [[2.52169, -1.13413, -0.38756], [-0.27648, 1.37272, -0.09624], [-0.01538, -0.15298, 1.16835]]
FROM_P3 = [[1.22494, -0.22494, 0.0], [-0.04206, 1.04206, 0.0], [-0.01964, -0.07864, 1.09827]]
IDENTITY = np.eye(3)


def encode(linear: Array) -> Array:
    linear = np.maximum(linear, 0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def decode(encoded: Array) -> Array:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def write_stage(folder: Path, edit: Edit, source: str = "auto", texture: str = "T.exr") -> Path:
    spec = oiio.ImageSpec(8, 6, 3, "half")
    output = oiio.ImageOutput.create(str(folder / "T.exr"))
    assert output is not None
    assert output.open(str(folder / "T.exr"), spec)
    assert output.write_image(LIGHT)
    assert output.close()
    Image.fromarray(CODES).save(folder / "T.png")
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    define_quad(stage, "/World/Quad", define_material(stage, "/World/Paint", f"./{texture}"))
    UsdShade.Shader.Get(stage, TEXTURE).GetInput("sourceColorSpace").Set(source)
    edit(stage)
    stage.Save()
    return folder / "scene.usda"


def says(name: str) -> Edit:
    """The file's own attribute names its space."""

    def edit(stage: Usd.Stage) -> None:
        stage.GetAttributeAtPath(f"{TEXTURE}.inputs:file").SetColorSpace(name)

    return edit


def above(name: str) -> Edit:
    """UsdColorSpaceAPI on the root prim."""

    def edit(stage: Usd.Stage) -> None:
        Usd.ColorSpaceAPI.Apply(stage.GetPrimAtPath("/World")).CreateColorSpaceNameAttr(name)

    return edit


def read_one(root: Path, **options: Any) -> tuple[StageObject, TextureFile, ObjectData]:
    contents = reading.discover(root, StageOptions(**options))
    assert contents.skipped == ()
    found = contents.objects[0]
    assert isinstance(found.base, TextureFile)
    return found, found.base, reading.load(contents, found)


@pytest.mark.parametrize(
    ("name", "matrix", "curve"),
    [
        ("lin_ap1_scene", FROM_AP1, None),
        ("acescg", FROM_AP1, None),
        ("ACEScg", FROM_AP1, None),
        ("ACES - ACEScg", FROM_AP1, None),
        ("lin_ap0_scene", FROM_AP0, None),
        ("ACES2065-1", FROM_AP0, None),
        ("lin_p3d65_scene", FROM_P3, None),
        ("lin_displayp3", FROM_P3, None),
        ("srgb_p3d65_scene", FROM_P3, decode),
        ("srgb_displayp3", FROM_P3, decode),
        ("g22_rec709_scene", IDENTITY, lambda codes: codes**2.2),
        ("g18_rec709", IDENTITY, lambda codes: codes**1.8),
        ("rec709_display", IDENTITY, lambda codes: codes**2.4),
        ("g22_ap1_scene", FROM_AP1, lambda codes: codes**2.2),
    ],
)
def test_a_named_space_becomes_linear_rec709(tmp_path: Path, name: str, matrix: Any, curve: Any) -> None:
    found, base, data = read_one(write_stage(tmp_path, says(name)))
    codes = LIGHT.astype(np.float64)
    expected = (codes if curve is None else curve(codes)) @ np.array(matrix).T
    np.testing.assert_allclose(encoded_bases(data)[0], encode(expected), atol=1e-4)
    assert base.needs_copy
    assert any("converted" in note and name in note for note in found.notes)


@pytest.mark.parametrize(
    "space", ["ACEScg", "ACES2065-1", "lin_p3d65_scene", "srgb_ap1_scene", "lin_rec2020_scene"]
)
def test_usd_and_ocio_mean_the_same_by_a_name(tmp_path: Path, space: str) -> None:
    """OpenColorIO's built-in ACES configuration, on its own."""
    _, _, data = read_one(write_stage(tmp_path, says(space)))
    pixels = oiio.ImageBuf(LIGHT.astype(np.float32))
    theirs = oiio.ImageBufAlgo.colorconvert(
        pixels, space, "lin_rec709_scene", False, "", "", "ocio://default"
    )
    assert not theirs.has_error, theirs.geterror()
    np.testing.assert_allclose(
        encoded_bases(data)[0], encode(theirs.get_pixels(oiio.FLOAT).astype(np.float64)), atol=2e-4
    )


@pytest.mark.parametrize(
    ("name", "texture", "encoding"),
    [
        ("srgb_rec709_scene", "T.png", "srgb"),
        ("srgb_texture", "T.exr", "srgb"),
        ("lin_rec709_scene", "T.png", "linear"),
        ("lin_rec709", "T.exr", "linear"),
        ("raw", "T.png", "linear"),
        ("data", "T.png", "linear"),
    ],
)
def test_names_of_the_plain_encodings_need_no_copy(
    tmp_path: Path, name: str, texture: str, encoding: str
) -> None:
    _, base, data = read_one(write_stage(tmp_path, says(name), texture=texture))
    assert (base.encoding, base.color_space, base.needs_copy) == (encoding, None, False)
    codes = CODES / 255 if texture == "T.png" else LIGHT.astype(np.float64)
    np.testing.assert_allclose(
        encoded_bases(data)[0], codes if encoding == "srgb" else encode(codes), atol=2e-6
    )


@pytest.mark.parametrize(
    ("edit", "source", "texture", "space"),
    [
        (says("acescg"), "sRGB", "T.exr", "lin_ap1_scene"),  # the file's own word is the nearest
        (above("lin_ap1_scene"), "auto", "T.exr", "lin_ap1_scene"),
        (above("lin_ap1_scene"), "raw", "T.exr", None),  # sourceColorSpace speaks for itself
        (above("lin_ap1_scene"), "auto", "T.png", None),  # an 8-bit picture is sRGB, not scene light
        (above("lin_rec709_scene"), "auto", "T.exr", None),
        (says("auto"), "auto", "T.exr", None),
    ],
)
def test_who_says_what_a_texture_is(
    tmp_path: Path, edit: Edit, source: str, texture: str, space: str | None
) -> None:
    _, base, _ = read_one(write_stage(tmp_path, edit, source, texture))
    assert (base.color_space.name if base.color_space else None) == space
    if space is None:
        assert base.encoding == ("srgb" if texture == "T.png" else "linear")


def test_metadata_of_a_connected_interface_counts(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        outer = UsdShade.Material.Get(stage, "/World/Paint").CreateInput("map", Sdf.ValueTypeNames.Asset)
        outer.Set("./T.exr")
        outer.GetAttr().SetColorSpace("acescg")
        UsdShade.Shader.Get(stage, TEXTURE).GetInput("file").ConnectToSource(outer)

    _, base, _ = read_one(write_stage(tmp_path, edit))
    assert base.color_space is not None


def test_a_space_defined_on_the_stage_is_followed(tmp_path: Path) -> None:
    def edit(stage: Usd.Stage) -> None:
        api = Usd.ColorSpaceDefinitionAPI.Apply(stage.GetPrimAtPath("/World"), "camera")
        api.CreateColorSpaceAttrsWithChroma(
            Gf.Vec2f(0.68, 0.32),
            Gf.Vec2f(0.265, 0.69),
            Gf.Vec2f(0.15, 0.06),
            Gf.Vec2f(0.3127, 0.329),
            2.0,
            0.0,
        )
        api.CreateNameAttr("camera")
        says("camera")(stage)

    _, _, data = read_one(write_stage(tmp_path, edit))
    expected = LIGHT.astype(np.float64) ** 2 @ np.array(FROM_P3).T
    np.testing.assert_allclose(encoded_bases(data)[0], encode(expected), atol=1e-4)


CONFIG = """ocio_profile_version: 2
search_path: ""
strictparsing: true
luma: [0.2126, 0.7152, 0.0722]
roles: {{default: raw, scene_linear: {reference}, aces_interchange: {reference}, data: raw}}
file_rules:
  - !<Rule> {{name: Default, colorspace: default}}
displays:
  screen:
    - !<View> {{name: Raw, colorspace: raw}}
active_displays: []
active_views: []
colorspaces:
  - !<ColorSpace>
    name: {reference}
    family: ""
    isdata: false
  - !<ColorSpace>
    name: raw
    family: ""
    isdata: true
  - !<ColorSpace>
    name: show_paint
    family: ""
    isdata: false
    to_scene_reference: !<GroupTransform>
      children:
        - !<ExponentTransform> {{value: [2, 2, 2, 1]}}
        - !<MatrixTransform> {{matrix: [0.5, 0.25, 0.25, 0, 0, 1, 0, 0, 0, 0, 0.75, 0, 0, 0, 0, 1]}}
"""
PAINT = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 0.75]])


@pytest.mark.parametrize(
    ("reference", "onward"), [("lin_rec709_scene", IDENTITY), ("ap0_of_the_show", np.array(FROM_AP0))]
)
@pytest.mark.parametrize("given", ["option", "environment", "stage"])
def test_an_ocio_configuration_converts_what_usd_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, onward: Array, given: str
) -> None:
    config = tmp_path / "show.ocio"
    config.write_text(CONFIG.format(reference=reference))
    monkeypatch.delenv("OCIO", raising=False)
    if given == "environment":
        monkeypatch.setenv("OCIO", str(config))

    def edit(stage: Usd.Stage) -> None:
        says("show_paint")(stage)
        if given == "stage":
            stage.SetColorConfiguration(Sdf.AssetPath("./show.ocio"))

    root = write_stage(tmp_path, edit)
    _, base, data = read_one(root, ocio=config if given == "option" else None)
    expected = LIGHT.astype(np.float64) ** 2 @ PAINT.T @ onward.T
    np.testing.assert_allclose(encoded_bases(data)[0], encode(expected), atol=2e-4)
    assert base.color_space is not None
    assert base.color_space.ocio == str(config)


def test_a_space_that_nobody_knows_costs_its_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)
    root = write_stage(tmp_path, says("show_paint"))
    reason = reading.discover(root).skipped[0].reason
    assert "show_paint" in reason
    assert "./T.exr" in reason
    assert "--ocio" in reason
    config = tmp_path / "other.ocio"
    config.write_text(CONFIG.format(reference="lin_rec709_scene").replace("show_paint", "film"))
    assert str(config) in reading.discover(root, StageOptions(ocio=config)).skipped[0].reason
    config.write_text("no configuration")
    for bad in (config, tmp_path / "missing.ocio"):
        with pytest.raises(StageError, match=bad.name):
            usdstylize.inspect(root, usdstylize.Options(ocio=bad))


def test_chromaticities_that_usd_ignores_are_remarked(tmp_path: Path) -> None:
    root = write_stage(tmp_path, lambda stage: None)
    spec = oiio.ImageSpec(8, 6, 3, "half")
    spec.attribute("oiio:ColorSpace", "ACEScg")
    output = oiio.ImageOutput.create(str(tmp_path / "T.exr"))
    assert output is not None
    assert output.open(str(tmp_path / "T.exr"), spec)
    assert output.write_image(LIGHT)
    assert output.close()
    found, base, _ = read_one(root)
    assert base.color_space is None
    assert any("lin_ap1_scene" in note and "colorSpace" in note for note in found.notes)


@pytest.mark.parametrize("name", ["acescg", "show_paint"])
def test_the_result_holds_t_as_the_optimiser_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    show = tmp_path / "show"
    show.mkdir()
    config = show / "show.ocio"
    config.write_text(CONFIG.format(reference="lin_rec709_scene"))
    monkeypatch.setenv("OCIO", str(config))
    source = write_stage(show, says(name))
    _, _, data = read_one(source)
    root = write_result(source)
    assert problems(root) == []
    monkeypatch.delenv("OCIO")  # the run's own record says which it was
    root = show.rename(tmp_path / "moved") / root.relative_to(show)
    assert str(tmp_path) not in (root.parent / "scene.style/ink/run.json").read_text()
    report = verify.verify(root)
    assert report.ok, report.failed
    assert {check.name for check in report.checks} >= {"live", "bake"}
    copy = next(root.parent.glob("scene.style/ink/*/*.T.exr"))
    np.testing.assert_allclose(images.read_image(str(copy)), data.bases[0], rtol=5e-4, atol=1e-6)


@pytest.mark.parametrize("where", ["attribute", "above"])
def test_colors_of_the_stage_itself_have_spaces_too(tmp_path: Path, where: str) -> None:
    values = np.array([[0.2, 0.5, 0.1], [0.9, 0.1, 0.4], [0.3, 0.3, 0.3], [0.1, 0.8, 0.6]])

    def edit(stage: Usd.Stage) -> None:
        stage.RemovePrim("/World/Paint/Texture")
        surface = UsdShade.Shader.Get(stage, "/World/Paint/Surface")
        diffuse = surface.GetInput("diffuseColor")
        diffuse.GetAttr().ClearConnections()
        diffuse.Set(Gf.Vec3f(*values[0]))
        bare = define_quad(stage, "/World/Bare", UsdShade.Material.Get(stage, "/World/Paint"), x=2.0)
        bare.GetPrim().RemoveProperty("material:binding")
        shown = bare.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
        shown.Set([Gf.Vec3f(*value) for value in values])
        if where == "above":
            above("lin_ap1_scene")(stage)
        else:
            diffuse.GetAttr().SetColorSpace("acescg")
            shown.GetAttr().SetColorSpace("acescg")

    contents = reading.discover(write_stage(tmp_path, edit))
    assert contents.skipped == ()
    by_path = {found.path: encoded_bases(reading.load(contents, found))[0] for found in contents.objects}
    expected = values @ np.array(FROM_AP1).T
    np.testing.assert_allclose(by_path["/World/Quad"][0, 0], encode(expected[0]), atol=1e-4)
    # The quad's corners lie in the corners of the texture.
    corner = by_path["/World/Bare"][-1, 0]
    np.testing.assert_allclose(corner, encode(expected[0]), atol=2e-3)
