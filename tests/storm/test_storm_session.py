"""A look in the session alone: the same picture, over whatever the stage itself says."""

from pathlib import Path

import numpy as np
import pytest
from conftest import unchanged
from pxr import Usd, UsdShade

from .storm_results import SIZE, STYLE, ZOOM, T, decode, render, stylize, texels_in_picture
from .storm_scenes import Paint, make_stage, write_image

pytestmark = pytest.mark.storm


def test_a_session_layer_beats_local_opinions(tmp_path: Path) -> None:
    here = tmp_path / "show"
    here.mkdir()
    write_image(here / "T.png", T)
    make_stage(here / "shot.usda", Paint("./T.png")).Save()
    shot = Usd.Stage.Open(str(here / "shot.usda"))
    paint = UsdShade.Material.Get(shot, "/World/Looks/Paint")
    for purpose in ("", "preview", "full"):
        binding = UsdShade.MaterialBindingAPI(shot.GetPrimAtPath("/World/Triangle"))
        binding.Bind(paint, UsdShade.Tokens.strongerThanDescendants, purpose)
    shot.Save()
    with unchanged(here):
        root, _ = stylize(here / "shot.usda", output=tmp_path / "looks")
        session = root.with_name("shot.style.usda")
        common = {"stage": str(here / "shot.usda"), "width": SIZE * ZOOM, "unlit": True}
        shown = common | {"session": str(session)}
        live, bake, source = render(tmp_path, [dict(shown), shown | {"preview": True}, dict(common)])
    centred, rows, columns = texels_in_picture(SIZE * ZOOM, 0, 1, None)
    wanted = decode(np.clip(T + STYLE, 0, 1))[rows, columns]
    assert np.abs(live - wanted)[centred].max() <= 0.002
    assert np.abs(bake - wanted)[centred].max() <= 0.008
    assert np.abs(source - decode(T)[rows, columns])[centred].max() <= 0.002
