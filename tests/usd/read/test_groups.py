"""Objects that share an optimisation, a look, or a texture of many tiles."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from author_results import author_groups, bound, offsets, problems
from balls import METHOD, PALETTE, ball, describe, stripes
from conftest import build_tiny_stage, define_material, define_quad, unchanged
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from PIL import Image
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdShade
from udim_stages import TILES, build_udim_stage

from usdstylize import Options, inspect, optimize
from usdstylize.imaging.encoding import linear_to_srgb
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import StageContents
from usdstylize.usd import read, verify, write


def one(contents: StageContents):
    assert [str(s) for s in contents.skipped] == []
    (obj,) = contents.objects
    return obj


def test_a_udim_set_is_one_object_that_reads_every_tile(tmp_path: Path) -> None:
    root = build_udim_stage(tmp_path / "shot")
    contents = inspect(root)
    obj = one(contents)
    assert isinstance(obj.base, TextureFile)
    assert obj.tiles == (1001, 1002, 1012)
    data = read.load(contents, obj)
    for base, color in zip(data.bases, TILES.values(), strict=True):
        np.testing.assert_array_equal(base[0, 0], np.array(color, np.float32) / np.float32(255))
    hashed = {Path(found.path).name for found in contents.sources}
    assert {f"T.{tile}.png" for tile in TILES} <= hashed


def test_a_udim_result_has_a_bake_per_tile_and_passes_every_check(tmp_path: Path) -> None:
    root = build_udim_stage(tmp_path / "shot")
    with unchanged(root.parent, may_add=True):
        result = author_groups(root)
    assert problems(result) == []
    report = verify.verify(result)
    assert report.ok, report.failed
    assert [check.subject for check in report.checks if check.name == "bake"] == ["/World/Body (ink)"]
    folder = root.parent / "tiny.style" / "ink" / "World__Body"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"World__Body.ink.{name}.{tile}.{suffix}"
        for tile in TILES
        for name, suffix in (("TS", "exr"), ("baked", "png"))
    )
    for number, (tile, color) in enumerate(TILES.items()):
        expected = np.clip(
            np.array(color) / 255 + offsets(number).astype(np.float16).astype(np.float32), 0.0, 1.0
        )
        written = np.asarray(Image.open(folder / f"World__Body.ink.baked.{tile}.png"))
        np.testing.assert_allclose(written / 255, expected, atol=0.5 / 255 + 1e-3)
    opened = Usd.Stage.Open(str(result))
    material = UsdShade.Material(opened.GetPrimAtPath("/World/StylizedLooks/World__Body"))
    # Storm drops a prim whose MaterialX network reads a UDIM set.
    assert not material.GetSurfaceOutput("mtlx")
    texture = next(
        UsdShade.Shader(prim)
        for prim in Usd.PrimRange(material.GetPrim())
        if prim.GetName() == "StylizedBake"
    )
    assert (
        texture.GetInput("file").Get().path == "./tiny.style/ink/World__Body/World__Body.ink.baked.<UDIM>.png"
    )


@pytest.mark.parametrize("pattern", ["./textures/<UDIM>/T.png", "./textures/<UDIM>_T_1001.png"])
def test_the_number_of_a_tile_may_stand_anywhere_in_its_path(tmp_path: Path, pattern: str) -> None:
    root = build_udim_stage(tmp_path / "shot")
    for tile in TILES:
        file = root.parent / pattern.replace("<UDIM>", str(tile))
        file.parent.mkdir(exist_ok=True)
        (root.parent / "textures" / f"T.{tile}.png").rename(file)
    opened = Usd.Stage.Open(str(root))
    opened.GetAttributeAtPath("/World/Looks/Tiles/Texture.inputs:file").Set(pattern)
    opened.Save()
    contents = inspect(root)
    bases = read.load(contents, contents.objects[0]).bases
    assert [tuple(np.rint(base[0, 0] * 255)) for base in bases] == list(TILES.values())
    assert verify.verify(author_groups(root)).failed == ()


def test_a_lost_bake_of_one_tile_is_found(tmp_path: Path) -> None:
    result = author_groups(build_udim_stage(tmp_path / "shot"))
    (result.parent / "tiny.style" / "ink" / "World__Body" / "World__Body.ink.baked.1002.png").unlink()
    assert any(check.name in ("bake", "live") for check in verify.verify(result).failed)


def test_triangles_without_a_tile_are_remarked_and_a_set_without_tiles_is_refused(tmp_path: Path) -> None:
    few = build_udim_stage(tmp_path / "few", {1001: (9, 9, 9), 1002: (9, 9, 9)})
    notes = " ".join(one(inspect(few)).notes)
    assert "2 of its triangles lie on UDIM tiles that have no file" in notes
    none = build_udim_stage(tmp_path / "none", {})
    (skipped,) = inspect(none).skipped
    assert skipped.broken
    assert "T.<UDIM>.png" in skipped.reason
    other = build_udim_stage(tmp_path / "other", {1055: (9, 9, 9)})
    (skipped,) = inspect(other).skipped
    assert "no UVs on any tile" in skipped.reason


def test_shared_materials_give_one_texture_that_all_users_wear(tiny_stage: Path) -> None:
    with unchanged(tiny_stage.parent, may_add=True):
        result = author_groups(tiny_stage, share_materials=True)
    assert problems(result) == []
    report = verify.verify(result)
    assert report.ok, report.failed
    opened = Usd.Stage.Open(str(result))
    shared = "/World/StylizedLooks/World__Left"
    assert [bound(opened, f"/World/{name}") for name in ("Left", "Right")] == [shared, shared]
    folder = tiny_stage.parent / "tiny.style" / "ink"
    assert sorted(path.name for path in folder.iterdir()) == ["World__Left", "run.json"]
    written = json.loads((folder / "run.json").read_text())["written"]
    assert written["World__Right"]["look"] == "World__Left"


@pytest.mark.parametrize(("green", "looks"), [(0.5, 1), (0.25, 2)])
def test_a_primvar_in_a_graph_keeps_meshes_of_other_values_apart(
    tiny_stage: Path, green: float, looks: int
) -> None:
    opened = Usd.Stage.Open(str(tiny_stage))
    nodes = {
        "UV": uv(),
        "A": image("./textures/color.png"),
        "Tint": Node("ND_geompropvalue_color3", "color3", {"geomprop": ("string", "tint")}),
        "Mix": Node(
            "ND_multiply_color3", "color3", {"in1": ("color3", From("A")), "in2": ("color3", From("Tint"))}
        ),
    }
    material = add_mtlx_material(opened, "/World/Looks/Tinted", From("Mix"), nodes)
    for name, value in (("Left", 0.5), ("Right", green)):
        mesh = opened.GetPrimAtPath(f"/World/{name}")
        UsdShade.MaterialBindingAPI(mesh).Bind(material)
        tint = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("tint", Sdf.ValueTypeNames.Color3f, "constant")
        tint.Set(Gf.Vec3f(1, value, 1))
    opened.Save()
    contents = inspect(tiny_stage, Options(share_materials=True))
    assert len({obj.look or obj.name for obj in contents.objects}) == looks
    assert verify.verify(author_groups(tiny_stage, share_materials=True)).failed == ()


def test_a_shared_look_switches_for_all_and_takes_a_second_style(tiny_stage: Path) -> None:
    author_groups(tiny_stage, "ink", share_materials=True)
    result = author_groups(tiny_stage, "gouache", seed=5, share_materials=True)
    assert write.select(result, "ink", ["/World/Right"]) == 1
    opened = Usd.Stage.Open(str(result))
    material = opened.GetPrimAtPath(bound(opened, "/World/Right"))
    assert material.GetVariantSet("style").GetVariantSelection() == "ink"
    assert material.GetVariantSet("style").GetVariantNames() == ["gouache", "ink", "original"]
    assert verify.verify(result).ok


def test_sharing_does_not_change_under_an_existing_result(tiny_stage: Path) -> None:
    author_groups(tiny_stage, "ink", share_materials=True)
    with pytest.raises(Exception, match="wears /World/StylizedLooks/World__Left"):
        author_groups(tiny_stage, "gouache")


def build_models(folder: Path) -> Path:
    """Two components: a chair of two meshes in one material, and a lamp of one mesh in the same."""
    path = build_tiny_stage(folder)
    opened = Usd.Stage.Open(str(path))
    material = UsdShade.Material.Get(opened, "/World/Looks/Paint")
    for model, meshes in (("Chair", ("Seat", "Back")), ("Lamp", ("Shade",))):
        prim = UsdGeom.Xform.Define(opened, f"/World/{model}").GetPrim()
        Usd.ModelAPI(prim).SetKind(Kind.Tokens.component)
        for number, mesh in enumerate(meshes):
            define_quad(opened, f"/World/{model}/{mesh}", material, x=5.0 + number)
    define_quad(
        opened, "/World/Chair/Legs", define_material(opened, "/World/Looks/Wood", "./textures/color.png")
    )
    opened.Save()
    return path


def test_a_component_is_one_group_with_a_look_per_material(tmp_path: Path) -> None:
    root = build_models(tmp_path / "shot")
    contents = inspect(root, Options(by="model"))
    groups = {group[0].path: [obj.path for obj in group] for group in contents.groups}
    assert groups == {
        "/World/Left": ["/World/Left"],
        "/World/Right": ["/World/Right"],
        "/World/Chair/Seat": ["/World/Chair/Seat", "/World/Chair/Back", "/World/Chair/Legs"],
        "/World/Lamp/Shade": ["/World/Lamp/Shade"],
    }
    looks = {obj.path: obj.look for obj in contents.objects}
    assert looks["/World/Chair/Back"] == looks["/World/Chair/Seat"] == "World__Chair__Seat"
    assert looks["/World/Chair/Legs"] == looks["/World/Lamp/Shade"] == ""
    result = author_groups(root, by="model")
    assert problems(result) == []
    assert verify.verify(result).ok
    opened = Usd.Stage.Open(str(result))
    assert bound(opened, "/World/Chair/Back").endswith("World__Chair__Seat")
    assert bound(opened, "/World/Chair/Legs").endswith("World__Chair__Legs")


def test_each_sheet_of_a_group_is_optimised_from_its_own_base() -> None:
    """The palette alone: texels go to the palette colour that is nearest to their own T."""
    method = dataclasses.replace(METHOD, nnfm_weight=0.0, content_weight=0.0, iterations=150)
    optimizer = optimize.Optimizer(stripes(), method, "cpu")
    colors = [np.float32(linear_to_srgb(np.float32(value))) for value in (0.05, 0.6)]
    objects = [describe("World__Dark"), describe("World__Light")]
    data = [dataclasses.replace(ball(), bases=(np.full((2, 2, 3), color, np.float32),)) for color in colors]
    textures = optimizer.optimize(objects, data)
    for texture, color in zip(textures, colors, strict=True):
        nearest = PALETTE[np.square(PALETTE - color).sum(1).argmin()]
        assert np.abs(color + texture.images[0][:, :30] - nearest).max() < 0.02
    assert np.abs(textures[0].images[0] - textures[1].images[0]).max() > 0.2


def test_objects_of_one_look_get_one_texture_and_tiles_one_each() -> None:
    optimizer = optimize.Optimizer(stripes(), METHOD, "cpu")
    first = describe("World__First")
    second = dataclasses.replace(describe("World__Second"), look="World__First")
    textures = optimizer.optimize([first, second], [ball(), ball()])
    assert textures[0].images[0] is textures[1].images[0]
    base = TextureFile("T.<UDIM>.png", "", "srgb", "clamp", "clamp", (4, 4), "uint8", tiles=(1001, 1012))
    tiled = dataclasses.replace(describe("World__Tiled"), base=base)
    data = ball()
    mesh = dataclasses.replace(data.mesh, uvs=data.mesh.uvs.copy())
    upper = data.mesh.points[data.mesh.triangles].mean(axis=(1, 2)) > 0
    mesh.uvs[upper] += (1.0, 1.0)
    bases = (np.full((4, 4, 3), 0.2, np.float32), np.full((4, 4, 3), 0.8, np.float32))
    (texture,) = optimizer.optimize([tiled], [dataclasses.replace(data, mesh=mesh, bases=bases)])
    assert len(texture.images) == 2
    assert 0.5 < texture.coverage <= 1.0
    assert all(np.abs(image).max() > 0.05 for image in texture.images)
