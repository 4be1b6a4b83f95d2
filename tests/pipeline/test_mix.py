"""A run that makes a style anew which is part of a mix."""

import shutil
from pathlib import Path

from author_results import hold
from pxr import Usd

import usdstylize
from usdstylize import Options

QUICK = Options(preset="draft", device="cpu", texture_resolution=32, iterations=2, mask=("/World/Left",))


def test_a_mix_follows_a_style_that_is_made_anew(tiny_stage: Path, style_folder: Path) -> None:
    oil = Path(shutil.copytree(style_folder, style_folder.with_name("oil")))
    for style in (style_folder, oil):
        result = usdstylize.stylize(tiny_stage, style, QUICK)
    assert result.root_layer is not None
    usdstylize.mix(result.root_layer, {"oil": 0.7, "ink_stripes": 0.4})
    bake = tiny_stage.parent / "tiny.style/mix/World__Left/World__Left.mix.baked.png"
    before = bake.read_bytes()
    again = usdstylize.stylize(tiny_stage, oil, Options(**{**vars(QUICK), "seed": 7, "force": True}))
    assert again.problems == ()
    assert again.remarks == ("The mix of 1 object was written anew, from the new style textures.",)
    assert bake.read_bytes() != before
    hold(result.root_layer)
    opened = Usd.Stage.Open(str(result.root_layer))
    look = opened.GetPrimAtPath("/World/StylizedLooks/World__Left")
    assert look.GetVariantSet("style").GetVariantSelection() == "oil"
