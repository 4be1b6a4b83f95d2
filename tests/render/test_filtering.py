"""A texture is filtered as its file holds it and decoded afterwards: optimiser, bake, live network alike."""

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
import torch
from author_results import hold, offsets, write_result
from conftest import define_material, define_quad
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from network_values import decode, doubled, encode
from numpy.typing import NDArray
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from usdstylize import render
from usdstylize.model.objects import ObjectData
from usdstylize.usd import read

Array = NDArray[np.float64]

SIDE, FINE = 8, 16
"""Texels of T, and of T_S as `author_results.offsets` makes it."""
CODES = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
LIGHT = np.random.default_rng(6).uniform(0, 1.5, (SIDE, SIDE, 3)).astype(np.float16)
SCALE, BIAS = (0.5, 1.5, 0.8), (0.2, -0.4, 0.0)


def new_stage(folder: Path) -> Usd.Stage:
    opened = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.SetStageUpAxis(opened, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(opened, 1.0)
    opened.SetDefaultPrim(UsdGeom.Xform.Define(opened, "/World").GetPrim())
    return opened


def preview(folder: Path, file: str, space: str, **inputs: Any) -> None:
    opened = new_stage(folder)
    define_quad(opened, "/World/Quad", define_material(opened, "/World/Paint", f"./{file}"))
    shader = UsdShade.Shader.Get(opened, "/World/Paint/Texture")
    shader.GetInput("sourceColorSpace").Set(space)
    for name, value in inputs.items():
        shader.CreateInput(name, Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*value, 0))
    opened.Save()


def materialx(folder: Path, file: str, space: str, *, halved: bool = False) -> None:
    opened = new_stage(folder)
    nodes = {"UV": uv(), "A": image(f"./{file}", color_space=space)}
    half = {"in1": ("color3", From("A")), "in2": ("color3", Gf.Vec3f(0.5))}
    nodes |= {"Half": Node("ND_multiply_color3", "color3", half)} if halved else {}
    material = add_mtlx_material(opened, "/World/Paint", From("Half" if halved else "A"), nodes)
    define_quad(opened, "/World/Quad", material)
    opened.Save()


CASES: dict[str, tuple[Any, NDArray[Any], Any]] = {
    "half EXR": (lambda f: preview(f, "T.exr", "auto"), LIGHT, encode),
    "8 bits, raw": (lambda f: preview(f, "T.png", "raw"), CODES / 255, encode),
    "8 bits, sRGB": (lambda f: preview(f, "T.png", "sRGB"), CODES / 255, lambda codes: codes),
    "16 bits, raw": (lambda f: preview(f, "T16.png", "raw"), CODES.astype(np.float64) / 255, encode),
    "sRGB, scale and bias": (
        lambda f: preview(f, "T.png", "sRGB", scale=SCALE, bias=BIAS),
        CODES / 255,
        lambda codes: encode(decode(codes) * SCALE + BIAS),
    ),
    "raw, scale and bias": (
        lambda f: preview(f, "T.png", "raw", scale=SCALE, bias=BIAS),
        CODES / 255,
        lambda codes: encode(codes * SCALE + BIAS),
    ),
    "MaterialX, linear": (lambda f: materialx(f, "T.exr", "lin_rec709"), LIGHT, encode),
    "MaterialX graph, linear": (
        lambda f: materialx(f, "T.exr", "lin_rec709", halved=True),
        LIGHT,
        lambda light: encode(light / 2),
    ),
    "MaterialX graph, sRGB": (
        lambda f: materialx(f, "T.png", "srgb_texture", halved=True),
        CODES / 255,
        lambda codes: encode(decode(codes) / 2),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_smaller_than_the_style_texture_is_enlarged_as_the_file_holds_it(
    tmp_path: Path, case: str
) -> None:
    define, values, to_encoded = CASES[case]
    write_files(tmp_path)
    define(tmp_path)
    expected = to_encoded(doubled(values))

    contents = read.discover(tmp_path / "scene.usda")
    data = read.load(contents, contents.objects[0], at_least=FINE)
    assert np.abs(optimised(data) - expected).max() < 2e-5

    result = write_result(tmp_path / "scene.usda")
    hold(result)
    sums = np.clip(expected + offsets().astype(np.float16), 0, 1)
    assert np.abs(baked(tmp_path, result) - decode(sums)).max() < 0.005


@pytest.mark.parametrize("case", ["half EXR", "8 bits, raw"])
def test_what_is_seen_from_far_is_averaged_as_the_file_holds_it(tmp_path: Path, case: str) -> None:
    """One pixel sees the whole of a linear T: its mean light, and not the mean of its encoded values."""
    define, values, to_encoded = CASES[case]
    write_files(tmp_path)
    define(tmp_path)
    contents = read.discover(tmp_path / "scene.usda")
    data = read.load(contents, contents.objects[0])
    subject = subject_of(data)
    far = subject.flat_view(0, torch.full((1, 2), 0.5), torch.eye(2)[None], torch.zeros(1).long(), 1, 0)
    expected = to_encoded(values.astype(np.float64).mean((0, 1)))
    assert np.abs(far.base.numpy() - expected).max() < 1e-5
    # Another filter, whose mean is about the same; that of encoded values is 0.04 and more below.
    assert np.abs(subject.base_at(0, (1, 1)).numpy() - expected).max() < 0.02


def write_files(folder: Path) -> None:
    Image.fromarray(CODES).save(folder / "T.png")
    for name, pixels, kind in (
        ("T.exr", LIGHT.astype(np.float32), oiio.HALF),
        ("T16.png", CODES.astype(np.uint16) * 257, oiio.UINT16),
    ):
        output = oiio.ImageOutput.create(str(folder / name))
        assert output.open(str(folder / name), oiio.ImageSpec(SIDE, SIDE, 3, kind))
        assert output.write_image(pixels)
        assert output.close()


def subject_of(data: ObjectData) -> render.Subject:
    sheet = render.one_sheet(data.mesh, data.bases[0], ("repeat", "repeat"), data.transfer)
    return render.Subject(sheet, (FINE, FINE), "cpu")


def optimised(data: ObjectData) -> Array:
    """T (FINE, FINE, 3) where the optimiser adds the texels of T_S to it, each filling a pixel."""
    middle = (torch.arange(FINE) + 0.5) / FINE
    v, u = torch.meshgrid(1 - middle, middle, indexing="ij")
    uvs = torch.stack([u, v], -1).reshape(-1, 2)
    footprint = torch.eye(2).expand(len(uvs), 2, 2) / FINE
    view = subject_of(data).flat_view(0, uvs, footprint, torch.arange(len(uvs)), FINE, 0)
    return view.base.view(FINE, FINE, 3).numpy().astype(np.float64)


def baked(folder: Path, result: Path) -> Array:
    """Linear."""
    (file,) = result.parent.glob("scene.style/ink/World__Quad/*.baked.*")
    pixels = oiio.ImageBuf(str(file)).get_pixels(oiio.FLOAT)[..., :3].astype(np.float64)
    return decode(pixels) if file.suffix == ".png" else pixels
