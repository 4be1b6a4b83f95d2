"""The iteration recorded once as CUDA graphs and replayed: its kernels are shorter than their launches."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from usdstylize.losses import Batch, Target
from usdstylize.optimize.static_batch import Size, StaticBatch
from usdstylize.optimize.step import Step

__all__ = ["CudaGraphStep"]

_SLACK = 1.25
"""How much larger than a batch its room is made, where later batches are not known yet."""


class CudaGraphStep(Step):
    """The same as `Step` on a CUDA device, in the one stream that is current for all its calls.

    What is recorded has fixed shapes: each batch is copied into a room that holds the largest.
    Where one does not fit, a larger room is made and all is recorded anew.
    """

    _size: Size | None = None
    _batch_place: StaticBatch | None = None
    _graphs: dict[str, torch.cuda.CUDAGraph] | None = None

    def expect(self, pool: Sequence[Sequence[Target]]) -> None:
        """Make room for every batch that has, in each slot, a view of that slot in the pool."""
        if pool:
            self._size = Size.of_any(pool, self._views_at_once or len(pool[0]))

    def _prepare(self, targets: Sequence[Target]) -> None:
        size = Size.of_any([targets], self._views_at_once or len(targets))
        if self._batch_place is None or not self._batch_place.size.holds(size):
            if self._size is None or not self._size.holds(size):
                self._size = size.wider(_SLACK)
            self._batch_place = StaticBatch(self._size, targets[0], self._objective.content_strides)
            self._graphs = None  # this time as it is, which prepares what may not be recorded
        elif self._graphs is None:
            # What is recorded has memory of its own. What the iteration before has left would lie
            # idle beside it, and cannot be given back while something is being recorded.
            torch.cuda.empty_cache()
            self._graphs = {}
            self._memory = torch.cuda.graph_pool_handle()

    def _join(self, targets: Sequence[Target], totals: Mapping[int, Tensor] | None) -> Batch:
        assert self._batch_place is not None
        self._batch_place.take(targets, totals)
        return self._batch_place.batch(share=totals is not None)

    def _do(self, piece: Callable[[], None]) -> None:
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
        if size != self._style.shape[1]:
            super().grow(size)
            self._batch_place = None  # so that all is recorded anew, after one iteration as it is
