"""StylizeAPI: known to USD, stage from the nearest prim that speaks, followed object by object."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import problems
from conftest import build_tiny_stage, define_quad
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, UsdShade, UsdUtils
from stylize_api import QUICK, _Types, edit, say

from usdstylize import Options, inspect, styles, stylize
from usdstylize.cli import commands
from usdstylize.config import overrides
from usdstylize.model.objects import ObjectSettings, StageObject, StyleSet
from usdstylize.usd.io import assets

SCHEMAS = Path(__file__).parents[2] / "schemas"

ASK = """
from pxr import Usd, UsdValidation
definition = Usd.SchemaRegistry().FindAppliedAPIPrimDefinition("StylizeAPI")
fallbacks = {n: definition.GetAttributeFallbackValue(n) for n in definition.GetPropertyNames()}
stage = Usd.Stage.CreateInMemory()
stage.SetDefaultPrim(stage.DefinePrim("/World", "Scope"))
stage.SetMetadata("upAxis", "Y"); stage.SetMetadata("metersPerUnit", 1.0)
prim = stage.GetDefaultPrim()
prim.ApplyAPI("StylizeAPI")
prim.GetAttribute("stylize:strength").Set(0.5)
context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
print(prim.HasAPI("StylizeAPI"), fallbacks, [e.GetMessage() for e in context.Validate(stage)])
"""
ANSWER = (
    "True {'stylize:enabled': True, 'stylize:mask': None, 'stylize:palette': None, "
    "'stylize:patternScale': 1.0, 'stylize:patternWidth': None, 'stylize:seed': 0, "
    "'stylize:strength': 1.0, 'stylize:styleImages': None, 'stylize:styleWeights': None, "
    "'stylize:textureResolution': None} []\n"
)


def objects(root: Path) -> dict[str, StageObject]:
    return {found.path: found for found in inspect(root).objects}


def ask(script: str, python: Sequence[str], **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PXR_PLUGINPATH_NAME")}
    command = [*python, "-c", script]
    run = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_any_client_knows_the_schema_by_the_plugin_path_alone(tmp_path: Path) -> None:
    copy = shutil.copytree(SCHEMAS, tmp_path / "somewhere else")
    assert ask(ASK, [sys.executable, "-I"], PXR_PLUGINPATH_NAME=str(copy)) == ANSWER


@pytest.mark.parametrize("imports", ["import usdstylize", "from pxr import Plug; import usdstylize"])
def test_importing_the_package_registers_the_schema(imports: str) -> None:
    assert ask(f"{imports}\n{ASK}", [sys.executable], PYTHONPATH=str(SCHEMAS.parent)) == ANSWER


def test_the_generated_files_are_what_usd_generates(tmp_path: Path) -> None:
    copy = shutil.copytree(SCHEMAS, tmp_path / "schemas")
    (copy / "generatedSchema.usda").unlink()
    command = [sys.executable, "-W", "ignore", "-m", "pxr.Usd.usdGenSchema", "schema.usda", "."]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    for name in ("generatedSchema.usda", "plugInfo.json"):
        assert (copy / name).read_bytes() == (SCHEMAS / name).read_bytes()
    assert "@" not in (SCHEMAS / "plugInfo.json").read_text(), "a placeholder is not filled"


def test_the_nearest_prim_decides_property_by_property(tiny_stage: Path) -> None:
    edit(
        tiny_stage,
        World={"strength": 0.25, "seed": 7, "textureResolution": 64},
        Left={"strength": 0.75, "patternScale": 2.0},
    )
    opened = Usd.Stage.Open(str(tiny_stage))
    opened.GetPrimAtPath("/World/Right").AddAppliedSchema("StylizeAPI")
    blocked = opened.GetPrimAtPath("/World/Right").CreateAttribute("stylize:seed", _Types.Int)
    blocked.Block()  # as the run says, whatever stands above
    opened.Save()
    found = objects(tiny_stage)
    assert found["/World/Left"].settings == ObjectSettings(
        strength=0.75, pattern_scale=2.0, texture_resolution=64, seed=7
    )
    assert found["/World/Right"].settings == ObjectSettings(strength=0.25, texture_resolution=64)


def test_a_subset_has_settings_of_its_own(tiny_stage: Path) -> None:
    opened = Usd.Stage.Open(str(tiny_stage))
    subset = UsdGeom.Subset.CreateGeomSubset(
        UsdGeom.Mesh.Get(opened, "/World/Left"), "all", UsdGeom.Tokens.face, [0], "materialBind"
    )
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(
        UsdShade.Material.Get(opened, "/World/Looks/Paint")
    )
    say(opened.GetPrimAtPath("/World/Left"), seed=1, strength=0.5)
    say(subset.GetPrim(), seed=2)
    opened.Save()
    assert objects(tiny_stage)["/World/Left/all"].settings == ObjectSettings(seed=2, strength=0.5)


def test_disabled_prims_stay_as_they_are_and_are_named(tiny_stage: Path) -> None:
    opened = Usd.Stage.Open(str(tiny_stage))
    paint = UsdShade.Material.Get(opened, "/World/Looks/Paint")
    UsdGeom.Xform.Define(opened, "/World/Set")
    for name in ("A", "B", "Hero"):
        define_quad(opened, f"/World/Set/{name}", paint)
    say(opened.GetPrimAtPath("/World/Set"), enabled=False)
    say(opened.GetPrimAtPath("/World/Set/Hero"), enabled=True)
    opened.Save()
    contents = inspect(tiny_stage)
    assert [found.path for found in contents.objects] == ["/World/Left", "/World/Right", "/World/Set/Hero"]
    skipped = [(item.path, item.reason, item.broken) for item in contents.skipped]
    reason = "/World/Set has stylize:enabled = false, so the 2 objects that it holds stay as in the source."
    assert skipped == [("/World/Set", reason, False)]


def test_a_palette_is_linear_unless_it_says_otherwise(tiny_stage: Path) -> None:
    # IEC 61966-2-1: linear 0.5 is 0.735357 encoded.
    edit(tiny_stage, Left={"palette": [(0.5, 0.0, 1.0)]}, Right={"palette": [(0.5, 0.25, 2.0)]})
    opened = Usd.Stage.Open(str(tiny_stage))
    opened.GetPrimAtPath("/World/Right").GetAttribute("stylize:palette").SetColorSpace("srgb_rec709_scene")
    opened.Save()
    found = objects(tiny_stage)
    np.testing.assert_allclose(found["/World/Left"].settings.palette, [(0.735357, 0.0, 1.0)], atol=1e-5)
    np.testing.assert_allclose(found["/World/Right"].settings.palette, [(0.5, 0.25, 1.0)], atol=1e-5)


def test_a_palette_has_the_color_spaces_that_a_texture_has(tiny_stage: Path) -> None:
    """MaterialX's names count, and what stands on an ancestor; an unknown one is an error."""
    edit(tiny_stage, Left={"palette": [(0.5, 0.0, 1.0)]}, Right={"palette": [(0.2, 0.2, 0.2)]})
    opened = Usd.Stage.Open(str(tiny_stage))
    Usd.ColorSpaceAPI.Apply(opened.GetPrimAtPath("/World")).CreateColorSpaceNameAttr("g22_rec709")
    opened.GetPrimAtPath("/World/Right").GetAttribute("stylize:palette").SetColorSpace("acescg")
    opened.Save()
    found = objects(tiny_stage)
    # 0.5 ** 2.2 is 0.217638 linear, 0.503867 encoded; grey is grey in every space.
    np.testing.assert_allclose(found["/World/Left"].settings.palette, [(0.503867, 0.0, 1.0)], atol=1e-4)
    np.testing.assert_allclose(found["/World/Right"].settings.palette, [(0.484529,) * 3], atol=1e-4)
    opened.GetPrimAtPath("/World/Right").GetAttribute("stylize:palette").SetColorSpace("show_paint")
    opened.Save()
    contents = inspect(tiny_stage)
    assert [found.path for found in contents.objects] == ["/World/Left"]
    assert "/World/Right.stylize:palette is in the colour space show_paint" in contents.skipped[0].reason


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "strength": ({"strength": float("nan")}, "/World/Left.stylize:strength: nan is out of range; give 0 to"),
    "scale": ({"patternScale": 0.0}, "/World/Left.stylize:patternScale: 0.0 is out of range"),
    "resolution": ({"textureResolution": 3}, "textureResolution: 3 is out of range; give 16 to 16384"),
    "seed": ({"seed": -1}, "/World/Left.stylize:seed: -1 is out of range"),
    "weights": (
        {"styleImages": ["./textures/color.png"], "styleWeights": [1.0, 2.0]},
        "styleWeights: 2 values are not one for each of the 1 stylize:styleImages; author as many",
    ),
    "negative weight": (
        {"styleImages": ["./textures/color.png"], "styleWeights": [-1.0]},
        "styleWeights: -1.0 is out of range; give 0, or 0.001 to 1000",
    ),
    "no weight": (
        {"styleImages": ["./textures/color.png"], "styleWeights": [0.0]},
        "styleWeights: 0.0 leaves no image; give one of them more than 0",
    ),
    "image": ({"styleImages": ["./lost.png"]}, "styleImages: @./lost.png@ does not resolve; restore"),
    "palette": ({"palette": [(float("inf"), 0, 0)]}, "stylize:palette: (inf, 0, 0) is no colour"),
    "colours": ({"palette": [(0, 0, 0)] * 65}, "65 colours are too many; give 64 at most"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_setting_that_cannot_be_applied_costs_only_its_object(tiny_stage: Path, name: str) -> None:
    properties, reason = BAD[name]
    contents = inspect(edit(tiny_stage, Left=properties))
    assert [found.path for found in contents.objects] == ["/World/Right"]
    assert [(item.path, item.broken) for item in contents.skipped] == [("/World/Left", True)]
    assert reason in contents.skipped[0].reason


def test_an_attribute_of_a_wrong_type_costs_only_its_object(tiny_stage: Path) -> None:
    layer = Sdf.Layer.FindOrOpen(str(edit(tiny_stage, Left={})))
    Sdf.AttributeSpec(layer.GetPrimAtPath("/World/Left"), "stylize:seed", _Types.String).default = "seven"
    layer.Save()
    contents = inspect(tiny_stage)
    assert "stylize:seed has a value that is no int, as StylizeAPI wants one" in contents.skipped[0].reason
    assert [found.path for found in contents.objects] == ["/World/Right"]


def test_properties_without_the_schema_are_reported_but_not_applied(tiny_stage: Path) -> None:
    opened = Usd.Stage.Open(str(tiny_stage))
    opened.GetPrimAtPath("/World/Left").CreateAttribute("stylize:seed", _Types.Int).Set(7)
    opened.Save()
    left = objects(tiny_stage)["/World/Left"]
    assert left.settings == ObjectSettings()
    assert left.notes == (
        "/World/Left authors stylize: properties without StylizeAPI; apply it for them to count.",
    )


def own_style(folder: Path) -> Path:
    """A folder with one image, unlike those of the run's style set."""
    folder.mkdir()
    rows = np.linspace(0, 255, 80).astype(np.uint8)
    Image.fromarray(np.stack(np.broadcast_arrays(rows[:, None], np.uint8(30), rows[None]), -1)).save(
        folder / "own.png"
    )
    return folder


def textures(root: Path, name: str) -> bytes:
    return next(root.parent.glob(f"{root.stem}.style/*/{name}/*.TS.exr")).read_bytes()


def test_an_image_of_weight_0_is_left_out(tiny_stage: Path, tmp_path: Path, style_folder: Path) -> None:
    own_style(tmp_path / "own")
    images = ["./textures/color.png", "../own/own.png"]
    root = edit(
        tiny_stage,
        Left={"styleImages": images, "styleWeights": [0.0, 2.0], "seed": 1},
        Right={"styleImages": images[1:], "styleWeights": [2.0], "seed": 1},
    )
    contents = inspect(root)
    assert [found.settings.style_weights for found in contents.objects] == [(0.0, 2.0), (2.0,)]
    stylize(root, style_folder, replace(QUICK, texture_resolution=32))
    run = json.loads((root.parent / "tiny.style/ink_stripes/run.json").read_text())
    both = run["plan"]["own_settings"]
    assert both["/World/Left"] == both["/World/Right"]
    assert both["/World/Left"]["style_weights"] == [2.0]
    assert both["/World/Left"]["style_images"] == ["../../../own/own.png"]


def test_an_object_gets_what_a_run_with_its_settings_as_options_gives(
    tmp_path: Path, style_folder: Path
) -> None:
    own = own_style(tmp_path / "own")
    asked = {
        "styleImages": ["../own/own.png"],
        "seed": 7,
        "textureResolution": 32,
        "patternWidth": 0.75,
        "patternScale": 2.0,
        "strength": 0.5,
    }
    root = edit(build_tiny_stage(tmp_path / "asked"), Left=asked, World={"textureResolution": 48})
    result = stylize(root, style_folder, QUICK)
    assert (result.failed, result.problems) == ((), ())
    assert result.root_layer is not None
    assert problems(result.root_layer) == []

    plain = build_tiny_stage(tmp_path / "plain")
    options = replace(
        QUICK, seed=7, texture_resolution=32, pattern_width=1.5, mask=("/World/Left",), strength=0.5
    )
    stylize(plain, own, options)
    assert textures(root, "World__Left") == textures(plain, "World__Left")
    rest = build_tiny_stage(tmp_path / "rest")
    stylize(rest, style_folder, replace(QUICK, texture_resolution=48, mask=("/World/Right",)))
    assert textures(root, "World__Right") == textures(rest, "World__Right")

    opened = Usd.Stage.Open(str(result.root_layer))
    dials = {
        name: UsdShade.Material.Get(opened, f"/World/StylizedLooks/{name}").GetInput("strength").Get()
        for name in ("World__Left", "World__Right")
    }
    assert dials == {"World__Left": 0.5, "World__Right": 1.0}
    run = json.loads((root.parent / "tiny.style/ink_stripes/run.json").read_text())
    own = run["plan"]["own_settings"]
    assert own["/World/Right"] == {"texture_resolution": 48, "texture_limit": 0}
    assert own["/World/Left"]["style_images"] == ["../../../own/own.png"]
    assert (own["/World/Left"]["seed"], own["/World/Left"]["pattern_width"]) == (7, 1.5)
    assert run["written"]["World__Left"]["strength"] == 0.5


def prepared(root: Path, style_folder: Path, options: Options) -> dict[str, overrides.RunSettings]:
    """The settings of every object, as the pipeline has them."""
    from usdstylize.config.presets import resolve

    method = resolve(options, cuda=False)
    style = styles.load(style_folder, primary=None, palette=options.palette, clusters=8, seed=method.seed)
    run = overrides.RunSettings(style, method)
    return overrides.prepare(inspect(root, options), run, options, assets.read_bytes)[1]


def test_the_command_line_wins(tiny_stage: Path, style_folder: Path) -> None:
    edit(
        tiny_stage,
        Left={
            "seed": 7,
            "textureResolution": 32,
            "patternScale": 2.0,
            "strength": 0.5,
            "palette": [(1, 0, 0)],
        },
    )
    given = Options(
        preset="draft",
        seed=0,
        texture_resolution=64,
        camera_distance=(3.0, 3.0),
        strength=1.0,
        palette="#00ff00",
    )
    left = prepared(tiny_stage, style_folder, given)["/World/Left"]
    method = left.method
    assert (method.seed, method.texture_resolution, method.camera_distance) == (0, 64, (3.0, 3.0))
    assert method.strength == 1.0
    assert left.style.palette.tolist() == [[0.0, 1.0, 0.0]]
    framed = Options(preset="draft", framing="object")
    left = prepared(tiny_stage, style_folder, framed)["/World/Left"]
    assert (left.method.seed, left.method.camera_distance) == (7, (5.0, 5.0))
    np.testing.assert_allclose(left.style.palette, [[1.0, 0.0, 0.0]], atol=1e-6)


def test_each_object_has_its_own_style_and_equal_styles_are_shared(
    tiny_stage: Path, style_folder: Path
) -> None:
    """The k-means of grain hangs on its seed; objects that share a style share its features."""
    folder = own_style(tiny_stage.parent / "own")
    grain = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    Image.fromarray(grain).save(folder / "grain.png")

    def styles_of(left: dict[str, Any], right: dict[str, Any], **given: Any) -> list[StyleSet]:
        edit(tiny_stage, Left=left, Right=right)
        found = prepared(tiny_stage, style_folder, Options(preset="draft", **given))
        return [found[f"/World/{name}"].style for name in ("Left", "Right")]

    def clusters(name: str, seed: int) -> list[list[float]]:
        found = styles.load(folder / name, primary=None, palette=None, clusters=8, seed=seed)
        return found.palette.tolist()

    red, blue = [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]
    one, other = styles_of({"palette": [(1, 0, 0)]}, {"palette": [(0, 0, 1)]})
    assert [one.palette.round(5).tolist(), other.palette.round(5).tolist()] == [red, blue]

    own, noise = {"styleImages": ["./own/own.png"]}, {"styleImages": ["./own/grain.png"]}
    one, other = styles_of({**own, "palette": []}, {**noise, "palette": []})
    assert [image.path.name for found in (one, other) for image in found.images] == ["own.png", "grain.png"]
    assert one.palette.tolist() == clusters("own.png", 0)
    assert other.palette.tolist() == clusters("grain.png", 0)
    for found in styles_of(own, noise, palette="#00ff00"):
        assert found.palette.tolist() == [[0.0, 1.0, 0.0]], "the command line's"

    one, other = styles_of({**noise, "seed": 1}, {**noise, "seed": 2})
    assert [one.palette.tolist(), other.palette.tolist()] == [clusters("grain.png", seed) for seed in (1, 2)]
    assert one.palette.tolist() != other.palette.tolist()
    one, other = styles_of({**noise, "seed": 1}, {**noise, "seed": 1})
    assert one is other


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: (folder / "own.png").write_bytes(b"no picture"), "own.png cannot be decoded"),
        (lambda folder: Image.new("RGB", (20, 20)).save(folder / "own.png"), "20 x 20 pixels"),
    ],
)
def test_a_style_image_that_cannot_be_used_costs_only_its_object(
    tiny_stage: Path,
    style_folder: Path,
    make: Callable[[Path], object],
    reason: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make(tiny_stage.parent)
    edit(tiny_stage, Left={"styleImages": ["./own.png"]}, Right={"patternScale": 3.0})
    code = commands.run(
        [
            str(tiny_stage),
            "--style-set",
            str(style_folder),
            "--preset",
            "draft",
            "--dry-run",
            "--framing",
            "object",
        ]
    )
    shown = capfd.readouterr().out
    assert code == 1
    assert reason in shown
    assert "camera distance 7.5 to 7.5" in shown
    assert "The stage asks for pattern scale 3." in shown


def test_a_pattern_scale_that_puts_cameras_into_the_object_costs_only_it(
    tiny_stage: Path, style_folder: Path
) -> None:
    edit(tiny_stage, Left={"patternScale": 0.2})
    plan = stylize(tiny_stage, style_folder, replace(QUICK, framing="object"), dry_run=True).plan
    assert [found.path for found in plan.objects] == ["/World/Right"]
    assert (
        "patternScale 0.2 brings the cameras, at 2.5 bounding radii, into the object; give 0.4 or more"
        in (plan.skipped[0].reason)
    )


def test_style_images_inside_a_package_are_read_there(tmp_path: Path, style_folder: Path) -> None:
    own_style(tmp_path / "own")
    root = edit(build_tiny_stage(tmp_path / "shot"), Left={"styleImages": ["../own/own.png"]})
    assert UsdUtils.CreateNewUsdzPackage(str(root), str(tmp_path / "tiny.usdz"))
    shutil.rmtree(tmp_path / "own")
    left = objects(tmp_path / "tiny.usdz")["/World/Left"]
    assert str(left.settings.style_images[0]).startswith(f"{tmp_path / 'tiny.usdz'}[")
    plan = stylize(tmp_path / "tiny.usdz", style_folder, QUICK, dry_run=True).plan
    assert set(plan.own_settings) == {"/World/Left"}
    assert len(plan.own_settings["/World/Left"]["palette"]) == 8


def test_settings_are_read_even_where_usd_met_the_schema_too_late(tiny_stage: Path) -> None:
    edit(tiny_stage, World={"seed": 5})
    script = (
        "from pxr import Usd; Usd.SchemaRegistry().FindAppliedAPIPrimDefinition('CollectionAPI'); "
        "import sys, usdstylize; print([o.settings.seed for o in usdstylize.inspect(sys.argv[1]).objects])"
    )
    clean = {k: v for k, v in os.environ.items() if k != "PXR_PLUGINPATH_NAME"}
    run = subprocess.run(
        [sys.executable, "-c", script, str(tiny_stage)], env=clean, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[5, 5]\n"


def test_instances_have_settings_of_their_own(tiny_stage: Path) -> None:
    shot = Usd.Stage.CreateNew(str(tiny_stage.with_name("shot.usda")))
    for name, properties in (
        ("A", {"enabled": False}),
        ("B", {"seed": 7}),
        ("C", {"seed": 8}),
        ("D", {"seed": 7}),
    ):
        prim = UsdGeom.Xform.Define(shot, f"/Shot/{name}").GetPrim()
        prim.GetReferences().AddReference("./tiny.usda", "/World")
        prim.SetInstanceable(True)
        say(prim, **properties)
    shot.Save()
    contents = inspect(tiny_stage.with_name("shot.usda"))
    lefts = {o.path: (o.settings.seed, o.instances) for o in contents.objects if o.path.endswith("Left")}
    assert lefts == {"/Shot/B/Left": (7, ("/Shot/B", "/Shot/D")), "/Shot/C/Left": (8, ("/Shot/C",))}
    assert [item.path for item in contents.skipped] == ["/Shot/A"]


def test_objects_of_one_component_with_different_settings_are_not_grouped(tiny_stage: Path) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    Usd.ModelAPI(stage.GetPrimAtPath("/World")).SetKind("component")
    define_quad(stage, "/World/Third", UsdShade.Material.Get(stage, "/World/Looks/Paint"))
    stage.Save()
    together = Options(by="model")
    assert [found.look for found in inspect(tiny_stage, together).objects] == ["World__Left"] * 3
    edit(tiny_stage, Third={"seed": 7})
    looks = {found.path: found.look for found in inspect(tiny_stage, together).objects}
    assert looks == {"/World/Left": "World__Left", "/World/Right": "World__Left", "/World/Third": ""}
    assert [len(group) for group in inspect(tiny_stage, together).groups] == [2, 1]
