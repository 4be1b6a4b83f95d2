"""Purposes in Storm: a proxy shows its render mesh's texture, guides stay as they are."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, UsdGeom

from .storm_results import SIZE, STYLE, ZOOM, T, decode, render
from .storm_scenes import Paint, add_material, write_image
from .test_storm_instances import (
    LOWER_LEFT,
    OTHER,
    UPPER_LEFT,
    UPPER_RIGHT,
    add_quad,
    new_shot,
    quarter,
    stylize,
)

pytestmark = pytest.mark.storm


def test_render_and_proxy_show_one_texture_and_guides_none(tmp_path: Path) -> None:
    shot = new_shot(tmp_path)
    paint = add_material(shot, "/World/Looks/Paint", Paint("./T.png"))
    other = add_material(shot, "/World/Looks/Other", Paint("./other.png"))
    for name, at, material in (
        ("proxy", LOWER_LEFT, paint),
        ("render", LOWER_LEFT, paint),
        ("guide", UPPER_RIGHT, other),
        ("hidden", UPPER_LEFT, other),
    ):
        add_quad(shot, f"/World/{name}/Quad", material)
        xform = UsdGeom.Xform.Define(shot, f"/World/{name}")
        xform.AddTranslateOp().Set(Gf.Vec3d(*at, 0))
        if name != "hidden":
            xform.CreatePurposeAttr(name)
    UsdGeom.Imageable(shot.GetPrimAtPath("/World/render")).SetProxyPrim(shot.GetPrimAtPath("/World/proxy"))
    UsdGeom.Imageable(shot.GetPrimAtPath("/World/hidden")).MakeInvisible()
    shot.Save()
    write_image(tmp_path / "T.png", T)
    root = stylize(tmp_path, purposes=("default", "render", "proxy"))
    common = {"stage": str(root), "width": 2 * SIZE * ZOOM, "unlit": True}
    jobs = [
        common | {"purposes": ["default", purpose, "guide"], "preview": preview}
        for purpose in ("render", "proxy")
        for preview in (False, True)
    ]
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    aside = (np.abs(SIZE - 1 - across - down) > 1) & (np.minimum(across, down) > 0)
    aside &= np.maximum(across, down) < SIZE - 1
    total, untouched = decode(np.clip(T + STYLE, 0, 1)), decode(OTHER)
    pictures = render(tmp_path, jobs)
    for live in pictures[0::2]:
        assert np.abs(quarter(live, LOWER_LEFT) - total)[aside].max() <= 0.002
    for bake in pictures[1::2]:
        assert np.abs(quarter(bake, LOWER_LEFT) - total)[aside].max() <= 0.008
    for picture in pictures:
        assert np.abs(quarter(picture, UPPER_RIGHT) - untouched)[aside].max() <= 0.002
        assert quarter(picture, UPPER_LEFT).max() == 0
