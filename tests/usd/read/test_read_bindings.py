"""Bindings that USD drops and faces that no subset, or more than one, takes: a true sentence each."""

from pathlib import Path

from conftest import define_material, define_quad, unchanged
from pxr import Gf, Usd, UsdGeom, UsdShade

from usdstylize.model.objects import StageContents
from usdstylize.usd import read as reading

DROPPED = (
    "/World/Prop/Quad is bound to /Looks/Paint in asset.usda, outside of the prim that is referenced or "
    "inherited, so USD drops the binding"
)


def discover(stage: Usd.Stage) -> StageContents:
    stage.Save()
    path = Path(stage.GetRootLayer().realPath)
    with unchanged(path.parent):
        return reading.discover(path)


def shot_of_an_asset(folder: Path) -> Usd.Stage:
    """/World/Prop, a reference to a prim whose material lies beside it and so is not brought."""
    asset = Usd.Stage.CreateNew(str(folder / "asset.usda"))
    asset.SetDefaultPrim(UsdGeom.Xform.Define(asset, "/Asset").GetPrim())
    define_quad(asset, "/Asset/Quad", define_material(asset, "/Looks/Paint", "./color.png"))
    asset.Save()
    shot = Usd.Stage.CreateNew(str(folder / "shot.usda"))
    UsdGeom.Xform.Define(shot, "/World")
    shot.DefinePrim("/World/Prop").GetReferences().AddReference("./asset.usda")
    return shot


def constant(stage: Usd.Stage, path: str, color: Gf.Vec3f) -> UsdShade.Material:
    material = define_material(stage, path, "./color.png")
    diffuse = UsdShade.Shader.Get(stage, f"{path}/Surface").GetInput("diffuseColor")
    diffuse.GetAttr().ClearConnections()
    diffuse.Set(color)
    return material


def test_a_target_outside_of_a_reference_is_named_as_dropped(tmp_path: Path) -> None:
    contents = discover(shot_of_an_asset(tmp_path))
    assert contents.objects == ()
    assert [(found.path, found.reason) for found in contents.skipped] == [
        (
            "/World/Prop/Quad",
            f"{DROPPED}, and /World/Prop/Quad has no displayColor; move the material below that prim, or "
            "bind it on the stage.",
        )
    ]


def test_what_viewers_show_instead_of_a_dropped_binding_is_read(tmp_path: Path) -> None:
    shot = shot_of_an_asset(tmp_path)
    quad = UsdGeom.Mesh(shot.OverridePrim("/World/Prop/Quad"))
    quad.CreateDisplayColorAttr([Gf.Vec3f(0.2, 0.4, 0.6)])
    (plain,) = discover(shot).objects
    assert plain.material_path is None
    assert plain.notes == (f"{DROPPED}; viewers show its displayColor instead.",)
    green = constant(shot, "/World/Looks/Green", Gf.Vec3f(0, 1, 0))
    UsdShade.MaterialBindingAPI.Apply(shot.GetPrimAtPath("/World")).Bind(green)
    (inherited,) = discover(shot).objects
    assert inherited.material_path == "/World/Looks/Green"
    assert inherited.notes == (f"{DROPPED}; viewers show /World/Looks/Green instead.",)
    UsdShade.MaterialBindingAPI.Apply(quad.GetPrim()).Bind(green)
    assert discover(shot).objects[0].notes == ()
    quad.GetPrim().GetRelationship("material:binding").SetTargets([])  # blocked on purpose
    assert all("drops" not in note for found in discover(shot).objects for note in found.notes)


def test_a_class_that_binds_a_material_of_its_own_instance_is_named(tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "shot.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    green = constant(stage, "/World/Prop/Green", Gf.Vec3f(0, 1, 0))
    define_quad(stage, "/World/Prop/Quad", green)
    stage.GetPrimAtPath("/World/Prop/Quad").RemoveProperty("material:binding")
    stage.CreateClassPrim("/_class_Prop")
    over = stage.OverridePrim("/_class_Prop/Quad")
    over.CreateRelationship("material:binding").SetTargets(["/World/Prop/Green"])
    stage.GetPrimAtPath("/World/Prop").GetInherits().AddInherit("/_class_Prop")
    contents = discover(stage)
    assert contents.objects == ()
    (skipped,) = contents.skipped
    assert skipped.reason == (
        "/World/Prop/Quad is bound to /World/Prop/Green in shot.usda, outside of the prim that is "
        "referenced or inherited, so USD drops the binding, and /World/Prop/Quad has no displayColor; move "
        "the material below that prim, or bind it on the stage."
    )
    # The class's own material is mapped to that of the instance.
    over.GetRelationship("material:binding").SetTargets(["/_class_Prop/Green"])
    (obj,) = discover(stage).objects
    assert (obj.material_path, obj.notes) == ("/World/Prop/Green", ())


def quads_in_subsets(folder: Path, **subsets: list[int]) -> Usd.Stage:
    """Two quads in one mesh without a binding, and a subset with a material for each name."""
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    define_quad(stage, "/World/Quad", constant(stage, "/World/Looks/Any", Gf.Vec3f(1)))
    mesh = UsdGeom.Mesh.Get(stage, "/World/Quad")
    mesh.GetPrim().RemoveProperty("material:binding")
    mesh.GetFaceVertexCountsAttr().Set([4, 4])
    mesh.GetFaceVertexIndicesAttr().Set([0, 1, 2, 3] * 2)
    api = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    for name, faces in subsets.items():
        subset = api.CreateMaterialBindSubset(name, faces)
        green = constant(stage, f"/World/Looks/{name}", Gf.Vec3f(0, 1, 0))
        UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(green)
    return stage


def test_faces_in_two_subsets_are_counted_on_the_later_one(tmp_path: Path) -> None:
    contents = discover(quads_in_subsets(tmp_path, First=[0, 1], Second=[1]))
    assert contents.skipped == ()
    assert {obj.path: obj.notes for obj in contents.objects} == {
        "/World/Quad/First": (),
        "/World/Quad/Second": (
            "Some of its faces (1) lie in /World/Quad/First as well, whose material viewers may show; leave "
            "each face in one subset.",
        ),
    }


def test_faces_in_no_subset_that_nothing_colours_are_counted(tmp_path: Path) -> None:
    stage = quads_in_subsets(tmp_path, First=[0])
    contents = discover(stage)
    assert [obj.path for obj in contents.objects] == ["/World/Quad/First"]
    assert [(found.path, found.reason) for found in contents.skipped] == [
        (
            "/World/Quad",
            "/World/Quad has faces in no subset (1), and neither a material nor a displayColor for them; put "
            "them into a subset, or bind a material to it.",
        )
    ]
    UsdGeom.Mesh.Get(stage, "/World/Quad").CreateDisplayColorAttr([Gf.Vec3f(0.2, 0.4, 0.6)])
    contents = discover(stage)
    assert contents.skipped == ()
    assert [obj.path for obj in contents.objects] == ["/World/Quad/First", "/World/Quad"]
