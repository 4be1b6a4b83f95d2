"""One optimisation of a scene: its views, its iterations, its textures."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from usdstylize.config.options import Method
from usdstylize.errors import MeshError
from usdstylize.imaging import gutters
from usdstylize.losses import Objective, Target, TextureTerm
from usdstylize.model.objects import Losses, StyleTexture
from usdstylize.optimize.batches import Batches
from usdstylize.optimize.hierarchy import size_at
from usdstylize.optimize.memory import Allotment
from usdstylize.optimize.process_group import ProcessGroup
from usdstylize.optimize.reports import Reports, losses_of
from usdstylize.optimize.schedule import Schedule, exponential, weights_at
from usdstylize.optimize.steps import new_step
from usdstylize.optimize.stopwatch import Stopwatch
from usdstylize.optimize.targets import Targets
from usdstylize.optimize.texels import every_texel, palette_texels
from usdstylize.optimize.viewpoints import Scene

__all__ = ["Run"]

_HELD_OUT = 8
"""Views that tell when to stop."""
_TELL_EVERY = 5
"""Iterations between two reports."""
_AGREE_EVERY = 20
"""Iterations between two viewpoints at whether another process has failed."""


class Run:
    """Holds the views of a scene and T_S as it becomes; `iterate` once, then `textures`.

    What several processes share they agree upon: each of them does the same, with its own views.
    """

    def __init__(
        self,
        objective: Objective,
        method: Method,
        device: str,
        process_group: ProcessGroup,
        scene: Scene,
        allotment: Allotment,
        clock: Stopwatch,
    ) -> None:
        """Draws the views. Raises MeshError where none of them sees the objects."""
        self._objective, self._method, self._device = objective, method, device
        self._process_group, self._scene, self._allotment, self._clock = (
            process_group,
            scene,
            allotment,
            clock,
        )
        self._share = method.batch // process_group.share.count
        # Nothing that holds views may hold this run: then all memory is free as soon as it ends.
        self._targets = Targets(objective, scene, allotment, device, clock)
        random = scene.random()
        with process_group.agreed():
            self._batches = Batches(
                method, random, scene.draw(random), self._targets.pooled, process_group.share
            )
            endless = iter(self._batches)
            self._upcoming = chain([next(endless)], endless)
        levels = process_group.gathered(self._targets.levels)
        if not levels:
            raise MeshError(f"{scene.first.path}: it is invisible from every side; check its geometry.")
        with process_group.agreed():
            self._step = new_step(
                objective,
                scene.subject,
                every_texel(scene.subject, scene.covered, device)
                if method.palette_everywhere
                else palette_texels(scene.subject, scene.covered, float(np.median(levels)), device),
                len(scene.assembly.sheets),
                size_at(method, 1),
                self._batches.pool,
                views_at_once=0 if allotment.views_at_once == method.batch else allotment.views_at_once,
                reduce=process_group.reduce,
            )
            self._others = self._held_out() if method.plateau else []

    def iterate(
        self, stopped: Callable[[], bool], on_iteration: Callable[[int, Losses], None]
    ) -> tuple[int, Losses]:
        """Bring T_S to the style: how many iterations that took, and the mean losses of the last ten.

        Raises MeshError where the losses are not finite, KeyboardInterrupt once ``stopped`` says so.
        """
        method, process_group, step = self._method, self._process_group, self._step
        schedule = Schedule(method.iterations, plateau=method.plateau)
        recent: deque[Tensor] = deque(maxlen=10)
        names = [term.name for term in self._objective.terms]
        reports = Reports(names, on_iteration)
        number = 0
        while number < schedule.last:
            number += 1
            if stopped():
                raise KeyboardInterrupt
            batch = step.held(lambda: self._targets.at_hand(next(self._upcoming))) or []
            step.held(partial(step.grow, size_at(method, number)))
            progress = schedule.progress(number)
            weights = weights_at(self._objective.terms, method, progress)
            recent.append(step(batch, exponential(method.learning_rate, progress), weights))
            if schedule.waits:
                schedule.validate(number, self._loss_of_others)
            if number % _TELL_EVERY == 0 or number == schedule.last:
                reports.add(number, recent[-1])
            if (number % _AGREE_EVERY == 0 or number == schedule.last) and step.any_failed():
                process_group.settle(step.failure)
            self._clock.lap("iterations")
        reports.close()
        self._targets.seen.join(process_group.reduce)
        if step.failure is not None:
            raise step.failure
        losses = losses_of(names, torch.stack(list(recent)).mean(0))
        if not np.isfinite(losses.total):
            path = self._scene.first.path
            raise MeshError(f"{path}: the optimisation did not converge; try another --seed.")
        return number, losses

    def textures(self, iterations: int, losses: Losses) -> tuple[StyleTexture, ...]:
        """T_S of each object, its gutters filled; none but from the first process of a process_group.

        Raises MeshError where no camera sees any of the objects' texels.
        """
        scene, clock = self._scene, self._clock
        if self._process_group.share.index:
            return ()
        valid = scene.covered & self._targets.seen.texels()
        if not valid.any():
            path = scene.first.path
            raise MeshError(f"{path}: no camera sees any of its texels; check its normals and UVs.")
        images = [
            gutters.dilate(image, texels_seen, sheet.wrap)
            for image, texels_seen, sheet in zip(
                self._step.texture.detach().cpu().numpy(), valid, scene.assembly.sheets, strict=True
            )
        ]
        clock.lap("finish")
        views = len(self._batches.pool) * self._share
        remark = self._allotment.remark(self._share, views, self._device.startswith("cuda"))

        def texture(sheets: Sequence[int]) -> StyleTexture:
            own = list(sheets)
            return StyleTexture(
                images=tuple(images[sheet] for sheet in own),
                coverage=float(valid[own].sum() / max(1, scene.covered[own].sum())),
                iterations=iterations,
                seed=self._method.seed,
                seconds=sum(clock.seconds.values()),
                losses=losses,
                stages=dict(clock.seconds),
                remarks=(remark,) if remark else (),
            )

        return tuple(texture(sheets) for sheets in scene.assembly.sheets_of_object)

    def _held_out(self) -> list[Target]:
        """Views that no batch holds, which tell when the loss has stopped falling; this process's share."""
        viewpoints = list(islice(self._scene.draw(self._scene.random(1)), _HELD_OUT))
        share = self._process_group.share
        return self._targets.apart(viewpoints[share.index :: share.count])

    def _loss_of_others(self) -> float:
        weights = weights_at(self._objective.terms, self._method, 0.0)
        if self._process_group.share.index:  # the texture is the same for all, and counted by the first
            in_texture = {t.name: 0.0 for t in self._objective.terms if isinstance(t, TextureTerm)}
            weights |= in_texture
        # Summed exactly: the same for any number of processes.
        return math.fsum(self._process_group.gathered(self._step.losses(self._others, weights)))
