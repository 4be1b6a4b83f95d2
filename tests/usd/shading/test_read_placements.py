"""Texture coordinates that pass vectors of three and single numbers, against values worked out by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mtlx_reading import LOOK, read, reason, write, write_pictures, write_tiles
from mtlx_scenes import From, Node, image, uv
from pxr import Gf

from usdstylize.model.base_colors import TextureFile

UV, A = From("UV"), From("A")
ROOT = np.sqrt(3) / 2


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write_pictures(tmp_path)


def three(operation: str, **inputs: tuple[str, Any]) -> Node:
    return Node(f"ND_{operation}_vector3", "vector3", inputs)


def turn(source: str, axis: int, degrees: float) -> Node:
    unit = Gf.Vec3f(*(float(axis == each) for each in range(3)))
    value = {"in": ("vector3", From(source)), "axis": ("vector3", unit), "amount": ("float", degrees)}
    return Node("ND_rotate3d_vector3", "vector3", value)


def mapping(
    rotation: tuple[float, float, float],
    scale: tuple[float, float, float] = (1, 1, 1),
    location: tuple[float, float, float] = (0, 0, 0),
) -> dict[str, Node]:
    """Blender's Mapping node as its exporter lays it out, before an image that loses its alpha."""
    return {
        "UV": Node("ND_texcoord_vector2", "vector2"),
        "Three": Node("ND_convert_vector2_vector3", "vector3", {"in": ("vector2", UV)}),
        "Scale": three("multiply", in1=("vector3", From("Three")), in2=("vector3", Gf.Vec3f(*scale))),
        "X": turn("Scale", 0, rotation[0]),
        "Y": turn("X", 1, rotation[1]),
        "Z": turn("Y", 2, rotation[2]),
        "Move": three("add", in1=("vector3", From("Z")), in2=("vector3", Gf.Vec3f(*location))),
        "Two": Node("ND_convert_vector3_vector2", "vector2", {"in": ("vector3", From("Move"))}),
        "Image": image("./color.png", kind="color4", texcoord="Two"),
        "A": Node("ND_convert_color4_color3", "color3", {"in": ("color4", From("Image"))}),
    }


def one_by_one(**parts: Any) -> dict[str, Node]:
    """The coordinates taken apart and joined from ``parts``; U and V are the single ones."""
    apart = Node("ND_separate2_vector2", "float", {"in": ("vector2", UV)}, output="outx")
    second = Node("ND_extract_vector2", "float", {"in": ("vector2", UV), "index": ("integer", 1)})
    joined = {name: value for name, value in parts.items() if name in ("in1", "in2")}
    return {
        "UV": uv(),
        "Apart": apart,
        "V": second,
        **{name: value for name, value in parts.items() if name not in joined},
        "Two": Node("ND_combine2_vector2", "vector2", joined),
        "A": image("./color.png", texcoord="Two"),
    }


U, V = ("float", From("Apart", "outx")), ("float", From("V"))
FLIP = Node("ND_invert_float", "float", {"in": V})
GROWN = Node("ND_multiply_float", "float", {"in1": ("float", 3.0), "in2": U})
SUM = {
    "UV": uv(),
    "Half": Node("ND_multiply_vector2FA", "vector2", {"in1": ("vector2", UV), "in2": ("float", 0.5)}),
    "Two": Node("ND_subtract_vector2", "vector2", {"in1": ("vector2", UV), "in2": ("vector2", From("Half"))}),
    "A": image("./color.png", texcoord="Two"),
}


def diamonds() -> dict[str, Node]:
    """25 times added to itself and halved: 2²⁵ ways lead to the primvar."""
    nodes = {"Half0": uv()}
    for number in range(25):
        both = {name: ("vector2", From(f"Half{number}")) for name in ("in1", "in2")}
        nodes[f"Sum{number}"] = Node("ND_add_vector2", "vector2", both)
        half = {"in1": ("vector2", From(f"Sum{number}")), "in2": ("float", 0.5)}
        nodes[f"Half{number + 1}"] = Node("ND_multiply_vector2FA", "vector2", half)
    return {**nodes, "A": image("./color.png", texcoord="Half25")}


SWAPPED = {
    "UV": uv(),
    "Two": Node(
        "ND_swizzle_vector2_vector2", "vector2", {"in": ("vector2", UV), "channels": ("string", "yx")}
    ),
    "A": image("./color.png", texcoord="Two"),
}


@pytest.mark.parametrize(
    ("nodes", "corners"),
    [
        # Where (0, 0), (1, 0) and (1, 1) come to. MaterialX turns clockwise, seen from where the axis points.
        (
            mapping((0, 0, 0), (2, 3, 5), (0.25, 0.5, 9)),
            [(0.25, 0.5), (2.25, 0.5), (2.25, 3.5)],
        ),
        (mapping((0, 0, 90)), [(0, 0), (0, -1), (1, -1)]),
        (mapping((60, 0, 0)), [(0, 0), (1, 0), (1, 0.5)]),
        (mapping((0, 60, 0)), [(0, 0), (0.5, 0), (0.5, 1)]),
        # About x by 60° (0, 1, 0) becomes (0, ½, −√¾), and about y by 30° that has x = −(−√¾)·½ and y = ½;
        # (1, 0, 0) becomes (√¾, 0, ½) there.
        (mapping((60, 30, 0)), [(0, 0), (ROOT, 0), (ROOT + ROOT / 2, 0.5)]),
        (one_by_one(Flip=FLIP, in1=U, in2=("float", From("Flip"))), [(0, 1), (1, 1), (1, 0)]),
        (one_by_one(Grown=GROWN, in1=("float", From("Grown")), in2=V), [(0, 0), (3, 0), (3, 1)]),
        (one_by_one(in1=V, in2=U), [(0, 0), (0, 1), (1, 1)]),
        (SUM, [(0, 0), (0.5, 0), (0.5, 0.5)]),
        (SWAPPED, [(0, 0), (0, 1), (1, 1)]),
        (diamonds(), [(0, 0), (1, 0), (1, 1)]),
    ],
    ids=[
        "flat",
        "z",
        "x",
        "y",
        "x and y",
        "flipped",
        "scaled",
        "swapped",
        "minus its half",
        "swizzled",
        "diamonds",
    ],
)
def test_affine_coordinates_are_exact(
    picture: Path, nodes: Mapping[str, Node], corners: list[tuple[float, float]]
) -> None:
    write(picture, A, nodes)
    obj, data = read(picture)
    assert isinstance(obj.base, TextureFile)
    assert (obj.surface, obj.uv_primvar) == ("mtlx", "st")
    np.testing.assert_allclose(data.mesh.uvs[0], corners, atol=1e-6)


def test_an_image_that_loses_its_alpha_may_be_a_udim_set(picture: Path) -> None:
    """As every image of Blender does."""
    write_tiles(picture)
    nodes = mapping((0, 0, 0)) | {"Image": image("./tile.<UDIM>.png", kind="color4", texcoord="Two")}
    write(picture, A, nodes)
    obj, data = read(picture)
    assert obj.tiles == (1001, 1002)
    assert [float(base[0, 0, 0] * 255) for base in data.bases] == pytest.approx([51, 52])


def long_chain() -> dict[str, Node]:
    moves = {
        f"N{number}": Node(
            "ND_add_vector2FA", "vector2", {"in1": ("vector2", From(f"N{number - 1}")), "in2": ("float", 0.1)}
        )
        for number in range(1, 1000)
    }
    return {"N0": uv(), **moves, "A": image("./color.png", texcoord="N999")}


TWO_SETS = {
    "UV": uv(),
    "Other": uv("map1"),
    "Two": Node("ND_add_vector2", "vector2", {"in1": ("vector2", UV), "in2": ("vector2", From("Other"))}),
    "A": image("./color.png", texcoord="Two"),
}
SQUARED = {
    "UV": uv(),
    "Two": Node("ND_multiply_vector2", "vector2", {"in1": ("vector2", UV), "in2": ("vector2", UV)}),
    "A": image("./color.png", texcoord="Two"),
}
NO_AXIS = mapping((0, 0, 0)) | {
    "X": Node(
        "ND_rotate3d_vector3",
        "vector3",
        {"in": ("vector3", From("Scale")), "axis": ("vector3", Gf.Vec3f(0)), "amount": ("float", 30.0)},
    )
}
THREE = mapping((0, 0, 0)) | {"Image": image("./color.png", kind="color4", texcoord="Move")}
CONSTANT = mapping((0, 0, 0)) | {"Scale": three("constant", value=("vector3", Gf.Vec3f(0.5)))}


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        (
            mapping((90, 0, 0)),
            f"The base colour of {LOOK}/Surface squeezes its texture coordinates to a line; mend its scale "
            "or rotation.",
        ),
        (NO_AXIS, f"Shader {LOOK}/X turns about an axis of length 0; give it one."),
        (
            TWO_SETS,
            f"Shader {LOOK}/Two mixes texture coordinates of primvars:map1 and primvars:st; feed it with one "
            "of them.",
        ),
        (
            SQUARED,
            f"Texture coordinates come through {LOOK}/Two (ND_multiply_vector2), which is no scaling, "
            "rotation or translation of a primvar; connect those.",
        ),
        (
            THREE,
            f"{LOOK}/Image (ND_image_color4) has texture coordinates that do not fit its inputs; mend them.",
        ),
        (
            CONSTANT,
            f"Shader {LOOK}/Image has its inputs:texcoord set to one value, so its whole texture shows one "
            "texel; connect texture coordinates.",
        ),
        (
            long_chain(),
            f"Texture coordinates pass more than 60 nodes from {LOOK}/N939 to the image; join some.",
        ),
    ],
    ids=["to a line", "no axis", "two sets", "squared", "three", "constant", "long chain"],
)
def test_other_coordinates_are_refused_by_name(
    picture: Path, nodes: Mapping[str, Node], sentence: str
) -> None:
    write(picture, A, nodes)
    assert reason(picture) == sentence
