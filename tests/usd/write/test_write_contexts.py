"""Materials with surfaces for one renderer alone: what such a renderer finds in the stylised stage."""

import json
from pathlib import Path

import pytest
from author_results import discover, problems, write_result
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize.config.options import Options
from usdstylize.errors import OptionsError
from usdstylize.usd import verify, write

LOOK = "/World/StylizedLooks/World__Left"


def add_surfaces(stage_path: Path, *contexts: str) -> Usd.Stage:
    source = Usd.Stage.Open(str(stage_path))
    material = UsdShade.Material.Get(source, "/World/Looks/Paint")
    for context in contexts:
        shader = UsdShade.Shader.Define(source, f"/World/Looks/Paint/{context}")
        shader.SetSourceAsset(f"./{context}.txt", context)
        material.CreateSurfaceOutput(context).ConnectToSource(
            shader.CreateOutput("out", Sdf.ValueTypeNames.Token)
        )
    source.Save()
    return source


def shown(result: Path, *contexts: str) -> list[str]:
    """Name of the shader that each context's renderer draws."""
    opened = Usd.Stage.Open(str(result))
    material = UsdShade.Material.Get(opened, LOOK)
    return [material.ComputeSurfaceSource(context)[0].GetPath().name for context in contexts]


def remarks(result: Path) -> str:
    run = json.loads((result.parent / "tiny.style/ink/run.json").read_text())
    return " ".join(run["written"]["World__Left"]["remarks"])


def inherited(result: Path) -> set[str]:
    """What validators find, as if it were found in the material that ours references."""
    found = problems(result)
    for name in ("World__Left", "World__Right"):
        found = [text.replace(f"/World/StylizedLooks/{name}", "/World/Looks/Paint") for text in found]
    return set(found)


def test_a_renderers_own_surface_is_left_alone_and_remarked(tiny_stage: Path) -> None:
    add_surfaces(tiny_stage, "ri", "arnold")
    result = write_result(tiny_stage)
    assert shown(result, "ri", "arnold") == ["ri", "arnold"]
    assert "renders unstylised in RenderMan" in remarks(result)
    assert "--block-contexts arnold" in remarks(result)
    assert verify.verify(result).failed == ()
    assert inherited(result) == set(problems(tiny_stage))


@pytest.mark.parametrize(
    ("block", "expected"), [(["ri"], ["Surface", "arnold"]), (["all"], ["Surface", "Surface"])]
)
def test_a_blocked_renderer_falls_back_to_the_style_and_original_is_whole(
    tiny_stage: Path, block: list[str], expected: list[str]
) -> None:
    add_surfaces(tiny_stage, "ri", "arnold")
    result = write_result(tiny_stage, block_contexts=block)
    assert shown(result, "ri", "arnold") == expected
    assert "RenderMan" not in remarks(result)
    write.select(result, "original")
    assert shown(result, "ri", "arnold") == ["ri", "arnold"]


def test_a_material_for_a_renderer_only_stands_on_display_color(tiny_stage: Path) -> None:
    source = add_surfaces(tiny_stage, "ri")
    source.GetPrimAtPath("/World/Looks/Paint").GetAttribute("outputs:surface").SetConnections([])
    source.RemovePrim("/World/Looks/Paint/Surface")
    source.GetPrimAtPath("/World/Looks/Paint").RemoveProperty("outputs:surface")
    left = UsdGeom.Gprim.Get(source, "/World/Left")
    left.CreateDisplayColorPrimvar(UsdGeom.Tokens.constant).Set([Gf.Vec3f(0.2, 0.4, 0.6)])
    source.Save()
    contents = discover(tiny_stage)
    assert [obj.path for obj in contents.objects] == ["/World/Left"]
    assert contents.objects[0].base.linear == pytest.approx((0.2, 0.4, 0.6))  # type: ignore[union-attr]
    (skipped,) = contents.skipped
    assert "outputs:ri:surface only" in skipped.reason
    assert "/World/Right has no displayColor" in skipped.reason
    result = write_result(tiny_stage)
    assert shown(result, "ri", "") == ["ri", "StylizedPlain"]
    assert verify.verify(result).failed == ()
    assert inherited(result) == set(problems(tiny_stage))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"block_contexts": ("ri/x",)}, "no render context"), ({"block_contexts": ("mtlx",)}, "live network")],
)
def test_contexts_that_cannot_be_blocked_are_refused(
    options: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        Options(**options)  # type: ignore[arg-type]
