"""One iteration: what it returns, where it moves T_S, and that parts and processes change neither."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from balls import METHOD, ball, stripes
from conftest import HANG_SECONDS

from usdstylize import render
from usdstylize.losses.batch import Target, Texels
from usdstylize.losses.objective import Objective
from usdstylize.optimize.step import Step
from usdstylize.optimize.texels import Seen, palette_texels
from usdstylize.render import Taps

TOGETHER = dataclasses.replace(
    METHOD, precision="float32", texture_resolution=32, nnfm_weight=600.0, content_weight=7.0
)
RATE = 0.02
WEIGHTS = {"nnfm": 600.0, "content": 7.0, "palette": 700.0}
LESS_PALETTE = {**WEIGHTS, "palette": 300.0}


class Scene:
    """A ball before two cameras, and steps that begin with T_S = 0."""

    def __init__(self) -> None:
        data = ball()
        mesh = render.normalize(data.mesh)
        sheet = render.one_sheet(mesh, data.bases[0], ("repeat", "clamp"))
        self.subject = render.Subject(sheet, (32, 32), "cpu")
        self.objective = Objective(stripes(), TOGETHER, "cpu", weights=None)
        engine = render.EmbreeVisibility(mesh.points, mesh.triangles, "cpu")
        cameras = [
            render.look_at(np.array(eye), np.array([1.0, 3.0, 2.0]), 45.0)
            for eye in ([0.5, 0.4, 2.4], [-2.0, 1.5, 3.0])
        ]
        views = render.trace_views(self.subject, engine, cameras, TOGETHER)
        self.targets: list[Target] = self.objective.targets(views)
        self.texels: Texels = palette_texels(self.subject, np.ones((1, 32, 32), bool), [0.0], "cpu")

    def step(self, **arguments: Any) -> Step:
        return Step(self.objective, self.subject, self.texels, 1, 32, **arguments)

    def terms(self, texture: torch.Tensor) -> list[torch.Tensor]:
        """NNFM, content and palette of all views at once."""
        table = self.subject.style_table(texture)
        batch = self.objective.join(self.targets)
        found = self.objective.view_losses(batch, table) | self.objective.texture_losses(table, self.texels)
        return [found[name] for name in WEIGHTS]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def weighted(terms: list[torch.Tensor], palette_weight: float) -> torch.Tensor:
    return 600.0 * terms[0] + 7.0 * terms[1] + palette_weight * terms[2]


def test_an_iteration_returns_its_terms_and_their_weighted_sum_before_it_moves(scene: Scene) -> None:
    texture = torch.zeros(1, 32, 32, 3, requires_grad=True)
    terms = scene.terms(texture)
    total = weighted(terms, 700.0)
    (gradient,) = torch.autograd.grad(total, texture)
    step = scene.step()
    found = step(scene.targets, RATE, WEIGHTS)
    np.testing.assert_allclose(found.tolist(), [float(term.detach()) for term in (*terms, total)], rtol=1e-5)
    # Adam's first step is as long as the rate, against the gradient.
    clear = gradient.abs() > 1e-4 * gradient.abs().max()
    assert clear.float().mean() > 0.9
    moved = step.texture.detach()
    np.testing.assert_allclose(moved[clear], -RATE * gradient[clear].sign(), rtol=1e-3)
    # Only now does the content differ from the original's.
    moved = moved.clone()
    terms = [term.detach() for term in scene.terms(moved)]
    assert terms[1] > 0
    found = step(scene.targets, RATE, LESS_PALETTE)
    np.testing.assert_allclose(found, [*terms, weighted(terms, 300.0)], rtol=1e-5)


@pytest.mark.parametrize("views_at_once", [0, 1])
def test_losses_of_other_views_are_weighted_and_change_nothing(scene: Scene, views_at_once: int) -> None:
    step = scene.step(views_at_once=views_at_once)
    step(scene.targets, RATE, WEIGHTS)
    before = step.texture.detach().clone()
    found = step.losses(scene.targets, LESS_PALETTE)
    assert sum(found) == pytest.approx(float(weighted(scene.terms(before), 300.0).detach()), rel=1e-5)
    assert torch.equal(step.texture, before)


def doubled(tensor: torch.Tensor) -> None:
    """What another process with the same views would add."""
    tensor.mul_(2)


@pytest.mark.parametrize("arguments", [{"views_at_once": 1}, {"reduce": doubled}])
def test_parts_and_processes_together_do_what_one_does_at_once(
    scene: Scene, arguments: dict[str, Any]
) -> None:
    whole, other = scene.step(), scene.step(**arguments)
    for _ in range(3):
        expected = whole(scene.targets, RATE, WEIGHTS)
        found = other(scene.targets, RATE, WEIGHTS)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    difference = (whole.texture - other.texture).abs()
    assert (difference < 1e-3).float().mean() > 0.99
    assert not other.any_failed()


def after_three(scene: Scene, threads: int) -> bytes:
    """Losses and T_S after three iterations of five views in parts of one."""
    step = scene.step(views_at_once=1, parts_at_once=lambda: threads)
    targets = [*scene.targets, *scene.targets, scene.targets[0]]
    losses = [step(targets, RATE, WEIGHTS) for _ in range(3)]
    return torch.cat([*losses, step.texture.detach().flatten()]).numpy().tobytes()


@pytest.mark.parametrize("threads", [2, 3, 9])
def test_no_bit_depends_on_the_number_of_threads(scene: Scene, threads: int) -> None:
    assert after_three(scene, threads) == after_three(scene, 1)


def test_threads_compute_parts_at_the_same_time_and_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two waits for the other: with one at a time none would end."""
    backward, together = scene.objective.backward, threading.Barrier(2, timeout=HANG_SECONDS)
    took_part = set()

    def met(*arguments: Any) -> Any:
        together.wait()
        took_part.add(threading.get_ident())
        return backward(*arguments)

    monkeypatch.setattr(scene.objective, "backward", met)
    before = threading.active_count()
    scene.step(views_at_once=1, parts_at_once=lambda: 2)(scene.targets, RATE, WEIGHTS)
    assert len(took_part) == 2
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [ValueError("of our own making"), KeyboardInterrupt("of our own making")])
def test_what_a_part_raises_comes_out_as_it_is_and_no_thread_stays(
    scene: Scene, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward, calls = scene.objective.backward, []

    def one_fails(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        return backward(*arguments)

    monkeypatch.setattr(scene.objective, "backward", one_fails)
    step, before = scene.step(views_at_once=1, parts_at_once=lambda: 2), threading.active_count()
    with pytest.raises(type(error)) as raised:
        step(scene.targets, RATE, WEIGHTS)
    assert raised.value is error
    assert threading.active_count() == before
    step(scene.targets, RATE, WEIGHTS)


def only_one_fits(backward: Callable[..., Any]) -> Callable[..., Any]:
    """As ``backward``, but PyTorch finds no memory where a second call begins before the first has ended."""
    alone, met = threading.Lock(), threading.Event()

    def compute(*arguments: Any) -> Any:
        if not alone.acquire(blocking=False):
            met.set()
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")
        try:
            assert threading.current_thread() is threading.main_thread() or met.wait(HANG_SECONDS)
            return backward(*arguments)
        finally:
            alone.release()

    return compute


def test_where_memory_is_short_parts_are_computed_one_after_the_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = after_three(scene, 1)
    monkeypatch.setattr(scene.objective, "backward", only_one_fits(scene.objective.backward))
    assert after_three(scene, 2) == expected


def failing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> RuntimeError:
    error = RuntimeError("the GPU is gone")

    def backward(*_: Any) -> None:
        raise error

    monkeypatch.setattr(scene.objective, "backward", backward)
    return error


def test_a_failure_is_kept_until_the_other_processes_know_of_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    summed: list[tuple[torch.dtype, int]] = []
    step = scene.step(reduce=lambda tensor: summed.append((tensor.dtype, tensor.numel())))
    step(scene.targets, RATE, WEIGHTS)
    assert (step.failure, step.any_failed()) == (None, False)
    before, healthy = step.texture.detach().clone(), list(summed)
    error = failing(scene, monkeypatch)
    step(scene.targets, RATE, WEIGHTS)
    assert step.failure is error
    assert step.any_failed()
    assert torch.equal(step.texture, before)
    # It takes part in every sum that the others wait for, now and later.
    assert summed == 2 * healthy
    monkeypatch.undo()
    step(scene.targets, RATE, WEIGHTS)
    assert summed == 3 * healthy
    assert torch.equal(step.texture, before)
    assert step.any_failed()
    assert all(np.isnan(step.losses(scene.targets, WEIGHTS)))


def test_a_failure_of_one_alone_is_raised(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    step = scene.step()
    failing(scene, monkeypatch)
    with pytest.raises(RuntimeError, match="the GPU is gone"):
        step(scene.targets, RATE, WEIGHTS)
    assert not step.any_failed()


@pytest.mark.parametrize(
    ("level", "row", "counts"),
    [
        # Levels of 16, 8, 4, 2 and 1 texels a side begin at rows 0, 256, 320, 336 and 340.
        (0.0, 320, True),
        (0.0, 336, False),
        (1.9, 336, True),
        (1.9, 340, False),
        (2.0, 340, True),
        (9.0, 340, True),
    ],
)
def test_texels_up_to_two_levels_coarser_than_a_views_own_are_seen(
    level: float, row: int, counts: bool
) -> None:
    view: Any = type("View", (), {"level": level, "style": Taps(torch.tensor([[row]]), torch.ones(1, 1))})
    seen = Seen(1, 16, "cpu")
    seen.add([view])
    assert seen.texels().any() == counts
