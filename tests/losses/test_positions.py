"""Which feature positions of a view and of a batch count, and how much, by hand."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from usdstylize.losses.batch import Batch, Positions, join_positions, positions_of, totals_of


def view(slot: int, *pixels: tuple[int, int], resolution: int = 8) -> Any:
    """The object covers these pixels, each a (row, column)."""
    mask = torch.zeros(resolution, resolution)
    for pixel in pixels:
        mask[pixel] = 1

    def picture(values: torch.Tensor) -> torch.Tensor:
        painted = torch.zeros(resolution, resolution)
        for pixel, value in zip(pixels, values, strict=True):
            painted[pixel] = value
        return painted

    return SimpleNamespace(slot=slot, resolution=resolution, mask=lambda: mask, picture=picture)


@pytest.mark.parametrize("slot", [0, 3])
def test_everywhere_is_every_position_alike(slot: int) -> None:
    found = positions_of(view(slot, (0, 0)), 4, object_only=False)
    assert found.rows.tolist() == [4 * slot + i for i in range(4)]
    assert found.weights.tolist() == [1.0] * 4


@pytest.mark.parametrize("slot", [0, 3])
def test_a_position_counts_by_the_share_that_the_object_covers(slot: int) -> None:
    # of 2 x 2 positions: 3 of 16 pixels of the second, 1 of the third
    seen = view(slot, (0, 4), (1, 7), (3, 5), (4, 0))
    found = positions_of(seen, 4, object_only=True)
    assert found.rows.tolist() == [4 * slot + 1, 4 * slot + 2]
    assert found.weights.tolist() == [3 / 16, 1 / 16]


def test_what_is_kept_of_a_position_is_the_mean_over_the_pixels_that_the_object_covers() -> None:
    seen = view(1, (0, 4), (1, 7), (4, 0), (5, 0))
    kept = torch.tensor([1.0, 0.5, 0.0, 0.25])
    found = positions_of(seen, 4, object_only=True, kept=kept)
    assert found.rows.tolist() == [4 + 1, 4 + 2]
    assert found.kept is not None
    assert found.kept.tolist() == [0.75, 0.125]
    everywhere = positions_of(seen, 4, object_only=False, kept=kept)
    assert everywhere.kept is not None
    assert everywhere.kept.tolist() == [0.0, 0.75, 0.125, 0.0]
    inside = positions_of(view(0, (0, 4), (1, 5)), 4, object_only=True, border=1, kept=kept[:2])
    assert inside.kept is not None
    assert inside.kept.tolist() == [0.5], "what is at the edge does not count"


def test_a_weight_changes_by_how_much_is_kept_and_by_no_bit_elsewhere() -> None:
    weights = torch.tensor([3 / 16, 1 / 16, 0.3])
    positions = Positions(torch.arange(3), weights, torch.tensor([1.0, 0.5, 0.0]))
    assert positions.weighted(9.0).tolist() == [27 / 16, 5 / 16, float(weights[2])]
    assert positions.weighted(0.0).tolist() == [0.0, 1 / 32, float(weights[2])]
    assert Positions(positions.rows, weights).weighted(9.0) is weights


def test_the_number_of_positions_is_rounded_up_with_such_as_weigh_nothing() -> None:
    """Of 16 x 16 positions to a multiple of 32: eight shapes a map."""
    columns = [(0, column) for column in range(16)]
    for count, rounded in ((1, 32), (32, 32), (33, 64), (256, 256)):
        pixels = [(row, column) for row in range(16) for _, column in columns][:count]
        found = positions_of(view(1, *pixels, resolution=16), 1, object_only=True)
        assert len(found.rows) == rounded
        assert found.rows.tolist() == sorted(set(found.rows.tolist()))
        assert found.weights.tolist() == [float(row - 256 < count) for row in found.rows.tolist()]
    nothing = positions_of(view(1, resolution=16), 1, object_only=True)
    assert len(nothing.rows) == len(nothing.weights) == 0


def test_a_batch_has_the_positions_of_its_views_in_their_new_slots() -> None:
    """Maps of 2 x 2: what was slot 5 comes first, what was slot 0 second."""
    views = [view(5), view(0)]
    own = [
        Positions(torch.tensor([20, 23]), torch.tensor([0.5, 0.25])),
        Positions(torch.tensor([1, 2]), torch.tensor([1.0, 0.125])),
    ]
    joined = join_positions(views, own, 4)
    assert joined.rows.tolist() == [0, 3, 5, 6]
    assert joined.weights.tolist() == [0.5, 0.25, 1.0, 0.125]
    assert joined.kept is None
    kept = [dataclasses.replace(one, kept=one.weights / 2) for one in own]
    again = join_positions(views, kept, 4)
    assert again.kept is not None
    assert again.kept.tolist() == [0.25, 0.125, 0.5, 0.0625]


def test_what_a_batch_weighs_is_its_own_or_that_of_the_whole() -> None:
    positions = {8: Positions(torch.arange(3), torch.tensor([0.5, 0.25, 1.0]))}
    alone: Any = Batch(None, positions, [])  # type: ignore[arg-type]
    assert {stride: total.item() for stride, total in totals_of(alone).items()} == {8: 1.75}
    share: Any = Batch(None, positions, [], {8: torch.tensor(9.0)})  # type: ignore[arg-type]
    assert totals_of(share)[8].item() == 9.0
