"""Copies, the same mesh and material with nothing instanced, are stylised once."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from author_results import hold, problems
from conftest import digests, unchanged
from copied_stages import NAMES, build_lamps
from killed import Moment, run_in_process
from pxr import Sdf, Usd, UsdGeom, UsdShade

from usdstylize import Options, RunResult, select, stylize
from usdstylize.cli import commands
from usdstylize.usd import verify

QUICK = Options(preset="draft", device="cpu", texture_resolution=32, iterations=2)
FIRST, SECOND, THIRD = (f"World__{name}__Mesh" for name in NAMES)


@pytest.fixture
def lamps(tmp_path: Path) -> Path:
    return build_lamps(tmp_path / "shot")


def textures(stage: Path) -> list[str]:
    """Names of the objects with T_S of their own."""
    return sorted(path.parent.name for path in (stage.parent / "lamps.style").rglob("*.TS.exr"))


def seen(result: RunResult | Path, name: str) -> tuple[str, dict[str, str]]:
    """The material of a lamp in the result, and the files of ours that its shaders read, by their input."""
    path = result if isinstance(result, Path) else result.root_layer
    stage = Usd.Stage.Open(str(path))
    prim = stage.GetPrimAtPath(f"/World/{name}/Mesh")
    material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
    files = {}
    for shader in Usd.PrimRange(material.GetPrim()):
        for attribute in shader.GetAttributes():
            value = attribute.Get()
            if isinstance(value, Sdf.AssetPath) and "lamps.style/" in value.path:
                files[str(attribute.GetPath().MakeRelativePath(material.GetPath()))] = value.resolvedPath
    return str(material.GetPath()), files


def written(stage: Path, style: str = "ink_stripes") -> dict[str, dict[str, object]]:
    return dict(json.loads((stage.parent / f"lamps.style/{style}/run.json").read_text())["written"])


def test_copies_read_one_set_of_files_by_materials_of_their_own(lamps: Path, style_folder: Path) -> None:
    with unchanged(lamps.parent, may_add=True):
        result = stylize(lamps, style_folder, QUICK)
    assert result.problems == ()
    assert [found.status for found in result.objects] == ["done"] * 3
    assert [found.copy_of for found in result.objects] == ["", *["/World/Lamp/Mesh"] * 2]
    assert result.root_layer is not None
    hold(result.root_layer)
    assert textures(lamps) == [FIRST]
    assert [path.name for path in (lamps.parent / "lamps.style/ink_stripes").iterdir() if path.is_dir()] == [
        FIRST
    ]
    materials, files = zip(*(seen(result, name) for name in NAMES), strict=True)
    assert materials == tuple(f"/World/StylizedLooks/{name}" for name in (FIRST, SECOND, THIRD))
    assert len(set(files[0].values())) == 2, "T_S and the bake"
    assert files[0] == files[1] == files[2]
    facts = written(lamps)
    assert [facts[name]["copy_of"] for name in (FIRST, SECOND, THIRD)] == ["", FIRST, FIRST]
    assert facts[SECOND]["files"] == facts[FIRST]["files"]
    assert facts[SECOND]["material"] == "/World/Looks/Lamp_001"


def test_the_original_is_optimised_as_if_it_were_alone(
    lamps: Path, style_folder: Path, tmp_path: Path
) -> None:
    stylize(lamps, style_folder, replace(QUICK, output=tmp_path / "all"))
    stylize(lamps, style_folder, replace(QUICK, output=tmp_path / "one", mask=("/World/Lamp",)))
    both = [digests(tmp_path / name / "lamps.style/ink_stripes" / FIRST) for name in ("all", "one")]
    assert [*both[0].values()] == [*both[1].values()] != []


def test_unique_gives_each_a_texture_of_its_own(lamps: Path, style_folder: Path) -> None:
    result = stylize(lamps, style_folder, replace(QUICK, unique=True))
    assert textures(lamps) == sorted((FIRST, SECOND, THIRD))
    assert len({seen(result, name)[1]["StylizedBake.inputs:file"] for name in NAMES}) == 3


def test_a_mask_changes_the_copy_that_it_names_and_no_other(lamps: Path, style_folder: Path) -> None:
    result = stylize(lamps, style_folder, replace(QUICK, mask=("/World/Lamp_001",)))
    assert result.problems == ()
    assert [seen(result, name)[0] for name in NAMES] == [
        "/World/Looks/Lamp", f"/World/StylizedLooks/{SECOND}", "/World/Looks/Lamp_002",
    ]  # fmt: skip
    assert textures(lamps) == [SECOND]


def test_a_resume_keeps_what_is_done_and_adds_copies_without_optimising_again(
    lamps: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stylize(lamps, style_folder, replace(QUICK, mask=("/World/Lamp",)))
    before = digests(lamps.parent / "lamps.style/ink_stripes" / FIRST)

    def optimize(*_: object, **__: object) -> None:
        raise AssertionError("there is nothing to optimise")

    monkeypatch.setattr("usdstylize.optimize.Optimizer.optimize", optimize)
    result = stylize(lamps, style_folder, replace(QUICK, resume=True))
    assert [found.status for found in result.objects] == ["kept", "done", "done"]
    assert result.problems == ()
    assert digests(lamps.parent / "lamps.style/ink_stripes" / FIRST) == before
    assert seen(result, NAMES[2])[1] == seen(result, NAMES[0])[1]


def test_a_resume_keeps_a_copy_that_was_made_without_its_original(lamps: Path, style_folder: Path) -> None:
    stylize(lamps, style_folder, replace(QUICK, mask=("/World/Lamp_001",)))
    before = digests(lamps.parent / "lamps.style/ink_stripes" / SECOND)
    result = stylize(lamps, style_folder, replace(QUICK, resume=True))
    assert [found.status for found in result.objects] == ["done", "kept", "done"]
    assert result.problems == ()
    assert textures(lamps) == sorted((FIRST, SECOND))
    assert digests(lamps.parent / "lamps.style/ink_stripes" / SECOND) == before
    anew = stylize(lamps, style_folder, replace(QUICK, force=True))
    assert anew.problems == ()
    assert textures(lamps) == [FIRST]
    assert not (lamps.parent / "lamps.style/ink_stripes" / SECOND).exists()


def test_a_copy_of_what_is_itself_a_copy_reads_the_first_ones_files(lamps: Path, style_folder: Path) -> None:
    stylize(lamps, style_folder, replace(QUICK, mask=("/World/Lamp", "/World/Lamp_001")))
    rest = replace(QUICK, mask=("/World/Lamp_001", "/World/Lamp_002"), resume=True)
    result = stylize(lamps, style_folder, rest)
    assert [found.status for found in result.objects] == ["kept", "done"]
    assert result.problems == ()
    assert seen(result, NAMES[2])[1] == seen(result, NAMES[0])[1]
    assert written(lamps)[THIRD]["copy_of"] == FIRST


def test_copies_that_a_mask_leaves_out_keep_the_files_of_an_original_that_is_made_anew(
    lamps: Path, style_folder: Path
) -> None:
    first = stylize(lamps, style_folder, QUICK)
    bake = seen(first, NAMES[1])[1]["StylizedBake.inputs:file"]
    before = Path(bake).read_bytes()
    result = stylize(
        lamps, style_folder, replace(QUICK, mask=("/World/Lamp",), force=True, seed=7, strength=0.5)
    )
    assert result.problems == ()
    assert result.root_layer is not None
    hold(result.root_layer)
    kept = [seen(result, name)[1] for name in NAMES[1:]]
    assert kept[0] == kept[1]
    assert Path(kept[0]["StylizedBake.inputs:file"]).read_bytes() == before
    assert Path(seen(result, NAMES[0])[1]["StylizedBake.inputs:file"]).read_bytes() != before
    facts = written(lamps)
    assert [facts[name]["copy_of"] for name in (FIRST, SECOND, THIRD)] == ["", "", SECOND]
    again = stylize(lamps, style_folder, replace(QUICK, resume=True))
    assert [found.status for found in again.objects] == ["kept"] * 3


def test_a_lost_file_is_made_anew_with_all_that_read_it(lamps: Path, style_folder: Path) -> None:
    first = stylize(lamps, style_folder, QUICK)
    bake = Path(seen(first, NAMES[1])[1]["StylizedBake.inputs:file"])
    before = bake.read_bytes()
    bake.unlink()
    result = stylize(lamps, style_folder, replace(QUICK, resume=True))
    assert [found.status for found in result.objects] == ["done"] * 3
    assert result.problems == ()
    assert bake.read_bytes() == before


def test_each_copy_switches_for_itself_and_a_package_holds_the_files_once(
    lamps: Path, style_folder: Path
) -> None:
    result = stylize(lamps, style_folder, replace(QUICK, package=True))
    assert result.root_layer is not None
    assert result.package is not None
    packed = Sdf.ZipFile.Open(str(result.package))
    assert sum(name.endswith("TS.exr") for name in packed.GetFileNames()) == 1
    assert problems(result.package) == []
    assert select(result.root_layer, "original", mask=["/World/Lamp_001"]) == 1
    assert [bool(seen(result, name)[1]) for name in NAMES] == [True, False, True]
    assert verify.verify(result.root_layer).failed == ()


def test_a_style_with_copies_joins_one_without(lamps: Path, style_folder: Path) -> None:
    stylize(lamps, style_folder, replace(QUICK, unique=True))
    other = style_folder.with_name("other")
    shutil.copytree(style_folder, other)
    result = stylize(lamps, other, QUICK)
    assert result.problems == ()
    assert len(list((lamps.parent / "lamps.style/other").rglob("*.TS.exr"))) == 1


def test_what_cannot_be_stylised_costs_its_copies_too(
    lamps: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def optimize(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("usdstylize.optimize.Optimizer.optimize", optimize)
    result = stylize(lamps, style_folder, QUICK)
    assert [found.status for found in result.objects] == ["failed"] * 3
    assert result.objects[2].reason == (
        "/World/Lamp_002/Mesh is a copy of /World/Lamp/Mesh, which failed; see its reason."
    )


def test_inspect_and_dry_run_name_the_original(
    lamps: Path, style_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sentence = "It is a copy of /World/Lamp/Mesh and shows its style texture; --unique"
    assert commands.run(["inspect", str(lamps)]) == 0
    assert capfd.readouterr().out.count(sentence) == 2
    arguments = [str(lamps), "--style-set", str(style_folder), "--dry-run", "--preset", "draft"]
    assert commands.run(arguments) == 0
    assert capfd.readouterr().out.count(sentence) == 2
    assert commands.run(["inspect", str(lamps), "--json"]) == 0
    objects = json.loads(capfd.readouterr().out)["objects"]
    assert [found["copy_of"] for found in objects] == ["", FIRST, FIRST]
    assert commands.run(["inspect", str(lamps), "--unique"]) == 0
    assert "copy of" not in capfd.readouterr().out


def test_a_copy_in_a_prototype_shares_the_files_of_one_that_is_no_instance(
    lamps: Path, style_folder: Path
) -> None:
    stage = Usd.Stage.Open(str(lamps))
    asset = Usd.Stage.CreateNew(str(lamps.with_name("asset.usda")))
    for name, target in (("/World/Lamp", "/Asset/Lamp"), ("/World/Looks/Lamp", "/Asset/Looks/Lamp")):
        Sdf.CreatePrimInLayer(asset.GetRootLayer(), Sdf.Path(target).GetParentPath())
        Sdf.CopySpec(stage.GetRootLayer(), name, asset.GetRootLayer(), target)
    UsdGeom.Xform.Define(asset, "/Asset")
    UsdGeom.Scope.Define(asset, "/Asset/Looks")
    for prim in asset.Traverse():
        for item in prim.GetProperties():
            moved = isinstance(item, Usd.Relationship)
            targets = item.GetTargets() if moved else item.GetConnections()
            new = [path.ReplacePrefix("/World", "/Asset") for path in targets]
            if targets:
                item.SetTargets(new) if moved else item.SetConnections(new)
    asset.SetDefaultPrim(asset.GetPrimAtPath("/Asset"))
    asset.Save()
    for name in NAMES[1:]:
        stage.RemovePrim(f"/World/{name}")
        prim = stage.DefinePrim(f"/World/{name}")
        prim.GetReferences().AddReference("./asset.usda")
        prim.SetInstanceable(True)
    stage.Save()
    result = stylize(lamps, style_folder, QUICK)
    assert [found.copy_of for found in result.objects] == ["", "/World/Lamp/Mesh"]
    assert result.problems == ()
    assert len(list((lamps.parent / "lamps.style").rglob("*.TS.exr"))) == 1
    opened = Usd.Stage.Open(str(result.root_layer))
    assert opened.GetPrimAtPath(f"/World/{NAMES[2]}").IsInstance()


@pytest.mark.slow
@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_killed_run_goes_on_with_the_copies_that_are_missing(
    lamps: Path, style_folder: Path, done: int
) -> None:
    places = [lamps.parent / name for name in ("undisturbed", "killed")]
    undisturbed, options = (replace(QUICK, output=place) for place in places)
    assert run_in_process(lamps, style_folder, undisturbed) == ["done"] * 3
    moment = Moment("usdstylize.usd.write.writer", "write_finished", done + 1)
    if done == 3:
        moment = Moment("usdstylize.usd.write.writer", "save", 1)
    assert run_in_process(lamps, style_folder, options, moment) is None
    assert run_in_process(lamps, style_folder, options) == ["kept"] * done + ["done"] * (3 - done)
    files = [
        {path.relative_to(place): digest for path, digest in digests(place).items() if path.suffix != ".json"}
        for place in places
    ]
    for found in files:
        found.pop(Path("lamps.style.usda")), found.pop(Path("lamps.stylized.usda"))  # they hold dates
    assert files[0] == files[1]
