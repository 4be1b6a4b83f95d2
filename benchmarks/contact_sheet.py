"""Results beside their sources: is `original` the source, and the style at strength 0, too?

    python -m benchmarks.contact_sheet OUT.jpg RESULT.stylized.usda …

A row for each result, drawn by Storm from the front: the source stage, the variant `original`, the live
network at strength 0, the live network as it stands, and the bake. How far the second and third are from the
first is printed, as the largest difference in linear light; of the live network for 95 % of the pixels, since
Mesa draws it dotted along the edges of triangles (tests/storm/render.py says why). The tests' Python draws
(`.storm/bin/python`, or USDSTYLIZE_STORM_PYTHON). Exit code 1 where `original` differs from the source.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from cyclopts import App
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from benchmarks.pictures import join, picture, run_storm, with_cameras
from usdstylize.usd import write

_FRONT = 2
"""The camera of `pictures.with_cameras` that stands before +Z."""
_LIMIT = 1e-3
"""Largest difference, linear, that Storm's own rounding makes."""
_MOST = 0.95
_DIAL = "strength"
COLUMNS = ("source", "original", "strength 0", "live", "bake")

app = App(name="benchmarks.contact_sheet", help="Results beside their sources, drawn by Storm.")


@app.default
def main(out: Path, /, *results: Path, height: int = 240) -> int:
    """Draw a sheet of results and print how far they are from their sources where they should be equal.

    Parameters
    ----------
    out
        The picture to write, .jpg or .png.
    results
        Root layers of results.
    height
        Of a row, in pixels.
    """
    rows, worst = [], 0.0
    print(f"| {out.stem} | original, all pixels | strength 0, 95 % of them |\n| --- | ---: | ---: |")
    for result in results:
        with tempfile.TemporaryDirectory() as folder:
            files = _render(result, Path(folder), height)
            source, original, zero = (_linear(file) for file in files[:3])
            rows.append([picture(file, height) for file in files])
        kept, dialled = (np.abs(own - source).max(axis=2) for own in (original, zero))
        worst = max(worst, float(kept.max()))
        print(
            f"| {result.parent.name}/{result.stem} | {kept.max():.4f} | {np.quantile(dialled, _MOST):.4f} |"
        )
    join(rows).save(out, quality=88)
    return 1 if worst > _LIMIT else 0


def _render(result: Path, folder: Path, height: int) -> list[Path]:
    """The columns of one row."""
    provenance = write.read_provenance(*_style_layer(result))
    if provenance is None:
        raise SystemExit(f"{result} is no result of usdstylize.")
    scenes = {}
    for name, root in (("result", result), ("source", Path(provenance.source))):
        (folder / name).mkdir()
        scenes[name], cameras = with_cameras(root, folder / name, None)
    stage = Usd.Stage.Open(str(scenes["result"]))
    prims = [prim for prim in stage.TraverseAll() if prim.GetVariantSets().HasVariantSet(write.VARIANT_SET)]
    dials = [
        item.GetAttr().GetPath() for prim in prims if (item := UsdShade.Material(prim).GetInput("strength"))
    ]
    changes: dict[str, dict[str, Any]] = {
        "source": {"stage": str(scenes["source"])},
        "original": {"variants": {str(prim.GetPath()): write.ORIGINAL for prim in prims}},
        "strength 0": {"values": {str(dial): 0.0 for dial in dials}},
        "live": {},
        "bake": {"preview": True},
    }
    common = {"stage": str(scenes["result"]), "camera": cameras[_FRONT], "width": height}
    jobs = [common | changes[name] | {"out": str(folder / f"{name}.exr")} for name in COLUMNS]
    run_storm(jobs, folder)
    return [Path(job["out"]) for job in jobs]


def _style_layer(result: Path) -> tuple[Any, Path]:
    path = write.find_style_layer(result)
    return write.read_layer(path), path.parent


def _linear(file: Path) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = np.asarray(oiio.ImageBuf(str(file)).get_pixels(oiio.FLOAT), np.float32)
    return pixels[..., :3]


if __name__ == "__main__":
    sys.exit(app())
