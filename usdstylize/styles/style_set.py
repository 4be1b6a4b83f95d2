"""A style set: the images of a folder of concept art, and the palette that the style may use."""

import hashlib
import io
import os
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageCms, ImageColor, ImageOps, UnidentifiedImageError

from usdstylize.errors import PaletteError, StyleSetError
from usdstylize.model.objects import Float32, StyleImage, StyleSet

__all__ = ["from_files", "hex_colors", "load"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
"""What Pillow tries. It knows others by their first bytes, and has Ghostscript run what is PostScript."""
SMALLEST_SIDE = 64
"""Pixels; below it a feature map of the encoders has no neighbourhood left to match."""
MOST_COLORS = 64
_TAKEN_NAMES = {"original": "the source", "mix": "a mix of several styles"}
"""Variants that are no styles, in lower case, and what each shows."""
_PALETTE_SIDE = 128
_STARTS = 10
"""Starts of k-means: with so many its inertia is within 0.3 % of the best of 32 starts, on six styles and
three seeds; with 4 starts some lose a rare colour."""
_COLOR = re.compile(r"[^\s,()]+\([^)]*\)|[^\s,]+")  # rgb(1, 2, 3) is one colour


def load(
    folder: Path,
    *,
    primary: str | None,
    palette: str | None,
    clusters: int,
    seed: int,
    weights: Mapping[str, float] | None = None,
) -> StyleSet:
    """Read a style set from ``folder``, or from a single image file.

    The images come sorted by name, the primary one first: the one that ``primary`` names (a
    file name, or a path), or the first. Alpha is composited over white, an embedded colour
    profile converted to sRGB, the EXIF orientation applied, 16 bits reduced to 8. The palette
    is ``palette`` (colours, or a text file of them) or ``clusters`` k-means colours of the
    primary image, rounded to 8 bits so that the colours a log shows are those that were used. weights: how
    much an image counts, by its file name or path; the others count 1, and those with 0 are left out. With
    weights all images give the palette.

    Raises StyleSetError (no folder, no image, an unreadable or too small one, an unknown
    primary image, weights of unknown images or none but 0, an unusable name) and PaletteError.
    """
    files = _image_files(folder)
    name = _style_name(folder)
    counts = _weights_of(files, weights, folder) if weights else {}
    if primary is not None and counts.get(_find_primary(files, primary, folder)) == 0.0:
        raise StyleSetError(
            f"{folder}: --style-weight leaves out {primary}, which --primary-image names; give another."
        )
    files = [path for path in files if counts.get(path, 1.0)]
    first = _find_primary(files, primary, folder)
    given = None if palette is None else _parse_palette(palette)
    ordered = [first, *(path for path in files if path != first)]
    own = tuple(counts[path] for path in ordered) if counts else ()
    return from_files(name, ordered, palette=given, clusters=clusters, seed=seed, weights=own)


def from_files(
    name: str,
    files: Sequence[Path],
    *,
    palette: Float32 | None,
    clusters: int,
    seed: int,
    weights: tuple[float, ...] = (),
    read: Callable[[Path], bytes] = Path.read_bytes,
) -> StyleSet:
    """The style set of these images, the primary one first.

    palette: (Q, 3) float32, sRGB-encoded; k-means of the primary image when None, or of all images by their
    weights where they have any. weights: positive, one for each file, or none.
    read: the bytes of a file, which may lie in a package.

    Raises StyleSetError, and whatever ``read`` raises except OSError.
    """
    images = tuple(_read_image(path, read) for path in files)
    if palette is not None:
        return StyleSet(name, images, palette, palette_is_given=True, weights=weights)
    style = StyleSet(name, images, np.zeros((0, 3), np.float32), weights=weights)
    return replace(style, palette=_cluster_palette(style.color_images, clusters, seed))


def hex_colors(palette: Float32) -> tuple[str, ...]:
    """``#rrggbb`` for each row of a (Q, 3) palette, sRGB-encoded 0..1."""
    levels = np.rint(np.clip(palette, 0.0, 1.0) * 255.0).astype(int)
    return tuple("#" + "".join(f"{level:02x}" for level in color) for color in levels)


def _image_files(folder: Path) -> list[Path]:
    """The images of a style set, sorted by name without regard to case."""
    known = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
    if os.path.isfile(folder):
        if folder.suffix.lower() not in IMAGE_SUFFIXES:
            raise StyleSetError(f"{folder} is no image of a known kind; give one of {known}, or a folder.")
        return [folder]
    if not os.path.isdir(folder):
        raise StyleSetError(f"{folder} does not exist; --style-set takes a folder of images, or one image.")
    try:
        entries = sorted(folder.iterdir(), key=lambda path: (path.name.lower(), path.name))
    except OSError as error:
        raise StyleSetError(f"{folder} cannot be read ({error.strerror}); check its permissions.") from error
    files = [
        path
        for path in entries
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not files:
        raise StyleSetError(f"{folder} holds no image; put concept art in it ({known}).")
    return files


def _style_name(folder: Path) -> str:
    """A USD identifier from the folder's own name (a link is not followed), or the image's stem."""
    path = Path(os.path.abspath(folder))
    text = path.stem if os.path.isfile(path) else path.name
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"\W+", "_", ascii_text).strip("_")
    if not name:
        raise StyleSetError(f"{folder} gives the style no name; rename it with Latin letters or digits.")
    if name.lower() in _TAKEN_NAMES:
        taken = _TAKEN_NAMES[name.lower()]
        raise StyleSetError(f'{folder}: a style cannot be named "{name}", {taken} has that name; rename it.')
    return f"_{name}" if name[0].isdigit() else name


def _find_primary(files: list[Path], primary: str | None, folder: Path) -> Path:
    if primary is None:
        return files[0]
    for path in files:
        if primary == path.name or Path(primary).absolute() == path.absolute():
            return path
    names = ", ".join(path.name for path in files)
    raise StyleSetError(f"{folder} holds no image named {primary}; --primary-image takes one of: {names}.")


def _weights_of(files: list[Path], weights: Mapping[str, float], folder: Path) -> dict[Path, float]:
    counts = dict.fromkeys(files, 1.0)
    names = ", ".join(path.name for path in files)
    for name, weight in weights.items():
        found = [path for path in files if name == path.name or Path(name).absolute() == path.absolute()]
        if not found:
            raise StyleSetError(
                f"{folder} holds no image named {name}; --style-weight takes some of: {names}."
            )
        counts[found[0]] = weight
    if not any(counts.values()):
        raise StyleSetError(
            f"{folder}: --style-weight leaves no image; give one of them more than 0: {names}."
        )
    return counts


def _read_image(path: Path, read: Callable[[Path], bytes]) -> StyleImage:
    try:
        data = read(path)
    except OSError as error:
        raise StyleSetError(f"{path} cannot be read ({error.strerror}); check the file.") from error
    try:
        with warnings.catch_warnings():
            # Scans of paintings exceed Pillow's size for a warning; its limit for an error stands.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as file:
                file.load()
                image = _as_srgb(ImageOps.exif_transpose(file), path)
    except StyleSetError:
        raise
    except Image.DecompressionBombError as error:
        raise StyleSetError(
            f"{path} is too large to be read safely; scale it to 8192 pixels or fewer."
        ) from error
    except UnidentifiedImageError as error:
        known = ", ".join(_FORMATS)
        raise StyleSetError(
            f"{path} cannot be decoded, it is none of {known} or corrupt; replace or remove it."
        ) from error
    except Exception as error:  # Pillow's decoders raise whatever the broken bytes lead them into
        raise StyleSetError(
            f"{path} cannot be decoded, it is corrupt or truncated; replace or remove it."
        ) from error
    if min(image.size) < SMALLEST_SIDE:
        raise StyleSetError(
            f"{path} is {image.width} x {image.height} pixels; a style image needs at least "
            f"{SMALLEST_SIDE} on each side, so give a larger one or remove it."
        )
    pixels = np.asarray(image, dtype=np.float32) / np.float32(255.0)
    return StyleImage(path=path, pixels=pixels, sha256=hashlib.sha256(data).hexdigest())


def _as_srgb(image: Image.Image, path: Path) -> Image.Image:
    """8-bit RGB in sRGB, alpha over white."""
    if image.mode in ("F", "I"):
        raise StyleSetError(f"{path} holds floating-point or 32-bit values; save it with 8 or 16 bits.")
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        # Pillow reads 16-bit colour as 8-bit, and would clip 16-bit grey instead of scaling it.
        image = Image.fromarray(np.rint(np.asarray(image) / 257.0).astype(np.uint8))
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    image = _convert_profile(image, profile, path) if profile else image.convert("RGB")
    if alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)


def _convert_profile(image: Image.Image, data: bytes, path: Path) -> Image.Image:
    """From the embedded ICC profile to sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[space]
        if space == "GRAY" and image.mode not in ("1", "L", "LA"):
            raise KeyError(space)
        converted = ImageCms.profileToProfile(
            image.convert(mode), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, KeyError) as error:
        raise StyleSetError(
            f"{path} has an embedded colour profile that does not fit it; save it again in sRGB."
        ) from error
    return cast(Image.Image, converted)  # None only when converted in place


def _parse_palette(text: str) -> Float32:
    """(Q, 3) float32, sRGB-encoded, from colours or from a text file of them."""
    file = Path(text)
    try:
        is_file = file.is_file()
    except (OSError, ValueError):  # too long, or a NUL: not a path then
        is_file = False
    where = "--palette"
    if is_file:
        where = f"palette file {file}"
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise PaletteError(f"{where} is not readable text; write one #rrggbb on each line.") from error
    tokens = _COLOR.findall(text)
    if not tokens:
        raise PaletteError(f"{where} holds no colour; write colours as #rrggbb, separated by commas.")
    if len(tokens) > MOST_COLORS:
        raise PaletteError(f"{where} holds {len(tokens)} colours; give at most {MOST_COLORS}.")
    colors = []
    for position, token in enumerate(tokens, start=1):
        try:
            color = ImageColor.getrgb(token)
        except ValueError:
            color = None
        if color is None or len(color) != 3 or max(color) > 255:
            wrong = "is not a colour" if is_file else "is neither a colour nor a file"
            raise PaletteError(
                f'{where}: colour {position} of {len(tokens)}, "{token}", {wrong}; write it as #rrggbb.'
            )
        colors.append(color)
    return np.asarray(colors, dtype=np.float32) / np.float32(255.0)


def _cluster_palette(images: Sequence[tuple[StyleImage, float]], clusters: int, seed: int) -> Float32:
    """k-means colours of images by their weights, most frequent first; all colours where there are fewer."""
    samples, shares = [], []
    for image, weight in images:
        levels = Image.fromarray(np.rint(image.pixels * 255.0).astype(np.uint8))
        small = levels.resize((_PALETTE_SIDE, _PALETTE_SIDE), Image.Resampling.BOX)
        samples.append(np.asarray(small).reshape(-1, 3))
        shares.append(np.full(len(samples[-1]), weight))
    colors, owners = np.unique(np.concatenate(samples), axis=0, return_inverse=True)
    counts = np.bincount(owners.ravel(), np.concatenate(shares))
    if len(colors) > clusters:
        from sklearn.cluster import KMeans  # takes about as long to import as torch
        from threadpoolctl import threadpool_limits

        k_means = KMeans(clusters, n_init=_STARTS, random_state=seed % 2**32)
        # One thread: several add up in any order.
        with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
            owners = k_means.fit_predict(colors.astype(np.float64), sample_weight=counts)
        colors = np.rint(k_means.cluster_centers_)
        counts = np.bincount(owners, counts, clusters)
    by_frequency = colors[np.argsort(-counts, kind="stable")]
    distinct = list(dict.fromkeys(map(tuple, by_frequency.tolist())))
    return np.asarray(distinct, dtype=np.float32) / np.float32(255.0)
