"""The CUDA kernels, in Triton's interpreter on the CPU, against float64 and the CPU's own path.

The interpreter's matrix product knows no bfloat16: float16 stands for it here.
"""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from usdstylize.kernels import mips
from usdstylize.kernels.paint import paint_pixels
from usdstylize.kernels.rows import content_mean, nearest_mean, smoothed_offsets
from usdstylize.kernels.search import nearest
from usdstylize.losses import nnfm_loss, prepare_search, smooth_features, style_keys
from usdstylize.render import Taps, Views, mip_table, paint, shade


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("rows", "keys", "channels", "biased"),
    [
        (70, 700, 64, False),
        (130, 513, 256, True),
        (33, 129, 96, True),
        (70, 1000, 512, True),
        (5, 3, 64, False),
    ],
)
def test_the_nearest_key_is_the_first_of_the_greatest(rows: int, keys: int, channels: int, biased: bool):
    """Small whole numbers: their products are exact, and many keys come twice."""
    queries = torch.randint(-3, 4, (rows, channels), generator=generator()).half()
    candidates = torch.randint(-3, 4, (keys, channels), generator=generator(1)).half()
    candidates[keys // 2 :] = candidates[: keys - keys // 2].clone()
    bias = torch.randint(-3, 4, (keys,), generator=generator(2)).float() if biased else None
    exact = queries.double().numpy() @ candidates.double().numpy().T
    if bias is not None:
        exact = exact + bias.double().numpy()
    np.testing.assert_array_equal(nearest(queries, candidates, bias), exact.argmax(1))


@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:invalid value")  # numpy's, in the interpreter
def test_a_row_without_a_nearest_key_gets_one_all_the_same():
    """What is not a number must not send the gather out of bounds."""
    rows, keys = torch.full((20, 64), float("nan")).half(), torch.randn(9, 64, generator=generator()).half()
    index = nearest(rows, keys)
    assert ((index >= 0) & (index < 9)).all()


def features(count: int, channels: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(count, channels, generator=generator(seed)) * scale


@pytest.mark.parametrize("channels", [64, 200, 512])
@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_distance_and_gradient_agree_with_float64(channels: int, smooth: bool, weighted: bool):
    rows = features(37, channels).requires_grad_()
    keys = style_keys(features(50, channels, 1), smooth=smooth)
    index = torch.randint(0, 50, (37,), generator=generator(2))
    weights = torch.rand(37, generator=generator(3)) if weighted else None
    ours = nearest_mean(rows, keys, index, smooth=smooth, weights=weights)
    exact_rows = rows.detach().double().requires_grad_()
    feature = exact_rows.softmax(1) if smooth else exact_rows
    distance = 1 - F.cosine_similarity(feature, keys[index].double())
    exact = torch.as_tensor(np.average(distance.detach(), weights=weights))
    torch.testing.assert_close(ours.double(), exact, rtol=1e-6, atol=0)
    share = torch.ones(37).double() if weights is None else weights.double()
    (gradient,) = torch.autograd.grad(3 * ours, rows)
    (reference,) = torch.autograd.grad(3 * (distance * share).sum() / share.sum(), exact_rows)
    torch.testing.assert_close(
        gradient.double(), reference, rtol=1e-5, atol=1e-6 * float(reference.abs().max())
    )


def test_a_distance_far_below_one_keeps_its_digits():
    """Smoothed features a hair apart: one less their cosine would leave two or three digits."""
    rows = features(30, 256, scale=0.01)
    keys = style_keys(rows + features(30, 256, 1, 0.002), smooth=True)
    exact = 1 - F.cosine_similarity(
        rows.double().softmax(1), keys.double() / keys.double().norm(dim=1)[:, None]
    )
    assert exact.mean() < 1e-5
    ours = nearest_mean(rows, keys, torch.arange(30), smooth=True)
    torch.testing.assert_close(ours.double(), exact.mean(), rtol=1e-4, atol=0)


def test_rows_of_nothing_are_one_away():
    keys = style_keys(features(4, 64), smooth=False)
    assert nearest_mean(torch.zeros(3, 64), keys, torch.tensor([0, 1, 2])).item() == 1


def test_content_agrees_with_float64():
    rows, targets = features(37, 200).requires_grad_(), features(37, 200, 1)
    weights = torch.rand(37, generator=generator(2))
    ours = content_mean(rows, targets, weights=weights)
    exact_rows = rows.detach().double().requires_grad_()
    squares = (exact_rows - targets.double()).square().mean(1)
    exact = (squares * weights.double()).sum() / weights.double().sum()
    torch.testing.assert_close(ours.double(), exact, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(ours, rows)
    (reference,) = torch.autograd.grad(exact, exact_rows)
    torch.testing.assert_close(gradient.double(), reference, rtol=1e-5, atol=1e-10)


def test_losses_of_shares_of_a_batch_add_up():
    rows, targets = features(40, 64), features(40, 64, 1)
    keys = style_keys(features(20, 64, 2), smooth=True)
    index = torch.randint(0, 20, (40,), generator=generator(3))
    weights = torch.rand(40, generator=generator(4))
    parts = (slice(0, 13), slice(13, 40))
    total = weights.sum()
    whole = nearest_mean(rows, keys, index, smooth=True, weights=weights)
    shares = [
        nearest_mean(rows[p], keys, index[p], smooth=True, weights=weights[p], total=total) for p in parts
    ]
    torch.testing.assert_close(sum(shares), whole)
    shares = [content_mean(rows[p], targets[p], weights=weights[p], total=total) for p in parts]
    torch.testing.assert_close(sum(shares), content_mean(rows, targets, weights=weights))


@pytest.mark.parametrize("scale", [0.02, 0.4, 1.2])
def test_few_digits_find_smoothed_neighbours(scale: float):
    """Where all smoothed features are nearly alike, 8 digits of the products cannot separate them."""
    style, rows = features(600, 256, 1, scale), features(300, 256, 0, scale)
    keys = style_keys(style, smooth=True)
    exact_keys = F.normalize(style.double().softmax(1), dim=1)
    exact = 1 - F.normalize(rows.double().softmax(1), dim=1) @ exact_keys.T
    best = exact.min(1).values

    def excess(index: torch.Tensor) -> float:
        return float((exact.gather(1, index[:, None])[:, 0] - best).mean() / (exact.mean() - best.mean()))

    search = prepare_search(keys, smooth=True, dtype=torch.float16)
    offsets = smoothed_offsets(rows, search.centre, torch.float16)
    assert excess(nearest(offsets, search.keys, search.bias)) < 1e-3
    rounded = prepare_search(keys, smooth=True, dtype=torch.bfloat16)
    offsets = smoothed_offsets(rows, rounded.centre, torch.float32).bfloat16()
    assert excess((offsets.float() @ rounded.keys.float().T + rounded.bias).argmax(1)) < 1e-3
    if scale < 0.1:
        plain = (smooth_features(rows).bfloat16().float() @ keys.bfloat16().float().T).argmax(1)
        assert excess(plain) > 0.1


def test_the_cpu_searches_prepared_keys_alike():
    rows = features(200, 64, scale=0.1)
    keys = style_keys(features(300, 64, 1, 0.1), smooth=True)
    search = prepare_search(keys, smooth=True, dtype=torch.bfloat16)
    exact = nnfm_loss(rows, keys, smooth=True)
    torch.testing.assert_close(
        nnfm_loss(rows, keys, smooth=True, search_keys=search), exact, rtol=1e-2, atol=0
    )


_VIEWS, _SIDE, _TEXELS = 2, 16, 50


def painting(count: int = 300) -> tuple[torch.Tensor, Views, torch.Tensor]:
    """A mip table, views of random taps with colours beyond 0..1 and on its ends, and a background."""
    own = generator()
    table = torch.rand(_TEXELS, 3, generator=own) - 0.5
    rows = torch.randint(0, _TEXELS, (count, 8), generator=own).int()
    weights = torch.rand(count, 8, generator=own)
    weights[:, 3] = 0
    weights /= weights.sum(1, keepdim=True)
    base = torch.rand(count, 3, generator=own) * 1.4 - 0.2
    diffuse = torch.rand(count, 1, generator=own) * 1.5
    specular = torch.rand(count, 1, generator=own) * 0.1
    # black and white without any light of their own: both clamps are met on their very ends
    table[0], rows[:4] = 0, 0
    base[:2], base[2:4], diffuse[:4], specular[:4] = 0, 1, 1, 0
    pixels = torch.randperm(_VIEWS * _SIDE**2, generator=own)[:count]
    views = Views(_VIEWS, _SIDE, pixels, base, Taps(rows, weights), diffuse, specular)
    return table, views, torch.rand(3, _SIDE, _SIDE, generator=own)


def fused(table: torch.Tensor | None, views: Views, background: torch.Tensor) -> torch.Tensor:
    taps = (views.style.rows, views.style.weights)
    light = (views.base, views.diffuse, views.specular)
    return paint_pixels(table, *taps, *light, views.pixels, background, views.count)


def chosen(views: Views, which: torch.Tensor) -> Views:
    return Views(
        views.count,
        views.resolution,
        views.pixels[which],
        views.base[which],
        Taps(views.style.rows[which], views.style.weights[which]),
        views.diffuse[which],
        views.specular[which],
    )


def test_paint_shows_what_the_cpu_paints():
    table, views, background = painting()
    torch.testing.assert_close(
        fused(table, views, background), paint(views, table, background), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(
        fused(None, views, background), paint(views, None, background), rtol=0, atol=1e-6
    )


def test_a_single_view_is_not_painted_over_its_background():
    """An image read from a file lies as a picture does: nothing needs to be copied, and all the more must."""
    table, views, background = painting(_SIDE**2 // 2)
    views = dataclasses.replace(views, count=1, pixels=torch.arange(_SIDE**2 // 2))
    background = background.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    before = background.clone()
    table.requires_grad_()
    ours, exact = fused(table, views, background), paint(views, table, background)
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-6)
    gradient = torch.randn(ours.shape, generator=generator(1))
    found, expected = (torch.autograd.grad(images, table, gradient)[0] for images in (ours, exact))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(background, before)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e12])
def test_the_gradient_of_paint_agrees_with_float64(scale: float):
    table, views, background = painting()
    table.requires_grad_()
    gradient = torch.randn(_VIEWS, 3, _SIDE, _SIDE, generator=generator(1)) * scale
    (ours,) = torch.autograd.grad(fused(table, views, background), table, gradient)
    exact = table.detach().double().requires_grad_()
    color = views.base + (views.style.weights[:, :, None] * exact[views.style.rows.long()]).sum(1)
    lit = shade(color, views.diffuse.double(), views.specular.double())
    by_pixel = gradient.permute(0, 2, 3, 1).reshape(-1, 3)[views.pixels]
    (reference,) = torch.autograd.grad(lit, exact, by_pixel.double())
    torch.testing.assert_close(ours.double(), reference, rtol=1e-5, atol=1e-6 * float(reference.abs().max()))


def test_the_gradient_of_paint_does_not_depend_on_the_order_of_pixels():
    table, views, background = painting()
    table.requires_grad_()
    gradient = torch.randn(_VIEWS, 3, _SIDE, _SIDE, generator=generator(1))
    other = chosen(views, torch.randperm(300, generator=generator(2)))
    (one,), (two,) = (
        torch.autograd.grad(fused(table, v, background), table, gradient) for v in (views, other)
    )
    assert (one == two).all()
    assert one.abs().max() > 0


def test_pixels_that_are_none_are_skipped():
    table, views, background = painting()
    table.requires_grad_()
    real = torch.rand(300, generator=generator(1)) < 0.6
    padded = Views(
        views.count,
        views.resolution,
        torch.where(real, views.pixels, -1),
        torch.where(real[:, None], views.base, float("nan")),
        views.style,
        views.diffuse,
        views.specular,
    )
    one, two = (fused(table, v, background) for v in (padded, chosen(views, real)))
    assert (one == two).all()
    (first,), (second,) = (torch.autograd.grad(images.sum(), table) for images in (one, two))
    assert (first == second).all()


def test_a_gradient_that_is_not_finite_stays_so():
    """Fixed point knows no nan: it must not come out as some number."""
    table, views, background = painting()
    table.requires_grad_()
    gradient = torch.ones(_VIEWS, 3, _SIDE, _SIDE)
    gradient[0, 0, 0, 0] = float("inf")
    (result,) = torch.autograd.grad(fused(table, views, background), table, gradient)
    assert result.isnan().all()


@pytest.mark.parametrize("circular", [(True, False), (False, True), (True, True), (False, False)])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 6), (2, 3), (1, 8)])
def test_a_level_and_its_gradient_are_those_of_the_cpu(height, width, circular):
    texture = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(5), requires_grad=True)
    wrap = tuple("repeat" if turns else "clamp" for turns in circular)
    rows = mip_table(texture, tent=wrap)[height * width :]
    half = (max(1, height // 2), max(1, width // 2), 3)
    expected = rows[: half[0] * half[1]].view(half)
    coarse = torch.empty(half)
    mips.halve(texture.detach(), coarse, circular)
    torch.testing.assert_close(coarse, expected)
    given = torch.rand(half, generator=torch.Generator().manual_seed(6))
    (gradient,) = torch.autograd.grad(expected, texture, given)
    fine = torch.ones(height, width, 3)
    mips.halve_gradient(given, fine, circular)
    torch.testing.assert_close(fine - 1, gradient, rtol=1e-5, atol=1e-6)
