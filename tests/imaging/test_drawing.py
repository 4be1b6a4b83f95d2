"""Where a texture has fine drawing, on pictures made by hand."""

import numpy as np
import pytest
from drawings import BACKGROUND, INK, letters

from usdstylize.imaging.drawing import fine_drawing

SIZE = 128
EVERYWHERE = np.ones((SIZE, SIZE), bool)


def grey(luma: np.ndarray) -> np.ndarray:
    return np.repeat(luma.astype(np.float32)[..., None], 3, 2)


@pytest.mark.parametrize("swapped", [False, True], ids=["bright", "dark"])
def test_letters_count_with_what_is_around_them_and_nothing_else(swapped: bool) -> None:
    ink, background = (BACKGROUND, INK) if swapped else (INK, BACKGROUND)
    colors, drawn = letters(SIZE, ink, background)
    found = fine_drawing(colors, EVERYWHERE)
    assert found[drawn].min() > 0.9
    rows, columns = np.nonzero(drawn)
    far = np.ones_like(drawn)
    far[rows.min() - 6 : rows.max() + 7, columns.min() - 6 : columns.max() + 7] = False
    assert far.mean() > 0.5
    assert found[far].max() == 0


def test_letters_across_a_border_that_repeats_are_letters() -> None:
    colors, drawn = letters(SIZE)
    rows, columns = np.nonzero(drawn)
    shift = (-int(rows.mean()), -int(columns.mean()))
    moved = fine_drawing(np.roll(colors, shift, (0, 1)), EVERYWHERE, ("repeat", "repeat"))
    np.testing.assert_allclose(moved, np.roll(fine_drawing(colors, EVERYWHERE), shift, (0, 1)), atol=1e-5)


def noise() -> np.ndarray:
    return np.random.default_rng(0).random((SIZE, SIZE))


def grain() -> np.ndarray:
    """Lines of many widths and strengths, as wood has them."""
    lines = np.repeat(np.random.default_rng(0).random((SIZE // 2, 1)), 2, 0)
    return np.broadcast_to(0.3 + 0.4 * lines, (SIZE, SIZE))


def patches() -> np.ndarray:
    """Twelve sectors of a beach ball, and a disc in their middle."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    sectors = np.floor(np.arctan2(y, x) / np.pi * 6) % 2
    return np.where(np.hypot(x, y) < 24, 0.5, 0.1 + 0.8 * sectors)


def squares() -> np.ndarray:
    """Areas with corners."""
    return np.kron(np.random.default_rng(2).integers(0, 2, (4, 4)), np.ones((SIZE // 4, SIZE // 4)))


def frame() -> np.ndarray:
    """Two thin lines around everything, as on a book's cover."""
    luma = np.full((SIZE, SIZE), 0.2)
    for at in (6, 12):
        luma[at : at + 2, at : SIZE - at] = luma[SIZE - at - 2 : SIZE - at, at : SIZE - at] = 0.8
        luma[at : SIZE - at, at : at + 2] = luma[at : SIZE - at, SIZE - at - 2 : SIZE - at] = 0.8
    return luma


def ramp() -> np.ndarray:
    return np.broadcast_to(np.linspace(0, 1, SIZE), (SIZE, SIZE))


@pytest.mark.parametrize("made", [noise, grain, patches, squares, frame, ramp])
def test_what_is_no_drawing_does_not_count(made) -> None:
    assert fine_drawing(grey(made()), EVERYWHERE).max() == 0


def test_a_plain_texture_has_none() -> None:
    assert fine_drawing(np.full((SIZE, SIZE, 3), 0.4, np.float32), EVERYWHERE).max() == 0
    assert fine_drawing(letters(SIZE)[0], ~EVERYWHERE).max() == 0


def test_what_no_uv_covers_is_no_drawing_nor_are_the_borders_of_islands() -> None:
    """Islands of two colours, and gutters of a third that are as thin as strokes."""
    luma, covered = np.full((SIZE, SIZE), 1.0), np.zeros((SIZE, SIZE), bool)
    for number, start in enumerate(range(0, SIZE, 32)):
        luma[:, start + 3 : start + 29] = 0.2 + 0.3 * (number % 2)
        covered[:, start + 3 : start + 29] = True
    assert fine_drawing(grey(luma), covered).max() == 0
    assert fine_drawing(grey(luma), EVERYWHERE, ("repeat", "repeat")).max() == 0, "stripes are long"


def test_a_line_of_a_small_tile_is_as_long_as_the_tiles_are_many() -> None:
    """Short in one tile, and endless on the surface, where the tile repeats."""
    luma = np.full((48, 48), 0.2)
    luma[20:23] = 0.8
    everywhere = np.ones(luma.shape, bool)
    assert fine_drawing(grey(luma), everywhere, ("repeat", "repeat")).max() == 0
    assert fine_drawing(grey(luma), everywhere, ("clamp", "repeat")).max() == 1


def test_drawing_all_over_is_what_the_texture_is() -> None:
    """Letters on most of the surface are a pattern of letters."""
    colors, _ = letters(SIZE)
    few = np.full((SIZE * 2, SIZE * 2, 3), BACKGROUND, np.float32)
    few[:SIZE, :SIZE] = colors
    strokes = np.tile(letters(32, stroke=2)[0][8:24], (8, 4, 1))
    assert fine_drawing(few, np.ones(few.shape[:2], bool)).max() > 0.9
    assert fine_drawing(strokes, EVERYWHERE).max() == 0
