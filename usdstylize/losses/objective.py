"""The whole loss on a batch of views (paper, Eq. 1): networks, style features, three terms."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.encoders import Encoder, load_encoder, precision
from usdstylize.losses.content import content_loss
from usdstylize.losses.keys import representatives
from usdstylize.losses.nnfm import nnfm_loss, style_keys
from usdstylize.losses.palette import palette_loss
from usdstylize.objects import StyleSet
from usdstylize.options import EncoderName, Method
from usdstylize.render import View, paint

__all__ = ["Objective", "Target", "Texels", "cover_crop"]

_CONTENT_BACKGROUND = 0.5
"""sRGB-encoded grey behind the object in the content render (the paper leaves it open)."""
_SHAPES_PER_MAP = 8


@dataclass(frozen=True, eq=False)
class _Positions:
    """Feature positions of one view and layer that count.

    rows: (K,) int64 into the view's own h·w positions. weights: (K,) the object's share.
    """

    rows: Tensor
    weights: Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """A view, where its features count, and what the original's content is there."""

    view: View
    style: list[_Positions]
    content: list[_Positions]
    original: list[Tensor]


@dataclass(frozen=True, eq=False)
class Texels:
    """Texels of one mip level of T + T_S that the UVs cover, of all sheets.

    rows: (N,) int64 into the mip table of T_S. base: (N, 3) float32, T there, sRGB-encoded.
    """

    rows: Tensor
    base: Tensor


class Objective:
    """Holds the networks and the style's features, which every object of a run shares."""

    def __init__(self, style: StyleSet, method: Method, device: str, *, weights: Path | None) -> None:
        """Raises WeightsError where the method's networks have no weights."""
        self.method = method
        self.device = device
        self._dtype = precision(device)

        def load(name: EncoderName) -> Encoder:
            return load_encoder(
                name, device=device, dtype=self._dtype, folder=weights, bn_relu=method.bn_relu
            )

        self._style_encoder = load(method.encoder)
        self._one_network = method.content_encoder == method.encoder
        self._content_encoder = self._style_encoder if self._one_network else load(method.content_encoder)
        # One network, one background: then one pass serves style and content.
        self._one_pass = self._one_network and method.content_on_background
        self._take(style)

    def restyled(self, style: StyleSet, method: Method) -> "Objective":
        """The same networks with another style; ``method`` differs in its seed at most."""
        other = copy.copy(self)
        other.method = method
        other._take(style)
        return other

    def _take(self, style: StyleSet) -> None:
        method, device = self.method, self.device
        self._palette = torch.from_numpy(style.palette).to(device)
        images = [
            torch.from_numpy(cover_crop(image.pixels, method.resolution)).permute(2, 0, 1).to(device)
            for image in style.images
        ]
        self._background = images[0]
        self._content_background = (
            images[0] if method.content_on_background else torch.full_like(images[0], _CONTENT_BACKGROUND)
        )
        self._keys = self._style_keys(images, method.seed)
        # Smoothed features differ in their last digits only: they are matched in float32.
        matching = torch.float32 if self._style_encoder.smooth else self._dtype
        self._search_keys = [keys.to(matching) for keys in self._keys]

    @torch.no_grad()
    def _style_keys(self, images: Sequence[Tensor], seed: int) -> list[Tensor]:
        """Per layer (N, C) float32 unit vectors: the features of all style images, concatenated."""
        limit = -(-self.method.style_keys // len(images))
        per_image = []
        for image in images:
            layers = self._style_encoder(_channels_last(image[None]))
            if limit:
                layers = [representatives(rows, limit, seed) for rows in layers]
            per_image.append([style_keys(rows, smooth=self._style_encoder.smooth) for rows in layers])
        return [torch.cat(layer) for layer in zip(*per_image, strict=True)]

    @torch.no_grad()
    def targets(self, views: Sequence[View]) -> list[Target]:
        """What the losses need of each view and no style texture changes."""
        images = _channels_last(paint(views, None, self._content_background))
        content = [[self._positions(v, s) for s in self._content_encoder.strides] for v in views]
        style = (
            content
            if self._one_network
            else [[self._positions(v, s) for s in self._style_encoder.strides] for v in views]
        )
        original = self._content_encoder(images, self._batch_rows(content, self._content_encoder.strides))
        per_view: list[list[Tensor]] = [[] for _ in views]
        for layer, rows in enumerate(original):
            counts = [len(positions[layer].rows) for positions in content]
            parts = torch.split(rows, counts)
            for index, part in enumerate(parts):
                per_view[index].append(part.clone())
        return [Target(*parts) for parts in zip(views, style, content, per_view, strict=True)]

    def terms(
        self, targets: Sequence[Target], table: Tensor, texels: "Texels"
    ) -> tuple[Tensor, Tensor, Tensor]:
        """NNFM, content and palette loss, unweighted scalars.

        table: (N, 3) float32, the mip table of T_S, signed offsets to sRGB-encoded values.
        texels: those of T + T_S that the palette loss looks at.
        """
        views = [target.view for target in targets]
        where = [target.style for target in targets]
        rows = self._style_encoder(
            _channels_last(paint(views, table, self._background)),
            self._batch_rows(where, self._style_encoder.strides),
        )
        where_content = [target.content for target in targets]
        if self._one_pass:
            content_rows = rows
        else:
            content_rows = self._content_encoder(
                _channels_last(paint(views, table, self._content_background)),
                self._batch_rows(where_content, self._content_encoder.strides),
            )
        nnfm = [
            nnfm_loss(
                layer_rows,
                self._keys[layer],
                smooth=self._style_encoder.smooth,
                weights=torch.cat([positions[layer].weights for positions in where]),
                search_keys=self._search_keys[layer],
            )
            for layer, layer_rows in enumerate(rows)
        ]
        layers = range(len(content_rows))
        content = content_loss(
            content_rows,
            [torch.cat([target.original[layer] for target in targets]) for layer in layers],
            [torch.cat([positions[layer].weights for positions in where_content]) for layer in layers],
        )
        # not clamped: a clamp has no gradient outside 0..1
        colors = texels.base + table.index_select(0, texels.rows)
        palette = palette_loss(colors, self._palette, squared=self.method.palette_squared)
        return torch.stack(nnfm).mean(), content, palette

    def _positions(self, view: View, stride: int) -> _Positions:
        """Positions of a map with that stride, and the share of each that the object covers."""
        share = F.avg_pool2d(view.mask()[None, None], stride).reshape(-1)
        if not self.method.object_only:
            return _Positions(torch.arange(len(share), device=share.device), torch.ones_like(share))
        # Rounded up with positions of weight 0: matrix kernels are prepared once per shape,
        # and a shape of its own for every view would cost more than the product itself.
        step = max(1, len(share) // _SHAPES_PER_MAP)
        count = -(-int((share > 0).sum()) // step) * step
        rows = share.argsort(descending=True, stable=True)[:count].sort().values
        return _Positions(rows, share[rows])

    def _batch_rows(self, positions: Sequence[Sequence[_Positions]], strides: Sequence[int]) -> list[Tensor]:
        """Per layer (K,) int64: each view's positions, counted through the whole batch."""
        result = []
        for layer, stride in enumerate(strides):
            area = (self.method.resolution // stride) ** 2
            result.append(
                torch.cat([view[layer].rows + index * area for index, view in enumerate(positions)])
            )
        return result


def cover_crop(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(H, W, 3) scaled, aspect kept, until it covers size × size, and cropped at the centre."""
    height, width = pixels.shape[:2]
    scale = size / min(height, width)
    scaled = (max(size, round(height * scale)), max(size, round(width * scale)))
    resized = F.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None], scaled, mode="bicubic", antialias=True
    )[0].clamp(0, 1)
    top, left = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    return resized[:, top : top + size, left : left + size].permute(1, 2, 0).contiguous().numpy()


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
