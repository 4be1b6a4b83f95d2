"""One iteration: T_S to its mip table, the losses of a batch, their gradient, Adam."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from usdstylize.losses import Batch, Objective, Target, Texels, ViewTerm, muted, weighted_sum
from usdstylize.optimize.adam import Adam
from usdstylize.optimize.devices import memory_errors
from usdstylize.optimize.field import Field
from usdstylize.optimize.hierarchy import magnified, magnifiers, smoothed
from usdstylize.optimize.sheet_texels import SheetTexels
from usdstylize.render import Subject

__all__ = ["Step"]

Result = TypeVar("Result")

_FIXED_POINT = 2.0**44
"""Units of a gradient that is summed as integers: up to ±2^19 in steps of 6e-14."""
_CHUNK = 1 << 16
"""Numbers that a CPU sums at a time: they stay in its cache, and no large tensor is made for them."""


class Step:
    """T_S, which every call brings nearer to the style."""

    def __init__(
        self,
        objective: Objective,
        subject: Subject,
        texels: Texels,
        sheets: int,
        size: int,
        *,
        start: Tensor | None = None,
        smooth: bool = False,
        views_at_once: int = 0,
        reduce: Callable[[Tensor], None] | None = None,
        field: Field | SheetTexels | None = None,
        masks: Tensor | None = None,
        parts_at_once: Callable[[], int] = lambda: 1,
    ) -> None:
        """size: width and height that T_S has at first. start: (S, size, size, 3), what it is then, else 0.

        smooth: T_S is what Adam changes, blurred.

        views_at_once: views of a batch that are rendered and compared together; 0 for all.

        reduce: adds up a tensor (int64, float32 or float64, on the device) over all processes that
        share a batch, in place; None where this one takes all of it.

        field: what makes T_S of the values that are optimised; None where these are its texels.

        masks: (S, H, W, 1) float32, 0..1, at full size, what T_S is multiplied by; None for 1.

        parts_at_once: asked in every iteration how many parts threads of their own may compute at the
        same time; more than 1 on a CPU only.

        What is done in parts or by several processes is summed as integers, which no order
        changes: parts of one size give one result, whichever process or thread computes which.
        """
        self._objective = objective
        self._subject = subject
        self._texels = texels
        self._views_at_once = views_at_once
        self._parts_at_once = parts_at_once
        self._short_of_memory = False
        self._adding = threading.Lock()
        self._reduce = reduce
        self.failure: Exception | None = None
        device = subject.device
        self._smooth, self._field = smooth, field
        self._masks = None if masks is None else masks.to(device)
        self._offset = None if field is None or start is None else start.to(device)
        if field is not None:
            self._begin(field.parameters())
        elif start is not None:
            self._begin(start.to(device))
        else:
            self._begin(torch.zeros(sheets, size, size, 3, device=device))
        self._rate = torch.zeros((), device=device)
        self._names = [term.name for term in objective.terms]
        self._names_in_views = [term.name for term in objective.terms if isinstance(term, ViewTerm)]
        self._weights = dict(zip(self._names, torch.zeros(len(self._names), device=device), strict=True))
        self._weights_now: Mapping[str, float] = {}
        self._in_views = torch.zeros(len(self._names_in_views), device=device)
        self._losses = torch.zeros(len(self._names) + 1, device=device)
        in_parts = reduce is not None or views_at_once > 0
        rows = sheets * subject.rows_per_sheet
        self._summed = torch.zeros(rows, 3, dtype=torch.int64, device=device) if in_parts else None
        self._prices = objective.prices()

    def _begin(self, values: Tensor) -> None:
        self._style = values.requires_grad_()
        if self._field is None:
            self._magnifiers = magnifiers(values, self._subject.style_size[0], self._subject.wraps)
        self._adam = Adam(self._style)

    def expect(self, pool: Sequence[Sequence[Target]]) -> None:
        """Get ready for every batch that has, in each slot, a view of that slot in the pool."""

    def grow(self, size: int) -> None:
        """Let T_S have size² texels from now on, and look the same."""
        if self._field is None and size != self._style.shape[1]:
            old = self._style.detach()
            self._begin(magnified(old, magnifiers(old, size, self._subject.wraps)).clone())

    def state_dict(self) -> dict[str, Any]:
        """The texels of T_S at its current size or the field's parameters, and more; on the CPU."""
        prices = {} if self._prices is None else {"prices": self._prices.state_dict()}
        values = self._style.detach().to("cpu", copy=True)
        return {"values": values, "adam": self._adam.state_dict(), **prices}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the `state_dict` of a step that was made with the same arguments."""
        self._begin(state["values"].to(self._subject.device, copy=True))
        self._adam.load_state_dict(state["adam"])
        if self._prices is not None:
            self._prices.load_state_dict(state["prices"])

    @property
    def texture(self) -> Tensor:
        """(S, H, W, 3) float32, signed offsets to sRGB-encoded values, one per sheet, at full size."""
        if self._field is not None:
            full = self._field.texture(self._style)
            full = full if self._offset is None else full + self._offset
        else:
            full = magnified(self._style, self._magnifiers)
            full = smoothed(full, self._subject.wraps) if self._smooth else full
        full = muted(full, self._objective.method.style_colors)
        return full if self._masks is None else full * self._masks

    def __call__(self, targets: Sequence[Target], rate: float, weights: Mapping[str, float]) -> Tensor:
        """One iteration with Adam's learning rate and each term's weight.

        Returns the objective's terms in their order and their weighted sum, (terms + 1,), before the change.
        """
        self._rate.fill_(rate)
        for name, weight in weights.items():
            if self._weights_now.get(name) != weight:
                self._weights[name].fill_(weight)
        self._weights_now = weights
        self.guarded(lambda: self._prepare(targets))
        totals = self._totals(targets) if self._summed is not None else None
        self.guarded(lambda: self._compare_all(targets, totals))
        if self._reduce is not None and self._summed is not None:
            if self.failure is not None:
                self._in_views.fill_(torch.nan)
            self._reduce(self._summed)
            self._reduce(self._in_views)
            if self._prices is not None:
                self._reduce(self._prices.uses)
        self.guarded(lambda: self._execute(self._apply))
        return self._losses.clone()

    def guarded(self, work: Callable[[], Result]) -> Result | None:
        """What ``work`` returns; None once this process has failed, where others share the batch.

        Those would wait for it in vain, so the error becomes ``failure`` instead: this process still takes
        part in their sums, which it makes NaN, but does no more work.
        """
        if self._reduce is None:
            return work()
        try:
            return work() if self.failure is None else None
        except Exception as error:
            self.failure = error
            return None

    def any_failed(self) -> bool:
        """Whether one of the processes had a ``failure`` before the last sums: the same in all of them."""
        return self._reduce is not None and bool(self._in_views.isnan().any())

    @torch.no_grad()
    def losses(self, targets: Sequence[Target], weights: Mapping[str, float]) -> list[float]:
        """The weighted losses of other views; changes nothing.

        They sum up to the loss of the views that all processes give together, each its own.
        """
        totals = self._totals(targets)
        return self.guarded(lambda: self._losses_of(targets, totals, weights)) or [math.nan]

    def _losses_of(
        self, targets: Sequence[Target], totals: Mapping[int, Tensor], weights: Mapping[str, float]
    ) -> list[float]:
        table = self._subject.style_table(self.texture)
        found = [self._objective.texture_losses(table, self._texels)]
        for part in self._parts(targets):
            found.append(self._objective.view_losses(self._objective.join(part, totals), table, self._prices))
        return torch.stack([weighted_sum(values, weights) for values in found]).tolist()

    def _parts(self, targets: Sequence[Target]) -> list[Sequence[Target]]:
        at_once = self._views_at_once or max(1, len(targets))
        return [targets[start : start + at_once] for start in range(0, len(targets), at_once)]

    def _prepare(self, targets: Sequence[Target]) -> None: ...

    def _compare_all(self, targets: Sequence[Target], totals: Mapping[int, Tensor] | None) -> None:
        parts = self._parts(targets)
        at_once = min(self._parts_at_once(), len(parts))
        if at_once > 1 and not self._short_of_memory:
            try:
                self._compare_side_by_side(parts, totals, at_once)
                return
            except MemoryError:
                self._short_of_memory = True
        self._execute(self._build_mips)
        for part in parts:
            self._batch = self._join(part, totals)
            self._execute(self._compare)
            if self._summed is not None:
                self._execute(self._add_leaf)

    def _compare_side_by_side(
        self, parts: Sequence[Sequence[Target]], totals: Mapping[int, Tensor] | None, at_once: int
    ) -> None:
        """The same by threads, which end with this call, also where one of them raises."""
        self._build_mips()

        def compare(part: Sequence[Target]) -> Tensor:
            leaf = self._table.detach().requires_grad_()
            with memory_errors():
                losses = self._backward(self._join(part, totals), leaf)
                self._add(leaf.grad)
            return losses

        with ThreadPoolExecutor(at_once) as pool:
            for losses in pool.map(compare, parts):  # in the order of the parts
                self._in_views += losses

    def _execute(self, piece: Callable[[], None]) -> None:
        piece()

    def _join(self, targets: Sequence[Target], totals: Mapping[int, Tensor] | None) -> Batch:
        return self._objective.join(targets, totals)

    def _totals(self, targets: Sequence[Target]) -> Mapping[int, Tensor]:
        """By stride, the sum of the weights of the whole batch.

        Weights are multiples of 1 / stride², so that float32 sums of them are exact in any order.
        """
        strides = self._objective.strides
        sums = torch.zeros(len(strides), device=self._subject.device)
        if targets:
            each = [torch.cat([t.positions[s].weights for t in targets]).sum() for s in strides]
            sums = torch.stack(each)
        if self._reduce is not None:
            self._reduce(sums)
        return dict(zip(strides, sums.unbind(), strict=True))

    def _build_mips(self) -> None:
        """T_S to its mip table: a leaf for the losses, whose gradient is taken to the texels in `_apply`."""
        self._table = self._subject.style_table(self.texture)
        self._leaf = self._table.detach().requires_grad_()
        self._in_views.zero_()
        if self._prices is not None:
            self._prices.uses.zero_()
        if self._summed is not None:
            self._summed.zero_()

    def _compare(self) -> None:
        """The gradient of the current batch, or of a part of it, in the leaf."""
        self._leaf.grad = None
        self._in_views += self._backward(self._batch, self._leaf)

    def _backward(self, batch: Batch, leaf: Tensor) -> Tensor:
        """The terms in views, unweighted; their weighted gradient in ``leaf``, the mip table."""
        found = self._objective.backward(batch, leaf, self._weights, self._prices)
        return torch.stack([found[name] for name in self._names_in_views])

    def _add_leaf(self) -> None:
        """Add the gradient of a part to that of the others."""
        self._add(self._leaf.grad)

    def _add(self, gradient: Tensor | None) -> None:
        if self._summed is not None and gradient is not None:
            with self._adding:
                for units, own in zip(_split(self._summed), _split(gradient), strict=True):
                    units += (own * _FIXED_POINT).round_().long()

    def _apply(self) -> None:
        """Add the gradient of the terms in texture space, take the sum to T_S, and change T_S by it."""
        if self._summed is not None:
            self._leaf.grad = torch.cat(
                [units.double().div_(_FIXED_POINT).float() for units in _split(self._summed)]
            ).view_as(self._leaf)
        in_texture = self._objective.texture_losses(self._leaf, self._texels)
        weighted_sum(in_texture, self._weights).backward()  # type: ignore[no-untyped-call]
        self._style.grad = None
        assert self._leaf.grad is not None
        # As `self._table.backward(gradient)`, which would import SymPy: two seconds.
        torch.vdot(self._table.flatten(), self._leaf.grad.flatten()).backward()  # type: ignore[no-untyped-call]
        self._adam.step(self._rate)
        if self._prices is not None:
            self._prices.settle()
        found = dict(zip(self._names_in_views, self._in_views.unbind(), strict=True))
        found |= {name: value.detach() for name, value in in_texture.items()}
        values = {name: found[name] for name in self._names}
        self._losses.copy_(torch.stack([*values.values(), weighted_sum(values, self._weights)]))


def _split(values: Tensor) -> Sequence[Tensor]:
    """Views of at most a chunk of the values, (N,); of all at once on a GPU, which has no such cache."""
    flat = values.view(-1)
    return (flat,) if flat.is_cuda else torch.split(flat, _CHUNK)
