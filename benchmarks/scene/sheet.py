"""What the stage's camera sees of several results beside each other, and what is seen from nearer."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pxr import Usd

from benchmarks.pictures import GAP, picture, run_storm
from benchmarks.results import style_names
from benchmarks.scene.distances import SHARES, nearer_cameras

__all__ = ["sheet"]


def sheet(results: Sequence[Path], camera: str, width: int) -> Image.Image:
    """A column for every style of every result, a row for each of `SHARES` of the camera's distance.

    Rendered by Storm from the bakes. What the middle of the picture shows stays there.
    Raises StageError where a stage has no such camera.
    """
    columns = [column for result in results for column in _columns(result, camera, width)]
    heights = [image.height for image in columns[0]]
    whole = Image.new(
        "RGB",
        ((width + GAP) * len(columns) - GAP, sum(heights) + GAP * (len(heights) - 1)),
        "white",
    )
    for number, column in enumerate(columns):
        top = 0
        for image in column:
            whole.paste(image, (number * (width + GAP), top))
            top += image.height + GAP
    return whole


def _columns(result: Path, camera: str, width: int) -> list[list[Image.Image]]:
    found = []
    for style in style_names(result):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            stage_path, views = nearer_cameras(result, style, folder, camera, None)
            stage = Usd.Stage.Open(str(stage_path))
            prims = [str(p.GetPath()) for p in stage.Traverse() if p.GetVariantSets().HasVariantSet("style")]
            outs = [folder / f"{index}.exr" for index in range(len(SHARES))]
            jobs: list[dict[str, Any]] = [
                {
                    "stage": str(stage_path),
                    "out": str(out),
                    "camera": view.paths[0],
                    "width": 2 * width,
                    "preview": True,
                    "variants": dict.fromkeys(prims, style),
                }
                for view, out in zip(views, outs, strict=True)
            ]
            run_storm(jobs, folder)
            pictures = [picture(out, width) for out in outs]
            found.append([p.resize((width, round(p.height * width / p.width))) for p in pictures])
    return found
