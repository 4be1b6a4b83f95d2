"""A result depends on every file that its materials read, not only on their base colours."""

import json
from pathlib import Path

import numpy as np
import pytest
from author_results import discover, write_result
from conftest import digests
from PIL import Image
from pxr import Sdf, Usd, UsdShade

from usdstylize.usd import verify


def picture(path: Path, value: int) -> None:
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)


@pytest.fixture
def many_textures(tiny_stage: Path) -> Path:
    """The tiny stage with a roughness, UDIM tiles for the normal, and a file that is lost."""
    stage = Usd.Stage.Open(str(tiny_stage))
    surface = UsdShade.Shader.Get(stage, "/World/Looks/Paint/Surface")
    # One of them outside of the material, where a connection reaches it.
    for place, name, file in (
        ("/World/Looks/Paint", "roughness", "rough.png"),
        ("/World/Shared", "normal", "normal.<UDIM>.png"),
        ("/World/Looks/Paint", "metallic", "lost.png"),
    ):
        texture = UsdShade.Shader.Define(stage, f"{place}/{name}")
        texture.CreateIdAttr("UsdUVTexture")
        texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(f"./textures/{file}")
        output = texture.CreateOutput("r", Sdf.ValueTypeNames.Float)
        surface.CreateInput(name, Sdf.ValueTypeNames.Float).ConnectToSource(output)
    stage.Save()
    for name in ("rough", "normal.1001", "normal.1002", "unread"):
        picture(tiny_stage.parent / "textures" / f"{name}.png", 128)
    return tiny_stage


def test_all_textures_of_a_material_are_sources(many_textures: Path) -> None:
    folder = many_textures.parent
    found = {Path(item.path): item.sha256 for item in discover(many_textures).sources}
    names = ("color.png", "normal.1001.png", "normal.1002.png", "rough.png")
    expected = digests(many_textures, *(folder / "textures" / name for name in names))
    assert found == expected


@pytest.mark.parametrize("name", ["rough.png", "normal.1002.png"])
def test_a_texture_that_has_changed_is_noticed(many_textures: Path, name: str) -> None:
    result = write_result(many_textures)
    sources = json.loads((many_textures.parent / "tiny.style/ink/run.json").read_text())["sources"]
    assert f"./textures/{name}" in sources
    picture(many_textures.parent / "textures" / name, 3)
    changed = [check.subject for check in verify.verify(result).failed if check.name == "source"]
    assert changed == [str(many_textures.parent / "textures" / name)]


def test_a_link_to_the_stage_that_loses_its_textures_is_named(tiny_stage: Path, tmp_path: Path) -> None:
    (tmp_path / "seq").mkdir()
    link = tmp_path / "seq" / "tiny.usda"
    link.symlink_to(tiny_stage)
    # USD itself does not find them there.
    opened = Usd.Stage.Open(str(link))
    assert not opened.GetAttributeAtPath("/World/Looks/Paint/Texture.inputs:file").Get().resolvedPath
    reason = (
        f"{link} is a link, and USD looks for files beside it: if they lie beside {tiny_stage}, open that."
    )
    assert discover(link).skipped[0].reason == reason
    (tmp_path / "seq" / "textures").symlink_to(tiny_stage.parent / "textures")
    assert discover(link).skipped == ()
    assert len(discover(link).objects) == 2
