"""An interrupt keeps what is done, says so, and ends with 130, in text, with --json and with --quiet."""

from pathlib import Path
from typing import Any

import pytest
from command_line import MODES, Command, add_third, failing
from conftest import unchanged
from PIL import Image
from still import without_optimising

from usdstylize import mixing
from usdstylize.encoders import weights
from usdstylize.errors import MeshError
from usdstylize.usd import verify, write


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tiny_stage: Path, style_folder: Path) -> Command:
    return Command(capfd, tiny_stage, style_folder)


@MODES
@pytest.mark.parametrize(("at", "kept"), [("Right", 1), ("Third", 2)])
def test_an_interrupt_keeps_what_is_done(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str], at: str, kept: int
) -> None:
    add_third(command.stage)
    without_optimising(monkeypatch, failing(f"/World/{at}", KeyboardInterrupt()))
    assert command.stylize(*mode) == 130
    command.is_right_for(mode)
    words = f"usdstylize: interrupted; {kept} of 3 objects are kept, --resume does the others."
    assert command.err.splitlines()[-1] == words
    assert command.run("verify", command.root_layer) == 0
    without_optimising(monkeypatch)
    assert command.stylize("--resume", *mode) == 0
    (names,) = write.existing_styles(command.root_layer).values()
    assert names == ["World__Left", "World__Right", "World__Third"]


@MODES
def test_an_interrupt_after_a_failure_counts_what_is_kept(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    add_third(command.stage)

    def before(path: str) -> None:
        if path == "/World/Left":
            raise MeshError("/World/Left is seen by no camera; look at it.")
        if path == "/World/Third":
            raise KeyboardInterrupt

    without_optimising(monkeypatch, before)
    assert command.stylize(*mode) == 130
    words = "usdstylize: interrupted; 1 of 3 objects are kept, --resume does the others."
    assert command.err.splitlines()[-1] == words


@MODES
def test_an_interrupt_before_anything_is_done(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    without_optimising(monkeypatch, failing("/World/Left", KeyboardInterrupt()))
    with unchanged(command.stage.parent):
        assert command.stylize(*mode) == 130
    command.is_right_for(mode, path=False)
    assert command.err.splitlines()[-1] == "usdstylize: interrupted; nothing was written."


@MODES
@pytest.mark.parametrize("verb", ["stylize", "inspect", "verify", "select", "mix", "weights"])
def test_an_interrupt_while_reading(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str], verb: str
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    for module, name in ((verify, "verify"), (write, "select"), (mixing, "mix"), (weights, "report")):
        monkeypatch.setattr(module, name, interrupted)
    monkeypatch.setattr("usdstylize.usd.read.discover", interrupted)
    arguments = {
        "stylize": [command.stage, "--style-set", command.style],
        "select": ["select", command.stage, "--style", "original"],
        "weights": ["weights"],
    }.get(verb, [verb, command.stage])
    assert command.run(*arguments, *mode) == 130
    assert (command.out, command.err) == ("", "usdstylize: interrupted; nothing was written.\n")


@MODES
def test_an_interrupt_does_not_hide_that_what_is_kept_is_wrong(
    command: Command, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    without_optimising(monkeypatch)
    assert command.stylize("--mask", "/World/Left") == 0
    Image.new("RGB", (32, 32)).save(command.stage.parent / "textures/color.png")
    without_optimising(monkeypatch, failing("/World/Right", KeyboardInterrupt()))
    assert command.stylize("--resume", *mode) == 130
    assert "the written result is not right: source: " in command.err
    assert command.err.splitlines()[-1].startswith("usdstylize: interrupted; 1 of 2 objects are kept")
