"""Which texels of an object are to stay as they were drawn: its letters, its eyes, what a mask protects."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from usdstylize import render
from usdstylize.imaging import drawing, gutters, uv_raster
from usdstylize.imaging.sampling import resample
from usdstylize.optimize.framing import sheet_widths

__all__ = ["kept_drawing", "painted_masks"]

_LARGEST = 2048
_FINEST_MASK = 4096
_SMALLEST = 16


def kept_drawing(
    assembly: render.Assembly,
    subject: render.Subject,
    pixel: float,
    share: float = 1.0,
    masks: Tensor | None = None,
) -> Tensor | None:
    """As `Objective.targets` takes it; None where the objects have no fine drawing and no masks.

    pixel: metres that a pixel of a render spans. T is looked at with a texel for each. share: 0..1, how
    much of it is kept. masks: as `painted_masks` gives them.
    """
    drawn = _fine_drawing(assembly, subject, pixel, share) if share else None
    if masks is None:
        return None if drawn is None else _mip_table(drawn, subject)
    stylized = masks.permute(0, 3, 1, 2)
    if drawn is None:
        drawn = torch.zeros_like(stylized)
    return _mip_table(torch.cat([torch.maximum(drawn, 1 - stylized), drawn * stylized], 1), subject)


def _mip_table(maps: Tensor, subject: render.Subject) -> Tensor:
    """maps: (S, C, H, W), one per sheet."""
    return torch.cat([render.mip_table(own.permute(1, 2, 0)) for own in maps]).to(subject.device)


def _fine_drawing(
    assembly: render.Assembly, subject: render.Subject, pixel: float, share: float
) -> Tensor | None:
    """(S, 1, H, W), of the size of T_S."""
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
    return torch.cat(fitted)


def painted_masks(assembly: render.Assembly, covered: NDArray[np.bool_]) -> Tensor | None:
    """(S, R, R, 1) float32, where T_S shows, 0 (not at all) to 1; None where no sheet has a mask.

    covered: (S, R, R) bool, the texels that the UVs cover. A mask goes on beyond these, as T_S does: what
    nobody painted there must not come in at a seam.
    """
    if all(sheet.mask is None for sheet in assembly.sheets):
        return None
    size = covered.shape[1]
    found = []
    for number, (sheet, own) in enumerate(zip(assembly.sheets, covered, strict=True)):
        mask = np.ones((1, 1), np.float32) if sheet.mask is None else sheet.mask
        valid = ~np.isnan(mask)
        if valid.all():
            finest = max(size, min(max(mask.shape), _FINEST_MASK))
            image = resample(mask[..., None], (finest, finest), sheet.wrap)
            if mask.size > 1:
                shown = (
                    own
                    if finest == size
                    else uv_raster.covered_texels(assembly.uvs_of(number), sheet.wrap, finest)
                )
                image = gutters.dilate(image, shown, sheet.wrap)
        else:
            image = gutters.dilate(np.nan_to_num(mask[..., None]), valid, sheet.wrap)
            if len(image) < size:
                image = resample(image, (size, size), sheet.wrap)
        fitted = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
        if fitted.shape[2] > size:
            fitted = F.interpolate(fitted, (size, size), mode="bilinear", antialias=True)
        found.append(fitted.clamp(0, 1).permute(0, 2, 3, 1))
    return torch.cat(found).contiguous()
