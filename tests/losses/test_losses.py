"""The three losses against plain float64 versions and values worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from usdstylize.losses import (
    content_loss,
    gram_loss,
    gram_matrix,
    nnfm_loss,
    palette_loss,
    smooth_features,
    style_keys,
)
from usdstylize.losses.keys import representatives


def features(count: int, channels: int = 64, seed: int = 0) -> torch.Tensor:
    """Rows with the non-negative, sparse look of features after a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, generator=generator).relu()


def naive_nnfm(rows: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Eq. 2 as written: the whole distance matrix, then the least of each row."""
    distance = 1 - (rows @ keys.T) / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return distance.min(dim=1).values.mean()


def test_nnfm_gradient_equals_the_full_matrix_to_the_last_bit():
    rows = features(700).requires_grad_()
    keys = style_keys(features(900, seed=1), smooth=False)
    (ours,) = torch.autograd.grad(nnfm_loss(rows, keys), rows)
    (naive,) = torch.autograd.grad(naive_nnfm(rows, keys), rows)
    assert (ours - naive).abs().max() == 0
    assert naive.abs().max() > 0


def test_nnfm_agrees_with_float64():
    rows, style = features(300).requires_grad_(), features(200, seed=1)
    exact_rows = rows.detach().double().requires_grad_()
    exact = naive_nnfm(exact_rows, style.double() / style.double().norm(dim=1, keepdim=True))
    ours = nnfm_loss(rows, style_keys(style, smooth=False))
    torch.testing.assert_close(ours.double(), exact, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(ours, rows)
    (reference,) = torch.autograd.grad(exact, exact_rows)
    torch.testing.assert_close(gradient.double(), reference, rtol=1e-4, atol=1e-9)


def test_nnfm_of_known_angles():
    keys = style_keys(torch.tensor([[2.0, 0.0], [0.0, 5.0]]), smooth=False)
    angles = torch.tensor([0.0, 30.0, 80.0]).deg2rad()
    rows = torch.stack([angles.cos(), angles.sin()], 1) * 3
    # nearest axis: 0°, 30° and 10° away; lengths do not matter
    expected = np.mean(1 - np.cos(np.radians([0.0, 30.0, 10.0])))
    assert nnfm_loss(rows, keys).item() == pytest.approx(expected, abs=1e-6)


def test_a_second_style_image_can_only_bring_a_render_nearer():
    rows = features(100)
    one = style_keys(features(50, seed=1), smooth=False)
    two = torch.cat([one, style_keys(features(50, seed=2), smooth=False)])
    assert nnfm_loss(rows, two) < nnfm_loss(rows, one)


def test_positions_the_object_does_not_cover_have_no_say():
    rows = features(10).requires_grad_()
    keys = style_keys(features(40, seed=1), smooth=False)
    weights = torch.tensor([1.0] * 4 + [0.0] * 6)
    loss = nnfm_loss(rows, keys, weights=weights)
    torch.testing.assert_close(loss, nnfm_loss(rows[:4], keys))
    (gradient,) = torch.autograd.grad(loss, rows)
    assert (gradient[4:] == 0).all()
    assert gradient[:4].abs().max() > 0


def test_bfloat16_search_finds_almost_the_same_distance():
    rows, keys = features(500), style_keys(features(500, seed=1), smooth=False)
    exact = nnfm_loss(rows, keys)
    searched = nnfm_loss(rows.bfloat16(), keys, search_keys=keys.bfloat16())
    assert searched.item() == pytest.approx(exact.item(), rel=0.01)


def test_smoothing_keeps_a_signal_however_small_the_features():
    """A large epsilon in the norm would swamp softmax features, which are about 1/sqrt(C) long."""
    rows = (features(64, 512) * 0.1).requires_grad_()
    keys = style_keys(features(64, 512, seed=1) * 0.1, smooth=True)
    exact_rows = rows.detach().double().requires_grad_()
    exact_keys = torch.softmax(features(64, 512, seed=1).double() * 0.1, 1)
    exact_keys = exact_keys / exact_keys.norm(dim=1, keepdim=True)
    exact = naive_nnfm(torch.softmax(exact_rows, 1), exact_keys)
    (gradient,) = torch.autograd.grad(nnfm_loss(rows, keys, smooth=True), rows)
    (reference,) = torch.autograd.grad(exact, exact_rows)
    correlation = np.corrcoef(gradient.flatten(), reference.flatten())[0, 1]
    assert correlation > 0.98


def test_smoothed_features_are_a_distribution_over_channels():
    smooth = smooth_features(torch.tensor([[0.0, np.log(3.0)]], dtype=torch.bfloat16))
    assert smooth.dtype == torch.float32
    torch.testing.assert_close(smooth, torch.tensor([[0.25, 0.75]]), rtol=0.01, atol=0)


def test_palette_loss_by_hand_squared_and_plain():
    palette = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    colors = torch.tensor([[0.1, 0.0, 0.0], [1.0, 1.0, 0.7]])
    assert palette_loss(colors, palette).item() == pytest.approx((0.01 + 0.09) / 2, abs=1e-7)
    assert palette_loss(colors, palette, squared=False).item() == pytest.approx((0.1 + 0.3) / 2, abs=1e-4)


def test_palette_loss_pulls_colors_back_that_have_left_the_range():
    colors = torch.tensor([[1.4, 0.5, -0.3]], requires_grad=True)
    loss = palette_loss(colors, torch.tensor([[1.0, 0.5, 0.0]]))
    (gradient,) = torch.autograd.grad(loss, colors)
    torch.testing.assert_close(gradient, torch.tensor([[0.8, 0.0, -0.6]]))


def test_a_color_between_two_of_the_palette_goes_to_the_first():
    color = torch.full((1, 3), 0.5, requires_grad=True)
    loss = palette_loss(color, torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(0.75)
    assert color.grad.flatten().tolist() == pytest.approx([-1.0, -1.0, -1.0])


def test_chosen_keys_hold_every_direction_however_rare():
    directions = F.normalize(torch.randn(20, 64, generator=torch.Generator().manual_seed(2)), dim=1)
    common = directions[:1].expand(4000, 64)  # a flat background, the same feature again and again
    rare = directions.repeat_interleave(5, 0) + 0.01 * torch.randn(
        100, 64, generator=torch.Generator().manual_seed(3)
    )
    rows = torch.cat([common, rare])
    chosen = representatives(rows, 60, seed=1)
    assert len(chosen) <= 60
    assert (F.normalize(chosen, dim=1) @ directions.T).amax(0).min() > 0.99
    # features that a picture shows, not means of them, and the same for the same seed
    assert all((rows == row).all(1).any() for row in chosen)
    assert torch.equal(chosen, representatives(rows, 60, seed=1))


def test_keys_are_clustered_on_one_thread_and_may_hardly_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums in any order would give a seed several answers; scikit-learn warns of few distinct clusters."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 64, generator=generator).repeat_interleave(100, 0)
    rows += 1e-6 * torch.randn(300, 64, generator=generator)
    threads: set[int] = set()
    fit = KMeans.fit

    def recorded(self: KMeans, *data: Any) -> Any:
        threads.update(
            library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp"
        )
        with pytest.warns(ConvergenceWarning):
            fit(self, *data)
        return fit(self, *data)

    monkeypatch.setattr(KMeans, "fit", recorded)
    with threadpool_limits(2):
        chosen = representatives(rows, 60, seed=0)
    assert threads == {1}
    assert 3 <= len(chosen) <= 60
    distances = F.normalize(chosen, dim=1) @ F.normalize(rows[::100], dim=1).T
    assert distances.amax(0).min() > 0.99


def test_content_targets_in_half_change_the_gradient_by_their_rounding_alone():
    """Half float keeps 11 bits, on values as large as VGG16's."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(50, 8, generator=generator).abs() * 100
    rows = (targets + torch.randn(50, 8, generator=generator) * 10).requires_grad_()
    content_loss(rows, targets.half()).backward()
    rounding = 2 / rows.numel() * (targets.half().float() - targets)
    exact = 2 / rows.numel() * (rows.detach() - targets)
    torch.testing.assert_close(rows.grad, exact - rounding, rtol=1e-5, atol=1e-7)
    assert rounding.abs().max() < 2**-11 * 2 / rows.numel() * targets.max()


def test_content_loss_by_hand():
    rows, targets = torch.tensor([[1.0, 3.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [9.0, 9.0]])
    assert content_loss(rows, targets, torch.tensor([1.0, 0.0])).item() == pytest.approx((1 + 4) / 2)
    assert content_loss(rows, targets).item() == pytest.approx((2.5 + 81.0) / 2)


@pytest.mark.parametrize("loss", [nnfm_loss, content_loss])
def test_the_losses_of_the_shares_of_a_batch_add_up_to_its_own(loss):
    generator = torch.Generator().manual_seed(1)
    rows = torch.rand(30, 8, generator=generator, requires_grad=True)
    against = style_keys(torch.rand(30, 8, generator=generator), smooth=False)
    weights = torch.rand(30, generator=generator)
    whole = loss(rows, against, weights=weights)
    (gradient,) = torch.autograd.grad(whole, rows)
    parts = [
        loss(rows[part], against[part] if loss is content_loss else against,
             weights=weights[part], total=weights.sum())
        for part in (slice(0, 7), slice(7, 30))
    ]  # fmt: skip
    torch.testing.assert_close(sum(parts), whole)
    torch.testing.assert_close(torch.autograd.grad(sum(parts), rows)[0], gradient)


def exact_gram(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The sum over positions, one after the other, in float64."""
    total = sum(w * torch.outer(row, row) for row, w in zip(rows.double(), weights.double(), strict=True))
    return total / weights.double().sum()


def test_gram_loss_and_its_gradient_agree_with_float64():
    rows, style = features(60, 16).requires_grad_(), features(40, 16, seed=1)
    weights = torch.rand(60, generator=torch.Generator().manual_seed(2))
    exact_rows = rows.detach().double().requires_grad_()
    target = exact_gram(style, torch.ones(40))
    views = slice(0, 25), slice(25, 60)
    parts = [
        (exact_gram(exact_rows[v], weights[v]) - target).square().sum() * weights[v].sum() for v in views
    ]
    exact = sum(parts) / weights.sum() / target.square().sum()
    renders = (torch.arange(60) >= 25).long()
    ours = gram_loss(rows, gram_matrix(style), renders=renders, count=2, weights=weights)
    torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(ours, rows)
    (reference,) = torch.autograd.grad(exact, exact_rows)
    torch.testing.assert_close(gradient.double(), reference, rtol=1e-3, atol=1e-7)


def test_gram_loss_does_not_depend_on_how_many_positions_there_are():
    rows, target = features(50), gram_matrix(features(50, seed=1))
    once, thrice = gram_loss(rows, target), gram_loss(rows.repeat(3, 1), target)
    torch.testing.assert_close(once, thrice, rtol=1e-5, atol=0)
    covered = torch.cat([torch.ones(50), torch.zeros(70)])
    masked = gram_loss(torch.cat([rows, features(70, seed=2)]), target, weights=covered)
    torch.testing.assert_close(once, masked, rtol=1e-5, atol=0)


def test_gram_loss_by_hand_knows_no_order_of_positions():
    # G of the two axes is half the identity; the style is one of them alone
    rows, target = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), gram_matrix(torch.tensor([[1.0, 0.0]]))
    assert gram_loss(rows, target).item() == pytest.approx(0.25 + 0.25)
    assert gram_loss(rows.flip(0), gram_matrix(rows)).item() == 0


def test_smoothed_gram_matrices_are_of_one_size_in_any_network():
    even = gram_matrix(torch.full((5, 512), 7.0), smooth=True)
    torch.testing.assert_close(even, torch.ones(512, 512))
    rows = features(20, 32)
    softmax = torch.softmax(rows.double(), 1) * 32
    exact = exact_gram(softmax, torch.ones(20))
    torch.testing.assert_close(gram_matrix(rows, smooth=True).double(), exact, rtol=1e-5, atol=1e-6)


def test_gram_losses_of_shares_of_a_batch_add_up():
    rows, weights, target = features(60), torch.rand(60), gram_matrix(features(40, seed=1))
    renders = (torch.arange(60) >= 25).long()
    whole = gram_loss(rows, target, renders=renders, count=2, weights=weights)
    shares = [
        gram_loss(rows[v], target, weights=weights[v], total=weights.sum())
        for v in (slice(0, 25), slice(25, 60))
    ]
    torch.testing.assert_close(shares[0] + shares[1], whole, rtol=1e-5, atol=0)
