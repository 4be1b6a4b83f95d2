"""From viewpoints to what the losses need of them."""

from collections.abc import Sequence

from usdstylize import render
from usdstylize.losses import Objective, Target
from usdstylize.optimize.memory import Allotment, moved
from usdstylize.optimize.stopwatch import Stopwatch
from usdstylize.optimize.texels import Seen
from usdstylize.optimize.viewpoints import Scene, Viewpoint

__all__ = ["Targets"]


class Targets:
    """Looks at a scene, and keeps in mind which texels were seen, and from how far.

    levels: the mip level of every view that the batches hold and that shows something.
    """

    def __init__(
        self, objective: Objective, scene: Scene, allotment: Allotment, device: str, clock: Stopwatch
    ) -> None:
        self._objective, self._scene, self._allotment = objective, scene, allotment
        self._device, self._clock = device, clock
        self._on_host = allotment.pool_on_host and scene.method.view_pool > 0
        self.seen = Seen(len(scene.assembly.sheets), scene.method.texture_resolution, device)
        self.levels: list[float] = []

    def pooled(self, viewpoints: Sequence[Viewpoint]) -> list[Target]:
        """A batch of views, where the pool lies."""
        views = self._scene.views(viewpoints)
        self.levels.extend(view.level for view in views if len(view.pixels))
        self.seen.add(views)
        self._clock.lap("visibility")
        found = self._targets(views)
        self._clock.lap("targets")
        return moved(found, "cpu") if self._on_host else found

    def at_hand(self, batch: list[Target]) -> list[Target]:
        """A batch of the pool, where it is computed with."""
        return moved(batch, self._device) if self._on_host else batch

    def apart(self, viewpoints: Sequence[Viewpoint]) -> list[Target]:
        """Views that no batch holds; they do not count as seen."""
        return self._targets(self._scene.views(viewpoints))

    def _targets(self, views: Sequence[render.View]) -> list[Target]:
        """As many views at a time as in an iteration, so that it fits as that does."""
        size = self._allotment.views_at_once
        parts = [views[start : start + size] for start in range(0, len(views), size)]
        return [target for part in parts for target in self._objective.targets(part)]
