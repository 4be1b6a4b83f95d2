"""A result packed as one .usdz shows the sum in Storm and in Blender; its source may be a .usdz, too."""

from pathlib import Path

import numpy as np
import pytest
from author_results import texture, write_result
from conftest import build_tiny_stage
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdUtils

from usdstylize.usd import write

from . import blender_results as blender
from .storm_results import SIZE, STYLE, ZOOM, T, decode, render, stylize, texels_in_picture
from .storm_scenes import Paint, make_stage, write_image

pytestmark = pytest.mark.storm


@pytest.mark.parametrize("source_is_packed", [False, True])
def test_a_package_shows_the_sum(source_is_packed: bool, tmp_path: Path) -> None:
    here = tmp_path / "show"
    here.mkdir()
    write_image(here / "T.png", T)
    make_stage(here / "shot.usda", Paint("./T.png")).Save()
    source = here / "shot.usda"
    if source_is_packed:
        source = tmp_path / "shot.usdz"
        assert UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(here / "shot.usda")), str(source))
    root, _ = stylize(source)
    package = tmp_path / "result.usdz"
    assert write.write_package(root, package) == ()
    common = {"stage": str(package), "width": SIZE * ZOOM, "unlit": True}
    live, bake = render(tmp_path, [dict(common), common | {"preview": True}])
    (shown,) = blender.render(tmp_path, [{"stage": str(package), "width": SIZE * ZOOM}])
    centred, rows, columns = texels_in_picture(SIZE * ZOOM, 0, 1, None)
    wanted = decode(np.clip(T + STYLE, 0, 1))[rows, columns]
    assert np.abs(live - wanted)[centred].max() <= 0.002
    assert np.abs(bake - wanted)[centred].max() <= 0.008
    assert np.abs(shown - wanted)[centred].max() <= 0.01


def test_every_object_of_a_package_wears_its_own_bake_in_blender(tmp_path: Path) -> None:
    """Blender unpacks the files of a package by their base names alone."""
    stage = build_tiny_stage(tmp_path / "shot")  # quads from x = 0 to 1 and from 2 to 3
    opened = Usd.Stage.Open(str(stage))
    camera = UsdGeom.Camera.Define(opened, "/World/Camera")
    camera.CreateProjectionAttr(UsdGeom.Tokens.orthographic)
    camera.CreateHorizontalApertureAttr(30.0)
    camera.CreateVerticalApertureAttr(30.0)
    camera.AddTranslateOp().Set(Gf.Vec3d(1.5, 0.5, 5))
    Image.new("RGB", (8, 8), (51, 51, 51)).save(stage.parent / "textures" / "color.png")
    opened.Save()
    added = {"/World/Left": 0.2, "/World/Right": 0.6}
    root = write_result(
        stage, made=lambda obj: texture(np.full((8, 8, 3), np.float32(added[obj.path]), np.float32))
    )
    package = tmp_path / "result.usdz"
    assert write.write_package(root, package) == ()
    (shown,) = blender.render(tmp_path, [{"stage": str(package), "width": 30}])
    for place, (path, offset) in zip((5, 25), added.items(), strict=True):
        wanted = decode(np.full(3, 0.2 + offset))
        assert np.abs(shown[15, place] - wanted).max() <= 0.01, path
