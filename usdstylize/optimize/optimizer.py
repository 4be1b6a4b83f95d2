"""From an object, or a group of them, to its style texture."""

import copy
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from usdstylize import atlas, render
from usdstylize.errors import MeshError
from usdstylize.losses.objective import Objective, Target
from usdstylize.objects import Losses, ObjectData, StageObject, StyleSet, StyleTexture
from usdstylize.optimize.batches import Batches
from usdstylize.optimize.devices import computing, memory_errors
from usdstylize.optimize.hierarchy import size_at
from usdstylize.optimize.looks import Look, Scene
from usdstylize.optimize.reports import Reports
from usdstylize.optimize.schedule import Schedule, exponential
from usdstylize.optimize.step import new_step
from usdstylize.optimize.texels import Seen, palette_texels
from usdstylize.options import Method

__all__ = ["Optimizer"]

_HELD_OUT = 8
"""Views that tell when to stop."""
_TELL_EVERY = 5
"""Iterations between two reports."""


def _key(style: StyleSet, method: Method) -> tuple[int, int]:
    """What tells one objective of a run from another: the seed only where it chooses style features."""
    return id(style), method.seed if method.style_keys else 0


class Optimizer:
    """Holds the objective (networks and style features), which every object of a run shares."""

    def __init__(self, style: StyleSet, method: Method, device: str, *, weights: Path | None = None) -> None:
        """Raises WeightsError where the method's networks have no weights."""
        self.method = method
        self._device = device
        self._objective = Objective(style, method, device, weights=weights)
        self._objectives = {_key(style, method): self._objective}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def restyled(self, style: StyleSet, method: Method) -> "Optimizer":
        """This with an object's own style, seed, texture resolution or cameras; the rest is shared.

        What stops `each` of the one stops the other, too. ``style`` is to be the same instance
        for the same style.
        """
        other = copy.copy(self)
        other.method = method
        with self._lock:
            key = _key(style, method)
            if key not in self._objectives:
                self._objectives[key] = self._objective.restyled(style, method)
            other._objective = self._objectives[key]
        return other

    def each(
        self,
        groups: Sequence[tuple[StageObject, ...]],
        work: Callable[[tuple[StageObject, ...]], None],
    ) -> None:
        """Call ``work``, which calls `optimize`, for every group; on a CPU for several at a time.

        Many small steps leave cores idle that another object can use. How many threads compute
        one object depends on the machine alone, so that a mask does not change a result.

        Raises what ``work`` raises, KeyboardInterrupt included, once every object at hand has
        stopped; objects not yet begun are not begun.
        """
        cores = render.available_cores()
        at_once = min(cores, self.method.objects_at_once) if self._device == "cpu" else 1
        if at_once == 1:
            for group in groups:
                work(group)
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, cores // at_once))
        pool = ThreadPoolExecutor(at_once)
        try:
            # As they end, not in order: what one object raises must not wait for a longer one.
            for future in as_completed([pool.submit(work, group) for group in groups]):
                future.result()
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
            self._stop.clear()

    @memory_errors()
    def optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        *,
        on_iteration: Callable[[int, Losses], None] = lambda number, losses: None,
    ) -> tuple[StyleTexture, ...]:
        """The style texture of each object of one group, which stand together before the cameras.

        The same for the same seed, objects and device. Objects of one look get the same texture.

        Raises MeshError where no camera sees the objects or the losses are not finite, and
        MemoryError where the device's or the machine's memory is too small.
        """
        with computing(self._device):
            return self._optimize(objects, data, on_iteration)

    def _optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        on_iteration: Callable[[int, Losses], None],
    ) -> tuple[StyleTexture, ...]:
        method, device, size = self.method, self._device, self.method.texture_resolution
        clock = _Stopwatch()
        path = objects[0].path
        assembly = render.assemble(objects, data)
        subject = render.Subject(assembly, (size, size), device)
        mesh = assembly.mesh
        visibility = render.choose_visibility(method.visibility, mesh.points, mesh.triangles, device)
        covered = np.stack(
            [
                atlas.covered_texels(assembly.uvs_of(number), sheet.wrap, size)
                for number, sheet in enumerate(assembly.sheets)
            ]
        )
        clock.lap("setup")

        # The name is part of the seed: neither order nor mask changes an object's result.
        random = np.random.default_rng([method.seed, zlib.crc32(objects[0].name.encode())])
        seen = Seen(len(assembly.sheets), size, device)
        levels: list[float] = []

        scene = Scene(method, subject, visibility, covered)

        def targets(looks: Sequence[Look]) -> list[Target]:
            views = scene.views(looks)
            levels.extend(view.level for view in views if len(view.pixels))
            seen.add(views)
            clock.lap("visibility")
            found = self._objective.targets(views)
            clock.lap("targets")
            return found

        batches = Batches(method, random, scene.draw(random), targets)
        upcoming = iter(batches)
        first = next(upcoming)
        if not levels:
            raise MeshError(f"{path}: it is invisible from every side; check its geometry.")
        texels = palette_texels(subject, covered, float(np.median(levels)), device)
        first_size = size_at(method, 1)
        step = new_step(self._objective, subject, texels, len(assembly.sheets), first_size, batches.pool)
        schedule = Schedule(method.iterations, plateau=method.plateau)
        others = self._held_out(objects[0].name, scene) if method.plateau else []
        recent: deque[Tensor] = deque(maxlen=10)
        reports = Reports(on_iteration)
        number = 0
        for batch in chain([first], upcoming):
            number += 1
            if self._stop.is_set():
                raise KeyboardInterrupt
            step.grow(size_at(method, number))
            progress = schedule.progress(number)
            palette_weight = exponential(method.palette_weight, progress)
            recent.append(step(batch, exponential(method.learning_rate, progress), palette_weight))
            if schedule.waits:
                schedule.look(number, lambda: float(step.loss(others, method.palette_weight[0])))
            if number % _TELL_EVERY == 0 or number == schedule.last:
                reports.add(number, recent[-1])
            clock.lap("iterations")
            if number == schedule.last:
                break
        reports.close()
        losses = Losses(*torch.stack(list(recent)).mean(0).tolist())
        if not np.isfinite(losses.total):
            raise MeshError(f"{path}: the optimisation did not converge; try another --seed.")

        valid = covered & seen.texels()
        if not valid.any():
            raise MeshError(f"{path}: no camera sees any of its texels; check its normals and UVs.")
        images = [
            atlas.dilate(image, texels_seen, sheet.wrap)
            for image, texels_seen, sheet in zip(
                step.texture.detach().cpu().numpy(), valid, assembly.sheets, strict=True
            )
        ]
        clock.lap("finish")

        def texture(sheets: Sequence[int]) -> StyleTexture:
            own = list(sheets)
            return StyleTexture(
                images=tuple(images[sheet] for sheet in own),
                coverage=float(valid[own].sum() / max(1, covered[own].sum())),
                iterations=number,
                seed=method.seed,
                seconds=sum(clock.seconds.values()),
                losses=losses,
                stages=dict(clock.seconds),
            )

        return tuple(texture(sheets) for sheets in assembly.sheets_of_object)

    def _held_out(self, name: str, scene: Scene) -> list[Target]:
        """Views that no batch holds, which tell when the loss has stopped falling."""
        random = np.random.default_rng([self.method.seed, zlib.crc32(name.encode()), 1])
        return self._objective.targets(scene.views(list(islice(scene.draw(random), _HELD_OUT))))


class _Stopwatch:
    """Adds up host seconds by name; a lap ends what ran since the lap before.

    On a CUDA device work is asynchronous, and laps tell only when it was queued.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
