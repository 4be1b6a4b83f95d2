"""A result packed as one .usdz shows the sum in Storm and in Blender; its source may be a .usdz, too."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, UsdUtils

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
