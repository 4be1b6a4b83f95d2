"""Affine maps of UVs: what is authored for a matrix maps every point as the matrix does."""

import numpy as np
import pytest

from usdstylize.model.affine_uvs import (
    Placement,
    UVTransform,
    as_transform,
    same_uvs,
    single_transform,
    transform_uvs,
)

POINTS = np.random.default_rng(1).uniform(-2, 2, (20, 2))


@pytest.mark.parametrize(
    ("matrix", "steps"),
    [
        ([[2, 0], [0, 3]], 1),
        ([[-2, 0], [0, 3]], 1),
        ([[0, -1], [1, 0]], 1),
        ([[0, 2], [3, 0]], 1),  # mirrored
        ([[0.6, -1.6], [0.8, 1.2]], 1),
        ([[1, 0.5], [0, 1]], 2),  # sheared
        ([[0.3, 1.7], [-2.1, 0.4]], 2),
        ([[0.3, 1.7], [2.1, 0.4]], 2),  # sheared and mirrored
    ],
)
def test_a_matrix_becomes_as_many_transforms_as_it_takes(matrix: list[list[float]], steps: int) -> None:
    values, offset = np.array(matrix, float), np.array([0.25, -0.5])
    transform = as_transform(Placement("st", values, offset))
    assert transform is not None
    assert len(transform.chain()) == steps
    np.testing.assert_allclose(transform_uvs(POINTS, transform), POINTS @ values.T + offset, atol=1e-12)


def test_a_map_that_does_nothing_is_none() -> None:
    assert as_transform(Placement("st", np.eye(2), np.zeros(2))) is None
    assert as_transform(Placement("st", np.eye(2), np.array([0.5, 0]))) == UVTransform(translation=(0.5, 0.0))


def test_chains_are_the_same_where_they_map_alike() -> None:
    # A quarter turn, then widths doubled: (u, v) -> (-v, u) -> (-2 v, u).
    chain = UVTransform(rotation=90.0, then=UVTransform(scale=(2.0, 1.0)))
    single = UVTransform(scale=(1.0, 2.0), rotation=90.0)
    assert same_uvs(chain, single)
    assert same_uvs(single_transform(chain), single)
    assert not same_uvs(chain, UVTransform(scale=(2.0, 1.0), rotation=90.0))
    assert not same_uvs(None, UVTransform(translation=(0.0, 0.01)))
    np.testing.assert_allclose(transform_uvs(np.array([(1.0, 3.0)]), chain), [(-6.0, 1.0)], atol=1e-12)
