"""Faults in files: images that are none, layers that end too early."""

import os
import struct
import zlib

import numpy as np
import OpenImageIO as oiio
from PIL import Image
from pxr import Sdf

from mutated.case import Case, register

__all__: list[str] = []

_IMAGES = (".png", ".jpg", ".exr", ".tif")


def _png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds one row of it at most."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(min(width, 100) * 3 + 1), 9)
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, pixels, b"IEND")
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _tiff(width: int, height: int, bits: int) -> bytes:
    """A TIFF header that claims a size and has no pixels."""
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, 16),
    ]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + bytes(4)


def _written(case: Case, name: str, suffix: str, kind: str, channels: int = 3, value: float = 0.5) -> None:
    """An image of a type of its own under the wanted name, whatever its suffix."""
    place = case.replace(name)
    temporary = place.with_name(f"fault{suffix}")
    spec = oiio.ImageSpec(6, 5, channels, kind)
    output = oiio.ImageOutput.create(str(temporary))
    pixels = np.full((5, 6, channels), value, np.float32)
    if output is None or not output.open(str(temporary), spec) or not output.write_image(pixels):
        raise RuntimeError(f"{suffix} {kind}: {oiio.geterror()}")
    output.close()
    os.replace(temporary, place)


@register
def strange_image(case: Case) -> None:
    names = [name for name in case.files if name.endswith(_IMAGES) and (case.folder / name).is_file()]
    if not names:
        return
    name = case.choose(names)
    whole = (case.folder / name).read_bytes()
    faults = {
        "empty": b"",
        "text": b"This is no picture.\n" * 9,
        "a layer": b"#usda 1.0\n",
        "0 by 0": _png(0, 0),
        "0 high": _png(4, 0),
        "30000 a side": _png(30000, 30000),
        "2^31 a side": _png(2**31 - 1, 2**31 - 1),
        "12000 a side, without pixels": _png(12000, 12000),
        "half of it": whole[: len(whole) // 2],
        "its header": whole[:60],
        "its signature": whole[:8],
        "without its end": whole[:-12],
        "zeros": bytes(500),
        "TIFF of 16000 a side": _tiff(16000, 16000, 8),
        "TIFF of 64 bit": _tiff(4, 4, 64),
        "TIFF of 1 bit": _tiff(4, 4, 1),
    }
    written = {
        "EXR under another suffix": (".exr", "half", 3, 0.5),
        "EXR with NaN": (".exr", "half", 3, float("nan")),
        "EXR with infinity": (".exr", "float", 3, float("inf")),
        "EXR of 9 channels": (".exr", "float", 9, 0.5),
        "EXR of 2 channels": (".exr", "half", 2, 0.5),
        "EXR of absurd values": (".exr", "float", 3, 1e38),
        "EXR of integers": (".exr", "uint32", 3, 0.5),
        "TIFF of 32-bit integers": (".tif", "uint32", 3, 0.5),
        "TIFF of doubles": (".tif", "double", 3, -3.0),
        "signed TIFF": (".tif", "int16", 3, 0.5),
        "grey PNG": (".png", "uint16", 1, 0.5),
        "PNG with alpha": (".png", "uint8", 4, 0.0),
        "HDR": (".hdr", "float", 3, 1e20),
        "TGA": (".tga", "uint8", 4, 0.5),
    }
    others = ("gone", "folder", "pipe", "link to itself", "palette", "CMYK", "noise")
    fault = case.choose((*faults, *written, *others))
    case.touch_path(name, Sdf.Path.absoluteRootPath, f"is {fault}")
    if fault in written:
        _written(case, name, *written[fault])
        return
    place = case.replace(name)
    match fault:
        case "folder":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
        case "link to itself":
            place.symlink_to(place.name)
        case "palette":
            Image.new("P", (8, 8), 3).save(place, "PNG")
        case "CMYK":
            Image.new("CMYK", (8, 8), (9, 99, 9, 0)).save(place, "JPEG")
        case "noise":
            place.write_bytes(case.rng.bytes(900))
        case "gone":
            pass
        case _:
            place.write_bytes(faults[fault])


@register
def damaged_layer(case: Case) -> None:
    name, faults = (
        case.choose(case.names),
        ("cut", "cut", "empty", "text", "garbled", "garbled", "zeros", "folder"),
    )
    fault, seed = case.choose(faults), int(case.rng.integers(2**31))
    case.touch_path(name, Sdf.Path.absoluteRootPath, f"is damaged: {fault}")
    case.afterwards.append(lambda: _damage(case, name, fault, np.random.default_rng(seed)))


@register
def damaged_document(case: Case) -> None:
    """A MaterialX document or a package, cut, garbled or something else."""
    names = [name for name in case.files if name.endswith((".mtlx", ".usdz"))]
    if names:
        name, faults = case.choose(names), ("cut", "empty", "text", "garbled", "garbled", "zeros", "folder")
        fault, seed = case.choose(faults), int(case.rng.integers(2**31))
        case.touch_path(name, Sdf.Path.absoluteRootPath, f"is damaged: {fault}")
        case.afterwards.append(lambda: _damage(case, name, fault, np.random.default_rng(seed)))


def _damage(case: Case, name: str, fault: str, rng: np.random.Generator) -> None:
    contents = bytearray((case.folder / name).read_bytes())
    match fault:
        case "cut":
            del contents[int(rng.integers(len(contents))) :]
        case "empty":
            contents.clear()
        case "text":
            contents[:] = b"This is no layer.\n"
        case "zeros":
            contents[:] = bytes(len(contents))
        case "garbled":
            replacement = b"{}()[]\"'@<>=., \n\t0Z#" if contents[:5] == b"#usda" else bytes(range(256))
            for where in rng.integers(len(contents), size=int(rng.integers(1, 8))):
                contents[where] = replacement[int(rng.integers(len(replacement)))]
    place = case.replace(name)
    if fault == "folder":
        place.mkdir()
    else:
        place.write_bytes(contents)
