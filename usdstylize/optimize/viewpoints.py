"""A group of objects and its viewpoints: random cameras with lights, or windows of the flat texture."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize import render
from usdstylize.config.method import Method
from usdstylize.model.objects import StageCamera, StageObject
from usdstylize.optimize.field import Field
from usdstylize.optimize.framing import Framing
from usdstylize.optimize.sheet_texels import SheetTexels

__all__ = ["Scene", "Viewpoint"]

Viewpoint = render.Camera | render.Window


@dataclass(frozen=True, eq=False)
class Scene:
    """A group of objects, ready to be rendered.

    first: gives the group its path, its name and its random numbers. covered: (S, R, R) bool, per
    sheet the texels that the UVs cover. field: makes T_S of its parameters; None where texels are optimised
    that all have one size.
    cameras: the stage's own. kept: as `Objective.targets` takes it. masks: (S, R, R, 1) float32, 0..1, where
    T_S shows; None where it does everywhere.
    """

    first: StageObject
    framing: Framing
    assembly: render.Assembly
    subject: render.Subject
    visibility: render.Visibility
    covered: NDArray[np.bool_]
    field: Field | SheetTexels | None = None
    cameras: Sequence[StageCamera] = ()
    kept: Tensor | None = None
    masks: Tensor | None = None

    @property
    def method(self) -> Method:
        """The run's, framed for these objects."""
        return self.framing.method

    def texels_at(self, size: int) -> tuple[Tensor, NDArray[np.bool_]]:
        """T of each sheet (S, size, size, 3) float32, sRGB-encoded; and which texels are to be stylised."""
        sheets = range(len(self.covered))
        bases = torch.stack([self.subject.base_at(sheet, (size, size)).cpu() for sheet in sheets])
        covered = torch.from_numpy(self.covered)
        masked = covered if self.masks is None else covered & (self.masks[..., 0] > 0)
        chosen = masked if masked.any() else covered
        shown = F.adaptive_max_pool2d(chosen[:, None].float(), size)[:, 0] > 0
        return bases, shown.numpy()

    def kept_at(self, size: int) -> Tensor:
        """(S, size, size, 1) float32, 0..1: how much of each texel stays as it was drawn, in new colours."""
        full, _ = self.subject.style_size
        assert self.kept is not None
        finest = self.kept[:, -1].view(len(self.covered), -1, 1)[:, : full * full].cpu()
        return F.adaptive_avg_pool2d(finest.view(-1, 1, full, full), size).permute(0, 2, 3, 1)

    def random(self, *purpose: int) -> np.random.Generator:
        """The name is part of the seed: neither order nor mask changes an object's result."""
        return np.random.default_rng([self.method.seed, zlib.crc32(self.first.name.encode()), *purpose])

    def draw(self, random: np.random.Generator) -> Iterator[Viewpoint]:
        """Endless random viewpoints."""
        if self.method.direct_texture:
            return render.draw_windows(list(self.covered), self.method.resolution, random)
        if self.method.views == "scene" and self.assembly.object_of_triangle is not None:
            return render.draw_scene(self.assembly, self.cameras, self.method, random)
        if self.method.window:
            return render.draw_coverings(self.assembly.mesh, self.method, random)
        return render.draw_cameras(self.method, random)

    def views(self, viewpoints: Sequence[Viewpoint]) -> list[render.View]:
        """The view of each, in the slot that is its place in the list."""
        cameras = [viewpoint for viewpoint in viewpoints if isinstance(viewpoint, render.Camera)]
        if cameras:
            return render.trace_views(self.subject, self.visibility, cameras, self.method)
        windows = [viewpoint for viewpoint in viewpoints if isinstance(viewpoint, render.Window)]
        return [
            render.flat_view(self.subject, self.covered[window.sheet], window, self.method.resolution, slot)
            for slot, window in enumerate(windows)
        ]
