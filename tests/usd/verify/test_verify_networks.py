"""What `verify` asks of the networks and of what a result says of itself: one thing is broken at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import (
    details,
    edit,
    failures,
    set_default,
    write_result,
    zero_offsets,
)
from PIL import Image
from pxr import Gf, Sdf
from udim_stages import build_udim_stage

from usdstylize.errors import OutputError
from usdstylize.usd import verify, write

LOOK = "/World/StylizedLooks/World__Left"
INK = f"{LOOK}{{style=ink}}"
LIVE, BAKE = ("live", "/World/Left (ink)"), ("bake", "/World/Left (ink)")


@pytest.fixture
def written(tiny_stage: Path) -> Path:
    return write_result(tiny_stage)


def _disconnect_live(layer: Sdf.Layer) -> None:
    variant = layer.GetPrimAtPath(INK)
    variant.RemoveProperty(variant.properties["outputs:mtlx:surface"])


def _disconnect_bake(layer: Sdf.Layer) -> None:
    surface = layer.GetPrimAtPath(f"{INK}Surface")
    surface.RemoveProperty(surface.properties["inputs:diffuseColor"])


@pytest.mark.parametrize(("change", "lost"), [(_disconnect_live, LIVE), (_disconnect_bake, BAKE)])
def test_a_network_that_is_lost(written: Path, change: Callable[[Sdf.Layer], None], lost: Any) -> None:
    edit(written, change)
    assert failures(written) == {lost}


@pytest.mark.parametrize("style", ["ink", "oil"])
@pytest.mark.parametrize("shown", ["ink", "oil", "original"])
def test_every_style_is_checked_whichever_is_selected(written: Path, style: str, shown: str) -> None:
    write_result(written.with_name("tiny.usda"), "oil", seed=1, strength=0.5)
    write.select(written, shown)
    assert failures(written) == set()
    place = f"{LOOK}{{style={style}}}StylizedNetwork/Clamp.inputs:high"
    edit(written, lambda layer: set_default(layer, place, Gf.Vec3f(0.5)))
    folder = written.parent / f"tiny.style/{style}"
    left, right = (folder / f"World__{side}/World__{side}.{style}.baked.png" for side in ("Left", "Right"))
    left.write_bytes(right.read_bytes())
    assert failures(written) == {("live", f"/World/Left ({style})")}, "both have the same T_S"
    Image.new("RGB", (32, 32)).save(left)
    assert failures(written) == {(name, f"/World/Left ({style})") for name in ("live", "bake")}


@pytest.mark.parametrize(("network", "other"), [("preview", "live"), ("mtlx", "bake")])
def test_a_network_that_was_not_asked_for_is_not_missed(tiny_stage: Path, network: str, other: str) -> None:
    result = write_result(tiny_stage, network=network)
    report = verify.verify(result)
    assert report.failed == ()
    assert other not in {check.name for check in report.checks}


def test_a_surface_that_shows_no_colour(written: Path) -> None:
    def remove(layer: Sdf.Layer) -> None:
        surface = layer.GetPrimAtPath(f"{INK}StylizedSurface")
        surface.RemoveProperty(surface.properties["inputs:diffuseColor"])

    edit(written, remove)
    assert failures(written) == {LIVE}
    assert "has neither a value nor a connection for inputs:diffuseColor" in details(written)


@pytest.mark.parametrize(
    ("surface", "name", "value"),
    [
        ("StylizedSurface", "normal", Gf.Vec3f(0)),
        ("StylizedSurface", "emissiveColor", Gf.Vec3f(float("nan"))),
        ("Surface", "ior", -1.0),
    ],
)
def test_a_constant_that_makes_a_surface_nan(written: Path, surface: str, name: str, value: Any) -> None:
    kind = Sdf.ValueTypeNames.Vector3f if isinstance(value, Gf.Vec3f) else Sdf.ValueTypeNames.Float

    def add(layer: Sdf.Layer) -> None:
        attribute = Sdf.AttributeSpec(layer.GetPrimAtPath(f"{INK}{surface}"), f"inputs:{name}", kind)
        attribute.default = value

    edit(written, add)
    assert LIVE in failures(written)
    assert f"{LOOK}/{surface} is NaN by its inputs:{name}" in details(written)


@pytest.mark.parametrize("node", ["Base", "Style"])
def test_a_file_without_its_color_space(written: Path, node: str) -> None:
    place = f"{INK}StylizedNetwork/{node}.inputs:file"
    edit(written, lambda layer: layer.GetAttributeAtPath(place).ClearInfo("colorSpace"))
    assert failures(written) == {LIVE}
    assert f"StylizedNetwork/{node} has lost the colorSpace of its file" in details(written)


@pytest.mark.parametrize("node", ["Base", "Style"])
@pytest.mark.parametrize(
    ("axis", "words"), [("u", "clamp and periodic"), ("v", "periodic and clamp")], ids=["u", "v"]
)
def test_an_image_that_wraps_otherwise(written: Path, node: str, axis: str, words: str) -> None:
    place = f"{INK}StylizedNetwork/{node}.inputs:{axis}addressmode"
    edit(written, lambda layer: set_default(layer, place, "clamp"))
    assert failures(written) == {LIVE}
    assert f"{node} wraps by {words} instead of periodic and periodic" in details(written)


def _place(layer: Sdf.Layer) -> None:
    """A UsdTransform2d before the bake's texture, that moves it by a hundredth."""
    node = Sdf.CreatePrimInLayer(layer, f"{INK}Moved")
    node.specifier, node.typeName = Sdf.SpecifierDef, "Shader"
    Sdf.AttributeSpec(
        node, "info:id", Sdf.ValueTypeNames.Token, Sdf.VariabilityUniform
    ).default = "UsdTransform2d"
    taken = Sdf.AttributeSpec(node, "inputs:in", Sdf.ValueTypeNames.Float2)
    taken.connectionPathList.explicitItems = [f"{LOOK}/StylizedCoordinates.outputs:result"]
    moved = Sdf.AttributeSpec(node, "inputs:translation", Sdf.ValueTypeNames.Float2)
    moved.default = Gf.Vec2f(0.0, 0.01)
    Sdf.AttributeSpec(node, "outputs:result", Sdf.ValueTypeNames.Float2)
    st = layer.GetAttributeAtPath(f"{INK}StylizedBake.inputs:st")
    st.connectionPathList.explicitItems = [f"{LOOK}/Moved.outputs:result"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda layer: set_default(layer, f"{INK}StylizedCoordinates.inputs:varname", "map1"),
            "It reads primvars:map1 instead of primvars:st; run again with --force.",
        ),
        (_place, "It transforms its UVs otherwise than the source does; run again with --force."),
        (
            lambda layer: set_default(layer, f"{INK}StylizedBake.inputs:wrapS", "clamp"),
            "It wraps by clamp and repeat instead of repeat and repeat; run again with --force.",
        ),
        (
            lambda layer: set_default(layer, f"{INK}StylizedBake.inputs:wrapT", "mirror"),
            "It wraps by repeat and mirror instead of repeat and repeat; run again with --force.",
        ),
    ],
)
def test_a_bake_that_lies_elsewhere_on_the_mesh(
    written: Path, change: Callable[[Sdf.Layer], None], sentence: str
) -> None:
    edit(written, change)
    assert failures(written) == {BAKE}
    assert sentence in details(written)


@pytest.mark.parametrize("size", [(1, 1), (16, 32), (64, 64)])
def test_a_bake_of_another_size(written: Path, size: tuple[int, int]) -> None:
    path = written.parent / "tiny.style/ink/World__Left/World__Left.ink.baked.png"
    with Image.open(path) as picture:
        picture.resize(size).save(path)
    assert failures(written) == {BAKE}


def test_a_bake_that_is_gone(written: Path) -> None:
    (written.parent / "tiny.style/ink/World__Left/World__Left.ink.baked.png").unlink()
    place = f"{INK}StylizedBake.inputs:file"
    assert failures(written) == {("path", place), ("validation", ""), BAKE}
    assert (
        "bake: /World/Left (ink): ./tiny.style/ink/World__Left/World__Left.ink.baked.png cannot be"
        in details(written)
    )


def test_a_bake_of_another_tile_more(tmp_path: Path) -> None:
    result = write_result(build_udim_stage(tmp_path / "shot"), made=zero_offsets)
    folder = tmp_path / "shot/tiny.style/ink/World__Body"
    (folder / "World__Body.ink.baked.1011.png").write_bytes(
        (folder / "World__Body.ink.baked.1001.png").read_bytes()
    )
    assert failures(result) == {("bake", "/World/Body (ink)")}
    assert "baked.<UDIM>.png has not the tiles of the source's texture" in details(result)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("tile", [1001, 1012])
def test_a_style_texture_that_is_no_number(tmp_path: Path, number: float, tile: int) -> None:
    """In one texel of one tile."""
    result = write_result(build_udim_stage(tmp_path / "shot"), made=zero_offsets)
    path = tmp_path / f"shot/tiny.style/ink/World__Body/World__Body.ink.TS.{tile}.exr"
    offset = oiio.ImageBuf(str(path))
    offset.setpixel(3, 3, [0.0, number, 0.0])
    assert offset.write(str(path))
    assert failures(result) == {("live", "/World/Body (ink)")}
    assert f"TS.{tile}.exr holds NaN or infinite values" in details(result)


# What the result says of itself


@pytest.mark.parametrize("text", ["[]", '{"written": []}', '{"written": {"World__Right": {}}}', "{"])
def test_a_run_json_that_is_none(written: Path, text: str) -> None:
    (written.parent / "tiny.style/ink/run.json").write_text(text)
    assert LIVE in failures(written)
    assert "run.json" in details(written)


def test_a_strength_that_the_bake_was_not_made_with(written: Path) -> None:
    path = written.parent / "tiny.style/ink/run.json"
    run = json.loads(path.read_text())
    run["written"]["World__Left"]["strength"] = 0.9
    path.write_text(json.dumps(run))
    assert failures(written) == {BAKE}


def test_a_root_layer_without_its_style_layer(written: Path) -> None:
    layer = Sdf.Layer.FindOrOpen(str(written))
    layer.subLayerPaths = list(layer.subLayerPaths)[1:]
    layer.Save()
    with pytest.raises(OutputError, match="has lost its style layer; run again with --force"):
        verify.verify(written)
