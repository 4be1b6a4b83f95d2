"""What the command line makes of arguments: every choice by its name, and nothing where nothing is given."""

from typing import Any

import cyclopts
import pytest

from usdstylize.cli.commands import app

CHOICES = {
    "--preset": ("auto", "draft", "standard", "paper"),
    "--by": ("object", "model"),
    "--views": ("object", "scene"),
    "--method": ("clip-nnfm", "vgg-nnfm", "clip-gram", "vgg-gram", "clip-embedding"),
    "--precision": ("auto", "float32", "bfloat16"),
    "--network": ("both", "preview", "mtlx"),
    "--device": ("auto", "cpu", "cuda"),
    "--visibility": ("auto", "embree", "z-buffer", "nvdiffrast"),
}

BY_DEFAULT = {
    "preset": "auto",
    "mask": (),
    "per_instance": (),
    "style_weight": (),
    "purposes": ("default", "render"),
    "by": "object",
    "views": "object",
    "share_materials": False,
    "unique": False,
    "refine": 0,
    "texture_hierarchy": (),
    "direct_texture": False,
    "field": False,
    "network": "both",
    "block_contexts": (),
    "device": "auto",
    "visibility": "auto",
    "package": False,
    "in_session": False,
    "force": False,
    "resume": False,
}
"""Of every other option: None, as the preset has it."""


def options(*arguments: str) -> dict[str, Any]:
    words = ["shot.usda", "--style-set", "ink", *arguments]
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    bound.apply_defaults()
    return vars(bound.arguments["arguments"].options())


@pytest.mark.parametrize(("name", "word"), [(n, word) for n, words in CHOICES.items() for word in words])
def test_a_choice_is_known_by_its_name(name: str, word: str) -> None:
    assert options(name, word)[name.removeprefix("--")] == word


@pytest.mark.parametrize("name", CHOICES)
def test_no_other_choice_is_known(name: str) -> None:
    with pytest.raises(cyclopts.CoercionError) as error:
        options(name, "else")
    known = ", ".join(f'"{word}"' for word in CHOICES[name])
    assert f"Choose from: {known}." in str(error.value)


def test_what_nobody_asks_for_is_left_to_the_preset() -> None:
    values = options()
    assert {name: value for name, value in values.items() if value is not None} == BY_DEFAULT
