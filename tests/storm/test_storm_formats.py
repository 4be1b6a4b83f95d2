"""Texture formats and colour spaces in Storm: live network and bake against T by hand.

Where Storm itself misreads a file (16 bits, TIFF, named colour spaces, NaN), the live network reads a
copy of T, so the reference is what the file means, not what the source shows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from network_values import doubled
from numpy.typing import NDArray
from PIL import Image
from pxr import Sdf, UsdShade, UsdUtils

from .storm_results import (
    SIZE,
    STYLE,
    ZOOM,
    Array,
    T,
    decode,
    encode,
    material,
    noise,
    render,
    smooth,
    stylize,
)
from .storm_scenes import Paint, make_stage

pytestmark = pytest.mark.storm

CODES = np.rint(T * 255).astype(np.uint8)
LIGHT = noise(3, 0.0, 1.6).astype(np.float16).astype(np.float64)
"""Linear, some of it brighter than white."""
FROM_AP1 = np.array(
    [[1.70505, -0.62179, -0.08326], [-0.13026, 1.14080, -0.01055], [-0.02400, -0.12897, 1.15297]]
)


def write(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    kind = {"float64": "half", "float32": "float"}.get(str(pixels.dtype), str(pixels.dtype))
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    spec.tile_width = spec.tile_height = options.pop("tile", 0)
    window = options.pop("display", (0, 0, pixels.shape[1], pixels.shape[0]))
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = window
    for name, value in options.items():
        spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec)
    assert output.write_image(np.ascontiguousarray(pixels, np.float32 if kind in ("half", "float") else None))
    assert output.close()


def by_pillow(path: Path) -> Array:
    Image.fromarray(CODES).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    return T


def grey_and_alpha(path: Path) -> Array:
    Image.fromarray(CODES[..., :2], "LA").save(path)
    return T[..., :1].repeat(3, axis=2)


def palette(path: Path) -> Array:
    Image.fromarray(CODES).quantize(200).save(path)
    return np.array(Image.open(path).convert("RGB")) / 255


def cmyk(path: Path) -> Array:
    Image.fromarray(np.rint(smooth(4, 0.1, 0.9) * 255).astype(np.uint8)).convert("CMYK").save(
        path, quality=95
    )
    return np.array(Image.open(path).convert("RGB")) / 255


def of_16_bits(path: Path) -> Array:
    codes = np.rint(noise(5, 0, 1) * 65535).astype(np.uint16)
    write(path, codes)
    return codes / 65535


def tiff(path: Path) -> Array:
    write(path, CODES, compression="lzw")
    return T


def float_tiff(path: Path) -> Array:
    write(path, LIGHT.astype(np.float32))
    return encode(LIGHT)


def light(**options: Any) -> Callable[[Path], Array]:
    def make(path: Path) -> Array:
        write(path, LIGHT, **options)
        return encode(LIGHT)

    return make


def float_light(path: Path) -> Array:
    write(path, LIGHT.astype(np.float32))
    return encode(LIGHT)


def radiance(path: Path) -> Array:
    write(path, LIGHT.astype(np.float32))
    stored = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
    assert np.abs(stored - LIGHT).max() < 0.01
    return encode(stored.astype(np.float64))


def cropped(path: Path) -> Array:
    inner = LIGHT[4:-8, 2:-6]
    write(path, inner, display=(-2, -4, SIZE, SIZE))
    return encode(np.pad(inner, ((4, 8), (2, 6), (0, 0))))


def with_nan(path: Path) -> Array:
    flat = np.full_like(LIGHT, 0.25)
    flat[5, 7] = np.nan
    write(path, flat)
    return encode(np.full_like(LIGHT, 0.25))


def in_ap1(path: Path) -> Array:
    write(path, LIGHT)
    return encode(LIGHT @ FROM_AP1.T)


CASES: dict[str, tuple[str, Callable[[Path], Array], str, str | None, bool]] = {
    # name: suffix, writer, sourceColorSpace, colorSpace of the file, whether T is copied
    "png 8": ("png", by_pillow, "sRGB", None, False),
    "png 8 auto": ("png", by_pillow, "auto", None, False),
    "png grey and alpha": ("png", grey_and_alpha, "sRGB", None, False),
    "png palette": ("png", palette, "sRGB", None, False),
    "bmp": ("bmp", by_pillow, "sRGB", None, False),
    "tga": ("tga", by_pillow, "sRGB", None, False),
    "exr half": ("exr", light(), "auto", None, False),
    "exr float": ("exr", float_light, "raw", None, False),
    "exr tiled": ("exr", light(tile=16), "raw", None, False),
    "exr mipmapped": ("exr", lambda path: _mipmapped(path), "raw", None, False),
    "hdr": ("hdr", radiance, "auto", None, False),
    "png 16": ("png", of_16_bits, "sRGB", None, True),
    "tiff lzw": ("tif", tiff, "sRGB", None, True),
    "tiff float": ("tif", float_tiff, "raw", None, True),
    "tx": ("tx", lambda path: _tx(path), "sRGB", None, True),
    "webp": ("webp", by_pillow, "sRGB", None, True),
    "jpeg cmyk": ("jpg", cmyk, "sRGB", None, True),
    "exr cropped": ("exr", cropped, "raw", None, True),
    "exr with NaN": ("exr", with_nan, "raw", None, True),
    "exr linear": ("exr", light(), "auto", "lin_rec709_scene", False),
    "exr ACEScg": ("exr", in_ap1, "auto", "acescg", True),
    "exr ACEScg marked raw": ("exr", in_ap1, "raw", "lin_ap1_scene", True),
    "packaged png": ("png", by_pillow, "sRGB", None, False),
    "packaged tiff": ("tif", tiff, "sRGB", None, True),
}


def _tx(path: Path) -> Array:
    settings = oiio.ImageSpec()
    settings.attribute("maketx:fileformatname", "tiff")
    assert oiio.ImageBufAlgo.make_texture(oiio.MakeTxTexture, oiio.ImageBuf(CODES), str(path), settings)
    return T


def _mipmapped(path: Path) -> Array:
    settings = oiio.ImageSpec()
    settings.attribute("maketx:fileformatname", "openexr")
    source = oiio.ImageBuf(LIGHT.astype(np.float32))
    source.set_write_format("half")
    assert oiio.ImageBufAlgo.make_texture(oiio.MakeTxTexture, source, str(path), settings)
    return encode(LIGHT)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Array, Array, Array, bool]]:
    """T by hand, live and baked pictures, and whether T was copied; all rendered in one go."""
    folder = tmp_path_factory.mktemp("formats")
    jobs: list[dict[str, Any]] = []
    found = []
    for number, (name, (suffix, make, source, space, _)) in enumerate(CASES.items()):
        here = folder / f"case{number}"
        here.mkdir()
        expected = make(here / f"T.{suffix}")
        root = here / "case.usda"
        stage = make_stage(root, Paint(f"./T.{suffix}", color_space=source))
        if space:
            stage.GetAttributeAtPath("/World/Looks/Paint/Base.inputs:file").SetColorSpace(space)
        stage.Save()
        if name.startswith("packaged"):
            assert UsdUtils.CreateNewUsdzPackage(str(root), str(here / "case.usdz"))
            (here / f"T.{suffix}").unlink()
            root = here / "case.usdz"
        result, _ = stylize(root)
        copied = bool(list(here.glob("case.style/ink/*/*.T.exr")))
        common = {"stage": str(result), "width": SIZE * ZOOM, "unlit": True}
        jobs += [dict(common), common | {"preview": True}]
        found.append((expected, copied))
    drawn = render(folder, jobs)
    return {
        name: (*found[n][:1], drawn[2 * n], drawn[2 * n + 1], found[n][1]) for n, name in enumerate(CASES)
    }


def centres(picture: Array) -> Array:
    """The pixel in the middle of every texel."""
    return picture[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM]


# Clipping to the picture makes two triangles; render.py says what happens along their edge.
_across, _down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
ASIDE = np.abs(_across - _down) > 1


@pytest.mark.parametrize("name", CASES)
def test_live_network_and_bake_show_the_sum(name: str, pictures: Any) -> None:
    expected, live, bake, copied = pictures[name]
    reference = decode(np.clip(expected + STYLE, 0, 1))
    assert np.abs(centres(live) - reference)[ASIDE].max() <= 0.002
    assert np.abs(centres(bake) - reference)[ASIDE].max() <= 0.008
    assert copied == CASES[name][4]


@pytest.mark.parametrize("quality", [75, 95])
def test_a_jpeg_stays_live_and_is_off_by_the_decoders_alone(tmp_path: Path, quality: int) -> None:
    """Storm's JPEG decoder rounds otherwise than libjpeg: the sum holds to 0.002 with Storm's own T."""
    picture = Image.fromarray(np.rint(smooth(4, 0.05, 0.95) * 255).astype(np.uint8))
    picture.save(tmp_path / "T.jpg", quality=quality)
    make_stage(tmp_path / "jpeg.usda", Paint("./T.jpg")).Save()
    root, _ = stylize(tmp_path / "jpeg.usda")
    assert not list(root.parent.glob("jpeg.style/ink/*/*.T.exr"))
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    live, bake, source = render(
        tmp_path,
        [dict(common), common | {"preview": True}, common | {"stage": str(tmp_path / "jpeg.usda")}],
    )
    ours = np.array(Image.open(tmp_path / "T.jpg")) / 255
    theirs = np.rint(encode(centres(source)) * 255) / 255
    assert np.abs(theirs - ours)[ASIDE].max() <= 2.01 / 255
    for picture_drawn, base, limit in ((live, theirs, 0.002), (live, ours, 0.02), (bake, ours, 0.008)):
        reference = decode(np.clip(base + STYLE, 0, 1))
        assert np.abs(centres(picture_drawn) - reference)[ASIDE].max() <= limit


def with_alpha(folder: Path, suffix: str, threshold: float) -> tuple[Array, NDArray[np.bool_]]:
    """A stage whose opacity reads the base's alpha; T, sRGB-encoded, and where it is opaque."""
    alpha = np.kron((noise(8, 0, 1, 1)[::4, ::4] > 0.5).astype(float), np.ones((4, 4, 1)))
    base = np.rint(smooth(4, 0.2, 0.8) * 255) / 255
    color = decode(base) if suffix == "exr" else base
    texels = np.concatenate([color, alpha * 0.8], axis=2)
    pixels = texels if suffix == "exr" else np.rint(texels * 255).astype(np.uint8)
    write(folder / f"T.{suffix}", pixels, **{"oiio:UnassociatedAlpha": 1})
    stage = make_stage(folder / "cut.usda", Paint(f"./T.{suffix}", color_space="auto"))
    surface = UsdShade.Shader.Get(stage, "/World/Looks/Paint/Surface")
    texture = UsdShade.Shader.Get(stage, "/World/Looks/Paint/Base")
    output = texture.CreateOutput("a", Sdf.ValueTypeNames.Float)
    surface.CreateInput("opacity", Sdf.ValueTypeNames.Float).ConnectToSource(output)
    surface.CreateInput("opacityThreshold", Sdf.ValueTypeNames.Float).Set(threshold)
    stage.Save()
    return base, alpha[..., 0] > 0


@pytest.mark.parametrize("suffix", ["png", "exr", "tif"])
def test_what_the_alpha_of_the_base_cuts_out_stays_cut_out(tmp_path: Path, suffix: str) -> None:
    """Storm sees nothing at all of a source whose opacity is a TIFF, nor of its bake: live alone is right."""
    base, opaque = with_alpha(tmp_path, suffix, 0.5)
    root, _ = stylize(tmp_path / "cut.usda")
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    live, bake = (centres(p) for p in render(tmp_path, [dict(common), common | {"preview": True}]))
    if suffix == "tif":
        bake = live
    reference = decode(np.clip(base + STYLE, 0, 1))
    assert 0.2 < opaque.mean() < 0.8
    assert np.abs(live - reference)[ASIDE & opaque].max() <= 0.002
    assert np.abs(bake - reference)[ASIDE & opaque].max() <= 0.008
    for picture in (live, bake):
        assert np.abs(picture)[ASIDE & ~opaque].max() == 0


def test_what_the_alpha_of_the_base_blends_is_lit_like_the_source(tmp_path: Path) -> None:
    with_alpha(tmp_path, "png", 0.0)
    root, _ = stylize(tmp_path / "cut.usda", style=np.zeros_like(STYLE))
    common = {"stage": str(root), "width": SIZE * ZOOM}
    source, live, bake = (
        centres(picture)[ASIDE]
        for picture in render(
            tmp_path,
            [common | {"stage": str(tmp_path / "cut.usda")}, dict(common), common | {"preview": True}],
        )
    )
    assert source.std() > 0.02
    for picture in (live, bake):
        assert np.abs(picture - source).mean() <= 0.02 * source.mean()


def test_an_encoded_texture_smaller_than_the_style_is_filtered_before_it_is_decoded(tmp_path: Path) -> None:
    """Linear ones: test_storm_linear.py."""
    scale, bias = (0.8, 0.5, 1.3, 1), (0.1, -0.1, 0, 0)
    values = T[: SIZE // 2, : SIZE // 2]
    write(tmp_path / "T.png", np.rint(values * 255).astype(np.uint8))
    make_stage(tmp_path / "s.usda", Paint("./T.png", scale=scale, bias=bias)).Save()
    root, obj = stylize(tmp_path / "s.usda")
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    live, bake, source, original = (
        centres(picture)
        for picture in render(
            tmp_path,
            [
                dict(common),
                common | {"preview": True},
                common | {"stage": str(tmp_path / "s.usda")},
                common | {"variants": {material(obj): "original"}},
            ],
        )
    )
    base = encode(np.maximum(decode(doubled(values)) * scale[:3] + np.array(bias[:3]), 0))
    reference = decode(np.clip(base + STYLE, 0, 1))
    # Software GL filters a texture of 8 bits in 8 bits.
    assert np.abs(live - reference)[ASIDE].max() <= 0.02
    assert np.abs(bake - reference)[ASIDE].max() <= 0.008
    assert np.abs(original - source).max() <= 1e-4
