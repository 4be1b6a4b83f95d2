"""What every test shares: pinned threads, which proofs run where, small inputs, the guard of sources."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Before anything imports NumPy or PyTorch, and for every process that a test starts: one thread each.
# Small tensors gain nothing from more. On a busy machine threads that wait for each other turn a second
# into minutes, and how many there are decides the last bits of a sum.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Before anything imports Triton: its kernels run in its interpreter, which needs no GPU.
os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import pytest
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from storm.storm_python import HANG_SECONDS, STORM_PYTHON
from usdmtlx.usdmtlx_python import USDMTLX_PYTHON

# A shell that runs the tests in the background has Ctrl-C ignored, and so would have the commands
# that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROOFS = {
    "storm": (STORM_PYTHON, "renders with Hydra Storm or Cycles, in a Python that has bpy"),
    "usdmtlx": (USDMTLX_PYTHON, "asks an OpenUSD that knows MaterialX, in a Python that has usd-exchange"),
}
"""By marker: the Python that such a test needs, and what it does with it."""

SMALL = ("--preset", "draft", "--device", "cpu", "--texture-resolution", "64")
QUICK = (*SMALL, "--iterations", "2")
"""Options for a run that takes seconds."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-proofs",
        action="store_true",
        help="A proof that skips, because the Python that it needs is missing, fails instead.",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker, (_, text) in PROOFS.items():
        config.addinivalue_line("markers", f"{marker}: {text}")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.get_closest_marker(marker) for marker in PROOFS):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (python, text) in PROOFS.items():
        if item.get_closest_marker(marker) and not python.is_file():
            pytest.skip(f"{text}: there is no {python}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under ``--require-proofs`` no proof may skip, for whatever reason."""
    report = yield
    is_proof = any(item.get_closest_marker(marker) for marker in PROOFS)
    if report.skipped and is_proof and item.config.getoption("require_proofs"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """In every test, whichever ran before it: what draws without a seed of its own draws these."""
    random.seed(0)
    if torch := sys.modules.get("torch"):  # tests of USD alone do without
        torch.manual_seed(0)


@contextmanager
def started(*command: object) -> Iterator[subprocess.Popen[str]]:
    """A process with a session of its own, all of which ends with the block, or where it hangs."""
    with subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        timer = threading.Timer(HANG_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def read_until(process: subprocess.Popen[str], *words: str) -> str:
    """What a process has written to stderr once each of the words is in it."""
    assert process.stderr is not None
    found = ""
    while not all(word in found for word in words):
        line = process.stderr.readline()
        assert line, f"it ended without {words}: {found}"
        found += line
    return found


def digests(*roots: Path) -> dict[Path, str]:
    """sha256 of every file at or under the roots."""
    files = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}


@contextmanager
def unchanged(*roots: Path, may_add: bool = False) -> Iterator[None]:
    """Fails when any file at or under the roots is changed, removed or (unless ``may_add``) added."""
    before = digests(*roots)
    yield
    after = digests(*roots)
    assert {path: after.get(path) for path in before} == before, "a source was changed or removed"
    if not may_add:
        assert set(after) == set(before), "something was left behind"


@pytest.fixture
def style_folder(tmp_path: Path) -> Path:
    return build_style_folder(tmp_path / "ink stripes")


@pytest.fixture
def tiny_stage(tmp_path: Path) -> Path:
    return build_tiny_stage(tmp_path / "shot")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``shot/tiny.usda``, ``ink stripes`` and the result of one run; do not change it."""
    folder = tmp_path_factory.mktemp("finished")
    stage = build_tiny_stage(folder / "shot")
    style = build_style_folder(folder / "ink stripes")
    with unchanged(stage.parent, may_add=True), unchanged(style):
        run = subprocess.run(process(stage, "--style-set", style, *QUICK), capture_output=True, text=True)
    (folder / "stdout").write_text(run.stdout)
    (folder / "stderr").write_text(run.stderr)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def result(finished: Path, tmp_path: Path) -> Path:
    """The root layer in a copy of ``finished``."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy" / "shot" / "tiny.stylized.usda"


def process(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "usdstylize", *map(str, arguments)]


def build_style_folder(folder: Path) -> Path:
    """Two 96-pixel images: orange and teal stripes (the primary one), and black and white ones."""
    folder.mkdir()
    stripes = (np.arange(96)[:, None, None] // 6 % 2).astype(np.uint8) * np.ones((96, 96, 3), np.uint8)
    Image.fromarray(stripes * 255).save(folder / "b.png")
    colored = np.where(stripes.transpose(1, 0, 2) == 1, (230, 120, 20), (10, 110, 120)).astype(np.uint8)
    Image.fromarray(colored).save(folder / "a.png")
    return folder


def build_tiny_stage(folder: Path) -> Path:
    """``tiny.usda``: two textured quads, /World/Left and /World/Right."""
    (folder / "textures").mkdir(parents=True)
    rows = np.linspace(40, 220, 32).astype(np.uint8)
    picture = np.stack(np.broadcast_arrays(rows[:, None], rows[None, :], np.uint8(90)), axis=-1)
    Image.fromarray(picture).save(folder / "textures" / "color.png")
    stage = Usd.Stage.CreateNew(str(folder / "tiny.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    world = UsdGeom.Xform.Define(stage, "/World")
    stage.SetDefaultPrim(world.GetPrim())
    material = define_material(stage, "/World/Looks/Paint", "./textures/color.png")
    for x, name in enumerate(("Left", "Right")):
        define_quad(stage, f"/World/{name}", material, x=2.0 * x)
    stage.Save()
    return folder / "tiny.usda"


def define_quad(
    stage: Usd.Stage, path: str, material: UsdShade.Material, *, x: float = 0.0, uvs: bool = True
) -> UsdGeom.Mesh:
    """A unit quad that faces +Z, its lower left corner at (x, 0, 0), with the UVs 0..1."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    mesh.CreatePointsAttr([Gf.Vec3f(x + u, v, 0.0) for u, v in corners])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    mesh.CreateExtentAttr([Gf.Vec3f(x, 0.0, 0.0), Gf.Vec3f(x + 1.0, 1.0, 0.0)])
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    if uvs:
        st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
        )
        st.Set([Gf.Vec2f(*corner) for corner in corners])
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return mesh


def define_material(stage: Usd.Stage, path: str, texture: str) -> UsdShade.Material:
    """A UsdPreviewSurface with a texture on its diffuseColor, read at ``st``."""
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, f"{path}/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    reader = UsdShade.Shader.Define(stage, f"{path}/Reader")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    image = UsdShade.Shader.Define(stage, f"{path}/Texture")
    image.CreateIdAttr("UsdUVTexture")
    image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(texture)
    image.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
    image.CreateInput("wrapS", Sdf.ValueTypeNames.Token).Set("repeat")
    image.CreateInput("wrapT", Sdf.ValueTypeNames.Token).Set("repeat")
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(
        reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    )
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    )
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material
