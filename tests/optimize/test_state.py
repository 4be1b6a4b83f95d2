"""An optimisation that is stopped and continues from a file: the same bits as one that never was."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from balls import METHOD, ball, describe, stripes

from usdstylize.config.options import Method
from usdstylize.errors import StateError
from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.optimize import Optimizer, State, load_state, save_state

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
