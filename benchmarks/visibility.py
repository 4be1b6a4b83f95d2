"""Our visibility against the bare embreex call: what cameras, rays and threads cost on top.

python -m benchmarks.visibility

Both in one run, alternating, the least of a few. The bare call gets its rays ready-made, one
camera's to a thread, as many threads as cores; ours makes them from the cameras and hands
barycentrics out.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from cyclopts import App
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import no_usd  # noqa: F401
from usdstylize.config.presets import PRESETS
from usdstylize.render import Camera, EmbreeVisibility, draw_cameras
from usdstylize.render.cameras import pixel_directions

__all__ = ["BareEmbree", "bumpy_sphere", "main", "make_rays"]

GOAL = 1.3

Float32 = NDArray[np.float32]
Rays = tuple[Float32, Float32]

app = App(name="benchmarks.visibility", help="Visibility against the bare embreex call.")


class BareEmbree:
    """An embreex scene and nothing else."""

    def __init__(self, points: Float32, triangles: NDArray[np.int32]) -> None:
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, points, triangles)

    def run(self, rays: Sequence[Rays]) -> list[dict[str, Any]]:
        """embreex's own answer to each camera's rays."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self._run_one, rays))

    def _run_one(self, rays: Rays) -> dict[str, Any]:
        hits: dict[str, Any] = self._scene.run(rays[0], rays[1], query="INTERSECT", output=True)
        return hits


def bumpy_sphere(triangle_count: int) -> tuple[Float32, NDArray[np.int32]]:
    """Points (V, 3) and triangles (F, 3) of a ball with waves, within the unit sphere.

    F is the largest 2 n² that ``triangle_count`` holds.
    """
    side = int((triangle_count / 2) ** 0.5)
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, side + 1), np.linspace(0, 2 * np.pi, side + 1), indexing="ij"
    )
    radius = 0.85 + 0.15 * np.sin(7 * polar) * np.cos(9 * around)
    points = radius[..., None] * np.stack(
        [np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)], axis=-1
    )
    corner = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).reshape(-1)
    below = corner + side + 1
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, below], axis=1), np.stack([corner + 1, below + 1, below], axis=1)]
    )
    return points.reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)


def make_rays(camera: Camera, resolution: int) -> Rays:
    """Origins and directions, (R², 3) each."""
    directions = np.ascontiguousarray(pixel_directions(camera, resolution)[0].reshape(-1, 3))
    return np.ascontiguousarray(np.broadcast_to(camera.eye, directions.shape)), directions


@app.default
def main(*, views: int = 8, resolution: int = 512, triangles: int = 80_000, runs: int = 10) -> int:
    """Compare them; the exit code is 1 where the goal is missed.

    Parameters
    ----------
    views
        Cameras in a batch.
    resolution
        Pixels along one side of a render.
    triangles
        Of the mesh.
    runs
        Timed runs of each; the least counts.
    """
    points, faces = bumpy_sphere(triangles)
    cameras = list(islice(draw_cameras(PRESETS["standard"], np.random.default_rng(0)), views))
    rays = [make_rays(camera, resolution) for camera in cameras]
    ours, bare = EmbreeVisibility(points, faces), BareEmbree(points, faces)
    bare.run([make_rays(cameras[0], 1)])  # the first ray builds the tree
    least = {"ours": float("inf"), "bare": float("inf")}
    for _ in range(runs):
        started = time.perf_counter()
        bare.run(rays)
        between = time.perf_counter()
        ours.trace(cameras, resolution)
        ended = time.perf_counter()
        least["bare"] = min(least["bare"], between - started)
        least["ours"] = min(least["ours"], ended - between)
    ratio = least["ours"] / least["bare"]
    table = Table(
        title=f"Visibility: {views} × {resolution}² rays, {len(faces)} triangles, {os.cpu_count()} cores",
        title_justify="left",
    )
    for heading in ("ours, s", "bare embreex, s", "ratio", "goal", ""):
        table.add_column(heading, justify="right")
    verdict = "met" if ratio <= GOAL else "[red]missed[/red]"
    table.add_row(f"{least['ours']:.3f}", f"{least['bare']:.3f}", f"{ratio:.2f}", f"≤ {GOAL}", verdict)
    Console().print(table)
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
