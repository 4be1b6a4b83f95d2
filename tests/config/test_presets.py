"""The presets' values: the paper's own, number by number, and ours where a change must be on purpose."""

import dataclasses

import pytest

from usdstylize.config.options import Options
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.errors import OptionsError
from usdstylize.model.objects import PatternWidth

SUPPLEMENT = {
    # "batch size 8 with learning rate 10^-2"
    "batch": 8,
    "learning_rate": (1e-2, 1e-2),
    # "camera distances based on the model and angles randomized in the sphere around the model";
    # Figure 2 shows 1, 2 and 4, of which 1 touches the object
    "camera_distance": (2.0, 4.0),
    # every element of every batch is drawn anew
    "view_pool": 0,
    # "the power of the point light was fixed to 2", "radiuses in the range of [3,5]"
    "light_power": 2.0,
    "light_distance": (3.0, 5.0),
    # no other light is named
    "ambient": 0.0,
    # "a Phong material model with roughness set to 2"
    "phong_exponent": 2.0,
    "resolution": 512,
    "texture_resolution": 1024,
    "texture_hierarchy": (),
    "direct_texture": False,
    "field": False,
    # "λnnfm = 10^4, λcontent = 22", "2000 but then reduced during the training duration"
    "nnfm_weight": 1e4,
    "content_weight": 22.0,
    "palette_weight": (2000.0, 200.0),
    # Eq. 3: L2, for each pixel of the summed texture
    "palette_squared": False,
    "palette_everywhere": True,
    # Eq. 1: content has one weight for all of an object
    "keep_detail": 0.0,
    # Eq. 2: the minimum over the style's features alone; "the style texture is initialized" to nothing
    "variety": 0.0,
    "style_colors": 1.0,
    "color_start": 0.0,
    # Eq. 2: over all M features; all of the style's are compared
    "object_only": False,
    "style_keys": 0,
    # §3: CLIP RN50 for the style, its raw convolutions; VGG16 for the content, without the style behind
    "encoder": "clip-rn50",
    "bn_relu": False,
    "style_loss": "nnfm",
    "content_encoder": "vgg16",
    "content_on_background": False,
    "plateau": False,
}

OURS = {
    "standard": {
        "encoder": "clip-rn50",
        "content_encoder": "vgg16",
        "resolution": 512,
        "batch": 8,
        "iterations": 400,
        "plateau": True,
        "texture_resolution": 1024,
        "view_pool": 256,
        "learning_rate": (3e-2, 1.5e-3),
        "nnfm_weight": 1e4,
        "content_weight": 18.0,
        "palette_weight": (600.0, 600.0),
        "content_on_background": False,
        "style_keys": 0,
    },
    "draft": {
        "encoder": "draft",
        "content_encoder": "draft",
        "resolution": 256,
        "batch": 1,
        "iterations": 150,
        "plateau": False,
        "texture_resolution": 512,
        "view_pool": 48,
        "learning_rate": (4e-2, 1.5e-3),
        "nnfm_weight": 600.0,
        "content_weight": 0.15,
        "palette_weight": (1300.0, 1300.0),
        "content_on_background": True,
        "style_keys": 128,
    },
}

SHARED = {
    "palette_squared": True,
    "palette_everywhere": False,
    "palette_clusters": 8,
    "object_only": True,
    "keep_detail": 1.0,
    "variety": 0.5,
    "color_start": 0.3,
    "style_colors": 1.0,
    "precision": "auto",
    "camera_distance": (2.5, 2.5),
    "field_of_view": 45.0,
    "light_distance": (3.0, 5.0),
    "light_power": 2.0,
    "ambient": 0.4,
    "specular": 0.08,
    "phong_exponent": 2.0,
    "strength": 1.0,
    "seed": 0,
}
"""Of `standard` and `draft`, as calibrated."""


def differing(preset: str, expected: dict[str, object]) -> dict[str, object]:
    values = dataclasses.asdict(PRESETS[preset])
    return {name: values[name] for name, value in expected.items() if values[name] != value}


def test_paper_has_the_supplements_numbers():
    assert differing("paper", SUPPLEMENT) == {}
    # What the paper leaves open is as in `standard`.
    rest = dataclasses.asdict(PRESETS["standard"])
    named = set(SUPPLEMENT) | {"iterations"}
    assert differing("paper", {name: value for name, value in rest.items() if name not in named}) == {}


@pytest.mark.parametrize("preset", OURS)
def test_our_presets_have_the_calibrated_numbers(preset: str):
    assert differing(preset, OURS[preset] | SHARED) == {}


@pytest.mark.parametrize(
    ("preset", "encoder", "expected"),
    [
        ("paper", "vgg16", ("vgg16", 200.0, 1.0, False)),
        ("paper", "draft", ("draft", 200.0, 1.0, False)),
        ("standard", "vgg16", ("vgg16", 600.0, 0.3, True)),
        ("standard", "draft", ("draft", 600.0, 0.15, True)),
        ("draft", "vgg16", ("vgg16", 600.0, 0.3, True)),
        ("draft", "clip-rn50", ("vgg16", 1e4, 18.0, False)),
    ],
)
def test_another_encoder_brings_its_content_network_and_balance(preset, encoder, expected):
    method = resolve(Options(preset=preset, encoder=encoder), cuda=False)
    found = (method.content_encoder, method.nnfm_weight, method.content_weight, method.content_on_background)
    assert found == expected
    kept = {
        "encoder",
        "content_encoder",
        "nnfm_weight",
        "content_weight",
        "content_on_background",
        "border",
        "visibility",
    }
    rest = {name: v for name, v in dataclasses.asdict(PRESETS[preset]).items() if name not in kept}
    assert {name: getattr(method, name) for name in rest} == rest


@pytest.mark.parametrize(
    ("encoder", "loss", "weight"),
    [("clip-rn50", "gram", 200.0), ("vgg16", "gram", 200.0), ("clip-rn50", "embedding", 200.0)],
)
def test_the_methods_of_the_comparison_have_weights_of_their_own(encoder, loss, weight):
    name = {"clip-rn50": "clip", "vgg16": "vgg"}[encoder] + f"-{loss}"
    method = resolve(Options(preset="standard", method=name), cuda=True)
    assert (method.encoder, method.style_loss, method.nnfm_weight) == (encoder, loss, weight)
    assert method.keep_detail == 0.0


def test_nothing_is_done_unasked():
    """A plain call replaces nothing, packs nothing, and writes beside the stage."""
    plain = Options()
    switches = ("share_materials", "unique", "direct_texture", "field")
    unasked = ("package", "in_session", "force", "resume", *switches)
    assert {name: getattr(plain, name) for name in unasked} == dict.fromkeys(unasked, False)
    assert (plain.output, plain.network, plain.by, plain.refine) == (None, "both", "object", 0)
    assert plain.purposes == ("default", "render")


SHOT = PatternWidth(0.32, "two thirds of the height that /World/Camera sees", 0.01)


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({}, 0.32),
        ({"pattern_width": 50.0}, 0.5),
        ({"preset": "paper"}, 0.0),
        ({"preset": "paper", "framing": "world"}, 0.32),
        ({"preset": "paper", "pattern_width": 50.0}, 0.5),
        ({"framing": "object"}, 0.0),
        ({"camera_distance": (2.0, 4.0)}, 0.0),
        ({"direct_texture": True}, 0.0),
        ({"method": "vgg-gram"}, 0.0),
        ({"method": "vgg-nnfm"}, 0.32),
        ({"encoder": "vgg16"}, 0.32),
    ],
)
def test_the_pattern_width_is_the_stages_unless_cameras_are_asked_to_stand_elsewhere(options, width):
    """In metres; the option is in stage units, here centimetres."""
    asked = Options(**{"preset": "standard", **options})
    assert resolve(asked, cuda=True, stage=SHOT).pattern_width == pytest.approx(width)


def test_the_light_of_colours_that_nothing_begins_with_is_refused() -> None:
    with pytest.raises(OptionsError, match=r"^--keep-light is of the colours"):
        resolve(Options(preset="paper", keep_light=0.5), cuda=False)
    assert resolve(Options(preset="draft", keep_light=0.5), cuda=False).keep_light == 0.5
