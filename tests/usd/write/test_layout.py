"""Where files lie and what they are called is decided in one place."""

from dataclasses import replace
from pathlib import Path

import pytest

from usdstylize import Options, stylize, verify
from usdstylize.usd.write import StyleLayout
from usdstylize.usd.write.layout import ResultLayout

OPTIONS = Options(preset="draft", device="cpu", texture_resolution=32, iterations=1)


def test_another_place_for_textures_is_one_change(
    tiny_stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written, verified, packed, resumed and repaired there, without a word to anything else."""
    monkeypatch.setattr(StyleLayout, "object", lambda self, name: self.folder / f"maps-{name}")
    monkeypatch.setattr(StyleLayout, "style_texture", lambda self, name, tile="": f"{name}_offset.exr")
    result = stylize(tiny_stage, style_folder, replace(OPTIONS, package=True))
    assert (result.failed, result.problems) == ((), ())
    folder = tiny_stage.parent / "tiny.style/ink_stripes"
    assert {path.name for path in folder.iterdir()} == {"maps-World__Left", "maps-World__Right", "run.json"}
    moved = folder / "maps-World__Left/World__Left_offset.exr"
    assert moved.is_file()
    moved.unlink()
    assert result.root_layer is not None
    assert not verify(result.root_layer).ok
    again = stylize(tiny_stage, style_folder, replace(OPTIONS, resume=True))
    assert [item.status for item in again.objects] == ["done", "kept"]
    assert verify(result.root_layer).ok


@pytest.mark.parametrize(
    "output", [None, Path("/out"), Path("/out/look.usda"), Path("/out/look.stylized.usdc")]
)
def test_a_result_is_found_again_by_its_style_layer(output: Path | None) -> None:
    layout = ResultLayout.of(Path("/show/shot.usda"), output)
    found = ResultLayout.of_style_layer(layout.style_layer)
    assert found.style("ink").folder == layout.style("ink").folder
    assert (found.style_layer, found.textures) == (layout.style_layer, layout.textures)


def test_no_two_files_of_a_result_have_one_name() -> None:
    """Blender unpacks a package by base names."""
    names = [
        name
        for style in ("ink", "gouache")
        for layout in [ResultLayout.of(Path("/show/shot.usda"), None).style(style)]
        for item in ("World__A", "World__B")
        for tile in ("1001", "1002")
        for name in (
            layout.style_texture(item, tile),
            layout.baked_texture(item, tile),
            layout.baked_texture(item, tile, linear=True),
        )
    ]
    assert len(set(names)) == len(names)
