"""The whole loss on a batch of views (paper, Eq. 1): networks, style features, and the terms' gradient."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize.config.method import Method
from usdstylize.encoders import Encoder, load_embedding, load_encoder, precision
from usdstylize.kernels.availability import fused
from usdstylize.losses import terms
from usdstylize.losses.batch import (
    Batch,
    Positions,
    Target,
    Texels,
    join_positions,
    positions_of,
    totals_of,
)
from usdstylize.losses.colors import muted
from usdstylize.losses.gram import gram_matrix
from usdstylize.losses.keys import representatives
from usdstylize.losses.nnfm import prepare_search, smooth_features, style_keys
from usdstylize.losses.prices import Clusters, Prices, cluster
from usdstylize.losses.streams import forked
from usdstylize.losses.terms import (
    Network,
    Rendering,
    StyleFeatures,
    Term,
    TextureSamples,
    TextureTerm,
    ViewTerm,
    weighted_sum,
)
from usdstylize.model.base_colors import LUMA
from usdstylize.model.objects import StyleSet
from usdstylize.render import View, Views, join, paint, sample

__all__ = ["Objective", "cover_crop", "fit_whole"]

_CONTENT_BACKGROUND = 0.5
"""sRGB-encoded grey behind the object in the content render (the paper leaves it open)."""
_STRIDE = 32
"""Stride of the coarsest maps: the sides of a network's picture are multiples of it."""
_OF_IMAGES = 0.5
"""The highest price where images have weights, and there is no variety within them."""
_LONGEST = 8
"""Times as long as high: a longer style image is scaled down to the pixels of such a one."""


class Objective:
    """The networks and the style's features, which every object of a run shares."""

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
        self.terms: tuple[Term, ...] = terms.TERMS
        # One network, one background: then one pass serves style and content.
        one_pass = self._one_network and method.content_on_background
        self._passes: dict[Network, list[ViewTerm]] = {}
        for term in self.terms:
            if isinstance(term, ViewTerm):
                self._passes.setdefault("style" if one_pass else term.network, []).append(term)
        self._set_style(style)

    def restyled(self, style: StyleSet, method: Method) -> "Objective":
        """The same networks with another style; ``method`` differs in its seed at most."""
        other = copy.copy(self)
        other.method = method
        other._set_style(style)
        return other

    def _set_style(self, style: StyleSet) -> None:
        method, device = self.method, self.device
        self.style_set = style
        palette = torch.from_numpy(style.palette).to(device)

        def pictures(fit: Callable[[NDArray[np.float32], int], NDArray[np.float32]]) -> list[Tensor]:
            fitted = (torch.from_numpy(fit(image.pixels, method.resolution)) for image in style.images)
            return [muted(pixels, method.style_colors).permute(2, 0, 1).to(device) for pixels in fitted]

        self._behind = pictures(cover_crop)[0]
        self._backgrounds: dict[int, tuple[Tensor, Tensor]] = {}
        images = pictures(cover_crop if method.style_loss == "embedding" else fit_whole)
        if method.style_loss == "gram":
            self.style = StyleFeatures(palette, grams=self._style_grams(images))
            return
        keys, clusters = self._style_keys(images, method.seed)
        smooth = self._style_encoder.smooth
        # Smoothed features differ in their last digits only. Few digits of their offsets keep the
        # difference, but only a fused kernel is faster with those than with float32.
        matching = torch.float32 if smooth and not fused(device) else self._dtype
        search_keys = [prepare_search(own, smooth=smooth, dtype=matching) for own in keys]
        self.style = StyleFeatures(palette, keys, search_keys, clusters=clusters)

    def prices(self) -> Prices | None:
        """New ones, for one object, where the method has any; see `losses.prices`."""
        return Prices(self.style.clusters, self.method.variety or _OF_IMAGES) if self.style.clusters else None

    @torch.no_grad()
    def _style_keys(self, images: Sequence[Tensor], seed: int) -> tuple[list[Tensor], list[Clusters]]:
        """Per layer (N, C) float32 unit vectors, the features of all style images; and their clusters."""
        encoder, limit = self._style_encoder, -(-self.method.style_keys // len(images))
        every: list[list[Tensor]] = []
        chosen: list[list[Tensor]] = []
        for image in images:
            layers = encoder(_channels_last(image[None]))
            some = [representatives(rows, limit, seed) for rows in layers] if limit else layers
            every.append(layers)
            chosen.append([style_keys(rows, smooth=encoder.smooth) for rows in some])
        keys = [torch.cat(layer) for layer in zip(*chosen, strict=True)]
        variety, weights = self.method.variety, self.style_set.weights
        # An embedding is one feature of a whole picture, of which there are no shares.
        if self.method.style_loss != "nnfm" or not (variety or weights):
            return keys, []
        clusters = []
        for rows, own in zip(zip(*every, strict=True), zip(*chosen, strict=True), strict=True):
            lengths = [smooth_features(image).norm(dim=1).mean() if encoder.smooth else 1.0 for image in rows]
            unit = [style_keys(image, smooth=encoder.smooth) for image in rows]
            counts = weights or [float(len(image)) for image in rows]
            length = float(sum(lengths)) / len(lengths)
            clusters.append(cluster(unit, own, counts, length, seed, alone=not variety))
        return keys, clusters

    @property
    def strides(self) -> tuple[int, ...]:
        """The strides of all maps, each once, in ascending order."""
        return tuple(sorted({*self._style_encoder.strides, *self._content_encoder.strides}))

    @property
    def content_strides(self) -> tuple[int, ...]:
        """The stride of each map of `Target.original`."""
        return self._content_encoder.strides

    @torch.no_grad()
    def _style_grams(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Per layer (C, C) float32: the Gram matrix of all style images' features together."""
        per_image = [self._style_encoder(_channels_last(image[None])) for image in images]
        smooth = self._style_encoder.smooth
        return [gram_matrix(torch.cat(layer), smooth=smooth) for layer in zip(*per_image, strict=True)]

    def _background(self, resolution: int) -> tuple[Tensor, Tensor]:
        """What is behind the object for style and for content, (3, R, R) each, sRGB-encoded.

        The style image at the size that it has for the encoder: cropped, or continued by its mirror image.
        """
        if resolution not in self._backgrounds:  # kept, since a captured graph reads fixed addresses
            side = self._behind.shape[1]
            at = (torch.arange(resolution, device=self.device) + (side - resolution) // 2).remainder(2 * side)
            at = torch.minimum(at, 2 * side - 1 - at)
            behind = self._behind[:, at][:, :, at].contiguous()
            grey = torch.full_like(behind, _CONTENT_BACKGROUND)
            # The embedding is the whole picture's: with the style image behind, it is near from the start.
            style = grey if self.method.style_loss == "embedding" else behind
            content = behind if self.method.content_on_background else grey
            self._backgrounds[resolution] = style, content
        return self._backgrounds[resolution]

    @torch.no_grad()
    def targets(self, views: Sequence[View], border: int = 0, kept: Tensor | None = None) -> list[Target]:
        """What the losses need of each view and T_S does not change.

        kept: (N, 1 or 2) float32, 0..1, by the rows of the mip table of T_S, how much is to stay as it was
        drawn; and, in the last column, how much of it by its light and dark alone, in the style's colours.
        """
        only = self.method.object_only

        shares = [None if kept is None else sample(kept, view.style) for view in views]
        drawn = [
            view
            if own is None
            else replace(
                view,
                base=_in_palette(view.base, own[:, -1:] * self.method.style_colors, self.style.palette),
            )
            for view, own in zip(views, shares, strict=True)
        ]

        def positions_in(view: View, share: Tensor | None) -> dict[int, Positions]:
            own = None if share is None else share[:, 0].contiguous()
            return {s: positions_of(view, s, object_only=only, border=border, kept=own) for s in self.strides}

        positions = [positions_in(view, own) for view, own in zip(views, shares, strict=True)]
        joined = {s: join_positions(views, [own[s] for own in positions], s) for s in self.strides}
        painted = paint(join(drawn), None, self._background(views[0].resolution)[1])
        images = _channels_last(muted(painted, self.method.style_colors, dim=1))
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

    def view_losses(self, batch: Batch, table: Tensor, prices: Prices | None = None) -> dict[str, Tensor]:
        """Every `ViewTerm` by name, unweighted scalars; those of parts of a batch add up to the whole's.

        table: (N, 3) float32, the mip table of T_S, signed offsets to sRGB-encoded values. prices: of
        matches, which they count.
        """
        totals = totals_of(batch)
        painted = paint(batch.views, table, self._background(batch.views.resolution)[0])
        found: dict[str, Tensor] = {}
        for network in self._passes:
            found |= self._pass(network, painted, batch, totals, prices)
        return found

    def texture_losses(self, table: Tensor, texels: Texels) -> dict[str, Tensor]:
        """Every `TextureTerm` by name, unweighted scalars; ``table`` as for `view_losses`."""
        samples = TextureSamples.of(self.method, self.style, table, texels)
        return {term.name: term.value(samples) for term in self.terms if isinstance(term, TextureTerm)}

    def backward(
        self,
        batch: Batch,
        table: Tensor,
        weights: Mapping[str, float | Tensor],
        prices: Prices | None = None,
    ) -> dict[str, Tensor]:
        """`view_losses`, detached; the gradient of their weighted sum is added to that of ``table``, a leaf.

        Two networks side by side, where the device can, and once through the painting for both.
        """
        totals = totals_of(batch)
        painted = paint(batch.views, table, self._background(batch.views.resolution)[0])
        found: dict[str, Tensor] = {}
        gradients: list[Tensor] = []

        def add_pass(network: Network) -> None:
            pictures = painted.detach().requires_grad_()
            values = self._pass(network, pictures, batch, totals, prices)
            weighted_sum(values, weights).backward()  # type: ignore[no-untyped-call]
            assert pictures.grad is not None
            gradients.append(pictures.grad)
            found.update({name: value.detach() for name, value in values.items()})

        *others, last = self._passes
        with forked(self.device) if others else nullcontext(nullcontext) as beside:
            for network in others:
                with beside():
                    add_pass(network)
            add_pass(last)
        gradient = gradients[0]
        for more in gradients[1:]:
            gradient.add_(more)
        # As `painted.backward(gradient)`, which would import SymPy: two seconds. In memory channels are last.
        flat = (images.permute(0, 2, 3, 1).flatten() for images in (painted, gradient))
        torch.vdot(*flat).backward()  # type: ignore[no-untyped-call]
        return found

    def _pass(
        self,
        network: Network,
        painted: Tensor,
        batch: Batch,
        totals: Mapping[int, Tensor],
        prices: Prices | None,
    ) -> dict[str, Tensor]:
        """The terms that read that network; painted: (B, 3, R, R), the renders before the style's image."""
        style = network == "style"
        encoder = self._style_encoder if style else self._content_encoder
        pictures = painted if style else self._for_content(painted, batch.views)
        pictures = muted(pictures, self.method.style_colors, dim=1)
        positions = [batch.positions[stride].rows for stride in encoder.strides]
        rows = encoder(_channels_last(pictures), positions)
        markets = prices.markets if prices else ()
        rendering = Rendering(self.method, self.style, encoder, batch, totals, pictures, rows, markets)
        return {term.name: term.value(rendering) for term in self._passes[network]}

    def _for_content(self, pictures: Tensor, views: Views) -> Tensor:
        """The same renders on the content's background."""
        behind, content = self._background(views.resolution)
        if content is behind:
            return pictures
        size = views.count * views.resolution**2
        # One more, for padding pixels, whose index is -1.
        covered = torch.zeros(size + 1, dtype=torch.bool, device=pictures.device)
        covered = covered.index_fill_(0, views.pixels, True)[:size]
        return torch.where(
            covered.view(views.count, 1, views.resolution, views.resolution),
            pictures,
            content,
        )


def _in_palette(base: Tensor, share: Tensor, palette: Tensor) -> Tensor:
    """Colours (P, 3), sRGB-encoded, brought by ``share`` (P, 1) to the nearest of a palette (Q, 3).

    Their luma stays: it is what a drawing is read by.
    """
    nearest = palette[torch.cdist(base, palette).argmin(1)]
    luma = ((base - nearest) @ base.new_tensor(LUMA))[:, None]
    return torch.lerp(base, (nearest + luma).clamp(0, 1), share)


def cover_crop(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(H, W, 3) scaled, aspect kept, until it covers size × size, and cropped at the centre."""
    height, width = pixels.shape[:2]
    scale = size / min(height, width)
    scaled = _scaled(pixels, max(size, round(height * scale)), max(size, round(width * scale)))
    top, left = (scaled.shape[0] - size) // 2, (scaled.shape[1] - size) // 2
    return np.ascontiguousarray(scaled[top : top + size, left : left + size])


def fit_whole(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
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
