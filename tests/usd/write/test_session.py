"""A look without files beside the stage: in the session of whoever has it open."""

import json
import shutil
from pathlib import Path

import pytest
from author_results import bound, write_result
from conftest import QUICK, build_tiny_stage, define_material, unchanged
from pxr import Sdf, Usd, UsdShade

from usdstylize import Options, hide_in_session, show_in_session, stylize
from usdstylize.cli import commands
from usdstylize.errors import OutputError
from usdstylize.usd import write


def stubborn(root: Path) -> Path:
    """The tiny stage with opinions that a sublayer could not beat: local bindings for every purpose."""
    stage = Usd.Stage.Open(str(root))
    other = define_material(stage, "/World/Looks/Other", "./textures/color.png")
    for name in ("Left", "Right"):
        binding = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath(f"/World/{name}"))
        for purpose in ("", "preview", "full"):
            binding.Bind(other, UsdShade.Tokens.strongerThanDescendants, purpose)
    stage.Save()
    return root


def test_a_live_stage_shows_the_style_and_lets_it_go(tiny_stage: Path, tmp_path: Path) -> None:
    root = stubborn(tiny_stage)
    result = write_result(root, output=tmp_path / "looks")
    stage = Usd.Stage.Open(str(root))
    before = stage.Flatten().ExportToString()
    with unchanged(root.parent):
        show_in_session(stage, result)
        show_in_session(stage, result)
        assert len(stage.GetSessionLayer().subLayerPaths) == 1
        for name in ("Left", "Right"):
            for purpose in ("", "preview", "full"):
                assert bound(stage, f"/World/{name}", purpose) == f"/World/StylizedLooks/World__{name}"
        shown = UsdShade.Material.Get(stage, "/World/StylizedLooks/World__Left")
        texture = UsdShade.Shader.Get(stage, shown.GetPath().AppendPath("StylizedNetwork/Base"))
        assert texture.GetInput("file").Get().resolvedPath == str(root.parent / "textures/color.png")
        hide_in_session(stage, result)
        assert stage.Flatten().ExportToString() == before
        assert not stage.GetRootLayer().dirty


def test_a_look_at_another_stage_is_refused(tiny_stage: Path, tmp_path: Path) -> None:
    result = write_result(tiny_stage)
    other = Usd.Stage.Open(str(build_tiny_stage(tmp_path / "other")))
    with pytest.raises(OutputError, match=r"is a look at .*shot/tiny.usda, not at .*other/tiny.usda"):
        show_in_session(other, result)
    with pytest.raises(OutputError, match="is not a result of usdstylize"):
        show_in_session(other, tiny_stage)


def test_a_link_to_the_stage_is_the_stage(tiny_stage: Path, tmp_path: Path) -> None:
    result = write_result(tiny_stage)
    linked = tmp_path / "linked"
    linked.symlink_to(tiny_stage.parent)
    stage = Usd.Stage.Open(str(linked / tiny_stage.name))
    show_in_session(stage, result)
    assert bound(stage, "/World/Left") == "/World/StylizedLooks/World__Left"


def test_the_command_line_writes_nothing_beside_the_stage(
    tiny_stage: Path,
    style_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = [str(tiny_stage), "--style-set", str(style_folder), *QUICK, "--in-session"]
    with unchanged(tiny_stage.parent):
        assert commands.run(arguments) == 0
        shown = capfd.readouterr().out
        assert commands.run([*arguments, "--seed", "1", "--json"]) == 0, "a second look replaces the first"
        output = json.loads(capfd.readouterr().out)
    session = Path(output["session_layer"])
    assert f"--sessionLayer {session}" in shown
    assert session.is_relative_to(tmp_path / "cache" / "usdstylize")
    # What `usdview STAGE --sessionLayer LAYER` does.
    stage = Usd.Stage.Open(*(Sdf.Layer.FindOrOpen(str(path)) for path in (tiny_stage, session)))
    assert stage.GetRootLayer().realPath == str(tiny_stage)
    assert stage.GetCompositionErrors() == []
    for name in ("Left", "Right"):
        assert bound(stage, f"/World/{name}") == f"/World/StylizedLooks/World__{name}"


def test_output_says_where_a_look_lies(tiny_stage: Path, style_folder: Path, tmp_path: Path) -> None:
    options = Options(
        preset="draft",
        device="cpu",
        texture_resolution=64,
        iterations=2,
        in_session=True,
        output=tmp_path / "looks",
    )
    with unchanged(tiny_stage.parent):
        result = stylize(tiny_stage, style_folder, options)
    assert result.session_layer == tmp_path / "looks/tiny.style.usda"
    stage = Usd.Stage.Open(str(tiny_stage))
    assert result.root_layer is not None
    show_in_session(stage, result.root_layer)
    write.select(result.root_layer, "original")
    variants = stage.GetPrimAtPath("/World/StylizedLooks/World__Left").GetVariantSet("style")
    assert variants.GetVariantSelection() == "original", "a live look follows `select`"
    shutil.rmtree(tmp_path / "looks")
