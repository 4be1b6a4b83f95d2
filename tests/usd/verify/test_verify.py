"""`verify` finds what is wrong with a result, and nothing wrong with a good one."""

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import discover, failures, style_layer, texture, write_result
from conftest import unchanged
from meshes import cube
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.config.options import StageOptions
from usdstylize.errors import OutputError
from usdstylize.usd import read, verify, write
from usdstylize.usd.write.bake import write_half

LEFT = "tiny.style/ink/World__Left"

LOOK = "/World/StylizedLooks/World__Left"


@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0])
def test_a_good_result_has_numbers_within_the_tolerances(tiny_stage: Path, strength: float) -> None:
    result = write_result(tiny_stage, strength=strength)
    with unchanged(tiny_stage.parent):
        report = verify.verify(result)
    assert report.failed == ()
    names = [check.name for check in report.checks]
    assert {"source", "composition", "validation", "path", "binding", "variants", "live", "bake"} == set(
        names
    )
    assert names.count("live") == names.count("bake") == 2


def test_scale_bias_and_a_larger_style_agree_too(tiny_stage: Path) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    image = UsdShade.Shader.Get(source, "/World/Looks/Paint/Texture")
    image.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(0.7, 0.4, 1.2, 1))
    image.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(0.1, 0, -0.2, 0))
    source.Save()
    contents = discover(tiny_stage)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    wide = np.random.default_rng(4).uniform(-1, 1, (20, 96, 3)).astype(np.float32)
    with write.Writer(plan, contents, strength=1.5, network="both") as writer:
        for obj in contents.objects:
            writer.write_object(obj, read.load(contents, obj), texture(wide))
        result = writer.commit({})
    assert failures(result) == set()
    baked = oiio.ImageBuf(
        str(tiny_stage.parent / "tiny.style/ink/World__Left/World__Left.ink.baked.png")
    ).spec()
    assert (baked.width, baked.height) == (96, 32)


def test_an_artists_dial_is_no_fault(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    opened = Usd.Stage.Open(str(result))
    opened.GetAttributeAtPath(f"{LOOK}.inputs:strength").Set(0.25)
    opened.Save()
    assert failures(result) == set()


def test_a_changed_source_is_named(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    tiny_stage.write_text(tiny_stage.read_text() + "\n# edited\n")
    assert failures(result) == {("source", "tiny.usda")}


def test_a_changed_bake_and_a_changed_style_texture_are_found(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    folder = tiny_stage.parent / "tiny.style/ink"
    left, right = folder / "World__Left", folder / "World__Right"
    image = oiio.ImageBuf(str(left / "World__Left.ink.baked.png"))
    image.setpixel(3, 5, [1.0, 0.0, 1.0])
    image.write(str(left / "World__Left.ink.baked.png"))
    write_half(right / "World__Right.ink.TS.exr", np.full((16, 16, 3), 0.1, np.float32), color=False)
    assert failures(result) == {("bake", "/World/Left (ink)"), ("bake", "/World/Right (ink)")}


def test_a_missing_texture_is_found(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    (tiny_stage.parent / LEFT / "World__Left.ink.TS.exr").unlink()
    found = failures(result)
    assert ("path", f"{LOOK}{{style=ink}}StylizedNetwork/Style.inputs:file") in found
    assert ("live", "/World/Left (ink)") in found
    assert not any("Right" in subject for _, subject in found)


def test_a_live_network_that_was_tampered_with_is_found(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    layer = style_layer(result)
    network = f"{LOOK}{{style=ink}}StylizedNetwork"
    layer.GetAttributeAtPath(f"{network}/Clamp.inputs:high").default = Gf.Vec3f(0.9)
    layer.Save()
    assert failures(result) == {("live", "/World/Left (ink)")}
    layer.GetAttributeAtPath(f"{network}/Clamp.inputs:high").default = Gf.Vec3f(1)
    layer.GetAttributeAtPath(f"{network}/Base.inputs:file").ClearInfo("colorSpace")
    layer.Save()
    assert failures(result) == {("live", "/World/Left (ink)")}


def test_a_binding_that_lost_is_found(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    opened = Usd.Stage.Open(str(result))
    paint = UsdShade.Material.Get(opened, "/World/Looks/Paint")
    UsdShade.MaterialBindingAPI(opened.GetPrimAtPath("/World/Left")).Bind(paint)
    opened.Save()
    assert failures(result) == {("binding", "/World/Left")}


def test_an_absolute_path_is_found(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    layer = style_layer(result)
    path = f"{LOOK}{{style=ink}}StylizedNetwork/Base.inputs:file"
    absolute = str(tiny_stage.parent / "textures/color.png")
    layer.GetAttributeAtPath(path).default = Sdf.AssetPath(absolute)
    layer.Save()
    assert failures(result) == {("path", path)}


def test_a_lost_variant_is_found(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    layer = style_layer(result)
    layer.GetPrimAtPath(LOOK).variantSelections["style"] = "oil"
    layer.Save()
    assert ("variants", "/World/Left") in failures(result)


def test_what_the_source_does_wrong_is_no_fault_of_the_result(tiny_stage: Path) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    source.ClearMetadata("upAxis")
    source.DefinePrim("/World/Lost").GetReferences().AddReference("./nowhere.usda")
    source.Save()
    assert failures(write_result(tiny_stage)) == set()


def test_only_results_can_be_verified(tiny_stage: Path) -> None:
    with pytest.raises(OutputError, match="is not a result of usdstylize"):
        verify.verify(tiny_stage)
    for name in ("missing.usda", "m" * 300 + ".usda"):
        with pytest.raises(OutputError, match="is not a file that can be read"):
            verify.verify(tiny_stage.with_name(name))


def test_what_was_stylised_at_a_frame_is_checked_at_that_frame(tiny_stage: Path) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    source.SetStartTimeCode(1)
    source.SetEndTimeCode(50)
    colour = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface").GetInput("diffuseColor")
    colour.ClearSources()
    colour.Set(Gf.Vec3f(0.1), 1)
    colour.Set(Gf.Vec3f(0.7), 50)
    left = UsdGeom.Imageable(source.GetPrimAtPath("/World/Left"))
    left.CreateVisibilityAttr().Set("invisible", 1)
    left.GetVisibilityAttr().Set("inherited", 40)
    source.Save()
    contents = read.discover(tiny_stage, StageOptions(frame=50.0))
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for obj in contents.objects:
            writer.write_object(obj, read.load(contents, obj), texture(np.full((8, 8, 3), 0.1, np.float32)))
        result = writer.commit({})
    assert len(contents.objects) == 2
    assert failures(result) == set()


def test_what_was_refined_is_checked_as_refined(tmp_path: Path) -> None:
    """Colours of the vertices lie elsewhere in the texture once the UVs of the cage are smoothed."""
    source, cage = cube(tmp_path / "tiny.usda")
    source.SetDefaultPrim(cage.GetPrim())
    for name in ("primvars:displayColor", "primvars:st", "primvars:st:indices"):
        cage.GetPrim().RemoveProperty(name)
    colors = np.random.default_rng(0).random((8, 3)).tolist()
    cage.CreateDisplayColorPrimvar("vertex").Set([Gf.Vec3f(*color) for color in colors])
    cage.CreateFaceVaryingLinearInterpolationAttr("none")
    source.Save()
    contents = read.discover(tmp_path / "tiny.usda", StageOptions(refine=2))
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        (obj,) = contents.objects
        writer.write_object(obj, read.load(contents, obj), texture(np.full((8, 8, 3), 0.1, np.float32)))
        result = writer.commit({})
    assert failures(result) == set()


def test_a_lost_or_damaged_run_json_is_named(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    path = tiny_stage.parent / "tiny.style/ink/run.json"
    path.write_text(path.read_text()[:100])
    assert failures(result) == {("live", f"/World/{name} (ink)") for name in ("Left", "Right")}
    with (
        unchanged(tiny_stage.parent),
        pytest.raises(OutputError, match=r"run\.json cannot be read .*restore"),
    ):
        write_result(tiny_stage, force=True)
    path.unlink()
    details = [check.detail for check in verify.verify(result).failed]
    assert len(details) == 2
    assert all("run.json is missing or says nothing of World__" in detail for detail in details)


def test_damaged_provenance_is_named(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    layer = style_layer(result)
    data = layer.customLayerData
    del data["usdstylize"]["styles"]["ink"]["sourceHashes"]
    layer.customLayerData = data
    layer.Save()
    with pytest.raises(OutputError, match=r"sourceHashes.*restore it"):
        verify.verify(result)


def test_faults_of_the_source_are_none_of_the_result(tiny_stage: Path) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    surface = source.GetPrimAtPath("/World/Looks/Paint/Surface")
    texture_output = UsdShade.Shader(source.GetPrimAtPath("/World/Looks/Paint/Texture")).GetOutput("rgb")
    surface.RemoveProperty("inputs:diffuseColor")
    diffuse = surface.CreateAttribute("inputs:diffuseColor", Sdf.ValueTypeNames.Float3)  # should be color3f
    UsdShade.Input(diffuse).ConnectToSource(texture_output)
    UsdGeom.Mesh.Define(source, "/World/Looks/Paint/Astray")  # no mesh belongs below a material
    source.DefinePrim("/World/Lost").GetReferences().AddInternalReference("/Gone")
    surface.GetInherits().AddInherit("/World/Looks")  # a cycle, which our reference repeats
    source.GetRootLayer().subLayerPaths.append("./gone.usda")
    source.Save()
    assert failures(write_result(tiny_stage)) == set()


@pytest.mark.parametrize("edit", ["a file of another type", "a node without inputs", "an absurd texture"])
def test_a_network_that_was_edited_is_reported_and_the_others_are_checked(
    tiny_stage: Path, edit: str
) -> None:
    result = write_result(tiny_stage)
    layer = style_layer(result)
    network = f"{LOOK}{{style=ink}}StylizedNetwork"
    if edit == "a file of another type":
        bakes = [path for path in _paths(layer) if path.name == "StylizedBake" and "Left" in str(path)]
        shader = layer.GetPrimAtPath(bakes[0])
        shader.RemoveProperty(shader.attributes["inputs:file"])
        file = Sdf.AttributeSpec(shader, "inputs:file", Sdf.ValueTypeNames.Float)
        file.default = 0.5
    elif edit == "a node without inputs":
        image = next(spec for spec in layer.GetPrimAtPath(network).nameChildren if "Offset" in spec.name)
        for attribute in list(image.attributes):
            if attribute.name.startswith("inputs:"):
                image.RemoveProperty(attribute)
    else:
        absurd = np.full((4, 4, 3), 60000, np.float32)
        write_half(tiny_stage.parent / LEFT / "World__Left.ink.TS.exr", absurd, color=False)
    layer.Save()
    report = verify.verify(result)
    assert report.failed
    assert all("Left" in check.subject for check in report.failed)
    assert all("\n" not in str(check) for check in report.failed)
    assert any(check.name == "live" and "Right" in check.subject for check in report.checks)


def _paths(layer: Sdf.Layer) -> list[Sdf.Path]:
    found: list[Sdf.Path] = []
    layer.Traverse(Sdf.Path.absoluteRootPath, lambda path: found.append(path) if path.IsPrimPath() else None)
    return found
