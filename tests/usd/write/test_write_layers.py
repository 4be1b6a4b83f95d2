"""The layers of a result: what stock USD finds in them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from author_results import bound, discover, hold, offsets, problems, texture, write_result
from conftest import define_material, define_quad, digests, unchanged
from instance_stages import QUADS, make_shot
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdUtils

from usdstylize.errors import MaterialError, TextureError
from usdstylize.model.base_colors import PLAIN, ConstantColor
from usdstylize.usd import read, verify, write
from usdstylize.usd.write.graph import Graph
from usdstylize.usd.write.live import write_base_color

LOOKS = "/World/StylizedLooks"


def edit(root: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(root))


def test_a_result_is_valid_and_leaves_every_source_byte_alone(tiny_stage: Path) -> None:
    with unchanged(tiny_stage.parent, may_add=True):
        result = write_result(tiny_stage)
    assert problems(result) == []
    assert result == tiny_stage.with_name("tiny.stylized.usda")
    names = {p.relative_to(tiny_stage.parent).as_posix() for p in tiny_stage.parent.rglob("*") if p.is_file()}
    folder = "tiny.style/ink"
    assert names == {
        "tiny.usda", "textures/color.png", "tiny.stylized.usda", "tiny.style.usda", f"{folder}/run.json",
        f"{folder}/World__Left/World__Left.ink.TS.exr", f"{folder}/World__Left/World__Left.ink.baked.png",
        f"{folder}/World__Right/World__Right.ink.TS.exr", f"{folder}/World__Right/World__Right.ink.baked.png",
    }  # fmt: skip


def test_root_layer_repeats_the_metadata_of_the_source(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    source.SetMetadata("upAxis", "Z")
    source.SetStartTimeCode(7)
    source.SetEndTimeCode(9)
    source.SetFramesPerSecond(30)
    source.SetTimeCodesPerSecond(30)
    source.SetMetadata("customLayerData", {"shot": "sq010", "plate": Sdf.AssetPath("./textures/color.png")})
    source.SetMetadata("renderSettingsPrimPath", "/Render/Main")
    source.GetRootLayer().documentation = "A tiny shot."
    source.Save()
    result = write_result(tiny_stage, output=tiny_stage.parent / "out")
    opened = edit(result)
    layer = opened.GetRootLayer()
    root = layer.pseudoRoot
    before = source.GetRootLayer().pseudoRoot
    for key in before.ListInfoKeys():
        if key != "customLayerData":
            assert root.GetInfo(key) == before.GetInfo(key), key
    assert layer.customLayerData["shot"] == "sq010"
    assert layer.customLayerData["plate"].path == "../textures/color.png"
    assert layer.subLayerPaths == ["./tiny.style.usda", "../tiny.usda"]


def test_removing_the_style_sublayer_undoes_everything(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    opened = edit(result)
    assert bound(opened, "/World/Left") == f"{LOOKS}/World__Left"
    opened.GetRootLayer().subLayerPaths.remove("./tiny.style.usda")
    flat, source = opened.Flatten(False), edit(tiny_stage).Flatten(False)
    flat.pseudoRoot.ClearInfo("customLayerData")
    assert flat.ExportToString() == source.ExportToString()


def test_a_moved_result_still_resolves_in_a_fresh_process(tiny_stage: Path, tmp_path: Path) -> None:
    write_result(tiny_stage)
    moved = tmp_path / "elsewhere" / "deep"
    moved.parent.mkdir()
    shutil.move(tiny_stage.parent, moved)
    code = (
        "import sys, json; from pathlib import Path; from usdstylize.usd import verify;"
        "r = verify.verify(Path(sys.argv[1]));"
        "print(json.dumps([str(c) for c in r.failed])); print(len(r.checks))"
    )
    command = [sys.executable, "-c", code, str(moved / "tiny.stylized.usda")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    failed, count = done.stdout.splitlines()
    assert json.loads(failed) == []
    assert int(count) > 10


def test_a_second_style_is_a_variant_beside_the_first(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, "ink", seed=1)
    ink = digests(tiny_stage.parent / "tiny.style" / "ink")
    write_result(tiny_stage, "gouache", seed=2)
    assert digests(tiny_stage.parent / "tiny.style" / "ink") == ink
    opened = edit(result)
    variants = opened.GetPrimAtPath(f"{LOOKS}/World__Left").GetVariantSet("style")
    assert sorted(variants.GetVariantNames()) == ["gouache", "ink", "original"]
    assert variants.GetVariantSelection() == "gouache"
    assert verify.verify(result).failed == ()
    assert problems(result) == []
    assert write.existing_styles(result) == {
        "ink": ["World__Left", "World__Right"],
        "gouache": ["World__Left", "World__Right"],
    }


def test_another_mask_adds_objects(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, mask=["/World/Left"])
    assert bound(edit(result), "/World/Right") == "/World/Looks/Paint"
    left = digests(tiny_stage.parent / "tiny.style/ink/World__Left")
    write_result(tiny_stage, mask=["/World/Right"])
    assert write.existing_styles(result) == {"ink": ["World__Left", "World__Right"]}
    assert digests(tiny_stage.parent / "tiny.style/ink/World__Left") == left
    written = json.loads((tiny_stage.parent / "tiny.style/ink/run.json").read_text())["written"]
    assert sorted(written) == ["World__Left", "World__Right"]
    assert verify.verify(result).failed == ()


def test_a_reference_to_the_result_carries_the_looks(tiny_stage: Path, tmp_path: Path) -> None:
    result = write_result(tiny_stage)
    shot = Usd.Stage.CreateNew(str(tmp_path / "sequence.usda"))
    shot.DefinePrim("/Set/Tiny").GetReferences().AddReference(str(result))
    look = bound(shot, "/Set/Tiny/Left")
    assert look == "/Set/Tiny/StylizedLooks/World__Left"
    surface = UsdShade.Material.Get(shot, look).ComputeSurfaceSource("mtlx")[0]
    assert surface.GetPath() == f"{look}/StylizedSurface"
    color = surface.GetInput("diffuseColor").GetValueProducingAttributes()[0]
    assert str(color.GetPath()).startswith(look)


@pytest.mark.parametrize("how", ["direct", "collection", "full", "full above", "two ancestors"])
def test_the_binding_wins_over_whatever_the_source_binds(tiny_stage: Path, how: str) -> None:
    source = edit(tiny_stage)
    material = UsdShade.Material.Get(source, "/World/Looks/Paint")
    define_quad(source, "/World/Bare", material)
    stronger = UsdShade.Tokens.strongerThanDescendants
    world = UsdShade.MaterialBindingAPI.Apply(source.GetPrimAtPath("/World"))
    if how in ("direct", "two ancestors"):
        world.Bind(material, stronger)
    if how == "collection":
        collection = Usd.CollectionAPI.Apply(source.GetPrimAtPath("/World"), "all")
        collection.CreateIncludesRel().AddTarget("/World")
        world.Bind(collection, material, "all", stronger)
    if how == "full":
        local = UsdShade.MaterialBindingAPI(source.GetPrimAtPath("/World/Left"))
        local.Bind(material, materialPurpose=UsdShade.Tokens.full)
    if how == "full above":
        world.Bind(material, stronger, UsdShade.Tokens.full)
    if how == "two ancestors":
        group = UsdGeom.Xform.Define(source, "/World/Group")
        define_quad(source, "/World/Group/Inner", material)
        UsdShade.MaterialBindingAPI.Apply(group.GetPrim()).Bind(material, stronger)
    source.Save()
    paths = ["/World/Left", "/World/Right"] + (["/World/Group/Inner"] if how == "two ancestors" else [])
    opened = edit(write_result(tiny_stage, mask=paths))
    for path in paths:
        for purpose in ("", "full", "preview"):
            assert bound(opened, path, purpose) == LOOKS + "/" + path[1:].replace("/", "__"), (path, purpose)
    assert bound(opened, "/World/Bare") == "/World/Looks/Paint"
    assert problems(tiny_stage.with_name("tiny.stylized.usda")) == []


def test_subsets_get_a_material_each_and_the_mesh_keeps_its_own(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    second = define_material(source, "/World/Looks/Second", "./textures/color.png")
    mesh = define_quad(source, "/World/Split", UsdShade.Material.Get(source, "/World/Looks/Paint"))
    mesh.GetFaceVertexCountsAttr().Set([3, 3])
    mesh.GetFaceVertexIndicesAttr().Set([0, 1, 2, 0, 2, 3])
    api = UsdShade.MaterialBindingAPI(mesh.GetPrim())
    subset = api.CreateMaterialBindSubset("half", [1])
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(second)
    api.SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.nonOverlapping)
    source.Save()
    result = write_result(tiny_stage, mask=["/World/Split"])
    opened = edit(result)
    assert bound(opened, "/World/Split") == f"{LOOKS}/World__Split"
    assert bound(opened, "/World/Split/half") == f"{LOOKS}/World__Split__half"
    assert verify.verify(result).failed == ()
    assert problems(result) == []


def test_a_surface_outside_its_material_keeps_its_values(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    shared = UsdShade.Material.Define(source, "/World/Looks/Shared")
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.35)
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.125, 1.0)
    surface.GetInput("metallic").Set(0.5, 9.0)
    shared.CreateInput("gloss", Sdf.ValueTypeNames.Float).Set(0.75)
    surface.CreateInput("clearcoat", Sdf.ValueTypeNames.Float).ConnectToSource(shared.GetInput("gloss"))
    shared.CreateSurfaceOutput().ConnectToSource(surface.GetOutput("surface"))
    UsdShade.MaterialBindingAPI(source.GetPrimAtPath("/World/Left")).Bind(shared)
    source.Save()
    result = write_result(tiny_stage)
    opened = edit(result)
    for context in ("", "mtlx"):
        shown = UsdShade.Material.Get(opened, f"{LOOKS}/World__Left").ComputeSurfaceSource(context)[0]
        assert shown.GetPath().HasPrefix(f"{LOOKS}/World__Left")
        assert shown.GetInput("roughness").Get() == pytest.approx(0.35)
    plain = UsdShade.Material.Get(opened, f"{LOOKS}/World__Left").ComputeSurfaceSource()[0]
    assert [plain.GetInput("metallic").Get(time) for time in (1.0, 5.0, 9.0)] == [0.125, 0.3125, 0.5]
    # The dial of the source's material is one of ours.
    UsdShade.Material.Get(opened, f"{LOOKS}/World__Left").GetInput("gloss").Set(0.25)
    assert plain.GetInput("clearcoat").GetValueProducingAttributes()[0].Get() == 0.25
    untouched = UsdShade.Shader.Get(opened, "/World/Looks/Paint/Surface").GetInput("diffuseColor")
    assert str(untouched.GetConnectedSources()[0][0].source.GetPath()) == "/World/Looks/Paint/Texture"
    assert verify.verify(result).failed == ()


def test_one_network_only_where_asked(tiny_stage: Path) -> None:
    for network, contexts in (("preview", [""]), ("mtlx", ["mtlx"])):
        result = write_result(tiny_stage, network=network, force=True)
        opened = edit(result)
        look = UsdShade.Material.Get(opened, f"{LOOKS}/World__Left")
        assert bool(look.GetSurfaceOutput("mtlx")) == ("mtlx" in contexts)
        baked = tiny_stage.parent / "tiny.style/ink/World__Left/World__Left.ink.baked.png"
        assert baked.exists() == ("" in contexts)
        assert verify.verify(result).failed == ()
        assert problems(result) == []


def test_without_a_material_original_shows_the_display_color(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    left = source.GetPrimAtPath("/World/Left")
    UsdShade.MaterialBindingAPI(left).UnbindAllBindings()
    colors = UsdGeom.Gprim(left).CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1), Gf.Vec3f(1, 1, 1)])
    right = source.GetPrimAtPath("/World/Right")
    UsdShade.MaterialBindingAPI(right).UnbindAllBindings()
    UsdGeom.Gprim(right).CreateDisplayColorAttr([Gf.Vec3f(0.2, 0.4, 0.6)])
    source.Save()
    result = write_result(tiny_stage)
    assert verify.verify(result).failed == ()
    assert problems(result) == []
    write.select(result, "original")
    opened = edit(result)
    for name in ("Left", "Right"):
        material = UsdShade.Material.Get(opened, f"{LOOKS}/World__{name}")
        assert not material.ComputeSurfaceSource()[0], "viewers show displayColor in their own way"
        assert not material.ComputeSurfaceSource("mtlx")[0]


def test_a_texture_in_a_package_is_read_where_it_is(tiny_stage: Path) -> None:
    package = tiny_stage.with_name("tiny.usdz")
    assert UsdUtils.CreateNewUsdzPackage(str(tiny_stage), str(package))
    result = write_result(package)
    layer = Sdf.Layer.FindOrOpen(str(package.with_name("tiny.style.usda")))
    spec = layer.GetAttributeAtPath(f"{LOOKS}/World__Left{{style=ink}}StylizedNetwork/Base.inputs:file")
    assert spec.default.path.startswith("./tiny.usdz[")
    assert verify.verify(result).failed == ()


def test_a_constant_and_an_interface_input_reach_the_live_surface(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    surface.CreateInput("clearcoat", Sdf.ValueTypeNames.Float).Set(0.75)
    dial = UsdShade.Material.Get(source, "/World/Looks/Paint").CreateInput("gloss", Sdf.ValueTypeNames.Float)
    dial.Set(0.125)
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).ConnectToSource(dial)
    source.Save()
    opened = edit(write_result(tiny_stage))
    live = UsdShade.Material.Get(opened, f"{LOOKS}/World__Left").ComputeSurfaceSource("mtlx")[0]
    assert live.GetInput("clearcoat").Get() == 0.75
    dial.Set(0.25)
    source.Save()
    assert live.GetInput("roughness").GetValueProducingAttributes()[0].Get() == 0.25


def test_an_interface_input_of_a_metal_reaches_the_nodes_that_need_it(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    paint = UsdShade.Material.Get(source, "/World/Looks/Paint")
    for name in ("metallic", "occlusion", "roughness"):
        dial = paint.CreateInput(name, Sdf.ValueTypeNames.Float)
        dial.Set(0.125)
        surface.CreateInput(name, Sdf.ValueTypeNames.Float).ConnectToSource(dial)
    source.Save()
    result = write_result(tiny_stage)
    assert problems(result) == []
    assert verify.verify(result).failed == ()
    opened = edit(result)
    graph = UsdShade.NodeGraph.Get(opened, f"{LOOKS}/World__Left/StylizedNetwork")
    for name in ("metallic", "occlusion", "roughness"):
        paint.GetInput(name).Set(0.25)
        source.Save()
        assert graph.GetInput(name).GetValueProducingAttributes()[0].Get() == 0.25


def test_what_cannot_be_written_costs_only_its_object(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    paint = source.GetPrimAtPath("/World/Looks/Paint")
    other = define_material(source, "/World/Looks/Other", "./textures/color.png")
    UsdShade.MaterialBindingAPI(source.GetPrimAtPath("/World/Right")).Bind(other)
    paint.GetVariantSets().AddVariantSet("style").AddVariant("day")
    source.Save()
    contents = discover(tiny_stage)
    left, right = contents.objects
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        data = read.load(contents, left)
        with pytest.raises(MaterialError, match=r"/World/Looks/Paint .* variant set named `style`"):
            writer.write_object(left, data, texture(offsets()))
        with pytest.raises(TextureError, match="/World/Right holds NaN"):
            writer.write_object(right, data, texture(np.full((4, 4, 3), np.nan, np.float32)))
        writer.write_object(right, read.load(contents, right), texture(offsets()))
        result = writer.commit({})
    assert write.existing_styles(result) == {"ink": ["World__Right"]}
    assert bound(edit(result), "/World/Left") == "/World/Looks/Paint"
    assert verify.verify(result).failed == ()


def test_encoded_constant_is_the_srgb_curve(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    diffuse = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface").GetInput("diffuseColor")
    diffuse.GetAttr().ClearConnections()
    diffuse.Set(Gf.Vec3f(0.002, 0.18, 0.5))
    source.Save()
    assert isinstance(discover(tiny_stage).objects[0].base, ConstantColor)
    opened = edit(write_result(tiny_stage))
    value = opened.GetAttributeAtPath(f"{LOOKS}/World__Left/StylizedNetwork/Sum.inputs:in2").Get()
    expected = [0.002 * 12.92, 1.055 * 0.18 ** (1 / 2.4) - 0.055, 1.055 * 0.5 ** (1 / 2.4) - 0.055]
    assert np.allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("type_name", "value", "remarked"), [("String", "yes", True), ("Int64", 2**62, False)]
)
def test_a_workflow_that_is_none_is_not_taken(
    tiny_stage: Path, type_name: str, value: object, remarked: bool
) -> None:
    source = edit(tiny_stage)
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    surface.CreateInput("useSpecularWorkflow", getattr(Sdf.ValueTypeNames, type_name)).Set(value)
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.5)
    source.Save()
    result = write_result(tiny_stage)
    run = (result.parent / "tiny.style/ink/run.json").read_text()
    assert ("The live network leaves useSpecularWorkflow at its default" in run) == remarked
    assert verify.verify(result).failed == ()


def test_values_that_the_live_network_freezes_are_remarked(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    for frame, value in ((1.0, 0.2), (9.0, 0.8)):
        surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(value, frame)
    source.Save()
    result = write_result(tiny_stage)
    run = (result.parent / "tiny.style/ink/run.json").read_text()
    assert "/World/Looks/Paint/Surface.inputs:roughness is animated" in run


def test_a_live_network_without_a_file_to_read_is_refused_by_name(tiny_stage: Path) -> None:
    source, layer = discover(tiny_stage).objects[0], Sdf.Layer.CreateAnonymous()
    graph = Graph(layer, Sdf.Path("/Network"))
    with pytest.raises(MaterialError, match=r"/World/Left has no file of its base colour"):
        write_base_color(graph, source, None, PLAIN, [])


@pytest.mark.parametrize(
    ("type_name", "value"), [("String", "shiny"), ("Color3f", (0.1, 0.2, 0.3)), ("Float", float("nan"))]
)
def test_an_input_of_another_type_is_remarked_and_left_at_its_default(
    tiny_stage: Path, type_name: str, value: object
) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    surface = UsdShade.Shader.Get(source, "/World/Looks/Paint/Surface")
    surface.CreateInput("roughness", getattr(Sdf.ValueTypeNames, type_name)).Set(value)
    source.Save()
    contents = discover(tiny_stage)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        obj = contents.objects[0]
        writer.write_object(obj, read.load(contents, obj), texture(offsets()))
        result = writer.commit({})
    (remark,) = writer.remarks[obj.name]
    assert remark.startswith("The live network leaves roughness at its default: /World/StylizedLooks/")
    assert verify.verify(result).failed == ()


PURPOSES = ("", "full", "preview")


@pytest.mark.parametrize("asked", [("full",), ("preview",), ("full", "preview")], ids="+".join)
@pytest.mark.parametrize("how", ["direct", "above", "stronger", "collection", "subset", "instances"])
def test_the_style_is_bound_for_the_purposes_that_the_source_binds(
    tmp_path: Path, tiny_stage: Path, how: str, asked: tuple[str, ...]
) -> None:
    """Where a purpose shows displayColor in the source, it shows it in the result."""
    path, shown = tiny_stage, ["/World/Left"]
    if how == "instances":
        path, shown = make_shot(tmp_path / "instances"), QUADS
    source = edit(path.with_name("asset.usda") if how == "instances" else path)
    prim = source.GetPrimAtPath("/Asset/Geo/Quad" if how == "instances" else "/World/Left")
    material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
    UsdShade.MaterialBindingAPI(prim).UnbindAllBindings()
    prim.RemoveProperty("material:binding")
    UsdGeom.Gprim(prim).CreateDisplayColorPrimvar("constant").Set([Gf.Vec3f(0.1, 0.4, 0.2)])
    place, strength = prim, UsdShade.Tokens.fallbackStrength
    if how in ("above", "stronger", "collection"):
        place = source.GetPrimAtPath("/World")
    if how == "stronger":
        strength = UsdShade.Tokens.strongerThanDescendants
    if how == "subset":
        place = UsdShade.MaterialBindingAPI(prim).CreateMaterialBindSubset("Face", [0]).GetPrim()
        shown = ["/World/Left/Face"]
    api = UsdShade.MaterialBindingAPI.Apply(place)
    for purpose in asked:
        if how == "collection":
            collection = Usd.CollectionAPI.Apply(place, "left")
            collection.CreateIncludesRel().SetTargets([prim.GetPath()])
            api.Bind(collection, material, "left", strength, purpose)
        else:
            api.Bind(material, strength, purpose)
    source.Save()
    result = write_result(path)
    before, opened = edit(path), edit(result)
    for owner in shown:
        for purpose in PURPOSES:
            there = bound(before, owner, purpose)
            assert bool(there) == (purpose in asked), (owner, purpose)
            ours = "StylizedLooks" in bound(opened, owner, purpose)
            assert ours == bool(there), (owner, purpose)
            assert there or not bound(opened, owner, purpose)
    hold(result)
    notes = [note for obj in discover(path).objects for note in obj.notes if "for the purpose" in note]
    assert bool(notes) == (len(asked) == 1)


def test_a_binding_that_is_lost_for_the_one_purpose_of_the_source(tiny_stage: Path) -> None:
    source = edit(tiny_stage)
    api = UsdShade.MaterialBindingAPI(source.GetPrimAtPath("/World/Left"))
    material = api.ComputeBoundMaterial()[0]
    api.GetDirectBindingRel().GetPrim().RemoveProperty("material:binding")
    api.Bind(material, materialPurpose="full")
    source.Save()
    result = write_result(tiny_stage)
    layer = Sdf.Layer.FindOrOpen(str(result.with_name("tiny.style.usda")))
    over = layer.GetPrimAtPath("/World/Left")
    over.RemoveProperty(over.properties["material:binding:full"])
    layer.Save()
    assert [check.subject for check in verify.verify(result).failed if check.name == "binding"] == [
        "/World/Left"
    ]
