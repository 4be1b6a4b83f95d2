"""One optimisation of a scene: its views, its iterations, its textures."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.config.method import Method
from usdstylize.errors import MeshError, StateError
from usdstylize.imaging import gutters
from usdstylize.losses import Objective, Target, TextureTerm
from usdstylize.model.objects import Framed, Losses, StyleTexture
from usdstylize.model.results import plain
from usdstylize.optimize.batches import Batches
from usdstylize.optimize.hierarchy import size_at
from usdstylize.optimize.memory import Allotment
from usdstylize.optimize.process_group import ProcessGroup
from usdstylize.optimize.reports import Reports, losses_of
from usdstylize.optimize.schedule import Schedule, exponential, weights_at
from usdstylize.optimize.sheet_texels import base_texels, shrunk
from usdstylize.optimize.start import start_colors, start_field
from usdstylize.optimize.state import State
from usdstylize.optimize.steps import new_step
from usdstylize.optimize.stopwatch import Stopwatch
from usdstylize.optimize.targets import Targets
from usdstylize.optimize.texels import every_texel, palette_texels
from usdstylize.optimize.threads import Cores
from usdstylize.optimize.viewpoints import Scene

__all__ = ["Run"]

_VALIDATION_VIEWS = 8
"""Views that decide when to stop."""
_REPORT_EVERY = 5
"""Iterations between two reports."""
_AGREE_EVERY = 20
"""Iterations after which each process asks whether another has failed."""
_WHOLE_OBJECT = 2.0
"""Radii that a pattern spans about, where each object is seen as a whole."""
_MEAN_OF = 10
"""Last iterations whose mean losses are the result's."""


class Run:
    """The views of a scene, and T_S at its current iteration; `iterate` once, then `textures`.

    Processes that share batches do the same iterations, each with its own views.
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
        cores: Cores,
    ) -> None:
        """Draws the views. Raises MeshError where none of them sees the objects."""
        self._objective, self._method, self._device = objective, method, device
        self._process_group, self._scene = process_group, scene
        self._allotment, self._clock = allotment, clock
        self._share = method.batch // process_group.share.count
        # Nothing that refers to views may refer to this run: then all memory is free as soon as it ends.
        self._targets = Targets(objective, scene, allotment, device, clock)
        random = scene.random()
        with process_group.agreed():
            self._batches = Batches(
                method, random, scene.draw(random), self._targets.of_batch, process_group.share
            )
            # Where there is no pool, it is the first batch that shows how coarse the views are.
            self._first: list[Target] | None = next(self._batches)
        levels = process_group.gathered(self._targets.levels)
        if not levels:
            raise MeshError(f"{scene.first.path}: it is invisible from every side; check its geometry.")
        with process_group.agreed():
            self._step = new_step(
                objective,
                scene.subject,
                every_texel(scene.subject, scene.covered, device)
                if method.palette_everywhere
                else palette_texels(scene.subject, scene.covered, self._levels(levels), device),
                len(scene.assembly.sheets),
                size_at(method, 1),
                self._batches.pool,
                start=self._start(),
                smooth=method.smooth,
                views_at_once=0 if allotment.views_at_once == method.batch else allotment.views_at_once,
                reduce=process_group.reduce,
                field=scene.field,
                masks=scene.masks,
                parts_at_once=cores.parts_at_once,
            )
            self._validation = self._validation_targets() if method.plateau else []
        self._names = [term.name for term in objective.terms]
        self._schedule = Schedule(method.iterations, plateau=method.plateau)
        self._number = 0
        self._recent: deque[Tensor] = deque(maxlen=_MEAN_OF)

    def _levels(self, of_views: Sequence[float]) -> list[float]:
        """The mip level at which each sheet's T_S is seen; of_views: that of each view."""
        framing = self._scene.framing
        whole = framing.method.texture_resolution
        if set(framing.sizes) == {whole}:
            return [float(np.median(of_views))] * len(framing.sizes)
        return [math.log2(whole / size) for size in framing.sizes]

    def _start(self) -> Tensor | None:
        """Where T_S begins; None for 0."""
        scene, method, style = self._scene, self._method, self._objective.style_set
        share = method.start_field
        if not (scene.framing.width and share) and not method.color_start:
            return None
        size = size_at(method, 1)
        width = scene.framing.width or _WHOLE_OBJECT
        start = start_field(scene.assembly, style, width, share, size, method.seed)
        if not method.color_start:
            return start
        bases, covered = scene.texels_at(size)
        colored = start_colors(
            scene.assembly,
            bases,
            start,
            covered,
            style,
            method.color_start,
            method.seed,
            kept_light=method.keep_light,
        )
        return colored if scene.kept is None else colored * (1 - scene.kept_at(size))

    def iterate(
        self,
        stopped: Callable[[], bool],
        on_iteration: Callable[[int, Losses], None],
        on_state: Callable[[State], None] | None = None,
        state_every: int = 0,
    ) -> tuple[int, Losses]:
        """Bring T_S to the style: how many iterations that took, and the mean losses of the last ten.

        on_state, state_every: see `Optimizer.optimize`.

        Raises MeshError where the losses are not finite, KeyboardInterrupt where ``stopped`` returns True.
        """
        step, schedule, process_group = self._step, self._schedule, self._process_group
        reports = Reports(self._names, on_iteration)
        while self._number < schedule.last:
            if stopped():
                if on_state is not None and process_group.share.count == 1:
                    reports.close()
                    on_state(self.state_dict())
                raise KeyboardInterrupt
            self._iterate_once()
            number, ended = self._number, self._number == schedule.last
            if number % _REPORT_EVERY == 0 or ended:
                reports.add(number, self._recent[-1])
            due = on_state is not None and state_every > 0 and number % state_every == 0 and not ended
            if (number % _AGREE_EVERY == 0 or ended or due) and step.any_failed():
                process_group.settle(step.failure)
            self._clock.lap("iterations")
            if on_state is not None and due:
                reports.close()
                on_state(self.state_dict())
        reports.close()
        self._targets.seen.join(process_group.reduce)
        if step.failure is not None:
            raise step.failure
        losses = losses_of(self._names, torch.stack(list(self._recent)).mean(0))
        if not np.isfinite(losses.total):
            path = self._scene.first.path
            raise MeshError(f"{path}: the optimisation did not converge; try another --seed.")
        return self._number, losses

    def _iterate_once(self) -> None:
        self._number += 1
        number, method, step, schedule = self._number, self._method, self._step, self._schedule
        batch = step.guarded(self._next_batch) or []
        step.guarded(partial(step.grow, size_at(method, number)))
        progress = schedule.progress(number)
        weights = weights_at(self._objective.terms, method, progress)
        self._recent.append(step(batch, exponential(method.learning_rate, progress), weights))
        if schedule.waits:
            schedule.validate(number, self._validation_loss)

    def _next_batch(self) -> list[Target]:
        batch = next(self._batches) if self._first is None else self._first
        self._first = None
        return self._targets.on_device(batch)

    def state_dict(self) -> State:
        """All that the next iterations depend on and the arguments do not give; copies on the CPU."""
        return {
            "made_with": self._made_with(),
            "iterations": self._number,
            "views_at_once": self._allotment.views_at_once,
            "seconds": dict(self._clock.seconds),
            "schedule": self._schedule.state_dict(),
            "batches": self._batches.state_dict(),
            "step": self._step.state_dict(),
            "seen": self._targets.seen.state_dict(),
            "recent": torch.stack(list(self._recent)).cpu() if self._recent else torch.zeros(0),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from the `state_dict` of a run with the same arguments.

        Raises StateError where that run was of another object, method or process.
        """
        own, other = self._made_with(), state["made_with"]
        different = [name for name in own if own[name] != other.get(name)]
        if different:
            raise StateError(
                f"{self._scene.first.path}: the saved state is of another {different[0]}; "
                "delete it and begin anew."
            )
        self._number = state["iterations"]
        if self._number:
            self._first = None
        self._schedule.load_state_dict(state["schedule"])
        self._batches.load_state_dict(state["batches"])
        self._step.load_state_dict(state["step"])
        self._targets.seen.load_state_dict(state["seen"])
        self._recent.extend(state["recent"].to(self._device).unbind())

    def _made_with(self) -> dict[str, Any]:
        """What a state belongs to, as JSON values; an error about another one uses these names."""
        share = self._process_group.share
        return {
            "object": self._scene.first.name,
            "number of textures": len(self._scene.assembly.sheets),
            "method": plain(self._method),
            "list of loss terms": self._names,
            "process": [share.index, share.count],
        }

    def textures(self, iterations: int, losses: Losses) -> tuple[StyleTexture, ...]:
        """T_S of each object, the sum continued into its gutters; empty but in a group's first process.

        Raises MeshError where no camera sees any of the objects' texels.
        """
        scene, clock = self._scene, self._clock
        if self._process_group.share.index:
            return ()
        covered = scene.covered if scene.field is None else scene.field.shown
        valid = covered & self._targets.seen.texels(2 if self._method.smooth else 0)
        if not valid.any():
            path = scene.first.path
            raise MeshError(f"{path}: no camera sees any of its texels; check its normals and UVs.")
        sheets = scene.assembly.sheets
        full = self._step.texture.detach().cpu().numpy()
        filled = [
            gutters.dilate(own, seen, sheet.wrap)
            for own, seen, sheet in zip(full, valid, sheets, strict=True)
        ]
        if scene.masks is not None:
            for own, mask, unseen in zip(filled, scene.masks.numpy(), covered & ~valid, strict=True):
                own[unseen] *= mask[unseen]  # it may be black where a neighbour's, taken over here, is not
        images = [self._with_gutters(sheet, own) for sheet, own in enumerate(filled)]
        clock.lap("finish")
        windows = self._method.batch if self._method.window else 0
        views = len(self._batches.pool) * self._share
        remark = self._allotment.remark(
            min(self._share, scene.framing.views_at_once), views, self._device.startswith("cuda")
        )

        def texture(sheets: Sequence[int]) -> StyleTexture:
            own = list(sheets)
            return StyleTexture(
                images=tuple(images[sheet] for sheet in own),
                framed=Framed(images[own[0]].shape[0], scene.framing.pixel, windows),
                coverage=float(valid[own].sum() / max(1, covered[own].sum())),
                iterations=iterations,
                seed=self._method.seed,
                seconds=sum(clock.seconds.values()),
                losses=losses,
                stages=dict(clock.seconds),
                remarks=(*scene.framing.remarks_of(own), *((remark,) if remark else ())),
            )

        return tuple(texture(sheets) for sheets in scene.assembly.sheets_of_object)

    def _with_gutters(self, number: int, style: NDArray[np.float32]) -> NDArray[np.float32]:
        """T_S of one sheet at its own size; its gutters continue the sum, times the mask as everywhere."""
        scene, sheet = self._scene, self._scene.assembly.sheets[number]
        size = scene.framing.sizes[number]
        style = shrunk(style, size)
        if sheet.base.shape[:2] == (1, 1):  # T is one colour, in gutters, too
            return style
        touched = F.adaptive_max_pool2d(torch.from_numpy(scene.covered[number])[None, None].float(), size)
        covered = touched[0, 0].numpy() > 0
        base = base_texels(sheet, size)
        base_texel = size / min(sheet.base.shape[:2])
        uvs = scene.assembly.uvs_of(number)
        continued = gutters.continue_sum(style, base, uvs, covered, sheet.wrap, base_texel)
        if scene.masks is None:
            return continued
        mask = shrunk(scene.masks[number].numpy(), size)
        return np.where(continued == style, style, mask * continued)

    def _validation_targets(self) -> list[Target]:
        """Views that are in no batch, to see when the loss stops falling; this process's share of them."""
        viewpoints = list(islice(self._scene.draw(self._scene.random(1)), _VALIDATION_VIEWS))
        share = self._process_group.share
        return self._targets.for_validation(viewpoints[share.index :: share.count])

    def _validation_loss(self) -> float:
        weights = weights_at(self._objective.terms, self._method, 0.0)
        if self._process_group.share.index:  # the texture is the same for all, and the first counts it
            weights |= {term.name: 0.0 for term in self._objective.terms if isinstance(term, TextureTerm)}
        # Summed exactly: the same for any number of processes.
        return math.fsum(self._process_group.gathered(self._step.losses(self._validation, weights)))
