"""Fixed tensors that batches of many sizes are copied into: a captured graph reads fixed addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from usdstylize.losses import Batch, Positions, Target
from usdstylize.render import Taps, Views, in_slot

__all__ = ["Size", "StaticBatch"]


@dataclass(frozen=True)
class Size:
    """views: how many. pixels: of the object, in all of them. positions: by the stride of a map."""

    views: int
    pixels: int
    positions: Mapping[int, int]

    @classmethod
    def of(cls, targets: Sequence[Target]) -> "Size":
        """The size of a batch of these targets."""
        return cls(
            len(targets),
            sum(len(target.view.pixels) for target in targets),
            {s: sum(len(t.positions[s].rows) for t in targets) for s in targets[0].positions},
        )

    @classmethod
    def of_any(cls, pool: Sequence[Sequence[Target]], at_once: int) -> "Size":
        """A size that fits every batch which has, in each slot, that slot's view of some row of the pool.

        at_once: how many views make a batch; a row of the pool is cut into batches of so many slots.
        """
        strides = pool[0][0].positions
        slots = range(len(pool[0]))
        pixels = [max(len(row[slot].view.pixels) for row in pool) for slot in slots]
        positions = {
            s: [max(len(row[slot].positions[s].rows) for row in pool) for slot in slots] for s in strides
        }
        parts = [slice(start, start + at_once) for start in range(0, len(slots), at_once)]
        return cls(
            at_once,
            max(sum(pixels[part]) for part in parts),
            {s: max(sum(counts[part]) for part in parts) for s, counts in positions.items()},
        )

    def fits(self, other: "Size") -> bool:
        """Whether a batch of the other size fits into a static batch of this one."""
        enough = all(self.positions[stride] >= count for stride, count in other.positions.items())
        return self.views == other.views and self.pixels >= other.pixels and enough

    def wider(self, factor: float) -> "Size":
        """The same with more pixels and positions, by that factor."""
        positions = {stride: int(count * factor) for stride, count in self.positions.items()}
        return Size(self.views, int(self.pixels * factor), positions)


class StaticBatch:
    """A batch whose tensors stay where they are."""

    def __init__(self, size: Size, like: Target, content_strides: Sequence[int]) -> None:
        """``like`` is any target, for its resolution, dtypes and device."""
        self.size = size
        view, pixels = like.view, size.pixels
        self._views = Views(
            size.views,
            view.resolution,
            _zeros(view.pixels, pixels),
            _zeros(view.base, pixels),
            Taps(_zeros(view.style.rows, pixels), _zeros(view.style.weights, pixels)),
            _zeros(view.diffuse, pixels),
            _zeros(view.specular, pixels),
        )
        # The rest repeats the first position, or keeps those of an earlier batch, with weight 0.
        self._positions = {
            stride: Positions(
                _zeros(own.rows, count),
                _zeros(own.weights, count),
                None if own.kept is None else _zeros(own.kept, count),
            )
            for stride, own, count in ((s, own, size.positions[s]) for s, own in like.positions.items())
        }
        self._original = [
            _zeros(rows, size.positions[stride])
            for rows, stride in zip(like.original, content_strides, strict=True)
        ]
        self._totals = {stride: torch.zeros((), device=view.base.device) for stride in like.positions}

    def batch(self, *, share: bool) -> Batch:
        """The batch in these tensors; share: whether its totals are those of a larger one."""
        return Batch(self._views, self._positions, self._original, self._totals if share else None)

    def fill(self, targets: Sequence[Target], totals: Mapping[int, Tensor] | None) -> None:
        """Copy a batch into these tensors; it must fit."""
        views = [target.view for target in targets]
        area = views[0].resolution ** 2
        own = self._views
        _put(own.pixels, [in_slot(v.pixels, area, v.slot, slot) for slot, v in enumerate(views)], left=-1)
        _put(own.base, [view.base for view in views])
        _put(own.style.rows, [view.style.rows for view in views])
        _put(own.style.weights, [view.style.weights for view in views])
        _put(own.diffuse, [view.diffuse for view in views])
        _put(own.specular, [view.specular for view in views])
        for stride, positions in self._positions.items():
            area = (views[0].resolution // stride) ** 2
            rows = [
                in_slot(target.positions[stride].rows, area, target.view.slot, slot)
                for slot, target in enumerate(targets)
            ]
            _put(positions.rows, rows)
            _put(positions.weights, [target.positions[stride].weights for target in targets], left=0)
            if positions.kept is not None:
                kept = [target.positions[stride].kept for target in targets]
                _put(positions.kept, [own for own in kept if own is not None], left=0)
        for layer, original in enumerate(self._original):
            _put(original, [target.original[layer] for target in targets])
        for stride, total in (totals or {}).items():
            self._totals[stride].copy_(total)


def _zeros(like: Tensor, count: int) -> Tensor:
    return like.new_zeros(count, *like.shape[1:])


def _put(place: Tensor, parts: Sequence[Tensor], left: int | None = None) -> None:
    """The parts one after the other; what is left of the place becomes ``left``, or stays as it was."""
    count = sum(len(part) for part in parts)
    torch.cat(list(parts), out=place[:count])
    if left is not None:
        place[count:] = left
