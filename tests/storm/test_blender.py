"""Blender shows the bake: its own USD importer, rendered by Cycles, against NumPy.

Max abs in linear 0.01 at texel centres. Blender reads UsdPreviewSurface only, so the live network is
no matter here. Where its importer cannot show a thing of the source, a test shows that on the
source itself.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from pxr import Gf, UsdGeom

from .storm_python import STORM_PYTHON
from .storm_scenes import Paint, add_material, add_mesh, bind, make_stage, write_image
from .test_storm import (
    SIZE,
    STYLE,
    TRANSFORM,
    ZOOM,
    Array,
    T,
    decode,
    encode,
    encoded_base,
    fold,
    stylize,
    texels_in_picture,
)

pytestmark = pytest.mark.storm

TOLERANCE = 0.01
WIDE = (-1.0, 2.0)
SHOWN: dict[str, tuple[Paint | None, tuple[float, float]]] = {
    "sRGB texture": (Paint("./T.png"), (0.0, 1.0)),
    "raw texture with scale and bias": (
        Paint("./T.png", color_space="raw", scale=(0.8, 0.5, 0.3, 1), bias=(0.1, 0, 0.02, 0)),
        (0.0, 1.0),
    ),
    "half texture": (Paint("./T.exr", color_space="raw"), (0.0, 1.0)),
    "grey texture": (Paint("./grey.png"), (0.0, 1.0)),
    "constant": (Paint(constant=(0.2, 0.5, 0.8)), (0.0, 1.0)),
    "transform": (Paint("./T.png", transform=TRANSFORM), (0.0, 1.0)),
    "repeat": (Paint("./T.png"), WIDE),
    "mirror": (Paint("./T.png", wrap=("mirror", "mirror")), WIDE),
    "clamp": (Paint("./T.png", wrap=("clamp", "clamp")), WIDE),
    "black": (Paint("./T.png", wrap=("black", "black")), WIDE),
    "primvar map1": (Paint("./T.png", primvar="map1"), (0.0, 1.0)),
    "node graph with interface": (Paint("./T.png", primvar="uv2", behind_graph=True), (0.0, 1.0)),
    "displayColor": (None, (0.0, 1.0)),
}
NOT_SHOWN = {
    "another wrap mode in s than in t": (Paint("./T.png", wrap=("black", "repeat")), WIDE),
}
"""What Blender's importer gets wrong in any stage: its image node has one mode for both axes."""


def render(folder: Path, jobs: list[dict[str, Any]]) -> list[Array]:
    """(H, W, 3) linear pictures of the jobs."""
    for number, job in enumerate(jobs):
        job |= {"out": str(folder / f"blender{number}.exr"), "camera": "Camera"}
    (folder / "blender.json").write_text(json.dumps(jobs))
    command = [str(STORM_PYTHON), str(Path(__file__).with_name("blender.py")), str(folder / "blender.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [oiio.ImageBuf(job["out"]).get_pixels(oiio.FLOAT)[..., :3].astype(np.float64) for job in jobs]


def references(name: str, paint: Paint | None, uv_range: tuple[float, float]) -> tuple[Any, Array, Array]:
    """Pixels to compare, and linear references of clamp(T + T_S) and of T there."""
    width = picture_width(paint, uv_range)
    centred, rows, columns = texels_in_picture(width, *uv_range, paint.transform if paint else None)
    wrap_s, wrap_t = paint.wrap if paint else ("repeat", "repeat")
    columns, inside_s = fold(columns, wrap_s)
    rows, inside_t = fold(rows, wrap_t)
    inside = (inside_s & inside_t)[..., None]
    base = encoded_base(name, paint)
    both = (decode(np.clip(image, 0, 1))[rows, columns] * inside for image in (base + STYLE, base))
    return centred, *both


def picture_width(paint: Paint | None, uv_range: tuple[float, float]) -> int:
    return SIZE * ZOOM * (3 if paint and paint.transform else round(uv_range[1] - uv_range[0]))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Array, Array]]:
    """The bake and the source of every case."""
    folder = tmp_path_factory.mktemp("blender")
    jobs = []
    for number, (paint, uv_range) in enumerate((SHOWN | NOT_SHOWN).values()):
        here = folder / f"case{number}"
        here.mkdir()
        write_image(here / "T.png", T)
        write_image(here / "T.exr", T)
        write_image(here / "grey.png", T[..., :1])
        source = make_stage(here / "case.usda", paint, uv_range=uv_range)
        if paint is None:
            colors = UsdGeom.Mesh.Get(source, "/World/Triangle").CreateDisplayColorPrimvar("vertex")
            colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1)])
        source.Save()
        root, _ = stylize(here / "case.usda", base=T if paint is None else None)
        width = picture_width(paint, uv_range)
        jobs += [{"stage": str(stage), "width": width} for stage in (root, here / "case.usda")]
    found = render(folder, jobs)
    return dict(zip(SHOWN | NOT_SHOWN, zip(found[::2], found[1::2], strict=True), strict=True))


@pytest.mark.parametrize("name", SHOWN)
def test_blender_shows_the_bake(name: str, pictures: Any) -> None:
    centred, reference, _ = references(name, *SHOWN[name])
    assert centred.sum() >= SIZE * (SIZE - 1)
    assert np.abs(pictures[name][0] - reference)[centred].max() <= TOLERANCE


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_blender_gets_the_source_itself_wrong(name: str, pictures: Any) -> None:
    """If this fails, Blender has learnt it: move the case to SHOWN and mend docs/fidelity.md."""
    centred, reference, plain = references(name, *NOT_SHOWN[name])
    assert np.abs(pictures[name][1] - plain)[centred].max() > 0.1
    assert np.abs(pictures[name][0] - reference)[centred].max() > 0.1


def test_blender_shows_each_subset(tmp_path: Path) -> None:
    write_image(tmp_path / "T.png", T)
    source = make_stage(tmp_path / "subsets.usda", Paint("./T.png"))
    source.RemovePrim("/World/Triangle")
    left_and_right = [(0, -9), (0, 9), (-9, 0), (0, 9), (0, -9), (9, 0)]
    mesh = add_mesh(source, left_and_right, "st", (0.0, 1.0))
    colors = {"left": encode(np.array((0.1, 0.4, 0.7))), "right": T}
    for index, name in enumerate(colors):
        subset = UsdGeom.Subset.CreateGeomSubset(
            mesh, name, UsdGeom.Tokens.face, [index], "materialBind", UsdGeom.Tokens.nonOverlapping
        )
        paint = Paint(constant=(0.1, 0.4, 0.7)) if name == "left" else Paint("./T.png")
        bind(subset.GetPrim(), add_material(source, f"/World/Looks/{name}", paint))
    source.Save()
    root, _ = stylize(tmp_path / "subsets.usda")
    bake = render(tmp_path, [{"stage": str(root), "width": SIZE * ZOOM}])[0][1::ZOOM, 1::ZOOM]
    across = np.arange(SIZE)[None, :, None]
    base = np.where(across < SIZE // 2, colors["left"], colors["right"])
    aside = np.abs(across[0, :, 0] - (SIZE - 1) / 2) > 1
    assert np.abs(bake - decode(np.clip(base + STYLE, 0, 1)))[:, aside].max() <= TOLERANCE
