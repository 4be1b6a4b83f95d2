"""Matching with limited capacity."""

import itertools

import pytest
import torch
from torch import Tensor

from usdstylize.losses.nnfm import nnfm_loss, prepare_search, style_keys
from usdstylize.losses.prices import Prices, cluster

CHANNELS = 16


def groups(seed: int, *counts: int, width: float = 0.3) -> list[Tensor]:
    """Rows around so many directions at random."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(len(counts), CHANNELS, generator=random)
    return [
        centre + width * torch.randn(count, CHANNELS, generator=random)
        for centre, count in zip(centres, counts, strict=True)
    ]


def made(rows: Tensor, *, smooth: bool = False, highest: float = 1.0) -> tuple[Tensor, Prices]:
    keys = style_keys(rows, smooth=smooth)
    length = float(torch.softmax(rows, 1).norm(dim=1).mean()) if smooth else 1.0
    return keys, Prices([cluster([keys], [keys], [1.0], length, 0)], highest)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_plain_matching_never_uses_is_used(smooth: bool, dtype: torch.dtype) -> None:
    """Render features that lie in one corner of the style: plain matching takes few of its clusters."""
    style = torch.cat(groups(0, 300, 300, 300, 300))
    render = 0.5 * style[torch.randperm(300, generator=torch.Generator().manual_seed(1))] + 0.5 * style[:300]
    keys, prices = made(style, smooth=smooth)
    search = prepare_search(keys, smooth=smooth, dtype=dtype)
    market, shares = prices.markets[0], cluster([keys], [keys], [1.0], 1.0, 0).shares
    lack = []
    for _ in range(60):
        prices.uses.zero_()
        nnfm_loss(render, keys, smooth=smooth, search_keys=search, market=market)
        assert prices.uses.sum() == len(render)
        lack.append(float((shares - prices.uses / len(render)).clamp_min(0).sum()))
        prices.settle()
    assert min(lack[-10:]) < 0.7 * lack[0]


@pytest.mark.parametrize("smooth", [False, True])
def test_a_new_market_changes_nothing(smooth: bool) -> None:
    style, render = (torch.cat(groups(seed, 100, 100)) for seed in (0, 5))
    keys, prices = made(style, smooth=smooth)
    (market,) = prices.markets
    plain = nnfm_loss(render, keys, smooth=smooth)
    torch.testing.assert_close(nnfm_loss(render, keys, smooth=smooth, market=market), plain)


def test_a_price_changes_the_match_and_not_what_it_is_worth() -> None:
    """By hand: the first key is nearer, its price is higher than the difference, so the second is taken."""
    keys = torch.eye(2, CHANNELS)
    row = torch.zeros(1, CHANNELS)
    row[0, :2] = torch.tensor([0.8, 0.6]) * 7.0  # a row's length does not matter
    _, prices = made(keys)
    (market,) = prices.markets
    market.bias.copy_(torch.tensor([-0.15, 0.0]))
    assert nnfm_loss(row, keys, market=market).item() == pytest.approx(1 - 0.8)
    market.bias.copy_(torch.tensor([-0.25, 0.0]))
    row.requires_grad_()
    loss = nnfm_loss(row, keys, market=market)
    assert loss.item() == pytest.approx(1 - 0.6)
    (gradient,) = torch.autograd.grad(loss, row)
    (expected,) = torch.autograd.grad(1 - torch.cosine_similarity(row, keys[1:]).sum(), row)
    torch.testing.assert_close(gradient, expected)


def test_prices_stay_below_the_highest() -> None:
    style = torch.cat(groups(0, 50, 50))
    keys, prices = made(style, highest=0.25)
    (market,) = prices.markets
    for _ in range(200):
        prices.uses.zero_()
        nnfm_loss(style[:5], keys, market=market)
        prices.settle()
    unit = cluster([keys], [keys], [1.0], 1.0, 0).unit
    assert market.bias.abs().max().item() == pytest.approx(0.25 * unit)


def test_images_count_by_their_weights() -> None:
    first, second = (style_keys(rows, smooth=False) for rows in groups(0, 300, 100))
    found = cluster([first, second], [first, second], [1.0, 3.0], 1.0, 0)
    own = torch.unique(found.owner[:300])
    assert found.shares.sum().item() == pytest.approx(1)
    assert found.shares[own].sum().item() == pytest.approx(0.25)
    assert not set(own.tolist()) & set(found.owner[300:].tolist())


def test_the_order_of_parts_changes_no_bit() -> None:
    style, render = torch.cat(groups(0, 80, 80)), torch.cat(groups(3, 70, 70))
    weights = torch.rand(len(render), generator=torch.Generator().manual_seed(0))
    found = []
    for order in itertools.permutations(torch.split(torch.arange(140), 47)):
        keys, prices = made(style)
        for part in order:
            nnfm_loss(render[part], keys, weights=weights[part], market=prices.markets[0])
        prices.settle()
        found.append(prices.state_dict())
    for other in found[1:]:
        assert torch.equal(other["0"]["prices"], found[0]["0"]["prices"])


def test_a_saved_state_goes_on_with_the_same_bits() -> None:
    style, render = torch.cat(groups(0, 80, 80)), torch.cat(groups(3, 70, 70))

    def steps(prices: Prices, keys: Tensor, count: int) -> Prices:
        for _ in range(count):
            prices.uses.zero_()
            nnfm_loss(render, keys, market=prices.markets[0])
            prices.settle()
        return prices

    keys, whole = made(style)
    steps(whole, keys, 9)
    state = steps(made(style)[1], keys, 4).state_dict()
    again = made(style)[1]
    again.load_state_dict(state)
    assert torch.equal(steps(again, keys, 5).markets[0].bias, whole.markets[0].bias)
