"""Where results go, what is refused, and what a failure leaves behind: nothing."""

import json
import ntpath
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from author_results import bound, discover, offsets, problems, texture, write_result
from conftest import build_tiny_stage, digests, unchanged
from pxr import Sdf, Usd, UsdGeom, UsdShade

from usdstylize.errors import MaterialError, OutputError, StageError
from usdstylize.usd import read, verify, write
from usdstylize.usd.io import paths
from usdstylize.usd.write import disk


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file can grow beyond ``limit`` bytes: writes fail as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may write anywhere, so tests of permissions run as nobody."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (None, ("tiny.stylized.usda", "tiny.style.usda", "tiny.style/ink")),
        ("out", ("out/tiny.stylized.usda", "out/tiny.style.usda", "out/tiny.style/ink")),
        ("out/look.usda", ("out/look.usda", "out/look.style.usda", "out/look.style/ink")),
        ("out/look.stylized.usdc", ("out/look.stylized.usdc", "out/look.style.usda", "out/look.style/ink")),
    ],
)
def test_names_of_the_output(tiny_stage: Path, output: str | None, names: tuple[str, ...]) -> None:
    folder = tiny_stage.parent
    result = write_result(tiny_stage, output=folder / output if output else None)
    root, style, textures = (folder / name for name in names)
    assert result == root
    assert style.is_file()
    assert (textures / "run.json").is_file()
    assert verify.verify(result).failed == ()


def test_a_style_that_is_there_is_refused_and_force_replaces_it(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, seed=1)
    before = digests(tiny_stage.parent)
    with pytest.raises(OutputError, match=r"already holds the style ink for 2 .*--force .*--resume"):
        write_result(tiny_stage, seed=2)
    assert digests(tiny_stage.parent) == before
    write_result(tiny_stage, seed=2, force=True)
    assert verify.verify(result).failed == ()
    after = digests(tiny_stage.parent)
    style = tiny_stage.parent / "tiny.style/ink/World__Left/World__Left.ink.TS.exr"
    assert after[style] != before[style]
    assert set(after) == set(before)


def test_resume_keeps_what_is_there(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, mask=["/World/Left"], seed=1)
    left = digests(tiny_stage.parent / "tiny.style/ink/World__Left")
    write_result(tiny_stage, seed=2, resume=True)
    assert digests(tiny_stage.parent / "tiny.style/ink/World__Left") == left
    assert write.existing_styles(result) == {"ink": ["World__Left", "World__Right"]}
    assert verify.verify(result).failed == ()


def test_the_same_texture_gives_the_same_bytes(tiny_stage: Path) -> None:
    write_result(tiny_stage, seed=1)
    before = digests(tiny_stage.parent / "tiny.style/ink/World__Left")
    write_result(tiny_stage, seed=1, force=True)
    assert digests(tiny_stage.parent / "tiny.style/ink/World__Left") == before


def test_the_order_in_which_objects_end_does_not_show(tiny_stage: Path) -> None:
    def text(folder: str, *, backwards: bool) -> str:
        contents = discover(tiny_stage)
        plan = write.plan(contents, "ink", output=tiny_stage.parent / folder, force=False, resume=False)
        with write.Writer(plan, contents, strength=1.0, network="both") as writer:
            for obj in sorted(contents.objects, key=lambda obj: obj.path, reverse=backwards):
                writer.write_object(obj, read.load(contents, obj), texture(offsets()))
            result = writer.commit({})
        assert problems(result) == []
        layer = Sdf.Layer.OpenAsAnonymous(str(plan.style_layer))
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "the time of day", str(layer.ExportToString()))

    assert text("one", backwards=True) == text("two", backwards=False)


def test_a_file_that_is_not_ours_is_never_replaced(tiny_stage: Path) -> None:
    foreign = tiny_stage.with_name("tiny.stylized.usda")
    Sdf.Layer.CreateNew(str(foreign)).Save()
    with (
        unchanged(tiny_stage.parent),
        pytest.raises(OutputError, match=r"tiny.stylized.usda .*was not written by"),
    ):
        write_result(tiny_stage, force=True)
    foreign.write_text("no layer at all")
    with (
        unchanged(tiny_stage.parent),
        pytest.raises(OutputError, match=r"tiny.stylized.usda .*was not written by"),
    ):
        write_result(tiny_stage, force=True)
    foreign.unlink()
    (tiny_stage.parent / "tiny.style/ink").mkdir(parents=True)
    (tiny_stage.parent / "tiny.style/ink/notes.txt").write_text("An empty folder would do.")
    with (
        unchanged(tiny_stage.parent),
        pytest.raises(OutputError, match=r"tiny.style/ink .*was not written by"),
    ):
        write_result(tiny_stage, force=True)


def test_the_source_and_other_results_are_refused_as_output(tiny_stage: Path) -> None:
    with unchanged(tiny_stage.parent), pytest.raises(OutputError, match="never written"):
        write_result(tiny_stage, output=tiny_stage, force=True)
    result = write_result(tiny_stage)
    with pytest.raises(OutputError, match="is itself a result"):
        write_result(result, "gouache")
    other = tiny_stage.parent / "other"
    other.mkdir()
    copy = other / "tiny.usda"
    copy.write_text(tiny_stage.read_text().replace("./textures", "../textures"))
    with pytest.raises(OutputError, match="result of another stage"):
        write_result(copy, "gouache", output=tiny_stage.parent)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # Not tmp_path: pytest closes it to everybody else, and root has to become somebody else.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        contents = discover(build_tiny_stage(folder / "shot"))
        (folder / "closed").mkdir(mode=0o555)
        with as_somebody_else(), pytest.raises(OutputError, match=r"closed cannot be written into"):
            write.plan(contents, "ink", output=folder / "closed/deep", force=False, resume=False)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match=r"file is a file where a folder is needed"):
        write.plan(contents, "ink", output=file / "deep", force=False, resume=False)


def test_search_paths_that_a_result_elsewhere_would_lose_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_tiny_stage(tmp_path / "show" / "lib")
    (tmp_path / "show" / "comp").mkdir()
    # Beside the stage, but not beside the layer that names it: only the stage's context finds it.
    for name, reference in (("comp/mug.usda", "lib/tiny.usda"), ("shot.usda", "comp/mug.usda")):
        layer = Usd.Stage.CreateNew(str(tmp_path / "show" / name))
        layer.SetDefaultPrim(layer.OverridePrim("/World"))
        UsdGeom.SetStageUpAxis(layer, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(layer, 1.0)
        layer.GetDefaultPrim().GetReferences().AddReference(reference)
        layer.Save()
    shot = tmp_path / "show" / "shot.usda"
    with unchanged(tmp_path), pytest.raises(OutputError, match=r"lib/tiny\.usda.*PXR_AR_DEFAULT_SEARCH_PATH"):
        write_result(shot, output=tmp_path / "elsewhere")
    # A validator objects to such a reference, in the source as in the result; `verify` tells them apart.
    assert verify.verify(write_result(shot)).failed == ()


def test_a_package_is_refused_as_output(tiny_stage: Path) -> None:
    with pytest.raises(OutputError, match=r"look\.usdz cannot be written"):
        write_result(tiny_stage, output=tiny_stage.parent / "look.usdz")


def test_a_read_only_folder_is_found_before_anything_is_computed(tmp_path: Path) -> None:
    root = build_tiny_stage(tmp_path / "shot")
    contents = discover(root)
    (root.parent / "tiny.style").mkdir()
    (root.parent / "tiny.style").chmod(0o777)  # the textures could go there, the layers could not
    root.parent.chmod(0o555)
    ours = [folder for folder in tmp_path.parents if folder.name.startswith(("pytest-", "popen-"))]
    for folder in (tmp_path, *ours):
        folder.chmod(0o755)
    try:
        with as_somebody_else(), pytest.raises(OutputError, match=r"shot cannot be written into"):
            write.plan(contents, "ink", output=None, force=False, resume=False)
    finally:
        root.parent.chmod(0o755)


@pytest.mark.parametrize("limit", [100, 2500, 6000])
def test_a_full_disk_leaves_nothing(tiny_stage: Path, limit: int) -> None:
    with unchanged(tiny_stage.parent):
        with pytest.raises(OutputError, match=r"cannot be written .*free some space"):
            write_result(tiny_stage, output=tiny_stage.parent / "out" / "deep", during=full_disk(limit))
        assert not (tiny_stage.parent / "out").exists()


@pytest.mark.parametrize("limit", [100, 1500, 2500, 6000])
def test_a_full_disk_leaves_the_earlier_result(tiny_stage: Path, limit: int) -> None:
    result = write_result(tiny_stage, seed=1)
    with unchanged(tiny_stage.parent), pytest.raises(OutputError, match="free some space"):
        write_result(tiny_stage, seed=2, force=True, during=full_disk(limit))
    assert verify.verify(result).failed == ()


def test_leaving_before_an_object_is_done_leaves_no_trace(tiny_stage: Path) -> None:
    contents = discover(tiny_stage)
    plan = write.plan(contents, "ink", output=tiny_stage.parent / "out", force=False, resume=False)

    def interrupted() -> None:
        with write.Writer(plan, contents, strength=1.0, network="both"):
            raise KeyboardInterrupt

    with unchanged(tiny_stage.parent), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (tiny_stage.parent / "out").exists()


def test_a_failure_between_the_renames_takes_them_back(
    tiny_stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = write_result(tiny_stage, seed=1)
    real = os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(target).name == "tiny.style.usda" and ".replaced" not in Path(source).name:
            raise PermissionError(13, "Permission denied", str(target))
        real(source, target)

    with unchanged(tiny_stage.parent, may_add=True), monkeypatch.context() as patched:
        patched.setattr(os, "replace", failing)
        with pytest.raises(OutputError, match="Permission denied"):
            write_result(tiny_stage, seed=2, force=True)
    assert verify.verify(result).failed == ()


def test_on_windows_paths_are_anchored_with_slashes_and_another_drive_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paths, "os", SimpleNamespace(path=ntpath, sep=ntpath.sep))
    folder = Path("C:/show/out")
    assert paths.anchored("C:/show/tex/T.png", folder) == "../tex/T.png"
    assert paths.anchored(r"C:\show\out\deep\T.png", folder) == "./deep/T.png"
    with pytest.raises(OutputError, match=r"D:/tex/T.png .* different drives"):
        paths.anchored("D:/tex/T.png", folder)


def test_on_windows_no_process_is_asked_whether_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the signal 0, which asks, is Ctrl-C."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda process, signal: sent.append(signal))
    monkeypatch.setattr(sys, "platform", "win32")
    assert disk.is_running(str(os.getpid()))
    assert not disk.is_running("none")
    assert sent == []


def test_leftovers_of_a_killed_run_are_removed(tiny_stage: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from usdstylize.usd import read, write;"
        "c = read.discover(Path(sys.argv[1]));"
        "p = write.plan(c, 'ink', output=None, force=False, resume=False);"
        "write.Writer(p, c, strength=1.0, network='both').__enter__(); os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tiny_stage)], check=False)
    assert killed.returncode == 9
    left = [path.name for path in (tiny_stage.parent / "tiny.style").iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".ink.unfinished-")
    write_result(tiny_stage)
    assert [path.name for path in (tiny_stage.parent / "tiny.style").iterdir()] == ["ink"]


def test_two_runs_at_once_both_arrive(tiny_stage: Path) -> None:
    contents = discover(tiny_stage)
    writers = []
    for style in ("ink", "gouache"):  # a farm has submitted both together: neither sees the other's result
        plan = write.plan(contents, style, output=None, force=False, resume=False)
        writers.append(write.Writer(plan, contents, strength=1.0, network="both"))
    with writers[0] as first, writers[1] as second:
        for writer in (first, second):
            for obj in contents.objects:
                writer.write_object(obj, read.load(contents, obj), texture(offsets()))
        first.commit({})
        result = second.commit({})
    assert write.existing_styles(result) == {
        style: ["World__Left", "World__Right"] for style in ("ink", "gouache")
    }
    assert verify.verify(result).failed == ()
    assert problems(result) == []


@pytest.mark.parametrize("first", ["Left", "Right"])
def test_an_object_that_cannot_be_written_leaves_no_opinion(tiny_stage: Path, first: str) -> None:
    """Left, before or after what can."""
    source = Usd.Stage.Open(str(tiny_stage))
    left = source.GetPrimAtPath("/World/Left")
    left.RemoveProperty("primvars:st")  # so that its new UVs are written before its binding is found to fail
    collection = Usd.CollectionAPI.Apply(left, "A")  # sorts before any name of ours
    collection.CreateIncludesRel().AddTarget("/World/Left")
    binding = UsdShade.MaterialBindingAPI.Apply(left)
    paint = UsdShade.Material.Get(source, "/World/Looks/Paint")
    binding.Bind(collection, paint, "A", UsdShade.Tokens.strongerThanDescendants)
    source.Save()
    contents = discover(tiny_stage)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for obj in contents.objects if first == "Left" else contents.objects[::-1]:
            fails = obj.path == "/World/Left"
            with pytest.raises(MaterialError, match="cannot be overruled") if fails else nullcontext():
                writer.write_object(obj, read.load(contents, obj), texture(offsets()))
        result = writer.commit({})
    opened = Usd.Stage.Open(str(result))
    assert not opened.GetPrimAtPath("/World/StylizedLooks/World__Left")
    assert bound(opened, "/World/Left") == "/World/Looks/Paint"
    style = plan.style_layer.read_text()
    assert "Left" not in style
    assert "Right" in style
    assert verify.verify(result).failed == ()


def test_run_json_and_the_layers_record_where_the_result_comes_from(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, strength=0.5, seed=11)
    run = json.loads((tiny_stage.parent / "tiny.style/ink/run.json").read_text())
    assert run["seed"] == 11
    assert run["written"]["World__Left"]["path"] == "/World/Left"
    assert run["written"]["World__Left"]["losses"]["total"] == 6.0
    hashes = {
        str(path.relative_to(tiny_stage.parent)): digest for path, digest in digests(tiny_stage).items()
    }
    for name in ("tiny.stylized.usda", "tiny.style.usda"):
        data = Sdf.Layer.FindOrOpen(str(result.with_name(name))).customLayerData["usdstylize"]
        assert data["source"] == "./tiny.usda"
        record = data["styles"]["ink"]
        assert record["seed"] == 11
        assert record["strength"] == 0.5
        recorded = dict(zip(record["sourceFiles"], record["sourceHashes"], strict=True))
        assert recorded["./tiny.usda"] == hashes["tiny.usda"]
        assert "./textures/color.png" in recorded


def test_select_switches_all_or_some_objects(tiny_stage: Path) -> None:
    result = write_result(tiny_stage, "ink")
    write_result(tiny_stage, "gouache", mask=["/World/Left"])

    def shown() -> list[str]:
        opened = Usd.Stage.Open(str(result))
        looks = [opened.GetPrimAtPath(bound(opened, f"/World/{name}")) for name in ("Left", "Right")]
        return [look.GetVariantSet("style").GetVariantSelection() for look in looks]

    assert shown() == ["gouache", "ink"]
    assert write.select(result, "original") == 2
    assert shown() == ["original", "original"]
    assert write.select(result, "ink", ["/World/Right"]) == 1
    assert shown() == ["original", "ink"]
    assert write.select(result, "gouache") == 1
    assert shown() == ["gouache", "ink"]
    with unchanged(tiny_stage.parent):
        with pytest.raises(StageError, match=r"no style oil; choose from gouache, ink, original"):
            write.select(result, "oil")
        with pytest.raises(StageError, match=r"/World/Cow, .* /World/Left, /World/Right"):
            write.select(result, "ink", ["/World/Cow"])
        with pytest.raises(StageError, match="No object at /World/Right holds the style gouache"):
            write.select(result, "gouache", ["/World/Right"])
        with pytest.raises(OutputError, match="is not a result of usdstylize"):
            write.select(tiny_stage, "ink")
