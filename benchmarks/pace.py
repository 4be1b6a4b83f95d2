"""How long an optimisation pays, and what bfloat16 costs: scores and seconds by the judge.

python -m benchmarks.pace --subject STAGE:/PRIM --style IMAGE … --weights DIR --out OUT

To the plateau beside fixed counts, and bfloat16 beside float32: their renders at the judge's
views, which no batch holds, as PSNR, and the style's distance to each.
"""

import json
import math
import sys
from typing import Annotated

import numpy as np
import torch
from cyclopts import App, Parameter
from numpy.typing import NDArray

from benchmarks.paper.cells import Column
from benchmarks.paper.experiment import Experiment, Settings, perform, prepare
from benchmarks.paper.subjects import PaperSubject
from benchmarks.scores import judge_cameras
from usdstylize import render
from usdstylize.config.presets import PRESETS

__all__ = ["main", "renders_psnr"]

PSNR_GOAL = 35.0
"""dB, bfloat16 against float32."""
DISTANCE_GOAL = 0.02
"""Of the judge's style distance in float32."""

_HALF, _EXACT = "400", "400, float32"
_COLUMNS = (
    Column("to the plateau", {"method": "vgg-nnfm"}),
    *(Column(str(count), {"method": "vgg-nnfm", "iterations": count}) for count in (400, 250, 150)),
    Column(_EXACT, {"method": "vgg-nnfm", "iterations": 400, "precision": "float32"}),
)

app = App(name="benchmarks.pace", help="Plateau, fixed counts, and precision.", result_action="return_value")


def renders_psnr(
    subject: PaperSubject, one: NDArray[np.float32], other: NDArray[np.float32], device: str
) -> float:
    """dB between lit renders, sRGB-encoded, of two T_S at the judge's views; over the object's pixels."""
    method = PRESETS["standard"]
    mesh = render.normalize(subject.data.mesh)
    sheet = render.one_sheet(mesh, subject.data.bases[0], subject.object.wrap, subject.data.transfer)
    scene = render.Subject(sheet, (one.shape[0], one.shape[1]), device)
    visibility = render.EmbreeVisibility(mesh.points, mesh.triangles, device)
    grey = torch.full((3, method.resolution, method.resolution), 0.5, device=device)
    squares, count = 0.0, 0.0
    tables = [render.mip_table(torch.from_numpy(np.ascontiguousarray(t)).to(device)) for t in (one, other)]
    for view in render.trace_views(scene, visibility, judge_cameras(), method):
        alone = render.join([view])
        first, second = (render.paint(alone, table, grey) for table in tables)
        squares += float((first - second).double().square().sum())
        count += 3.0 * len(view.pixels)
    return 10 * math.log10(count / squares)


@app.default
def main(*, settings: Annotated[Settings, Parameter(name="*")]) -> int:
    """Print the scores; 1 where bfloat16 is too far from float32."""
    run, subjects, sets = prepare(settings)
    experiment = Experiment("pace", "How long it pays, and in which precision.", _COLUMNS)
    found, good = {}, True
    rows = perform(experiment, run, subjects, sets, settings.out)
    for (title, cells), (subject, _) in zip(rows, experiment.rows(subjects, sets), strict=True):
        half, exact = (next(cell for cell in cells if cell.label == name) for name in (_HALF, _EXACT))
        if half.texture is None or exact.texture is None:
            print(f"{title}: {half.missing or exact.missing}")
            continue
        decibels = renders_psnr(subject, half.texture, exact.texture, run.device)
        apart = float("nan")
        if half.scores is not None and exact.scores is not None:
            distances = [s.render_to_style + s.style_to_render for s in (half.scores, exact.scores)]
            apart = abs(distances[0] / distances[1] - 1)
        good &= decibels >= PSNR_GOAL and not apart > DISTANCE_GOAL
        print(f"{title}: bfloat16 against float32 {decibels:.1f} dB, style distance {apart:.2%} apart")
        found[title] = {"psnr": decibels, "style_distance_apart": apart}
    (settings.out / "precision.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(app())
