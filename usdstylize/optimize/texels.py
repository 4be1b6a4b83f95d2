"""Which texels count: those that the palette loss compares, and those that some camera has seen."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize import render
from usdstylize.losses import Texels

__all__ = ["Seen", "every_texel", "palette_texels"]


def every_texel(subject: render.Subject, covered: NDArray[np.bool_], device: str) -> Texels:
    """All texels of T + T_S, whether UVs cover them or not (paper, Eq. 3)."""
    return palette_texels(subject, np.ones_like(covered), [0.0] * len(covered), device)


def palette_texels(
    subject: render.Subject, covered: NDArray[np.bool_], levels: Sequence[float], device: str
) -> Texels:
    """The covered texels of the mip level that the cameras see; levels: by sheet.

    On finer ones the palette loss would draw stairs of single texels that no other loss sees.
    """
    size = subject.style_size
    rows, colors = [], []
    for sheet, level in enumerate(levels):
        whole = min(int(level + 0.5), len(render.level_sizes(*size)) - 1)
        height, width = render.level_sizes(*size)[whole]
        shown = torch.from_numpy(covered[sheet])[None, None].float()
        own = F.adaptive_avg_pool2d(shown, (height, width)).flatten()
        if not own.any():
            continue
        inside = torch.nonzero(own >= min(0.5, float(own.max()))).squeeze(1).to(device)
        rows.append(inside + sheet * subject.rows_per_sheet + render.level_rows(size, whole).start)
        colors.append(subject.base_at(sheet, (height, width)).reshape(-1, 3)[inside])
    return Texels(torch.cat(rows), torch.cat(colors))


class Seen:
    """Which texels some camera has sampled, at their own mip level or at one a little coarser."""

    def __init__(self, sheets: int, size: int, device: str, coarser: Sequence[int] = ()) -> None:
        """coarser: by sheet, mip levels by which it is seen more coarsely than the others; () for none."""
        self._sizes = render.level_sizes(size, size)
        self._areas = [height * width for height, width in self._sizes]
        # One row more, for samples that do not count.
        self._rows = torch.zeros(sheets * sum(self._areas) + 1, dtype=torch.bool, device=device)
        self._sheets = sheets
        self._coarser = list(coarser) if any(coarser) else [0] * sheets

    def add(self, views: Iterable[render.View]) -> None:
        """Count what the views sample, except at grazing angles, where a pixel spans much of the texture."""
        for view in views:
            ends = [self._end(int(view.level) + 2 + own) for own in self._coarser]
            rows = view.style.rows
            own = rows if self._sheets == 1 else rows % sum(self._areas)
            end: int | Tensor = ends[0]
            if len(set(ends)) > 1:
                end = torch.tensor(ends, device=rows.device)[(rows // sum(self._areas)).long()]
            ignored = (view.style.weights <= 0.05) | (own >= end)
            self._rows.index_fill_(0, rows.masked_fill(ignored, len(self._rows) - 1).long().flatten(), True)

    def _end(self, coarsest: int) -> int:
        """The first row of a sheet's mip table that is of a coarser level."""
        end: int = render.level_rows(self._sizes[0], min(coarsest, len(self._sizes) - 1)).stop
        return end

    def join(self, reduce: Callable[[Tensor], None] | None) -> None:
        """Take over what the cameras of other processes have seen; ``reduce`` adds up over all of them."""
        if reduce is not None:
            counts = self._rows.int()
            reduce(counts)
            self._rows = counts > 0

    def state_dict(self) -> dict[str, Any]:
        """A copy on the CPU."""
        return {"rows": self._rows.to("cpu", copy=True)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Add what another has seen of the same texture."""
        self._rows |= state["rows"].to(self._rows.device)

    def texels(self, around: int = 0) -> NDArray[np.bool_]:
        """(S, size, size) bool, a picture per sheet, row 0 the top.

        around: texels as near as that to one that was seen count, too.
        """
        sheets = self._rows[:-1].view(-1, sum(self._areas)).float()
        result = torch.zeros(len(sheets), 1, 1, 1, device=self._rows.device)
        for level, size in zip(
            reversed(torch.split(sheets, self._areas, 1)), reversed(self._sizes), strict=True
        ):
            result = torch.maximum(F.interpolate(result, size, mode="nearest"), level.view(-1, 1, *size))
        if around:
            result = F.max_pool2d(result, 2 * around + 1, 1, around)
        return (result[:, 0] > 0).cpu().numpy()
