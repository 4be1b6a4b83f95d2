"""Every texture format, made by Pillow, OpenImageIO or byte by byte, read and compared with what went in."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from conftest import define_material, define_quad, unchanged
from encoded import encoded_bases
from numpy.typing import NDArray
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdUtils

from usdstylize.errors import TextureError
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.objects import ObjectData, StageObject
from usdstylize.usd import read as reading
from usdstylize.usd.io import images

Array = NDArray[Any]
HEIGHT, WIDTH = 5, 7
CODES = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
WIDE = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16)
LIGHT = np.random.default_rng(2).uniform(0, 4, (HEIGHT, WIDTH, 4)).astype(np.float32)
HALF = LIGHT.astype(np.float16)


def write_oiio(
    path: Path,
    pixels: Array,
    *,
    names: tuple[str, ...] = (),
    display: tuple[int, int, int, int] | None = None,
    tile: int = 0,
    **attributes: Any,
) -> None:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind(pixels))
    if names:
        spec.channelnames = names
    if display:
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = display
    spec.tile_width = spec.tile_height = tile
    for name, value in attributes.items():
        spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(np.ascontiguousarray(pixels)), output.geterror()
    assert output.close()


def kind(pixels: Array) -> str:
    return {"float16": "half", "float32": "float"}.get(str(pixels.dtype), str(pixels.dtype))


def by_pillow(mode: str, channels: int, **options: Any) -> Callable[[Path], Array]:
    def write(path: Path) -> Array:
        pixels = CODES[..., 0] if channels == 1 else CODES[..., :channels]
        Image.fromarray(np.ascontiguousarray(pixels), mode).save(path, **options)
        return CODES[..., :channels]

    return write


def by_oiio(pixels: Array, **options: Any) -> Callable[[Path], Array]:
    def write(path: Path) -> Array:
        write_oiio(path, pixels, **options)
        return pixels

    return write


def converted(mode: str, **options: Any) -> Callable[[Path], Array]:
    """Pillow's own conversion to RGB of the file that it wrote."""

    def write(path: Path) -> Array:
        Image.fromarray(CODES[..., :3]).convert(mode).save(path, **options)
        return np.array(Image.open(path).convert("RGB"))

    return write


def radiance(path: Path) -> Array:
    """A flat .hdr: a byte each for red, green, blue, and an exponent that they share."""
    texels = np.random.default_rng(3).integers(128, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
    texels[..., 3] = 129 + texels[..., 3] % 3
    head = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {HEIGHT} +X {WIDTH}\n"
    path.write_bytes(head.encode() + texels.tobytes())
    return (texels[..., :3] * 2.0 ** (texels[..., 3:].astype(int) - 136)).astype(np.float32)


def mipmapped(suffix: str) -> Callable[[Path], Array]:
    """What maketx makes: tiles and mip levels, of which level 0 counts."""

    def write(path: Path) -> Array:
        small = CODES[:4, :4, :3] if suffix == "tx" else HALF[:4, :4, :3]
        big = np.kron(small, np.ones((16, 16, 1), small.dtype))
        source = oiio.ImageBuf(np.ascontiguousarray(big))
        settings = oiio.ImageSpec()
        settings.attribute("maketx:fileformatname", "tiff" if suffix == "tx" else "openexr")
        assert oiio.ImageBufAlgo.make_texture(oiio.MakeTxTexture, source, str(path), settings)
        return big

    return write


def parts(path: Path) -> Array:
    """An EXR of two parts: depth, then the picture."""
    specs = []
    for channels, name in ((("Z",), "depth"), (("R", "G", "B"), "picture")):
        spec = oiio.ImageSpec(WIDTH, HEIGHT, len(channels), "half")
        spec.channelnames = channels
        spec.attribute("oiio:subimagename", name)
        specs.append(spec)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), specs)
    assert output.write_image(HALF[..., :1].copy())
    assert output.open(str(path), specs[1], "AppendSubimage")
    assert output.write_image(HALF[..., :3].copy())
    assert output.close()
    return HALF[..., :3]


def cropped(path: Path) -> Array:
    write_oiio(path, HALF[..., :3], display=(-1, -2, WIDTH + 2, HEIGHT + 3))
    return np.pad(HALF[..., :3], ((2, 1), (1, 1), (0, 0)))


def overscanned(path: Path) -> Array:
    write_oiio(path, HALF[..., :3], display=(1, 2, WIDTH - 3, HEIGHT - 2))
    return HALF[2:, 1:-2, :3]


FORMATS: dict[str, tuple[str, Callable[[Path], Array], str]] = {
    # name: suffix, writer, why viewers need a copy of it (a part of the note), empty where none
    "png grey": ("png", by_pillow("L", 1), ""),
    "png grey and alpha": ("png", by_pillow("LA", 2), ""),
    "png rgb": ("png", by_pillow("RGB", 3), ""),
    "png rgba": ("png", by_pillow("RGBA", 4), ""),
    "png palette": ("png", converted("P"), ""),
    "png 16 rgb": ("png", by_oiio(WIDE[..., :3]), "16 bits"),
    "png 16 rgba": ("png", by_oiio(WIDE, **{"oiio:UnassociatedAlpha": 1}), "16 bits"),
    "png 16 grey": ("png", by_oiio(WIDE[..., :1]), "16 bits"),
    "jpeg grey": ("jpg", converted("L", quality=95), ""),
    "jpeg rgb": ("jpg", converted("RGB", quality=95), ""),
    "jpeg progressive": ("jpeg", converted("RGB", progressive=True), ""),
    "jpeg cmyk": ("jpg", converted("CMYK", quality=95), "CMYK"),
    "bmp": ("bmp", by_pillow("RGB", 3), ""),
    "tga": ("tga", by_pillow("RGB", 3), ""),
    "tga rgba packed": ("tga", by_pillow("RGBA", 4, compression="tga_rle"), ""),
    "webp": ("webp", by_pillow("RGB", 3, lossless=True), "webp"),
    "tiff 8 lzw": ("tif", by_oiio(CODES[..., :3], compression="lzw"), "tiff"),
    "tiff planar": ("tif", by_oiio(CODES[..., :3], compression="zip", planarconfig="separate"), "tiff"),
    "tiff 16 tiled": ("tiff", by_oiio(WIDE[..., :3], tile=16), "tiff"),
    "tiff float": ("tif", by_oiio(LIGHT[..., :3], compression="lzw"), "tiff"),
    "tiff rgba": ("tif", by_oiio(CODES, **{"oiio:UnassociatedAlpha": 1}), "tiff"),
    "tiff cmyk": ("tif", converted("CMYK"), "tiff"),
    "exr half": ("exr", by_oiio(HALF[..., :3]), ""),
    "exr half rgba": ("exr", by_oiio(HALF), ""),
    "exr float": ("exr", by_oiio(LIGHT[..., :3]), ""),
    "exr grey": ("exr", by_oiio(HALF[..., :1], names=("Y",)), ""),
    "exr tiled": ("exr", by_oiio(HALF, tile=16), ""),
    "exr of two parts": ("exr", parts, "parts"),
    "exr smaller than its display": ("exr", cropped, "windows"),
    "exr larger than its display": ("exr", overscanned, "windows"),
    "hdr": ("hdr", radiance, ""),
    "tx of tiff": ("tx", mipmapped("tx"), "tiff"),
    "tx of exr": ("exr", mipmapped("exr"), ""),
    "png called jpg": ("jpg", by_pillow("RGB", 3, format="PNG"), "suffix"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_code_values_are_those_that_were_written(tmp_path: Path, name: str) -> None:
    suffix, write, _ = FORMATS[name]
    path = tmp_path / f"T.{suffix}"
    expected = write(path).astype(np.float64)
    if write(path).dtype.kind == "u":
        expected /= np.iinfo(write(path).dtype).max
    with unchanged(path):
        codes = images.read_image(str(path))
    assert codes.dtype == np.float32
    assert codes.shape[:2] == expected.shape[:2]
    assert codes.shape[2] == (1 if name == "jpeg grey" else expected.shape[2])
    np.testing.assert_allclose(
        codes, np.broadcast_to(expected[..., : codes.shape[2]], codes.shape), atol=1e-6
    )


def write_stage(folder: Path, texture: str, color_space: str = "raw") -> Path:
    stage = Usd.Stage.CreateNew(str(folder / "scene.usda"))
    UsdGeom.Xform.Define(stage, "/World")
    define_quad(stage, "/World/Quad", define_material(stage, "/World/Paint", f"./{texture}"))
    UsdShade.Shader.Get(stage, "/World/Paint/Texture").GetInput("sourceColorSpace").Set(color_space)
    stage.Save()
    return folder / "scene.usda"


def read_one(root: Path) -> tuple[StageObject, ObjectData]:
    contents = reading.discover(root)
    assert contents.skipped == ()
    return contents.objects[0], reading.load(contents, contents.objects[0])


def why_skipped(root: Path) -> str:
    contents = reading.discover(root)
    assert contents.objects == ()
    return contents.skipped[0].reason


def encode(linear: Array) -> Array:
    linear = np.maximum(linear.astype(np.float64), 0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", FORMATS)
def test_t_is_the_color_alone_and_what_viewers_misread_is_copied(tmp_path: Path, name: str) -> None:
    suffix, write, reason = FORMATS[name]
    pixels = write(tmp_path / f"T.{suffix}")
    values = pixels / np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else pixels
    color = values[..., :3] if values.shape[2] > 2 else values[..., :1].repeat(3, axis=2)
    found, data = read_one(write_stage(tmp_path, f"T.{suffix}"))
    assert isinstance(found.base, TextureFile)
    # Alpha is nowhere in it: neither premultiplied nor divided out.
    np.testing.assert_allclose(encoded_bases(data)[0], encode(color), atol=2e-6)
    assert found.base.size == (color.shape[1], color.shape[0])
    assert found.base.needs_copy == bool(reason)
    copied = [note for note in found.notes if "reads a copy" in note]
    assert [reason in note for note in copied] == ([True] if reason else [])
    (tmp_path / "scene.usda").unlink()
    _, data = read_one(write_stage(tmp_path, f"T.{suffix}", "sRGB"))
    np.testing.assert_allclose(encoded_bases(data)[0], color, atol=1e-6)


def test_scale_and_bias_differ_by_channel_for_every_depth(tmp_path: Path) -> None:
    scale, bias = np.array([0.5, 2.0, 1.0]), np.array([0.1, 0.0, -0.2])
    for suffix, pixels in (("png", CODES[..., :3]), ("exr", HALF[..., :3]), ("tif", LIGHT[..., :3])):
        write_oiio(tmp_path / f"T.{suffix}", pixels)
        root = write_stage(tmp_path, f"T.{suffix}")
        stage = Usd.Stage.Open(str(root))
        texture = UsdShade.Shader.Get(stage, "/World/Paint/Texture")
        texture.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*scale, 1))
        texture.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*bias, 0))
        stage.Save()
        values = pixels / 255 if suffix == "png" else pixels.astype(np.float64)
        np.testing.assert_allclose(
            encoded_bases(read_one(root)[1])[0], encode(values * scale + bias), atol=3e-6
        )
        root.unlink()
        del stage, texture


def test_avif_is_read_by_pillow(tmp_path: Path) -> None:
    smooth = np.array(Image.fromarray(CODES[:3, :3, :3]).resize((32, 32), Image.Resampling.BICUBIC))
    Image.fromarray(smooth).save(tmp_path / "T.avif", quality=100, subsampling="4:4:4")
    _, data = read_one(write_stage(tmp_path, "T.avif", "sRGB"))
    assert np.abs(encoded_bases(data)[0] * 255 - smooth).max() <= 3
    (tmp_path / "T.avif").write_bytes((tmp_path / "T.avif").read_bytes()[:200])
    (tmp_path / "scene.usda").unlink()
    assert "T.avif" in why_skipped(write_stage(tmp_path, "T.avif"))


@pytest.mark.parametrize(
    ("names", "expected", "remark"),
    [
        (("B", "G", "R", "A"), (2, 1, 0), ""),
        (("R", "G", "B", "Z"), (0, 1, 2), ""),
        (("diffuse.B", "diffuse.G", "diffuse.R", "depth.Z"), (2, 1, 0), "layer diffuse"),
        (("N.R", "N.G", "N.B", "albedo.R", "albedo.G", "albedo.B"), (3, 4, 5), "layer albedo"),
    ],
)
def test_exr_channels_are_found_by_name(
    tmp_path: Path, names: tuple[str, ...], expected: tuple[int, ...], remark: str
) -> None:
    pixels = np.random.default_rng(5).random((HEIGHT, WIDTH, len(names))).astype(np.float16)
    write_oiio(tmp_path / "T.exr", pixels, names=names)
    found, data = read_one(write_stage(tmp_path, "T.exr"))
    np.testing.assert_allclose(encoded_bases(data)[0], encode(pixels[..., list(expected)]), atol=2e-6)
    assert any(remark in note for note in found.notes) or not remark


@pytest.mark.parametrize("names", [("N.x", "N.y", "N.z"), ("Z", "ZBack")])
def test_an_exr_without_color_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_oiio(tmp_path / "T.exr", HALF[..., : len(names)], names=names)
    reason = why_skipped(write_stage(tmp_path, "T.exr"))
    assert "holds no colour" in reason
    assert names[0] in reason


@pytest.mark.parametrize("pixels", [HALF, LIGHT], ids=["half", "float"])
def test_texels_without_a_number_take_their_neighbours(tmp_path: Path, pixels: Array) -> None:
    broken = np.full_like(pixels[..., :3], 0.25)
    broken[1, 2] = np.nan
    broken[3, 4, 1] = np.inf
    write_oiio(tmp_path / "T.exr", broken)
    _, data = read_one(write_stage(tmp_path, "T.exr"))
    np.testing.assert_allclose(encoded_bases(data)[0], encode(np.full((HEIGHT, WIDTH, 3), 0.25)), atol=1e-6)
    assert [remark for remark in data.repaired if "2 texels" in remark and "T.exr" in remark]
    broken[:3] = np.nan
    write_oiio(tmp_path / "T.exr", broken)
    contents = reading.discover(tmp_path / "scene.usda")
    with pytest.raises(TextureError, match="NaN or infinite"):
        reading.load(contents, contents.objects[0])


@pytest.mark.parametrize("suffix", ["png", "jpg", "exr", "tif"])
def test_a_texture_in_a_package_is_the_same(tmp_path: Path, suffix: str) -> None:
    if suffix in ("exr", "tif"):
        write_oiio(tmp_path / f"T.{suffix}", HALF[..., :3] if suffix == "exr" else CODES[..., :3])
    else:
        Image.fromarray(CODES[..., :3]).save(tmp_path / f"T.{suffix}")
    root = write_stage(tmp_path, f"T.{suffix}")
    _, plain = read_one(root)
    package = tmp_path / "scene.usdz"
    assert UsdUtils.CreateNewUsdzPackage(str(root), str(package))
    (tmp_path / f"T.{suffix}").unlink()
    found, packed = read_one(package)
    assert isinstance(found.base, TextureFile)
    assert found.base.resolved_path.startswith(f"{package}[")
    np.testing.assert_array_equal(encoded_bases(packed)[0], encoded_bases(plain)[0])


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tga_header(width: int, height: int) -> bytes:
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, width, height, 24, 0) + bytes(64)


def bmp_header(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + info + bytes(64)


def hdr_header(width: int, height: int) -> bytes:
    return f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n".encode() + bytes(64)


@pytest.mark.parametrize("size", [(0, 0), (0, 16), (30_000, 30_000), (16_385, 4)])
@pytest.mark.parametrize(
    ("suffix", "header"),
    [("png", png_header), ("tga", tga_header), ("bmp", bmp_header), ("hdr", hdr_header)],
)
def test_sizes_that_are_none_are_refused_before_a_texel_is_read(
    tmp_path: Path,
    suffix: str,
    header: Callable[[int, int], bytes],
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(oiio.ImageInput, "read_image")
    (tmp_path / f"T.{suffix}").write_bytes(header(*size))
    reason = why_skipped(write_stage(tmp_path, f"T.{suffix}"))
    assert f"T.{suffix}" in reason
    assert reason.endswith(".")
    assert "\n" not in reason


def test_a_display_window_that_is_too_large_is_refused_before_it_is_filled(tmp_path: Path) -> None:
    write_oiio(tmp_path / "T.exr", HALF[..., :3], display=(0, 0, 30_000, 30_000))
    tracemalloc.start()
    try:
        reason = why_skipped(write_stage(tmp_path, "T.exr"))
        with pytest.raises(TextureError, match="30000 by 30000"):
            images.read_image(str(tmp_path / "T.exr"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50e6, "the whole window takes 5.4 GB"
    assert "30000 by 30000" in reason


def test_a_file_whose_name_makes_an_image_of_it_is_refused(tmp_path: Path) -> None:
    """OpenImageIO's format `null` takes any file of that ending for a picture."""
    (tmp_path / "T.null").write_bytes(b"no picture")
    assert oiio.ImageInput.open(str(tmp_path / "T.null")) is not None
    assert "is a null image, which is not read" in why_skipped(write_stage(tmp_path, "T.null"))


def test_a_data_window_that_shows_nothing_is_refused(tmp_path: Path) -> None:
    write_oiio(tmp_path / "T.exr", HALF[..., :3], display=(100, 0, 16, 16))
    assert "outside its display window" in why_skipped(write_stage(tmp_path, "T.exr"))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tga", "hdr", "exr", "tif", "webp", "tx"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"T.{suffix}"
    pixels = np.random.default_rng(6).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    if suffix in ("jpg", "png", "bmp", "webp"):
        Image.fromarray(pixels).save(path)
    elif suffix == "tx":
        assert oiio.ImageBufAlgo.make_texture(
            oiio.MakeTxTexture, oiio.ImageBuf(pixels), str(path), oiio.ImageSpec()
        )
    else:
        write_oiio(path, pixels if suffix in ("tga", "tif") else (pixels / 255).astype(np.float32))
    whole = path.read_bytes()
    for share in (0.02, 0.3) if suffix == "tx" else (0.02, 0.3, 0.9):  # smaller mip levels come last
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(TextureError, match=f"T.{suffix}"):
            images.read_image(str(path))
