"""What instances share is found once; what differs between them is not overlooked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import define_material, define_quad
from instance_stages import (
    add_instances,
    make_asset,
    make_shot,
    make_two_looks,
    new_stage,
    paths,
    reasons,
)
from mtlx_scenes import From, Node, add_mtlx_material
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from benchmarks.instances import make_stage
from usdstylize.config.options import StageOptions
from usdstylize.errors import StageError
from usdstylize.model.base_colors import ConstantColor
from usdstylize.usd import read as reading


def test_each_prototype_is_found_once_in_its_first_instance(tmp_path: Path) -> None:
    contents = reading.discover(make_shot(tmp_path))
    assert paths(contents) == ["/World/A1/Geo/Quad", "/World/B1/Board"]
    quad, board = contents.objects
    assert quad.instances == ("/World/A1", "/World/A2", "/World/A3", "/World/B1", "/World/B2")
    assert board.instances == ("/World/B1", "/World/B2")
    assert quad.material_path == "/World/A1/Looks/Paint"
    assert "4 other instances" in quad.notes[0]
    assert contents.skipped == ()
    mesh = reading.load(contents, quad).mesh
    assert np.allclose(mesh.points, [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("/World/A2", ["/World/A1/Geo/Quad"]),
        ("/World/A3/Geo/Quad", ["/World/A1/Geo/Quad"]),
        ("/World/B2/Inner/Geo", ["/World/A1/Geo/Quad"]),
        ("/World/B2", ["/World/A1/Geo/Quad", "/World/B1/Board"]),
        ("/World/B2/Board", ["/World/B1/Board"]),
    ],
)
def test_a_mask_that_names_any_instance_means_what_they_share(
    tmp_path: Path, mask: str, expected: list[str]
) -> None:
    contents = reading.discover(make_shot(tmp_path), StageOptions(mask=(mask,)))
    assert sorted(paths(contents)) == expected
    assert all("change together" in found.notes[0] for found in contents.objects)


def test_a_mask_leaves_out_what_else_the_prototype_holds(tmp_path: Path) -> None:
    asset = make_asset(tmp_path, meshes=3)
    stage = new_stage(tmp_path, "shot.usda", "/World")
    add_instances(stage, asset, ["/World/A1", "/World/A2"])
    stage.Save()
    contents = reading.discover(tmp_path / "shot.usda", StageOptions(mask=("/World/A2/Geo/Quad1",)))
    assert paths(contents) == ["/World/A1/Geo/Quad1"]


def test_a_hero_has_objects_of_its_own(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    contents = reading.discover(shot, StageOptions(per_instance=("/World/A1",)))
    assert contents.heroes == ("/World/A1",)
    assert paths(contents) == ["/World/A1/Geo/Quad", "/World/A2/Geo/Quad", "/World/B1/Board"]
    assert contents.objects[0].instances == ()
    assert contents.objects[1].instances == ("/World/A2", "/World/A3", "/World/B1", "/World/B2")
    assert len(reading.load(contents, contents.objects[0]).mesh.triangles) == 2


def test_a_hero_within_another_instance_takes_that_one_apart(tmp_path: Path) -> None:
    contents = reading.discover(make_shot(tmp_path), StageOptions(per_instance=("/World/B2/Inner",)))
    assert contents.heroes == ("/World/B2", "/World/B2/Inner")
    own = ["/World/B2/Board", "/World/B2/Inner/Geo/Quad"]
    assert [found.path for found in contents.objects if not found.instances] == own


@pytest.mark.parametrize("hero", ["/World", "/World/Nothing", "/World/A1/Geo"])
def test_what_is_no_instance_is_refused_as_a_hero(tmp_path: Path, hero: str) -> None:
    with pytest.raises(StageError, match=f"--per-instance names {hero}, which is no"):
        reading.discover(make_shot(tmp_path), StageOptions(per_instance=(hero,)))


def test_instances_bound_to_other_materials_from_above_are_objects_each(tmp_path: Path) -> None:
    contents = reading.discover(make_two_looks(tmp_path))
    assert [(found.path, found.material_path, found.instances) for found in contents.objects] == [
        ("/World/A1/Geo/Quad", "/World/Looks/Red", ("/World/A1", "/World/A3")),
        ("/World/A2/Geo/Quad", "/World/Looks/Blue", ("/World/A2",)),
    ]


def test_a_collection_above_that_holds_one_instance_sets_it_apart(tmp_path: Path) -> None:
    asset = make_asset(tmp_path, bound=False)
    stage = new_stage(tmp_path, "shot.usda", "/World")
    add_instances(stage, asset, ["/World/A1", "/World/A2", "/World/A3"])
    world = stage.GetPrimAtPath("/World")
    api = UsdShade.MaterialBindingAPI.Apply(world)
    api.Bind(define_material(stage, "/World/Looks/All", "./textures/color.png"))
    some = Usd.CollectionAPI.Apply(world, "some")
    some.CreateIncludesRel().AddTarget("/World/A2")
    api.Bind(some, define_material(stage, "/World/Looks/Some", "./textures/color.png"), "some")
    stage.Save()
    contents = reading.discover(tmp_path / "shot.usda")
    assert [found.instances for found in contents.objects] == [("/World/A1", "/World/A3"), ("/World/A2",)]


def test_a_binding_from_above_that_loses_splits_nothing(tmp_path: Path) -> None:
    asset = make_asset(tmp_path)
    stage = new_stage(tmp_path, "shot.usda", "/World")
    add_instances(stage, asset, ["/World/A1", "/World/A2"])
    red = define_material(stage, "/World/Looks/Red", "./textures/color.png")
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/World/A2")).Bind(red)
    stage.Save()
    assert [len(found.instances) for found in reading.discover(tmp_path / "shot.usda").objects] == [2]


def test_a_primvar_from_above_counts_only_where_it_is_the_colour(tmp_path: Path) -> None:
    for name, bound in (("painted", True), ("bare", False)):
        folder = tmp_path / name
        asset = make_asset(folder, bound=bound)
        stage = new_stage(folder, "shot.usda", "/World")
        add_instances(stage, asset, ["/World/A1", "/World/A2", "/World/A3"])
        for number, place in enumerate(("A1", "A2", "A3")):
            primvars = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(f"/World/{place}"))
            color = primvars.CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, "constant")
            color.Set([Gf.Vec3f(0.1, 0.2, 0.3 * (number > 0))])
            seed = primvars.CreatePrimvar("seed", Sdf.ValueTypeNames.Float, "constant")
            seed.Set(float(number))
        stage.Save()
        found = reading.discover(folder / "shot.usda").objects
        assert [len(item.instances) for item in found] == ([3] if bound else [1, 2]), name


def reader_of_a_dial(stage: Usd.Stage) -> None:
    """A UsdPreviewSurface that reads the primvar which the material's interface names."""
    material = UsdShade.Material.Get(stage, "/Asset/Looks/Paint")
    dial = material.CreateInput("primvar", Sdf.ValueTypeNames.String)
    dial.Set("displayColor")
    reader = UsdShade.Shader.Define(stage, "/Asset/Looks/Paint/Color")
    reader.CreateIdAttr("UsdPrimvarReader_float3")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).ConnectToSource(dial)
    diffuse = UsdShade.Shader.Get(stage, "/Asset/Looks/Paint/Surface").GetInput("diffuseColor")
    diffuse.ConnectToSource(reader.CreateOutput("result", Sdf.ValueTypeNames.Float3))


def materialx(identifier: str, **inputs: tuple[str, Any]) -> Callable[[Usd.Stage], None]:
    """A MaterialX surface whose colour is that node's."""

    def edit(stage: Usd.Stage) -> None:
        stage.RemovePrim("/Asset/Looks/Paint")
        add_mtlx_material(stage, "/Asset/Looks/Paint", From("C"), {"C": Node(identifier, "color3", inputs)})

    return edit


def only_for_a_renderer(stage: Usd.Stage) -> None:
    """A material of which viewports show the displayColor."""
    material = UsdShade.Material.Get(stage, "/Asset/Looks/Paint")
    material.GetSurfaceOutput().ClearSources()
    surface = UsdShade.Shader.Get(stage, "/Asset/Looks/Paint/Surface")
    material.CreateSurfaceOutput("ri").ConnectToSource(surface.GetOutput("surface"))


def bound_for_previews(stage: Usd.Stage) -> None:
    """A material that is bound for one purpose only."""
    reader_of_a_dial(stage)
    api = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/Asset/Geo/Quad"))
    api.UnbindAllBindings()
    api.Bind(
        UsdShade.Material.Get(stage, "/Asset/Looks/Paint"),
        UsdShade.Tokens.weakerThanDescendants,
        UsdShade.Tokens.preview,
    )


@pytest.mark.parametrize(
    "edit",
    [
        reader_of_a_dial,
        materialx("ND_geomcolor_color3"),
        materialx("ND_geompropvalue_color3", geomprop=("string", "displayColor")),
        only_for_a_renderer,
        bound_for_previews,
    ],
)
def test_instances_of_other_colors_are_objects_each_however_the_color_is_read(
    tmp_path: Path, edit: Callable[[Usd.Stage], None]
) -> None:
    asset = make_asset(tmp_path)
    opened = Usd.Stage.Open(str(tmp_path / asset))
    edit(opened)
    opened.Save()
    stage = new_stage(tmp_path, "shot.usda", "/World")
    add_instances(stage, asset, ["/World/A1", "/World/A2", "/World/A3"])
    for place, blue in (("A1", 0.5), ("A2", 0.5), ("A3", 1.0)):
        primvars = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(f"/World/{place}"))
        color = primvars.CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, "constant")
        color.Set([Gf.Vec3f(0.25, 0.5, blue)])
    stage.Save()
    found = reading.discover(tmp_path / "shot.usda").objects
    assert [(item.instances, item.base) for item in found] == [
        (("/World/A1", "/World/A2"), ConstantColor((0.25, 0.5, 0.5))),
        (("/World/A3",), ConstantColor((0.25, 0.5, 1.0))),
    ]


def test_settings_of_one_instance_set_it_apart(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    stage = Usd.Stage.Open(str(shot))
    for place, name, kind, value in (
        ("A2", "enabled", Sdf.ValueTypeNames.Bool, False),
        ("A3", "strength", Sdf.ValueTypeNames.Float, 0.5),
    ):
        prim = stage.GetPrimAtPath(f"/World/{place}")
        prim.AddAppliedSchema("StylizeAPI")
        prim.CreateAttribute(f"stylize:{name}", kind).Set(value)
    stage.Save()
    contents = reading.discover(shot)
    assert [(found.path, found.settings.strength) for found in contents.objects] == [
        ("/World/A1/Geo/Quad", None), ("/World/A3/Geo/Quad", 0.5), ("/World/B1/Board", None),
    ]  # fmt: skip
    assert contents.objects[0].instances == ("/World/A1", "/World/B1", "/World/B2")
    assert "/World/A2" in reasons(contents)


def test_too_many_looks_of_one_prototype_are_reported(tmp_path: Path) -> None:
    asset = make_asset(tmp_path, bound=False)
    stage = new_stage(tmp_path, "shot.usda", "/World")
    places = [f"/World/A{number}" for number in range(34)]
    add_instances(stage, asset, places)
    for number, place in enumerate(places):
        primvars = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(place))
        color = primvars.CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, "constant")
        color.Set([Gf.Vec3f(0.02 * number)])
    stage.Save()
    contents = reading.discover(tmp_path / "shot.usda")
    assert len(contents.objects) == 32
    assert sorted(reasons(contents)) == ["/World/A32", "/World/A33"]
    assert "--per-instance" in reasons(contents)["/World/A33"]


def test_the_first_instance_that_can_be_seen_stands_for_all(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    stage = Usd.Stage.Open(str(shot))
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/A1")).MakeInvisible()
    for name in ("B1", "B2"):
        UsdGeom.Imageable(stage.GetPrimAtPath(f"/World/{name}")).MakeInvisible()
    stage.Save()
    contents = reading.discover(shot)
    assert paths(contents) == ["/World/A2/Geo/Quad"]
    assert contents.objects[0].instances[:2] == ("/World/A2", "/World/A1")
    assert reasons(contents) == {"/World/B1/Board": "/World/B1/Board is invisible at this frame."}


def test_render_and_proxy_wear_one_texture(tmp_path: Path) -> None:
    stage = new_stage(tmp_path, "shot.usda", "/World")
    material = define_material(stage, "/World/Looks/Paint", "./textures/color.png")
    other = define_material(stage, "/World/Looks/Other", "./textures/color.png")
    UsdShade.Shader.Get(stage, "/World/Looks/Other/Texture").GetInput("wrapS").Set("clamp")
    for kind in ("render", "proxy", "guide"):
        UsdGeom.Imageable(UsdGeom.Xform.Define(stage, f"/World/{kind}")).CreatePurposeAttr(kind)
        for name in ("Body", "Hat"):
            define_quad(stage, f"/World/{kind}/{name}", material)
    define_quad(stage, "/World/proxy/Box", other)
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/render")).SetProxyPrim(stage.GetPrimAtPath("/World/proxy"))
    stage.Save()
    shot = tmp_path / "shot.usda"
    contents = reading.discover(shot, StageOptions(purposes=("render", "proxy"), unique=True))
    both = {found.path: found for found in contents.objects}
    for name in ("Body", "Hat"):
        render, proxy = both[f"/World/render/{name}"], both[f"/World/proxy/{name}"]
        assert (render.group, render.wears_another_look) == (render.name, False)
        assert (proxy.group, proxy.look, proxy.stands_in) == (render.name, render.name, True)
    assert (both["/World/proxy/Box"].group, both["/World/proxy/Box"].look) == ("", "")
    alone = reading.discover(shot, StageOptions(purposes=("proxy",)))
    assert [(found.path, found.look) for found in alone.objects] == [
        ("/World/proxy/Body", ""), ("/World/proxy/Hat", ""), ("/World/proxy/Box", ""),
    ]  # fmt: skip
    everything = reading.discover(shot, StageOptions(purposes=("default", "render", "proxy")))
    assert not any("/guide/" in found.path for found in everything.objects)
    assert "never stylised" in reasons(everything)["/World/guide/Body"]


def test_variants_that_are_not_selected_are_named_and_left_alone(tmp_path: Path) -> None:
    make_asset(tmp_path)
    stage = new_stage(tmp_path, "shot.usda", "/World")
    cow = UsdGeom.Xform.Define(stage, "/World/Cow").GetPrim()
    looks = cow.GetVariantSets().AddVariantSet("shape")
    for name in ("calf", "bull"):
        looks.AddVariant(name)
        looks.SetVariantSelection(name)
        with looks.GetVariantEditContext():
            stage.DefinePrim(f"/World/Cow/{name}").GetReferences().AddReference("./asset.usda")
    stage.Save()
    contents = reading.discover(tmp_path / "shot.usda")
    assert paths(contents) == ["/World/Cow/bull/Geo/Quad"]
    assert "shows bull of its variant set shape; calf is left alone" in reasons(contents)["/World/Cow"]
    assert not contents.skipped[0].broken


def test_payloads_are_loaded_and_a_lost_one_is_reported(tmp_path: Path) -> None:
    asset = make_asset(tmp_path)
    stage = new_stage(tmp_path, "shot.usda", "/World")
    stage.DefinePrim("/World/Here").GetPayloads().AddPayload(asset)
    stage.DefinePrim("/World/Lost").GetPayloads().AddPayload("./lost.usda")
    stage.Save()
    contents = reading.discover(tmp_path / "shot.usda")
    assert paths(contents) == ["/World/Here/Geo/Quad"]
    assert "lost.usda" in reasons(contents)["/World/Lost"]
    assert contents.skipped[0].broken


def test_hundreds_of_instances_are_as_many_objects_as_prototypes(tmp_path: Path) -> None:
    contents = reading.discover(make_stage(tmp_path / "many", instances=500, prototypes=5))
    assert [len(found.instances) for found in contents.objects] == [100] * 5
    assert [len(found.instances) for found in contents.prototypes] == [100] * 5
