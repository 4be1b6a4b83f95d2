"""Many instances of few prototypes: what reading, styling, writing and verifying them costs.

python -m benchmarks.instances

`inspect` runs in a process of its own, from a cold start of Python; beside it the floor, which is
USD opening the stage and walking it once. Then every step of a run, at settings so small that
what grows with the instances shows; in processor seconds, since optimising uses several threads.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from cyclopts import App
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_bytes
from benchmarks.paints import define_paint

__all__ = ["main", "make_stage"]

MOST_SECONDS, MOST_BYTES = 5.0, 1e9
MOST_GROWTH = 1.3
"""Of the optimisation's processor seconds, from the fewest instances to the most."""
RINGS = 20
"""Each prototype is a sphere of this many rings and twice as many sides."""


def make_stage(folder: Path, instances: int, prototypes: int) -> Path:
    """``stage.usda``: instances in groups of a hundred, each of one of the prototypes in turn."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(prototypes):
        codes = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(codes).save(folder / f"paint{number}.png")
        _make_asset(folder / f"asset{number}.usda", f"./paint{number}.png")
    stage = Usd.Stage.CreateNew(str(folder / "stage.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    for number in range(instances):
        group = f"/World/Group{number // 100}"
        if number % 100 == 0:
            UsdGeom.Xform.Define(stage, group)
        xform = UsdGeom.Xform.Define(stage, f"{group}/Copy{number}")
        xform.AddTranslateOp().Set(Gf.Vec3d(3.0 * (number % 100), 0.0, 3.0 * (number // 100)))
        xform.GetPrim().GetReferences().AddReference(f"./asset{number % prototypes}.usda")
        xform.GetPrim().SetInstanceable(True)
    stage.Save()
    return folder / "stage.usda"


def _make_asset(path: Path, texture: str) -> None:
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/Asset").GetPrim())
    material = define_paint(stage, "/Asset/Looks/Paint", texture)
    v, u = np.meshgrid(np.linspace(0, 1, RINGS + 1), np.linspace(0, 1, 2 * RINGS + 1), indexing="ij")
    along, around = np.pi * v.ravel(), 2 * np.pi * u.ravel()
    points = np.stack([np.sin(along) * np.cos(around), -np.cos(along), np.sin(along) * np.sin(around)], -1)
    width = 2 * RINGS + 1
    first = (np.arange(RINGS)[:, None] * width + np.arange(width - 1)).ravel()
    corners = np.stack([first, first + width, first + width + 1, first + 1], -1)
    mesh = UsdGeom.Mesh.Define(stage, "/Asset/Ball")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points.astype(np.float32)))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(first), 4, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(corners.ravel().astype(np.int32)))
    mesh.CreateExtentAttr([Gf.Vec3f(-1), Gf.Vec3f(1)])
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    st.Set(Vt.Vec2fArray.FromNumpy(np.stack([u.ravel(), v.ravel()], -1).astype(np.float32)))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    stage.Save()


def measure(what: str, stage: Path) -> dict[str, float]:
    """``floor``, ``read`` or ``run`` in a process of its own: seconds, peak bytes, and counts."""
    command = [sys.executable, "-m", "benchmarks.instances", "child", what, str(stage)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _floor(path: Path) -> dict[str, float]:
    stage = Usd.Stage.Open(str(path))
    return {"instances": sum(prim.IsInstance() for prim in stage.Traverse())}


def _read(path: Path) -> dict[str, float]:
    import usdstylize

    return {"objects": len(usdstylize.inspect(path).objects)}


def _run(path: Path) -> dict[str, float]:
    """Processor seconds of every step."""
    from usdstylize import optimize, styles
    from usdstylize.config.options import Options
    from usdstylize.config.presets import resolve
    from usdstylize.usd import read, verify, write

    codes = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(codes).save(path.parent / "style.png")
    own = Options(preset="draft", device="cpu", texture_resolution=32, iterations=4)
    method = resolve(own, cuda=False)
    style = styles.load(path.parent / "style.png", primary=None, palette=None, clusters=4, seed=0)
    optimizer = optimize.Optimizer(style, method, "cpu")
    spent = dict.fromkeys(("read", "optimised", "written", "verified"), 0.0)

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        started = time.process_time()
        yield
        spent[step] += time.process_time() - started

    with timed("read"):
        contents = read.discover(path)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for obj in contents.objects:
            with timed("read"):
                data = read.load(contents, obj)
            with timed("optimised"):
                (texture,) = optimizer.optimize([obj], [data])
            with timed("written"):
                writer.write_object(obj, data, texture)
        with timed("written"):
            root = writer.commit({})
    with timed("verified"):
        problems = verify.verify(root).failed
    prototypes = len(Usd.Stage.Open(str(root)).GetPrototypes())
    size = plan.style_layer.stat().st_size
    return {"objects": len(contents.objects), "prototypes": prototypes, "problems": len(problems),
            "size": size, **spent}  # fmt: skip


app = App(name="benchmarks.instances", help="What many instances of few prototypes cost.")


@app.command(show=False)
def child(what: str, stage: Path) -> None:
    """One measurement, as JSON."""
    started = time.perf_counter()
    found = {"floor": _floor, "read": _read, "run": _run}[what](stage)
    print(json.dumps({"seconds": time.perf_counter() - started, "bytes": peak_bytes(), **found}))


@app.default
def main(*, instances: int = 6000, prototypes: int = 10, copies: str = "10,100,1000") -> int:
    """Print the tables; 1 where a goal is missed.

    Parameters
    ----------
    instances
        Of the stage that is only read.
    prototypes
        Of every stage.
    copies
        Instances of each prototype, in the stages that are stylised.
    """
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stage = make_stage(folder / "read", instances, prototypes)
        floor, read = measure("floor", stage), measure("read", stage)
        table = Table("", "seconds", "peak GB", title=f"{instances} instances of {prototypes} prototypes")
        for name, found in (("USD alone", floor), ("inspect", read)):
            table.add_row(name, f"{found['seconds']:.2f}", f"{found['bytes'] / 1e9:.2f}")
        table.add_row("goal", f"{MOST_SECONDS:.0f}", f"{MOST_BYTES / 1e9:.0f}")
        console.print(table)
        good = read["seconds"] <= MOST_SECONDS and read["bytes"] <= MOST_BYTES
        good &= floor["instances"] == instances and read["objects"] == prototypes

        steps = ("read", "optimised", "written", "verified")
        title = f"{prototypes} prototypes stylised, processor seconds"
        table = Table("instances", *steps, "style layer MB", title=title)
        runs = []
        for count in (int(text) * prototypes for text in copies.split(",")):
            run = measure("run", make_stage(folder / f"run{count}", count, prototypes))
            table.add_row(f"{count}", *(f"{run[step]:.2f}" for step in steps), f"{run['size'] / 1e6:.2f}")
            good &= run["objects"] == run["prototypes"] == prototypes and not run["problems"]
            runs.append(run)
        console.print(table)
        growth = max(run["optimised"] for run in runs) / min(run["optimised"] for run in runs)
        console.print(f"optimisation, most over least: {growth:.2f} (at most {MOST_GROWTH})")
        good &= growth <= MOST_GROWTH
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(app())
