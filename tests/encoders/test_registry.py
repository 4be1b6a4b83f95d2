"""A new encoder is one entry: everything else follows, from `--help` to the textures that it makes."""

import dataclasses
import doctest
import hashlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch
import torch.nn.functional as F
from command_line import Command
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from usdstylize import Options
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.encoders import (
    ENCODERS,
    EncoderSpec,
    WeightFile,
    find,
    load_embedding,
    load_encoder,
    register,
)
from usdstylize.errors import OptionsError, WeightsError

KNOWN = "draft, clip-rn50, vgg16, squeezenet, timm:NAME"


class Toy(nn.Module):
    """Two random convolutions, at a quarter and an eighth of the image's size."""

    smooth = False
    strides: tuple[int, ...] = (4, 8)
    bn_relu = False
    calls = 0
    """Of all toys together."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 4, 4)
        self.second = nn.Conv2d(8, 16, 2, 2)

    @classmethod
    def from_file(cls, path: Path, bn_relu: bool = False) -> "Toy":
        network = cls()
        network.load_state_dict(load_file(path))
        network.bn_relu = bn_relu
        return network

    @classmethod
    def of_picture(cls, path: Path, side: int) -> "Toy":
        network = cls.from_file(path)
        network.strides = (side,)
        return network

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        Toy.calls += 1
        maps = [F.relu(self.first((images - 0.5).to(self.first.weight.dtype)))]
        maps.append(F.relu(self.second(maps[0])))
        flat = [m.permute(0, 2, 3, 1).reshape(-1, m.shape[1]) for m in maps]
        return flat if rows is None else [m[wanted] for m, wanted in zip(flat, rows, strict=True)]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EncoderSpec]:
    """The toy encoder, registered, with a weight file of its own."""
    monkeypatch.setattr(Toy, "calls", 0)
    file = tmp_path / "networks" / "toy.safetensors"
    file.parent.mkdir()
    save_file(Toy().state_dict(), file)
    spec = EncoderSpec(
        name="toy",
        summary="two random convolutions",
        maps="both",
        licence="none",
        files=(WeightFile(file.name, hashlib.sha256(file.read_bytes()).hexdigest()),),
        folders=lambda: (file.parent,),
        factory=f"{__name__}:Toy.from_file",
    )
    register(spec)
    yield spec
    monkeypatch.undo()  # what a test puts in its place, lest that come back
    del ENCODERS["toy"]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path) -> Command:
    return Command(capfd, tiny_stage, style_folder)


# One entry


@pytest.mark.parametrize("preset", ["draft", "paper"])
def test_an_encoder_of_ones_own_makes_textures(command: Command, toy: EncoderSpec, preset: str) -> None:
    """From the command line to a result that `verify` finds right, and without a download."""
    small = ["--texture-resolution", "64", "--iterations", "2", "--batch", "1", "--mask", "/World/Left"]
    arguments = [command.stage, "--style-set", command.style, "--preset", preset, "--device", "cpu", *small]
    assert command.run(*arguments, "--encoder", "toy") == 0, command.err
    assert f"preset {preset} on cpu (encoder toy)" in command.err
    settings = json.loads(next(command.stage.parent.rglob("run.json")).read_text())["plan"]["settings"]
    assert (settings["encoder"], settings["content_encoder"]) == ("toy", "toy")
    assert Toy.calls >= 4, "two style images and two iterations"


def test_its_weights_are_found_checked_and_missed_as_all_others(
    command: Command, toy: EncoderSpec, tmp_path: Path
) -> None:
    file = tmp_path / "networks" / "toy.safetensors"
    assert command.run("weights", "--json") == 0
    assert {status["name"]: status["state"] for status in json.loads(command.out)}["toy"] == "ok"
    file.write_bytes(b"other bytes")
    assert command.run("weights") == 1
    assert f"{file} is not the toy.safetensors expected" in command.out
    file.unlink()
    with pytest.raises(
        WeightsError, match=r"^The weights of toy are missing: no toy\.safetensors in "
    ) as error:
        load_encoder("toy", device="cpu", dtype=torch.float32)
    assert "--fetch" not in str(error.value), "there is nothing to download"


def test_a_network_gets_the_choices_that_its_entry_names(
    toy: EncoderSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(name: str, wanted: bool) -> Toy:
        network = load_encoder(name, device="cpu", dtype=torch.bfloat16, bn_relu=wanted)
        assert isinstance(network, Toy)
        assert {(value.dtype, value.requires_grad) for value in network.parameters()} == {
            (torch.bfloat16, False)
        }
        return network

    assert [loaded("toy", wanted).bn_relu for wanted in (False, True)] == [False, False]
    more = dataclasses.replace(toy, takes_bn_relu=True, embedding=f"{__name__}:Toy.of_picture")
    monkeypatch.setitem(ENCODERS, "toy", more)
    assert [loaded("toy", wanted).bn_relu for wanted in (False, True)] == [False, True]
    assert load_embedding("toy", 64, device="cpu", dtype=torch.float32).strides == (64,)


@pytest.mark.parametrize("spec", ENCODERS.values(), ids=lambda spec: spec.name)
def test_every_entry_names_functions_that_take_what_they_are_given(spec: EncoderSpec) -> None:
    choices = {"bn_relu": True} if spec.takes_bn_relu else {}
    inspect.signature(resolve_name(spec.factory)).bind(Path("file"), **choices)
    if spec.embedding is not None:
        inspect.signature(resolve_name(spec.embedding)).bind(Path("file"), 224)


def test_a_name_is_given_once(toy: EncoderSpec) -> None:
    with pytest.raises(OptionsError, match="There is an encoder toy already"):
        register(toy)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_takes_every_encoder(toy: EncoderSpec, preset: str) -> None:
    for name in ENCODERS:
        method = resolve(Options(preset=preset, encoder=name), cuda=False)  # type: ignore[arg-type]
        assert method.encoder == name
        assert method.content_encoder in ENCODERS


# What there is none of


def test_an_unknown_encoder_is_refused_with_the_names_of_the_known() -> None:
    sentence = rf"^There is no encoder dinov2; choose from {KNOWN}\.$"
    for call in (
        lambda: find("dinov2"),
        lambda: load_encoder("dinov2", device="cpu", dtype=torch.float32),
        lambda: load_embedding("dinov2", 64, device="cpu", dtype=torch.float32),
        lambda: Options(encoder="dinov2"),
    ):
        with pytest.raises(OptionsError, match=sentence):
            call()


def test_the_command_line_refuses_it_too(command: Command) -> None:
    assert command.stylize("--encoder", "dinov2", "--json") == 2
    assert command.err == f"usdstylize: There is no encoder dinov2; choose from {KNOWN}.\n"
    assert json.loads(command.out)["error"]["type"] == "OptionsError"


def test_an_encoder_without_an_embedding_says_which_has_one() -> None:
    with pytest.raises(
        OptionsError, match=r"vgg16 has no embedding of a whole picture; choose from clip-rn50\."
    ):
        load_embedding("vgg16", 64, device="cpu", dtype=torch.float32)


# What follows


def test_help_lists_every_encoder_and_what_nobody_has_seen(command: Command) -> None:
    assert command.run("--help") == 0
    text = " ".join(command.out.replace("│", " ").split())
    assert "draft (small, comes with the package)" in text
    assert "clip-rn50 (the paper's network; nobody has judged it by eye)" in text
    assert "vgg16 (strokes and lines)" in text
    assert "timm:NAME (any convolutional network of timm)" in text


def test_the_page_about_encoders_is_right() -> None:
    """docs/encoders.md lists every encoder, and adds one."""
    page = Path(__file__).parents[2] / "docs" / "encoders.md"
    known = dict(ENCODERS)
    try:
        found = doctest.testfile(str(page), module_relative=False)
        added = set(ENCODERS) - set(known)
    finally:
        ENCODERS.clear()
        ENCODERS.update(known)
    assert (found.failed, added) == (0, {"stripes"})


def test_the_registry_does_without_torch() -> None:
    script = "import sys, usdstylize.encoders as e; e.find('vgg16'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
