"""Several styles in one variant: what is written, what stays, and what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import (
    author_groups,
    bound,
    details,
    failures,
    hold,
    offsets,
    problems,
    style_layer,
    texture,
    write_result,
)
from conftest import build_tiny_stage, define_quad, unchanged
from copied_stages import build_lamps
from instance_stages import add_point_instancer, make_asset, make_shot, new_stage
from mdl_stages import make_stage as make_mdl_stage
from mtlx_scenes import From, add_mtlx_material, image, uv
from pxr import Sdf, Usd, UsdShade
from udim_stages import build_udim_stage

import usdstylize
from usdstylize import mixing
from usdstylize.config.options import StageOptions
from usdstylize.errors import OptionsError, OutputError, StageError
from usdstylize.model.objects import StageObject, StyleTexture
from usdstylize.usd import read, verify, write

LEFT, RIGHT = "/World/StylizedLooks/World__Left", "/World/StylizedLooks/World__Right"
SIDE = 32
"""Of `build_tiny_stage`'s texture: a T_S of the same size is added texel by texel."""


def tiled(seed: int, side: int = 16) -> Callable[[StageObject], StyleTexture]:
    def made(obj: StageObject) -> StyleTexture:
        return texture(*[offsets(seed + n, (side, side)) for n in range(len(obj.tiles) or 1)])

    return made


def two_styles(stage: Path, side: int = SIDE, **how: Any) -> Path:
    """ink of seed 1 and gouache of seed 2, which is half as large."""
    write_result(stage, "ink", made=tiled(1, side), **how)
    return write_result(stage, "gouache", made=tiled(2, side // 2), **how)


def selections(result: Path) -> list[str]:
    stage = Usd.Stage.Open(str(result))
    looks = stage.GetPrimAtPath("/World/StylizedLooks").GetChildren()
    return [look.GetVariantSet("style").GetVariantSelection() for look in looks]


def codes(file: Path) -> np.ndarray:
    return np.asarray(oiio.ImageBuf(str(file)).get_pixels(oiio.FLOAT))


@pytest.fixture
def result(tiny_stage: Path) -> Path:
    return two_styles(tiny_stage)


def test_a_mix_is_a_variant_with_a_dial_for_each_style_and_a_bake(tiny_stage: Path) -> None:
    for seed, style in ((1, "ink"), (2, "gouache")):
        write_result(tiny_stage, style, seed=seed, size=(SIDE, SIDE))
    result = tiny_stage.with_name("tiny.stylized.usda")
    before = style_layer(result).ExportToString()
    with unchanged(tiny_stage, tiny_stage.parent / "textures", *(tiny_stage.parent / "tiny.style").iterdir()):
        mixed = usdstylize.mix(result, {"ink": 0.7, "gouache": 0.25})
    assert (mixed.objects, mixed.failed, mixed.remarks) == (("/World/Left", "/World/Right"), (), ())
    hold(result)
    assert selections(result) == ["mix", "mix"]
    opened = Usd.Stage.Open(str(result))
    material = UsdShade.Material.Get(opened, LEFT)
    dials = {dial.GetBaseName(): dial for dial in material.GetInputs()}
    assert {name: round(dial.Get(), 6) for name, dial in dials.items()} == {
        "strength_ink": 0.7,
        "strength_gouache": 0.25,
    }
    for name, dial in dials.items():
        assert name.removeprefix("strength_") in dial.GetDocumentation()
        assert dial.GetAttr().GetCustomDataByKey("range") == {"min": 0.0, "max": 2.0}
    t = codes(tiny_stage.parent / "textures/color.png")
    ink, gouache = (offsets(seed, (SIDE, SIDE)).astype(np.float16).astype(np.float64) for seed in (1, 2))
    by_hand = np.clip(t + 0.7 * ink + 0.25 * gouache, 0, 1)
    assert (by_hand == 0).any() and (by_hand == 1).any()  # noqa: PT018
    files = tiny_stage.parent / "tiny.style/mix/World__Left"
    assert [file.name for file in files.iterdir()] == ["World__Left.mix.baked.png"]
    assert np.abs(codes(files / "World__Left.mix.baked.png") - by_hand).max() <= 0.501 / 255
    write.select(result, "gouache")
    assert selections(result) == ["gouache", "gouache"]
    # Nothing but the variant, its selection, its record and the provenance is new.
    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.ImportFromString(style_layer(result).ExportToString())
    for look in (LEFT, RIGHT):
        variants = layer.GetPrimAtPath(look).variantSets["style"]
        variants.RemoveVariant(variants.variants["mix"])
    del layer.rootPrims["_class_Stylized_mix"]
    data = layer.customLayerData
    del data["usdstylize"]["styles"]["mix"]
    layer.customLayerData = data
    assert layer.ExportToString() == before


def subsets(folder: Path) -> Path:
    path = build_tiny_stage(folder)
    stage = Usd.Stage.Open(str(path))
    mesh = define_quad(stage, "/World/Split", UsdShade.Material.Get(stage, "/World/Looks/Paint"))
    mesh.GetFaceVertexCountsAttr().Set([3, 3])
    mesh.GetFaceVertexIndicesAttr().Set([0, 1, 2, 0, 2, 3])
    UsdShade.MaterialBindingAPI(mesh.GetPrim()).CreateMaterialBindSubset("half", [1])
    stage.Save()
    return path


def point_instancer(folder: Path) -> Path:
    asset = make_asset(folder)
    stage = new_stage(folder, "shot.usda", "/World")
    stage.DefinePrim("/World/Grass/Blade", "Xform").GetReferences().AddReference(asset)
    add_point_instancer(stage, "/World/Grass", ["/World/Grass/Blade"])
    stage.Save()
    return folder / "shot.usda"


def mtlx(folder: Path) -> Path:
    """A MaterialX surface whose base colour comes out of a NodeGraph."""
    path = build_tiny_stage(folder)
    stage = Usd.Stage.Open(str(path))
    nodes = {"UV": uv(), "A": image("./textures/color.png")}
    material = add_mtlx_material(stage, "/World/Looks/M", From("A"), nodes, graph="Graph")
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Left")).Bind(material)
    stage.Save()
    return path


def mdl(folder: Path) -> Path:
    return make_mdl_stage(folder, diffuse_texture="./color.png")


@pytest.mark.parametrize(
    ("make", "network"),
    [
        (build_udim_stage, "both"),
        (make_shot, "both"),
        (point_instancer, "both"),
        (subsets, "both"),
        (mtlx, "both"),
        (mdl, "both"),
        (build_tiny_stage, "preview"),
        (build_tiny_stage, "mtlx"),
    ],
)
def test_whatever_a_style_can_be_written_to(
    tmp_path: Path, make: Callable[[Path], Path], network: str
) -> None:
    """Also with T_S of two sizes; `verify` computes what viewers do from the written nodes and files."""
    stage = make(tmp_path / "shot")
    result = two_styles(stage, network=network)
    before = sorted(problems(result))
    assert all("sourceType 'mdl'" in found or "OmniPBR.mdl" in found for found in before)
    with unchanged(stage):
        mixed = usdstylize.mix(result, {"ink": 1.3, "gouache": 0.5})
    assert mixed.failed == ()
    assert details(result) == ""
    assert sorted(problems(result)) == before
    compared = [check.name for check in verify.verify(result).checks if check.subject.endswith("(mix)")]
    live = network != "preview" and make is not build_udim_stage
    assert set(compared) == ({"live"} if live else set()) | ({"bake"} if network != "mtlx" else set())
    assert len(compared) == len(set(compared)) * len(mixed.objects)


def test_an_mdl_shows_the_mix_and_blocked_surfaces_stay_blocked(tmp_path: Path) -> None:
    stage = mdl(tmp_path / "shot")
    source = Usd.Stage.Open(str(stage))
    material = UsdShade.Material.Get(source, "/World/Looks/Paint")
    material.CreateSurfaceOutput("ri").ConnectToSource(
        UsdShade.Shader.Define(source, "/World/Looks/Paint/Ri").CreateOutput("out", Sdf.ValueTypeNames.Token)
    )
    source.Save()
    result = two_styles(stage, block_contexts=["ri"])
    usdstylize.mix(result, {"ink": 1, "gouache": 1})
    opened = Usd.Stage.Open(str(result))
    look = UsdShade.Material.Get(opened, bound(opened, "/World/Quad"))
    mdl_shader = look.ComputeSurfaceSource("mdl")[0]
    assert mdl_shader.GetInput("diffuse_texture").Get().path.endswith("World__Quad.mix.baked.png")
    assert not look.GetSurfaceOutput("ri").HasConnectedSource()


def test_a_second_mix_replaces_the_first_and_a_mask_leaves_the_others(result: Path) -> None:
    usdstylize.mix(result, {"ink": 1, "gouache": 1})
    mixed = usdstylize.mix(result, {"ink": 0.2}, ["/World/Left"])
    assert mixed.objects == ("/World/Left",)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    dials = {
        look: {dial.GetBaseName() for dial in UsdShade.Material.Get(opened, look).GetInputs()}
        for look in (LEFT, RIGHT)
    }
    assert dials == {
        LEFT: {"strength_ink"},
        RIGHT: {"strength_ink", "strength_gouache"},
    }
    run = json.loads((result.parent / "tiny.style/mix/run.json").read_text())
    strengths = {
        name: {style: part["strength"] for style, part in facts["mix"].items()}
        for name, facts in run["written"].items()
    }
    assert strengths == {"World__Left": {"ink": 0.2}, "World__Right": {"ink": 1, "gouache": 1}}


def test_objects_without_all_styles_are_mixed_of_what_they_hold(tiny_stage: Path) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    define_quad(stage, "/World/Third", UsdShade.Material.Get(stage, "/World/Looks/Paint"), x=4.0)
    stage.Save()
    write_result(tiny_stage, "oil")
    write_result(tiny_stage, "ink", mask=["/World/Left", "/World/Right"])
    result = write_result(tiny_stage, "gouache", mask=["/World/Left"])
    mixed = usdstylize.mix(result, {"ink": 0.5, "gouache": 0.5})
    assert mixed.objects == ("/World/Left", "/World/Right")
    assert mixed.remarks == (
        "1 of 3 objects held only some of these styles: mixed of those.",
        "1 of 3 objects held none of these styles: left as it was.",
    )
    assert selections(result) == ["mix", "mix", "oil"]
    hold(result)
    with pytest.raises(StageError, match="No object at /World/Third holds gouache; stylise"):
        usdstylize.mix(result, {"gouache": 1}, ["/World/Third"])


def test_what_cannot_be_mixed_costs_only_its_object(result: Path) -> None:
    (result.parent / "tiny.style/ink/World__Left/World__Left.ink.TS.exr").unlink()
    mixed = usdstylize.mix(result, {"ink": 0.5, "gouache": 0.5})
    assert mixed.objects == ("/World/Right",)
    assert [(item.path, "World__Left.ink.TS.exr" in item.reason) for item in mixed.failed] == [
        ("/World/Left", True)
    ]
    assert selections(result) == ["gouache", "mix"]


def test_copies_read_one_bake(tmp_path: Path) -> None:
    stage = build_lamps(tmp_path / "shot")
    contents = read.discover(stage, StageOptions())
    first, *copies = contents.objects
    assert [obj.copy_of for obj in copies] == [first.name] * 2
    data = read.load(contents, first)
    for seed, style in enumerate(("ink", "gouache")):
        plan = write.plan(contents, style, output=None, force=False, resume=False)
        with write.Writer(plan, contents, strength=1.0, network="both") as writer:
            writer.write_object(first, data, texture(offsets(seed)))
            for obj in copies:
                writer.write_copy(obj, data)
            result = writer.commit({})
    usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    hold(result)
    assert len(list((tmp_path / "shot/lamps.style/mix").glob("*/*"))) == 1
    # When the first is mixed otherwise, its copies keep their bake.
    usdstylize.mix(result, {"ink": 0.1, "gouache": 0.9}, [first.path])
    hold(result)
    assert len(list((tmp_path / "shot/lamps.style/mix").glob("*/*"))) == 2


def test_objects_that_share_a_look_share_the_mix(tiny_stage: Path) -> None:
    for seed, style in enumerate(("ink", "gouache")):
        result = author_groups(tiny_stage, style, seed, share_materials=True)
    assert usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3}, ["/World/Right"]).objects == ("/World/Left",)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    assert {bound(opened, path) for path in ("/World/Left", "/World/Right")} == {LEFT}


def test_objects_that_were_read_in_different_ways(tiny_stage: Path) -> None:
    for seed, style in enumerate(("ink", "gouache")):
        for refine, path in enumerate(("/World/Left", "/World/Right")):
            contents = read.discover(tiny_stage, StageOptions(mask=(path,), refine=refine))
            plan = write.plan(contents, style, output=None, force=False, resume=False)
            with write.Writer(plan, contents, strength=1.0, network="both") as writer:
                (obj,) = contents.objects
                writer.write_object(obj, read.load(contents, obj), texture(offsets(seed)))
                result = writer.commit({})
    assert usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3}).objects == ("/World/Left", "/World/Right")
    hold(result)
    written = json.loads((result.parent / "tiny.style/mix/run.json").read_text())["written"]
    assert {name: facts["refine"] for name, facts in written.items()} == {"World__Left": 0, "World__Right": 1}


def test_an_interrupt_while_mixing_leaves_nothing(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = read.load, 0

    def load(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments, **options)

    monkeypatch.setattr(read, "load", load)
    with unchanged(result.parent), pytest.raises(KeyboardInterrupt):
        usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    assert [path.name for path in sorted((result.parent / "tiny.style").iterdir())] == ["gouache", "ink"]


def test_a_mix_of_a_style_that_was_made_anew_is_stale_and_can_follow(result: Path, tiny_stage: Path) -> None:
    usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    assert mixing.refresh(result) == ()
    write_result(tiny_stage, "ink", seed=9, mask=["/World/Left"], force=True)
    assert failures(result) == {("mix", "/World/Left (mix)"), ("bake", "/World/Left (mix)")}
    assert "The style ink was made anew since; run `usdstylize mix` again." in details(result)
    with unchanged(*(result.parent / "tiny.style/mix/World__Right").iterdir()):
        remarks = mixing.refresh(result)
    assert remarks == ("The mix of 1 object was written anew, from the new style textures.",)
    hold(result)
    assert selections(result) == ["ink", "mix"]
    with unchanged(result.parent):
        assert mixing.refresh(result) == ()


def test_a_mix_that_cannot_follow_is_a_remark(result: Path, tiny_stage: Path) -> None:
    usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    write_result(tiny_stage, "ink", seed=9, force=True)
    run = result.parent / "tiny.style/gouache/run.json"
    run.write_text('{"written": {"World__Left": 3}}')
    (remark,) = mixing.refresh(result)
    assert remark.startswith(f"The mix in {result} is stale and could not be written anew: {run} is")
    assert remark.endswith(f"not what usdstylize wrote; restore it or remove {run.parent}.")


NUMBER = "The strength {} of ink is out of range; give 0 to 2."


@pytest.mark.parametrize(
    ("strengths", "error", "sentence"),
    [
        ({"oil": 1}, StageError, "{} holds no style oil to mix; choose from gouache, ink."),
        ({"mix": 1}, StageError, "{} holds no style mix to mix; choose from gouache, ink."),
        (
            {},
            OptionsError,
            "A mix needs styles with their strengths, such as gouache=0.5 ink=0.5; {} holds gouache, ink.",
        ),
        ({"ink": float("nan")}, OptionsError, NUMBER.format("nan")),
        ({"ink": float("inf")}, OptionsError, NUMBER.format("inf")),
        ({"gouache": 1, "ink": -0.5}, OptionsError, NUMBER.format("-0.5")),
        ({"ink": 2.5}, OptionsError, NUMBER.format("2.5")),
    ],
)
def test_what_is_no_mix_is_refused(
    result: Path, strengths: dict[str, float], error: type[Exception], sentence: str
) -> None:
    with unchanged(result.parent), pytest.raises(error) as caught:
        usdstylize.mix(result, strengths)
    assert str(caught.value) == sentence.format(result)


def test_what_is_no_result_of_two_styles_is_refused(tiny_stage: Path) -> None:
    one = write_result(tiny_stage)
    sentence = (
        f"{one} holds the style ink alone, and a mix needs two; add another with "
        f"`usdstylize {tiny_stage} --style-set DIR --output {one}`."
    )
    with unchanged(tiny_stage.parent):
        with pytest.raises(StageError) as caught:
            usdstylize.mix(one, {"ink": 1})
        assert str(caught.value) == sentence
        with pytest.raises(OutputError, match=r"tiny\.usda is not a result of usdstylize"):
            usdstylize.mix(tiny_stage, {"ink": 1})
        with pytest.raises(OutputError, match=r"gone\.usda is not a file that can be read"):
            usdstylize.mix(tiny_stage.with_name("gone.usda"), {"ink": 1})
    write_result(tiny_stage, "gouache")
    with unchanged(tiny_stage.parent), pytest.raises(StageError, match="--mask names /World/Gone, where"):
        usdstylize.mix(one, {"ink": 1}, ["/World/Gone"])


def test_a_package_holds_the_mix(result: Path, tmp_path: Path) -> None:
    mixed = usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3}, package=True)
    assert mixed.package == result.with_suffix(".usdz")
    assert mixed.problems == ()
    moved = shutil.move(mixed.package, tmp_path / "elsewhere.usdz")
    opened = Usd.Stage.Open(str(moved))
    shaders = [prim for prim in Usd.PrimRange(opened.GetPrimAtPath(LEFT)) if prim.HasAttribute("inputs:file")]
    files = {p.GetName(): p.GetAttribute("inputs:file").Get().resolvedPath for p in shaders}
    assert {"Style_ink", "Style_gouache", "StylizedBake"} < set(files)
    assert all(file.startswith(f"{moved}[") for file in files.values())
    assert problems(moved) == []
    write.write_package(result, result.with_suffix(".usdz"))
    (remark,) = usdstylize.mix(result, {"ink": 0.1}).remarks
    assert remark.endswith("was packed before this mix; --package packs it anew.")


def test_a_failure_between_the_renames_takes_them_back(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(target).name == "tiny.style.usda" and ".replaced" not in Path(source).name:
            raise PermissionError(13, "Permission denied", str(target))
        real(source, target)

    with unchanged(result.parent), monkeypatch.context() as patched:
        patched.setattr(os, "replace", failing)
        with pytest.raises(OutputError, match="Permission denied"):
            usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    assert [path.name for path in sorted((result.parent / "tiny.style").iterdir())] == ["gouache", "ink"]


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from killed import Moment
import usdstylize
Moment(sys.argv[3], sys.argv[4], int(sys.argv[5])).arrange()
usdstylize.mix(sys.argv[2], {"ink": 0.7, "gouache": 0.3})
"""


@pytest.mark.parametrize(
    ("module", "name", "number"),
    [("usdstylize.usd.write.writer", "write_finished", 2), ("os", "replace", 5)],
)
def test_a_kill_leaves_nothing_half(result: Path, module: str, name: str, number: int) -> None:
    """Between the objects, and between the renames of the commit; the next mix takes the rest away."""
    kept = [result, *result.parent.glob("*.usda"), *(result.parent / "tiny.style").iterdir()]
    with unchanged(*kept):
        process = [sys.executable, "-c", KILLED, str(Path(__file__).parents[2]), str(result), module, name]
        assert subprocess.run([*process, str(number)], check=False).returncode == -9
    hold(result)
    usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    hold(result)
    assert [path.name for path in sorted((result.parent / "tiny.style").iterdir())] == [
        "gouache",
        "ink",
        "mix",
    ]
