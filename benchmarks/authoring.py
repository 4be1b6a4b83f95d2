"""A generated stage of 100 textured objects: how long it takes to read, author and verify, and how large.

python -m benchmarks.authoring

Style textures are made up, since optimising is not the matter here. Writing image files is timed
apart from the work in USD, and against the floor: the same pixels written by OpenImageIO alone, in
the same run.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import OpenImageIO as oiio
from cyclopts import App
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from benchmarks.paints import define_paint
from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.usd import read, verify, write
from usdstylize.usd.write import bake, textures

__all__ = ["Times", "build_stage", "main", "timed_authoring"]

SECONDS_GOAL = 10.0
"""All objects written and committed."""
SIZE_GOAL = 2.0
"""MB of the style layer."""
FLOOR_GOAL = 1.5
"""Writing images, times what OpenImageIO alone takes."""

_MATERIALS = 12
_SUBSETS_EVERY = 5
"""Every fifth mesh is two objects."""

app = App(name="benchmarks.authoring", help="Authoring a stage of 100 objects.")


@dataclass
class Times:
    """Seconds by part, and the size of what came out."""

    objects: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    layer_bytes: int = 0
    problems: tuple[str, ...] = ()

    @contextmanager
    def lap(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its time added to ``part``."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.lap(part):
                return function(*args, **kwargs)

        return timed


@app.default
def main(*, objects: int = 100, resolution: int = 256) -> int:
    """Author a generated stage in a temporary folder; exits with 1 where a goal is missed.

    Parameters
    ----------
    objects
        How many objects the stage holds.
    resolution
        Texels on a side of each style texture and source texture.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = build_stage(Path(folder), objects, resolution)
        times = timed_authoring(root, resolution)
    seconds = times.seconds
    authored = seconds["write objects"] + seconds["commit"]
    images = seconds["images"]
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title=f"{times.objects} objects, style textures of {resolution}²", title_justify="left")
    for heading in ("", "measured", "goal", ""):
        table.add_column(heading, justify="right" if heading else "left")
    rows: list[tuple[str, str, str, bool | None]] = [
        ("inspect, s", f"{seconds['inspect']:.2f}", "", None),
        ("load, s", f"{seconds['load']:.2f}", "", None),
        ("author, s", f"{authored:.2f}", f"< {SECONDS_GOAL:g}", authored < SECONDS_GOAL),
        ("  in USD, s", f"{authored - images - seconds['combine']:.2f}", "", None),
        ("  clamp(T + T_S), s", f"{seconds['combine']:.2f}", "", None),
        (
            "  image files, s",
            f"{images:.2f}",
            f"≤ {FLOOR_GOAL:g} × floor",
            images <= FLOOR_GOAL * seconds["floor"],
        ),
        ("  of it commit, s", f"{seconds['commit']:.2f}", "", None),
        ("floor: OpenImageIO alone, s", f"{seconds['floor']:.2f}", "", None),
        ("verify, s", f"{seconds['verify']:.2f}", "", None),
        (
            "style layer, MB",
            f"{times.layer_bytes / 1e6:.2f}",
            f"< {SIZE_GOAL:g}",
            times.layer_bytes < SIZE_GOAL * 1e6,
        ),
    ]
    for name, value, goal, met in rows:
        verdict = "" if met is None else "met" if met else "[red]missed[/red]"
        table.add_row(name, value, goal, verdict)
    console.print(table)
    for problem in times.problems:
        print(f"verify: {problem}", file=sys.stderr)
    return 0 if all(met is not False for *_, met in rows) and not times.problems else 1


def timed_authoring(root: Path, resolution: int) -> Times:
    """Inspect, load, author and verify a stage; and the floor of the image files that were written."""
    times, floor = Times(), root.parent / "floor"
    floor.mkdir()
    images = [_style_texture(seed, resolution) for seed in range(_MATERIALS)]

    def keep(function: Callable[..., None]) -> Callable[..., None]:
        def kept(path: Path, pixels: NDArray[np.float32], **options: Any) -> None:
            with times.lap("images"):
                function(path, pixels, **options)
            with times.lap("floor"):  # at once, so that whatever else the machine does hits both
                _write_alone(floor / path.name, pixels)

        return kept

    with times.lap("inspect"):
        contents = read.discover(root)
    times.objects = len(contents.objects)
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with (
        patch.object(textures, "write_half", keep(bake.write_half)),
        patch.object(textures, "write_baked", keep(bake.write_baked)),
        patch.object(textures, "combine", times.wrap("combine", bake.combine)),
        write.Writer(plan, contents, strength=1.0, network="both") as open_writer,
    ):
        for number, obj in enumerate(contents.objects):
            with times.lap("load"):
                data = read.load(contents, obj)
            texture = StyleTexture(
                (images[number % len(images)],), 0.9, 7, 3, 0.5, Losses({"nnfm": 6.0}, 6.0)
            )
            with times.lap("write objects"):
                open_writer.write_object(obj, data, texture)
        with times.lap("commit"):
            result = open_writer.commit({"seed": 0})
    with times.lap("verify"):
        times.problems = tuple(map(str, verify.verify(result).failed))
    times.layer_bytes = plan.style_layer.stat().st_size
    times.seconds["write objects"] -= times.seconds["floor"]
    return times


def _write_alone(path: Path, pixels: NDArray[np.float32]) -> None:
    """The same file by OpenImageIO and nothing else."""
    half = path.suffix == ".exr"
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "half" if half else "uint8")
    if half:
        spec.attribute("compression", "zip")
    codes = pixels.astype(np.float16) if half else np.rint(pixels * 255).astype(np.uint8)
    output = oiio.ImageOutput.create(str(path))
    output.open(str(path), spec)
    output.write_image(codes)
    output.close()


def _style_texture(seed: int, resolution: int) -> NDArray[np.float32]:
    """Smooth blotches of a signed T_S, about as hard to compress as a real one."""
    noise = np.random.default_rng(seed).normal(size=(resolution, resolution, 3))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0), mode="wrap")
    return (smooth / np.abs(smooth).max() * 0.6).astype(np.float32)


def build_stage(folder: Path, objects: int, resolution: int) -> Path:
    """``props.usda``: meshes of one object or, every fifth, of two subsets, in materials with textures."""
    meshes, count = [], 0
    while count < objects:
        parts = 2 if len(meshes) % _SUBSETS_EVERY == 4 and count + 2 <= objects else 1
        meshes.append(parts)
        count += parts
    for number in range(_MATERIALS):
        codes = np.clip(0.5 + _style_texture(100 + number, resolution), 0, 1)
        bake.write_baked(folder / f"paint_{number}.png", codes.astype(np.float32))
    opened = Usd.Stage.CreateNew(str(folder / "props.usda"))
    UsdGeom.SetStageUpAxis(opened, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(opened, 1.0)
    opened.SetDefaultPrim(UsdGeom.Xform.Define(opened, "/World").GetPrim())
    paints = [define_paint(opened, f"/World/Looks/Paint{n}", f"./paint_{n}.png") for n in range(_MATERIALS)]
    for number, parts in enumerate(meshes):
        UsdGeom.Xform.Define(opened, f"/World/Set{number // 10}")
        mesh = _dome(opened, f"/World/Set{number // 10}/Prop{number}", number)
        binding = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
        binding.Bind(paints[number % _MATERIALS])
        half = len(mesh.GetFaceVertexCountsAttr().Get()) // 2
        for part in range(parts if parts > 1 else 0):
            faces = Vt.IntArray.FromNumpy(np.arange(part * half, (part + 1) * half, dtype=np.int32))
            subset = binding.CreateMaterialBindSubset(f"part{part}", faces)
            chosen = paints[(number + part) % _MATERIALS]
            UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(chosen)
    opened.Save()
    return folder / "props.usda"


def _dome(opened: Usd.Stage, path: str, number: int, cells: int = 16) -> UsdGeom.Mesh:
    """A curved square of ``cells`` × ``cells`` quads, unwrapped over 0..1."""
    axis = np.linspace(0, 1, cells + 1)
    u, v = np.meshgrid(axis, axis)
    points = np.stack(
        [u + 1.5 * (number % 10), v + 1.5 * (number // 10), np.sin(np.pi * u) * np.sin(np.pi * v)], -1
    )
    corner = np.arange(cells * (cells + 1)).reshape(cells, cells + 1)[:, :-1].reshape(-1, 1)
    indices = corner + np.array([0, 1, cells + 2, cells + 1])
    mesh = UsdGeom.Mesh.Define(opened, path)
    flat = points.reshape(-1, 3).astype(np.float32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(flat))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(indices), 4, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(indices.astype(np.int32).reshape(-1)))
    mesh.CreateExtentAttr([Gf.Vec3f(*flat.min(axis=0).tolist()), Gf.Vec3f(*flat.max(axis=0).tolist())])
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
    )
    st.Set(Vt.Vec2fArray.FromNumpy(np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)))
    return mesh


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
