"""A quad with a MaterialX look, and what is read of its base colour."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from conftest import define_quad, unchanged
from encoded import encoded_bases
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from PIL import Image
from pxr import Usd, UsdGeom

from usdstylize.model.objects import ObjectData, StageObject
from usdstylize.usd import read as reading

__all__ = [
    "CODES",
    "LOOK",
    "NOISE",
    "PLAIN",
    "decode",
    "linear_of",
    "read",
    "reason",
    "write",
    "write_pictures",
    "write_tiles",
]

LOOK = "/World/Looks/Paint"
CODES = np.array([[[200, 30, 10], [20, 180, 40]], [[15, 25, 220], [120, 130, 140]]], np.uint8)
"""2 × 2 texels: red and green on top, blue and grey below."""
NOISE = {"UV": uv(), "Mix": Node("ND_noise2d_color3", "color3", {"texcoord": ("vector2", From("UV"))})}
"""A node that no texture space can evaluate."""
PLAIN = {"UV": uv(), "A": image("./color.png")}


def write_pictures(folder: Path) -> Path:
    """``color.png`` of `CODES`, and ``inverse.png``."""
    Image.fromarray(CODES).save(folder / "color.png")
    Image.fromarray(255 - CODES).save(folder / "inverse.png")
    return folder


def write_tiles(folder: Path) -> None:
    for tile in (1001, 1002):
        Image.fromarray(np.full((4, 4, 3), tile - 950, np.uint8)).save(folder / f"tile.{tile}.png")


def write(folder: Path, color: Any, nodes: Mapping[str, Node] | None = None, **options: Any) -> Usd.Stage:
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    material = add_mtlx_material(stage, LOOK, color, nodes, **options)
    define_quad(stage, "/World/Quad", material)
    stage.Save()
    return stage


def read(folder: Path) -> tuple[StageObject, ObjectData]:
    with unchanged(folder):
        contents = reading.discover(folder / "scene.usda")
        assert contents.skipped == ()
        return contents.objects[0], reading.load(contents, contents.objects[0])


def reason(folder: Path) -> str:
    contents = reading.discover(folder / "scene.usda")
    assert contents.objects == ()
    return contents.skipped[0].reason


def decode(code: Any) -> Any:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def linear_of(data: ObjectData) -> Any:
    return decode(encoded_bases(data)[0].astype(np.float64))
