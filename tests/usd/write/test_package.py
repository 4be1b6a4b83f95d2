"""Packages: a source that is one is read in place, and a result can be written as one."""

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from author_results import bound, discover, problems, write_result, zero_offsets
from conftest import QUICK, build_tiny_stage, define_material, define_quad, unchanged
from PIL import Image
from pxr import Sdf, Tf, Usd, UsdShade, UsdUtils, UsdValidation

from usdstylize import inspect, mix
from usdstylize.cli import commands
from usdstylize.errors import OutputError
from usdstylize.model.checks import Check
from usdstylize.usd import verify, write
from usdstylize.usd.io.images import read_image


def build_package(folder: Path) -> Path:
    """``tiny.usdz`` alone in a folder, its textures inside."""
    root = build_tiny_stage(folder / "unpacked")
    package = folder / "shot" / "tiny.usdz"
    package.parent.mkdir()
    assert UsdUtils.CreateNewUsdzPackage(str(root), str(package))
    shutil.rmtree(folder / "unpacked")
    return package


def assets(stage: Usd.Stage) -> dict[str, Sdf.AssetPath]:
    """Every composed asset, by its attribute."""
    found = {}
    for prim in stage.Traverse():
        for attribute in prim.GetAttributes():
            if isinstance(attribute.Get(), Sdf.AssetPath):
                found[str(attribute.GetPath())] = attribute.Get()
    return found


def pack(result: Path) -> tuple[Path, tuple[Check, ...]]:
    package = result.with_suffix(".usdz")
    return package, write.write_package(result, package)


def alone(package: Path, folder: Path) -> Usd.Stage:
    """The package opened in an otherwise empty folder, everything that it came from gone."""
    folder.mkdir()
    moved = shutil.move(package, folder / "moved.usdz")
    shutil.rmtree(package.parent)
    return Usd.Stage.Open(str(moved))


def inside(stage: Usd.Stage) -> bool:
    prefix = stage.GetRootLayer().realPath + "["
    return all(asset.resolvedPath.startswith(prefix) for asset in assets(stage).values())


def package_findings(stage: Usd.Stage) -> list[str]:
    """What the validators that usdchecker runs on packages say."""
    registry = UsdValidation.ValidationRegistry()
    names = [
        f"usdUtilsValidators:{name}Validator"
        for name in (
            "UsdzPackage",
            "PackageEncapsulation",
            "RootPackage",
            "FileExtension",
            "MissingReference",
        )
    ]
    context = UsdValidation.ValidationContext([registry.GetOrLoadValidatorByName(name) for name in names])
    return [error.GetMessage() for error in context.Validate(stage)]


def test_a_package_is_read_in_place(tmp_path: Path) -> None:
    source = build_package(tmp_path)
    with unchanged(source):
        result = write_result(source)
    assert problems(result) == []
    assert verify.verify(result).failed == ()
    layer = Sdf.Layer.FindOrOpen(str(result))
    assert list(layer.subLayerPaths) == ["./tiny.style.usda", "./tiny.usdz"]
    network = assets(Usd.Stage.Open(str(result)))
    base = network["/World/StylizedLooks/World__Left/StylizedNetwork/Base.inputs:file"]
    assert base.path == "./tiny.usdz[textures/color.png]"
    assert base.resolvedPath == f"{source}[textures/color.png]"


def test_a_result_becomes_one_file_that_holds_everything(tiny_stage: Path, tmp_path: Path) -> None:
    result = write_result(tiny_stage)
    write_result(tiny_stage, "gouache", seed=1)
    with unchanged(tiny_stage.parent, may_add=True):
        package, checks = pack(result)
    assert checks == ()
    opened = alone(package, tmp_path / "elsewhere")
    assert inside(opened)
    assert len(assets(opened)) == 9
    assert package_findings(opened) == []
    assert problems(Path(opened.GetRootLayer().realPath)) == []
    assert bound(opened, "/World/Left") == "/World/StylizedLooks/World__Left"
    variants = opened.GetPrimAtPath("/World/StylizedLooks/World__Left").GetVariantSet("style")
    for style in ("original", "ink", "gouache"):
        variants.SetVariantSelection(style)
        assert inside(opened), style


def test_a_package_of_a_package_holds_its_source_as_it_is(tmp_path: Path) -> None:
    result = write_result(build_package(tmp_path))
    package, checks = pack(result)
    assert checks == ()
    opened = alone(package, tmp_path / "elsewhere")
    assert inside(opened)
    assert package_findings(opened) == []
    base = assets(opened)["/World/StylizedLooks/World__Left/StylizedNetwork/Base.inputs:file"]
    assert base.resolvedPath.endswith("moved.usdz[tiny.usdz[textures/color.png]]")


@pytest.fixture
def two_folders(tmp_path: Path) -> Path:
    """A stage that reads ``../library/shared.png`` and UDIM tiles beside it."""
    root = build_tiny_stage(tmp_path / "shot")
    (tmp_path / "library").mkdir()
    for name in ("library/shared.png", "shot/textures/skin.1001.png", "shot/textures/skin.1002.png"):
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / name)
    stage = Usd.Stage.Open(str(root))
    for name, file in (("Shared", "../library/shared.png"), ("Skin", "./textures/skin.<UDIM>.png")):
        material = define_material(stage, f"/World/Looks/{name}", file)
        define_quad(stage, f"/World/{name}", material, x=4.0)
    stage.Save()
    return root


def test_textures_from_elsewhere_and_udim_tiles_go_along(two_folders: Path, tmp_path: Path) -> None:
    package, checks = pack(write_result(two_folders, mask=("/World/Shared", "/World/Left")))
    assert checks == ()
    shutil.rmtree(tmp_path / "library")
    opened = alone(package, tmp_path / "elsewhere")
    assert package_findings(opened) == []
    shared = assets(opened)["/World/StylizedLooks/World__Shared/StylizedNetwork/Base.inputs:file"]
    assert shared.resolvedPath.startswith(opened.GetRootLayer().realPath + "[")
    skin = opened.GetAttributeAtPath("/World/Looks/Skin/Texture.inputs:file")
    layer = skin.GetPropertyStack()[0].layer
    tiles = UsdShade.UdimUtils.ResolveUdimTilePaths(skin.Get().path, layer)
    assert [tile for _, tile in tiles] == ["1001", "1002"]


@pytest.mark.parametrize("output", [None, "deep/out"])
@pytest.mark.parametrize("pattern", ["skin.<UDIM>.png", "skin/<UDIM>/color.png"])
def test_tiles_from_elsewhere_go_along(
    two_folders: Path, tmp_path: Path, output: str | None, pattern: str
) -> None:
    """USD's own packing loses them."""
    colors = {1001: 40, 1002: 200}
    for tile, value in colors.items():
        (two_folders.parent / f"textures/skin.{tile}.png").unlink()
        file = tmp_path / "library" / pattern.replace("<UDIM>", str(tile))
        file.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(file)
    stage = Usd.Stage.Open(str(two_folders))
    stage.GetAttributeAtPath("/World/Looks/Skin/Texture.inputs:file").Set(f"../library/{pattern}")
    stage.Save()
    result = write_result(
        two_folders, mask=("/World/Left", "/World/Shared"), output=output and tmp_path / output
    )
    with unchanged(tmp_path, may_add=True):
        package, checks = pack(result)
    assert checks == ()
    for name in ("library", "shot"):
        if name != package.parent.name:
            shutil.rmtree(tmp_path / name)
    opened = alone(package, tmp_path / "elsewhere")
    assert package_findings(opened) == []
    assert problems(Path(opened.GetRootLayer().realPath)) == []
    assert not any(".." in name for name in Sdf.ZipFile.Open(opened.GetRootLayer().realPath).GetFileNames())
    skin = opened.GetAttributeAtPath("/World/Looks/Skin/Texture.inputs:file")
    layer = skin.GetPropertyStack()[0].layer
    tiles = UsdShade.UdimUtils.ResolveUdimTilePaths(skin.Get().path, layer)
    assert {int(tile): read_image(path).max() for path, tile in tiles} == {
        tile: np.float32(value / 255) for tile, value in colors.items()
    }
    shared = assets(opened)["/World/StylizedLooks/World__Shared/StylizedNetwork/Base.inputs:file"]
    assert shared.resolvedPath.startswith(opened.GetRootLayer().realPath + "[")


def test_only_a_package_of_ours_is_replaced(tiny_stage: Path) -> None:
    foreign = tiny_stage.with_name("tiny.stylized.usdz")
    UsdUtils.CreateNewUsdzPackage(str(tiny_stage), str(foreign))
    contents = discover(tiny_stage)

    def plan() -> write.OutputPlan:
        return write.plan(contents, "ink", output=None, force=True, resume=False, package=True)

    with (
        unchanged(tiny_stage.parent),
        pytest.raises(OutputError, match=r"usdz exists and was not written by"),
    ):
        plan()
    foreign.unlink()
    package, _ = pack(write_result(tiny_stage))
    before = package.read_bytes()
    assert plan().package == package
    assert pack(write_result(tiny_stage, seed=1, force=True))[1] == ()
    assert package.read_bytes() != before


def test_a_package_that_cannot_be_written_leaves_the_earlier_one(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    package, _ = pack(result)
    (tiny_stage.parent / "textures/color.png").rename(tiny_stage.parent / "away.png")
    names = sorted(path.name for path in tiny_stage.parent.iterdir())
    checks = write.write_package(result, package)
    # What the result itself has lost is no fault of its package.
    assert checks == ()
    assert sorted(path.name for path in tiny_stage.parent.iterdir()) == names
    with unchanged(tiny_stage.parent), pytest.raises(OutputError, match="cannot be written"):
        write.write_package(tiny_stage.with_name("gone.usda"), package)


def test_the_command_line_writes_and_names_the_package(
    tiny_stage: Path, style_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = commands.run([str(tiny_stage), "--style-set", str(style_folder), *QUICK, "--package", "--json"])
    output = json.loads(capfd.readouterr().out)
    assert (code, output["problems"]) == (0, [])
    assert output["package"] == str(tiny_stage.with_name("tiny.stylized.usdz"))
    assert package_findings(Usd.Stage.Open(output["package"])) == []


DOCUMENT = """<?xml version="1.0"?>
<materialx version="1.39">
  <surface_unlit name="S" type="surfaceshader"/>
  <surfacematerial name="M" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="S"/>
  </surfacematerial>
</materialx>
"""


def test_a_package_says_what_it_cannot_follow_into_documents(tiny_stage: Path) -> None:
    (tiny_stage.parent / "look.mtlx").write_text(DOCUMENT)
    stage = Usd.Stage.Open(str(tiny_stage))
    with suppress(Tf.ErrorException):  # this build of USD cannot compose it
        stage.DefinePrim("/World/Looks/Document").GetReferences().AddReference("./look.mtlx", "/MaterialX")
    stage.Save()
    _, checks = pack(write_result(tiny_stage))
    details = [check.detail for check in checks]
    assert details[0] == (
        "@./look.mtlx@ is inside, its textures are not: this build of USD has no usdMtlx to find them."
    )
    assert "unsupported extension 'mtlx'" in details[1]


# A package as a result of its own


def rewrite(package: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """The package with other bytes for some of its files; None leaves a file out."""
    with zipfile.ZipFile(package) as archive:
        files = [(name, archive.read(name)) for name in archive.namelist()]
    package.unlink()
    with tempfile.TemporaryDirectory() as folder:
        writer = Sdf.ZipFileWriter.CreateNew(str(package))
        for number, (name, content) in enumerate(files):
            changed = change(name, content)
            if changed is not None:
                copy = Path(folder) / f"{number}{Path(name).suffix}"
                copy.write_bytes(changed)
                writer.AddFile(str(copy), name)
        assert writer.Save()


def moved(package: Path, folder: Path) -> Path:
    folder.mkdir()
    return Path(shutil.move(package, folder / "away.usdz"))


@pytest.mark.parametrize("how", ["beside", "elsewhere", "packed source", "no live network", "tiles"])
def test_a_package_is_verified_by_what_it_holds(
    request: pytest.FixtureRequest, tmp_path: Path, how: str
) -> None:
    if how == "packed source":
        source = build_package(tmp_path)
    else:
        source = request.getfixturevalue("two_folders" if how == "tiles" else "tiny_stage")
    output = tmp_path / "out" if how == "elsewhere" else None
    network = "preview" if how == "no live network" else "both"
    made = zero_offsets if how == "tiles" else None
    result = write_result(source, output=output, network=network, made=made)
    packed, found = pack(result)
    assert found == ()
    package = moved(packed, tmp_path / "away")
    shutil.rmtree(result.parent)
    with unchanged(package.parent):
        report = verify.verify(package)
    assert [str(check) for check in report.failed] == []
    assert report.root_layer == package
    names = {check.name for check in report.checks}
    assert {"composition", "validation", "path", "binding", "variants", "bake"} <= names
    assert ("live" in names) == (how != "no live network")
    assert not any("usdstylize-" in str(check) for check in report.checks)


@pytest.mark.parametrize(
    ("name", "check"),
    [("tiny.style/ink/World__Left/World__Left.ink.baked.png", "bake"), ("textures/color.png", "live")],
)
def test_a_package_is_not_excused_by_the_result_beside_it(tiny_stage: Path, name: str, check: str) -> None:
    package, _ = pack(write_result(tiny_stage))
    grey = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 90, 90)).save(grey, "PNG")
    rewrite(package, lambda each, content: grey.getvalue() if each == name else content)
    assert verify.verify(package.with_suffix(".usda")).ok
    failed = {(found.name, found.subject) for found in verify.verify(package).failed}
    assert (check, "/World/Left (ink)") in failed or ("bake", "/World/Left (ink)") in failed
    rewrite(package, lambda each, content: None if each == name else content)
    assert not verify.verify(package).ok


def test_a_package_without_its_facts_or_style_layer_says_so(tiny_stage: Path) -> None:
    package, _ = pack(write_result(tiny_stage))
    facts = package.read_bytes()
    rewrite(package, lambda name, content: None if name == "tiny.style.usda" else content)
    with pytest.raises(OutputError, match="has lost its style layer or its source; pack it again"):
        verify.verify(package)
    package.write_bytes(facts)
    rewrite(package, lambda name, content: content.replace(b"written", b"unknown"))
    with pytest.raises(OutputError, match="says nothing of its objects"):
        verify.verify(package)
    package.write_bytes(facts[:100])
    with pytest.raises(OutputError, match="cannot be read"):
        verify.verify(package)
    source = build_package(tiny_stage.parent / "other")
    with pytest.raises(OutputError, match="is no package of usdstylize"):
        verify.verify(source)


def test_a_package_is_never_edited_and_the_result_beside_it_neither(tiny_stage: Path) -> None:
    result = write_result(tiny_stage)
    write_result(tiny_stage, "gouache")
    package, _ = pack(result)
    stage = Usd.Stage.Open(str(tiny_stage))
    with unchanged(tiny_stage.parent):
        for edit in (
            lambda: write.select(package, "ink"),
            lambda: mix(package, {"ink": 0.5, "gouache": 0.5}),
            lambda: write.show_in_session(stage, package),
        ):
            with pytest.raises(OutputError, match="is a package, which is never edited; give the "):
                edit()


def test_inspecting_a_result_or_its_package_says_what_it_is(tiny_stage: Path, tmp_path: Path) -> None:
    result = write_result(tiny_stage)
    package, _ = pack(result)
    for path in (result, package):
        reasons = [item.reason for item in inspect(path).skipped if item.path == "/"]
        assert reasons == [
            f"{path} is itself a result of usdstylize; stylise {tiny_stage}, "
            "and the new style joins it as a variant."
        ]
    away = moved(package, tmp_path / "away")
    (reason,) = [item.reason for item in inspect(away).skipped if item.path == "/"]
    assert "stylise the stage that it was made from" in reason
    assert not any(item.path == "/" for item in inspect(tiny_stage).skipped)
