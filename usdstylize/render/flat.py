"""Views of the flat texture itself: what the paper's direct optimisation compares (supplement §2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from usdstylize.render.views import Subject, View

__all__ = ["Window", "draw_windows", "flat_view"]


@dataclass(frozen=True)
class Window:
    """A square of one sheet's texture. row, column: of its first texel. side: in texels."""

    sheet: int
    row: int
    column: int
    side: int


def draw_windows(
    covered: Sequence[NDArray[np.bool_]], resolution: int, random: np.random.Generator
) -> Iterator[Window]:
    """Endless random windows, each about a texel that the UVs cover.

    covered: per sheet (S, S) bool. A window has as many texels as a view has pixels, or all of
    the texture's where those are fewer.
    """
    texels = [np.argwhere(own) for own in covered]
    counts = np.array([len(own) for own in texels])
    while True:
        sheet = int(random.choice(len(texels), p=counts / counts.sum()))
        size = covered[sheet].shape[0]
        side = min(resolution, size)
        corner = texels[sheet][random.integers(counts[sheet])] - side // 2
        row, column = (int(value) for value in corner.clip(0, size - side))
        yield Window(sheet, row, column, side)


def flat_view(
    subject: Subject, covered: NDArray[np.bool_], window: Window, resolution: int, slot: int = 0
) -> View:
    """The window as a picture of resolution² pixels, evenly lit; texels that no UV covers are background.

    covered: (S, S) bool, of the window's sheet.
    """
    size = covered.shape[0]
    scale = window.side / resolution
    texel = (np.arange(resolution) + 0.5) * scale
    rows, columns = window.row + texel, window.column + texel
    pixels = np.flatnonzero(covered[np.ix_(rows.astype(np.int64), columns.astype(np.int64))])
    y, x = rows[pixels // resolution], columns[pixels % resolution]
    uvs = np.stack([x / size, 1 - y / size], axis=1).astype(np.float32)
    footprint = torch.eye(2, device=subject.device) * (scale / size)
    return subject.flat_view(
        window.sheet,
        torch.from_numpy(uvs).to(subject.device),
        footprint.expand(len(uvs), 2, 2),
        torch.from_numpy(pixels).to(subject.device),
        resolution,
        slot,
    )
