"""Which views come when. A view is a number here: how many were drawn before it."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
from balls import METHOD

from usdstylize.optimize.batches import Batches, Share

ALL = Share()


def batches(
    number: int, *, batch: int, pool: int, iterations: int = 1000, seed: int = 0, share: Share = ALL
) -> list[list[int]]:
    method = dataclasses.replace(METHOD, batch=batch, view_pool=pool, iterations=iterations)
    as_they_are: Any = lambda looks: list(looks)  # noqa: E731
    return list(islice(Batches(method, np.random.default_rng(seed), count(), as_they_are, share), number))


def columns(rows: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    return list(zip(*rows, strict=True))


def test_every_view_of_a_pool_comes_once_a_round_in_its_own_slot() -> None:
    rows = batches(5 * 8, batch=3, pool=24)
    for start in range(0, 40, 8):
        for slot, views in enumerate(columns(rows[start : start + 8])):
            assert sorted(views) == list(range(slot, 24, 3))


def test_every_round_and_every_slot_has_an_order_of_its_own() -> None:
    rows = batches(5 * 8, batch=3, pool=24)
    orders = {
        tuple(view // 3 for view in views)
        for start in range(0, 40, 8)
        for views in columns(rows[start : start + 8])
    }
    assert len(orders) == 15


def test_orders_follow_the_seed() -> None:
    first, again, other = (batches(16, batch=2, pool=16, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first[:8] != other[:8]


def test_without_a_pool_no_view_comes_again() -> None:
    assert batches(4, batch=3, pool=0) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


@pytest.mark.parametrize(
    ("pool", "iterations", "size"),
    [(24, 1000, 24), (24, 4, 8), (5, 1000, 6), (1, 1000, 2), (24, 12, 24)],
)
def test_a_pool_holds_whole_batches_and_no_more_than_are_asked_for(
    pool: int, iterations: int, size: int
) -> None:
    rows = batches(iterations, batch=2, pool=pool, iterations=iterations)
    times = Counter(view for row in rows for view in row)
    assert set(times) == set(range(size))
    assert max(times.values()) - min(times.values()) <= 1


@pytest.mark.parametrize("pool", [0, 24])
@pytest.mark.parametrize("processes", [2, 3, 6])
def test_shares_of_several_processes_are_the_batches_of_one(pool: int, processes: int) -> None:
    whole = batches(10, batch=6, pool=pool)
    parts = [batches(10, batch=6, pool=pool, share=Share(index, processes)) for index in range(processes)]
    assert {len(row) for part in parts for row in part} == {6 // processes}
    for row, shares in zip(whole, zip(*parts, strict=True), strict=True):
        assert sorted(row) == sorted(view for own in shares for view in own)
        # process k has slots k, k + processes, …
        assert [row[index::processes] for index in range(processes)] == list(shares)
