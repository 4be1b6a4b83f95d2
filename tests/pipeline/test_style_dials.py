"""The dials of a style, from the command to what is written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest
from author_results import hold, problems
from conftest import unchanged

from usdstylize import Options, stylize
from usdstylize.errors import StyleSetError

QUICK = Options(preset="draft", device="cpu", iterations=2, texture_resolution=32, mask=("/World/Left",))


def offsets(stage: Path) -> np.ndarray:
    (path,) = stage.parent.rglob("*.TS.exr")
    return np.asarray(OpenImageIO.ImageBuf(str(path)).get_pixels(OpenImageIO.FLOAT))


def test_a_run_with_every_dial_is_valid_and_says_how_it_was_made(
    tiny_stage: Path, style_folder: Path
) -> None:
    images = sorted(path.name for path in style_folder.iterdir())
    options = replace(
        QUICK,
        color_start=0.7,
        keep_light=0.2,
        variety=1.0,
        style_colors=0.5,
        style_weight=(f"{images[0]}=2",),
    )
    with unchanged(tiny_stage.parent, may_add=True):
        result = stylize(tiny_stage, style_folder, options)
    assert (result.failed, result.problems) == ((), ())
    assert result.root_layer is not None
    hold(result.root_layer)
    assert problems(result.root_layer) == []
    settings = json.loads(next(tiny_stage.parent.rglob("run.json")).read_text())["plan"]["settings"]
    assert {name: settings[name] for name in ("color_start", "keep_light", "variety", "style_colors")} == {
        "color_start": 0.7,
        "keep_light": 0.2,
        "variety": 1.0,
        "style_colors": 0.5,
    }
    assert settings["style_weights"] == [2.0, *[1.0] * (len(images) - 1)]


def test_strokes_in_the_originals_colours_move_all_channels_alike(
    tiny_stage: Path, style_folder: Path
) -> None:
    assert stylize(tiny_stage, style_folder, replace(QUICK, style_colors=0.0)).failed == ()
    found = offsets(tiny_stage)
    assert found.std() > 0.01
    np.testing.assert_allclose(found, found[..., :1].repeat(found.shape[-1], -1), atol=1e-3)  # half floats


def test_weights_of_no_image_write_nothing(tiny_stage: Path, style_folder: Path) -> None:
    with unchanged(tiny_stage.parent), pytest.raises(StyleSetError, match=r"no image named sun\.png"):
        stylize(tiny_stage, style_folder, replace(QUICK, style_weight=("sun.png=2",)))
