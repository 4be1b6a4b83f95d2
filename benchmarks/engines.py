"""The visibility engines side by side: seconds, and whether they see the same triangles.

python -m benchmarks.engines [MESH.obj ...]

The z-buffer on the device, Embree on the CPU's cores with its hits moved to the device, and
nvdiffrast where it is installed; on a batch of views and on a pool of them. Needs neither
weights nor USD: of the product it imports `options` and `render` alone.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch
from cyclopts import App
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import no_usd  # noqa: F401
from benchmarks.visibility import bumpy_sphere
from usdstylize.config.method import EngineName, Method
from usdstylize.config.presets import PRESETS
from usdstylize.model.objects import Mesh
from usdstylize.render import (
    Camera,
    Hits,
    Subject,
    Visibility,
    available_cores,
    choose_visibility,
    draw_cameras,
    normalize,
    one_sheet,
    trace_views,
)
from usdstylize.render.visibility import has_nvdiffrast

__all__ = ["Agreement", "agreement", "main", "read_obj"]

AGREEMENT = 0.9999
POOL_SECONDS = 1.0
"""For 256 views of 512² by the z-buffer on one H200."""
_AT_ONCE = 16

app = App(name="benchmarks.engines", help="Visibility engines side by side.")


@dataclass(frozen=True)
class Agreement:
    """same: share of pixels with the same triangle. close: share of those within 1e-4 in barycentrics."""

    same: float
    close: float


def agreement(ours: Sequence[Hits], theirs: Sequence[Hits]) -> Agreement:
    """Two engines' hits from the same cameras, on any devices."""
    same = pixels = close = both = 0
    for one, other in zip(ours, theirs, strict=True):
        triangle, expected = one.triangle.cpu(), other.triangle.cpu()
        same += int((triangle == expected).sum())
        pixels += triangle.numel()
        hit = (triangle == expected) & (triangle >= 0)
        apart = (one.barycentrics.cpu()[hit] - other.barycentrics.cpu()[hit]).abs().amax(1)
        close += int((apart < 1e-4).sum())
        both += len(apart)
    return Agreement(same / max(1, pixels), close / max(1, both))


def read_obj(path: Path) -> Mesh:
    """Points and triangles of an OBJ file, in the unit sphere; UVs and normals are made up."""
    lines = [line.split() for line in path.read_text().splitlines()]
    points = np.array([line[1:4] for line in lines if line[:1] == ["v"]], np.float32)
    triangles = []
    for line in lines:
        if line[:1] == ["f"]:
            corners = [int(word.split("/")[0]) - 1 for word in line[1:]]
            triangles += [(corners[0], *pair) for pair in pairwise(corners[1:])]
    return _mesh(points, np.array(triangles, np.int32))


def _mesh(points: NDArray[np.float32], triangles: NDArray[np.int32]) -> Mesh:
    corners = points[triangles]
    return normalize(Mesh(points, triangles, corners, np.ascontiguousarray(corners[..., :2] / 2 + 0.5)))


@app.default
def main(
    *meshes: Path,
    views: int = 8,
    pool: int = 256,
    resolution: int = 512,
    triangles: int = 80_000,
    runs: int = 3,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
) -> int:
    """Compare them; the exit code is 1 where a goal is missed.

    Parameters
    ----------
    meshes
        OBJ files, beside the generated one.
    views
        Cameras in a batch.
    pool
        Cameras in a pool.
    resolution
        Pixels along one side of a render.
    triangles
        Of the generated mesh.
    runs
        Timed runs of each; the least counts.
    device
        Where the hits are needed, and where the z-buffer and nvdiffrast run.
    """
    subjects = {path.stem: read_obj(path) for path in meshes}
    subjects[f"{triangles} triangles"] = _mesh(*bumpy_sphere(triangles))
    chip = torch.cuda.get_device_name() if device != "cpu" else "no GPU"
    table = Table(
        title=f"Visibility at {resolution}²: {chip}, {available_cores()} cores, torch {torch.__version__}",
        title_justify="left",
    )
    for heading in ("mesh", "views", "engine", "s", "ms a view", "of Embree", "same ids", "same 1e-4", "MB"):
        table.add_column(heading, justify="left" if heading in ("mesh", "engine") else "right")
    method = replace(PRESETS["standard"], resolution=resolution)
    missed: list[str] = []
    for title, mesh in subjects.items():
        for count in (views, pool):
            cameras = list(islice(draw_cameras(method, np.random.default_rng(0)), count))
            rows = list(_rows(mesh, cameras, method, runs, device))
            missed += [f"{title}, {count} views: {goal}" for row in rows for goal in _missed(row, device)]
            for row in rows:
                table.add_row(title, str(count), *_cells(row, rows[0].seconds, count))
    Console(width=150).print(table)
    for what in missed:
        print(f"missed: {what}")
    return 1 if missed else 0


@dataclass(frozen=True)
class _Row:
    """megabytes: peak of PyTorch's allocator on the device; nvdiffrast's own buffers are not in it."""

    engine: str
    seconds: float
    megabytes: float
    agreement: Agreement | None = None
    repeats: bool = True


def _rows(mesh: Mesh, cameras: Sequence[Camera], method: Method, runs: int, device: str) -> Iterator[_Row]:
    """Embree first."""
    names: list[EngineName] = ["embree", "z-buffer"]
    if has_nvdiffrast() and device != "cpu":
        names.append("nvdiffrast")
    some, resolution = cameras[:8], method.resolution
    expected: list[Hits] = []
    for name in names:
        engine = choose_visibility(name, mesh.points, mesh.triangles, device)
        seconds, megabytes = _measured(partial(_trace, engine, cameras, resolution), device, runs)
        found = engine.trace(some, resolution)
        expected = expected or found
        again = engine.trace(some, resolution)
        repeats = all(torch.equal(a.triangle, b.triangle) for a, b in zip(found, again, strict=True))
        yield _Row(name, seconds, megabytes, agreement(found, expected), repeats)
        if name == "z-buffer":
            base = np.random.default_rng(0).random((1024, 1024, 3)).astype(np.float32)
            subject = Subject(one_sheet(mesh, base, ("repeat", "repeat")), (1024, 1024), device)
            work = partial(_trace_views, subject, engine, cameras, method)
            yield _Row("z-buffer, texture sampling found too", *_measured(work, device, runs))


def _missed(row: _Row, device: str) -> Iterator[str]:
    if not row.repeats:
        yield f"{row.engine} gives another picture the second time"
    if row.engine == "z-buffer" and row.agreement and row.agreement.same < AGREEMENT:
        yield f"ids as Embree on {row.agreement.same:.6f} of the pixels, goal {AGREEMENT}"
    if row.engine == "z-buffer" and device != "cpu" and row.seconds > POOL_SECONDS:
        yield f"{row.seconds:.2f} s, goal {POOL_SECONDS}"


def _cells(row: _Row, embree: float, count: int) -> Iterator[str]:
    yield row.engine
    yield f"{row.seconds:.4f}"
    yield f"{1e3 * row.seconds / count:.2f}"
    yield f"{row.seconds / embree:.3f}"
    yield f"{row.agreement.same:.6f}" if row.agreement else ""
    yield f"{row.agreement.close:.5f}" if row.agreement else ""
    yield f"{row.megabytes:.0f}"


def _measured(work: Callable[[], object], device: str, runs: int) -> tuple[float, float]:
    """The least seconds of a few runs, after one that warms up, and the peak megabytes on the device."""
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    least = float("inf")
    for number in range(runs + 1):
        _wait(device)
        started = time.perf_counter()
        work()
        _wait(device)
        if number:
            least = min(least, time.perf_counter() - started)
    return least, torch.cuda.max_memory_allocated() / 1e6 if device != "cpu" else 0.0


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def _trace(engine: Visibility, cameras: Sequence[Camera], resolution: int) -> None:
    """As the product traces a pool: each group's hits go before the next ones come."""
    for start in range(0, len(cameras), _AT_ONCE):
        engine.trace(cameras[start : start + _AT_ONCE], resolution)


def _trace_views(subject: Subject, engine: Visibility, cameras: Sequence[Camera], method: Method) -> None:
    for start in range(0, len(cameras), _AT_ONCE):
        trace_views(subject, engine, cameras[start : start + _AT_ONCE], method)


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
