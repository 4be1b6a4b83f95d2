"""Every public function takes a path as a str, too."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd
from still import without_optimising

import usdstylize
from usdstylize import Options, StageError
from usdstylize.usd import write


@pytest.fixture
def result(tiny_stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    without_optimising(monkeypatch)
    options = Options(preset="draft", device="cpu")
    result = usdstylize.stylize(str(tiny_stage), str(style_folder), options)
    assert result.root_layer == tiny_stage.with_name("tiny.stylized.usda")
    return result.root_layer


def in_session(result: Path, function: Any) -> list[str]:
    stage = Usd.Stage.Open(str(result.with_name("tiny.usda")))
    function(stage, str(result))
    return [Path(layer).name for layer in stage.GetSessionLayer().subLayerPaths]


def refused_mix(result: Path) -> str:
    with pytest.raises(StageError) as error:
        usdstylize.mix(str(result), {"ink_stripes": 0.5})
    return str(error.value).partition(", and a mix needs two")[0].rpartition("/")[2]


CALLS: dict[str, tuple[Any, Any]] = {
    "inspect": (lambda result: len(usdstylize.inspect(str(result)).objects), 2),
    "select": (lambda result: usdstylize.select(str(result), "original"), 2),
    "mix": (refused_mix, "tiny.stylized.usda holds the style ink_stripes alone"),
    "verify": (lambda result: usdstylize.verify(str(result)).failed, ()),
    "dial": (lambda result: len(usdstylize.dial(str(result), 0.5).objects), 2),
    "show_in_session": (lambda result: in_session(result, usdstylize.show_in_session), ["tiny.style.usda"]),
    "hide_in_session": (lambda result: in_session(result, usdstylize.hide_in_session), []),
}
"""By the function's name: a call with the path of a result, and what it returns or does."""


@pytest.mark.parametrize("name", CALLS)
def test_a_function_of_a_result_takes_a_str(result: Path, name: str) -> None:
    call, expected = CALLS[name]
    assert call(result) == expected


def test_a_package_is_written_from_a_str_to_a_str(result: Path) -> None:
    package = result.with_suffix(".usdz")
    assert write.write_package(str(result), str(package)) == ()
    assert package.is_file()


def test_options_take_a_str(
    tiny_stage: Path, style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_optimising(monkeypatch)
    given = Options(preset="draft", device="cpu", output=str(tmp_path / "out"), weights=str(tmp_path))
    result = usdstylize.stylize(tiny_stage, style_folder, given)
    assert result.root_layer == tmp_path / "out" / "tiny.stylized.usda"
    assert (given.output, given.weights) == (tmp_path / "out", tmp_path)


def test_every_public_function_is_tried() -> None:
    public = {name for name in usdstylize.__all__ if inspect.isfunction(getattr(usdstylize, name))}
    assert public == {*CALLS, "stylize"}
