"""A stage whose base colour is a UDIM set, for the tests."""

from pathlib import Path

from conftest import build_tiny_stage, define_material, define_quad
from PIL import Image
from pxr import Usd, UsdGeom

TILES = {1001: (200, 40, 30), 1002: (20, 160, 40), 1012: (30, 60, 190)}


def build_udim_stage(folder: Path, tiles: dict[int, tuple[int, int, int]] = TILES) -> Path:
    """A mesh of one quad per tile 1001, 1002, 1012, each showing the whole of its tile."""
    path = build_tiny_stage(folder)
    for tile, color in tiles.items():
        Image.new("RGB", (8, 8), color).save(folder / "textures" / f"T.{tile}.png")
    opened = Usd.Stage.Open(str(path))
    for name in ("Left", "Right"):
        opened.RemovePrim(f"/World/{name}")
    material = define_material(opened, "/World/Looks/Tiles", "./textures/T.<UDIM>.png")
    mesh = define_quad(opened, "/World/Body", material)
    corners = [
        (u + x, v + y) for u, v in ((0, 0), (1, 0), (1, 1)) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))
    ]
    mesh.GetPointsAttr().Set([(x, y, 0.0) for x, y in corners])
    mesh.GetExtentAttr().Set([(0, 0, 0), (2, 2, 0)])
    mesh.GetFaceVertexCountsAttr().Set([4, 4, 4])
    mesh.GetFaceVertexIndicesAttr().Set(list(range(12)))
    UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").Set(corners)
    opened.Save()
    return path
