"""Base colours of MaterialX surfaces, traced to what they come from, against values worked out by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import define_material
from encoded import encoded_bases
from mtlx_reading import CODES, LOOK, NOISE, PLAIN, read, reason, write, write_pictures, write_tiles
from mtlx_scenes import From, Node, image, uv
from pxr import Gf, Sdf, UsdGeom, UsdShade

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import ConstantColor, DisplayColor, TextureFile

A, MIX = From("A"), From("Mix")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write_pictures(tmp_path)


@pytest.mark.parametrize("surface", ["standard_surface", "open_pbr", "gltf_pbr", "preview"])
@pytest.mark.parametrize("graph", ["", "Graph"])
def test_an_image_is_found_before_each_surface(picture: Path, surface: str, graph: str) -> None:
    write(picture, A, PLAIN, surface=surface, graph=graph)
    obj, data = read(picture)
    assert obj.surface == "mtlx"
    assert obj.surface_path == f"{LOOK}/Surface"
    assert isinstance(obj.base, TextureFile)
    assert (obj.base.asset_path, obj.base.encoding, obj.wrap) == (
        "./color.png", "srgb", ("repeat", "repeat")
    )  # fmt: skip
    assert np.array_equal(encoded_bases(data)[0], (CODES / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("surface", "default"),
    [("standard_surface", 0.8), ("open_pbr", 0.8), ("gltf_pbr", 1.0), ("preview", 0.18)],
)
def test_a_surface_without_a_color_has_the_default_of_its_definition(
    picture: Path, surface: str, default: float
) -> None:
    stage = write(picture, Gf.Vec3f(0), surface=surface)
    name = "diffuseColor" if surface == "preview" else "base_color"
    stage.GetPrimAtPath(f"{LOOK}/Surface").RemoveProperty(f"inputs:{name}")
    stage.Save()
    assert read(picture)[0].base == ConstantColor((default,) * 3)


def test_a_constant_comes_through_the_interface(picture: Path) -> None:
    stage = write(picture, Sdf.Path(f"{LOOK}.inputs:tint"))
    tint = UsdShade.Material.Get(stage, LOOK).CreateInput("tint", Sdf.ValueTypeNames.Color3f)
    tint.Set(Gf.Vec3f(0.25, 0.5, 0.75))
    stage.Save()
    assert read(picture)[0].base == ConstantColor((0.25, 0.5, 0.75))


def placed(identifier: str, **inputs: tuple[str, Any]) -> dict[str, Node]:
    return {
        "UV": uv("map1"),
        "Place": Node(identifier, "vector2", inputs),
        "A": image("./color.png", texcoord="Place", uaddressmode=("string", "mirror")),
    }


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            {
                "UV": uv("map1"),
                "A": image(
                    "./color.png",
                    node="tiledimage",
                    uvtiling=("vector2", Gf.Vec2f(3, 2)),
                    uvoffset=("vector2", Gf.Vec2f(0.5, 0.25)),
                    realworldimagesize=("vector2", Gf.Vec2f(2, 2)),
                    realworldtilesize=("vector2", Gf.Vec2f(1, 4)),
                ),
            },
            # ((uv · tiling − offset) / image size) · tile size
            UVTransform((1.5, 4.0), 0.0, (-0.25, -0.5)),
        ),
        (
            placed("ND_multiply_vector2", in1=("vector2", From("UV")), in2=("vector2", Gf.Vec2f(2, 3))),
            UVTransform((2.0, 3.0), 0.0, (0.0, 0.0)),
        ),
        (
            placed("ND_subtract_vector2FA", in1=("vector2", From("UV")), in2=("float", 0.25)),
            UVTransform((1.0, 1.0), 0.0, (-0.25, -0.25)),
        ),
        (
            # MaterialX turns clockwise where USD turns counter-clockwise.
            placed("ND_rotate2d_vector2", **{"in": ("vector2", From("UV")), "amount": ("float", 30.0)}),
            UVTransform((1.0, 1.0), -30.0, (0.0, 0.0)),
        ),
        (
            placed(
                "ND_place2d_vector2",
                texcoord=("vector2", From("UV")),
                scale=("vector2", Gf.Vec2f(0.5, 0.25)),
                offset=("vector2", Gf.Vec2f(0.1, 0.2)),
            ),
            UVTransform((2.0, 4.0), 0.0, (-0.1, -0.2)),
        ),
    ],
    ids=["tiledimage", "multiply", "subtract", "rotate2d", "place2d"],
)
def test_texture_coordinates_become_one_transform(
    picture: Path, nodes: Mapping[str, Node], expected: UVTransform
) -> None:
    stage = write(picture, A, nodes)
    primvars = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad"))
    map1 = primvars.CreatePrimvar("map1", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
    map1.Set(primvars.GetPrimvar("st").Get())
    stage.Save()
    obj, _ = read(picture)
    assert isinstance(obj.base, TextureFile)
    assert obj.uv_primvar == "map1"
    found = obj.uv_transform
    assert found is not None
    assert found.then is None
    flat = [*found.scale, found.rotation, *found.translation]
    assert flat == pytest.approx([*expected.scale, expected.rotation, *expected.translation], abs=1e-6)


PLACED = {"pivot": (0.3, 0.6), "scale": (0.5, 0.8), "rotate": 30.0, "offset": (0.15, -0.25)}


@pytest.mark.parametrize(
    ("identifier", "order"),
    [
        ("ND_place2d_vector2", 0),
        ("ND_place2d_vector2", 1),
        ("ND_gltf_image_color3_color3_1_0", 0),
        ("ND_gltf_image_color3_color3_1_0", 1),
    ],
)
def test_a_texture_is_placed_in_the_order_that_its_node_says(
    picture: Path, identifier: str, order: int
) -> None:
    """As MaterialX's own node graphs have it; glTF's scale, turn and offset move the texture instead."""
    inputs: dict[str, tuple[str, Any]] = {
        "texcoord": ("vector2", From("UV")),
        "operationorder": ("integer", order),
        "rotate": ("float", PLACED["rotate"]),
    }
    inputs |= {name: ("vector2", Gf.Vec2f(*PLACED[name])) for name in ("pivot", "scale", "offset")}
    pivot, scale, offset = (np.array(PLACED[name]) for name in ("pivot", "scale", "offset"))
    clockwise = np.radians(PLACED["rotate"])
    nodes: dict[str, Node] = {"UV": uv()}
    if "gltf" in identifier:
        scale, clockwise, offset = 1 / scale, -clockwise, offset * (-1, 1)
        file = {"file": ("filename", Sdf.AssetPath("./color.png"))}
        nodes["A"] = Node(identifier, "color3", inputs | file, "srgb_texture")
    else:
        nodes |= {"Place": Node(identifier, "vector2", inputs), "A": image("./color.png", texcoord="Place")}
    stage = write(picture, A, nodes)
    st = np.array(UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Quad")).GetPrimvar("st").Get())
    turn = np.array([[np.cos(clockwise), -np.sin(clockwise)], [np.sin(clockwise), np.cos(clockwise)]])
    expected = (st - pivot) / scale @ turn - offset if order == 0 else (st - pivot - offset) @ turn / scale
    _, data = read(picture)
    found = data.mesh.uvs.reshape(-1, 2)
    np.testing.assert_allclose(found, (expected + pivot)[[0, 1, 2, 0, 2, 3]], atol=1e-5)


def test_a_sheared_texture_is_a_chain_of_two_transforms(picture: Path) -> None:
    nodes = {
        "UV": uv(),
        "Turn": Node(
            "ND_rotate2d_vector2", "vector2", {"in": ("vector2", From("UV")), "amount": ("float", 45.0)}
        ),
        "Grow": Node(
            "ND_multiply_vector2FA", "vector2", {"in1": ("vector2", From("Turn")), "in2": ("float", 2.0)}
        ),
        "Move": Node(
            "ND_multiply_vector2",
            "vector2",
            {"in1": ("vector2", From("Grow")), "in2": ("vector2", Gf.Vec2f(1, 0.5))},
        ),
        "A": image("./color.png", texcoord="Move"),
    }
    write(picture, A, nodes)
    obj, data = read(picture)
    # (1, 0) turns clockwise to (√½, −√½), then grows to (√2, −√½).
    assert obj.uv_transform is not None
    assert data.mesh.uvs.reshape(-1, 2).max(axis=0) == pytest.approx([2 * np.sqrt(2), np.sqrt(0.5)], abs=1e-5)
    assert data.mesh.uvs.reshape(-1, 2).min(axis=0) == pytest.approx([0, -np.sqrt(0.5)], abs=1e-5)


@pytest.mark.parametrize(
    ("mode", "wrap"),
    [("periodic", "repeat"), ("mirror", "mirror"), ("clamp", "clamp"), ("constant", "black")],
)
def test_address_modes_are_wrap_modes(picture: Path, mode: str, wrap: str) -> None:
    nodes = {"UV": uv(), "A": image("./color.png", uaddressmode=("string", mode))}
    write(picture, A, nodes)
    assert read(picture)[0].wrap == (wrap, "repeat")


@pytest.mark.parametrize(
    "node",
    [
        Node("ND_geomcolor_color3", "color3"),
        Node("ND_geompropvalue_color3", "color3", {"geomprop": ("string", "displayColor")}),
    ],
)
def test_a_primvar_is_the_color(picture: Path, node: Node) -> None:
    stage = write(picture, A, {"A": node})
    quad = UsdGeom.Mesh.Get(stage, "/World/Quad")
    colors = quad.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1), Gf.Vec3f(1, 1, 1)])
    stage.Save()
    assert read(picture)[0].base == DisplayColor("vertex", "displayColor")
    colors.SetInterpolation(UsdGeom.Tokens.constant)
    colors.Set([Gf.Vec3f(0.25, 0.5, 0.75)])
    stage.Save()
    assert read(picture)[0].base == ConstantColor((0.25, 0.5, 0.75))


def test_the_weight_of_the_base_stays_on_the_surface(picture: Path) -> None:
    write(picture, A, PLAIN, inputs={"base": ("float", 0.5)})
    obj, data = read(picture)
    assert np.array_equal(encoded_bases(data)[0], (CODES / 255).astype(np.float32))
    assert any("inputs:base" in note for note in obj.notes)


def test_a_surface_whose_color_is_not_known_is_named(picture: Path) -> None:
    stage = write(picture, A, PLAIN)
    UsdShade.Shader.Get(stage, f"{LOOK}/Surface").CreateIdAttr("ND_lama_surface")
    stage.Save()
    assert "ND_lama_surface" in reason(picture)


def test_a_preview_surface_is_read_where_the_graph_cannot_be(picture: Path) -> None:
    stage = write(picture, MIX, NOISE)
    other = define_material(stage, "/World/Looks/Other", "./color.png")
    material = UsdShade.Material.Get(stage, LOOK)
    for prim in other.GetPrim().GetChildren():
        Sdf.CopySpec(
            stage.GetRootLayer(), prim.GetPath(), stage.GetRootLayer(), f"{LOOK}/Preview{prim.GetName()}"
        )
    preview = UsdShade.Shader.Get(stage, f"{LOOK}/PreviewSurface")
    for name, target in (
        ("Surface.inputs:diffuseColor", "Texture.outputs:rgb"),
        ("Texture.inputs:st", "Reader.outputs:result"),
    ):
        stage.GetAttributeAtPath(f"{LOOK}/Preview{name}").SetConnections([f"{LOOK}/Preview{target}"])
    material.CreateSurfaceOutput().ConnectToSource(preview.GetOutput("surface"))
    stage.Save()
    obj, data = read(picture)
    assert obj.surface == "preview"
    assert any("ND_noise2d_color3" in note for note in obj.notes)
    assert np.array_equal(encoded_bases(data)[0], (CODES / 255).astype(np.float32))


def test_a_udim_set_is_read_tile_by_tile(picture: Path) -> None:
    write_tiles(picture)
    write(picture, A, {"UV": uv(), "A": image("./tile.<UDIM>.png")})
    obj, data = read(picture)
    assert obj.tiles == (1001, 1002)
    assert [float(base[0, 0, 0] * 255) for base in data.bases] == pytest.approx([51, 52])


def test_a_file_that_is_a_string_is_refused_and_no_black(picture: Path) -> None:
    stage = write(picture, A, PLAIN)
    image_node = UsdShade.Shader.Get(stage, f"{LOOK}/A")
    image_node.GetPrim().RemoveProperty("inputs:file")
    image_node.CreateInput("file", Sdf.ValueTypeNames.String).Set("./color.png")
    stage.Save()
    assert reason(picture) == (
        f"{LOOK}/A.inputs:file is of type string, whose path USD cannot find from its layer; author it as an "
        "asset."
    )
