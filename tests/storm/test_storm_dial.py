"""Storm's pixels of another strength: by hand, live on one class for all objects, and baked by `dial`."""

from pathlib import Path

import numpy as np
import pytest
from author_results import hold, texture
from conftest import unchanged
from pxr import Sdf

import usdstylize
from usdstylize.usd import read, write

from .storm_results import SIZE, STYLE, ZOOM, Array, decode, render
from .test_storm_mix import BASES, UDIM, difference, make_source

pytestmark = pytest.mark.storm

CLASS = "/_class_Stylized"


def by_hand(base: Array, strength: float) -> Array:
    """(SIZE, SIZE, 3) linear. base: T, sRGB-encoded."""
    return decode(np.clip(base + strength * STYLE, 0, 1))


def stylised(source: Path) -> Path:
    contents = read.discover(source)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for obj in contents.objects:
            images = [STYLE.astype(np.float32)] * (len(obj.tiles) or 1)
            writer.write_object(obj, read.load(contents, obj), texture(*images))
        return writer.commit({})


def set_master(file: Path, strength: float | None) -> None:
    """Of the style layer, as an artist's hand would; None for none."""
    layer = Sdf.Layer.FindOrOpen(str(file))
    spec = Sdf.CreatePrimInLayer(layer, CLASS)
    for dial in list(spec.properties):
        spec.RemoveProperty(dial)
    if strength is not None:
        Sdf.AttributeSpec(spec, "inputs:strength", Sdf.ValueTypeNames.Float).default = strength
    layer.Save()


def test_one_class_dials_all_live_and_dial_bakes_it(tmp_path: Path) -> None:
    folder = tmp_path / "shot"
    folder.mkdir()
    root = stylised(make_source(folder))
    style = folder / "mix.style.usda"
    live = {"stage": str(root), "width": 3 * SIZE * ZOOM, "unlit": True}
    pictures = {}
    for strength in (0.0, 0.35, 1.5, None):
        set_master(style, strength)
        hold(root)
        (pictures[strength],) = render(tmp_path, [live])
    for strength, picture in pictures.items():
        for cell, base in BASES.items():
            is_live = strength is not None and cell not in UDIM
            expected = by_hand(base, strength if is_live else 1.0)
            assert difference(picture, cell, expected) <= (0.008 if cell in UDIM else 0.002), (cell, strength)

    set_master(style, 0.9)
    with unchanged(*folder.glob("*.png"), folder / "mix.usda", folder / "asset.usda"):
        dialled = usdstylize.dial(root, 0.35)
    assert (len(dialled.objects), dialled.failed) == (7, ())
    hold(root)
    picture, bake = render(tmp_path, [live, live | {"preview": True}])
    for cell, base in BASES.items():
        assert difference(bake, cell, by_hand(base, 0.35)) <= 0.008, cell
        assert difference(picture, cell, by_hand(base, 0.35)) <= (0.008 if cell in UDIM else 0.002), cell

    usdstylize.dial(root, 1.0, ["/World/Quad0", "/World/A0"])
    hold(root)
    picture, bake = render(tmp_path, [live, live | {"preview": True}])
    for cell, base in BASES.items():
        strength = 1.0 if cell in ((0, 0), (1, 0), (1, 1)) else 0.35  # two instances share one material
        assert difference(bake, cell, by_hand(base, strength)) <= 0.008, cell
        assert difference(picture, cell, by_hand(base, strength)) <= (0.008 if cell in UDIM else 0.002), cell
