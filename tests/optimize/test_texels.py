"""Which texels count as seen, by hand on a texture of 8 x 8: its levels have 64, 16, 4 and 1 rows."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from usdstylize.optimize.texels import Seen
from usdstylize.render import Taps

LEVEL_1, LEVEL_2, LEVEL_3, SHEET = 64, 80, 84, 85
"""First row of each level, and of the next sheet."""


def view(level: float, **weights: float) -> Any:
    """One that samples the rows r… with these weights, all in one pixel."""
    rows = torch.tensor([[int(name[1:]) for name in weights]], dtype=torch.int32)
    return SimpleNamespace(level=level, style=Taps(rows, torch.tensor([list(weights.values())])))


def seen(*views: Any, sheets: int = 1) -> list[np.ndarray]:
    texels = Seen(sheets, 8, "cpu")
    texels.add(views)
    return list(texels.texels())


def block(rows: slice, columns: slice) -> np.ndarray:
    expected = np.zeros((8, 8), bool)
    expected[rows, columns] = True
    return expected


@pytest.mark.parametrize(
    ("row", "rows", "columns"),
    [
        (0, slice(0, 1), slice(0, 1)),
        (3 * 8 + 5, slice(3, 4), slice(5, 6)),
        (LEVEL_1 + 1 * 4 + 2, slice(2, 4), slice(4, 6)),
        (LEVEL_2 + 0 * 2 + 1, slice(0, 4), slice(4, 8)),
    ],
)
def test_a_texel_of_any_level_stands_for_those_below_it(row: int, rows: slice, columns: slice) -> None:
    np.testing.assert_array_equal(seen(view(0.0, **{f"r{row}": 1.0}))[0], block(rows, columns))


@pytest.mark.parametrize(("level", "counts"), [(0.0, False), (0.99, False), (1.0, True)])
def test_a_level_counts_up_to_two_coarser_than_the_views_own(level: float, counts: bool) -> None:
    """One pixel at a grazing angle would else make the whole texture seen."""
    assert seen(view(level, **{f"r{LEVEL_3}": 1.0}))[0].all() == counts
    assert seen(view(level, **{f"r{LEVEL_3}": 1.0}))[0].any() == counts


@pytest.mark.parametrize(("weight", "counts"), [(0.0, False), (0.04, False), (0.06, True)])
def test_a_tap_of_next_to_no_weight_does_not_count(weight: float, counts: bool) -> None:
    found = seen(view(0.0, r9=1.0, r60=weight))[0]
    assert found[1, 1]
    assert found[7, 4] == counts


def test_every_view_and_every_sheet_has_texels_of_its_own() -> None:
    one, two = view(0.0, **{f"r{SHEET + 8 * 2}": 1.0}), view(0.0, **{f"r{SHEET + LEVEL_1 + 3}": 1.0})
    # On a second sheet, too, a level may be too coarse: the rows of the first do not count for it.
    coarse = view(0.0, **{f"r{SHEET + LEVEL_3}": 1.0})
    first, second = seen(one, two, coarse, view(0.0, r7=1.0), sheets=2)
    np.testing.assert_array_equal(first, block(slice(0, 1), slice(7, 8)))
    np.testing.assert_array_equal(second, block(slice(2, 3), slice(0, 1)) | block(slice(0, 2), slice(6, 8)))


def test_what_another_process_has_seen_is_joined() -> None:
    ours, theirs = Seen(1, 8, "cpu"), Seen(1, 8, "cpu")
    ours.add([view(0.0, r0=1.0)])
    theirs.add([view(0.0, r0=1.0, r63=1.0)])
    counts: list[torch.Tensor] = []
    theirs.join(counts.append)
    ours.join(lambda own: own.add_(counts[0]))
    np.testing.assert_array_equal(
        ours.texels()[0], block(slice(0, 1), slice(0, 1)) | block(slice(7, 8), slice(7, 8))
    )
