"""Storm's pixels of UDIM sets and of objects that share a look."""

from pathlib import Path

import numpy as np
import pytest
from pxr import UsdShade

from usdstylize import Options, inspect
from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.usd import read, write

from .storm_results import SIZE, ZOOM, decode, render
from .storm_scenes import Paint, add_mesh, bind, make_stage, write_image

pytestmark = pytest.mark.storm

TILES = (1001, 1002, 1011, 1012)


def codes(seed: int) -> np.ndarray:
    """Random 8-bit codes over 255."""
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3)) / 255


def signed(seed: int) -> np.ndarray:
    """A random T_S that half floats hold exactly."""
    values = np.random.default_rng(100 + seed).uniform(-0.5, 0.5, (SIZE, SIZE, 3))
    return values.astype(np.float16).astype(np.float32)


def author_all(root: Path, options: Options) -> Path:
    """Each look and tile gets ``signed`` of its number, in order."""
    contents = inspect(root, options)
    assert [str(skipped) for skipped in contents.skipped] == []
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for obj in contents.objects:
            images = tuple(signed(number) for number in range(len(obj.tiles) or 1))
            texture = StyleTexture(images, 1.0, 1, 0, 0.0, Losses({}, 0))
            writer.write_object(obj, read.load(contents, obj), texture)
        return writer.commit({})


def square(left: float, bottom: float, side: float) -> list[tuple[float, float]]:
    """Corners of the two triangles of a square."""
    right, top = left + side, bottom + side
    return [(left, bottom), (right, bottom), (left, top), (right, top), (left, top), (right, bottom)]


def away_from_edges(side: int) -> np.ndarray:
    """Texels of a square of ``side`` that its outline and its diagonal do not touch."""
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    inside = (np.minimum(across, down) > 0) & (np.maximum(across, down) < side - 1)
    return inside & (np.abs(across - down) > 1) & (np.abs(side - 1 - across - down) > 1)


def test_each_tile_of_a_udim_set_shows_its_own_sum(tmp_path: Path) -> None:
    for number, tile in enumerate(TILES):
        write_image(tmp_path / f"T.{tile}.png", codes(number))
    source = make_stage(tmp_path / "udim.usda", Paint("./T.<UDIM>.png", wrap=("clamp", "clamp")))
    looks = source.GetPrimAtPath("/World/Looks/Paint")
    source.RemovePrim("/World/Triangle")
    corners = [corner for v in (-1, 0) for u in (-1, 0) for corner in square(u, v, 1)]
    mesh = add_mesh(source, corners, "st", (0.0, 2.0))
    bind(mesh.GetPrim(), UsdShade.Material(looks))
    source.Save()
    root = author_all(tmp_path / "udim.usda", Options())
    jobs = [
        {"stage": str(where), "width": 2 * SIZE * ZOOM, "unlit": True}
        for where in (root, tmp_path / "udim.usda")
    ]
    shown, plain = (picture[1::ZOOM, 1::ZOOM] for picture in render(tmp_path, jobs))
    for number, (row, column) in enumerate(((1, 0), (1, 1), (0, 0), (0, 1))):
        part = np.s_[row * SIZE : (row + 1) * SIZE, column * SIZE : (column + 1) * SIZE]
        inside = away_from_edges(SIZE)
        reference = decode(np.clip(codes(number) + signed(number), 0, 1))
        assert np.abs(plain[part] - decode(codes(number)))[inside].max() <= 0.002, "the source itself"
        assert np.abs(shown[part] - reference)[inside].max() <= 0.008


def test_objects_that_share_a_look_show_one_sum(tmp_path: Path) -> None:
    """Two meshes that read the two halves of one texture through one material."""
    write_image(tmp_path / "T.png", codes(7))
    source = make_stage(tmp_path / "shared.usda", Paint("./T.png"))
    material = UsdShade.Material.Get(source, "/World/Looks/Paint")
    source.RemovePrim("/World/Triangle")
    for name, left in (("Left", -1), ("Right", 0)):
        corners = [*square(left, -1, 1), *square(left, 0, 1)]
        mesh = add_mesh(source, corners, "st", (0.0, 1.0), path=f"/World/{name}")
        bind(mesh.GetPrim(), material)
    source.Save()
    root = author_all(tmp_path / "shared.usda", Options(share_materials=True))
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    live, bake = (
        picture[1::ZOOM, 1::ZOOM] for picture in render(tmp_path, [common, common | {"preview": True}])
    )
    half = away_from_edges(SIZE // 2)
    inside = np.block([[half, half], [half, half]])
    reference = decode(np.clip(codes(7) + signed(0), 0, 1))
    assert np.abs(live - reference)[inside].max() <= 0.002
    assert np.abs(bake - reference)[inside].max() <= 0.008
