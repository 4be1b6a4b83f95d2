"""An optimisation that is stopped and continues from a file: the same bits as one that never was."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from balls import METHOD, ball, describe, stripes

from usdstylize.config.method import Method
from usdstylize.errors import StateError
from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.optimize import Optimizer, ProcessGroup, Share, State, load_state, save_state, steps
from usdstylize.optimize.cuda_graph_step import CudaGraphStep

SMALL = dataclasses.replace(METHOD, resolution=32, texture_resolution=32, iterations=20, style_keys=16)
Report = tuple[int, Losses]


def optimize(
    method: Method,
    reports: list[Report],
    stop_after: int | None = None,
    name: str = "World__Ball",
    **how: Any,
) -> StyleTexture:
    """The ball's texture; stop_after: iterations after which it stops, as by a signal."""
    optimizer = Optimizer(stripes(), method, "cpu")
    if stop_after is not None:
        asked = iter(range(stop_after))
        optimizer._stop.is_set = lambda: next(asked, None) is None  # type: ignore[method-assign]
    on_iteration: Callable[[int, Losses], None] = lambda number, losses: reports.append((number, losses))  # noqa: E731
    return optimizer.optimize([describe(name)], [ball()], on_iteration=on_iteration, **how)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"view_pool": 8},
        {"view_pool": 0},
        {"view_pool": 6, "plateau": True, "iterations": 24},
        {"view_pool": 0, "plateau": True, "iterations": 24},
        {"texture_hierarchy": (8, 16, 32)},
        {"field": True},
        {"variety": 1.0, "color_start": 0.5},
        {"direct_texture": True},
        {"direct_texture": True, "view_pool": 0},
    ],
    ids=str,
)
def test_what_is_stopped_and_continues_from_a_file_ends_with_the_same_bits(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    method = dataclasses.replace(SMALL, **changes)
    straight: list[Report] = []
    expected = optimize(method, straight)
    parts: list[Report] = []
    path = tmp_path / "ball.state"
    stops = (9, 14) if method.plateau else (9,)  # before and after it begins to cool down
    done = 0
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            optimize(
                method, parts, stop - done,
                state=load_state(path) if done else None, on_state=partial(save_state, path),
            )  # fmt: skip
        assert [file.name for file in tmp_path.iterdir()] == ["ball.state"]
        done = stop
    found = optimize(method, parts, state=load_state(path))
    assert found.images[0].tobytes() == expected.images[0].tobytes()
    assert np.abs(expected.images[0]).max() > 0.1
    assert (found.losses, found.coverage, found.iterations) == (
        expected.losses,
        expected.coverage,
        expected.iterations,
    )
    assert parts == straight


def test_every_state_on_the_way_leads_to_the_same_end_and_is_changed_by_nothing() -> None:
    states: list[State] = []
    expected = optimize(SMALL, [], on_state=states.append, state_every=6)
    assert [state["iterations"] for state in states] == [6, 12, 18]
    for state in (*states, states[0]):  # the first one again: it has not changed by being used
        assert optimize(SMALL, [], state=state).images[0].tobytes() == expected.images[0].tobytes()


def test_the_time_before_it_was_stopped_counts() -> None:
    states: list[State] = []
    optimize(SMALL, [], on_state=states.append, state_every=12)
    states[0]["seconds"]["iterations"] = 1000.0
    assert optimize(SMALL, [], state=states[0]).stages["iterations"] > 1000.0


@pytest.mark.parametrize(
    ("other", "name", "what"),
    [({}, "World__Other", "object"), ({"seed": 3}, "World__Ball", "method")],
)
def test_a_state_of_something_else_is_refused(other: dict[str, Any], name: str, what: str) -> None:
    states: list[State] = []
    optimize(SMALL, [], on_state=states.append, state_every=12)
    with pytest.raises(StateError, match=f"/World/Ball: the saved state is of another {what}; delete it"):
        optimize(dataclasses.replace(SMALL, **other), [], name=name, state=states[0])


@pytest.mark.parametrize("content", [None, b"", b"not a state at all", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_state_is_an_error_that_names_it(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "broken.state"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StateError, match=r"broken\.state is not the state"):
        load_state(path)


def test_a_static_batch_is_as_large_as_if_it_had_not_been_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a pool its size follows all batches so far. Nothing is computed with them here, on a CPU."""
    monkeypatch.setattr(steps, "fused", lambda device: True)
    monkeypatch.setattr(CudaGraphStep, "_execute", lambda self, piece: None)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    method, path = dataclasses.replace(SMALL, view_pool=0), tmp_path / "ball.state"
    states: list[State] = []
    optimize(method, [], on_state=states.append, state_every=1)
    sizes = [state["step"]["size"] for state in states]
    assert sizes[0]["views"] == 2
    assert sizes[0]["pixels"] > 0
    save_state(path, states[8])
    again: list[State] = []
    optimize(method, [], state=load_state(path), on_state=again.append, state_every=1)
    assert [state["step"]["size"] for state in again] == sizes[9:]
    fresh: list[State] = []
    del states[8]["step"]["size"]
    optimize(method, [], state=states[8], on_state=fresh.append, state_every=1)
    assert fresh[0]["step"]["size"] != sizes[9], "the tenth batch alone asks for another size"


class FirstOfTwo(ProcessGroup):
    """A process whose partner sees nothing, so that its sums are those of both."""

    share = Share(0, 2)

    @property
    def reduce(self) -> Callable[[torch.Tensor], None]:
        return lambda tensor: None


def test_a_process_of_several_continues_from_a_state_that_all_take_at_once() -> None:
    method = dataclasses.replace(SMALL, view_pool=8, batch=2)
    optimizer = Optimizer(stripes(), method, "cpu", process_group=FirstOfTwo())
    states: list[State] = []
    expected = optimizer.optimize([describe()], [ball()], on_state=states.append, state_every=9)[0]
    assert [state["iterations"] for state in states] == [9, 18]
    found = optimizer.optimize([describe()], [ball()], state=states[0])[0]
    assert found.images[0].tobytes() == expected.images[0].tobytes()
    with pytest.raises(StateError, match="of another process"):
        Optimizer(stripes(), method, "cpu").optimize([describe()], [ball()], state=states[0])
    optimizer._stop.set()  # which another process may hear of an iteration later
    with pytest.raises(KeyboardInterrupt):
        optimizer.optimize([describe()], [ball()], on_state=states.append)
    assert len(states) == 2
