"""What fits into memory: fewer views at a time give the same gradient, and a remark."""

import dataclasses
import gc
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from balls import METHOD, ball, describe, stripes

from usdstylize import render
from usdstylize.config.method import Method
from usdstylize.losses.batch import Target
from usdstylize.losses.objective import Objective
from usdstylize.model.objects import StyleTexture
from usdstylize.optimize import Optimizer
from usdstylize.optimize.memory import Allotment, allot, available_bytes
from usdstylize.optimize.run import Run
from usdstylize.render import View

FOUR = dataclasses.replace(METHOD, batch=4, iterations=6, precision="float32")
GIB = 2**30


def optimized(limit: float | None, method: Method = FOUR) -> StyleTexture:
    return Optimizer(stripes(), method, "cpu", memory_limit=limit).optimize([describe()], [ball()])[0]


def test_a_small_limit_changes_the_last_bits_at_most_and_is_remarked() -> None:
    whole, ample, single = optimized(None), optimized(64.0), optimized(0.001)
    assert whole.remarks == ample.remarks == ()
    assert whole.images[0].tobytes() == ample.images[0].tobytes()
    assert single.remarks == ("To fit into memory it was optimised with 1 of 4 views at a time.",)
    assert np.abs(whole.images[0] - single.images[0]).mean() < 1e-4
    assert single.images[0].tobytes() == optimized(0.001).images[0].tobytes()


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_parts_have_the_gradient_of_the_whole(at_once: int) -> None:
    objective = Objective(stripes(), FOUR, "cpu", weights=None)
    assembly = render.assemble([describe()], [ball()])
    subject = render.Subject(assembly, (64, 64), "cpu")
    engine = render.choose_visibility("embree", assembly.mesh.points, assembly.mesh.triangles, "cpu")
    cameras = [*islice(render.draw_cameras(FOUR, np.random.default_rng(0)), 4)]
    targets = objective.targets(render.trace_views(subject, engine, cameras, FOUR))
    table = subject.style_table(torch.zeros(1, 64, 64, 3))

    def gradient(size: int) -> torch.Tensor:
        totals = {
            stride: torch.cat([target.positions[stride].weights for target in targets]).sum()
            for stride in objective.strides
        }
        leaf = table.detach().requires_grad_()
        for start in range(0, 4, size):
            objective.backward(
                objective.join(targets[start : start + size], totals), leaf, {"nnfm": 600.0, "content": 0.15}
            )
        assert leaf.grad is not None
        return leaf.grad

    whole, parts = gradient(4), gradient(at_once)
    assert (whole - parts).norm() <= 1e-5 * whole.norm()


def test_running_out_of_memory_is_tried_again_with_fewer_views(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Objective.backward

    others, runs = things_alive(Run), set()

    def backward(self: Objective, batch: Any, *arguments: Any) -> Any:
        if batch.views.count > 1:
            torch.empty(1 << 60)  # more than any machine has
        runs.add(len(things_alive(Run) - others))
        return real(self, batch, *arguments)

    monkeypatch.setattr(Objective, "backward", backward)
    result = optimized(None)
    assert result.remarks == ("To fit into memory it was optimised with 1 of 4 views at a time.",)
    assert runs == {1}, "what had not fitted was still there"
    monkeypatch.undo()
    assert result.images[0].tobytes() == optimized(0.001).images[0].tobytes()


def test_an_object_leaves_nothing_in_memory_for_the_next_one() -> None:
    """Python's own collector comes too late: it does not know how much a GPU's tensors hold."""
    gc.collect()
    gc.disable()
    try:
        others = things_alive(Run, Target, View)  # of fixtures of this worker's other tests
        optimized(None)
        assert things_alive(Run, Target, View) <= others
    finally:
        gc.enable()


def things_alive(*kinds: type) -> set[int]:
    return {id(thing) for thing in gc.get_objects() if type(thing) in kinds}


def test_the_pool_leaves_the_gpu_before_views_do() -> None:
    """By hand: 8 views of 0.8 GiB each and a quarter more for safety; 256 in the pool, 8 MiB each."""
    method = dataclasses.replace(METHOD, batch=8, resolution=512, view_pool=256, texture_resolution=1024)

    def fits(gib: float) -> Allotment:
        return allot(
            gib * GIB, method, share=8, at_once=8, sheets=1, measure=lambda: (int(0.8 * GIB), 8 << 20)
        )

    # 0.5 GiB for the libraries, 0.19 for T_S and what goes with it, 8 for the views, 2 for the pool
    assert fits(10.8) == Allotment(8, pool_on_host=False)
    assert fits(10.6) == Allotment(8, pool_on_host=True)
    assert fits(7.9) == Allotment(4, pool_on_host=True)
    assert fits(3.0) == Allotment(2, pool_on_host=True)
    assert fits(0.1) == Allotment(1, pool_on_host=True)
    assert fits(4.0).remark(8, 256, cuda=True) == (
        "To fit into memory it was optimised with 2 of 8 views at a time and "
        "its 256 views in the machine's memory."
    )


@pytest.mark.parametrize(("share", "sizes"), [(8, [4, 2, 1]), (6, [3, 1]), (9, [3, 1]), (5, [1]), (1, [1])])
def test_half_as_many_views_are_a_divisor_of_a_processs_share(share: int, sizes: list[int]) -> None:
    """Parts of one size alone give one result, whoever does which. The pool goes to the host first."""
    allotment = Allotment(share)
    for size in sizes:
        allotment = allotment.halved()
        assert allotment == Allotment(size, pool_on_host=True)
        assert share % size == 0
    assert allotment.halved() == allotment


def test_objects_side_by_side_share_the_limit() -> None:
    assert available_bytes("cpu", None, 4) == float("inf")
    assert available_bytes("cpu", 8.0) == 8 * GIB
    assert available_bytes("cpu", 8.0, 4) == 2 * GIB
