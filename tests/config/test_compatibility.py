"""Objects of an earlier run that stay in the result: how that run differed is named, down to each setting."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import build_style_folder, build_tiny_stage, define_quad, unchanged
from PIL import Image
from pxr import Sdf, Usd, UsdShade
from still import without_optimising

from usdstylize import Options, RunResult, stylize
from usdstylize.cli import commands
from usdstylize.config import compatibility
from usdstylize.config.method import Method
from usdstylize.errors import MeshError, OutputError
from usdstylize.model.results import Plan

QUICK = Options(preset="draft", device="cpu")
LEFT = replace(QUICK, mask=("/World/Left",))
RESUME = replace(QUICK, resume=True)
ONE, TWO = "1 object stays as an earlier run made it", "2 objects stay as an earlier run made them"

OTHERWISE: dict[str, tuple[Any, str]] = {
    "encoder": ("vgg16", "vgg16"),
    "style_loss": ("gram", "gram"),
    "content_encoder": ("vgg16", "vgg16"),
    "pattern_width": (0.25, "0.25"),
    "views": ("scene", "scene"),
    "camera_windows": (2, "2"),
    "window": (0.5, "0.5"),
    "border": (8, "8"),
    "covering_iterations": (9, "9"),
    "texture_limit": (256, "256"),
    "start_field": (0.5, "0.5"),
    "smooth": (True, "True"),
    "resolution": (128, "128"),
    "batch": (2, "2"),
    "iterations": (7, "7"),
    "plateau": (True, "True"),
    "texture_resolution": (64, "64"),
    "visibility": ("z-buffer", "z-buffer"),
    "texture_hierarchy": ((64, 512), "64, 512"),
    "direct_texture": (True, "True"),
    "field": (True, "True"),
    "view_pool": (3, "3"),
    "objects_at_once": (1, ""),  # another order of the same work
    "learning_rate": ((0.5, 0.25), "0.5 to 0.25"),
    "nnfm_weight": (7.5, "7.5"),
    "content_weight": (7.5, "7.5"),
    "palette_weight": ((7.5, 7.25), "7.5 to 7.25"),
    "palette_squared": (False, "False"),
    "palette_everywhere": (True, "True"),
    "palette_clusters": (3, "3"),
    "keep_detail": (0.5, "0.5"),
    "mask_image": ("face.png", "face.png"),
    "mask_primvar": ("keep", "keep"),
    "color_start": (0.5, "0.5"),
    "variety": (0.75, "0.75"),
    "keep_light": (0.5, "0.5"),
    "style_colors": (0.5, "0.5"),
    "style_weights": ([2.0, 1.0, 0.5], "2.0, 1.0, 0.5"),
    "object_only": (False, "False"),
    "content_on_background": (False, "False"),
    "style_keys": (5, "5"),
    "precision": ("float32", "float32"),
    "bn_relu": (True, "True"),
    "camera_distance": ((2.5, 2.75), "2.5 to 2.75"),
    "field_of_view": (44.0, "44.0"),
    "light_distance": ((3.0, 5.5), "3.0 to 5.5"),
    "light_power": (2.5, "2.5"),
    "ambient": (0.25, "0.25"),
    "specular": (0.25, "0.25"),
    "phong_exponent": (2.5, "2.5"),
    "strength": (0.5, "0.5"),
    "seed": (4, "4"),
    "by": ("model", "model"),
    "share_materials": (True, "True"),
    "unique": (True, "True"),
    "frame": (3.0, "3.0"),
    "posed": (True, "True"),
    "refine": (2, "2"),
    "network": ("preview", "preview"),
    "block_contexts": (["ri", "arnold"], "ri, arnold"),
    "ocio": ("/show/config.ocio", "/show/config.ocio"),
}
"""Every setting: a value that `draft` has not, and how it is shown; nothing for what has no effect."""


CONFIG = """ocio_profile_version: 2
roles: {default: raw, scene_linear: lin_rec709_scene, aces_interchange: lin_rec709_scene, data: raw}
file_rules: [!<Rule> {name: Default, colorspace: default}]
displays: {screen: [!<View> {name: Raw, colorspace: raw}]}
colorspaces:
  - !<ColorSpace> {name: lin_rec709_scene, isdata: false}
  - !<ColorSpace> {name: raw, isdata: true}
  - !<ColorSpace>
    name: show_paint
    isdata: false
    to_scene_reference: !<ExponentTransform> {value: [2, 2, 2, 1]}
"""


@pytest.fixture
def run(tiny_stage: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`stylize` of the tiny stage, without optimising."""
    without_optimising(monkeypatch)

    def run(options: Options, style: Path = style_folder, **others: Any) -> RunResult:
        return stylize(tiny_stage, style, options, **others)

    return run


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("plan")
    stage, style = build_tiny_stage(folder / "shot"), build_style_folder(folder / "ink stripes")
    return stylize(stage, style, QUICK, dry_run=True).plan


def recorded(plan: Plan, folder: Path) -> dict[str, Any]:
    """A run.json in ``folder`` of a run with that plan."""
    return json.loads(json.dumps(RunResult(plan, None, (), 1.0).to_dict(folder=folder)))


def differences(before: Plan, now: Plan, staying: tuple[str, ...] = ("World__Left",)) -> list[str]:
    folder = before.root_layer.parent / "tiny.style/ink_stripes"
    return list(compatibility.remarks(now, recorded(before, folder), staying, folder))


def test_every_setting_is_tried(plan: Plan) -> None:
    assert set(OTHERWISE) == set(plan.settings)
    assert {field.name for field in dataclasses.fields(Method)} <= set(OTHERWISE)


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_setting_that_differs_is_named(plan: Plan, name: str) -> None:
    value, shown = OTHERWISE[name]
    was = plan.settings[name]
    before = (" to ".join(map(str, was)) or "none") if isinstance(was, (list, tuple)) else was
    now = replace(plan, settings={**plan.settings, name: value})
    words = f"{name.replace('_', ' ')} {before} (now {shown})"
    sentence = f"{ONE}, with other settings ({words}); --force makes all anew."
    assert differences(plan, now) == ([sentence] if shown else [])
    assert differences(now, now) == []


def test_several_settings_of_several_objects(plan: Plan) -> None:
    now = replace(plan, device="cuda", settings={**plan.settings, "seed": 4, "batch": 2})
    words = "batch 1 (now 2), seed 0 (now 4), device cpu (now cuda)"
    for staying, stay in ((("A",), ONE), (("A", "B"), TWO)):
        sentence = f"{stay}, with other settings ({words}); --force makes all anew."
        assert differences(plan, now, staying) == [sentence]
    assert differences(plan, now, ()) == [], "nothing stays"


def test_the_path_of_the_ocio_configuration_is_relative_to_run_json(plan: Plan) -> None:
    """It is written relative to that, and names the same file wherever the two have been moved."""
    config = str(plan.stage.parents[1] / "config.ocio")
    before = replace(plan, settings={**plan.settings, "ocio": config})
    folder = plan.root_layer.parent / "tiny.style/ink_stripes"
    assert recorded(before, folder)["plan"]["settings"]["ocio"] == "../../../config.ocio"
    assert differences(before, before) == []
    (sentence,) = differences(before, plan)
    assert f"(ocio {config} (now None))" in sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": "cuda"}, "device cpu (now cuda)"),
        ({"palette": ("#000000",)}, "palette"),
        ({"style_hashes": ("0" * 64, "1" * 64)}, "style images"),
        ({"style_hashes": ("0" * 64, "1" * 64), "palette": ("#000000",)}, "style images"),
        ({"own_settings": {"/World/Left": {"seed": 3}}}, "what the stage asks for /World/Left"),
        (
            {"own_settings": {"/World/Right": {"seed": 3}, "/World/Left": {"palette": ["#000000"]}}},
            "what the stage asks for /World/Left, what the stage asks for /World/Right",
        ),
    ],
)
def test_inputs_that_differ_are_named_too(plan: Plan, change: dict[str, Any], words: str) -> None:
    sentence = [f"{ONE}, with other settings ({words}); --force makes all anew."]
    assert differences(plan, replace(plan, **change)) == sentence
    if "own_settings" in change:
        assert differences(replace(plan, **change), plan) == sentence, "where nothing is asked any more"


def test_the_order_of_style_images_counts(plan: Plan) -> None:
    """The first gives palette and background."""
    now = replace(plan, style_hashes=plan.style_hashes[::-1])
    assert ["(style images)" in sentence for sentence in differences(plan, now)] == [True]


def test_own_style_images_count_by_their_bytes(plan: Plan) -> None:
    def asking(folder: str, digest: str) -> Plan:
        own = {"style_images": [Path(folder) / "a.png"], "style_hashes": [digest]}
        return replace(plan, own_settings={"/World/Left": own})

    assert differences(asking("/a", "1"), asking("/b", "1")) == []
    assert len(differences(asking("/a", "1"), asking("/a", "2"))) == 1


def test_remarks_of_the_earlier_run_stay_and_are_not_repeated(plan: Plan) -> None:
    before = replace(plan, remarks=("1 object stays.", "Another sentence."))
    assert differences(before, plan) == ["1 object stays.", "Another sentence."]
    now = replace(plan, device="cuda")
    sentence = differences(before, now)
    assert sentence[:2] == ["1 object stays.", "Another sentence."]
    assert "device" in sentence[2]
    assert differences(replace(plan, remarks=tuple(sentence)), now) == sentence, "it is not repeated"
    assert differences(before, plan, ()) == []


def test_a_run_json_without_a_plan(plan: Plan, tmp_path: Path) -> None:
    for earlier in ({}, {"plan": None}, {"plan": []}):
        assert compatibility.remarks(plan, earlier, ["World__Left"], tmp_path) == ()


# Whole runs


@pytest.mark.parametrize(
    ("options", "mask", "stay"),
    [
        (replace(RESUME, seed=4), ("/World/Left",), ONE),
        (replace(RESUME, seed=4), ("/World/Left", "/World/Right"), TWO),
        (replace(QUICK, seed=4, mask=("/World/Right",)), ("/World/Left",), ONE),
        (replace(QUICK, seed=4, mask=("/World/Right",), force=True), (), ONE),
        (replace(QUICK, seed=4, force=True), (), ""),
    ],
)
def test_what_stays_is_counted(
    run: Any, tiny_stage: Path, options: Options, mask: tuple[str, ...], stay: str
) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    define_quad(stage, "/World/Third", UsdShade.Material.Get(stage, "/World/Looks/Paint"), x=4.0)
    stage.Save()
    run(replace(QUICK, mask=mask or ("/World/Left", "/World/Right")))
    announced, plan = run(options, dry_run=True).plan, run(options).plan
    sentence = f"{stay}, with other settings (seed 0 (now 4)); --force makes all anew."
    assert announced.remarks == plan.remarks == ((sentence,) if stay else ())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"by": "model"}, "by object (now model)"),
        ({"share_materials": True}, "share materials False (now True)"),
        ({"frame": 3.0}, "frame None (now 3.0), posed False (now True)"),
        ({"refine": 1}, "refine 0 (now 1)"),
        ({"network": "preview"}, "network both (now preview)"),
        ({"block_contexts": ("ri",)}, "block contexts none (now ri)"),
        ({"ocio": "{folder}/show.ocio"}, "ocio None (now {folder}/show.ocio)"),
    ],
)
def test_what_is_asked_besides_the_method_is_recorded(
    run: Any, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    if "ocio" in change:
        (tmp_path / "show.ocio").write_text(CONFIG)
        change, words = {"ocio": tmp_path / "show.ocio"}, words.format(folder=tmp_path)
    run(LEFT)
    sentence = f"{ONE}, with other settings ({words}); --force makes all anew."
    assert run(replace(RESUME, **change), dry_run=True).plan.remarks == (sentence,)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MeshError("/World/Right is seen by no camera; look.")]
)
def test_an_object_that_force_did_not_reach_is_named(
    run: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """--force that ends early leaves an object of the earlier run, which --resume takes for done."""
    plan = run(QUICK).plan
    arguments = [str(plan.stage), "--style-set", str(plan.style_images[0].parent)]
    arguments += ["--preset", "draft", "--device", "cpu", "--seed", "4"]

    def before(path: str) -> None:
        if path == "/World/Right":
            raise error

    without_optimising(monkeypatch, before)
    sentence = f"{ONE}, with other settings (seed 0 (now 4)); --force makes all anew."
    code = commands.run([*arguments, "--force"])
    assert code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert f"Note: {sentence}\n" in capfd.readouterr().err
    without_optimising(monkeypatch)
    assert commands.run([*arguments, "--resume"]) == 0
    assert capfd.readouterr().err.count(f"Note: {sentence}\n") == 1
    again = run(replace(RESUME, seed=4))
    assert [item.status for item in again.objects] == ["kept", "kept"]
    assert again.plan.remarks == (sentence,)
    assert run(replace(QUICK, seed=4, force=True)).plan.remarks == ()


def test_a_second_run_replaces_nothing_unless_it_is_asked_to(run: Any, tiny_stage: Path) -> None:
    run(LEFT)
    with unchanged(tiny_stage.parent), pytest.raises(OutputError, match=r"already holds .* give --force"):
        run(replace(QUICK, seed=4))


def test_what_is_made_anew_is_recorded_anew_and_what_stays_as_it_was(run: Any) -> None:
    run(QUICK)
    result = run(replace(LEFT, force=True, seed=4, strength=0.5))
    folder = result.root_layer.parent / "tiny.style/ink_stripes"
    written = json.loads((folder / "run.json").read_text())["written"]
    facts = {name: (found["seed"], found["strength"]) for name, found in written.items()}
    assert facts == {"World__Left": (4, 0.5), "World__Right": (0, 1.0)}
    assert result.problems == ()


def test_another_folder_of_the_same_name_is_refused_where_anything_stays(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = run(LEFT).plan
    other = tmp_path / "ink-stripes"
    other.mkdir()
    Image.new("RGB", (96, 96), "red").save(other / "a.png")
    with unchanged(plan.stage.parent), pytest.raises(OutputError) as refused:
        run(RESUME, other)
    assert str(refused.value) == (
        f"{plan.root_layer} holds a style ink_stripes already, made from {plan.style_images[0].parent}, and "
        f"{other} gives the same name; rename one of the folders."
    )
    assert run(replace(LEFT, force=True), other).plan.remarks == (), "nothing stays"


def test_another_folder_does_not_cost_what_is_done_when_something_stays_after_all(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(QUICK)
    other = tmp_path / "ink-stripes"
    other.mkdir()
    Image.new("RGB", (96, 96), "red").save(other / "a.png")

    def before(path: str) -> None:
        if path == "/World/Right":
            raise KeyboardInterrupt

    without_optimising(monkeypatch, before)
    result = run(replace(QUICK, force=True), other)
    assert result.interrupted
    (sentence,) = result.remarks
    assert "(style images)" in sentence


@pytest.mark.parametrize("kept", ["one image", "moved"])
def test_a_folder_is_the_same_by_any_of_its_images_or_by_its_place(
    run: Any, style_folder: Path, tmp_path: Path, kept: str
) -> None:
    run(LEFT)
    folder = style_folder
    if kept == "moved":  # with one image changed
        folder = style_folder.rename(tmp_path / "ink-stripes")
    Image.new("RGB", (96, 96), "red").save(folder / "b.png")
    if kept == "one image":  # none is as it was, in the same folder
        Image.new("RGB", (96, 96), "blue").save(folder / "a.png")
    (sentence,) = run(RESUME, folder).plan.remarks
    assert "(style images)" in sentence


def test_other_own_settings_of_an_object_that_stays_are_named(run: Any, tiny_stage: Path) -> None:
    run(LEFT)
    stage = Usd.Stage.Open(str(tiny_stage))
    stage.GetPrimAtPath("/World/Left").AddAppliedSchema("StylizeAPI")
    stage.GetPrimAtPath("/World/Left").CreateAttribute("stylize:strength", Sdf.ValueTypeNames.Float).Set(0.5)
    stage.Save()
    (sentence,) = run(RESUME, dry_run=True).plan.remarks
    assert "(what the stage asks for /World/Left)" in sentence


@pytest.mark.parametrize("place", ["another", "the same"])
def test_another_ocio_configuration_in_the_environment_is_named(
    run: Any, tiny_stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    stage.GetAttributeAtPath("/World/Looks/Paint/Texture.inputs:sourceColorSpace").Set("auto")
    stage.GetAttributeAtPath("/World/Looks/Paint/Texture.inputs:file").SetColorSpace("show_paint")
    stage.Save()
    for name in ("one", "another"):
        (tmp_path / f"{name}.ocio").write_text(CONFIG)
    monkeypatch.setenv("OCIO", str(tmp_path / "one.ocio"))
    run(LEFT)
    monkeypatch.setenv("OCIO", str(tmp_path / f"{'one' if place == 'the same' else place}.ocio"))
    sentence = f"{ONE}, with other settings (the colour space of /World/Left); --force makes all anew."
    assert run(RESUME).plan.remarks == (() if place == "the same" else (sentence,))
