"""What the losses compare: views as targets, several targets as a batch, and the texels of the palette."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.render import View, Views, in_slot

__all__ = ["Batch", "Positions", "Target", "Texels", "join_positions", "positions_of", "totals_of"]

_SHAPES_PER_MAP = 8


@dataclass(frozen=True, eq=False)
class Positions:
    """Feature positions of maps of one stride that count, of one view or of a batch.

    rows: (K,) int64 into the (B, h, w) positions of the batch. weights: (K,), the object's share.
    kept: (K,), 0..1, the share of the object there that is to stay as it was drawn; None where nothing is.
    """

    rows: Tensor
    weights: Tensor
    kept: Tensor | None = None

    def weighted(self, factor: float) -> Tensor:
        """(K,): the weights, times ``factor`` where all is kept."""
        return self.weights if self.kept is None else self.weights * (1 + (factor - 1) * self.kept)


@dataclass(frozen=True, eq=False)
class Target:
    """A view, where its features count, and what the original's content is there.

    positions: by the stride of a map. original: per content map (K, C), in the positions' order.
    """

    view: View
    positions: Mapping[int, Positions]
    original: Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class Batch:
    """Targets as one.

    totals: by stride, the sum of the weights of the whole batch, of which this may be a share;
    None where this is all of it.
    """

    views: Views
    positions: Mapping[int, Positions]
    original: Sequence[Tensor]
    totals: Mapping[int, Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Texels:
    """Texels of one mip level of T + T_S that the UVs cover, of all sheets.

    rows: (N,) int64 into the mip table of T_S. base: (N, 3) float32, T there, sRGB-encoded.
    """

    rows: Tensor
    base: Tensor


def totals_of(batch: Batch) -> Mapping[int, Tensor]:
    """By stride, the sum of the weights of the whole batch."""
    if batch.totals is not None:
        return batch.totals
    return {stride: positions.weights.sum() for stride, positions in batch.positions.items()}


def positions_of(
    view: View, stride: int, *, object_only: bool, border: int = 0, kept: Tensor | None = None
) -> Positions:
    """Positions of a map with that stride, and the share of each that the object covers.

    Not ``object_only``: all of them, each counting as much. border: pixels at the picture's edge where
    none counts. kept: (P,), 0..1, how much every pixel of the view is to stay as it was drawn.
    """
    mask = view.mask()
    if border:
        mask[:border], mask[-border:], mask[:, :border], mask[:, -border:] = 0, 0, 0, 0
    share = F.avg_pool2d(mask[None, None], stride).reshape(-1)
    first = view.slot * len(share)
    if kept is not None:
        kept = F.avg_pool2d((mask * view.picture(kept))[None, None], stride).reshape(-1)
        kept = kept / share.clamp_min(1e-6)
    if not object_only:
        rows = torch.arange(first, first + len(share), device=share.device)
        return Positions(rows, torch.ones_like(share), kept)
    # Rounded up with positions of weight 0: matrix kernels are prepared once per shape,
    # and a shape of its own for every view would cost more than the product itself.
    step = max(1, len(share) // _SHAPES_PER_MAP)
    count = -(-int((share > 0).sum()) // step) * step
    rows = share.argsort(descending=True, stable=True)[:count].sort().values
    return Positions(rows + first, share[rows], None if kept is None else kept[rows])


def join_positions(views: Sequence[View], positions: Sequence[Positions], stride: int) -> Positions:
    """Those of several views, one after the other, as the positions of their batch."""
    rows = [
        in_slot(own.rows, (view.resolution // stride) ** 2, view.slot, slot)
        for slot, (view, own) in enumerate(zip(views, positions, strict=True))
    ]
    kept = [own.kept for own in positions if own.kept is not None]
    weights = torch.cat([own.weights for own in positions])
    return Positions(torch.cat(rows), weights, torch.cat(kept) if kept else None)
