"""Each check of `verify` by itself: one thing is broken in a good result, and that check alone finds it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import details, edit, failures, set_default, texture, write_result, zero_offsets
from conftest import define_quad
from instance_stages import make_shot
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from udim_stages import build_udim_stage

from usdstylize.config.options import StageOptions
from usdstylize.usd import read, write

LOOK = "/World/StylizedLooks/World__Left"
INK = f"{LOOK}{{style=ink}}"
LIVE = ("live", "/World/Left (ink)")


@pytest.fixture
def written(tiny_stage: Path) -> Path:
    return write_result(tiny_stage)


def pack_anew(path: Path) -> None:
    """Other bytes of the same picture, so that no number changes."""
    with Image.open(path) as picture:
        picture.load()
    before = path.read_bytes()
    picture.save(path, compress_level=0)
    assert path.read_bytes() != before


# Sources


def test_a_source_of_other_bytes(written: Path) -> None:
    pack_anew(written.parent / "textures/color.png")
    assert failures(written) == {("source", "textures/color.png")}
    assert details(written).endswith("It has changed since it was stylised; run again with --force.")


def test_a_source_that_is_gone(tiny_stage: Path) -> None:
    """Of a surface that nobody shows, so that nothing else needs it."""
    Image.new("L", (8, 8), 90).save(tiny_stage.parent / "textures/rough.png")
    source = Usd.Stage.Open(str(tiny_stage))
    unused = UsdShade.Shader.Define(source, "/World/Looks/Paint/Unused")
    unused.CreateIdAttr("UsdUVTexture")
    unused.CreateInput("file", Sdf.ValueTypeNames.Asset).Set("./textures/rough.png")
    source.Save()
    result = write_result(tiny_stage)
    assert failures(result) == set()
    (tiny_stage.parent / "textures/rough.png").unlink()
    assert failures(result) == {("source", "textures/rough.png")}
    assert "rough.png" in details(result)


def test_a_source_that_two_styles_read_before_and_after_a_change(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, "ink")
    pack_anew(tiny_stage.parent / "textures/color.png")
    write_result(tiny_stage, "oil")
    assert failures(result) == {("source", "textures/color.png")}
    write_result(tiny_stage, "ink", force=True)
    assert failures(result) == set()


@pytest.mark.parametrize("resume", [True, False])
def test_a_source_that_changed_between_two_runs_of_a_style(tiny_stage: Path, resume: bool) -> None:
    """What the first run has made is stale, whatever the second has made since."""
    result = write_result(tiny_stage, mask=["/World/Left"])
    pack_anew(tiny_stage.parent / "textures/color.png")
    mask = [] if resume else ["/World/Right"]
    write_result(tiny_stage, mask=mask, resume=resume)
    assert failures(result) == {("source", "textures/color.png")}
    write_result(tiny_stage, force=True)
    assert failures(result) == set()


# The stage as a whole


def test_an_error_of_composition_that_our_layer_brings(written: Path) -> None:
    edit(written, lambda layer: _refer(layer, "/World/Left", "./nowhere.usda"))
    assert failures(written) == {("composition", "tiny.stylized.usda"), ("validation", "")}
    assert "Could not open asset" in details(written)


def test_an_error_of_composition_that_a_layer_of_ours_below_brings(written: Path) -> None:
    """It names that layer, not the root."""
    below = Sdf.Layer.CreateNew(str(written.with_name("more.usda")))
    _refer(below, "/World/Right", "./nowhere.usda")
    below.Save()
    edit(written, lambda layer: layer.subLayerPaths.append("./more.usda"))
    assert ("composition", "tiny.stylized.usda") in failures(written)


def _refer(layer: Sdf.Layer, path: str, asset: str) -> None:
    spec = Sdf.CreatePrimInLayer(layer, path)
    spec.referenceList.prependedItems = [Sdf.Reference(asset, "/Nothing")]


def test_a_source_that_does_not_open(written: Path) -> None:
    written.with_name("tiny.usda").write_text("no stage")
    assert failures(written) == {("source", "tiny.usda"), ("composition", "tiny.stylized.usda")}


def _unknown_shader(layer: Sdf.Layer) -> None:
    layer.GetAttributeAtPath(f"{INK}StylizedBake.info:id").default = "OurOwnTexture"


def _wrong_type(layer: Sdf.Layer) -> None:
    surface = layer.GetPrimAtPath(f"{INK}Surface")
    Sdf.AttributeSpec(surface, "inputs:roughness", Sdf.ValueTypeNames.Color3f)


def _mesh_below(place: str) -> Callable[[Sdf.Layer], None]:
    def add(layer: Sdf.Layer) -> None:
        spec = Sdf.CreatePrimInLayer(layer, f"{place}/Astray")
        spec.specifier, spec.typeName = Sdf.SpecifierDef, "Mesh"

    return add


PAINT = "/World/Looks/Paint"


@pytest.mark.parametrize(
    ("change", "subjects"),
    [
        (_unknown_shader, {f"{LOOK}/StylizedBake.info:id"}),
        (_wrong_type, {f"{LOOK}/Surface.inputs:roughness"}),
        (_mesh_below(LOOK), {f"{LOOK}, {LOOK}/Astray"}),
        (
            _mesh_below(PAINT),
            {f"{path}, {path}/Astray" for path in (PAINT, LOOK, LOOK.replace("Left", "Right"))},
        ),
    ],
)
def test_what_validators_find_in_our_layer(
    written: Path, change: Callable[[Sdf.Layer], None], subjects: set[str]
) -> None:
    edit(written, change)
    assert {subject for name, subject in failures(written) if name == "validation"} == subjects


def test_what_validators_find_in_the_source_is_excused_in_its_copy_alone(tiny_stage: Path) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    UsdGeom.Mesh.Define(source, "/World/Looks/Paint/Astray")
    source.Save()
    result = write_result(tiny_stage)
    assert failures(result) == set(), "our materials refer to the source's, with all that is in it"
    edit(result, _mesh_below("/World/StylizedLooks/World__Right"))
    assert failures(result) == set(), "it is there already"
    edit(result, _mesh_below("/World/StylizedLooks/World__Right/Surface"))
    assert {name for name, _ in failures(result)} == {"validation"}


def test_what_validators_find_in_a_library_of_materials_is_the_librarys(tiny_stage: Path) -> None:
    """They pass over a class, but not over our materials, which refer to it."""
    source = Usd.Stage.Open(str(tiny_stage))
    color = UsdShade.Shader.Get(source, "/World/Looks/Paint/Texture").GetOutput("rgb")
    surface = source.GetPrimAtPath("/World/Looks/Paint/Surface")
    surface.RemoveProperty("inputs:diffuseColor")
    diffuse = surface.CreateAttribute("inputs:diffuseColor", Sdf.ValueTypeNames.Float3)  # should be color3f
    UsdShade.Input(diffuse).ConnectToSource(color)
    surface.CreateAttribute("inputs:roughness", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(0.5))  # a float
    source.GetPrimAtPath("/World/Looks").SetSpecifier(Sdf.SpecifierClass)
    source.Save()
    assert failures(write_result(tiny_stage)) == set()


def test_what_validators_find_where_the_source_has_an_opinion_too(written: Path) -> None:
    def retarget(layer: Sdf.Layer) -> None:
        binding = layer.GetRelationshipAtPath("/World/Left.material:binding")
        binding.targetPathList.explicitItems = ["/World/Nowhere"]

    edit(written, retarget)
    found = {("validation", "/World/Left.material:binding"), ("binding", "/World/Left")}
    assert failures(written) == found


# Paths


BASE_FILE = f"{INK}StylizedNetwork/Base.inputs:file"


@pytest.mark.parametrize(
    ("written_path", "sentence"),
    [
        ("{folder}/textures/color.png", "is not relative to the layer; run again with --force."),
        ("textures/color.png", "is not relative to the layer; run again with --force."),
        ("./textures/gone.png", "does not resolve; restore the file."),
        ("./textures/gone.<UDIM>.png", "does not resolve; restore the file."),
        ("https://studio/color.png", "does not resolve; restore the file."),
    ],
)
def test_a_path_of_the_style_layer(written: Path, written_path: str, sentence: str) -> None:
    path = written_path.format(folder=written.parent)
    edit(written, lambda layer: set_default(layer, BASE_FILE, Sdf.AssetPath(path)))
    assert ("path", BASE_FILE) in failures(written)
    assert f"@{path}@ {sentence}" in details(written)


@pytest.mark.parametrize("path", ["../shot/textures/color.png", "./textures/color.png"])
def test_a_path_that_is_anchored(written: Path, path: str) -> None:
    edit(written, lambda layer: set_default(layer, BASE_FILE, Sdf.AssetPath(path)))
    assert failures(written) == set()


def test_tiles_are_found_by_their_pattern_and_missed_by_it(tmp_path: Path) -> None:
    result = write_result(build_udim_stage(tmp_path / "shot"), made=zero_offsets)
    assert failures(result) == set()
    for path in (tmp_path / "shot/tiny.style/ink/World__Body").glob("*.baked.*.png"):
        path.unlink()
    place = "/World/StylizedLooks/World__Body{style=ink}StylizedBake.inputs:file"
    assert ("path", place) in failures(result)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("style", ["absolute", "search path"])
def test_a_sublayer_of_the_root_layer(written: Path, number: int, style: str) -> None:
    layer = Sdf.Layer.FindOrOpen(str(written))
    paths = list(layer.subLayerPaths)
    name = paths[number].removeprefix("./")
    paths[number] = name if style == "search path" else str(written.with_name(name))
    layer.subLayerPaths = paths
    layer.Save()
    assert failures(written) == {("path", "tiny.stylized.usda")}


# Bindings, variants, instances


@pytest.mark.parametrize(
    ("purpose", "words"), [("", "all purposes"), ("full", "full"), ("preview", "preview")]
)
@pytest.mark.parametrize("name", ["Left", "Right"])
def test_a_binding_that_is_overruled_for_one_purpose(
    written: Path, purpose: str, words: str, name: str
) -> None:
    opened = Usd.Stage.Open(str(written))
    paint = UsdShade.Material.Get(opened, "/World/Looks/Paint")
    api = UsdShade.MaterialBindingAPI(opened.GetPrimAtPath(f"/World/{name}"))
    api.Bind(paint, UsdShade.Tokens.fallbackStrength, purpose)
    opened.Save()
    assert failures(written) == {("binding", f"/World/{name}")}
    relationship = f"/World/{name}.{api.GetDirectBindingRel(purpose).GetName()}"
    assert f"For {words} it shows /World/Looks/Paint, bound by {relationship}." in details(written)


def test_a_binding_that_is_blocked(written: Path) -> None:
    opened = Usd.Stage.Open(str(written))
    UsdShade.MaterialBindingAPI(opened.GetPrimAtPath("/World/Left")).UnbindAllBindings()
    opened.Save()
    assert ("binding", "/World/Left") in failures(written)
    assert "For all purposes it shows nothing." in details(written)


@pytest.mark.parametrize("name", ["Left", "Right", "Third"])
def test_the_binding_of_each_object_that_shares_a_look(tiny_stage: Path, name: str) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    paint = UsdShade.Material.Get(source, "/World/Looks/Paint")
    define_quad(source, "/World/Third", paint, x=4.0)
    source.Save()
    contents = read.discover(tiny_stage, StageOptions(share_materials=True))
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for obj in contents.objects:
            image = texture(np.zeros((8, 8, 3), np.float32))
            writer.write_object(obj, read.load(contents, obj), image)
        result = writer.commit({})
    assert failures(result) == set()
    opened = Usd.Stage.Open(str(result))
    paint = UsdShade.Material.Get(opened, "/World/Looks/Paint")
    UsdShade.MaterialBindingAPI(opened.GetPrimAtPath(f"/World/{name}")).Bind(paint)
    opened.Save()
    assert failures(result) == {("binding", f"/World/{name}")}
    edit(result, lambda layer: layer.GetPrimAtPath(LOOK).SetInfo("customData", _owner("/World/Left")))
    assert {("binding", "/World/Right"), ("binding", "/World/Third")} <= failures(result)


def _owner(path: str) -> dict[str, Any]:
    return {"usdstylize": {"object": path}}


def test_a_root_layer_without_its_source(written: Path) -> None:
    layer = Sdf.Layer.FindOrOpen(str(written))
    layer.subLayerPaths = list(layer.subLayerPaths)[:1]
    layer.Save()
    assert {("binding", "/World/Left"), ("binding", "/World/Right")} <= failures(written)


@pytest.mark.parametrize("name", ["Left", "Right"])
def test_a_source_that_is_stronger_than_the_style(written: Path, name: str) -> None:
    layer = Sdf.Layer.FindOrOpen(str(written))
    layer.subLayerPaths = list(layer.subLayerPaths)[::-1]
    layer.Save()
    assert ("binding", f"/World/{name}") in failures(written)


def test_an_object_that_left_the_stage(written: Path) -> None:
    source = Usd.Stage.Open(str(written.with_name("tiny.usda")))
    source.RemovePrim("/World/Left")
    source.Save()
    assert failures(written) == {("source", "tiny.usda"), ("binding", "/World/Left"), LIVE}
    assert "binding: /World/Left: It is not on the stage any more; run again." in details(written)
    assert "/World/Left is not on the source stage any more; run again." in details(written)


def test_a_material_that_does_not_say_whose_it_is(written: Path) -> None:
    edit(written, lambda layer: layer.GetPrimAtPath(LOOK).ClearInfo("customData"))
    assert failures(written) == {("binding", "/World/Left")}
    (written.parent / "tiny.style/ink/run.json").unlink()
    assert ("binding", "World__Left") in failures(written)


@pytest.mark.parametrize("lost", ["ink", "original", "oil"])
def test_a_variant_that_is_lost(written: Path, lost: str) -> None:
    write_result(written.with_name("tiny.usda"), "oil", seed=1)
    if lost == "ink":
        write.select(written, "oil")

    def remove(layer: Sdf.Layer) -> None:
        variants = layer.GetPrimAtPath(LOOK).variantSets["style"]
        variants.RemoveVariant(variants.variants[lost])
        layer.GetPrimAtPath(LOOK).variantSelections["style"] = "oil" if lost == "ink" else "ink"

    edit(written, remove)
    assert ("variants", "/World/Left") in failures(written)
    assert f"variants: /World/Left: It has lost {lost}; run again with --force." in details(written)
    assert ("variants", "/World/Right") not in failures(written)


@pytest.mark.parametrize("selection", ["watercolour", ""])
def test_a_selection_that_is_no_variant(written: Path, selection: str) -> None:
    opened = Usd.Stage.Open(str(written))
    opened.GetPrimAtPath(LOOK).GetVariantSet("style").SetVariantSelection(selection)
    opened.Save()
    if selection:
        assert failures(written) == {("variants", "/World/Left")}
        assert f"Its selection `{selection}` is no variant; use `usdstylize select`." in details(written)
    else:
        assert failures(written) == set(), "an empty one is none, and the style layer's counts"


def test_an_instance_that_was_made_unique(tmp_path: Path) -> None:
    result = write_result(make_shot(tmp_path))
    opened = Usd.Stage.Open(str(result))
    opened.GetPrimAtPath("/World/A2").SetInstanceable(False)
    opened.Save()
    assert failures(result) == {("instances", "/World/A1")}
    assert "3 instances, 1 prototype; run again with --force." in details(result)


def test_instances_that_share_no_prototype_any_more(tmp_path: Path) -> None:
    result = write_result(make_shot(tmp_path))
    opened = Usd.Stage.Open(str(result))
    Sdf.CreatePrimInLayer(opened.GetRootLayer(), "/Other")
    opened.GetPrimAtPath("/World/A2").GetInherits().AddInherit("/Other")
    opened.Save()
    assert ("instances", "/World/A1") in failures(result)
    assert "3 instances, 2 prototypes; run again with --force." in details(result)


@pytest.mark.parametrize("place", ["A1", "A2", "A3"])
def test_the_binding_in_each_instance_that_looks_otherwise(tmp_path: Path, place: str) -> None:
    """From above the instance, so that it goes on sharing its prototype."""
    result = write_result(make_shot(tmp_path))
    opened = Usd.Stage.Open(str(result))
    other = UsdShade.Material.Define(opened, "/World/Other")
    api = UsdShade.MaterialBindingAPI.Apply(opened.GetPrimAtPath(f"/World/{place}"))
    api.Bind(other, UsdShade.Tokens.strongerThanDescendants)
    opened.Save()
    assert ("binding", f"/World/{place}/Geo/Quad") in failures(result)
