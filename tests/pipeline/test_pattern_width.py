"""One pattern width from the command to what is written."""

import json
from pathlib import Path

import pytest
from author_results import problems
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from usdstylize import Options, inspect, stylize
from usdstylize.cli import commands

QUICK = Options(preset="draft", device="cpu", iterations=1)


def quad(stage: Usd.Stage, name: str, size: float, x: float) -> None:
    """Upright, its UVs 0..1, before a camera that looks along -Z."""
    mesh = UsdGeom.Mesh.Define(stage, f"/World/{name}")
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    mesh.CreatePointsAttr([Gf.Vec3f(x + u * size, v * size, 0) for u, v in corners])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    st.Set(Vt.Vec2fArray([Gf.Vec2f(u, v) for u, v in corners]))
    mesh.CreateDisplayColorAttr([Gf.Vec3f(0.2, 0.3, 0.4)])


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A wall of 90 cm and a card of 12, and a camera that sees 60 cm of height at their distance."""
    stage = Usd.Stage.CreateNew(str(tmp_path / "room.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    quad(stage, "Wall", 90.0, -45.0)
    quad(stage, "Card", 12.0, 80.0)
    camera = UsdGeom.Camera.Define(stage, "/World/Shot")
    camera.AddTranslateOp().Set(Gf.Vec3d(40.0, 40.0, 100.0))
    camera.CreateHorizontalApertureAttr(60.0)
    camera.CreateVerticalApertureAttr(30.0)
    camera.CreateFocalLengthAttr(50.0)
    stage.Save()
    return tmp_path / "room.usda"


def test_a_pixel_spans_the_same_on_wall_and_card(stage: Path, style_folder: Path) -> None:
    """By hand: two thirds of 60 cm are 256 pixels."""
    result = stylize(stage, style_folder, QUICK)
    assert (result.failed, result.problems) == ((), ())
    assert result.root_layer is not None
    assert problems(result.root_layer) == []
    run = json.loads((stage.parent / "room.style/ink_stripes/run.json").read_text())
    assert run["plan"]["settings"]["pattern_width"] == pytest.approx(0.4)
    wall, card = (run["written"][f"World__{name}"] for name in ("Wall", "Card"))
    assert wall["pixel"] == pytest.approx(0.4 / 256)
    assert card["pixel"] == pytest.approx(0.4 / 256)
    assert wall["windows"] > 0 == card["windows"]
    # 90 cm are 576 pixels, 12 cm are 77
    assert (wall["style_size"], card["style_size"]) == ([512, 512], [64, 64])
    assert {done.path: done.framed.texture_resolution for done in result.objects if done.framed} == {
        "/World/Wall": 512,
        "/World/Card": 64,
    }


def test_a_mask_gives_the_same_texture(stage: Path, style_folder: Path, tmp_path: Path) -> None:
    def card(name: str, **options: object) -> bytes:
        output = tmp_path / name
        stylize(stage, style_folder, Options(**{**vars(QUICK), "output": output, **options}))
        return next(output.glob("room.style/*/World__Card/*.TS.exr")).read_bytes()

    assert card("alone", mask=("/World/Card",)) == card("both")


def test_inspect_and_a_dry_run_show_it(
    stage: Path, style_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reason = "two thirds of the height that /World/Shot sees"
    assert commands.run(["inspect", str(stage)]) == 0
    assert f"Pattern width 40 (0.4 m), {reason}." in capfd.readouterr().out
    arguments = [str(stage), "--style-set", str(style_folder), "--preset", "draft", "--dry-run"]
    assert commands.run(arguments) == 0
    assert f"0.4 m, {reason}" in " ".join(capfd.readouterr().out.split())
    assert commands.run([*arguments, "--pattern-width", "25"]) == 0
    assert "0.25 m, as --pattern-width asks" in " ".join(capfd.readouterr().out.split())
    assert inspect(stage).pattern_width.units == pytest.approx(40.0)


@pytest.mark.parametrize("width", ["0", "-3", "nan", "inf"])
def test_a_width_that_is_none_is_a_sentence_and_nothing_is_written(
    stage: Path, style_folder: Path, capfd: pytest.CaptureFixture[str], width: str
) -> None:
    before = sorted(stage.parent.iterdir())
    assert commands.run([str(stage), "--style-set", str(style_folder), "--pattern-width", width]) == 2
    message = capfd.readouterr().err
    assert "--pattern-width" in message
    assert "is out of range; give stage units, more than 0." in message
    assert sorted(stage.parent.iterdir()) == before


def test_what_is_too_small_for_the_width_has_a_remark(stage: Path, style_folder: Path) -> None:
    wide = stylize(stage, style_folder, Options(**{**vars(QUICK), "pattern_width": 1e6}))
    assert all("times as narrow as elsewhere" in done.remarks[-1] for done in wide.objects)
