"""Which texels of an object are to stay as they were drawn: its letters, its eyes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize import render
from usdstylize.imaging import drawing, uv_raster
from usdstylize.optimize.framing import sheet_widths

__all__ = ["kept_drawing"]

_LARGEST = 2048
_SMALLEST = 16


def kept_drawing(
    assembly: render.Assembly, subject: render.Subject, pixel: float, share: float = 1.0
) -> Tensor | None:
    """(N, 1) float32, 0..1, by the rows of the mip table of T_S; None where the objects have no fine drawing.

    pixel: metres that a pixel of a render spans. T is looked at with a texel for each. share: 0..1, how
    much of it is kept.
    """
    if not share:
        return None
    maps = []
    for number, (sheet, width) in enumerate(zip(assembly.sheets, sheet_widths(assembly), strict=True)):
        size = round(min(max(width * assembly.radius / pixel, _SMALLEST), _LARGEST))
        covered = uv_raster.covered_texels(assembly.uvs_of(number), sheet.wrap, size)
        colors = subject.base_at(number, (size, size)).cpu().numpy()
        maps.append(torch.from_numpy(drawing.fine_drawing(colors, covered, sheet.wrap)))
    if not any(own.any() for own in maps):
        return None
    fitted = [
        F.interpolate(share * own[None, None], subject.style_size, mode="bilinear", antialias=True)
        for own in maps
    ]
    return torch.cat([render.mip_table(own[0].permute(1, 2, 0)) for own in fitted]).to(subject.device)
