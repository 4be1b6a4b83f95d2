"""Makes targets of viewpoints: all that the losses compare their renders with."""

import math
from collections.abc import Sequence
from dataclasses import replace

from usdstylize import render
from usdstylize.losses import Objective, Target
from usdstylize.optimize.memory import Allotment, moved
from usdstylize.optimize.stopwatch import Stopwatch
from usdstylize.optimize.texels import Seen
from usdstylize.optimize.viewpoints import Scene, Viewpoint

__all__ = ["Targets"]


class Targets:
    """Makes targets of a scene's viewpoints, and records which texels were seen, and how coarsely.

    levels: the mip level of every view of a batch that shows something.
    """

    def __init__(
        self, objective: Objective, scene: Scene, allotment: Allotment, device: str, clock: Stopwatch
    ) -> None:
        self._objective, self._scene, self._allotment = objective, scene, allotment
        self._device, self._clock = device, clock
        self._on_host = allotment.pool_on_host and scene.method.view_pool > 0
        # Windows are all surface, and what they are compared with is most of a CPU's memory.
        self._in_half = device == "cpu" and scene.method.window > 0
        size, sizes = scene.method.texture_resolution, scene.framing.sizes
        coarser = [round(math.log2(size / own)) for own in sizes]
        self.seen = Seen(len(sizes), size, device, coarser)
        self.levels: list[float] = []

    def of_batch(self, viewpoints: Sequence[Viewpoint]) -> list[Target]:
        """A batch, which counts as seen; in the memory where the pool lies."""
        views = self._scene.views(viewpoints)
        self.levels.extend(view.level for view in views if len(view.pixels))
        self.seen.add(views)
        self._clock.lap("visibility")
        found = self._targets(views)
        self._clock.lap("targets")
        return moved(found, "cpu") if self._on_host else found

    def on_device(self, batch: list[Target]) -> list[Target]:
        """A batch of the pool on the device that computes."""
        return moved(batch, self._device) if self._on_host else batch

    def for_validation(self, viewpoints: Sequence[Viewpoint]) -> list[Target]:
        """Views that are in no batch, and do not count as seen."""
        return self._targets(self._scene.views(viewpoints))

    def _targets(self, views: Sequence[render.View]) -> list[Target]:
        """Made for as many views at a time as an iteration compares, so that both fit into memory."""
        size, border = self._allotment.views_at_once, self._scene.method.border
        parts = [views[start : start + size] for start in range(0, len(views), size)]
        return [
            replace(target, original=[rows.half() for rows in target.original]) if self._in_half else target
            for part in parts
            for target in self._objective.targets(part, border, self._scene.kept)
        ]
