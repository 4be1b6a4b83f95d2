"""When an optimisation ends, and what its rates follow."""

import dataclasses

import pytest
from test_optimize import METHOD, run

from usdstylize.optimize.schedule import Schedule, exponential
from usdstylize.options import Options, resolve


def ends(schedule: Schedule, loss) -> tuple[int, list[float]]:
    """The last iteration, and the progress of every one."""
    progress = []
    number = 0
    while number < schedule.last:
        number += 1
        progress.append(schedule.progress(number))
        schedule.look(number, lambda at=number: loss(at))
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


def test_what_goes_on_getting_better_takes_what_is_given_and_still_cools_down():
    last, progress = ends(Schedule(350, plateau=True), lambda number: -float(number))
    assert last == 350
    assert progress[198] == 0.0
    assert progress[-1] == pytest.approx(1.0)


def test_rates_fall_by_the_same_factor_each_time():
    assert [exponential((8.0, 2.0), p) for p in (0.0, 0.5, 1.0)] == pytest.approx([8.0, 4.0, 2.0])


def test_an_object_that_reaches_its_plateau_tells_how_many_iterations_it_took():
    # the palette alone is reached at once, and held-out views then gain nothing
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
