"""One optimisation from within: which views it looks at, how far each iteration moves T_S, what it leaves."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from balls import METHOD, ball, describe, run, stripes

from usdstylize import optimize, render
from usdstylize.imaging import encoding
from usdstylize.losses import objective
from usdstylize.losses.batch import Target
from usdstylize.model.base_colors import TextureFile, Wrap
from usdstylize.model.objects import Losses, Mesh, ObjectData, StyleImage, StyleSet
from usdstylize.optimize.step import Step

Picture = bytes
"""What a view shows, to be compared."""


@dataclasses.dataclass
class Recorded:
    """batches, slots: the views of each iteration. sizes: of T_S in each, whose looks at full size are
    ``before`` and ``after``. held_out: views that no batch holds, and weights: the palette's beside them."""

    batches: list[list[Picture]]
    slots: list[list[int]]
    sizes: list[int]
    before: list[torch.Tensor]
    after: list[torch.Tensor]
    held_out: list[Picture]
    weights: list[float]


def picture(target: Target) -> Picture:
    view = target.view
    parts = (view.diffuse, view.specular, view.style.rows, view.style.weights)
    return b"".join(part.numpy().tobytes() for part in parts)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """What every iteration from now on is given."""
    found = Recorded([], [], [], [], [], [], [])
    step, losses = Step.__call__, Step.losses

    def call(self: Step, targets: Sequence[Target], *arguments: Any) -> torch.Tensor:
        found.batches.append([picture(target) for target in targets])
        found.slots.append([target.view.slot for target in targets])
        found.sizes.append(self._style.shape[1])
        found.before.append(self.texture.detach().clone())
        result = step(self, targets, *arguments)
        found.after.append(self.texture.detach().clone())
        return result

    def of_others(self: Step, targets: Sequence[Target], weights: Mapping[str, float]) -> list[float]:
        found.held_out += [picture(target) for target in targets]
        found.weights.append(weights["palette"])
        return losses(self, targets, weights)

    monkeypatch.setattr(Step, "__call__", call)
    monkeypatch.setattr(Step, "losses", of_others)
    return found


def test_all_views_of_a_pool_differ_and_each_comes_once_a_round(recorded: Recorded) -> None:
    run(batch=2, view_pool=8, iterations=12)
    assert recorded.slots == [[0, 1]] * 12
    rounds = [recorded.batches[start : start + 4] for start in (0, 4, 8)]
    for own in rounds:
        assert len({view for batch in own for view in batch}) == 8
    assert set(Counter(view for batch in recorded.batches for view in batch).values()) == {3}


def test_losses_are_reported_as_they_were_and_the_results_are_the_mean_of_the_last_ten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = torch.arange(4 * 23, dtype=torch.float32).view(23, 4)
    rows = iter(given)
    monkeypatch.setattr(Step, "__call__", lambda self, *_: next(rows))
    reports: list[tuple[int, Losses]] = []
    result = run(iterations=23, reports=reports)
    assert [number for number, _ in reports] == [5, 10, 15, 20, 23]
    for number, losses in reports:
        assert [*losses.to_dict().values()] == given[number - 1].tolist()
    assert result.iterations == 23
    assert list(result.losses) == ["nnfm", "content", "palette"]
    assert [*result.losses.to_dict().values()] == pytest.approx(given[13:].mean(0).tolist())


def test_without_a_pool_every_view_is_new(recorded: Recorded) -> None:
    run(batch=2, view_pool=0, iterations=6)
    assert len({view for batch in recorded.batches for view in batch}) == 12


def test_validation_views_are_in_no_batch(recorded: Recorded) -> None:
    run(plateau=True, iterations=40, palette_weight=(70.0, 7.0))
    assert set(recorded.weights) == {70.0}, "the palette counts, and by the same each time"
    first, second = recorded.held_out[:8], recorded.held_out[8:16]
    assert first == second, "the same views each time, or their losses cannot be compared"
    assert len(set(first)) == 8
    assert not set(first) & {view for batch in recorded.batches for view in batch}


def test_views_follow_the_seed_and_the_objects_name(recorded: Recorded) -> None:
    def views(**which: Any) -> set[Picture]:
        recorded.batches.clear()
        run(iterations=4, **which)
        return {view for batch in recorded.batches for view in batch}

    first = views(seed=3)
    assert views(seed=3) == first
    assert not views(seed=4) & first
    assert not views(seed=3, name="World__Other") & first


def test_the_order_of_views_follows_the_seed(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = list(islice(render.draw_cameras(METHOD, np.random.default_rng(9)), 8))
    monkeypatch.setattr(render, "draw_cameras", lambda method, random: iter(cameras))
    orders = []
    for seed in (3, 3, 4):
        recorded.batches.clear()
        run(seed=seed, iterations=4)
        orders.append([*recorded.batches])
    first, again, other = orders
    assert first == again
    assert {view for batch in first for view in batch} == {view for batch in other for view in batch}
    assert first != other


def test_style_features_follow_the_seed_of_the_run_or_of_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds, real = set(), objective.representatives

    def representatives(rows: torch.Tensor, limit: int, seed: int) -> torch.Tensor:
        seeds.add(seed)
        return real(rows, limit, seed)

    monkeypatch.setattr(objective, "representatives", representatives)
    method = dataclasses.replace(METHOD, style_keys=8, iterations=4)
    expected = run(method, seed=7)
    assert seeds == {7}
    style = stripes()
    optimizer = optimize.Optimizer(style, method, "cpu")
    own = optimizer.restyled(style, dataclasses.replace(method, seed=7))
    assert own.optimize([describe()], [ball()])[0].images[0].tobytes() == expected.images[0].tobytes()


def test_a_texture_grows_through_its_hierarchy_and_keeps_its_look(recorded: Recorded) -> None:
    run(texture_hierarchy=(8, 16, 64), iterations=10)
    assert recorded.sizes == [8] * 4 + [16] * 3 + [64] * 3
    last, first = recorded.after[6], recorded.before[7]
    assert last.abs().max() > 0.01
    torch.testing.assert_close(first, last, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pool", [0, 6])
def test_all_views_of_a_batch_count_as_seen(pool: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Step, "__call__", lambda self, *_: torch.zeros(4))
    one, six = (run(batch=views, view_pool=pool, iterations=1).coverage for views in (1, 6))
    assert one < 0.8
    assert six > 0.85


@pytest.mark.parametrize("rates", [(0.08, 0.01), (0.04, 0.04)])
@pytest.mark.parametrize("weights", [(1000.0, 1.0), (1.0, 1000.0), (50.0, 50.0)])
def test_texels_move_as_adam_moves_them_at_the_rates_and_weights_of_each_iteration(
    rates: tuple[float, float], weights: tuple[float, float]
) -> None:
    """By hand. Plain L2 to one colour that is redder than T pulls each texel by the same all the time."""
    base = encoding.linear_to_srgb(np.float32(0.2))
    palette = np.array([[1.0, base, base]], np.float32)
    style = StyleSet("red", (StyleImage("red.png", np.ones((64, 64, 3), np.float32) * palette, ""),), palette)
    method = dataclasses.replace(
        METHOD,
        nnfm_weight=0.0,
        content_weight=0.0,
        palette_squared=False,
        palette_weight=weights,
        learning_rate=rates,
        iterations=4,
    )
    image = optimize.Optimizer(style, method, "cpu").optimize([describe()], [ball()])[0].images[0]
    moved = mean = square = 0.0
    for number in range(4):
        rate, weight = (first * (last / first) ** (number / 3) for first, last in (rates, weights))
        mean, square = 0.9 * mean + 0.1 * weight, 0.999 * square + 0.001 * weight**2
        moved += rate * (mean / (1 - 0.9 ** (number + 1))) / (square / (1 - 0.999 ** (number + 1))) ** 0.5
    assert image[:, :30, 0] == pytest.approx(moved, rel=2e-3)
    assert np.abs(image[..., 1:]).max() < 1e-3


def test_a_part_that_no_camera_sees_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A triangle within the ball, on a fifth as many texels as the ball has."""
    monkeypatch.setattr(Step, "__call__", lambda self, *_: torch.zeros(4))
    outer = ball()
    corner = len(outer.mesh.points)
    mesh = Mesh(
        np.concatenate([outer.mesh.points, np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], np.float32)]),
        np.concatenate([outer.mesh.triangles, np.array([[corner, corner + 1, corner + 2]], np.int32)]),
        np.concatenate([outer.mesh.normals, np.tile(np.float32([0, 0, 1]), (1, 3, 1))]),
        np.concatenate([outer.mesh.uvs, np.float32([[[0.6, 0.1], [1.0, 0.1], [0.6, 0.6]]])]),
    )
    method = dataclasses.replace(METHOD, view_pool=48, iterations=24)
    whole = optimize.Optimizer(stripes(), method, "cpu").optimize([describe()], [outer])[0]
    data = ObjectData(mesh, outer.bases)
    hidden = optimize.Optimizer(stripes(), method, "cpu").optimize([describe()], [data])[0]
    assert hidden.coverage == pytest.approx(whole.coverage * 0.5 / (0.5 + 0.4 * 0.5 / 2), abs=0.02)


@pytest.mark.parametrize(
    ("wrap", "nearest"), [(("repeat", "clamp"), 0), (("clamp", "repeat"), 32), (("mirror", "mirror"), 32)]
)
def test_gutters_continue_what_is_nearest_as_the_texture_wraps(
    wrap: tuple[Wrap, Wrap], nearest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ball's UVs reach to column 32 of 64: column 60 is near to column 0 across the border alone."""
    texels = np.random.default_rng(0).random((64, 64, 3), np.float32)
    monkeypatch.setattr(Step, "__call__", lambda self, *_: torch.zeros(4))
    monkeypatch.setattr(Step, "texture", torch.from_numpy(texels)[None])
    base = TextureFile("./T.png", "T.png", "srgb", *wrap, size=(1, 1), bit_depth="uint8")
    method = dataclasses.replace(METHOD, view_pool=48, iterations=24)
    subject = dataclasses.replace(describe(), base=base)
    image = optimize.Optimizer(stripes(), method, "cpu").optimize([subject], [ball()])[0].images[0]
    np.testing.assert_array_equal(image[16:48, :31], texels[16:48, :31])
    assert (image[16:48, 60] == texels[16:48, nearest]).all(axis=-1).mean() > 0.9


@pytest.mark.parametrize("masked", [False, True])
def test_the_sum_goes_on_in_gutters_as_far_as_a_mask_lets_it(
    masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T is magenta where the ball's UVs are not. The mask is black in the lower half, gutters included."""
    monkeypatch.setattr(Step, "__call__", lambda self, *_: torch.zeros(4))
    mask = np.ones((64, 64), np.float32)
    mask[32:] = 0 if masked else 1
    style = torch.tensor([0.2, -0.1, 0.3]) * torch.from_numpy(mask)[..., None]
    monkeypatch.setattr(Step, "texture", style[None])
    base = np.full((64, 64, 3), 0.4, np.float32)
    base[:, 33:] = [1, 0, 1]
    data = ObjectData(ball().mesh, (base,), masks=(mask,) if masked else ())
    method = dataclasses.replace(METHOD, view_pool=48, iterations=24)
    image = optimize.Optimizer(stripes(), method, "cpu").optimize([describe()], [data])[0].images[0]
    np.testing.assert_allclose((base + image)[:31], np.full((31, 64, 3), [0.6, 0.3, 0.7]), atol=1e-6)
    if masked:
        assert np.abs(image[33:]).max() == 0
    else:
        np.testing.assert_allclose((base + image)[33:], np.full((31, 64, 3), [0.6, 0.3, 0.7]), atol=1e-6)
