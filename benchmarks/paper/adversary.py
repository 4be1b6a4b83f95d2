"""Noise too faint to be a style, optimised until a network takes it for one.

For the benchmark alone, to learn what the measure can be made to believe. Against the judge
itself it is the worst case that no product of ours comes near: no loss may use that network.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.baselines import baselines
from benchmarks.judge_network import GoogLeNet
from benchmarks.paper.cells import Run
from benchmarks.paper.subjects import PaperSubject
from usdstylize import render
from usdstylize.config.presets import PRESETS
from usdstylize.encoders.loading import load_encoder
from usdstylize.losses.objective import cover_crop
from usdstylize.model.objects import StyleSet

__all__ = ["Adversary"]

Float32 = NDArray[np.float32]
Maps = Callable[[Tensor], list[Tensor]]
"""Images (B, 3, R, R) to feature maps (B, C, h, w)."""

_SIZE, _RESOLUTION = 1024, 512
_ROWS = 2048


@dataclass(frozen=True)
class Adversary:
    """A `Making`: the recolour plus noise of at most ``amplitude``, sRGB-encoded.

    against: the network whose features are brought near the style's. halved: the attacker sees
    every picture at half the size, too.
    """

    against: str
    amplitude: float = 12 / 255
    iterations: int = 200
    halved: bool = False

    def __call__(self, subject: PaperSubject, style: StyleSet, run: Run) -> Float32:
        """T_S (1024, 1024, 3)."""
        device = run.device
        start = torch.from_numpy(baselines(subject.data, style, subject.object.wrap)["recolour"]).to(device)
        mesh = render.normalize(subject.data.mesh)
        sheet = render.one_sheet(mesh, subject.data.bases[0], subject.object.wrap, subject.data.transfer)
        scene = render.Subject(sheet, (start.shape[0], start.shape[1]), device)
        visibility = render.choose_visibility("auto", mesh.points, mesh.triangles, device)
        method = replace(PRESETS["standard"], resolution=_RESOLUTION)
        cameras = render.draw_cameras(method, np.random.default_rng(5))
        maps = self._network(run)
        picture = torch.from_numpy(cover_crop(style.primary.pixels, _RESOLUTION)).to(device)
        images = picture.permute(2, 0, 1)[None]
        grey = torch.full((3, _RESOLUTION, _RESOLUTION), 0.5, device=device)
        generator = torch.Generator(device).manual_seed(0)
        with torch.no_grad():
            wanted = [[_few(_rows(m), generator) for m in maps(i)] for i in self._sizes(images)]
        noise = torch.zeros_like(start).requires_grad_()
        adam = torch.optim.Adam([noise], lr=self.amplitude / 6)
        views: list[render.View] = []
        for step in range(self.iterations):
            if len(views) < 64:
                views += render.trace_views(scene, visibility, [next(cameras)], method)
            view = views[step % len(views)]
            table = render.mip_table(start + noise)
            shown = render.paint(render.join([view]), table, grey)
            mask = view.mask()[None, None]
            loss = torch.zeros((), device=device)
            for image, keys in zip(self._sizes(shown), wanted, strict=True):
                for found, key in zip(maps(image), keys, strict=True):
                    share = F.adaptive_avg_pool2d(mask, found.shape[2:]).reshape(-1)
                    loss = loss + _distance(_few(_rows(found)[share > 0.99], generator), key)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            with torch.no_grad():
                noise.clamp_(-self.amplitude, self.amplitude)
        texture: Float32 = (start + noise).detach().cpu().numpy()
        return texture

    def _sizes(self, images: Tensor) -> list[Tensor]:
        return [images, F.avg_pool2d(images, 2)] if self.halved else [images]

    def _network(self, run: Run) -> Maps:
        if self.against == "the judge":
            assert isinstance(run.judge, GoogLeNet)
            judge = run.judge
            return lambda images: [judge.features(images)]
        encoder = load_encoder("vgg16", device=run.device, dtype=torch.float32, folder=run.options.weights)

        def maps(images: Tensor) -> list[Tensor]:
            side = images.shape[2] // encoder.strides[0]
            return [
                rows.view(len(images), side, side, -1).permute(0, 3, 1, 2).float() for rows in encoder(images)
            ]

        return maps


def _rows(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def _few(rows: Tensor, generator: torch.Generator) -> Tensor:
    chosen = torch.randperm(len(rows), generator=generator, device=rows.device)[:_ROWS]
    return F.normalize(rows[chosen], dim=1)


def _distance(rows: Tensor, keys: Tensor) -> Tensor:
    """The judge's N: nearest neighbours both ways."""
    cosine = rows @ keys.T
    return 1 - (cosine.amax(1).mean() + cosine.amax(0).mean()) / 2
