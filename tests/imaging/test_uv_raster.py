"""UV space rasterised: which texels, which triangle, and gutters filled."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial import cKDTree

from usdstylize.imaging import gutters, uv_raster
from usdstylize.model.base_colors import Wrap

REPEAT: tuple[Wrap, Wrap] = ("repeat", "repeat")
CLAMP: tuple[Wrap, Wrap] = ("clamp", "clamp")


def rectangle(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    """(2, 3, 2): the two triangles of an upright rectangle in UV space."""
    a, b, c, d = (left, bottom), (right, bottom), (right, top), (left, top)
    return np.array([[a, b, c], [a, c, d]])


def test_bottom_left_in_uv_is_the_last_row_and_first_column() -> None:
    covered = uv_raster.covered_texels(rectangle(0.05, 0.05, 0.2, 0.2), REPEAT, 8)
    assert covered[-1, 0]
    assert covered[-2, 1]
    assert not covered[:6].any()
    assert not covered[:, 2:].any()


def test_a_triangle_smaller_than_a_texel_covers_it() -> None:
    sliver = np.array([[[0.50, 0.51], [0.53, 0.51], [0.50, 0.54]]])
    covered = uv_raster.covered_texels(sliver, REPEAT, 8)
    assert covered[3, 4]
    assert covered.sum() <= 4


@pytest.mark.parametrize(
    ("wrap", "columns"),
    [("repeat", {0, 1, 6, 7}), ("mirror", {6, 7}), ("clamp", {6, 7}), ("black", {6, 7})],
)
def test_what_leaves_the_unit_square_lands_where_the_wrap_mode_puts_it(wrap: Wrap, columns: set[int]) -> None:
    # u from 0.76 to 1.24 on 8 columns: repeat brings 1..1.24 back to columns 0 and 1.
    covered = uv_raster.covered_texels(rectangle(0.76, 0.3, 1.24, 0.6), (wrap, wrap), 8)
    assert set(np.flatnonzero(covered.any(axis=0))) == columns


def test_clamped_uvs_wholly_outside_show_the_border_texels() -> None:
    covered = uv_raster.covered_texels(rectangle(2.0, 0.3, 3.0, 0.6), CLAMP, 8)
    assert set(np.flatnonzero(covered.any(axis=0))) == {7}
    assert not covered[0].any()
    assert not covered[7].any()
    assert covered[4, 7]
    assert not uv_raster.covered_texels(rectangle(2.0, 0.3, 3.0, 0.6), ("black", "black"), 8).any()


def test_coverage_is_what_dense_samples_hit_and_no_texel_beyond_a_touch() -> None:
    corners = np.random.default_rng(3).uniform(-0.1, 1.1, (40, 1, 2))
    uvs = corners + np.random.default_rng(4).uniform(-0.2, 0.2, (40, 3, 2))
    covered = uv_raster.covered_texels(uvs, ("black", "black"), 64)
    # 16 x 16 samples a texel, by the rays of `rasterize`.
    dense = (uv_raster.rasterize(uvs, 1024)[0] >= 0).reshape(64, 16, 64, 16).any(axis=(1, 3))
    assert 0.2 < dense.mean() < 0.8
    assert covered[dense].all()
    # What samples miss is a sliver of a texel, and rare.
    assert (covered & ~dense).sum() <= 0.05 * dense.sum()


def test_tiles_lie_over_each_other_with_the_parity_of_mirroring() -> None:
    piece = rectangle(0.1, 0.1, 0.3, 0.2)
    home = uv_raster.covered_texels(piece, REPEAT, 64)
    np.testing.assert_array_equal(uv_raster.covered_texels(np.add(piece, (5, -3)), REPEAT, 64), home)
    mirror: tuple[Wrap, Wrap] = ("mirror", "mirror")
    np.testing.assert_array_equal(uv_raster.covered_texels(np.add(piece, (4, -2)), mirror, 64), home)
    np.testing.assert_array_equal(uv_raster.covered_texels(np.add(piece, (5, -2)), mirror, 64), home[:, ::-1])


def test_huge_and_degenerate_uvs_take_bounded_memory() -> None:
    """The second alone touches 72 million tiles: a copy of its triangles for each would take 3.5 GB."""
    tracemalloc.start()
    try:
        assert uv_raster.covered_texels(rectangle(-1e9, -1e9, 1e9, 1e9), REPEAT, 32).all()
        assert uv_raster.covered_texels(np.tile(rectangle(0, 0, 60, 60), (10_000, 1, 1)), REPEAT, 32).all()
        assert not uv_raster.covered_texels(np.full((5, 3, 2), 0.5), REPEAT, 32).any()
        assert not uv_raster.covered_texels(np.zeros((0, 3, 2)), REPEAT, 32).any()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100e6


def test_rasterize_gives_the_first_of_overlapping_triangles_and_its_barycentrics() -> None:
    corners = np.array([[0.1, 0.1], [0.9, 0.2], [0.3, 0.8]])
    triangles, weights = uv_raster.rasterize(np.stack([corners + 5, corners, corners[[1, 2, 0]]]), 64)
    hit = triangles >= 0
    assert set(triangles[hit]) == {1}
    # The area of the triangle by the shoelace formula, against the share of texels it covers.
    assert hit.mean() == pytest.approx(0.27, abs=0.01)
    rows, columns = np.nonzero(hit)
    centers = np.stack([(columns + 0.5) / 64, 1 - (rows + 0.5) / 64], axis=-1)
    np.testing.assert_allclose(weights[hit] @ corners, centers, atol=1e-5)
    assert not weights[~hit].any()


def test_vertex_colors_are_interpolated_and_wrapped() -> None:
    # Red grows with u, green with v; the quad lies one tile to the right.
    uvs = rectangle(1.0, 0.0, 2.0, 1.0)
    colors = np.concatenate([uvs - (1, 0), np.zeros((2, 3, 1))], axis=-1)
    image, covered = uv_raster.rasterize_vertex_colors(uvs, colors, 16)
    centers = (np.arange(16) + 0.5) / 16
    assert covered.all()
    np.testing.assert_allclose(image[..., 0], np.broadcast_to(centers, (16, 16)), atol=1e-5)
    np.testing.assert_allclose(image[..., 1], np.broadcast_to(centers[::-1, None], (16, 16)), atol=1e-5)


def test_dilate_fills_every_gutter_with_the_nearest_texel() -> None:
    image = np.zeros((9, 9, 3), np.float32)
    valid = np.zeros((9, 9), bool)
    image[4, 1], image[4, 7] = (1, 0, 0), (0, 0, 1)
    valid[4, [1, 7]] = True
    filled = gutters.dilate(image, valid)
    assert (filled[:, :4] == (1, 0, 0)).all()
    assert (filled[:, 5:] == (0, 0, 1)).all()
    assert not image[0].any(), "the input must not be written to"


def test_dilate_reaches_across_a_border_that_repeats_only() -> None:
    image = np.zeros((4, 10, 1), np.float32)
    valid = np.zeros((4, 10), bool)
    image[:, 2], image[:, 8] = 2, 8
    valid[:, [2, 8]] = True
    assert gutters.dilate(image, valid)[0, 0, 0] == 2
    # From column 0, column 8 is two away across the border and column 2 two away inside.
    wrapped = gutters.dilate(image, valid, wrap=("repeat", "clamp"))[0, :, 0]
    assert wrapped[9] == 8
    assert wrapped[3] == 2
    valid[:, 2] = False
    image[:, 1], valid[:, 9] = 5, False
    valid[:, 5], image[:, 5] = True, 5
    assert gutters.dilate(image, valid, wrap=("repeat", "clamp"))[0, 0, 0] == 8
    assert gutters.dilate(image, valid)[0, 0, 0] == 5


def nearest_valid(valid: np.ndarray, wrap: tuple[Wrap, Wrap]) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, N) bool, which of the N valid texels are nearest to each texel, one by one; (H, W) distances."""
    rows, columns = np.nonzero(valid)
    height, width = valid.shape
    down = np.abs(np.arange(height)[:, None] - rows)
    across = np.abs(np.arange(width)[:, None] - columns)
    if wrap[0] == "repeat":
        across = np.minimum(across, width - across)
    if wrap[1] == "repeat":
        down = np.minimum(down, height - down)
    squared = down[:, None] ** 2 + across[None] ** 2
    least = squared.min(axis=-1)
    return squared == least[..., None], np.sqrt(least)


@pytest.mark.parametrize(
    "wrap", [CLAMP, REPEAT, ("repeat", "clamp"), ("clamp", "repeat"), ("mirror", "black")]
)
def test_every_gutter_texel_is_one_of_its_nearest_valid_ones(wrap: tuple[Wrap, Wrap]) -> None:
    """Against every distance there is, on an image that is like itself in no direction."""
    random = np.random.default_rng(7)
    valid = np.zeros((37, 53), bool)
    valid[4:9, 30:36] = valid[28, 3:20] = valid[20:31, 47] = True
    image = random.permutation(37 * 53).reshape(37, 53, 1).astype(np.float32)
    nearest, _ = nearest_valid(valid, wrap)
    filled = gutters.dilate(image, valid, wrap)
    assert ((filled == image[valid][:, 0]) & nearest).any(axis=-1).all()
    np.testing.assert_array_equal(filled[valid], image[valid])


def test_a_valid_texel_too_far_beyond_a_border_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, of columns 2 and 50 of 80: from 79 the first is 3 away, from 70 it is 12 and the other 20."""
    image, valid = np.zeros((4, 80, 1), np.float32), np.zeros((4, 80), bool)
    valid[:, [2, 50]] = True
    image[:, 2], image[:, 50] = 2, 50
    assert gutters.dilate(image, valid, ("repeat", "clamp"))[0, [49, 67, 70, 79], 0].tolist() == [50, 2, 2, 2]
    monkeypatch.setattr(gutters, "_FARTHEST", 2)
    assert gutters.dilate(image, valid, ("repeat", "clamp"))[0, [49, 67, 70, 79], 0].tolist() == [50] * 4
    monkeypatch.setattr(gutters, "_FARTHEST", 3)
    assert gutters.dilate(image, valid, ("repeat", "clamp"))[0, [49, 70, 79], 0].tolist() == [50, 2, 2]


@pytest.mark.parametrize("wrap", [CLAMP, REPEAT, ("repeat", "clamp")])
def test_a_large_image_is_filled_exactly(wrap: tuple[Wrap, Wrap]) -> None:
    """Against a k-d tree on a torus (SciPy's), with which a border that repeats needs no copies."""
    height, width = 1100, 1030
    valid = np.random.default_rng(1).random((height, width)) > 0.9999
    valid[500:600, 400:500] = True
    places = np.argwhere(valid)
    image = np.indices((height, width)).transpose(1, 2, 0).astype(np.float32)
    torus = [height if wrap[1] == "repeat" else 0, width if wrap[0] == "repeat" else 0]  # 0: no torus
    sample = np.random.default_rng(2).integers(0, (height, width), (20_000, 2))
    least, _ = cKDTree(places, boxsize=torus).query(sample)
    source = gutters.dilate(image, valid, wrap)[sample[:, 0], sample[:, 1]]
    apart = np.abs(source - sample)
    around = np.where(torus, np.minimum(apart, np.array((height, width)) - apart), apart)
    assert valid[source[:, 0].astype(int), source[:, 1].astype(int)].all()
    np.testing.assert_allclose(np.hypot(*around.T), least, atol=1e-3)


def test_dilate_with_nothing_to_copy_changes_nothing() -> None:
    image = np.random.default_rng(0).random((5, 7, 3), np.float32)
    np.testing.assert_array_equal(gutters.dilate(image, np.zeros((5, 7), bool)), image)
    np.testing.assert_array_equal(gutters.dilate(image, np.ones((5, 7), bool)), image)
