"""Contact sheets of a written result, rendered with Hydra Storm from its layers.

python -m benchmarks.pictures RESULT.stylized.usda OUT.jpg [--camera /World/Camera]

One row per style set: its images, and the stage with that variant; the source stage on top.
Without a camera in the stage, four are put around it. The Python that renders is the tests':
`.storm/bin/python`, or USDSTYLIZE_STORM_PYTHON. The bake is shown, not the live network, which
Mesa's software rasteriser draws dotted on small triangles (tests/storm/render.py says why).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from cyclopts import App
from PIL import Image, ImageOps
from pxr import Gf, Sdf, Usd, UsdGeom

from benchmarks.results import style_layout
from tests.storm.storm_python import STORM_PYTHON
from usdstylize.imaging import encoding
from usdstylize.usd import write
from usdstylize.usd.write.provenance import read_run

RENDER_SCRIPT = Path(__file__).parents[1] / "tests" / "storm" / "render.py"
DIRECTIONS = ((0.0, 0.15, -1.0), (1.0, 0.2, -0.4), (0.0, 0.3, 1.0), (-0.7, 0.9, -0.7))
GAP = 6

app = App(name="benchmarks.pictures", help="Contact sheets of a result, rendered with Hydra Storm.")


@app.default
def main(result: Path, out: Path, /, *, camera: str | None = None, height: int = 400) -> int:
    """Render the source and every style of a result beside its style images.

    Parameters
    ----------
    result
        The .stylized.usda that a run has written.
    out
        The picture to write, .jpg or .png.
    camera
        Prim path of the stage's camera; four cameras around the stage where not given.
    height
        Of a row, in pixels.
    """
    if not STORM_PYTHON.is_file():
        print(f"error: {STORM_PYTHON} is missing; .ci/run makes it, or set USDSTYLIZE_STORM_PYTHON.")
        return 2
    rows = []
    for style, pictures in renders(result, camera, height).items():
        concept = [] if style == "original" else style_images(result, style)
        rows.append([*pictures, *(ImageOps.fit(image, (height, height)) for image in concept)])
    join(rows).save(out, quality=86)
    return 0


def renders(result: Path, camera: str | None, height: int) -> dict[str, list[Image.Image]]:
    """Per style, the source ("original") first, a picture of ``height`` from each camera."""
    styles = ["original", *sorted(write.existing_styles(result))]
    with tempfile.TemporaryDirectory() as folder:
        stage_path, cameras = with_cameras(result, Path(folder), camera)
        stage = Usd.Stage.Open(str(stage_path))
        prims = [str(p.GetPath()) for p in stage.Traverse() if p.GetVariantSets().HasVariantSet("style")]
        jobs = [
            {
                "stage": str(stage_path),
                "out": str(Path(folder) / f"{style}{index}.exr"),
                "camera": path,
                "width": 2 * (height if camera is None else height * 3 // 2),
                "preview": True,
                "variants": dict.fromkeys(prims, style),
            }
            for style in styles
            for index, path in enumerate(cameras)
        ]
        run_storm(jobs, Path(folder))
        return {
            style: [picture(Path(folder) / f"{style}{index}.exr", height) for index in range(len(cameras))]
            for style in styles
        }


def with_cameras(result: Path, folder: Path, camera: str | None) -> tuple[Path, list[str]]:
    """A stage over the result that has the cameras, and their paths."""
    if camera:
        return result, [camera]
    layer = Sdf.Layer.CreateNew(str(folder / "cameras.usda"))
    layer.subLayerPaths.append(str(result.resolve()))
    stage = Usd.Stage.Open(layer)
    axis = UsdGeom.GetStageUpAxis(Usd.Stage.Open(str(result)))
    UsdGeom.SetStageUpAxis(stage, axis)
    # Directions are named as if +Y were up.
    turn = Gf.Rotation(Gf.Vec3d(1, 0, 0), 90.0 if axis == UsdGeom.Tokens.z else 0.0)
    purposes = [UsdGeom.Tokens.default_, UsdGeom.Tokens.render]
    box = UsdGeom.BBoxCache(Usd.TimeCode.EarliestTime(), purposes).ComputeWorldBound(stage.GetPseudoRoot())
    bounds = box.ComputeAlignedRange()
    center, radius = bounds.GetMidpoint(), bounds.GetSize().GetLength() / 2
    paths = []
    for index, direction in enumerate(DIRECTIONS):
        eye = center + turn.TransformDir(Gf.Vec3d(*direction).GetNormalized()) * radius * 1.9
        prim = UsdGeom.Camera.Define(stage, f"/Camera{index}")
        view = Gf.Matrix4d().SetLookAt(eye, center, turn.TransformDir(Gf.Vec3d(0, 1, 0)))
        prim.AddTransformOp().Set(view.GetInverse())
        prim.CreateHorizontalApertureAttr(36.0)
        prim.CreateVerticalApertureAttr(36.0)
        prim.CreateFocalLengthAttr(43.5)
        prim.CreateClippingRangeAttr(Gf.Vec2f(0.01, 1e5))
        paths.append(str(prim.GetPath()))
    layer.Save()
    return Path(layer.realPath), paths


def run_storm(jobs: list[dict[str, Any]], folder: Path) -> None:
    """Every job of tests/storm/render.py, in one process; ``folder`` keeps the list of them."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [str(STORM_PYTHON), str(RENDER_SCRIPT), str(folder / "jobs.json")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def picture(path: Path, height: int) -> Image.Image:
    """A linear half-float render with alpha as an sRGB picture over white, box-filtered to ``height``."""
    pixels = np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT), dtype=np.float32)
    alpha = pixels[..., 3:4] if pixels.shape[2] > 3 else np.ones_like(pixels[..., :1])
    linear = pixels[..., :3].clip(0, 1) * alpha + (1 - alpha)
    encoded = (encoding.linear_to_srgb(linear) * 255 + 0.5).astype(np.uint8)
    image = Image.fromarray(encoded)
    return image.resize((round(image.width * height / image.height), height), Image.Resampling.BOX)


def style_images(result: Path, style: str) -> list[Image.Image]:
    """The images that the run named in run.json; for a mix the first one of each style."""
    files = style_layout(result, style)
    run = read_run(files)
    if style == write.MIX:
        mixed = sorted({name for facts in run["written"].values() for name in facts["mix"]})
        return [image for name in mixed for image in style_images(result, name)[:1]]
    return [Image.open(files.folder / name).convert("RGB") for name in run["plan"]["style_images"]]


def join(rows: list[list[Image.Image]]) -> Image.Image:
    """Rows of pictures of one height, on white."""
    width = max(sum(image.width + GAP for image in row) for row in rows) - GAP
    height = sum(row[0].height + GAP for row in rows) - GAP
    sheet = Image.new("RGB", (width, height), "white")
    top = 0
    for row in rows:
        left = 0
        for image in row:
            sheet.paste(image, (left, top))
            left += image.width + GAP
        top += row[0].height + GAP
    return sheet


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
