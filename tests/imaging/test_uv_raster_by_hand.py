"""UV space rasterised, against plane geometry in float64 and numbers worked out by hand."""

import numpy as np
import pytest

from usdstylize.imaging import uv_raster
from usdstylize.model.base_colors import Wrap

R = 12
CLAMP: tuple[Wrap, Wrap] = ("clamp", "clamp")
REPEAT: tuple[Wrap, Wrap] = ("repeat", "repeat")


def shapes(count: int = 5, seed: int = 0, reach: float = 0.6) -> np.ndarray:
    """(F, 3, 2): small triangles and long slivers, some of which leave 0..1 on every side."""
    random = np.random.default_rng(seed)
    middles = random.uniform(-0.3, 1.3, (count, 1, 2))
    around = random.uniform(-reach, reach, (count, 3, 2)) * random.choice([0.1, 1.0], (count, 1, 2))
    return middles + around


def gaps(uvs: np.ndarray, resolution: int) -> np.ndarray:
    """(R, R) texels between each texel's square, at u of the column and v of the row, and the nearest
    triangle: negative where they overlap. By the separating axes of two convex shapes."""
    row, column = np.mgrid[:resolution, :resolution]
    lower = np.stack([column, row], -1)[..., None, :] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    least = np.full((resolution, resolution), np.inf)
    for triangle in uvs * resolution:
        edges = np.roll(triangle, -1, 0) - triangle
        across = np.stack([-edges[:, 1], edges[:, 0]], -1) / np.linalg.norm(edges, axis=1)[:, None]
        separation = np.full((resolution, resolution), -np.inf)
        for axis in (*across, np.array([1.0, 0.0]), np.array([0.0, 1.0])):
            ours, squares = triangle @ axis, lower @ axis
            gap = np.maximum(squares.min(-1) - ours.max(), ours.min() - squares.max(-1))
            separation = np.maximum(separation, gap)
        least = np.minimum(least, separation)
    return least


def wrapped(uvs: np.ndarray, wrap: tuple[Wrap, Wrap]) -> np.ndarray:
    """Every copy of the triangles that a texture which goes on shows in 0..1, of the tiles -4 to 4."""
    copies = []
    for x in range(-4, 5) if wrap[0] in ("repeat", "mirror") else [0]:
        for y in range(-4, 5) if wrap[1] in ("repeat", "mirror") else [0]:
            moved = uvs - (x, y)
            for axis, number in ((0, x), (1, y)):
                if wrap[axis] == "mirror" and number % 2:
                    moved[..., axis] = 1 - moved[..., axis]
            copies.append(moved)
    return np.concatenate(copies)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("wrap", [("repeat", "black"), ("mirror", "repeat"), ("black", "mirror")])
def test_covered_are_the_squares_that_a_triangle_reaches(wrap: tuple[Wrap, Wrap], seed: int) -> None:
    uvs = shapes(seed=seed)
    gap = gaps(wrapped(uvs, wrap), R)[::-1]
    clear = np.abs(gap) > 1e-4
    assert clear.mean() > 0.95
    assert 0.01 < (gap < 0).mean() < 0.99
    np.testing.assert_array_equal(uv_raster.covered_texels(uvs, wrap, R)[clear], gap[clear] < 0)


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        # beyond the left border, v from 2.5 to 6.2 texels: rows 2 to 6 from below
        ([(-0.9, 2.5), (-0.1, 2.5), (-0.5, 6.2)], {(v, 0) for v in range(2, 7)}),
        # beyond the right one, up to a whole number, and over the upper border
        ([(1.1, 9.0), (1.9, 9.5), (1.5, 14.0)], {(v, R - 1) for v in range(9, R)}),
        # without extent in v: still one texel
        ([(1.2, 5.0), (1.4, 5.0), (1.3, 5.0)], {(5, R - 1)}),
        # above the upper right corner
        ([(1.2, R + 1.0), (1.4, R + 3.0), (1.3, R + 2.0)], {(R - 1, R - 1)}),
        # inside, up to the very border: no texel but its own
        ([(0.0, 3.1), (0.04, 3.1), (0.0, 3.4)], {(3, 0)}),
    ],
)
def test_clamped_uvs_beyond_a_border_show_its_texels(
    corners: list[tuple[float, float]], expected: set[tuple[int, int]]
) -> None:
    """v in texels from below; and the same with u and v exchanged."""
    uvs = np.array([[(u, v / R) for u, v in corners]])
    covered = uv_raster.covered_texels(uvs, CLAMP, R)[::-1]
    assert set(zip(*np.nonzero(covered), strict=True)) == expected
    turned = uv_raster.covered_texels(uvs[..., ::-1], CLAMP, R)[::-1]
    np.testing.assert_array_equal(turned, covered.T)


def test_triangles_beyond_a_border_count_one_by_one() -> None:
    uvs = np.array([[(1.2, v / R), (1.4, v / R), (1.3, (v + 1.5) / R)] for v in (2.2, 7.1, 7.3)])
    covered = uv_raster.covered_texels(uvs, CLAMP, R)[::-1]
    assert set(zip(*np.nonzero(covered), strict=True)) == {(v, R - 1) for v in (2, 3, 7, 8)}


def test_an_edge_on_the_border_of_a_texel_touches_both() -> None:
    a, b, c, d = (0.25, 0.5), (0.5, 0.5), (0.5, 0.75), (0.25, 0.75)
    covered = uv_raster.covered_texels(np.array([[a, b, c], [a, c, d]]), CLAMP, 8)[::-1]
    assert set(zip(*np.nonzero(covered), strict=True)) == {(v, u) for v in range(3, 7) for u in range(1, 5)}


@pytest.mark.parametrize("points", [[0.25, 0.5, 0.875], [0.875, 0.25, 0.5], [0.375, 0.375, 0.75]])
def test_a_triangle_without_area_covers_nothing(points: list[float]) -> None:
    line = np.array([[(u, 0.25 + u / 2) for u in points]])
    assert not uv_raster.covered_texels(line, CLAMP, R).any()


def test_each_axis_is_clamped_for_itself() -> None:
    right = np.array([[(1.2, 0.3), (1.4, 0.3), (1.3, 0.4)]])
    assert set(np.nonzero(uv_raster.covered_texels(right, ("clamp", "black"), 8))[1]) == {7}
    assert not uv_raster.covered_texels(right, ("black", "clamp"), 8).any()
    assert not uv_raster.covered_texels(right[..., ::-1], ("clamp", "black"), 8).any()


@pytest.mark.parametrize("wrap", [CLAMP, ("mirror", "repeat")])
def test_coverage_does_not_depend_on_how_much_is_done_at_a_time(
    wrap: tuple[Wrap, Wrap], monkeypatch: pytest.MonkeyPatch
) -> None:
    uvs = shapes(9, seed=5)
    whole = uv_raster.covered_texels(uvs, wrap, 64)
    monkeypatch.setattr(uv_raster, "_EDGE_STEPS_AT_ONCE", 50)
    np.testing.assert_array_equal(uv_raster.covered_texels(uvs, wrap, 64), whole)


def test_rasterized_bands_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    uvs = shapes(9, seed=6)
    triangles, weights = uv_raster.rasterize(uvs, 32)
    monkeypatch.setattr(uv_raster, "_RAYS_AT_ONCE", 5 * 32)  # the last band has 2 rows
    again, their_weights = uv_raster.rasterize(uvs, 32)
    np.testing.assert_array_equal(again, triangles)
    np.testing.assert_array_equal(their_weights, weights)


def test_a_triangle_over_too_many_tiles_covers_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """It touches 3 x 2 tiles, and of each of them a part."""
    wide = np.array([[(0.1, 0.5), (2.1, 0.5), (0.1, 1.2)]])
    monkeypatch.setattr(uv_raster, "_TILE_LIMIT", 6)
    assert not uv_raster.covered_texels(wide, REPEAT, 64).all()
    assert not uv_raster.covered_texels(wide, CLAMP, 64).all()
    monkeypatch.setattr(uv_raster, "_TILE_LIMIT", 5)
    assert uv_raster.covered_texels(wide, REPEAT, 64).all()
    assert not uv_raster.covered_texels(wide, CLAMP, 64).all(), "what is not tiled touches one tile"


def test_beyond_the_limit_of_copies_only_triangles_of_several_tiles_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = np.array([[(0.1, 0.1), (0.3, 0.1), (0.1, 0.3)]])
    wide = np.array([[(0.1, 0.5), (2.1, 0.5), (0.1, 1.2)]])
    monkeypatch.setattr(uv_raster, "_COPY_LIMIT", 7)
    assert not uv_raster.covered_texels(np.concatenate([small, wide]), REPEAT, 64).all()
    monkeypatch.setattr(uv_raster, "_COPY_LIMIT", 6)
    assert uv_raster.covered_texels(np.concatenate([small, wide]), REPEAT, 64).all()
    assert not uv_raster.covered_texels(np.concatenate([small] * 7), REPEAT, 64).all()


def test_beyond_the_limit_of_edges_everything_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    # Edges of 4.4, 4.4 and 4.4 texels along their longer axis: 5 steps each.
    uvs = np.array([[(0.1, 0.1), (5.4, 0.1), (0.1, 5.4)]]) / 12 * [[[1, 1], [0.9, 1], [1, 0.9]]]
    monkeypatch.setattr(uv_raster, "_EDGE_STEPS_LIMIT", 100)
    assert not uv_raster.covered_texels(uvs, CLAMP, R).all()
    monkeypatch.setattr(uv_raster, "_EDGE_STEPS_LIMIT", 5)
    assert uv_raster.covered_texels(uvs, CLAMP, R).all()


def test_vertex_colors_of_several_tiles_land_in_one() -> None:
    """A quad that is two tiles wide and mirrored in s: red is u, whichever way a tile lies."""
    a, b, c, d = (0.0, 2.0), (2.0, 2.0), (2.0, 3.0), (0.0, 3.0)
    uvs = np.array([[a, b, c], [a, c, d]])
    colors = np.stack([np.where(uvs[..., 0] > 0, 2.0, 0.0), uvs[..., 1] - 2], -1)
    image, covered = uv_raster.rasterize_vertex_colors(uvs, colors, 8, ("mirror", "repeat"))
    centers = (np.arange(8) + 0.5) / 8
    u, v = centers, centers[::-1, None]
    # Of copies that overlap the first: the lower triangle's in the first tile, that in the second, the rest.
    red = np.where((v > u / 2) & (v < 1 - u / 2), 2 - u, u)
    assert covered.all()
    np.testing.assert_allclose(image[..., 0], red, atol=1e-5)
    np.testing.assert_allclose(image[..., 1], np.broadcast_to(centers[::-1, None], (8, 8)), atol=1e-5)
    alone, seen = uv_raster.rasterize_vertex_colors(uvs[:1] + 0.25, colors[:1], 8, ("clamp", "clamp"))
    assert not seen.any()
    assert not alone.any()


def test_the_udim_tile_of_a_triangle_is_that_of_its_centroid() -> None:
    middles = [(0.5, 0.5), (1.5, 0.5), (9.9, 0.1), (10.1, 0.1), (0.2, 1.5), (3.5, 99.5), (0.2, 100.1)]
    middles += [(-0.1, 0.5), (0.5, -0.1)]
    around = np.array([[(-0.09, -0.03), (0.09, -0.03), (0.0, 0.06)]])
    tiles = uv_raster.udim_tiles(np.array(middles)[:, None] + around)
    assert tiles.tolist() == [1001, 1002, 1010, -1, 1011, 1994, -1, -1, -1]
