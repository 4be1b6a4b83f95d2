"""The wheel that `uv build` makes: what is in it, its version, and the main job without the repository."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import QUICK, process
from pxr import Usd

import usdstylize
from usdstylize.usd.write import read_layer, read_provenance
from usdstylize.version import find_version

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
UV = os.environ.get("UV") or shutil.which("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if UV is None:
        pytest.skip("builds a wheel by uv, which is not on the PATH")
    folder = tmp_path_factory.mktemp("dist")
    command = [UV, "build", "--wheel", "--out-dir", str(folder), str(ROOT)]
    # uv has the build backend since it set up the checkout; with an empty cache it needs the network.
    for arguments in ([*command, "--offline"], command):
        done = subprocess.run(arguments, capture_output=True, text=True)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as an installer lays it into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def from_wheel(unpacked: Path, folder: Path, *arguments: object) -> str:
    """Stdout of a Python that has the wheel and this Python's libraries, and nothing of the checkout.

    ``-S`` leaves out the file of the editable installation that leads to the checkout.
    """
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    done = subprocess.run(
        [sys.executable, "-S", "-P", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(unpacked), *libraries])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_holds_all_that_the_package_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {"py.typed", "encoders/draft_encoder.safetensors", "encoders/draft_encoder.md"}
    data |= {f"schemas/{name}" for name in ("schema.usda", "generatedSchema.usda", "plugInfo.json")}
    assert {f"usdstylize/{name}" for name in data} <= names
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "usdstylize").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


@pytest.mark.slow
def test_the_main_job_runs_from_a_wheel_alone(
    unpacked: Path, tiny_stage: Path, style_folder: Path, tmp_path: Path
) -> None:
    found = from_wheel(
        unpacked,
        tmp_path,
        "-c",
        "import json, sys, usdstylize, pxr.Plug; from usdstylize.config import schema;"
        "known = pxr.Plug.Registry().GetPluginWithName('usdstylize');"
        "print(json.dumps([sys.path, usdstylize.__file__, known.resourcePath, usdstylize.__version__]))",
    )
    path, module, schema, version = json.loads(found)
    assert not [entry for entry in path if Path(entry).resolve() in (ROOT, ROOT / "usdstylize")]
    assert Path(module).is_relative_to(unpacked)
    assert Path(schema).is_relative_to(unpacked)
    assert version == VERSION

    job = ["-m", "usdstylize", tiny_stage, "--style-set", style_folder, *QUICK, "--quiet"]
    root_layer = Path(from_wheel(unpacked, tmp_path, *job).strip())
    stage = Usd.Stage.Open(str(root_layer))
    assert all(stage.GetPrimAtPath(f"/World/{name}") for name in ("Left", "Right"))
    layer = read_layer(root_layer)
    assert layer is not None
    provenance = read_provenance(layer, root_layer.parent)
    assert provenance is not None
    assert provenance.version == VERSION


def test_the_version_is_that_of_the_checkout_whatever_is_installed(tmp_path: Path) -> None:
    assert usdstylize.__version__ == VERSION
    shutil.copytree(ROOT / "usdstylize", tmp_path / "usdstylize")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(project.replace(f'version = "{VERSION}"', 'version = "7.8.9"'))
    done = subprocess.run(
        process("--version"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("7.8.9\n", "")


def test_the_version_is_that_of_the_package_and_of_no_neighbour(tmp_path: Path) -> None:
    (tmp_path / "usdstylize").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "usdstylize"\nversion = "7.8.9"\n')
    assert find_version(tmp_path / "usdstylize") == "7.8.9"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\nversion = "7.8.9"\n')
    assert find_version(tmp_path / "usdstylize") != "7.8.9"
