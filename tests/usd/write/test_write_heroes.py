"""`--per-instance`: an instance with a look of its own, beside those that go on sharing."""

from pathlib import Path

import pytest
from author_results import bound, hold, write_result
from instance_stages import LOOKS, QUADS, edit, make_shot, shared

from usdstylize import Options, stylize
from usdstylize.cli import commands
from usdstylize.usd import write


def test_a_hero_leaves_the_others_sharing(tmp_path: Path, style_folder: Path) -> None:
    shot = make_shot(tmp_path)
    options = Options(preset="draft", device="cpu", texture_resolution=16, iterations=1)
    stylize(shot, style_folder, Options(**{**vars(options), "per_instance": ("/World/A1",)}))
    result = tmp_path / "shot.stylized.usda"
    opened = edit(result)
    assert not opened.GetPrimAtPath("/World/A1").IsInstance()
    assert shared(opened) == [["/World/A2", "/World/A3"], ["/World/B1", "/World/B2"]]
    assert bound(opened, "/World/A1/Geo/Quad") == f"{LOOKS}/World__A1__Geo__Quad"
    for path in QUADS[1:]:
        assert bound(opened, path) == f"{LOOKS}/World__A2__Geo__Quad"
    hold(result)
    # A later run knows the heroes of the result.
    done = stylize(shot, style_folder, Options(**{**vars(options), "resume": True}))
    assert [found.status for found in done.objects] == ["kept", "kept", "kept"]
    assert done.problems == ()


def test_a_hero_chosen_later_takes_its_own_style(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    write_result(shot, "ink", seed=1)
    result = write_result(shot, "ink", heroes=["/World/A1"], force=True, seed=10)
    opened = edit(result)
    assert bound(opened, "/World/A1/Geo/Quad") == f"{LOOKS}/World__A1__Geo__Quad"
    for path in QUADS[1:]:
        assert bound(opened, path) == f"{LOOKS}/World__A2__Geo__Quad", path
    hold(result)
    assert write.select(result, "original", ["/World/A1"]) == 1
    look = opened.GetPrimAtPath(f"{LOOKS}/World__A2__Geo__Quad")
    assert look.GetVariantSet("style").GetVariantSelection() == "ink"


def test_instances_in_a_hero_still_share(tmp_path: Path) -> None:
    """/World/B1 is taken out after a first run; the instance within it stays one."""
    shot = make_shot(tmp_path)
    write_result(shot, "ink", seed=1)
    result = write_result(shot, "gouache", heroes=["/World/B1"], seed=20)
    opened = edit(result)
    assert bound(opened, "/World/B1/Board") == f"{LOOKS}/World__B1__Board"
    assert bound(opened, "/World/B2/Board") == f"{LOOKS}/World__B2__Board"
    assert opened.GetPrimAtPath("/World/B1/Inner").IsInstance()
    for path in QUADS:
        assert bound(opened, path) == f"{LOOKS}/World__A1__Geo__Quad", path
    hold(result)


def test_the_command_line_takes_heroes(
    tmp_path: Path, style_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot = make_shot(tmp_path)
    assert commands.run(["inspect", str(shot), "--per-instance", "/World/A1,/World/A2"]) == 0
    shown = capsys.readouterr().out
    assert "/World/A2/Geo/Quad" in shown
    assert "/World/A3/Geo/Quad" in shown
