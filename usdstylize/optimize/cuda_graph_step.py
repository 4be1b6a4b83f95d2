"""The iteration captured once as CUDA graphs and replayed: its kernels are shorter than their launches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from usdstylize.losses import Batch, Target
from usdstylize.optimize.static_batch import Size, StaticBatch
from usdstylize.optimize.step import Step

__all__ = ["CudaGraphStep"]

_SLACK = 1.25
"""How much larger than a batch the static batch is made, where later ones are not known yet."""


class CudaGraphStep(Step):
    """The same as `Step` on a CUDA device, in the one stream that is current for all its calls.

    A graph has fixed shapes and addresses: each batch is copied into a static batch that fits the largest.
    Where one does not fit, a larger static batch is made and all is captured anew.
    """

    _size: Size | None = None
    _batch_place: StaticBatch | None = None
    _graphs: dict[str, torch.cuda.CUDAGraph] | None = None

    def expect(self, pool: Sequence[Sequence[Target]]) -> None:
        """Let the static batch fit every batch that has, in each slot, a view of that slot in the pool."""
        if pool:
            self._size = Size.of_any(pool, self._views_at_once or len(pool[0]))

    def _prepare(self, targets: Sequence[Target]) -> None:
        size = Size.of_any([targets], self._views_at_once or len(targets))
        if self._batch_place is None or not self._batch_place.size.fits(size):
            if self._size is None or not self._size.fits(size):
                self._size = size.wider(_SLACK)
            self._batch_place = StaticBatch(self._size, targets[0], self._objective.content_strides)
            self._graphs = None  # this iteration runs uncaptured, which prepares what may not be captured
        elif self._graphs is None:
            # A graph has memory of its own. What earlier iterations have cached would lie idle beside it,
            # and cannot be freed during a capture.
            torch.cuda.empty_cache()
            self._graphs = {}
            self._memory = torch.cuda.graph_pool_handle()

    def _join(self, targets: Sequence[Target], totals: Mapping[int, Tensor] | None) -> Batch:
        assert self._batch_place is not None
        self._batch_place.fill(targets, totals)
        return self._batch_place.batch(share=totals is not None)

    def _execute(self, piece: Callable[[], None]) -> None:
        if self._graphs is None:
            piece()
            return
        name = piece.__name__
        if name not in self._graphs:
            graph = torch.cuda.CUDAGraph()
            graph.capture_begin(pool=self._memory, capture_error_mode="thread_local")
            try:
                piece()
            finally:
                graph.capture_end()
            self._graphs[name] = graph
        self._graphs[name].replay()

    def grow(self, size: int) -> None:
        if self._field is None and size != self._style.shape[1]:
            super().grow(size)
            self._batch_place = None  # so that all is captured anew, after one uncaptured iteration

    def state_dict(self) -> dict[str, Any]:
        """With the size of the static batch: sums over more rows of weight 0 may round otherwise."""
        size = self._size
        if size is None:
            return super().state_dict()
        positions = {str(stride): count for stride, count in size.positions.items()}
        own = {"views": size.views, "pixels": size.pixels, "positions": positions}
        return {**super().state_dict(), "size": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._batch_place = None  # so that all is captured anew
        if "size" in state:  # which a state from a CPU has not
            size = state["size"]
            positions = {int(stride): count for stride, count in size["positions"].items()}
            self._size = Size(size["views"], size["pixels"], positions)
