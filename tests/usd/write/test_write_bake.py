"""The arithmetic of the bake, against values worked out by hand and in float64."""

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from usdstylize.errors import OutputError
from usdstylize.imaging.sampling import resample
from usdstylize.usd.write.bake import combine, write_baked, write_half


def row(*values: float) -> NDArray[np.float32]:
    return np.repeat(np.array(values, np.float32)[None, :, None], 3, axis=2)


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        # Texel centres of 4 over 2: -0.25, 0.25, 0.75, 1.25 in texels of the smaller image.
        ("repeat", [0.25, 0.25, 0.75, 0.75]),
        ("mirror", [0.0, 0.25, 0.75, 1.0]),
        ("clamp", [0.0, 0.25, 0.75, 1.0]),
        ("black", [0.0, 0.25, 0.75, 0.75]),
    ],
)
def test_resample_continues_beyond_the_edge_as_the_texture_wraps(wrap: str, expected: list[float]) -> None:
    image = row(0.0, 1.0)
    across = resample(image, (4, 1), (wrap, "clamp"))  # type: ignore[arg-type]
    assert across[0, :, 1].tolist() == expected
    down = resample(np.swapaxes(image, 0, 1), (1, 4), ("clamp", wrap))  # type: ignore[arg-type]
    assert down[:, 0, 2].tolist() == expected


def test_combine_clamps_the_sum_at_the_larger_resolution_of_each_axis() -> None:
    base = row(0.25, 0.75)
    style = np.array([0.5, -0.5, 0.1, 0.0], np.float32).reshape(4, 1, 1).repeat(3, axis=2)
    total = combine(base, [(style, 2.0)], ("clamp", "clamp"))
    assert total.shape == (4, 2, 3)
    assert np.allclose(total[..., 0], np.array([[1, 1], [0, 0], [0.45, 0.95], [0.25, 0.75]]))


def test_files_keep_their_values_and_say_what_they_are(tmp_path: Path) -> None:
    signed = np.random.default_rng(0).uniform(-2, 2, (6, 5, 3)).astype(np.float32)
    write_half(tmp_path / "TS.exr", signed, color=False)
    stored = oiio.ImageBuf(str(tmp_path / "TS.exr"))
    pixels = stored.get_pixels(oiio.FLOAT)
    assert pixels is not None
    assert np.array_equal(pixels, signed.astype(np.float16).astype(np.float32))
    spec = stored.spec()
    assert (str(spec.format), spec.nchannels, spec.tile_width) == ("half", 3, 0)
    assert spec.getattribute("compression") == "zip"
    assert spec.getattribute("colorInteropID") == "data"
    codes = (np.arange(256).reshape(16, 16, 1).repeat(3, axis=2) / 255).astype(np.float32)
    write_baked(tmp_path / "baked.png", codes)
    read = oiio.ImageInput.open(str(tmp_path / "baked.png"))
    assert read is not None
    bytes_read = read.read_image("uint8")
    read.close()
    assert bytes_read is not None
    assert np.array_equal(bytes_read[..., 0].ravel(), np.arange(256))


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/TS.exr cannot be written"):
        write_half(tmp_path / "missing" / "TS.exr", np.zeros((2, 2, 3), np.float32), color=False)


@pytest.mark.parametrize(("color", "space"), [(True, "lin_rec709_scene"), (False, "data")])
def test_a_half_image_says_what_it_holds_and_not_when_it_was_made(
    tmp_path: Path, color: bool, space: str
) -> None:
    write_half(tmp_path / "image.exr", np.zeros((2, 3, 3), np.float32), color=color)
    spec = oiio.ImageBuf(str(tmp_path / "image.exr")).spec()
    assert spec.getattribute("colorInteropID") == space
    assert spec.getattribute("DateTime") == "1970:01:01 00:00:00"


def test_a_baked_image_is_marked_as_srgb(tmp_path: Path) -> None:
    write_baked(tmp_path / "baked.png", np.zeros((2, 3, 3), np.float32))
    # The chunk of the PNG specification, of one byte.
    assert b"\0\0\0\x01sRGB" in (tmp_path / "baked.png").read_bytes()
