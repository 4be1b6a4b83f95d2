"""Style sets: which images are read, what their pixels mean, and the palette."""

import io
import re
import struct
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest
from PIL import Image
from pxr import Sdf
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info, threadpool_limits

from usdstylize import styles
from usdstylize.errors import PaletteError, StyleSetError
from usdstylize.model.objects import StyleSet


def load(folder: Path, **changes: Any) -> StyleSet:
    arguments: dict[str, Any] = {"primary": None, "palette": None, "clusters": 8, "seed": 0, **changes}
    return styles.load(folder, **arguments)


def save(path: Path, color: Any = (200, 100, 50), size: tuple[int, int] = (80, 64), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)
    return path


def center(style: StyleSet) -> list[int]:
    """8-bit sRGB levels in the middle of the primary image."""
    height, width, _ = style.primary.pixels.shape
    return [round(float(value) * 255) for value in style.primary.pixels[height // 2, width // 2]]


# Which images, in which order, under which name


def test_images_come_sorted_by_name_and_everything_else_is_ignored(tmp_path: Path) -> None:
    for name in ("b.png", "A.jpg", "c.WEBP", ".hidden.png", "d.tiff", "e.bmp"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("warm light")
    (tmp_path / "folder.png").mkdir()
    style = load(tmp_path)
    assert [image.path.name for image in style.images] == ["A.jpg", "b.png", "c.WEBP", "d.tiff", "e.bmp"]
    assert all(image.pixels.shape == (64, 80, 3) for image in style.images)
    assert all(image.pixels.dtype == np.float32 for image in style.images)


def test_weights_say_how_much_images_count(tmp_path: Path) -> None:
    for name, color in (("a.png", "red"), ("b.png", "lime"), ("c.png", "blue")):
        save(tmp_path / name, color)
    style = load(tmp_path, weights={"c.png": 3.0, str(tmp_path / "b.png"): 0.0})
    assert [(image.path.name, own) for image, own in zip(style.images, style.weights, strict=True)] == [
        ("a.png", 1.0),
        ("c.png", 3.0),
    ]
    assert styles.hex_colors(style.palette) == ("#0000ff", "#ff0000")
    assert [(float(pixels[0].argmax()), own) for pixels, own in style.colors] == [(0.0, 1.0), (2.0, 3.0)]
    assert load(tmp_path).weights == ()


def test_a_primary_image_that_is_left_out_is_refused(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    with pytest.raises(StyleSetError, match=r"--style-weight leaves out b\.png, which --primary-image names"):
        load(tmp_path, primary="b.png", weights={"b.png": 0.0})


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"sun.png": 2.0}, "holds no image named sun.png; --style-weight takes some of: a.png, b.png."),
        ({"a.png": 0.0, "b.png": 0.0}, "--style-weight leaves no image; give one of them more than 0"),
    ],
)
def test_weights_that_fit_no_image_are_refused(
    tmp_path: Path, weights: dict[str, float], sentence: str
) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    with pytest.raises(StyleSetError, match=re.escape(sentence)):
        load(tmp_path, weights=weights)


@pytest.mark.parametrize("spelled", ["c.png", "{folder}/c.png"])
def test_the_primary_image_moves_to_the_front_and_yields_the_palette(tmp_path: Path, spelled: str) -> None:
    for name, color in (("a.png", "red"), ("b.png", "lime"), ("c.png", "blue")):
        save(tmp_path / name, color)
    style = load(tmp_path, primary=spelled.format(folder=tmp_path))
    assert [image.path.name for image in style.images] == ["c.png", "a.png", "b.png"]
    assert styles.hex_colors(style.palette) == ("#0000ff",)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("ink", "ink"),
        ("concept art", "concept_art"),
        ("3d-look.v02", "_3d_look_v02"),
        ("Gemälde", "Gemalde"),
        ("(final)", "final"),
    ],
)
def test_the_folder_name_becomes_a_usd_identifier(tmp_path: Path, folder: str, name: str) -> None:
    save(tmp_path / folder / "a.png")
    style = load(tmp_path / folder)
    assert style.name == name
    assert Sdf.Path.IsValidIdentifier(style.name)


def test_the_name_is_the_one_typed_not_where_a_link_leads(tmp_path: Path) -> None:
    save(tmp_path / "v003" / "a.png")
    (tmp_path / "gouache").symlink_to(tmp_path / "v003")
    assert load(tmp_path / "gouache").name == "gouache"


def test_a_single_image_is_a_style_set_named_by_its_stem(tmp_path: Path) -> None:
    style = load(save(tmp_path / "the scream.jpg"))
    assert (style.name, len(style.images)) == ("the_scream", 1)


# What the pixels mean


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 64), "white")
    image.paste((255, 0, 0), (0, 0, 50, 32))  # red in the stored top left
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise: the stored top left is the top right
    image.save(tmp_path / "a.png", exif=exif)
    pixels = load(tmp_path).primary.pixels
    assert pixels.shape == (100, 64, 3)
    assert pixels[10, 60].tolist() == [1.0, 0.0, 0.0]
    assert pixels[10, 5].tolist() == [1.0, 1.0, 1.0]


def test_row_zero_is_the_top(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), "white")
    image.paste("black", (0, 0, 64, 8))
    image.save(tmp_path / "a.png")
    assert load(tmp_path).primary.pixels[0].max() == 0.0


def test_alpha_is_composited_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (0, 100, 255, 128)).save(tmp_path / "a.png")
    # 128/255 of the colour and 127/255 of white
    assert center(load(tmp_path)) == [127, 177, 255]


def test_a_transparent_palette_entry_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.save(tmp_path / "a.png", transparency=0)
    assert center(load(tmp_path)) == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_keep_their_brightness(tmp_path: Path, suffix: str, channels: int) -> None:
    levels = np.full((64, 64, channels), 200 * 257, dtype=np.uint16)
    OpenImageIO.ImageBuf(levels).write(str(tmp_path / f"a.{suffix}"))
    assert center(load(tmp_path)) == [200, 200, 200]


def test_cmyk_and_grey_are_read_as_colour(tmp_path: Path) -> None:
    Image.new("CMYK", (64, 64), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    Image.new("L", (64, 64), 70).save(tmp_path / "b.png")
    assert center(load(tmp_path)) == [255, 0, 0]
    assert center(load(tmp_path, primary="b.png")) == [70, 70, 70]


def linear_profile(space: bytes = b"RGB ") -> bytes:
    """A minimal ICC v2 display profile: sRGB's primaries, or grey, with a gamma of 1."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)  # no entries: identity
    text = b"usdstylize test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(12 + 67),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.43607, 0.22249, 0.01392),
        b"gXYZ": xyz(0.38515, 0.71687, 0.09708),
        b"bXYZ": xyz(0.14307, 0.06061, 0.71410),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"kTRC": curve,
    }
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for signature, data in tags.items():
        data += bytes(-len(data) % 4)
        table += signature + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = struct.pack(">I4xI4s4s4s12x4s", offset + len(body), 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def test_an_embedded_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    # 55/255 of linear light is level 128 in sRGB: 1.055 * 0.2157^(1/2.4) - 0.055 = 0.502
    save(tmp_path / "a.png", (55, 55, 55), icc_profile=linear_profile())
    Image.new("L", (64, 64), 55).save(tmp_path / "b.png", icc_profile=linear_profile(b"GRAY"))
    Image.new("RGBA", (64, 64), (55, 55, 55, 255)).save(tmp_path / "c.png", icc_profile=linear_profile())
    for name in ("a.png", "b.png", "c.png"):
        assert center(load(tmp_path, primary=name)) == pytest.approx([128, 128, 128], abs=1), name


def test_a_profile_that_does_not_fit_its_image_is_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", icc_profile=linear_profile(b"GRAY"))
    with pytest.raises(StyleSetError, match=r"a\.png has an embedded colour profile that does not fit"):
        load(tmp_path)


# The palette


def test_kmeans_finds_flat_colours_exactly_most_frequent_first(tmp_path: Path) -> None:
    image = Image.new("RGB", (128, 128), (250, 240, 10))
    image.paste((20, 30, 200), (0, 0, 128, 40))
    image.paste((200, 10, 60), (0, 120, 128, 128))
    image.save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        style = load(tmp_path, clusters=3)
        assert styles.hex_colors(style.palette) == ("#faf00a", "#141ec8", "#c80a3c")
        # more clusters than colours: those there are, and no ConvergenceWarning
        assert styles.hex_colors(load(tmp_path, clusters=8).palette) == ("#faf00a", "#141ec8", "#c80a3c")


def test_grain_that_is_finer_than_what_is_clustered_counts_by_its_mean(tmp_path: Path) -> None:
    """Single pixels of a large scan are no colours of the painting."""
    checks = np.indices((256, 256)).sum(0)[..., None] % 2
    Image.fromarray(np.where(checks, (200, 40, 0), (100, 80, 20)).astype(np.uint8)).save(tmp_path / "a.png")
    assert styles.hex_colors(load(tmp_path, clusters=8).palette) == ("#963c0a",)


def test_a_palette_is_as_tight_as_many_starts_find_it_on_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve blots of which some are rare: few starts of k-means miss one. Threads would change sums."""
    random = np.random.default_rng(4)
    around = random.uniform(30, 225, (12, 3))
    which = np.sort(random.choice(12, (128, 128), p=np.arange(1, 13) / 78), axis=None).reshape(128, 128)
    pixels = np.clip(random.normal(around[which], 6), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    threads: set[int] = set()
    fit_predict = KMeans.fit_predict

    def recorded(self: KMeans, *data: Any, **weights: Any) -> Any:
        threads.update(library["num_threads"] for library in threadpool_info())
        return fit_predict(self, *data, **weights)

    monkeypatch.setattr(KMeans, "fit_predict", recorded)
    with threadpool_limits(2):
        palette = load(tmp_path, clusters=8).palette * 255
    assert threads == {1}
    samples = pixels.reshape(-1, 3).astype(float)
    squared = ((samples[:, None] - palette) ** 2).sum(2).min(1)
    assert squared.sum() <= 1.005 * KMeans(8, n_init=50, random_state=1).fit(samples).inertia_


def test_kmeans_clusters_are_means_that_a_seed_repeats(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    dark, light = noise.normal(60, 8, (64, 128, 3)), noise.normal(190, 8, (64, 128, 3))
    Image.fromarray(np.clip(np.concatenate([dark, light]), 0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    palette = load(tmp_path, clusters=2, seed=5).palette
    assert np.sort(palette.mean(axis=1) * 255) == pytest.approx([60, 190], abs=1)
    assert np.array_equal(palette, load(tmp_path, clusters=2, seed=5).palette)
    # what a log shows can be given back
    assert np.array_equal(palette, load(tmp_path, palette=",".join(styles.hex_colors(palette))).palette)


@pytest.mark.parametrize(
    ("text", "colors"),
    [
        ("#112233,#AABBCC", ("#112233", "#aabbcc")),
        (" #123 , rgb(1, 2, 255) red", ("#112233", "#0102ff", "#ff0000")),
    ],
)
def test_a_palette_can_be_given(style_folder: Path, text: str, colors: tuple[str, ...]) -> None:
    style = load(style_folder, palette=text)
    assert styles.hex_colors(style.palette) == colors
    assert style.palette.dtype == np.float32


def test_a_palette_can_be_a_text_file(style_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "palette.txt"
    file.write_bytes(b"\xef\xbb\xbf#112233\r\n\r\n#aabbcc, #010203\n")
    assert styles.hex_colors(load(style_folder, palette=str(file)).palette) == (
        "#112233",
        "#aabbcc",
        "#010203",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#112233,#12345,#aabbcc", 'colour 2 of 3, "#12345", is neither a colour nor a file'),
        ("missing.txt", 'colour 1 of 1, "missing.txt", is neither'),
        ("#11223344", '"#11223344", is neither'),
        ("rgb(300,0,0)", r'"rgb\(300,0,0\)", is neither'),
        ("rgb(1,2", "is neither"),
        (" , ", "holds no colour"),
        (",".join(["#000000"] * 65), "holds 65 colours; give at most 64"),
        ("x" * 5000, "is neither"),
        ("#fff\0", "is neither"),
    ],
)
def test_a_palette_that_does_not_parse_says_where(style_folder: Path, text: str, message: str) -> None:
    with pytest.raises(PaletteError, match=message):
        load(style_folder, palette=text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#112233\nteal-ish\n", 'colour 2 of 2, "teal-ish", is not a colour'),
        (b"\n\n", "holds no colour"),
        (b"\xff\xfe\x00\xd8", "is not readable text"),
    ],
)
def test_a_bad_palette_file_is_named(
    style_folder: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "palette.txt"
    file.write_bytes(content)
    with pytest.raises(PaletteError, match=f"palette file {re.escape(str(file))}.*{message}"):
        load(style_folder, palette=str(file))


# What is refused


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_image_is_named(style_folder: Path, suffix: str, damage: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    whole = buffer.getvalue()
    broken = {"truncated": whole[: len(whole) // 2], "garbage": b"no image" * 99, "empty": b""}[damage]
    (style_folder / f"z.{suffix}").write_bytes(broken)
    with pytest.raises(StyleSetError, match=rf"z\.{suffix} cannot be decoded"):
        load(style_folder)


def test_postscript_named_png_is_never_run(style_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow knows it by its first bytes, and has Ghostscript run it."""

    def run(*arguments: Any, **options: Any) -> None:
        raise AssertionError(f"{arguments} was run")

    monkeypatch.setattr(subprocess, "Popen", run)
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 128 128\n%%EndComments\n(out) print\nshowpage\n"
    (style_folder / "z.png").write_bytes(program)
    with pytest.raises(StyleSetError, match=r"z\.png cannot be decoded, it is none of BMP, JPEG, PNG"):
        load(style_folder)


def test_an_image_below_64_pixels_is_named_with_its_size(style_folder: Path) -> None:
    save(style_folder / "icon.png", size=(63, 500))
    with pytest.raises(StyleSetError, match=r"icon\.png is 63 x 500 pixels.* at least 64"):
        load(style_folder)


def test_a_float_image_is_refused_not_guessed(style_folder: Path) -> None:
    Image.fromarray(np.full((64, 64), 0.5, np.float32)).save(style_folder / "height.tif")
    with pytest.raises(StyleSetError, match=r"height\.tif holds floating-point"):
        load(style_folder)


def test_an_unknown_primary_image_lists_those_there_are(style_folder: Path) -> None:
    with pytest.raises(
        StyleSetError, match=r"no image named c\.png; --primary-image takes one of: a\.png, b\.png"
    ):
        load(style_folder, primary="c.png")


@pytest.mark.parametrize("name", ["original", "Original", "mix", "水墨"])
def test_a_folder_that_cannot_name_a_style_is_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path / name / "a.png")
    with pytest.raises(StyleSetError, match="rename it"):
        load(tmp_path / name)


def test_missing_empty_and_wrong_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(StyleSetError, match="nowhere does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(StyleSetError, match="holds no image"):
        load(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(StyleSetError, match=r"a\.txt is no image of a known kind"):
        load(tmp_path / "a.txt")
