"""Results of stages whose materials are .mtlx documents, as a client finds them that reads none."""

from pathlib import Path

import numpy as np
import pytest
from author_results import discover, offsets, problems, write_result
from conftest import unchanged
from mtlx_documents import MATERIALS, TEXTURED, make_stage, write_color, write_document
from PIL import Image
from pxr import Usd, UsdGeom, UsdShade

from usdstylize.usd import verify

LOOK = "/World/StylizedLooks/World__Quad"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_color(tmp_path)
    write_document(tmp_path / "look.mtlx", TEXTURED)
    return make_stage(tmp_path)


def test_a_client_without_usdmtlx_shows_the_bake(scene: Path) -> None:
    """usd-core is such a client, when it is asked directly."""
    with unchanged(scene.parent, may_add=True):
        result = write_result(scene)
        assert verify.verify(result).failed == ()
    opened = Usd.Stage.Open(str(result))
    assert not opened.GetPrimAtPath(f"{MATERIALS}/Paint")
    surface = UsdShade.Material.Get(opened, LOOK).ComputeSurfaceSource()[0]
    assert surface.GetShaderId() == "UsdPreviewSurface"
    assert surface.GetInput("roughness").Get() == pytest.approx(0.35)
    texture = UsdShade.Shader(surface.GetInput("diffuseColor").GetValueProducingAttributes()[0].GetPrim())
    baked = np.asarray(Image.open(texture.GetInput("file").Get().resolvedPath)) / 255
    codes = np.asarray(Image.open(scene.parent / "color.png")) / 255
    style = offsets(0).astype(np.float16).astype(np.float64)
    np.testing.assert_allclose(baked, np.clip(codes + style, 0, 1), atol=0.51 / 255)


def test_nothing_is_wrong_but_the_document_that_is_missed(scene: Path) -> None:
    """Warnings of a client without usdMtlx, the same for source and result."""
    for problem in problems(write_result(scene)):
        assert "look.mtlx" in problem or f"<{LOOK}>" in problem


def test_instances_share_the_style_of_a_document(scene: Path) -> None:
    shot = Usd.Stage.CreateNew(str(scene.parent / "shot.usda"))
    UsdGeom.SetStageUpAxis(shot, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(shot, 1.0)
    shot.SetDefaultPrim(UsdGeom.Xform.Define(shot, "/Shot").GetPrim())
    for x, name in enumerate(("A", "B")):
        prim = UsdGeom.Xform.Define(shot, f"/Shot/{name}")
        prim.GetPrim().GetReferences().AddReference("./scene.usda")
        prim.AddTranslateOp().Set((2.0 * x, 0.0, 0.0))
        prim.GetPrim().SetInstanceable(True)
    shot.Save()
    (found,) = discover(scene.parent / "shot.usda").objects
    assert (found.surface, found.instances) == ("mtlx", ("/Shot/A", "/Shot/B"))
    result = write_result(scene.parent / "shot.usda")
    assert verify.verify(result).failed == ()


def test_the_document_is_a_source_whose_change_is_found(scene: Path) -> None:
    result = write_result(scene)
    write_document(scene.parent / "look.mtlx", TEXTURED.replace('value="0.35"', 'value="0.5"'))
    failed = verify.verify(result).failed
    assert [Path(check.subject).name for check in failed] == ["look.mtlx"]
