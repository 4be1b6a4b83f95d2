"""Gutters into which T + T_S goes on: by hand, on islands whose surroundings are another colour."""

import numpy as np
import pytest
from numpy.typing import NDArray

from usdstylize.imaging.gutters import continue_sum
from usdstylize.imaging.uv_raster import covered_texels
from usdstylize.model.base_colors import Wrap

SIZE = 32
CLAMP: tuple[Wrap, Wrap] = ("clamp", "clamp")
MAGENTA = np.array([1.0, 0.0, 1.0], np.float32)
PAINT = np.array([0.4, 0.5, 0.3], np.float32)


def rectangle(left: float, right: float) -> NDArray[np.float32]:
    """(2, 3, 2): two triangles over all of v, from one u to another, in texels."""
    low, high = left / SIZE, right / SIZE
    return np.array([[(low, 0), (high, 0), (high, 1)], [(low, 0), (high, 1), (low, 1)]], np.float32)


def row(
    style: NDArray[np.float32],
    base: NDArray[np.float32],
    uvs: NDArray[np.float32],
    texel: float = 1.0,
    wrap: tuple[Wrap, Wrap] = CLAMP,
) -> NDArray[np.float32]:
    """The sum (SIZE, 3) along u, of T and T_S (SIZE, 3) that are the same in every row."""
    images = [np.ascontiguousarray(np.broadcast_to(own, (SIZE, SIZE, 3))) for own in (style, base)]
    covered = covered_texels(uvs, wrap, SIZE)
    result = continue_sum(*images, uvs, covered, wrap, texel)
    total = result + images[1]
    assert np.ptp(total, axis=0).max() < 1e-6
    return total[0]


def columns(*parts: tuple[int, NDArray[np.float32]]) -> NDArray[np.float32]:
    """(SIZE, 3): so many texels of each colour."""
    return np.concatenate([np.tile(color, (count, 1)) for count, color in parts]).astype(np.float32)


@pytest.mark.parametrize("right", [16.0, 15.6, 16.3])
def test_the_sum_goes_on_where_the_source_is_another_color(right: float) -> None:
    """A border on, before and behind the middle of a texel; that at 16.3 is touched, but not painted."""
    base = columns((16, PAINT), (16, MAGENTA))
    style = np.tile(np.float32([0.1, -0.2, 0.05]), (SIZE, 1))
    total = row(style, base, rectangle(0, right))
    np.testing.assert_allclose(total, np.broadcast_to(PAINT + style[0], (SIZE, 3)), atol=1e-6)


def test_what_is_inside_stays_and_the_nearest_goes_on() -> None:
    """Two islands of colours of their own, a gutter of magenta between them."""
    random = np.random.default_rng(0)
    base = columns((10, PAINT), (12, MAGENTA), (10, 1 - PAINT))
    style = random.uniform(-0.3, 0.3, (SIZE, 3)).astype(np.float32)
    uvs = np.concatenate([rectangle(0, 10), rectangle(22, 32)])
    total = row(style, base, uvs)
    np.testing.assert_array_equal(total[:10], (base + style)[:10])
    np.testing.assert_array_equal(total[22:], (base + style)[22:])
    # Texels 10 and 21 are touched, 9 and 22 are the outermost that no filter of T takes magenta into.
    np.testing.assert_allclose(total[10:16], np.tile((base + style)[9], (6, 1)), atol=1e-6)
    np.testing.assert_allclose(total[16:22], np.tile((base + style)[22], (6, 1)), atol=1e-6)


def test_a_touched_texel_whose_t_is_the_islands_own_keeps_what_was_optimised() -> None:
    base = columns((20, PAINT), (12, MAGENTA))
    style = np.zeros((SIZE, 3), np.float32)
    style[16] = 0.3
    total = row(style, base, rectangle(0, 16.3))
    np.testing.assert_array_equal(total[16], PAINT + np.float32(0.3))
    np.testing.assert_allclose(total[17:], np.tile(PAINT, (15, 1)), atol=1e-6)


def test_a_t_of_coarse_texels_goes_on_from_farther_inside() -> None:
    """T has a texel for four of T_S, so that its filter mixes magenta into the last two of the island."""
    at = (np.arange(SIZE) + 0.5) / 4 - 0.5
    share = np.clip(at - 3, 0, 1)[:, None].astype(np.float32)
    base = PAINT * (1 - share) + MAGENTA * share
    total = row(np.zeros((SIZE, 3), np.float32), base, rectangle(0, 16), texel=4.0)
    np.testing.assert_allclose(total[18:], np.tile(PAINT, (14, 1)), atol=1e-6)


def test_across_a_border_that_repeats_the_other_side_goes_on() -> None:
    base = columns((10, PAINT), (22, MAGENTA))
    style = np.linspace(0, 0.3, SIZE, dtype=np.float32)[:, None].repeat(3, axis=1)
    repeated = row(style, base, rectangle(0, 10), wrap=("repeat", "clamp"))
    np.testing.assert_allclose(repeated[31], (base + style)[1], atol=1e-6)
    np.testing.assert_allclose(row(style, base, rectangle(0, 10))[31], (base + style)[9], atol=1e-6)


def test_an_island_too_thin_to_have_an_inside_goes_on_with_what_it_has() -> None:
    base = columns((4, MAGENTA), (1, PAINT), (27, MAGENTA))
    total = row(np.zeros((SIZE, 3), np.float32), base, rectangle(4.3, 4.7))
    np.testing.assert_allclose(total, np.tile(PAINT, (SIZE, 1)), atol=1e-6)
