"""A picture with letters, for tests of what happens to fine drawing."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["BACKGROUND", "INK", "letters"]

INK, BACKGROUND = 0.65, 0.25
_ROWS = ("#####.#..#.####", "..#...#..#.#...", "..#...####.###.", "..#...#..#.#...", "..#...#..#.####")


def letters(
    size: int, ink: float = INK, background: float = BACKGROUND, *, stroke: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(size, size, 3) float32, THE in the middle of a plain page; and (size, size) bool, its strokes.

    stroke: texels of its lines; else a 48th of the size.
    """
    wide = stroke or max(2, size // 48)
    glyphs = np.array([[letter == "#" for letter in row] for row in _ROWS])
    drawn = np.kron(glyphs, np.ones((wide, wide), bool)).astype(bool)
    strokes = np.zeros((size, size), bool)
    top, left = (size - drawn.shape[0]) // 2, (size - drawn.shape[1]) // 2
    strokes[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    luma = np.where(strokes, ink, background).astype(np.float32)
    return np.repeat(luma[..., None], 3, 2), strokes
