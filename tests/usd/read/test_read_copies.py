"""What is a copy of another object, and what differs too much to be one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import define_material
from copied_stages import build_lamps
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt

from usdstylize import inspect
from usdstylize.config.options import StageOptions

SECOND = "/World/Lamp_001"
MESH = f"{SECOND}/Mesh"
LOOK = "/World/Looks/Lamp_001"


def originals(path: Path, **options: object) -> dict[str, str]:
    """By the path of each object, the name of what it is a copy of."""
    contents = inspect(path, StageOptions(**options))  # type: ignore[arg-type]
    assert [str(skipped) for skipped in contents.skipped] == []
    return {obj.path: obj.copy_of for obj in contents.objects}


def is_copy(folder: Path, change: Callable[[Usd.Stage], object], **options: object) -> bool:
    """Whether the second of three lamps is a copy of the first, after a change."""
    path = build_lamps(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    change(stage)
    stage.Save()
    found = originals(path, **options)
    assert found["/World/Lamp/Mesh"] == ""
    assert found["/World/Lamp_002/Mesh"] == "World__Lamp__Mesh"
    assert found[MESH] in ("", "World__Lamp__Mesh")
    return bool(found[MESH])


def moved(*, scale: tuple[float, float, float] = (1, 1, 1), turn: float = 0.0) -> Callable[[Usd.Stage], None]:
    def change(stage: Usd.Stage) -> None:
        common = UsdGeom.XformCommonAPI(stage.GetPrimAtPath(SECOND))
        common.SetScale(scale)
        common.SetRotate((turn, 2 * turn, 0))

    return change


def set_value(path: str, value: object) -> Callable[[Usd.Stage], None]:
    return lambda stage: stage.GetAttributeAtPath(path).Set(value)


def set_input(shader: str, name: str, kind: Sdf.ValueTypeName, value: object) -> Callable[[Usd.Stage], None]:
    return lambda stage: UsdShade.Shader.Get(stage, f"{LOOK}/{shader}").CreateInput(name, kind).Set(value)


def rename_shaders(stage: Usd.Stage) -> None:
    """As Maya does, whose nodes have names that are unique in a scene."""
    stage.RemovePrim(LOOK)
    material = define_material(stage, LOOK, "./textures/color.png")
    edit = Sdf.BatchNamespaceEdit()
    for name in ("Surface", "Reader", "Texture"):
        edit.Add(f"{LOOK}/{name}", f"{LOOK}/{name}7")
    assert stage.GetRootLayer().Apply(edit)
    for prim in Usd.PrimRange(material.GetPrim()):
        for attribute in prim.GetAttributes():
            paths = attribute.GetConnections()
            if paths:
                attribute.SetConnections(
                    [path.ReplacePrefix(path.GetPrimPath(), f"{path.GetPrimPath()}7") for path in paths]
                )


def bind_first(stage: Usd.Stage) -> None:
    material = UsdShade.Material.Get(stage, "/World/Looks/Lamp")
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath(MESH)).Bind(material)


def name_the_file_otherwise(stage: Usd.Stage) -> None:
    stage.GetAttributeAtPath(f"{LOOK}/Texture.inputs:file").Set("./textures/../textures/color.png")


def add_property(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(MESH).CreateAttribute("userProperties:note", Sdf.ValueTypeNames.String).Set("left")


ALIKE = {
    "turned": moved(turn=40.0),
    "a little larger": moved(scale=(1.008, 1.008, 1.008)),
    "one material": bind_first,
    "other names of shaders": rename_shaders,
    "another path of the same file": name_the_file_otherwise,
    "a property that nothing draws": add_property,
}


@pytest.mark.parametrize("change", ALIKE.values(), ids=ALIKE.keys())
def test_a_copy_stays_one(tmp_path: Path, change: Callable[[Usd.Stage], None]) -> None:
    assert is_copy(tmp_path, change)


def ask_for_a_seed(stage: Usd.Stage) -> None:
    prim = stage.GetPrimAtPath(SECOND)
    prim.AddAppliedSchema("StylizeAPI")
    prim.CreateAttribute("stylize:seed", Sdf.ValueTypeNames.Int).Set(3)


def move_a_uv(stage: Usd.Stage) -> None:
    st = stage.GetAttributeAtPath(f"{MESH}.primvars:st")
    st.Set(Vt.Vec2fArray([Gf.Vec2f(0.01, 0.0), *list(st.Get())[1:]]))


def move_a_point(stage: Usd.Stage) -> None:
    points = stage.GetAttributeAtPath(f"{MESH}.points")
    points.Set(Vt.Vec3fArray([Gf.Vec3f(0.01, 0, 0), *list(points.Get())[1:]]))


def flip_left_handed(stage: Usd.Stage) -> None:
    UsdGeom.Mesh(stage.GetPrimAtPath(MESH)).CreateOrientationAttr(UsdGeom.Tokens.leftHanded)


def author_normals(stage: Usd.Stage) -> None:
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath(MESH))
    mesh.CreateNormalsAttr([Gf.Vec3f(0, 0, 1)] * 6)
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)


def animate_roughness(stage: Usd.Stage) -> None:
    item = UsdShade.Shader.Get(stage, f"{LOOK}/Surface").CreateInput("roughness", Sdf.ValueTypeNames.Float)
    item.Set(0.5, 1)
    item.Set(0.9, 2)


DIFFERENT = {
    "larger": moved(scale=(1.02, 1.02, 1.02)),
    "smaller": moved(scale=(0.5, 0.5, 0.5)),
    "stretched": moved(scale=(1.0, 1.3, 1.0)),
    "stretched a little": moved(scale=(1.0, 1.009, 1.0)),
    "mirrored": moved(scale=(-1.0, 1.0, 1.0)),
    "left-handed": flip_left_handed,
    "a point": move_a_point,
    "a UV": move_a_uv,
    "normals": author_normals,
    "roughness": set_input("Surface", "roughness", Sdf.ValueTypeNames.Float, 0.9),
    "animation": animate_roughness,
    "wrap": set_value(f"{LOOK}/Texture.inputs:wrapS", "clamp"),
    "colour space": set_value(f"{LOOK}/Texture.inputs:sourceColorSpace", "raw"),
    "settings of its own": ask_for_a_seed,
}


@pytest.mark.parametrize("change", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_differs_is_no_copy(tmp_path: Path, change: Callable[[Usd.Stage], None]) -> None:
    assert not is_copy(tmp_path, change)


def test_several_kinds_each_have_an_original(tmp_path: Path) -> None:
    path = build_lamps(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    for name in ("Lamp_001", "Lamp_002"):
        UsdShade.Shader.Get(stage, f"/World/Looks/{name}/Surface").CreateInput(
            "roughness", Sdf.ValueTypeNames.Float
        ).Set(0.9)
    stage.Save()
    assert [*originals(path).values()] == ["", "", "World__Lamp_001__Mesh"]


@pytest.mark.parametrize("options", [{"by": "model"}, {"share_materials": True}])
def test_what_is_rendered_together_is_no_copy(tmp_path: Path, options: dict[str, object]) -> None:
    path = build_lamps(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    Usd.ModelAPI(stage.GetPrimAtPath("/World")).SetKind("component")
    for name in ("Lamp_001", "Lamp_002"):
        material = UsdShade.Material.Get(stage, "/World/Looks/Lamp")
        UsdShade.MaterialBindingAPI(stage.GetPrimAtPath(f"/World/{name}/Mesh")).Bind(material)
    stage.Save()
    assert set(originals(path, **options).values()) == {""}


def test_colors_of_vertices_count(tmp_path: Path) -> None:
    path = build_lamps(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    for number, name in enumerate(("Lamp", "Lamp_001", "Lamp_002")):
        prim = stage.GetPrimAtPath(f"/World/{name}/Mesh")
        UsdShade.MaterialBindingAPI(prim).UnbindAllBindings()
        primvar = UsdGeom.Mesh(prim).CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
        primvar.Set([Gf.Vec3f(0.1 * corner, 0.5 if number == 1 else 0.2, 0.3) for corner in range(6)])
    stage.Save()
    assert [*originals(path).values()] == ["", "", "World__Lamp__Mesh"]


def test_subsets_are_compared_one_by_one(tmp_path: Path) -> None:
    path = build_lamps(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    for name in ("Lamp", "Lamp_001", "Lamp_002"):
        api = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath(f"/World/{name}/Mesh"))
        material = UsdShade.Material.Get(stage, f"/World/Looks/{name}")
        for number, part in enumerate(("Foot", "Shade")):
            subset = api.CreateMaterialBindSubset(part, Vt.IntArray([number]))
            if (name, part) == ("Lamp_001", "Shade"):
                material = define_material(stage, "/World/Looks/Other", "./textures/color.png")
                shader = UsdShade.Shader.Get(stage, "/World/Looks/Other/Surface")
                shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.1)
            UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
    stage.Save()
    assert originals(path) == {
        "/World/Lamp/Mesh/Foot": "",
        "/World/Lamp/Mesh/Shade": "",
        "/World/Lamp_001/Mesh/Foot": "World__Lamp__Mesh__Foot",
        "/World/Lamp_001/Mesh/Shade": "",
        "/World/Lamp_002/Mesh/Foot": "World__Lamp__Mesh__Foot",
        "/World/Lamp_002/Mesh/Shade": "World__Lamp__Mesh__Shade",
    }


def test_meshes_that_are_unwrapped_are_no_copies(tmp_path: Path) -> None:
    pytest.importorskip("xatlas")
    path = build_lamps(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    for name in ("Lamp", "Lamp_001", "Lamp_002"):
        stage.GetPrimAtPath(f"/World/{name}/Mesh").RemoveProperty("primvars:st")
    stage.Save()
    assert set(originals(path).values()) == {""}


@pytest.mark.parametrize(("refine", "found"), [(0, True), (1, False)])
def test_creases_count_where_surfaces_are_refined(tmp_path: Path, refine: int, found: bool) -> None:
    def crease(stage: Usd.Stage) -> None:
        for name in ("Lamp", "Lamp_001", "Lamp_002"):
            mesh = UsdGeom.Mesh(stage.GetPrimAtPath(f"/World/{name}/Mesh"))
            mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.catmullClark)
        mesh = UsdGeom.Mesh(stage.GetPrimAtPath(MESH))
        mesh.CreateCreaseIndicesAttr([1, 4])
        mesh.CreateCreaseLengthsAttr([2])
        mesh.CreateCreaseSharpnessesAttr([3.0])

    assert is_copy(tmp_path, crease, refine=refine) == found


def test_a_proxy_of_a_copy_shares_its_files_too(tmp_path: Path) -> None:
    path = build_lamps(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    for name in ("Lamp", "Lamp_001"):
        proxy, render = f"/World/{name}/Proxy", f"/World/{name}/Mesh"
        Sdf.CopySpec(stage.GetRootLayer(), render, stage.GetRootLayer(), proxy)
        UsdGeom.Imageable(stage.GetPrimAtPath(proxy)).CreatePurposeAttr("proxy")
        UsdGeom.Imageable(stage.GetPrimAtPath(render)).CreatePurposeAttr("render")
        UsdGeom.Imageable(stage.GetPrimAtPath(render)).SetProxyPrim(stage.GetPrimAtPath(proxy))
    stage.Save()
    contents = inspect(path, StageOptions(purposes=("default", "render", "proxy")))
    found = {obj.path: (obj.look, obj.copy_of, obj.group) for obj in contents.objects}
    first = "World__Lamp__Mesh"
    assert found["/World/Lamp/Proxy"] == (first, "", first)
    assert found["/World/Lamp_001/Mesh"][1:] == (first, first)
    assert found["/World/Lamp_001/Proxy"] == ("World__Lamp_001__Mesh", first, first)


def test_a_hero_has_a_texture_of_its_own(tmp_path: Path) -> None:
    path = build_lamps(tmp_path / "shot")
    stage = Usd.Stage.Open(str(path))
    for name in ("A", "B", "C"):
        prim = stage.DefinePrim(f"/World/{name}", "Xform")
        prim.GetReferences().AddInternalReference("/World/Lamp")
        prim.SetInstanceable(True)
    stage.RemovePrim("/World/Lamp_001")
    stage.Save()
    found = originals(path, per_instance=("/World/A",))
    assert found == {
        "/World/Lamp/Mesh": "",
        "/World/Lamp_002/Mesh": "World__Lamp__Mesh",
        "/World/A/Mesh": "",
        "/World/B/Mesh": "World__Lamp__Mesh",
    }
