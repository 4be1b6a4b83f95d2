"""Which files of a result are ours, as run.json names them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from author_results import write_result
from surface_inputs import BASE, SIZE, SQUARE, add_mtlx_surface, add_preview_surface, new_stage, write_picture

FOLDER = "scene.style/ink/World__Quad"


@pytest.mark.parametrize(
    ("surface", "kind", "network", "files"),
    [
        ("preview", "uint8", "both", {"TS.exr", "baked.png"}),
        ("preview", "uint8", "mtlx", {"TS.exr"}),
        # Viewers misread 16 bits: the live network has a copy of its own.
        ("preview", "uint16", "both", {"TS.exr", "T.exr", "baked.png"}),
        ("preview", "uint16", "preview", {"TS.exr", "baked.png"}),
        # Before a MaterialX surface it takes what the source's own graph gives.
        ("standard_surface", "uint16", "both", {"TS.exr", "baked.png"}),
    ],
)
def test_an_objects_files_are_those_that_we_have_written(
    tmp_path: Path, surface: str, kind: str, network: str, files: set[str]
) -> None:
    stage = new_stage(tmp_path)
    values = np.random.default_rng(0).uniform(0, 1, (SIZE[1], SIZE[0], 4))
    write_picture(tmp_path / "light.png", values, kind)
    if surface == "preview":
        add_preview_surface(stage, {}, replace(BASE, file="light.png"))
    else:
        add_mtlx_surface(stage, surface, {}, base=replace(SQUARE, file="light.png"))
    stage.Save()
    write_result(tmp_path / "scene.usda", size=SIZE, network=network)
    names = {f"World__Quad.ink.{file}" for file in files}
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == names
    run = json.loads((tmp_path / "scene.style/ink/run.json").read_text())
    (written,) = run["written"].values()
    assert sorted(written["files"]) == sorted(f"./{FOLDER}/{name}" for name in names)


@pytest.mark.parametrize(("kind", "copied"), [("uint8", False), ("uint16", True)])
def test_opacity_reads_the_copy_of_its_texture_where_there_is_one(
    tmp_path: Path, kind: str, copied: bool
) -> None:
    """The alpha of a file that viewers misread is misread, too."""
    stage = new_stage(tmp_path)
    values = np.random.default_rng(0).uniform(0, 1, (SIZE[1], SIZE[0], 4))
    write_picture(tmp_path / "light.png", values, kind)
    base = replace(BASE, file="light.png")
    add_preview_surface(stage, {"opacity": replace(base, output="a")}, base)
    stage.Save()
    write_result(tmp_path / "scene.usda", size=SIZE, network="mtlx")
    written = (tmp_path / "scene.style.usda").read_text()
    assert ("World__Quad.ink.T.exr" in written) == copied
    assert ("light.png@" in written) == (not copied)
