"""Signals are read between steps: none is raised inside USD, and a commit is never cut short."""

import os
import signal
from pathlib import Path

import pytest
from pxr import Sdf

from usdstylize import Options, interrupts, stylize, verify
from usdstylize.usd.write import writer

OPTIONS = Options(preset="draft", device="cpu", texture_resolution=32, iterations=1)


def press(number: int = signal.SIGINT) -> None:
    """What Ctrl-C does, or another signal."""
    os.kill(os.getpid(), number)


def test_a_signal_within_a_function_of_usd_is_raised_after_it() -> None:
    layer = Sdf.Layer.CreateAnonymous()
    Sdf.CreatePrimInLayer(layer, "/World/Left")
    visited = []

    def visit(path: Sdf.Path) -> None:
        press()
        visited.append(str(path))

    with interrupts.cooperative():
        layer.Traverse(Sdf.Path.absoluteRootPath, visit)
        assert interrupts.requested()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        assert interrupts.consume()
        assert not interrupts.requested()
    assert len(visited) == 3


def test_a_request_that_nobody_reads_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.cooperative():
        press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_and_ignored_signals_stay() -> None:
    caught: list[int] = []
    for number, handler in (
        (signal.SIGTERM, lambda number, frame: caught.append(number)),
        (signal.SIGHUP, None),
    ):
        before = signal.signal(number, handler or signal.SIG_IGN)
        try:
            with interrupts.cooperative():
                press(number)
                assert not interrupts.requested()
        finally:
            signal.signal(number, before)
    assert caught == [signal.SIGTERM]


def test_an_impatient_second_ctrl_c_is_raised_at_once_but_not_where_it_is_postponed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupts, "_IMPATIENT_SECONDS", -1.0)
    with interrupts.cooperative():
        with interrupts.postponed():
            press()
            press()
        with pytest.raises(KeyboardInterrupt):
            press()
        interrupts.consume()


def test_signals_during_the_commit_wait_until_it_is_over(
    tiny_stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writer.save

    def save(layer: Sdf.Layer, path: Path) -> Path:
        press()
        press()
        return real(layer, path)

    monkeypatch.setattr(interrupts, "_IMPATIENT_SECONDS", -1.0)
    monkeypatch.setattr(writer, "save", save)
    result = stylize(tiny_stage, style_folder, OPTIONS)
    assert result.interrupted
    assert [item.status for item in result.objects] == ["done", "done"]
    assert result.root_layer is not None
    assert verify(result.root_layer).ok
    assert [path.name for path in (tiny_stage.parent / "tiny.style").iterdir()] == ["ink_stripes"]


def test_verify_reads_a_signal_between_its_checks(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised within a validator of USD, it would be an internal error."""
    ended = []

    def composition(*arguments: object) -> list[object]:
        press()
        ended.append("composition")
        return []

    monkeypatch.setattr("usdstylize.usd.verify.result._composition", composition)
    with pytest.raises(KeyboardInterrupt):
        verify(result)
    assert ended == ["composition"]
