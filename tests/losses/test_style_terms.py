"""How the style is compared beside plain NNFM in float32: in few digits, by Gram matrices, another style."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from balls import METHOD, PALETTE, ball, stripes

from usdstylize import render
from usdstylize.losses import gram_loss, gram_matrix, nnfm_loss, style_keys
from usdstylize.losses.nnfm import prepare_search
from usdstylize.losses.objective import Objective
from usdstylize.model.objects import StyleImage, StyleSet

Exact = torch.Tensor


def smoothed(count: int, seed: int) -> tuple[torch.Tensor, Exact]:
    """Features as small as CLIP's, (count, 64) float32, and their softmax in float64."""
    random = np.random.default_rng(seed)
    rows = torch.from_numpy(0.03 * random.standard_normal((count, 64))).float()
    return rows, torch.softmax(rows.double(), 1)


def test_offsets_from_the_mean_rank_keys_as_the_keys_themselves_do() -> None:
    """In float64: the products differ by what is the same for every key of a row."""
    _, rows = smoothed(40, 0)
    keys = style_keys(smoothed(90, 1)[0], smooth=True)
    search = prepare_search(keys, smooth=True, dtype=torch.float64)
    assert search.centre is not None
    assert search.bias is not None
    found = (rows - search.centre) @ search.keys.T + search.bias
    expected = rows @ keys.double().T
    difference = found - expected
    assert (expected.std(1) > 1e-6).all()
    torch.testing.assert_close(difference, difference[:, :1].expand(-1, 90), rtol=0, atol=1e-8)


def test_few_digits_still_find_the_nearest_of_smoothed_features() -> None:
    rows, exact_rows = smoothed(300, 0)
    style, exact_style = smoothed(400, 1)
    exact_keys = exact_style / exact_style.norm(dim=1, keepdim=True)
    distances = 1 - exact_rows @ exact_keys.T / exact_rows.norm(dim=1, keepdim=True)
    exact = distances.min(1).values.mean().item()
    keys = style_keys(style, smooth=True)
    search = prepare_search(keys, smooth=True, dtype=torch.bfloat16)
    assert search.keys.dtype == torch.bfloat16
    assert nnfm_loss(rows, keys, smooth=True, search_keys=search).item() == pytest.approx(exact, rel=0.01)
    # What lies below the digits of the keys themselves is lost.
    assert nnfm_loss(rows, keys, smooth=True, search_keys=keys.bfloat16()).item() > 1.1 * exact


def blots() -> StyleSet:
    """Two pictures that have nothing of `balls.stripes`."""
    random = np.random.default_rng(3)
    images = tuple(
        StyleImage(f"{name}.png", random.random((96, 96, 3)).repeat(2, 1).astype(np.float32), "")  # type: ignore[arg-type]
        for name in ("one", "two")
    )
    return StyleSet("blots", images, PALETTE[::-1].copy())


def batch_and_table(objective: Objective, **changes: Any) -> tuple[Any, torch.Tensor]:
    """Two views of a ball and the mip table of a random T_S."""
    method = dataclasses.replace(objective.method, **changes)
    data = ball()
    mesh = render.normalize(data.mesh)
    subject = render.Subject(render.one_sheet(mesh, data.bases[0], ("repeat", "clamp")), (64, 64), "cpu")
    engine = render.EmbreeVisibility(mesh.points, mesh.triangles, "cpu")
    cameras = [
        render.look_at(np.array(eye), np.array([1.0, 3.0, 2.0]), 45.0)
        for eye in ([0.5, 0.4, 2.4], [-2.0, 1.5, 3.0])
    ]
    batch = objective.join(objective.targets(render.trace_views(subject, engine, cameras, method)))
    texture = torch.from_numpy(np.random.default_rng(1).uniform(-0.3, 0.3, (1, 64, 64, 3))).float()
    return batch, subject.style_table(texture)


def test_a_gram_style_term_is_that_of_each_render_by_what_the_object_covers() -> None:
    method = dataclasses.replace(METHOD, style_loss="gram", precision="float32")
    objective = Objective(blots(), method, "cpu", weights=None)
    batch, table = batch_and_table(objective)
    style = objective.view_losses(batch, table)["nnfm"]
    pictures = render.paint(batch.views, table, objective._background(batch.views.resolution)[0])
    encoder = objective._style_encoder
    from usdstylize.losses.objective import fit_whole  # the style as it is matched

    images = [
        torch.from_numpy(fit_whole(image.pixels, method.resolution)).permute(2, 0, 1)[None]
        for image in blots().images
    ]
    of_style = [torch.cat(layer).double() for layer in zip(*(encoder(i) for i in images), strict=True)]
    layers = []
    for rows, style_rows, stride in zip(encoder(pictures), of_style, encoder.strides, strict=True):
        target = style_rows.T @ style_rows / len(style_rows)
        masks = [torch.zeros(64, 64, dtype=torch.float64) for _ in range(2)]
        for pixel in batch.views.pixels.tolist():
            masks[pixel // 4096].view(-1)[pixel % 4096] = 1
        each = []
        for own, mask in zip(rows.double().chunk(2), masks, strict=True):
            share = mask.view(64 // stride, stride, 64 // stride, stride).mean((1, 3)).view(-1, 1)
            gram = (own * share).T @ own / share.sum()
            each.append(((gram - target).square().sum() / target.square().sum(), share.sum()))
        layers.append(sum(d * w for d, w in each) / sum(w for _, w in each))
    assert style.item() == pytest.approx((sum(layers) / len(layers)).item(), rel=1e-4)


def test_a_render_without_an_object_says_nothing_of_its_gram_matrix() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).random((6, 4))).float()
    target = gram_matrix(torch.from_numpy(np.random.default_rng(1).random((9, 4))).float())
    renders, weights = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([1.0, 0.5, 0.25, 0, 0, 0])
    found = gram_loss(rows, target, renders=renders, count=2, weights=weights)
    alone = gram_loss(rows[:3], target, weights=weights[:3])
    assert found.item() == pytest.approx(alone.item(), rel=1e-5)


def test_another_style_is_as_if_it_had_been_the_first() -> None:
    method = dataclasses.replace(METHOD, precision="float32")
    first = Objective(stripes(), method, "cpu", weights=None)
    batch, table = batch_and_table(first)
    before = first.view_losses(batch, table)
    other = dataclasses.replace(method, seed=5)
    found = first.restyled(blots(), other)
    fresh = Objective(blots(), other, "cpu", weights=None)
    assert found.method.seed == 5
    ours, expected = found.view_losses(batch, table), fresh.view_losses(batch, table)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(before, first.view_losses(batch, table))
    assert not any(torch.isclose(ours[name], before[name], rtol=1e-3) for name in before)
    texels: Any = type("Texels", (), {"base": torch.zeros(len(table), 3), "rows": torch.arange(len(table))})
    torch.testing.assert_close(found.texture_losses(table, texels), fresh.texture_losses(table, texels))
