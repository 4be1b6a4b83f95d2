"""Random cameras, lights and windows against the distributions that the method names."""

import dataclasses
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest, uniform

from usdstylize import render
from usdstylize.config.presets import PRESETS

METHOD = dataclasses.replace(
    PRESETS["standard"], camera_distance=(1.5, 4.0), light_distance=(3.0, 5.0), field_of_view=50.0
)
COUNT = 2000


@pytest.fixture(scope="module")
def cameras() -> list[render.Camera]:
    return list(islice(render.draw_cameras(METHOD, np.random.default_rng(5)), COUNT))


def vectors(cameras: list[render.Camera], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions (N, 3) and distances (N,) of the eyes or the lights."""
    points = np.stack([getattr(camera, name) for camera in cameras]).astype(np.float64)
    distances = np.linalg.norm(points, axis=1)
    return points / distances[:, None], distances


def is_uniform(values: NDArray[np.float64], low: float, high: float) -> bool:
    """By Kolmogorov and Smirnov; within the range to the last bit that float32 has."""
    inside = low - 1e-5 <= values.min() and values.max() <= high + 1e-5
    return bool(inside and kstest(values, uniform(low, high - low).cdf).pvalue > 0.001)


def test_eyes_are_uniform_over_the_sphere_and_fill_their_distances(cameras: list[render.Camera]) -> None:
    """Archimedes: each coordinate of a uniform direction is uniform."""
    directions, distances = vectors(cameras, "eye")
    assert [is_uniform(directions[:, axis], -1, 1) for axis in range(3)] == [True] * 3
    assert is_uniform(distances, 1.5, 4)


def test_lights_are_uniform_over_the_upper_hemisphere_and_fill_their_distances(
    cameras: list[render.Camera],
) -> None:
    directions, distances = vectors(cameras, "light")
    assert is_uniform(directions[:, 1], 0, 1), "+Y is up"
    assert is_uniform(np.arctan2(directions[:, 2], directions[:, 0]), -np.pi, np.pi)
    assert is_uniform(distances, 3, 5)


def test_eyes_lights_and_the_views_before_know_nothing_of_each_other(cameras: list[render.Camera]) -> None:
    columns = []
    for name in ("eye", "light"):
        directions, distances = vectors(cameras, name)
        columns += [*directions.T, distances]
    rows = np.stack(columns)
    both = np.concatenate([rows[:, 1:], rows[:, :-1]])
    assert np.abs(np.corrcoef(both) - np.eye(16)).max() < 0.1


def test_a_camera_looks_at_the_origin_with_the_methods_field_of_view(cameras: list[render.Camera]) -> None:
    for camera in cameras[:20]:
        assert camera.tangent == pytest.approx(0.46630766, abs=1e-7)  # of 25 degrees
        assert camera.axes @ camera.eye == pytest.approx([0, 0, np.linalg.norm(camera.eye)], abs=1e-5)


def test_the_seed_of_the_numbers_is_that_of_the_views() -> None:
    def eyes(seed: int) -> NDArray[np.float64]:
        drawn = islice(render.draw_cameras(METHOD, np.random.default_rng(seed)), 3)
        return vectors(list(drawn), "eye")[0]

    assert (eyes(1) == eyes(1)).all()
    assert not (eyes(1) == eyes(2)).any()


def test_windows_lie_about_covered_texels_of_every_sheet_as_often_as_there_are_some() -> None:
    few, many = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    few[3, 30], many[20, 5:8] = True, True
    random = np.random.default_rng(2)
    windows = list(islice(render.draw_windows([few, many], 8, random), 400))
    assert {(w.row, w.column, w.side) for w in windows if w.sheet == 0} == {(0, 26, 8)}
    assert {(w.row, w.column, w.side) for w in windows if w.sheet == 1} == {
        (16, 1, 8),
        (16, 2, 8),
        (16, 3, 8),
    }
    assert sum(w.sheet for w in windows) == pytest.approx(300, abs=30)
    whole = next(iter(render.draw_windows([few], 64, random)))
    assert whole == render.Window(0, 0, 0, 40), "no more than there is"
