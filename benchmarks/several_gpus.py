"""One asset over 1, 2, 4, … GPUs, and many assets over as many: what each further GPU is worth.

python -m benchmarks.several_gpus --out OUT [--counts 1,2,4,8]

One asset: milliseconds of an iteration of `standard` (CLIP RN50 and VGG16, with random weights,
which take the same time), at 8 views for each GPU and at the paper's 8 for all together; two
runs that differ in their iterations alone, one less the other. Many assets: 4 for each GPU, an
object each, from the first to the last, once each process has done one to be warm. The object
is a ball with waves, the style is noise. Needs neither weights nor USD, but embreex, SciPy,
safetensors, cyclopts and rich.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import torch
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from benchmarks import no_usd  # noqa: F401
from benchmarks.visibility import bumpy_sphere
from usdstylize.config.method import Method
from usdstylize.config.presets import PRESETS
from usdstylize.distributed import rank_zero, torchrun, workers
from usdstylize.model.base_colors import ConstantColor
from usdstylize.model.objects import Mesh, ObjectData, StageObject, StyleImage, StyleSet

__all__ = ["lead", "main"]

EFFICIENCY_GOALS = {2: 0.9, 4: 0.9, 8: 0.85}
"""At a fixed batch for each GPU."""
ASSETS_GOALS = {4: 3.7, 8: 7.0}
"""Times one GPU."""
_PER_GPU = 8
_ASSETS_PER_GPU = 4
_SETTINGS = "BENCHMARK_SETTINGS"

app = App(name="benchmarks.several_gpus", help="What each further GPU is worth.")


@dataclass(frozen=True)
class Settings:
    """device: cpu or cuda. iterations: of an asset; a quarter of them in the shorter run."""

    device: str
    iterations: int
    resolution: int
    texture: int
    triangles: int
    batch: int = _PER_GPU

    def method(self, iterations: int) -> Method:
        return replace(
            PRESETS["standard"],
            batch=self.batch,
            iterations=iterations,
            plateau=False,
            resolution=self.resolution,
            texture_resolution=self.texture,
            visibility="z-buffer" if self.device == "cuda" else "embree",
            view_pool=8 * self.batch,
        )


def describe(number: int) -> StageObject:
    name = f"ball{number}"
    base = ConstantColor((0.2, 0.2, 0.2))
    return StageObject(f"/{name}", f"/{name}", name, None, "none", None, base, "st", None, 0)


def make_data(triangles: int) -> ObjectData:
    points, indices = bumpy_sphere(triangles)
    polar = np.arccos(np.clip(points[:, 1] / np.linalg.norm(points, axis=1), -1, 1))
    around = np.arctan2(points[:, 2], points[:, 0])
    uvs = np.stack([around / (2 * np.pi) + 0.5, 1 - polar / np.pi], 1).astype(np.float32)
    normals = points / np.linalg.norm(points, axis=1, keepdims=True)
    mesh = Mesh(points, indices, normals[indices].astype(np.float32), uvs[indices])
    return ObjectData(mesh, (np.full((1, 1, 3), 0.5, np.float32),))


def make_style(size: int) -> StyleSet:
    pixels = np.random.default_rng(0).random((size, size, 3), np.float32)
    palette = np.array([[0.9, 0.8, 0.2], [0.1, 0.2, 0.5]], np.float32)
    return StyleSet("noise", (StyleImage(Path("noise.png"), pixels, ""),), palette)


def lead() -> int:
    """In the first process of a torchrun: prints seconds of a short run and of a long one."""
    settings = Settings(**json.loads(os.environ[_SETTINGS]))
    process_group = torchrun.current()
    assert process_group is not None
    data, style = make_data(settings.triangles), make_style(settings.resolution)
    method = settings.method(settings.iterations)
    with patch.object(rank_zero, "check_weights", lambda method, folder: None):
        optimizer = rank_zero.RankZero(process_group, style, method, settings.device)
    seconds = []
    for iterations in (8, settings.iterations // 4, settings.iterations):  # the first one warms up
        started = time.perf_counter()
        optimizer.restyled(style, settings.method(iterations)).optimize([describe(0)], [data])
        seconds.append(time.perf_counter() - started)
    print(json.dumps(seconds), flush=True)
    return 0


def iteration_milliseconds(count: int, settings: Settings) -> tuple[float, float]:
    """Of one iteration over as many processes, and seconds of the whole asset."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    done = subprocess.run(
        [*command, "-m", "benchmarks.random_worker"],
        env={**os.environ, _SETTINGS: json.dumps(vars(settings)), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    _, short, long = json.loads(done.stdout.strip().splitlines()[-1])
    return 1e3 * (long - short) / (settings.iterations - settings.iterations // 4), long


def assets_seconds(count: int, assets: int, settings: Settings) -> float:
    """From the first of as many assets to the last, an asset a process."""
    data, style = make_data(settings.triangles), make_style(settings.resolution)
    method = settings.method(settings.iterations)
    with (
        patch.object(workers, "MODULE", "benchmarks.random_worker"),
        patch.object(workers, "check_weights", lambda method, folder: None),
        workers.Workers(count, style, method, settings.device) as several,
    ):

        def work(group: Any) -> None:
            several.optimize(group, [data])

        several.each([(describe(-1 - number),) for number in range(count)], work)
        started = time.perf_counter()
        several.each([(describe(number),) for number in range(assets)], work)
        return time.perf_counter() - started


@app.default
def main(
    *,
    out: Path,
    counts: Annotated[str, Parameter(help="GPUs, such as 1,2,4; those present when not given")] = "",
    iterations: int = 640,
    resolution: int = 512,
    texture: int = 1024,
    triangles: int = 80_000,
    device: str = "cuda",
    assets: bool = True,
) -> int:
    """Print and write the table; 1 where a goal is missed."""
    present = torch.cuda.device_count() if device == "cuda" else 2
    numbers = [int(word) for word in counts.split(",") if word] or [
        count for count in (1, 2, 4, 8) if count <= present
    ]
    settings = Settings(device, iterations, resolution, texture, triangles)
    chip = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    table = Table(
        "GPUs", "8 views a GPU, ms", "efficiency", "8 views in all, ms", "times one", "asset, s",
        "assets", "s", "times one",
        title=f"{chip}, torch {torch.__version__}, {resolution}², T_S {texture}², {iterations} iterations",
        title_justify="left",
    )  # fmt: skip
    rows: list[dict[str, float]] = []
    for count in numbers:
        weak, _ = iteration_milliseconds(count, replace(settings, batch=_PER_GPU * count))
        strong, whole = iteration_milliseconds(count, settings)
        row = {"gpus": count, "weak_ms": weak, "strong_ms": strong, "asset_s": whole}
        if assets:
            row["assets"] = _ASSETS_PER_GPU * count
            row["assets_s"] = assets_seconds(count, _ASSETS_PER_GPU * count, settings)
        rows.append(row)
        first = rows[0]
        row["efficiency"] = first["weak_ms"] / weak
        row["speed_up"] = first["strong_ms"] / strong
        if assets:
            rate = row["assets"] / row["assets_s"]
            row["assets_speed_up"] = rate / (first["assets"] / first["assets_s"])
        names = ("weak_ms", "efficiency", "strong_ms", "speed_up", "asset_s")
        names += ("assets", "assets_s", "assets_speed_up") if assets else ()
        table.add_row(str(count), *(f"{row[name]:.2f}" for name in names))
        print(row, flush=True)  # what is known even where a later count fails
    Console(width=140).print(table)
    out.mkdir(parents=True, exist_ok=True)
    (out / "several_gpus.json").write_text(json.dumps({"chip": chip, "rows": rows}, indent=1) + "\n")
    missed = [
        row["gpus"]
        for row in rows
        if row["efficiency"] < EFFICIENCY_GOALS.get(int(row["gpus"]), 0.0)
        or row.get("assets_speed_up", np.inf) < ASSETS_GOALS.get(int(row["gpus"]), 0.0)
    ]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
