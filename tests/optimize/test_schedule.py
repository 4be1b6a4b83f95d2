"""When an optimisation ends, and what its rates follow."""

import dataclasses

import pytest
from balls import METHOD, run

from usdstylize.config.options import Options
from usdstylize.config.presets import resolve
from usdstylize.optimize.schedule import Schedule, exponential


def ends(schedule: Schedule, loss) -> tuple[int, list[float]]:
    """The last iteration, and the progress of every one."""
    progress = []
    number = 0
    while number < schedule.last:
        number += 1
        progress.append(schedule.progress(number))
        schedule.validate(number, lambda at=number: loss(at))
    return number, progress


def test_a_fixed_count_runs_evenly_to_its_end():
    last, progress = ends(Schedule(5), lambda number: 0.0)
    assert last == 5
    assert progress == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_what_gets_no_better_ends_after_it_has_cooled_down():
    last, progress = ends(Schedule(1000, plateau=True), lambda number: max(0.0, 100.0 - number))
    # flat from 100 on: the looks at 120 and 140 add nothing, and 0.75 of 140 iterations follow
    assert last == 140 + 105
    assert progress[:140] == [0.0] * 140
    assert progress[-1] == 1.0
    assert sorted(progress) == progress


def test_a_loss_that_keeps_falling_takes_all_iterations_and_still_cools_down():
    last, progress = ends(Schedule(350, plateau=True), lambda number: -float(number))
    assert last == 350
    assert progress[198] == 0.0
    assert progress[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("gains", "plateau"),
    [
        # Looks after iterations 1, 20, 40, …; a look adds little where it adds less than 1 % of all so far.
        ([100, 50, 50, 50], 60),
        ([100, 50, 50, 40, 40, 40], 100),  # one flat look alone is no plateau
        ([100, 50, 49.4, 48.7], None),  # 0.6 of 50.6, 0.7 of 51.3: more than 1 %
        ([100, 50, 49.6, 49.2], 60),  # 0.4 of 50.4, 0.4 of 50.8: less
        ([100, 50, 60, 70], 60),  # worse is no gain
        ([100, 100, 100], 40),
    ],
)
def test_a_plateau_is_two_looks_in_a_row_that_add_little(gains: list[float], plateau: int | None) -> None:
    schedule = Schedule(10_000, plateau=True)
    looks = iter([*gains, *[-1e3 * more for more in range(9)]])
    asked = []
    for number in range(1, 20 * len(gains) + 1):
        schedule.progress(number)
        if schedule.waits:
            schedule.validate(number, lambda: next(looks))
        if not schedule.waits:
            asked.append(number)
    assert (asked[0] if asked else None) == plateau


@pytest.mark.parametrize(
    ("iterations", "flat_at", "last"),
    [
        (10_000, 40, 100),  # 0.75 of 40 are 30: it cools down for 60 at least
        (10_000, 80, 140),
        (10_000, 100, 175),
        (110, 60, 110),  # no more than were given
    ],
)
def test_it_cools_down_evenly_from_the_plateau_to_its_last_iteration(
    iterations: int, flat_at: int, last: int
) -> None:
    found, progress = ends(
        Schedule(iterations, plateau=True), lambda number: max(0.0, flat_at - 40.0 - number)
    )
    assert found == last
    assert progress[:flat_at] == [0.0] * flat_at
    steps = [(number - flat_at) / (last - flat_at) for number in range(flat_at + 1, last + 1)]
    assert progress[flat_at:] == pytest.approx(steps, abs=1e-12)
    assert progress[-1] == 1.0


@pytest.mark.parametrize("plateau", [False, True])
def test_one_iteration_alone_is_the_first(plateau: bool) -> None:
    assert ends(Schedule(1, plateau=plateau), lambda number: 0.0) == (1, [0.0])


@pytest.mark.parametrize(
    ("rates", "progress", "value"),
    [
        ((8.0, 2.0), 0.0, 8.0),
        ((8.0, 2.0), 0.5, 4.0),
        ((8.0, 2.0), 1.0, 2.0),
        ((0.0625, 0.0001), 0.25, 0.0125),  # a fifth of the way each quarter: 625 = 5⁴
        ((0.0625, 0.0001), 0.75, 0.0005),
        ((1.0, 100.0), 0.5, 10.0),
        ((600.0, 600.0), 0.3, 600.0),
        ((0.0, 0.0), 0.5, 0.0),  # a term that is switched off
    ],
)
def test_rates_change_by_the_same_factor_each_time(
    rates: tuple[float, float], progress: float, value: float
) -> None:
    assert exponential(rates, progress) == pytest.approx(value, rel=1e-12)


def test_an_object_that_reaches_its_plateau_reports_how_many_iterations_it_took():
    # the palette alone is reached at once, and validation views then gain nothing
    method = dataclasses.replace(
        METHOD,
        nnfm_weight=0.0,
        content_weight=0.0,
        palette_weight=(600.0, 600.0),
        plateau=True,
        iterations=400,
    )
    result = run(method)
    assert 60 < result.iterations < 400


def test_a_count_that_is_asked_for_is_done():
    assert resolve(Options(preset="standard"), cuda=True).plateau
    method = resolve(Options(preset="standard", iterations=77), cuda=True)
    assert (method.iterations, method.plateau) == (77, False)
