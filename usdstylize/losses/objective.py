"""The whole loss on a batch of views (paper, Eq. 1): networks, style features, three terms."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.config.method import Method
from usdstylize.encoders import Encoder, load_embedding, load_encoder, precision
from usdstylize.kernels.availability import fused
from usdstylize.losses.batch import Batch, Target, Texels, join_positions, positions_of, totals_of
from usdstylize.losses.content import content_loss
from usdstylize.losses.gradients import backward
from usdstylize.losses.gram import gram_loss, gram_matrix
from usdstylize.losses.keys import representatives
from usdstylize.losses.nnfm import nnfm_loss, prepare_search, style_keys
from usdstylize.losses.palette import palette_loss
from usdstylize.losses.streams import forked
from usdstylize.model.objects import StyleSet
from usdstylize.render import View, Views, join, paint

__all__ = ["Objective", "cover_crop", "whole"]

_CONTENT_BACKGROUND = 0.5
"""sRGB-encoded grey behind the object in the content render (the paper leaves it open)."""
_STRIDE = 32
"""Of the coarsest maps: the sides of a network's picture are multiples of it."""
_LONGEST = 8
"""Times as long as high: a longer style image is scaled down to the pixels of such a one."""


class Objective:
    """Holds the networks and the style's features, which every object of a run shares."""

    def __init__(self, style: StyleSet, method: Method, device: str, *, weights: Path | None) -> None:
        """Raises WeightsError where the method's networks have no weights."""
        self.method = method
        self.device = device
        self._dtype = precision(device, method.precision)

        def load(name: str) -> Encoder:
            return load_encoder(
                name, device=device, dtype=self._dtype, folder=weights, bn_relu=method.bn_relu
            )

        self._style_encoder: Encoder
        if method.style_loss == "embedding":
            self._style_encoder = load_embedding(
                method.encoder, method.resolution, device=device, dtype=self._dtype, folder=weights
            )
        else:
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

        def pictures(fit: Callable[[NDArray[np.float32], int], NDArray[np.float32]]) -> list[Tensor]:
            fitted = (torch.from_numpy(fit(image.pixels, method.resolution)) for image in style.images)
            return [pixels.permute(2, 0, 1).to(device) for pixels in fitted]

        behind = pictures(cover_crop)[0]
        grey = torch.full_like(behind, _CONTENT_BACKGROUND)
        # The embedding is the whole picture's: with the style image behind, it is near from the start.
        self._background = grey if method.style_loss == "embedding" else behind
        self._content_background = behind if method.content_on_background else grey
        images = pictures(cover_crop if method.style_loss == "embedding" else whole)
        if method.style_loss == "gram":
            self._grams = self._style_grams(images)
            return
        self._keys = self._style_keys(images, method.seed)
        smooth = self._style_encoder.smooth
        # Smoothed features differ in their last digits only. Few digits of their offsets tell
        # them apart, but only a fused kernel is faster so than float32 is.
        matching = torch.float32 if smooth and not fused(device) else self._dtype
        self._search_keys = [prepare_search(keys, smooth=smooth, dtype=matching) for keys in self._keys]

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

    @property
    def strides(self) -> tuple[int, ...]:
        """Of all maps, each once, in ascending order."""
        return tuple(sorted({*self._style_encoder.strides, *self._content_encoder.strides}))

    @property
    def content_strides(self) -> tuple[int, ...]:
        """Of each map of `Target.original`."""
        return self._content_encoder.strides

    @torch.no_grad()
    def _style_grams(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Per layer (C, C) float32: the Gram matrix of all style images' features together."""
        per_image = [self._style_encoder(_channels_last(image[None])) for image in images]
        smooth = self._style_encoder.smooth
        return [gram_matrix(torch.cat(layer), smooth=smooth) for layer in zip(*per_image, strict=True)]

    @torch.no_grad()
    def targets(self, views: Sequence[View]) -> list[Target]:
        """What the losses need of each view and no style texture changes."""
        only = self.method.object_only
        positions = [
            {stride: positions_of(view, stride, object_only=only) for stride in self.strides}
            for view in views
        ]
        joined = {s: join_positions(views, [own[s] for own in positions], s) for s in self.strides}
        images = _channels_last(paint(join(views), None, self._content_background))
        original = self._content_encoder(images, [joined[s].rows for s in self._content_encoder.strides])
        per_view: list[list[Tensor]] = [[] for _ in views]
        for stride, rows in zip(self._content_encoder.strides, original, strict=True):
            parts = torch.split(rows, [len(own[stride].rows) for own in positions])
            for index, part in enumerate(parts):
                per_view[index].append(part.clone())
        return [Target(*parts) for parts in zip(views, positions, per_view, strict=True)]

    def join(self, targets: Sequence[Target], totals: Mapping[int, Tensor] | None = None) -> Batch:
        """Targets of several views as one batch, or as a share of one whose weights sum up to ``totals``."""
        views = [target.view for target in targets]
        return Batch(
            join(views),
            {s: join_positions(views, [t.positions[s] for t in targets], s) for s in targets[0].positions},
            [torch.cat([t.original[layer] for t in targets]) for layer in range(len(targets[0].original))],
            totals,
        )

    def terms(self, batch: Batch, table: Tensor) -> tuple[Tensor, Tensor]:
        """Style and content loss, unweighted scalars; of shares of a batch they add up to the whole's.

        table: (N, 3) float32, the mip table of T_S, signed offsets to sRGB-encoded values.
        """
        totals = totals_of(batch)
        pictures = paint(batch.views, table, self._background)
        rows = self._rows(self._style_encoder, pictures, batch)
        style = self._style_term(rows, batch, totals)
        if not self._one_pass:
            rows = self._rows(self._content_encoder, self._for_content(pictures, batch.views), batch)
        return style, self._content_term(rows, batch, totals)

    def backward(self, batch: Batch, table: Tensor) -> tuple[Tensor, Tensor]:
        """`terms`, detached; the gradient of their weighted sum is added to that of ``table``, a leaf.

        Two networks side by side, where the device can, and once through the painting for both.
        """
        totals = totals_of(batch)
        painted = paint(batch.views, table, self._background)
        if self._one_pass:
            pictures = painted.detach().requires_grad_()
            rows = self._rows(self._style_encoder, pictures, batch)
            style, content = self._style_term(rows, batch, totals), self._content_term(rows, batch, totals)
            (self.method.nnfm_weight * style + self.method.content_weight * content).backward()  # type: ignore[no-untyped-call]
            backward(painted, _gradient(pictures))
            return style.detach(), content.detach()

        def style_of(pictures: Tensor) -> Tensor:
            return self._style_term(self._rows(self._style_encoder, pictures, batch), batch, totals)

        def content_of(pictures: Tensor) -> Tensor:
            shown = self._for_content(pictures, batch.views)
            return self._content_term(self._rows(self._content_encoder, shown, batch), batch, totals)

        with forked(self.device) as beside:
            with beside():
                style, of_style = _with_gradient(style_of, painted, self.method.nnfm_weight)
            content, of_content = _with_gradient(content_of, painted, self.method.content_weight)
        backward(painted, of_style.add_(of_content))
        return style, content

    def _for_content(self, pictures: Tensor, views: Views) -> Tensor:
        """The same renders on the content's background."""
        if self._content_background is self._background:
            return pictures
        size = views.count * views.resolution**2
        # One more for the pixels of -1, which are none.
        covered = torch.zeros(size + 1, dtype=torch.bool, device=pictures.device)
        covered = covered.index_fill_(0, views.pixels, True)[:size]
        return torch.where(
            covered.view(views.count, 1, views.resolution, views.resolution),
            pictures,
            self._content_background,
        )

    def _rows(self, encoder: Encoder, pictures: Tensor, batch: Batch) -> list[Tensor]:
        return encoder(_channels_last(pictures), [batch.positions[s].rows for s in encoder.strides])

    def _style_term(self, rows: Sequence[Tensor], batch: Batch, totals: Mapping[int, Tensor]) -> Tensor:
        each = zip(range(len(rows)), rows, self._style_encoder.strides, strict=True)
        return torch.stack([self._style_loss(*own, batch, totals) for own in each]).mean()

    def _content_term(self, rows: Sequence[Tensor], batch: Batch, totals: Mapping[int, Tensor]) -> Tensor:
        found = [
            content_loss(own, original, batch.positions[stride].weights, total=totals[stride])
            for own, original, stride in zip(rows, batch.original, self.content_strides, strict=True)
        ]
        return torch.stack(found).mean()

    def _style_loss(
        self, layer: int, rows: Tensor, stride: int, batch: Batch, totals: Mapping[int, Tensor]
    ) -> Tensor:
        smooth, positions, total = self._style_encoder.smooth, batch.positions[stride], totals[stride]
        if self.method.style_loss == "gram":
            return gram_loss(
                rows,
                self._grams[layer],
                renders=positions.rows // (self.method.resolution // stride) ** 2,
                count=batch.views.count,
                weights=positions.weights,
                smooth=smooth,
                total=total,
            )
        return nnfm_loss(
            rows,
            self._keys[layer],
            smooth=smooth,
            weights=positions.weights,
            search_keys=self._search_keys[layer],
            total=total,
        )

    def palette(self, table: Tensor, texels: Texels) -> Tensor:
        """The palette loss of T + T_S, an unweighted scalar; ``table`` as for `terms`."""
        # not clamped: a clamp has no gradient outside 0..1
        colors = texels.base + table.index_select(0, texels.rows)
        return palette_loss(colors, self._palette, squared=self.method.palette_squared)


def _with_gradient(
    term: Callable[[Tensor], Tensor], pictures: Tensor, weight: float
) -> tuple[Tensor, Tensor]:
    """The term of the pictures, detached, and the gradient of them that it has with its weight."""
    leaf = pictures.detach().requires_grad_()
    value = term(leaf)
    (weight * value).backward()  # type: ignore[no-untyped-call]
    return value.detach(), _gradient(leaf)


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def cover_crop(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(H, W, 3) scaled, aspect kept, until it covers size × size, and cropped at the centre."""
    height, width = pixels.shape[:2]
    scale = size / min(height, width)
    scaled = _scaled(pixels, max(size, round(height * scale)), max(size, round(width * scale)))
    top, left = (scaled.shape[0] - size) // 2, (scaled.shape[1] - size) // 2
    return np.ascontiguousarray(scaled[top : top + size, left : left + size])


def whole(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(H, W, 3) scaled as by `cover_crop`, but not cropped: either side a multiple of 32.

    A picture that is more than 8 times as long as high has fewer pixels.
    """
    height, width = pixels.shape[:2]
    scale = min(size / min(height, width), size * math.sqrt(_LONGEST / (height * width)))
    return _scaled(
        pixels, *(max(_STRIDE, _STRIDE * round(side * scale / _STRIDE)) for side in (height, width))
    )


def _scaled(pixels: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    resized = F.interpolate(image, (height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)
    return resized.permute(1, 2, 0).contiguous().numpy()


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
