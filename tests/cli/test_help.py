"""``--help``: every option of a group stands in the section of that group."""

import re
from dataclasses import fields
from typing import Any

import pytest

from usdstylize.cli import commands
from usdstylize.config.options import (
    FarmOptions,
    LookOptions,
    Options,
    OutputOptions,
    PerformanceOptions,
    StageOptions,
    StyleOptions,
)

FIRST = {"--style-set", "--output", "--preset", "--dry-run"}
GROUPS: dict[str, Any] = {
    "Stage": StageOptions,
    "Style": StyleOptions,
    "Look": LookOptions,
    "Performance": PerformanceOptions,
    "Output": OutputOptions,
    "Farm": FarmOptions,
}


def sections(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> dict[str, list[str]]:
    """The options of each section, in the order in which ``--help`` lists them, on 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")
    assert commands.run([*arguments, "--help"]) == 0
    found: dict[str, list[str]] = {}
    for line in capfd.readouterr().out.splitlines():
        assert len(line) <= 100
        if title := re.match(r"╭─ (\w+) ─", line):
            found[title[1]] = []
        elif option := re.match(r"│ (?:\*  |   )?(--[a-z-]+)", line):
            list(found.values())[-1].append(option[1])
    return found


def flags(group: Any) -> list[str]:
    names = [f"--{field.name.replace('_', '-')}" for field in fields(group)]
    return [name for name in names if name not in FIRST]


def test_each_group_is_a_section_and_what_a_newcomer_needs_comes_first(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sections(capfd, monkeypatch)
    assert list(found) == ["Arguments", "Commands", *GROUPS, "Messages"]
    assert set(found["Arguments"]) == FIRST
    assert {title: found[title] for title in GROUPS} == {t: flags(group) for t, group in GROUPS.items()}
    assert found["Messages"] == ["--json", "--quiet", "--verbose"]


def test_every_option_belongs_to_one_group() -> None:
    grouped = [field.name for group in GROUPS.values() for field in fields(group)]
    assert sorted(grouped) == sorted(field.name for field in fields(Options))


def test_inspect_takes_the_options_of_the_stage(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sections(capfd, monkeypatch, "inspect")
    assert found["Stage"] == flags(StageOptions)
    assert set(found) == {"Arguments", "Stage", "Messages"}
