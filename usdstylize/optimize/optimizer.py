"""Optimises the style texture of an object, or those of a group."""

import copy
import gc
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from usdstylize import interrupts, render
from usdstylize.config.method import Method
from usdstylize.imaging import uv_raster
from usdstylize.losses import Objective
from usdstylize.model.objects import Losses, ObjectData, StageCamera, StageObject, StyleSet, StyleTexture
from usdstylize.optimize.detail import kept_drawing, painted_masks
from usdstylize.optimize.devices import computing, memory_errors
from usdstylize.optimize.field import Field
from usdstylize.optimize.framing import frame
from usdstylize.optimize.memory import (
    Allotment,
    allot,
    available_bytes,
    bytes_for_view,
    limit_memory,
    tensor_bytes,
)
from usdstylize.optimize.process_group import ALONE, ProcessGroup
from usdstylize.optimize.run import Run
from usdstylize.optimize.sheet_texels import SheetTexels
from usdstylize.optimize.state import State
from usdstylize.optimize.stopwatch import Stopwatch
from usdstylize.optimize.threads import Cores, concurrent_objects, side_by_side, threads_per_object
from usdstylize.optimize.viewpoints import Scene

__all__ = ["Optimizer"]


def _key(style: StyleSet, method: Method) -> tuple[int, int]:
    """Equal for equal objectives: they depend on the style, and on the seed if it chooses style features."""
    return id(style), method.seed if method.style_keys else 0


class Optimizer:
    """The objective (networks and style features), which every object of a run shares."""

    def __init__(
        self,
        style: StyleSet,
        method: Method,
        device: str,
        *,
        weights: Path | None = None,
        memory_limit: float | None = None,
        process_group: ProcessGroup = ALONE,
    ) -> None:
        """memory_limit: GiB, see `available_bytes`. process_group: who shares every batch.

        Raises WeightsError where the method's networks have no weights.
        """
        self.method = method
        self._device = device
        self._memory_limit = memory_limit
        limit_memory(memory_limit, device)
        self._process_group = process_group
        self._at_once = concurrent_objects(method, device) if process_group.share.count == 1 else 1
        self._objective = Objective(style, method, device, weights=weights)
        self._objectives = {_key(style, method): self._objective}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._cores = Cores()

    def restyled(self, style: StyleSet, method: Method) -> "Optimizer":
        """This with an object's own style, seed, texture resolution or cameras; the rest is shared.

        Whatever stops `each` of one stops that of the other. Pass the same instance of ``style`` for
        the same style.
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

        Raises what ``work`` raises, KeyboardInterrupt included, once every object that has begun
        has stopped; the others are not begun.
        """
        if self._at_once == 1:
            for group in groups:
                work(group)
            return

        def counted(group: tuple[StageObject, ...]) -> None:
            with self._cores.object_under_way():
                work(group)

        threads, own = torch.get_num_threads(), threads_per_object(self.method, self._device)
        torch.set_num_threads(own)
        try:
            # No more than objects, among whom a memory limit is divided.
            with self._cores.lent(min(self._at_once, render.available_cores() // own)):
                side_by_side(self._at_once, groups, counted, self._stop.set)
        finally:
            torch.set_num_threads(threads)
            self._stop.clear()

    @memory_errors()
    def optimize(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        *,
        cameras: Sequence[StageCamera] = (),
        on_iteration: Callable[[int, Losses], None] = lambda number, losses: None,
        state: State | None = None,
        on_state: Callable[[State], None] | None = None,
        state_every: int = 0,
    ) -> tuple[StyleTexture, ...]:
        """The style texture of each object of one group, which are rendered together.

        The same for the same seed, objects and device. Objects of one look get the same texture.
        cameras: the stage's own, from which several objects are also seen together (``Method.views``).

        on_state: gets the state after every ``state_every`` iterations (0: never), and where the
        optimisation is stopped, right before its KeyboardInterrupt. state: one of these, from which it
        continues: the result has the same bits as if it had never been stopped. To keep one, pass
        ``on_state=partial(save_state, path)``, and ``state=load_state(path)`` another time. Each process
        of a process group has a state of its own; all must be given the same ``state_every``, and get
        none when they are stopped.

        Raises MeshError where no camera sees the objects or the losses are not finite, StateError where
        ``state`` is of another object or method, and MemoryError where the device's or the machine's
        memory is too small.
        """
        with computing(self._device):
            self._process_group.use(self._device)
            clock = Stopwatch(state["seconds"] if state else None)
            with self._process_group.agreed():
                scene = self._set_up(objects, data, cameras)
                allotment = self._allotted(scene)
            wanted = state["views_at_once"] if state else allotment.views_at_once
            views_at_once = min(map(int, self._process_group.gathered([wanted])))
            allotment = replace(allotment, views_at_once=views_at_once)
            clock.lap("setup")
            while True:
                try:
                    return self._attempt(scene, allotment, clock, on_iteration, state, on_state, state_every)
                except MemoryError:
                    if allotment.views_at_once == 1:
                        raise
                # The error's trace refers to the failed attempt; its memory must be free before the next.
                gc.collect()
                allotment = allotment.halved()

    @memory_errors()
    def _attempt(
        self,
        scene: Scene,
        allotment: Allotment,
        clock: Stopwatch,
        on_iteration: Callable[[int, Losses], None],
        state: State | None,
        on_state: Callable[[State], None] | None,
        state_every: int,
    ) -> tuple[StyleTexture, ...]:
        method, process_group = scene.method, self._process_group
        run = Run(self._objective, method, self._device, process_group, scene, allotment, clock, self._cores)
        if state is not None:
            run.load_state_dict(state)
        return run.textures(*run.iterate(self._stops, on_iteration, on_state, state_every))

    def _stops(self) -> bool:
        """Whether another object has ended the run, or a signal does: read between iterations."""
        return self._stop.is_set() or interrupts.requested()

    def _set_up(
        self,
        objects: Sequence[StageObject],
        data: Sequence[ObjectData],
        cameras: Sequence[StageCamera],
    ) -> Scene:
        device = self._device
        assembly = render.assemble(objects, data)
        framing = frame(self.method, assembly, self._process_group.share.count, len(cameras))
        method, mesh, size = framing.method, assembly.mesh, framing.method.texture_resolution
        subject = render.Subject(assembly, (size, size), device)
        covered = [
            uv_raster.covered_texels(assembly.uvs_of(number), sheet.wrap, size)
            for number, sheet in enumerate(assembly.sheets)
        ]
        masks = painted_masks(assembly, np.stack(covered))
        field: Field | SheetTexels | None = None
        if method.field:
            field = Field(assembly, size, device)
        elif len(set(framing.sizes)) > 1:
            field = SheetTexels(framing.sizes, subject.wraps, np.stack(covered), device)
        return Scene(
            objects[0],
            framing,
            assembly,
            subject,
            render.choose_visibility(
                method.visibility,
                mesh.points,
                mesh.triangles,
                device,
                assembly.object_of_triangle if method.views == "scene" else None,
            ),
            np.stack(covered),
            field,
            cameras,
            kept_drawing(assembly, subject, framing.pixel, method.keep_detail, masks),
            masks,
        )

    def _allotted(self, scene: Scene) -> Allotment:
        """How this process's share of every batch fits into memory."""

        def measure() -> tuple[int, int]:
            some = scene.views(list(islice(scene.draw(scene.random()), 1)))
            target = self._objective.targets(some, scene.method.border, scene.kept)[0]
            nothing = torch.zeros(*scene.covered.shape, 3, device=self._device)
            table = scene.subject.style_table(nothing)
            return bytes_for_view(self._objective, target, table), tensor_bytes(target)

        return allot(
            available_bytes(self._device, self._memory_limit, self._at_once),
            scene.method,
            share=scene.method.batch // self._process_group.share.count,
            at_once=scene.framing.views_at_once,
            sheets=len(scene.assembly.sheets),
            measure=measure,
        )
