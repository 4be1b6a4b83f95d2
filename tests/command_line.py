"""The command line in this process, for tests of its exit codes and of what it says."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import define_quad
from pxr import Gf, Usd, UsdGeom, UsdShade

from usdstylize.cli import commands

MODES = pytest.mark.parametrize("mode", [[], ["--json"], ["--quiet"]], ids=["text", "json", "quiet"])
SMALL = ["--preset", "draft", "--device", "cpu"]


class Command:
    """The command line in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str], stage: Path, style: Path) -> None:
        self._capfd = capfd
        self.stage, self.style = stage, style
        self.out = self.err = ""

    def run(self, *arguments: object) -> int:
        self._capfd.readouterr()
        code = commands.run([str(argument) for argument in arguments])
        self.out, self.err = self._capfd.readouterr()
        return code

    def stylize(self, *arguments: object) -> int:
        return self.run(self.stage, "--style-set", self.style, *SMALL, *arguments)

    @property
    def root_layer(self) -> Path:
        return self.stage.with_name("tiny.stylized.usda")

    def is_right_for(self, mode: list[str], *, path: bool = True) -> None:
        """stdout holds one JSON value, or nothing but the result's path, or text for a person."""
        if mode == ["--json"]:
            assert isinstance(json.loads(self.out), dict | list)
        elif mode == ["--quiet"]:
            assert self.out == (f"{self.root_layer}\n" if path else "")
        else:
            assert self.out.strip()


def failing(path: str, error: BaseException) -> Callable[[str], None]:
    def before(at: str) -> None:
        if at == path:
            raise error

    return before


def add_third(path: Path) -> None:
    stage = Usd.Stage.Open(str(path))
    define_quad(stage, "/World/Third", UsdShade.Material.Get(stage, "/World/Looks/Paint"), x=4.0)
    stage.Save()


def break_uvs(path: Path, prim: str) -> None:
    stage = Usd.Stage.Open(str(path))
    UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(prim)).GetPrimvar("st").Set([Gf.Vec2f(0)] * 3)
    stage.Save()


def is_refused(command: Command, mode: list[str], kind: str, words: str) -> None:
    """One sentence on stderr, and as JSON on stdout where that is asked for."""
    assert re.fullmatch(rf"usdstylize: .*{re.escape(words)}.*\n", command.err)
    if mode == ["--json"]:
        error = json.loads(command.out)["error"]
        assert error["type"] == kind
        assert command.err == f"usdstylize: {error['message']}\n"
    else:
        assert command.out == ""
