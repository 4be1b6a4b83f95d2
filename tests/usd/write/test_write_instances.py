"""Results on stages of instances: they stay instances, and all show the new look."""

from pathlib import Path

import pytest
from author_results import bound, discover, hold, write_result
from conftest import define_material, define_quad, unchanged
from instance_stages import (
    LOOKS,
    QUADS,
    add_instances,
    add_point_instancer,
    edit,
    make_asset,
    make_outer,
    make_shot,
    make_two_looks,
    new_stage,
    shared,
)
from pxr import Sdf, Usd, UsdGeom, UsdShade

from usdstylize import Options, stylize
from usdstylize.errors import MaterialError, OutputError
from usdstylize.usd import verify, write
from usdstylize.usd.write.provenance import read_layer


def test_instances_stay_instances_of_as_many_prototypes(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    with unchanged(tmp_path, may_add=True):
        result = write_result(shot)
    opened = edit(result)
    assert shared(opened) == shared(edit(shot))
    for path in QUADS:
        for purpose in ("", "full", "preview"):
            assert bound(opened, path, purpose) == f"{LOOKS}/World__A1__Geo__Quad", path
    for path in ("/World/B1/Board", "/World/B2/Board"):
        assert bound(opened, path) == f"{LOOKS}/World__B1__Board"
    hold(result)
    textures = sorted(p.name for p in (tmp_path / "shot.style" / "ink").iterdir() if p.is_dir())
    assert textures == ["World__A1__Geo__Quad", "World__B1__Board"]


def test_the_other_lobes_and_the_dial_stay_within_reach(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    asset = edit(tmp_path / "asset.usda")
    surface = UsdShade.Shader.Get(asset, "/Asset/Looks/Paint/Surface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.25)
    asset.Save()
    opened = edit(write_result(shot))
    look = UsdShade.Material.Get(opened, f"{LOOKS}/World__A1__Geo__Quad")
    assert not look.GetPrim().IsInstanceProxy()
    assert look.GetInput("strength").Get() == 1.0
    surface.GetInput("roughness").Set(0.75)
    asset.Save()
    assert look.ComputeSurfaceSource("")[0].GetInput("roughness").Get() == 0.75


def test_a_reference_to_the_result_carries_instances_and_looks(tmp_path: Path) -> None:
    result = write_result(make_shot(tmp_path))
    sequence = Usd.Stage.CreateNew(str(tmp_path / "sequence.usda"))
    sequence.DefinePrim("/Set/Tiny").GetReferences().AddReference(str(result))
    for path in QUADS:
        moved = path.replace("/World", "/Set/Tiny")
        assert bound(sequence, moved) == "/Set/Tiny/StylizedLooks/World__A1__Geo__Quad"
    assert len(sequence.GetPrototypes()) == 2


def test_a_stylised_shot_of_a_stylised_set_mixes_nothing_up(tmp_path: Path) -> None:
    inner = make_asset(tmp_path)
    room = new_stage(tmp_path, "room.usda", "/World")
    add_instances(room, inner, ["/World/A1", "/World/A2"])
    room.Save()
    write_result(tmp_path / "room.usda")
    shot = new_stage(tmp_path, "shot.usda", "/World")
    add_instances(shot, make_asset(tmp_path, "other"), ["/World/A1", "/World/A2"])
    shot.DefinePrim("/World/Room").GetReferences().AddReference("./room.stylized.usda")
    shot.Save()
    result = write_result(tmp_path / "shot.usda", mask=["/World/A1"])
    opened = edit(result)
    assert bound(opened, "/World/A2/Geo/Quad") == f"{LOOKS}/World__A1__Geo__Quad"
    assert bound(opened, "/World/Room/A2/Geo/Quad") == "/World/Room/StylizedLooks/World__A1__Geo__Quad"


def test_a_second_style_and_select_by_any_instance(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    result = write_result(shot, "ink", seed=1)
    write_result(shot, "gouache", seed=2)
    hold(result)

    def shown(name: str) -> str:
        opened = edit(result)
        return str(opened.GetPrimAtPath(f"{LOOKS}/{name}").GetVariantSet("style").GetVariantSelection())

    assert write.select(result, "ink", ["/World/B2/Board"]) == 1
    assert (shown("World__B1__Board"), shown("World__A1__Geo__Quad")) == ("ink", "gouache")
    assert write.select(result, "original", ["/World/A3"]) == 1
    assert (shown("World__B1__Board"), shown("World__A1__Geo__Quad")) == ("ink", "original")
    assert write.select(result, "gouache", ["/World/B2"]) == 2
    assert write.select(result, "ink", ["/World/B2/Inner/Geo/Quad"]) == 1
    assert (shown("World__B1__Board"), shown("World__A1__Geo__Quad")) == ("gouache", "ink")
    assert write.select(result, "original") == 2
    assert edit(result).GetPrimAtPath("/World/A1").IsInstance()


def test_force_and_resume_know_a_prototype_by_any_of_its_instances(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    result = write_result(shot, mask=["/World/A3"], seed=1)
    assert write.existing_styles(result) == {"ink": ["World__A1__Geo__Quad"]}
    textures = tmp_path / "shot.style" / "ink" / "World__A1__Geo__Quad" / "World__A1__Geo__Quad.ink.TS.exr"
    before = textures.read_bytes()
    with pytest.raises(OutputError, match="already holds the style ink"):
        write_result(shot, mask=["/World/A2/Geo"], seed=2)
    write_result(shot, resume=True, seed=2)
    assert textures.read_bytes() == before
    assert write.existing_styles(result) == {"ink": ["World__A1__Geo__Quad", "World__B1__Board"]}
    write_result(shot, mask=["/World/B2/Inner"], force=True, seed=3)
    assert textures.read_bytes() != before
    assert len(edit(result).GetPrototypes()) == 2
    hold(result)


def test_instances_at_the_root_carry_their_looks_inside(tmp_path: Path) -> None:
    asset = make_asset(tmp_path)
    source = new_stage(tmp_path, "shot.usda", "/A1")
    add_instances(source, asset, ["/A1", "/A2"])
    add_instances(source, make_outer(tmp_path, asset), ["/B1"])
    source.Save()
    result = write_result(tmp_path / "shot.usda")
    opened = edit(result)
    assert shared(opened) == [["/A1", "/A2"], ["/B1"]]
    assert bound(opened, "/A2/Geo/Quad") == "/A2/StylizedLooks/A1__Geo__Quad"
    assert bound(opened, "/B1/Inner/Geo/Quad") == "/B1/Inner/StylizedLooks/A1__Geo__Quad"
    hold(result)
    assert write.select(result, "original", ["/A2"]) == 1
    sequence = Usd.Stage.CreateNew(str(tmp_path / "sequence.usda"))
    sequence.DefinePrim("/Set/Tiny").GetReferences().AddReference(str(result))
    assert bound(sequence, "/Set/Tiny/Geo/Quad") == "/Set/Tiny/StylizedLooks/A1__Geo__Quad"


def test_what_the_instances_have_themselves_is_kept_and_overruled(tmp_path: Path) -> None:
    """Transforms, payloads, more references, inherits, and a variant of their own that binds."""
    make_asset(tmp_path)
    source = new_stage(tmp_path, "shot.usda", "/World")
    red = define_material(source, "/World/Looks/Red", "./textures/color.png")
    source.CreateClassPrim("/_class_asset").CreateAttribute("custom", Sdf.ValueTypeNames.Int).Set(3)
    for number, name in enumerate(("A1", "A2")):
        prim = UsdGeom.Xform.Define(source, f"/World/{name}")
        prim.AddTranslateOp().Set((3.0 * number, 0.0, 0.0))
        prim.GetPrim().GetPayloads().AddPayload("./asset.usda")
        prim.GetPrim().GetInherits().AddInherit("/_class_asset")
        looks = prim.GetPrim().GetVariantSets().AddVariantSet("look")
        looks.AddVariant("red")
        looks.SetVariantSelection("red")
        with looks.GetVariantEditContext():
            over = source.OverridePrim(f"/World/{name}/Geo/Quad")
            UsdShade.MaterialBindingAPI.Apply(over).Bind(red)
        prim.GetPrim().SetInstanceable(True)
    source.Save()
    assert bound(source, "/World/A2/Geo/Quad") == "/World/Looks/Red"
    result = write_result(tmp_path / "shot.usda")
    opened = edit(result)
    # Their variants are opinions of their own, so that they never shared a prototype.
    assert shared(opened) == shared(source) == [["/World/A1"], ["/World/A2"]]
    assert bound(opened, "/World/A2/Geo/Quad") == f"{LOOKS}/World__A2__Geo__Quad"
    assert opened.GetPrimAtPath("/World/A2").GetAttribute("custom").Get() == 3
    cache = UsdGeom.XformCache()
    assert cache.GetLocalToWorldTransform(opened.GetPrimAtPath("/World/A2")).ExtractTranslation()[0] == 3.0
    hold(result)


@pytest.mark.parametrize("where", ["/World", "/World/A1", "/World/A1/Geo", "/World/B1", "/World/B1/Inner"])
def test_a_binding_stronger_than_descendants_is_overruled_in_every_instance(
    tmp_path: Path, where: str
) -> None:
    shot = make_shot(tmp_path)
    strong = UsdShade.Tokens.strongerThanDescendants
    if where == "/World/A1/Geo":
        source = edit(tmp_path / "asset.usda")
        holders, material = ["/Asset/Geo"], UsdShade.Material.Get(source, "/Asset/Looks/Paint")
    elif where == "/World/B1/Inner":
        source = edit(tmp_path / "outer.usda")
        holders, material = ["/Outer/Inner"], UsdShade.Material.Get(source, "/Outer/Looks/Board")
    else:
        source = edit(shot)
        material = define_material(source, "/World/Looks/Strong", "./textures/color.png")
        holders = {"/World": ["/World"], "/World/A1": ["/World/A1", "/World/A2", "/World/A3"],
                   "/World/B1": ["/World/B1", "/World/B2"]}[where]  # fmt: skip
    for holder in holders:
        UsdShade.MaterialBindingAPI.Apply(source.GetPrimAtPath(holder)).Bind(material, strong)
    source.Save()
    contents = discover(shot)
    result = write_result(shot)
    opened = edit(result)
    assert shared(opened) == shared(edit(shot))
    expected = {found.path: found.name for found in contents.objects}
    for path in [*QUADS, "/World/B1/Board", "/World/B2/Board"]:
        look = bound(opened, path).removeprefix(f"{LOOKS}/")
        assert look in expected.values(), path
        assert look.endswith("Board") == path.endswith("Board"), path
    hold(result)


def test_two_looks_of_one_prototype_are_two_materials(tmp_path: Path) -> None:
    result = write_result(make_two_looks(tmp_path))
    opened = edit(result)
    assert shared(opened) == [["/World/A1", "/World/A3"], ["/World/A2"]]
    assert bound(opened, "/World/A3/Geo/Quad") == f"{LOOKS}/World__A1__Geo__Quad"
    assert bound(opened, "/World/A2/Geo/Quad") == f"{LOOKS}/World__A2__Geo__Quad"
    hold(result)


def test_point_instancer_prototypes_are_bound_in_place(tmp_path: Path) -> None:
    asset = make_asset(tmp_path)
    source = new_stage(tmp_path, "shot.usda", "/World")
    material = define_material(source, "/World/Looks/Paint", "./textures/color.png")
    define_quad(source, "/World/Grass/Protos/Blade", material)
    define_quad(source, "/World/Library/Leaf", material)
    source.GetRootLayer().GetPrimAtPath("/World/Library").specifier = Sdf.SpecifierOver
    add_instances(source, asset, ["/World/Grass/Protos/Rock", "/World/Rock"])
    targets = ["/World/Grass/Protos/Blade", "/World/Library/Leaf", "/World/Grass/Protos/Rock"]
    add_point_instancer(source, "/World/Grass", targets)
    source.Save()
    result = write_result(tmp_path / "shot.usda")
    opened = edit(result)
    assert bound(opened, "/World/Grass/Protos/Blade") == f"{LOOKS}/World__Grass__Protos__Blade"
    assert bound(opened, "/World/Library/Leaf") == f"{LOOKS}/World__Library__Leaf"
    for path in ("/World/Grass/Protos/Rock/Geo/Quad", "/World/Rock/Geo/Quad"):
        assert bound(opened, path) == f"{LOOKS}/World__Grass__Protos__Rock__Geo__Quad"
    assert UsdGeom.PointInstancer(opened.GetPrimAtPath("/World/Grass")).GetPrototypesRel().GetTargets() == [
        Sdf.Path(target) for target in targets
    ]
    hold(result)


def test_subsets_and_display_colors_within_instances(tmp_path: Path) -> None:
    make_asset(tmp_path)
    asset = edit(tmp_path / "asset.usda")
    second = define_material(asset, "/Asset/Looks/Second", "./textures/color.png")
    mesh = define_quad(asset, "/Asset/Split", UsdShade.Material.Get(asset, "/Asset/Looks/Paint"))
    mesh.GetFaceVertexCountsAttr().Set([3, 3])
    mesh.GetFaceVertexIndicesAttr().Set([0, 1, 2, 0, 2, 3])
    api = UsdShade.MaterialBindingAPI(mesh.GetPrim())
    subset = api.CreateMaterialBindSubset("half", [1])
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(second)
    api.SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.nonOverlapping)
    bare = define_quad(asset, "/Asset/Bare", second)
    UsdShade.MaterialBindingAPI(bare.GetPrim()).UnbindAllBindings()
    colors = bare.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colors.Set([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
    asset.Save()
    source = new_stage(tmp_path, "shot.usda", "/World")
    add_instances(source, "./asset.usda", ["/World/A1", "/World/A2"])
    source.Save()
    result = write_result(tmp_path / "shot.usda")
    opened = edit(result)
    assert shared(opened) == [["/World/A1", "/World/A2"]]
    for name in ("Split", "Split/half", "Bare", "Geo/Quad"):
        assert bound(opened, f"/World/A2/{name}") == f"{LOOKS}/World__A1__{name.replace('/', '__')}"
    hold(result)


def test_an_instance_in_a_variant_shows_its_style_where_it_is_selected(tmp_path: Path) -> None:
    asset = make_asset(tmp_path)
    source = new_stage(tmp_path, "shot.usda", "/World")
    fill = source.GetPrimAtPath("/World").GetVariantSets().AddVariantSet("fill")
    for name in ("empty", "full"):
        fill.AddVariant(name)
        fill.SetVariantSelection(name)
        with fill.GetVariantEditContext():
            add_instances(source, asset, ["/World/A1", "/World/A2"] if name == "full" else [])
    source.Save()
    result = write_result(tmp_path / "shot.usda")
    opened = edit(result)
    assert bound(opened, "/World/A2/Geo/Quad") == f"{LOOKS}/World__A1__Geo__Quad"
    hold(result)
    opened.GetPrimAtPath("/World").GetVariantSet("fill").SetVariantSelection("empty")
    assert [str(prim.GetPath()) for prim in opened.Traverse() if prim.IsInstance()] == []


def test_a_proxy_shows_the_texture_of_what_it_stands_in_for(tmp_path: Path, style_folder: Path) -> None:
    source = new_stage(tmp_path, "shot.usda", "/World")
    material = define_material(source, "/World/Looks/Paint", "./textures/color.png")
    for kind in ("proxy", "render"):
        define_quad(source, f"/World/{kind}", material).CreatePurposeAttr(kind)
    UsdGeom.Imageable(source.GetPrimAtPath("/World/render")).SetProxyPrim(
        source.GetPrimAtPath("/World/proxy")
    )
    source.Save()
    options = Options(
        preset="draft", device="cpu", texture_resolution=16, iterations=1, purposes=("render", "proxy")
    )
    done = stylize(tmp_path / "shot.usda", style_folder, options)
    assert [(found.path, found.status) for found in done.objects] == [
        ("/World/render", "done"), ("/World/proxy", "done"),
    ]  # fmt: skip
    opened = edit(tmp_path / "shot.stylized.usda")
    assert bound(opened, "/World/render") == bound(opened, "/World/proxy") == f"{LOOKS}/World__render"
    hold(tmp_path / "shot.stylized.usda")


def test_a_package_holds_the_instances(tmp_path: Path) -> None:
    result = write_result(make_shot(tmp_path))
    package = tmp_path / "out" / "shot.usdz"
    package.parent.mkdir()
    assert [str(problem) for problem in write.write_package(result, package)] == []
    opened = edit(package)
    for path in QUADS:
        look = bound(opened, path)
        assert UsdShade.Material.Get(opened, look).GetPrim().GetVariantSets().HasVariantSet("style"), path


def test_a_class_of_the_source_in_our_place_costs_its_objects(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    source = edit(shot)
    source.CreateClassPrim("/StylizedShared_shot__World__A1")
    source.Save()
    with pytest.raises(MaterialError, match="has a prim at /StylizedShared_shot__World__A1; rename that"):
        write_result(shot)


def test_verify_reports_instances_that_have_come_apart(tmp_path: Path) -> None:
    result = write_result(make_shot(tmp_path))
    path = tmp_path / "shot.style.usda"
    layer = read_layer(path)
    assert layer is not None
    layer.GetPrimAtPath("/World/A2").inheritPathList.ClearEdits()
    layer.Export(str(path))
    failed = [str(check) for check in verify.verify(result).failed]
    assert any(text.startswith("instances: /World/A2: It does not share") for text in failed)
