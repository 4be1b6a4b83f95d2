"""Supplement, Figure 4: a scene whose objects are stylised one by one, each with a style of its own.

python -m benchmarks.paper.teaser --out OUT [--style IMAGE …] [--preset draft]

`StylizeAPI` on each asset of the still life names its style image; one run follows it, and the
picture is rendered with Hydra Storm from the layers that it has written.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App
from PIL import Image, ImageDraw, ImageFont, ImageOps
from pxr import Sdf, Usd, UsdGeom

import usdstylize
from benchmarks import pictures
from tests.storm.storm_python import STORM_PYTHON
from usdstylize import Options
from usdstylize.config.options import MethodName, PresetName
from usdstylize.errors import UsdStylizeError

__all__ = ["main", "write_stage"]

_SAMPLES = Path(__file__).parents[2] / "sample_stages"
_SETS = _SAMPLES / "styles"
_HEIGHT = 460
OBJECTS = ("Vase", "Pear", "Mug", "Book", "Egg", "Table", "Wall")
OWN_STYLES = (
    _SETS / "stained_glass" / "glass_rose.png",
    _SETS / "gouache" / "gouache_bouquet.jpg",
    _SETS / "ink" / "ink_waves.png",
    _SETS / "gouache" / "gouache_landscape.jpg",
    _SETS / "stained_glass" / "glass_sunrise.png",
    _SETS / "ink" / "ink_hills.png",
    _SETS / "gouache" / "gouache_harbour.jpg",
)

app = App(name="benchmarks.paper.teaser", help="A scene of objects, each in a style of its own.")


def write_stage(path: Path, images: Sequence[Path]) -> None:
    """The still life, each asset asking for one of the images, the first for the first."""
    layer = Sdf.Layer.CreateNew(str(path))
    source = os.path.relpath(_SAMPLES / "still_life.usda", path.parent)
    layer.subLayerPaths.append(f"./{Path(source).as_posix()}")
    stage = Usd.Stage.Open(layer)
    base = Usd.Stage.Open(str(_SAMPLES / "still_life.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.GetStageUpAxis(base))
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.GetStageMetersPerUnit(base))
    stage.SetDefaultPrim(stage.GetPrimAtPath(base.GetDefaultPrim().GetPath()))
    for number, name in enumerate(OBJECTS):
        image = images[number % len(images)]
        prim = stage.OverridePrim(f"/World/{name}")
        prim.AddAppliedSchema("StylizeAPI")
        asset = Sdf.AssetPath(f"./{Path(os.path.relpath(image, path.parent)).as_posix()}")
        asked = prim.CreateAttribute(
            "stylize:styleImages", Sdf.ValueTypeNames.AssetArray, False, Sdf.VariabilityUniform
        )
        asked.Set(Sdf.AssetPathArray([asset]))
    layer.Save()


@app.default
def main(
    *,
    out: Path,
    style: tuple[Path, ...] = OWN_STYLES,
    preset: PresetName = "auto",
    method: MethodName | None = None,
    iterations: int | None = None,
    weights: Path | None = None,
) -> int:
    """Write OUT/teaser.usda, stylise it, and render OUT/teaser.jpg where Storm is.

    Parameters
    ----------
    out
        Folder of the stage, its result and the picture.
    style
        Images for vase, pear, mug, book, egg, table and wall, in this order; ours when not given.
    """
    out.mkdir(parents=True, exist_ok=True)
    stage = out / "teaser.usda"
    write_stage(stage, style)
    # for whatever names no image of its own, of which there is nothing
    everyone = out / "teaser"
    everyone.mkdir(exist_ok=True)
    shutil.copy(style[0], everyone / style[0].name)
    options = Options(
        preset=preset,
        method=method,
        framing="object",
        iterations=iterations,
        weights=weights,
        output=out,
        force=True,
    )
    try:
        result = usdstylize.stylize(stage, everyone, options)
    except UsdStylizeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for failed in result.failed:
        print(f"failed: {failed.reason}", file=sys.stderr)
    if result.root_layer is None:
        return 1
    if not STORM_PYTHON.is_file():
        print(f"{result.root_layer} is written; not rendered: {STORM_PYTHON} is missing.")
        return 0
    shown = pictures.renders(result.root_layer, "/World/Camera", _HEIGHT)
    stylised = next(found[0] for name, found in shown.items() if name != "original")
    _page(shown["original"][0], stylised, style).save(out / "teaser.jpg", quality=88)
    return 0


def _page(original: Image.Image, stylised: Image.Image, images: Sequence[Path]) -> Image.Image:
    """Each object's style image in a strip, and the scene before and after."""
    gap, width = 6, original.width + stylised.width + 6
    side = (width + gap) // len(OBJECTS) - gap
    page = Image.new("RGB", (width, side + 18 + gap + original.height), "white")
    draw = ImageDraw.Draw(page)
    for number, name in enumerate(OBJECTS):
        left = number * (side + gap)
        with Image.open(images[number % len(images)]) as image:
            page.paste(ImageOps.fit(image.convert("RGB"), (side, side)), (left, 0))
        draw.text((left, side + 1), name.lower(), (40, 40, 40), ImageFont.load_default(13))
    page.paste(original, (0, side + 18 + gap))
    page.paste(stylised, (original.width + gap, side + 18 + gap))
    return page


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
