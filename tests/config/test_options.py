"""The range of every option, at its very edge: what is still taken, and what is refused by name."""

import math
import re
from typing import Any

import pytest

from usdstylize import Options
from usdstylize.config.options import (
    FarmOptions,
    LookOptions,
    OutputOptions,
    PerformanceOptions,
    StageOptions,
    StyleOptions,
)
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.errors import OptionsError

TINY = math.nextafter(0.0, 1.0)
BELOW_ONE = math.nextafter(1.0, 0.0)

RANGES: dict[str, tuple[list[Any], list[Any]]] = {
    "texture_resolution": ([16, 16384], [15, 16385]),
    "iterations": ([1], [0, -1]),
    "batch": ([1, 1024], [0, 1025]),
    "gpus": ([1, 1024], [0, 1025]),
    "memory_limit": ([TINY, 1e6], [0.0, -1.0, math.inf, math.nan]),
    "seed": ([0, 2**32 - 1], [-1, 2**32]),
    "strength": ([0.0, 1.0, 2.0], [math.nan, math.inf, 2.1, -0.1]),
    "keep_detail": ([0.0, 1.0], [-TINY, 1.0001, math.nan]),
    "color_start": ([0.0, 1.0], [-TINY, 1.0001, math.nan]),
    "style_colors": ([0.0, 1.0], [-TINY, 1.0001, math.nan]),
    "keep_light": ([0.0, 1.0], [-TINY, 1.0001, math.nan]),
    "variety": ([0.0, 1.0], [-TINY, 1.0001, math.nan]),
    "nnfm_weight": ([0.0, 1e9], [-TINY, math.inf, math.nan]),
    "content_weight": ([0.0, 1e9], [-TINY, math.inf, math.nan]),
    "palette_weight": ([0.0, 1e9], [-TINY, math.inf, math.nan]),
    "refine": ([0, 3], [-1, 4]),
    "frame": ([0.0, -10.5, 1e9], [math.nan, math.inf, -math.inf]),
    "pattern_width": ([TINY, 1e9], [0.0, -1.0, math.inf, math.nan]),
    "camera_distance": (
        [(1.0, 1.0), (1.0, 1e9), (2.0, 4.0)],
        [
            (BELOW_ONE, 2.0),
            (2.0, math.nextafter(2.0, 1.0)),
            (2.0, math.inf),
            (math.nan, 2.0),
            (2.0, math.nan),
        ],
    ),
    "texture_hierarchy": (
        [(16,), (16384,), (16, 16384), (64, 65)],
        [(15,), (15, 64), (16, 16385), (64, 64), (64, 32, 128), (16385,)],
    ),
    "purposes": (
        [("proxy",), ("default", "render", "proxy")],
        [(), ("guide",), ("default", "guides")],
    ),
    "style_weight": (
        [("a.png=0",), ("a.png=0.5", "b=c.png=2")],
        [
            ("a.png",),
            ("=1",),
            ("a.png=-1",),
            ("a.png=nan",),
            ("a.png=inf",),
            ("a.png=much",),
            ("a.png=1e308",),
            ("a.png=5e-324",),
        ],
    ),
    "block_contexts": ([("ri",), ("all",), ("mdl", "x:y")], [("",), ("a b",), ("ri", "1st")]),
}
TAKEN = [(name, value) for name, (taken, _) in RANGES.items() for value in taken]
REFUSED = [(name, value) for name, (_, refused) in RANGES.items() for value in refused]


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_a_value_at_the_edge_is_taken(name: str, value: Any) -> None:
    assert getattr(Options(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_beyond_the_edge_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(OptionsError) as error:
        Options(**{name: value})
    option = f"--{name.replace('_', '-')}"
    assert re.fullmatch(rf"{option} .*; (give|choose) [^;]*\.", str(error.value))
    wrong = [
        part for part in (value if isinstance(value, tuple) else [value]) if part not in ("default", "ri")
    ]
    assert all(str(part) in str(error.value) for part in wrong)


@pytest.mark.parametrize(
    ("group", "values"),
    [
        (StageOptions, {"refine": 4}),
        (StyleOptions, {"nnfm_weight": -1.0}),
        (LookOptions, {"seed": -1}),
        (PerformanceOptions, {"batch": 0}),
        (OutputOptions, {"force": True, "resume": True}),
        (FarmOptions, {"gpus": 0}),
    ],
)
def test_a_group_alone_checks_its_values_as_options_do(group: Any, values: dict[str, Any]) -> None:
    assert issubclass(Options, group)
    for made in (group, Options):
        with pytest.raises(OptionsError):
            made(**values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"style_weight": ("a.png=1", "a.png=2")}, "--style-weight names a.png twice"),
        ({"mask_primvar": ""}, "--mask-primvar has no name"),
    ],
)
def test_what_would_be_passed_over_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        Options(**values)


@pytest.mark.parametrize("name", ["mask", "per_instance", "purposes", "block_contexts"])
def test_one_word_is_not_taken_for_its_letters(name: str) -> None:
    with pytest.raises(OptionsError, match=f"^--{name.replace('_', '-')} default is one word"):
        Options(**{name: "default"})


@pytest.mark.parametrize(
    ("together", "alone", "words"),
    [
        ({"force": True, "resume": True}, "force", "--force and --resume contradict each other"),
        (
            {"pattern_width": 3.0, "framing": "object"},
            "framing",
            "--pattern-width needs cameras that stand by it; leave --framing object,",
        ),
        (
            {"pattern_width": 3.0, "camera_distance": (2.0, 2.0)},
            "camera_distance",
            "--camera-distance and --direct-texture out.",
        ),
        (
            {"method": "clip-embedding", "pattern_width": 3.0},
            "pattern_width",
            "--method clip-embedding describes whole pictures of one size; leave --pattern-width",
        ),
        (
            {"framing": "world", "camera_distance": (2.0, 2.0)},
            "camera_distance",
            "--camera-distance is for --framing object; give --pattern-width instead",
        ),
        (
            {"method": "vgg-gram", "encoder": "vgg16"},
            "encoder",
            "--method vgg-gram names a network already; leave --encoder vgg16 out.",
        ),
        (
            {"texture_hierarchy": (64, 128), "texture_resolution": 64},
            "texture_resolution",
            "--texture-hierarchy 64,128 ends at another size than --texture-resolution 64; leave the latter",
        ),
        (
            {"field": True, "texture_hierarchy": (64, 128)},
            "field",
            "--field and --texture-hierarchy contradict each other; give one of them.",
        ),
        (
            {"field": True, "direct_texture": True},
            "direct_texture",
            "--field and --direct-texture contradict each other; give one of them.",
        ),
        (
            {"block_contexts": ("mtlx",), "network": "both"},
            "block_contexts",
            "give --network preview",
        ),
        (
            {"block_contexts": ("mtlx",), "network": "mtlx"},
            "block_contexts",
            "give --network preview",
        ),
    ],
)
def test_options_that_contradict_each_other(together: dict[str, Any], alone: str, words: str) -> None:
    with pytest.raises(OptionsError) as error:
        Options(**together)
    assert words in str(error.value)
    Options(**{name: value for name, value in together.items() if name != alone})


def test_options_that_agree() -> None:
    Options(texture_hierarchy=(64, 128), texture_resolution=128)
    Options(block_contexts=("mtlx",), network="preview")


GIVEN: dict[str, list[Any]] = {
    "strength": [0.0, 0.5],
    "keep_detail": [0.0, 0.5],
    "color_start": [0.0, 0.5],
    "variety": [0.0, 0.5],
    "keep_light": [0.0, 0.5],
    "style_colors": [0.0, 0.5],
    "nnfm_weight": [0.0, 7.0],
    "content_weight": [0.0, 7.0],
    "camera_distance": [(1.5, 6.0)],
    "texture_resolution": [48],
    "batch": [3],
    "iterations": [5],
    "precision": ["float32"],
    "seed": [11],
    "visibility": ["z-buffer", "embree"],
    "direct_texture": [True],
    "field": [True],
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, given in GIVEN.items() for value in given]
)
def test_what_is_given_wins_over_the_preset_and_changes_nothing_else(
    preset: Any, name: str, value: Any
) -> None:
    """0 is a value, too. Only a number of iterations, or of texels, says that there are exactly so many."""
    needed: dict[str, Any] = {"color_start": 0.3} if name == "keep_light" else {}
    plain = vars(resolve(Options(preset=preset, **needed), cuda=False))
    own = vars(resolve(Options(preset=preset, **needed, **{name: value}), cuda=False))
    exactly = {
        "iterations": {"plateau": False, "covering_iterations": value},
        "texture_resolution": {"texture_limit": 0},
    }
    expected = {**plain, name: value, **exactly.get(name, {})}
    assert own == expected


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
def test_a_palette_weight_keeps_the_fall_of_the_preset(preset: Any, factor: float) -> None:
    first, last = PRESETS[preset].palette_weight
    method = resolve(Options(preset=preset, palette_weight=first * factor), cuda=True)
    assert method.palette_weight == pytest.approx((first * factor, last * factor))


def test_a_hierarchy_ends_at_the_texture_resolution() -> None:
    method = resolve(Options(preset="standard", texture_hierarchy=(32, 64, 96)), cuda=True)
    assert (method.texture_hierarchy, method.texture_resolution) == ((32, 64, 96), 96)
    assert not method.plateau, "each size gets as many iterations"
