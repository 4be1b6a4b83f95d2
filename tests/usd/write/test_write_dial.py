"""Another strength for a result: its dials, its bakes, what stays, and what is refused."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import details, edit, hold, offsets, problems, style_layer, texture, write_result
from conftest import build_tiny_stage, unchanged
from copied_stages import build_lamps
from instance_stages import make_shot
from mdl_stages import make_stage as make_mdl_stage
from pxr import Sdf, Usd, UsdShade
from udim_stages import build_udim_stage

import usdstylize
from usdstylize.config.options import StageOptions
from usdstylize.errors import OptionsError, OutputError, StageError
from usdstylize.model.objects import StageObject, StyleTexture
from usdstylize.usd import read, verify, write

LEFT, RIGHT = "/World/StylizedLooks/World__Left", "/World/StylizedLooks/World__Right"
CLASS = "/_class_Stylized"
SIDE = 32
"""Of `build_tiny_stage`'s texture: a T_S of the same size is added texel by texel."""


def tiled(obj: StageObject) -> StyleTexture:
    return texture(*[offsets(1 + n, (SIDE, SIDE)) for n in range(len(obj.tiles) or 1)])


@pytest.fixture
def result(tiny_stage: Path) -> Path:
    return write_result(tiny_stage, made=tiled)


def codes(file: Path) -> Any:
    return np.asarray(oiio.ImageBuf(str(file)).get_pixels(oiio.FLOAT))


def by_hand(stage: Path, strength: float) -> Any:
    offset = offsets(1, (SIDE, SIDE)).astype(np.float16).astype(np.float64)
    return np.clip(codes(stage.parent / "textures/color.png") + strength * offset, 0, 1)


def bake(result: Path, name: str, style: str = "ink") -> Path:
    return result.parent / f"tiny.style/{style}/{name}/{name}.{style}.baked.png"


def dials(result: Path) -> dict[str, float]:
    """Where the dial of each material stands, as a viewer composes it."""
    stage = Usd.Stage.Open(str(result))
    looks = stage.GetPrimAtPath("/World/StylizedLooks").GetChildren()
    return {look.GetName(): round(UsdShade.Material(look).GetInput("strength").Get(), 6) for look in looks}


def set_master(layer: Sdf.Layer, strength: float) -> None:
    spec = Sdf.CreatePrimInLayer(layer, CLASS)
    Sdf.AttributeSpec(spec, "inputs:strength", Sdf.ValueTypeNames.Float).default = strength


def test_dials_and_bakes_have_the_new_strength_and_all_else_stays(tiny_stage: Path, result: Path) -> None:
    folder = result.parent / "tiny.style/ink"
    layer = style_layer(result).ExportToString()
    made = json.loads((folder / "run.json").read_text())
    textures = [file.read_bytes() for file in sorted(folder.glob("*/*.TS.exr"))]
    with unchanged(tiny_stage, tiny_stage.parent / "textures"):
        dialled = usdstylize.dial(result, 0.6)
    assert (dialled.styles, dialled.objects) == (("ink",), ("/World/Left", "/World/Right"))
    assert (dialled.failed, dialled.remarks) == ((), ())
    hold(result)
    assert dials(result) == {"World__Left": 0.6, "World__Right": 0.6}
    for name in ("World__Left", "World__Right"):
        assert np.abs(codes(bake(result, name)) - by_hand(tiny_stage, 0.6)).max() <= 0.501 / 255
    assert [file.read_bytes() for file in sorted(folder.glob("*/*.TS.exr"))] == textures
    assert style_layer(result).ExportToString() == layer.replace("strength = 1 (", "strength = 0.6 (")
    run = json.loads((folder / "run.json").read_text())
    assert {facts["strength"] for facts in run["written"].values()} == {0.6}
    assert (run["seed"], run["date"], run["sources"]) == (made["seed"], made["date"], made["sources"])
    usdstylize.dial(result, 1.0)
    assert style_layer(result).ExportToString() == layer
    hold(result)


def test_a_mask_leaves_the_others_and_the_master_dial_gives_way(tiny_stage: Path, result: Path) -> None:
    edit(result, lambda layer: set_master(layer, 0.3))
    root = Sdf.Layer.FindOrOpen(str(result))
    by_an_artist = Sdf.CreatePrimInLayer(root, LEFT)
    Sdf.AttributeSpec(by_an_artist, "inputs:strength", Sdf.ValueTypeNames.Float).default = 0.2
    root.Save()
    assert dials(result) == {"World__Left": 0.2, "World__Right": 0.3}
    with unchanged(bake(result, "World__Right")):
        dialled = usdstylize.dial(result, 0.6, ["/World/Left"])
    assert dialled.objects == ("/World/Left",)
    (remark,) = dialled.remarks
    assert (
        remark == f"The master dial {CLASS} had a strength, which is removed: each object's own counts now."
    )
    assert dials(result) == {"World__Left": 0.6, "World__Right": 1.0}
    assert np.abs(codes(bake(result, "World__Left")) - by_hand(tiny_stage, 0.6)).max() <= 0.501 / 255
    hold(result)


def test_every_style_or_one_and_what_is_shown_stays(tiny_stage: Path) -> None:
    write_result(tiny_stage, "ink", made=tiled)
    result = write_result(tiny_stage, "gouache", seed=2, mask=["/World/Left"])
    with unchanged(*(result.parent / "tiny.style/ink").iterdir()):
        dialled = usdstylize.dial(result, 0.5, style="gouache")
    assert dialled.objects == ("/World/Left",)
    assert dialled.remarks == ("1 of 2 objects does not hold gouache: left as it was.",)
    hold(result)
    assert usdstylize.dial(result, 0.25).styles == ("gouache", "ink")
    hold(result)
    opened = Usd.Stage.Open(str(result))
    for style, shown in (("gouache", LEFT), ("ink", RIGHT)):
        assert opened.GetPrimAtPath(shown).GetVariantSet("style").GetVariantSelection() == style
    assert dials(result) == {"World__Left": 0.25, "World__Right": 0.25}


@pytest.mark.parametrize(
    ("make", "network"),
    [
        (build_udim_stage, "both"),
        (make_shot, "both"),
        (lambda folder: make_mdl_stage(folder, diffuse_texture="./color.png"), "both"),
        (build_tiny_stage, "preview"),
        (build_tiny_stage, "mtlx"),
    ],
)
def test_whatever_a_style_can_be_written_to(
    tmp_path: Path, make: Callable[[Path], Path], network: str
) -> None:
    stage = make(tmp_path / "shot")
    result = write_result(stage, made=tiled, network=network)
    before, files = sorted(problems(result)), sorted(tmp_path.rglob("*"))
    compared = [(check.name, check.subject) for check in verify.verify(result).checks]
    with unchanged(stage):
        dialled = usdstylize.dial(result, 0.4)
    assert dialled.failed == ()
    assert details(result) == ""
    assert sorted(problems(result)) == before
    assert sorted(tmp_path.rglob("*")) == files
    assert [(check.name, check.subject) for check in verify.verify(result).checks] == compared


def test_copies_keep_and_share_files(tmp_path: Path) -> None:
    stage = build_lamps(tmp_path / "shot")
    contents = read.discover(stage, StageOptions())
    first, *copies = contents.objects
    data = read.load(contents, first)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        writer.write_object(first, data, texture(offsets(1)))
        for obj in copies:
            writer.write_copy(obj, data)
        result = writer.commit({})
    folder = tmp_path / "shot/lamps.style/ink"

    def bakes() -> int:
        return len(list(folder.glob("*/*.baked.png")))

    usdstylize.dial(result, 0.6)
    assert bakes() == 1
    hold(result)
    # A copy that gets another strength has a bake of its own, and so has what an original leaves behind.
    usdstylize.dial(result, 0.3, [copies[0].path])
    assert bakes() == 2
    hold(result)
    usdstylize.dial(result, 0.9, [first.path])
    assert bakes() == 3
    hold(result)
    usdstylize.dial(result, 1.0)
    hold(result)


def test_a_mix_stays_as_it_is(tiny_stage: Path, result: Path) -> None:
    write_result(tiny_stage, "gouache", seed=2)
    usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    with unchanged(result.parent / "tiny.style/mix"):
        assert usdstylize.dial(result, 0.5).remarks == ()
    hold(result)
    with pytest.raises(StageError) as caught:
        usdstylize.dial(result, 0.5, style="mix")
    assert str(caught.value) == (
        f"A mix has a dial for each style; give {result} another with "
        f"`usdstylize mix {result} gouache=0.5 ink=0.5`."
    )


def test_what_cannot_be_done_costs_only_its_object(result: Path) -> None:
    lost = result.parent / "tiny.style/ink/World__Left/World__Left.ink.TS.exr"
    lost.unlink()
    dialled = usdstylize.dial(result, 0.5)
    assert dialled.objects == ("/World/Right",)
    assert [(item.path, item.reason) for item in dialled.failed] == [
        ("/World/Left", f"{lost} is lost; stylise its object anew with --force.")
    ]
    assert dials(result) == {"World__Left": 1.0, "World__Right": 0.5}


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"strength": float("nan")}, OptionsError, "The strength nan is out of range; give 0 to 2."),
        ({"strength": -0.5}, OptionsError, "The strength -0.5 is out of range; give 0 to 2."),
        ({"strength": 2.5}, OptionsError, "The strength 2.5 is out of range; give 0 to 2."),
        ({"strength": 1, "style": "oil"}, StageError, "{} holds no style oil; choose from ink."),
        ({"strength": 1, "style": "original"}, StageError, "{} holds no style original; choose from ink."),
        (
            {"strength": 1, "mask": ["/World/Gone"]},
            StageError,
            "--mask names /World/Gone, where {} holds no object; it holds /World/Left, /World/Right.",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(
    result: Path, arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with unchanged(result.parent), pytest.raises(error) as caught:
        usdstylize.dial(result, **arguments)
    assert str(caught.value) == sentence.format(result)


def test_what_is_no_result_is_refused_and_a_package_is_packed_anew(tiny_stage: Path, result: Path) -> None:
    with pytest.raises(OutputError, match=r"tiny\.usda is not a result of usdstylize"):
        usdstylize.dial(tiny_stage, 0.5)
    dialled = usdstylize.dial(result, 0.5, package=True)
    assert (dialled.package, dialled.problems) == (result.with_suffix(".usdz"), ())
    with (
        unchanged(result.parent),
        pytest.raises(OutputError, match="is a package, which is never edited; give"),
    ):
        usdstylize.dial(dialled.package, 0.5)
    (remark,) = usdstylize.dial(result, 0.4).remarks
    assert remark.endswith("was packed before this; --package packs it anew.")


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from killed import Moment
import usdstylize
Moment(sys.argv[3], sys.argv[4], int(sys.argv[5])).arrange()
usdstylize.dial(sys.argv[2], 0.5)
"""


def test_a_kill_leaves_the_old_result_and_no_work_for_others(tiny_stage: Path, result: Path) -> None:
    kept = [result, *result.parent.glob("*.usda"), *(result.parent / "tiny.style").iterdir()]
    with unchanged(*kept):
        moment = [str(result), "usdstylize.usd.write.writer", "write_finished", "2"]
        process = [sys.executable, "-c", KILLED, str(Path(__file__).parents[2]), *moment]
        assert subprocess.run(process, check=False).returncode == -9
    hold(result)
    (left,) = (result.parent / "tiny.style").glob(".*")
    assert left.name.startswith(".ink.dial.unfinished-")
    contents = read.discover(tiny_stage)
    plan = write.plan(contents, "ink", output=None, force=False, resume=True)
    assert plan.existing == ("World__Left", "World__Right")
    assert write.finished_objects(plan, dict.fromkeys(plan.existing, "now")) == ({}, ())
    usdstylize.dial(result, 0.5)
    hold(result)
    assert [path.name for path in (result.parent / "tiny.style").iterdir()] == ["ink"]


def test_a_failure_between_the_renames_takes_them_back(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(target).name == "tiny.style.usda" and ".replaced" not in Path(source).name:
            raise PermissionError(13, "Permission denied", str(target))
        real(source, target)

    with unchanged(result.parent), monkeypatch.context() as patched:
        patched.setattr(os, "replace", failing)
        with pytest.raises(OutputError, match="Permission denied"):
            usdstylize.dial(result, 0.5)


# The master dial


def shown(stage: Usd.Stage, path: str) -> float:
    return round(float(UsdShade.Material.Get(stage, path).GetInput("strength").Get()), 6)


def test_one_class_dials_every_object_from_wherever_the_result_is_shown(tmp_path: Path, result: Path) -> None:
    """In the result, in its session layer, in a shot that references one asset of it, and in a package."""
    opened = Usd.Stage.Open(str(result))
    with Usd.EditContext(opened, opened.GetSessionLayer()):
        opened.CreateClassPrim(CLASS).CreateAttribute("inputs:strength", Sdf.ValueTypeNames.Float).Set(0.3)
    assert (shown(opened, LEFT), shown(opened, RIGHT)) == (0.3, 0.3)
    flat = Usd.Stage.Open(opened.Flatten())
    assert (shown(flat, LEFT), shown(flat, RIGHT)) == (0.3, 0.3)
    package = usdstylize.dial(result, 1.0, package=True).package
    for number, file in enumerate((result, package)):
        shot = Usd.Stage.CreateNew(str(tmp_path / f"shot{number}.usda"))
        for name in ("A", "B"):
            prim = shot.DefinePrim(f"/Shot/{name}")
            prim.GetReferences().AddReference(str(file), "/World")
            prim.SetInstanceable(name == "B")
        assert shown(shot, "/Shot/A/StylizedLooks/World__Left") == 1.0
        shot.CreateClassPrim(CLASS).CreateAttribute("inputs:strength", Sdf.ValueTypeNames.Float).Set(0.4)
        assert {shown(shot, f"/Shot/{name}/StylizedLooks/World__Left") for name in "AB"} == {0.4}
        assert shot.GetPrimAtPath("/Shot/B").IsInstance()


def test_instances_follow_the_class(tmp_path: Path) -> None:
    result = write_result(make_shot(tmp_path / "shot"), made=tiled)
    edit(result, lambda layer: set_master(layer, 0.3))
    hold(result)
    opened = Usd.Stage.Open(str(result))
    inside = Usd.PrimRange.Stage(opened, Usd.TraverseInstanceProxies())
    values = [
        shown(opened, str(prim.GetPath()))
        for prim in inside
        if prim.IsA(UsdShade.Material) and prim.HasAttribute("inputs:strength")
    ]
    assert len(values) > 1
    assert set(values) == {0.3}


def test_the_original_and_a_mix_have_no_dial_of_the_class(tiny_stage: Path, result: Path) -> None:
    write_result(tiny_stage, "gouache", seed=2)
    usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3})
    opened = Usd.Stage.Open(str(result))
    names = {dial.GetBaseName() for dial in UsdShade.Material.Get(opened, LEFT).GetInputs()}
    assert names == {"strength_ink", "strength_gouache"}
    opened.GetPrimAtPath(LEFT).GetVariantSet("style").SetVariantSelection("original")
    assert UsdShade.Material.Get(opened, LEFT).GetInputs() == []
    assert not opened.GetPrimAtPath(LEFT).GetAppliedSchemas()


def test_another_style_keeps_a_strength_on_the_class(tiny_stage: Path, result: Path) -> None:
    edit(result, lambda layer: set_master(layer, 0.3))
    write_result(tiny_stage, "gouache", seed=2)
    assert dials(result) == {"World__Left": 0.3, "World__Right": 0.3}
    hold(result)


def test_a_source_with_such_an_input_keeps_it_in_its_original(tiny_stage: Path) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    paint = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    paint.CreateInput("strength", Sdf.ValueTypeNames.Float).Set(0.9)
    stage.Save()
    result = write_result(tiny_stage, made=tiled)
    edit(result, lambda layer: set_master(layer, 0.3))
    assert dials(result) == {"World__Left": 1.0, "World__Right": 1.0}
    write.select(result, "original")
    assert dials(result) == {"World__Left": 0.9, "World__Right": 0.9}
    run = json.loads((result.parent / "tiny.style/ink/run.json").read_text())
    (remark,) = run["written"]["World__Left"]["remarks"]
    assert remark.endswith("which the style's dial replaces: /_class_Stylized does not reach it.")


def test_what_takes_the_place_of_the_class_is_refused(tiny_stage: Path) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    stage.CreateClassPrim(CLASS).CreateAttribute("inputs:strength", Sdf.ValueTypeNames.Float).Set(0.5)
    stage.Save()
    hold(write_result(tiny_stage, made=tiled))
    stage.GetPrimAtPath(CLASS).SetSpecifier(Sdf.SpecifierDef)
    stage.Save()
    with pytest.raises(
        usdstylize.MaterialError, match=f"the stage itself has a prim at {CLASS}; rename that"
    ):
        write_result(tiny_stage, "gouache", made=tiled)


# Limits, the version of MaterialX, and authorship


def test_a_dial_has_its_limits(result: Path) -> None:
    opened = Usd.Stage.Open(str(result))
    dial = UsdShade.Material.Get(opened, LEFT).GetInput("strength").GetAttr()
    for limits, most in ((dial.GetSoftLimits(), 1.0), (dial.GetHardLimits(), 2.0)):
        assert (limits.GetMinimum(), limits.GetMaximum()) == (0.0, most)
    assert dial.GetCustomDataByKey("range") == {"min": 0.0, "max": 2.0}


def version(result: Path) -> str | None:
    """What the material says in the style, as a reader with usdMtlx finds it."""
    opened = Usd.Stage.Open(str(result))
    prim = opened.GetPrimAtPath(LEFT)
    applied = prim.GetMetadata("apiSchemas")
    named = bool(applied) and "MaterialXConfigAPI" in applied.GetAddedOrExplicitItems()
    attribute = prim.GetAttribute("config:mtlx:version")
    assert named == bool(attribute)
    return attribute.Get() if attribute else None


def test_a_live_network_says_its_version_of_materialx(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, made=tiled)
    assert version(result) == "1.39"
    write.select(result, "original")
    assert version(result) is None
    write_result(tiny_stage, made=tiled, network="preview", force=True)
    assert version(result) is None


def test_the_sources_own_version_stays(tiny_stage: Path) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    paint = stage.GetPrimAtPath("/World/Looks/Paint")
    paint.AddAppliedSchema("MaterialXConfigAPI")
    paint.CreateAttribute("config:mtlx:version", Sdf.ValueTypeNames.String).Set("1.38")
    stage.Save()
    assert version(write_result(tiny_stage, made=tiled)) == "1.38"


def test_nodes_of_an_older_materialx_are_not_called_newer(tiny_stage: Path) -> None:
    """A swizzle is in 1.38 alone, which a network without a version is taken for."""
    stage = Usd.Stage.Open(str(tiny_stage))
    swizzle = UsdShade.Shader.Define(stage, "/World/Looks/Paint/Swizzle")
    swizzle.CreateIdAttr("ND_swizzle_color3_color3")
    stage.Save()
    assert version(write_result(tiny_stage, made=tiled)) is None


def record(result: Path, path: str = LEFT) -> dict[str, Any]:
    opened = Usd.Stage.Open(str(result))
    prim = opened.GetPrimAtPath(path)
    if "AuthorshipAPI:usdstylize" not in prim.GetAppliedSchemas():
        return {}
    start = "authorship:usdstylize:"
    found = {a.GetName().removeprefix(start): a.Get() for a in prim.GetAuthoredAttributes()}
    return {name: found[name] for name in found if f"{start}{name}" in prim.GetPropertyNames()}


def test_a_style_has_a_record_of_how_it_was_made(tiny_stage: Path) -> None:
    contents = read.discover(tiny_stage)
    report = {
        "plan": {
            "style_images": ["/home/ada/concept/b.png", "../concept/a.png"],
            "style_hashes": ["beef", "cafe"],
            "settings": {"seed": 7, "encoder": "vgg16", "strength": 1.0},
        }
    }

    def made(style: str, **credits: Any) -> Path:
        plan = write.plan(contents, style, output=None, force=True, resume=False)
        with write.Writer(plan, contents, strength=1.0, network="both", **credits) as writer:
            for obj in contents.objects:
                writer.write_object(obj, read.load(contents, obj), tiled(obj))
            return writer.commit(report)

    result = made("ink", creator="Ada Lovelace", usage_terms="CC BY 4.0")
    hold(result)
    found = record(result)
    inputs = [
        "styleImage:b.png",
        "sha256:beef",
        "styleImage:a.png",
        "sha256:cafe",
        "seed",
        "7",
        "encoder",
        "vgg16",
    ]
    assert found["softwarePackage"] == "usdstylize"
    assert found["softwareVersion"] == usdstylize.__version__
    assert found["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert list(found["inputs"]) == inputs
    assert (list(found["creator"]), found["usageTerms"]) == (["Ada Lovelace"], "CC BY 4.0")
    dates = style_layer(result).customLayerData["usdstylize"]["styles"]
    assert found["created"] == dates["ink"]["date"]
    assert "/home" not in style_layer(result).ExportToString()
    # Who made it stays until somebody else is named; another style has its own, and a mix has both inputs.
    made("ink")
    assert list(record(result)["creator"]) == ["Ada Lovelace"]
    report["plan"]["style_images"], report["plan"]["style_hashes"] = ["c.png"], ["f00d"]
    made("gouache")
    assert list(record(result)["inputs"])[:2] == ["styleImage:c.png", "sha256:f00d"]
    assert "creator" not in record(result)
    usdstylize.mix(result, {"ink": 0.5, "gouache": 0.5})
    hold(result)
    mixed = list(record(result)["inputs"])
    assert {"sha256:beef", "sha256:cafe", "sha256:f00d"} < set(mixed)
    write.select(result, "original")
    assert record(result) == {}
