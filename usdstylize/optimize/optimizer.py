"""From an object, or a group of them, to its style texture."""

import copy
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
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
from usdstylize.optimize.memory import (
    Allotment,
    allot,
    available_bytes,
    bytes_for_view,
    keep_to,
    moved,
    tensor_bytes,
)
from usdstylize.optimize.parallel import at_once_here, side_by_side, threads_of_one
from usdstylize.optimize.reports import Reports
from usdstylize.optimize.schedule import Schedule, exponential
from usdstylize.optimize.step import new_step
from usdstylize.optimize.stopwatch import Stopwatch
from usdstylize.optimize.team import ALONE, Team
from usdstylize.optimize.texels import Seen, palette_texels
from usdstylize.options import Method

__all__ = ["Optimizer"]

_HELD_OUT = 8
"""Views that tell when to stop."""
_TELL_EVERY = 5
"""Iterations between two reports."""
_AGREE_EVERY = 20
"""Iterations between two looks at whether another process has failed."""


def _key(style: StyleSet, method: Method) -> tuple[int, int]:
    """What tells one objective of a run from another: the seed only where it chooses style features."""
    return id(style), method.seed if method.style_keys else 0


class Optimizer:
    """Holds the objective (networks and style features), which every object of a run shares."""

    def __init__(
        self,
        style: StyleSet,
        method: Method,
        device: str,
        *,
        weights: Path | None = None,
        memory_limit: float | None = None,
        team: Team = ALONE,
    ) -> None:
        """memory_limit: GiB, see `available_bytes`. team: who shares every batch, its size a divisor.

        Raises WeightsError where the method's networks have no weights.
        """
        self.method = method
        self._device = device
        self._memory_limit = memory_limit
        keep_to(memory_limit, device)
        self._team = team
        self._at_once = at_once_here(method, device) if team.share.count == 1 else 1
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

        Raises what ``work`` raises, KeyboardInterrupt included, once every object at hand has
        stopped; objects not yet begun are not begun.
        """
        if self._at_once == 1:
            for group in groups:
                work(group)
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(threads_of_one(self.method, self._device))
        try:
            side_by_side(self._at_once, groups, work, self._stop.set)
        finally:
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
            self._team.use(self._device)
            clock = Stopwatch()
            with self._team.agreed():
                scene = self._set_up(objects, data)
                allotment = self._allotted(scene)
            views_at_once = min(map(int, self._team.gathered([allotment.views_at_once])))
            allotment = replace(allotment, views_at_once=views_at_once)
            clock.lap("setup")
            while True:
                try:
                    with memory_errors():
                        return self._run(scene, allotment, clock, on_iteration)
                except MemoryError:
                    if allotment.views_at_once == 1:
                        raise
                allotment = allotment.halved()

    def _set_up(self, objects: Sequence[StageObject], data: Sequence[ObjectData]) -> Scene:
        method, device, size = self.method, self._device, self.method.texture_resolution
        assembly = render.assemble(objects, data)
        mesh = assembly.mesh
        covered = [
            atlas.covered_texels(assembly.uvs_of(number), sheet.wrap, size)
            for number, sheet in enumerate(assembly.sheets)
        ]
        return Scene(
            objects[0],
            method,
            assembly,
            render.Subject(assembly, (size, size), device),
            render.choose_visibility(method.visibility, mesh.points, mesh.triangles, device),
            np.stack(covered),
        )

    def _allotted(self, scene: Scene) -> Allotment:
        """How this process's share of every batch fits into memory."""

        def measure() -> tuple[int, int]:
            target = self._objective.targets(scene.views(list(islice(scene.draw(scene.random()), 1))))[0]
            nothing = torch.zeros(*scene.covered.shape, 3, device=self._device)
            table = scene.subject.style_table(nothing)
            return bytes_for_view(self._objective, target, table), tensor_bytes(target)

        return allot(
            available_bytes(self._device, self._memory_limit, self._at_once),
            self.method,
            share=self.method.batch // self._team.share.count,
            sheets=len(scene.assembly.sheets),
            measure=measure,
        )

    def _run(
        self,
        scene: Scene,
        allotment: Allotment,
        clock: Stopwatch,
        on_iteration: Callable[[int, Losses], None],
    ) -> tuple[StyleTexture, ...]:
        method, device, team, path = self.method, self._device, self._team, scene.first.path
        share = method.batch // team.share.count
        on_host = allotment.pool_on_host and method.view_pool > 0
        random = scene.random()
        seen = Seen(len(scene.assembly.sheets), method.texture_resolution, device)
        levels: list[float] = []

        def targets(looks: Sequence[Look]) -> list[Target]:
            views = scene.views(looks)
            levels.extend(view.level for view in views if len(view.pixels))
            seen.add(views)
            clock.lap("visibility")
            found = self._targets_of(views, allotment)
            clock.lap("targets")
            return moved(found, "cpu") if on_host else found

        with team.agreed():
            batches = Batches(method, random, scene.draw(random), targets, team.share)
            endless = iter(batches)
            upcoming = chain([next(endless)], endless)
        levels = team.gathered(levels)
        if not levels:
            raise MeshError(f"{path}: it is invisible from every side; check its geometry.")
        with team.agreed():
            step = new_step(
                self._objective,
                scene.subject,
                palette_texels(scene.subject, scene.covered, float(np.median(levels)), device),
                len(scene.assembly.sheets),
                size_at(method, 1),
                batches.pool,
                views_at_once=0 if allotment.views_at_once == method.batch else allotment.views_at_once,
                reduce=team.reduce,
            )
            others = self._held_out(scene, allotment) if method.plateau else []
        schedule = Schedule(method.iterations, plateau=method.plateau)

        def drawn() -> list[Target]:
            batch = next(upcoming)
            return moved(batch, device) if on_host else batch

        def loss_of_others() -> float:
            weight = method.palette_weight[0] if team.share.index == 0 else 0.0
            # Summed exactly: the same for any number of processes.
            return math.fsum(team.gathered(step.losses(others, weight)))

        recent: deque[Tensor] = deque(maxlen=10)
        reports = Reports(on_iteration)
        number = 0
        while number < schedule.last:
            number += 1
            if self._stop.is_set():
                raise KeyboardInterrupt
            batch = step.held(drawn) or []
            step.held(partial(step.grow, size_at(method, number)))
            progress = schedule.progress(number)
            palette_weight = exponential(method.palette_weight, progress)
            recent.append(step(batch, exponential(method.learning_rate, progress), palette_weight))
            if schedule.waits:
                schedule.look(number, loss_of_others)
            if number % _TELL_EVERY == 0 or number == schedule.last:
                reports.add(number, recent[-1])
            if (number % _AGREE_EVERY == 0 or number == schedule.last) and step.any_failed():
                team.settle(step.failure)
            clock.lap("iterations")
        reports.close()
        seen.join(team.reduce)
        if step.failure is not None:
            raise step.failure
        losses = Losses(*torch.stack(list(recent)).mean(0).tolist())
        if not np.isfinite(losses.total):
            raise MeshError(f"{path}: the optimisation did not converge; try another --seed.")
        if team.share.index:  # the first process finishes it
            return ()
        valid = scene.covered & seen.texels()
        if not valid.any():
            raise MeshError(f"{path}: no camera sees any of its texels; check its normals and UVs.")
        images = [
            atlas.dilate(image, texels_seen, sheet.wrap)
            for image, texels_seen, sheet in zip(
                step.texture.detach().cpu().numpy(), valid, scene.assembly.sheets, strict=True
            )
        ]
        clock.lap("finish")
        remark = allotment.remark(share, len(batches.pool) * share, device.startswith("cuda"))

        def texture(sheets: Sequence[int]) -> StyleTexture:
            own = list(sheets)
            return StyleTexture(
                images=tuple(images[sheet] for sheet in own),
                coverage=float(valid[own].sum() / max(1, scene.covered[own].sum())),
                iterations=number,
                seed=method.seed,
                seconds=sum(clock.seconds.values()),
                losses=losses,
                stages=dict(clock.seconds),
                remarks=(remark,) if remark else (),
            )

        return tuple(texture(sheets) for sheets in scene.assembly.sheets_of_object)

    def _targets_of(self, views: Sequence[render.View], allotment: Allotment) -> list[Target]:
        """As many views at a time as in an iteration, so that it fits as that does."""
        size = allotment.views_at_once
        parts = [views[start : start + size] for start in range(0, len(views), size)]
        return [target for part in parts for target in self._objective.targets(part)]

    def _held_out(self, scene: Scene, allotment: Allotment) -> list[Target]:
        """Views that no batch holds, which tell when the loss has stopped falling; this process's share."""
        looks = list(islice(scene.draw(scene.random(1)), _HELD_OUT))
        share = self._team.share
        return self._targets_of(scene.views(looks[share.index :: share.count]), allotment)
