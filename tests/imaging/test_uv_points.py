"""Which points of a surface every texel shows."""

import numpy as np
import pytest

from usdstylize.imaging import uv_points
from usdstylize.imaging.uv_points import TexelPoints, texel_points
from usdstylize.model.base_colors import Wrap

REPEAT: tuple[Wrap, Wrap] = ("repeat", "repeat")
CLAMP: tuple[Wrap, Wrap] = ("clamp", "clamp")


def rectangle(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    """(2, 3, 2): the two triangles of an upright rectangle in UV space."""
    a, b, c, d = (left, bottom), (right, bottom), (right, top), (left, top)
    return np.array([[a, b, c], [a, c, d]])


def lifted(uvs: np.ndarray, height: float = 0.0) -> np.ndarray:
    """(F, 3, 3): the surface whose points are (u, v, height)."""
    return np.concatenate([uvs, np.full((*uvs.shape[:2], 1), height)], axis=2)


def by_texel(found: TexelPoints) -> dict[int, list[tuple[float, ...]]]:
    """The points of each texel, rounded, in their order."""
    points: dict[int, list[tuple[float, ...]]] = {}
    for texel, point in zip(found.texels.tolist(), found.points.tolist(), strict=True):
        points.setdefault(texel, []).append(tuple(round(value, 4) for value in point))
    return points


def center(texel: int, resolution: int) -> tuple[float, float]:
    row, column = divmod(texel, resolution)
    return (column + 0.5) / resolution, 1 - (row + 0.5) / resolution


def test_a_texel_inside_shows_its_centre_and_one_beside_where_the_plane_goes_on() -> None:
    uvs = rectangle(0.25, 0.25, 0.75, 0.75)
    found = by_texel(texel_points(uvs, lifted(uvs), REPEAT, 8, 1 / 8))
    rows, columns = zip(*(divmod(texel, 8) for texel in found), strict=True)
    # Texels 2 to 5 lie inside; a bilinear sample at the edge reads one more on each side.
    assert (min(rows), max(rows), min(columns), max(columns), len(found)) == (1, 6, 1, 6, 36)
    for texel, points in found.items():
        assert set(points) == {(*(round(x, 4) for x in center(texel, 8)), 0.0)}


def test_random_triangles_give_the_points_that_a_linear_solver_finds() -> None:
    random = np.random.default_rng(3)
    uvs, corners = random.uniform(0.1, 0.9, (5, 3, 2)), random.normal(size=(5, 3, 3))
    found = texel_points(uvs, corners, CLAMP, 16, 1.0)
    inside = 0
    for texel in range(16**2):
        expected = []
        for uv, corner in zip(uvs, corners, strict=True):
            shares = np.linalg.solve(np.vstack([uv.T, np.ones(3)]), [*center(texel, 16), 1.0])
            if shares.min() > 0:
                expected.append(shares @ corner)
        if expected:
            np.testing.assert_allclose(found.points[found.texels == texel], expected, atol=1e-5)
            inside += 1
    assert inside >= 40


def test_what_lies_on_one_place_shows_all_its_points_and_of_many_the_first_eight() -> None:
    uvs = rectangle(0.0, 0.0, 1.0, 1.0)
    stack = np.concatenate([uvs] * 11)
    corners = np.concatenate([lifted(uvs, height) for height in range(11)])
    found = by_texel(texel_points(stack[:6], corners[:6], CLAMP, 4, 0.25))
    # The diagonal belongs to two triangles of each.
    assert [[point[2] for point in found[texel]] for texel in (0, 5, 11)] == [[0, 1, 2]] * 3
    found = by_texel(texel_points(stack, corners, CLAMP, 4, 0.25))
    assert [point[2] for point in found[0]] == list(range(8))
    assert len(found) == 16


def test_more_triangles_than_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    uvs, corners = random.uniform(-1, 2, (40, 3, 2)), random.normal(size=(40, 3, 3))
    expected = texel_points(uvs, corners, REPEAT, 8, 1.0)
    monkeypatch.setattr(uv_points, "_PAIRS_AT_ONCE", 30)
    found = texel_points(uvs, corners, REPEAT, 8, 1.0)
    assert np.array_equal(found.texels, expected.texels)
    assert np.array_equal(found.points, expected.points)


def test_uvs_that_repeat_show_a_point_of_each_time() -> None:
    uvs = rectangle(0.0, 0.0, 3.0, 1.0)
    found = by_texel(texel_points(uvs, lifted(uvs), REPEAT, 4, 0.25))
    u, v = center(6, 4)
    assert set(found[6]) == {(u, v, 0.0), (u + 1, v, 0.0), (u + 2, v, 0.0)}
    clamped = by_texel(texel_points(uvs, lifted(uvs), CLAMP, 4, 0.25))
    assert set(clamped[6]) == {(u, v, 0.0)}


def test_hundreds_of_repetitions_cost_no_more_than_eight() -> None:
    uvs = rectangle(0.0, 0.0, 60.0, 60.0)
    found = texel_points(uvs, lifted(uvs), REPEAT, 256, 1 / 256)
    assert np.bincount(found.texels, minlength=256**2).min() >= 1
    assert np.bincount(found.texels).max() == 8


@pytest.mark.parametrize(("wrap", "count"), [("repeat", 5), ("clamp", 4), ("mirror", 4), ("black", 4)])
def test_beyond_the_border_lies_the_other_side_where_it_repeats(wrap: Wrap, count: int) -> None:
    uvs = rectangle(0.625, 0.0, 1.0, 1.0)
    found = by_texel(texel_points(uvs, lifted(uvs), (wrap, "clamp"), 8, 1 / 8))
    columns = {texel % 8 for texel in found}
    assert len(columns) == count
    if wrap == "repeat":
        assert found[0] == [(1.0625, 0.9375, 0.0)]


def test_an_island_smaller_than_a_texel_is_shown_by_those_around_it() -> None:
    uvs = np.array([[[0.50, 0.51], [0.53, 0.51], [0.50, 0.54]]])
    corners = np.array([[[0, 0, 0], [9, 0, 0], [0, 9, 0]]])  # it is stretched: its plane leads far away
    found = texel_points(uvs, corners, REPEAT, 8, 1.0)
    assert found.texels.tolist() == [27, 28, 35, 36]
    assert np.abs(found.points).max() < 9 + 2 * np.sqrt(2)


@pytest.mark.parametrize("uv", [[[0.2, 0.2], [0.8, 0.2], [0.5, 0.2]], [[0.3, 0.3]] * 3])
def test_a_triangle_without_area_shows_its_edge(uv: list[list[float]]) -> None:
    uvs = np.array([uv])
    found = texel_points(uvs, lifted(uvs), REPEAT, 8, 1 / 8)
    assert len(found.texels)
    np.testing.assert_allclose(found.points[:, 1], uvs[0, 0, 1], atol=1e-6)
    for texel, point in zip(found.texels.tolist(), found.points, strict=True):
        nearest = np.clip(center(texel, 8)[0], uvs[..., 0].min(), uvs[..., 0].max())
        assert point[0] == pytest.approx(nearest)


def test_no_uvs_within_the_texture_show_nothing() -> None:
    uvs = rectangle(3.0, 3.0, 4.0, 4.0)
    assert not len(texel_points(uvs, lifted(uvs), CLAMP, 8, 1 / 8).texels)
    assert not len(texel_points(uvs[:0], lifted(uvs)[:0], REPEAT, 8, 1 / 8).texels)
