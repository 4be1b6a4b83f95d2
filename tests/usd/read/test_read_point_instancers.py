"""PointInstancers: prototypes are stylised where they are, once."""

from pathlib import Path

from conftest import define_material, define_quad
from instance_stages import (
    add_instances,
    add_point_instancer,
    make_asset,
    make_outer,
    new_stage,
    paths,
    reasons,
)
from pxr import Sdf

from usdstylize.config.options import StageOptions
from usdstylize.usd import read as reading


def test_point_instancer_prototypes_are_found_where_they_are(tmp_path: Path) -> None:
    asset = make_asset(tmp_path)
    outer = make_outer(tmp_path, asset)
    stage = new_stage(tmp_path, "shot.usda", "/World")
    material = define_material(stage, "/World/Looks/Paint", "./textures/color.png")
    define_quad(stage, "/World/Grass/Protos/Blade", material)
    define_quad(stage, "/World/Grass/Stray", material)
    define_quad(stage, "/World/Grass/Protos/Unused", material)
    define_quad(stage, "/Library/Leaf", material)
    stage.GetRootLayer().GetPrimAtPath("/Library").specifier = Sdf.SpecifierOver
    stage.DefinePrim("/World/Grass/Protos/Rock").GetReferences().AddReference(asset)
    add_instances(stage, outer, ["/World/Grass/Protos/Tree", "/World/Tree2"])
    targets = ["/World/Grass/Protos/Blade", "/Library/Leaf", "/World/Grass/Protos/Rock",
               "/World/Grass/Protos/Tree"]  # fmt: skip
    add_point_instancer(stage, "/World/Grass", targets)
    more = add_point_instancer(stage, "/World/More", [*targets[:2], "/World/Grass/Protos/Unused"])
    more.CreateProtoIndicesAttr([0, 0, 1, 0])
    more.CreatePositionsAttr([(0, 0, 0)] * 4)
    stage.Save()
    contents = reading.discover(tmp_path / "shot.usda")
    assert sorted(paths(contents)) == [
        "/Library/Leaf",
        "/World/Grass/Protos/Blade",
        "/World/Grass/Protos/Rock/Geo/Quad",
        "/World/Grass/Protos/Tree/Board",
        "/World/Grass/Protos/Tree/Inner/Geo/Quad",
    ]
    assert reasons(contents).keys() == {"/World/Grass/Protos/Unused"}
    by_path = {found.path: found for found in contents.objects}
    assert len(by_path["/World/Grass/Protos/Tree/Board"].instances) == 2
    for found in contents.objects:
        assert len(reading.load(contents, found).mesh.triangles) == 2
    masked = reading.discover(tmp_path / "shot.usda", StageOptions(mask=("/World/More",)))
    assert sorted(paths(masked)) == ["/Library/Leaf", "/World/Grass/Protos/Blade"]


def test_a_point_instancer_within_an_instance(tmp_path: Path) -> None:
    asset = make_asset(tmp_path)
    meadow = new_stage(tmp_path, "meadow.usda", "/Meadow")
    add_point_instancer(meadow, "/Meadow/Grass", ["/Meadow/Grass/Protos/Rock"])
    meadow.DefinePrim("/Meadow/Grass/Protos/Rock").GetReferences().AddReference(asset)
    meadow.Save()
    stage = new_stage(tmp_path, "shot.usda", "/World")
    add_instances(stage, "./meadow.usda", ["/World/M1", "/World/M2"])
    stage.Save()
    (found,) = reading.discover(tmp_path / "shot.usda").objects
    assert found.path == "/World/M1/Grass/Protos/Rock/Geo/Quad"
    assert found.instances == ("/World/M1", "/World/M2")


def test_bad_point_instancers_are_reported(tmp_path: Path) -> None:
    stage = new_stage(tmp_path, "shot.usda", "/World")
    add_point_instancer(stage, "/World/Empty", [])
    add_point_instancer(stage, "/World/Lost", ["/World/Nothing"])
    material = define_material(stage, "/World/Looks/Paint", "./textures/color.png")
    define_quad(stage, "/World/Blade", material)
    add_point_instancer(stage, "/World/Beyond", ["/World/Blade"]).CreateProtoIndicesAttr([0, 7])
    add_point_instancer(stage, "/World/Own", ["/World/Own"])
    for name, other in (("Ping", "Pong"), ("Pong", "Ping")):
        add_point_instancer(stage, f"/World/{name}/In", [f"/World/{other}"])
    wrong = add_point_instancer(stage, "/World/Wrong", ["/World/Blade"]).GetPrim()
    wrong.RemoveProperty("protoIndices")
    spec = stage.GetRootLayer().GetPrimAtPath("/World/Wrong")
    Sdf.AttributeSpec(spec, "protoIndices", Sdf.ValueTypeNames.String).default = "none"
    stage.Save()
    contents = reading.discover(tmp_path / "shot.usda")
    assert paths(contents) == ["/World/Blade"]
    found = reasons(contents)
    assert "has no prototypes" in found["/World/Empty"]
    assert "/World/Nothing, which is not on the stage" in found["/World/Lost"]
    assert "protoIndices beyond its 1 prototypes" in found["/World/Beyond"]
    assert "lies in its own prototype /World/Own" in found["/World/Own"]
    assert "cannot be read" in found["/World/Wrong"]
