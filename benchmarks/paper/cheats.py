"""Textures that are no style transfer and try to pass for it: pasted, shuffled, dithered.

Each is a `Making`, T_S of 1024². Those that must beat nothing are in `benchmarks.baselines`.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.baselines import baselines
from benchmarks.paper.cells import Run
from benchmarks.paper.subjects import PaperSubject
from usdstylize import render
from usdstylize.imaging import gutters, uv_raster
from usdstylize.imaging.encoding import encode_base
from usdstylize.losses.objective import cover_crop
from usdstylize.model.objects import StyleSet
from usdstylize.usd.write.bake import resample

__all__ = ["dither", "mosaic", "overlay", "shuffle", "triplanar"]

Float32 = NDArray[np.float32]

_SIZE = 1024
_TILE = 512
"""Pixels of the style image as it is pasted."""
_SPAN = 1.0
"""Of the object's bounding radius that the pasted image covers: about as large as strokes come out."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_DETAIL = 24.0
"""Texels: what is finer than this is detail."""
_BLOCK = 48
"""Texels of a pasted crop."""


def triplanar(subject: PaperSubject, style: StyleSet, run: Run) -> Float32:
    """The style image projected along the axis that each point faces most: no UV seam shows."""
    return _projected(subject, style) - _base(subject)


def shuffle(subject: PaperSubject, style: StyleSet, run: Run) -> Float32:
    """Crops of the style image in any order."""
    random = np.random.default_rng(0)
    picture, page = _picture(style), np.empty((_SIZE, _SIZE, 3), np.float32)
    for rows, columns in _blocks():
        y, x = random.integers(0, _TILE - _BLOCK, 2)
        page[rows, columns] = picture[y : y + _BLOCK, x : x + _BLOCK][: _size(rows), : _size(columns)]
    return page - _base(subject)


def mosaic(subject: PaperSubject, style: StyleSet, run: Run) -> Float32:
    """Crops of the style image, each where the original has about its mean luma: light and dark stay."""
    random = np.random.default_rng(0)
    picture, base = _picture(style), _base(subject)
    page = np.empty_like(base)
    corners = random.integers(0, _TILE - _BLOCK, (600, 2))
    crops = np.stack([picture[y : y + _BLOCK, x : x + _BLOCK] for y, x in corners])
    lumas = (crops @ _LUMA).mean((1, 2))
    # the style's own range of luma is spread over the original's
    order = np.sort(lumas)
    original = base @ _LUMA
    low, high = np.percentile(original, (2, 98))
    for rows, columns in _blocks():
        share = np.clip((original[rows, columns].mean() - low) / max(high - low, 1e-6), 0, 1)
        nearest = np.argsort(np.abs(lumas - order[int(share * (len(order) - 1))]))[:6]
        page[rows, columns] = crops[random.choice(nearest)][: _size(rows), : _size(columns)]
    return page - base


def overlay(subject: PaperSubject, style: StyleSet, run: Run) -> Float32:
    """The recoloured original with the detail of a triplanar style image over it."""
    base = _base(subject)
    recoloured = base + baselines(subject.data, style, subject.object.wrap)["recolour"]
    pasted = _projected(subject, style)
    fine = pasted - _blurred(pasted)
    result: Float32 = np.clip(_blurred(recoloured) + fine, 0, 1) - base
    return result


def dither(subject: PaperSubject, style: StyleSet, run: Run) -> Float32:
    """Palette colours alone, in a random pattern whose mean is the original: no colour is wrong."""
    base = _base(subject)
    random = np.random.default_rng(0)
    wanted = base @ _LUMA + (random.random(base.shape[:2], np.float32) - 0.5) * 0.5
    lumas = style.palette @ _LUMA
    found: Float32 = style.palette[np.abs(wanted[..., None] - lumas).argmin(-1)] - base
    return found


def _base(subject: PaperSubject) -> Float32:
    return encode_base(
        resample(subject.data.bases[0], (_SIZE, _SIZE), subject.object.wrap), subject.data.transfer
    )


def _picture(style: StyleSet) -> Float32:
    return cover_crop(style.primary.pixels, _TILE)


def _projected(subject: PaperSubject, style: StyleSet) -> Float32:
    """(1024, 1024, 3): the style image on the texels that the UVs cover, repeated over the object."""
    mesh = render.normalize(subject.data.mesh)
    corners = mesh.points[mesh.triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    known = np.concatenate([corners, np.repeat(facing[:, None], 3, axis=1)], axis=2)
    where, covered = uv_raster.rasterize_vertex_colors(mesh.uvs, known, _SIZE, subject.object.wrap)
    where = gutters.dilate(where, covered, subject.object.wrap)
    axis = np.abs(where[..., 3:]).argmax(-1)
    u = np.where(axis == 0, where[..., 2], where[..., 0])
    v = np.where(axis == 1, where[..., 2], where[..., 1])
    picture = _picture(style)
    x, y = ((value / _SPAN * _TILE).astype(np.int64) % _TILE for value in (u, -v))
    found: Float32 = picture[y, x]
    return found


def _blurred(image: Float32) -> Float32:
    found: Float32 = ndimage.gaussian_filter(image, (_DETAIL, _DETAIL, 0), mode="wrap")
    return found


def _blocks() -> Iterator[tuple[slice, slice]]:
    steps = [slice(start, min(start + _BLOCK, _SIZE)) for start in range(0, _SIZE, _BLOCK)]
    return ((rows, columns) for rows in steps for columns in steps)


def _size(part: slice) -> int:
    return int(part.stop - part.start)
