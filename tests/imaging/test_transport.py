"""Colours of one picture carried onto those of another."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.stats import wasserstein_distance

from usdstylize.imaging.transport import color_lut

GREY, DARK, LIGHT = (np.full(3, level, np.float32) for level in (0.5, 0.25, 0.75))
BLACK, WHITE = np.zeros(3, np.float32), np.ones(3, np.float32)


def moved(
    colors: np.ndarray, style: np.ndarray, share: float, seed: int = 0, light: float = 0.0
) -> np.ndarray:
    """The colours after the map, which SciPy reads linearly between its points."""
    lut = color_lut(colors, [(style, 1.0)], share, np.random.default_rng(seed), kept_light=light)
    places = np.clip(colors, 0, 1).T * (len(lut) - 1)
    return colors + np.stack([map_coordinates(lut[..., c], places, order=1) for c in range(3)], axis=1)


def some(*shares: tuple[float, np.ndarray], count: int = 4000) -> np.ndarray:
    return np.concatenate([np.tile(color, (round(share * count), 1)) for share, color in shares])


def test_light_and_dark_go_to_the_styles_light_and_dark() -> None:
    """By hand: of two greys in equal shares, the darker becomes black and the lighter white."""
    found = moved(some((0.5, DARK), (0.5, LIGHT)), some((0.5, BLACK), (0.5, WHITE)), 1.0)
    # 250 of 500 samples in the mean, give or take 11
    assert np.abs(found[:2000] - BLACK).max() < 0.15
    assert np.abs(found[2000:] - WHITE).max() < 0.15


@pytest.mark.parametrize(("share", "black"), [(1.0, 0.25), (0.5, 0.5), (0.25, 1.0)])
def test_a_colour_serves_up_to_so_many_times_its_share(share: float, black: float) -> None:
    """By hand: a quarter of the style is black. All of a dark surface wants it; ``black`` of it gets it."""
    found = moved(some((1.0, DARK)), some((0.25, BLACK), (0.75, WHITE)), share)
    np.testing.assert_allclose(found.mean(0), (1 - black) * WHITE, atol=0.07)


def test_all_of_the_style_is_used_as_the_style_uses_it() -> None:
    random = np.random.default_rng(1)
    colors = random.normal(0.6, 0.08, (6000, 3)).astype(np.float32).clip(0, 1)
    style = (random.random((6000, 3)) ** [1.0, 2.0, 0.5]).astype(np.float32)
    for channel in range(3):
        before = wasserstein_distance(colors[:, channel], style[:, channel])
        after = wasserstein_distance(moved(colors, style, 1.0)[:, channel], style[:, channel])
        assert after < 0.25 * before
    near, far = (np.abs(moved(colors, style, share) - colors).mean() for share in (0.2, 1.0))
    assert near < 0.6 * far


def test_the_same_seed_gives_the_same_map() -> None:
    random = np.random.default_rng(2)
    colors, style = random.random((2, 3000, 3)).astype(np.float32)
    assert np.array_equal(moved(colors, style, 0.4), moved(colors, style, 0.4))
    assert not np.array_equal(moved(colors, style, 0.4), moved(colors, style, 0.4, seed=1))


def test_fewer_colours_than_samples_are_enough() -> None:
    found = moved(GREY[None], np.stack([BLACK, WHITE]), 0.5)
    assert found.shape == (1, 3)
    assert np.isfinite(found).all()


def test_images_count_by_their_weights() -> None:
    """By hand: a white image that counts three times as much as a black one."""
    lut = color_lut(
        some((1.0, GREY)), [(BLACK[None], 1.0), (WHITE[None], 3.0)], 1.0, np.random.default_rng(0)
    )
    np.testing.assert_allclose(GREY + lut[16, 16, 16], 0.75, atol=0.01)


def test_light_that_is_kept_stays() -> None:
    random = np.random.default_rng(3)
    colors, style = random.uniform(0.2, 0.8, (2, 3000, 3)).astype(np.float32)
    luma = np.array([0.299, 0.587, 0.114])
    found = moved(colors, style * [1.0, 0.2, 0.2], 1.0, light=1.0)
    np.testing.assert_allclose(found @ luma, colors @ luma, atol=1e-5)
    assert (found[:, 0] - found[:, 1]).mean() > (colors[:, 0] - colors[:, 1]).mean() + 0.15


def test_the_least_share_is_that_of_the_nearest_colours() -> None:
    """At a share of almost 0 there would be more samples of the style than memory holds."""
    random = np.random.default_rng(3)
    colors, style = random.random((2, 300, 3)).astype(np.float32)
    nearest = np.linalg.norm(colors[:, None] - style, axis=2).min(1).mean()
    assert np.linalg.norm(moved(colors, style, 1e-300) - colors, axis=1).mean() < nearest + 0.02
