"""Letters stay legible in any style, and what has no letters is made as if nothing were kept."""

import dataclasses
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from balls import METHOD, ball, describe, stripes
from drawings import letters
from surfaces import plane

from usdstylize import optimize, render
from usdstylize.config.method import Method
from usdstylize.losses import Objective
from usdstylize.model.objects import ObjectData
from usdstylize.optimize.detail import kept_drawing
from usdstylize.optimize.static_batch import Size, StaticBatch

SIZE, TEXELS = 0.2, 128
BOOK = dataclasses.replace(METHOD, resolution=128, pattern_width=0.2, texture_limit=256)


def book() -> ObjectData:
    """A cover of 20 cm, its title in letters of two pixels' strokes."""
    return ObjectData(plane(SIZE, SIZE), (letters(TEXELS)[0],))


def made(method: Method, data: ObjectData, **changes: Any) -> np.ndarray:
    optimizer = optimize.Optimizer(stripes(), dataclasses.replace(method, **changes), "cpu")
    return optimizer.optimize([describe()], [data])[0].images[0]


def title_correlation(style: np.ndarray) -> float:
    """Pearson of the luma of the letters and what is next to them, with and without the style."""
    base, drawn = letters(len(style))
    rows, columns = np.nonzero(drawn)
    box = np.s_[rows.min() - 4 : rows.max() + 5, columns.min() - 4 : columns.max() + 5]
    shown = np.clip(base + style, 0, 1) @ (0.299, 0.587, 0.114)
    return float(np.corrcoef(shown[box].ravel(), base[..., 0][box].ravel())[0, 1])


def test_letters_keep_their_drawing_and_the_page_gets_the_style() -> None:
    kept, lost = (made(BOOK, book(), keep_detail=share) for share in (1.0, 0.0))
    found = [title_correlation(style) for style in (kept, lost)]
    assert found[0] > 0.8
    assert found[0] - found[1] > 0.1
    away = np.ones(kept.shape[:2], bool)
    away[len(kept) // 4 : -len(kept) // 4, len(kept) // 4 : -len(kept) // 4] = False
    strokes = [float(style[away].std()) for style in (kept, lost)]
    assert strokes[0] == pytest.approx(strokes[1], rel=0.05)
    assert strokes[0] > 0.1


def test_what_is_kept_takes_the_styles_colours() -> None:
    """Light letters of a red hue on a dark green page, in a style of greys."""
    _, drawn = letters(TEXELS)
    colored = np.where(drawn[..., None], (0.95, 0.55, 0.4), (0.1, 0.35, 0.15)).astype(np.float32)
    colors = stripes()
    [image] = colors.images
    grey = replace(
        colors,
        images=(replace(image, pixels=image.pixels.mean(2, keepdims=True).repeat(3, 2)),),
        palette=colors.palette.mean(1, keepdims=True).repeat(3, 1),
    )
    optimizer = optimize.Optimizer(grey, BOOK, "cpu")
    [made] = optimizer.optimize([describe()], [ObjectData(plane(SIZE, SIZE), (colored,))])
    shown = np.clip(colored + made.images[0], 0, 1)
    hues = [float(np.ptp(picture[drawn], axis=1).mean()) for picture in (colored, shown)]
    assert hues[1] < 0.4 * hues[0]
    luma = shown @ (0.299, 0.587, 0.114)
    assert luma[drawn].mean() - luma[~drawn].mean() > 0.2


def test_an_object_without_drawing_is_made_as_before_to_the_last_bit() -> None:
    assert np.array_equal(made(METHOD, ball(), keep_detail=1.0), made(METHOD, ball(), keep_detail=0.0))


@pytest.mark.parametrize("share", [1, 2])
def test_what_is_kept_lies_where_the_letters_are(share: int) -> None:
    """A texel for each pixel that spans 20 cm / 128; T may be larger, and T_S smaller."""
    data = ObjectData(plane(SIZE, SIZE), (letters(share * TEXELS, stroke=2 * share)[0],))
    assembly = render.assemble([describe()], [data])
    subject = render.Subject(assembly, (TEXELS, TEXELS), "cpu")
    table = kept_drawing(assembly, subject, SIZE / TEXELS)
    assert table is not None
    assert table.shape == (subject.rows_per_sheet, 1)
    finest = table[: TEXELS**2].view(TEXELS, TEXELS).numpy()
    _, drawn = letters(TEXELS)
    assert finest[drawn].min() > 0.8
    assert finest[: TEXELS // 4].max() == finest[:, -TEXELS // 10 :].max() == 0
    half = kept_drawing(assembly, subject, SIZE / TEXELS, 0.5)
    assert half is not None
    torch.testing.assert_close(half, table / 2)
    assert kept_drawing(assembly, subject, SIZE / TEXELS, 0.0) is None
    near = kept_drawing(assembly, subject, SIZE / TEXELS / 8)
    assert near is None, "from so near, letters are areas"


def test_a_static_batch_keeps_the_same() -> None:
    """What CUDA graphs read: a batch that is copied into fixed tensors, with room for more."""
    assembly = render.assemble([describe()], [book()])
    subject = render.Subject(assembly, (TEXELS, TEXELS), "cpu")
    kept = kept_drawing(assembly, subject, SIZE / TEXELS)
    assert kept is not None
    objective = Objective(stripes(), BOOK, "cpu", weights=None)
    cameras = list(islice(render.draw_cameras(BOOK, np.random.default_rng(0)), 2))
    visibility = render.choose_visibility("embree", assembly.mesh.points, assembly.mesh.triangles, "cpu")
    targets = objective.targets(render.trace_views(subject, visibility, cameras, BOOK), 0, kept)
    own = objective.join(targets)
    static = StaticBatch(Size.of_any([targets], 2).wider(1.25), targets[0], objective.content_strides)
    static.fill(targets, None)
    for stride, positions in static.batch(share=False).positions.items():
        wanted = own.positions[stride]
        count = len(wanted.rows)
        assert positions.kept is not None
        assert wanted.kept is not None
        assert wanted.kept.max() > 0.5
        assert torch.equal(positions.kept[:count], wanted.kept)
        assert not positions.weighted(9.0)[count:].any()
