"""Objects side by side: how many at a time, with how many threads, and what happens when one fails."""

import dataclasses
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from traceback import walk_stack
from typing import Any

import pytest
from balls import METHOD, describe
from conftest import HANG_SECONDS

from usdstylize.optimize.threads import Cores, concurrent_objects, side_by_side, threads_per_object

GROUPS: list[Any] = [(describe(f"World__{number}"),) for number in range(12)]


@pytest.mark.parametrize(
    ("cores", "most", "device", "at_once", "threads"),
    [
        (1, 4, "cpu", 1, 0),
        (2, 4, "cpu", 3, 1),  # one more than there are cores
        (8, 4, "cpu", 4, 2),
        (16, 4, "cpu", 4, 4),
        (8, 1, "cpu", 1, 0),
        (8, 4, "cuda", 1, 0),
    ],
)
def test_objects_and_threads_fit_the_cores(
    cores: int, most: int, device: str, at_once: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    method = dataclasses.replace(METHOD, objects_at_once=most)
    assert (concurrent_objects(method, device), threads_per_object(method, device)) == (at_once, threads)


def test_as_many_as_are_asked_for_are_under_way_and_no_more() -> None:
    """Each waits until two others are there, and until they see it: with fewer at a time none would end."""
    together, lock = threading.Barrier(3, timeout=HANG_SECONDS), threading.Lock()
    under_way: set[str] = set()
    done: list[str] = []

    def work(group: Any) -> None:
        name = group[0].name
        with lock:
            under_way.add(name)
            assert len(under_way) <= 3
        together.wait()
        together.wait()
        with lock:
            under_way.remove(name)
            done.append(name)

    side_by_side(3, GROUPS, work, together.abort)
    assert sorted(done) == sorted(group[0].name for group in GROUPS)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_one_raises_stops_the_others_and_begins_no_more(kind: type[BaseException]) -> None:
    """The second fails once the first is under way; all others end when they are asked to, no sooner."""
    under_way, stopped, begun = threading.Event(), threading.Event(), []

    def work(group: Any) -> None:
        begun.append(group)
        if group is GROUPS[1]:
            assert under_way.wait(HANG_SECONDS)
            raise kind("of our own making")
        under_way.set()
        assert stopped.wait(HANG_SECONDS)

    def stop() -> None:
        stopped.set()
        # Until all threads have ended, or have had time to begin all that they may.
        while threading.active_count() > before and len(begun) < len(GROUPS):
            pass

    before = threading.active_count()
    with pytest.raises(kind, match="of our own making"):
        side_by_side(2, GROUPS, work, stop)
    # The thread of the one that failed may have begun the third before that was known.
    assert all(group in GROUPS[:3] for group in begun)


def test_cores_that_no_object_uses_are_for_the_parts_of_the_others() -> None:
    cores, found = Cores(), []
    with cores.object_under_way():
        found.append(cores.parts_at_once())  # none are lent
        with cores.lent(4):
            found.append(cores.parts_at_once())
            with cores.object_under_way():
                found.append(cores.parts_at_once())
                with cores.object_under_way(), cores.object_under_way(), cores.object_under_way():
                    found.append(cores.parts_at_once())
            with pytest.raises(ValueError, match="own"), cores.object_under_way():
                raise ValueError("of our own making")
            found.append(cores.parts_at_once())
        found.append(cores.parts_at_once())
    assert found == [1, 4, 2, 1, 4, 1]


def waits_for_all(thread: threading.Thread) -> bool:
    """Whether it waits for what is under way, having begun all that it may."""
    assert thread.ident is not None
    frame = sys._current_frames()[thread.ident]
    waits = frame.f_code is threading.Condition.wait.__code__
    submits = any(frame.f_code is ThreadPoolExecutor.submit.__code__ for frame, _ in walk_stack(frame))
    return waits and not submits


def test_an_interrupt_is_noticed_though_another_thread_takes_it() -> None:
    """As good as right before the main thread waits: its wait is not ended, and no object ends by itself."""
    stopped, asked = threading.Event(), []

    def work(group: Any) -> None:
        if group is GROUPS[0]:
            while not waits_for_all(threading.main_thread()):
                pass
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        asked.append(stopped.wait(60))  # only ends what would never end

    with pytest.raises(KeyboardInterrupt):
        side_by_side(2, GROUPS, work, stopped.set)
    assert all(asked)
