"""Purposes in Storm, of prims and of bindings: a proxy shows its render mesh's texture, guides stay."""

from pathlib import Path

import numpy as np
import pytest
from author_results import problems
from pxr import Gf, Usd, UsdGeom, UsdShade

from usdstylize.usd import verify

from .storm_results import SIZE, STYLE, ZOOM, T, decode, render
from .storm_results import stylize as write_one
from .storm_scenes import Paint, add_material, make_stage, write_image
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


@pytest.mark.parametrize("purpose", ["full", "preview"])
def test_a_purpose_without_a_material_shows_display_color_as_before(tmp_path: Path, purpose: str) -> None:
    """Storm draws what is bound for previews; a layer of the test's binds what final renders show."""
    path = tmp_path / "case.usda"
    source = make_stage(path, Paint("./T.png"))
    write_image(tmp_path / "T.png", T)
    mesh = source.GetPrimAtPath("/World/Triangle")
    UsdGeom.Gprim(mesh).CreateDisplayColorPrimvar("constant").Set([Gf.Vec3f(0.1, 0.4, 0.2)])
    mesh.RemoveProperty("material:binding")
    paint = UsdShade.Material.Get(source, "/World/Looks/Paint")
    UsdShade.MaterialBindingAPI(mesh).Bind(paint, materialPurpose=purpose)
    source.Save()
    root, _ = write_one(path)
    assert [str(check) for check in verify.verify(root).failed] == []
    assert problems(root) == []
    look = "/World/StylizedLooks/World__Triangle"
    jobs = []
    for name in ("preview", "full"):
        for stage, variant in ((path, ""), (root, "original"), (root, "ink")):
            shown = tmp_path / f"{name}_{stage.stem}_{variant}.usda"
            layer = Usd.Stage.CreateNew(str(shown))
            layer.GetRootLayer().subLayerPaths = [f"./{stage.name}"]
            api = UsdShade.MaterialBindingAPI.Apply(layer.OverridePrim("/World/Triangle"))
            bound = api.ComputeBoundMaterial(name)[0]
            for each in ("full", "preview"):
                api.GetPrim().CreateRelationship(f"material:binding:{each}").SetTargets([])
            if bound:
                api.Bind(bound)
            layer.GetRootLayer().Save()
            jobs.append({"stage": str(shown), "width": SIZE * ZOOM})
            if variant:
                jobs[-1]["variants"] = {look: variant}
    pictures = render(tmp_path, jobs)
    across, down = np.meshgrid(np.arange(SIZE * ZOOM), np.arange(SIZE * ZOOM))
    aside = np.abs(across - down) > 2
    for name, (before, original, styled) in zip(
        ("preview", "full"), (pictures[:3], pictures[3:]), strict=True
    ):
        assert np.abs(original - before)[aside].max() <= 0.002, name
        changed = np.abs(styled - before)[aside].mean()
        assert changed > 0.1 if name == purpose else changed == 0, name
