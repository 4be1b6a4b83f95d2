"""The faint field that T_S begins with."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from balls import stripes
from surfaces import assembled, box, plane

from usdstylize import render
from usdstylize.model.objects import StyleImage, StyleSet
from usdstylize.optimize.start import start_colors, start_field


def field(assembly: render.Assembly, style: StyleSet, width: float, size: int, seed: int = 0) -> np.ndarray:
    return start_field(assembly, style, width, 0.25, size, seed).numpy()


def test_it_deviates_as_the_styles_colours_do_and_by_the_share() -> None:
    """Stripes of two colours: their covariance has one direction, that from one to the other."""
    style = stripes()
    pixels = style.primary.pixels.reshape(-1, 3).astype(np.float64)
    found = field(assembled(plane(6.0, 6.0)), style, 0.1, 256).reshape(-1, 3).astype(np.float64)
    assert np.abs(found.mean(0)).max() < 0.03
    np.testing.assert_allclose(np.cov(found.T), 0.25**2 * np.cov(pixels.T), atol=0.3 * 0.25**2 * pixels.var())
    assert np.array_equal(
        field(assembled(plane(6.0, 6.0)), style, 0.1, 256).reshape(-1, 3), found.astype("f4")
    )
    assert not np.allclose(field(assembled(plane(6.0, 6.0)), style, 0.1, 256, seed=1).reshape(-1, 3), found)


def test_no_seam_of_the_uvs_shows_in_it() -> None:
    """Two points on either side of an edge of a cube are far apart in its texture, and alike in the field."""
    assembly = assembled(box(1.0))
    style = stripes()
    size = 512
    image = field(assembly, style, 8.0, size)[0]
    corners, uvs = assembly.mesh.points[assembly.mesh.triangles], assembly.mesh.uvs

    def at(point: np.ndarray, triangle: int) -> np.ndarray:
        shares = np.linalg.lstsq(
            np.vstack([corners[triangle].T, np.ones(3)]), np.append(point, 1.0), rcond=None
        )[0]
        u, v = shares @ uvs[triangle]
        return image[int((1 - v) * size), int(u * size)]

    jumps, far = [], []
    for one in range(12):
        for other in range(one + 2, 12):
            shared = [p for p in corners[one] if (np.abs(corners[other] - p).sum(1) < 1e-6).any()]
            normals = assembly.mesh.normals[[one, other], 0]
            if len(shared) == 2 and normals[0] @ normals[1] < 0.5:
                middle = shared[0] * 0.6 + shared[1] * 0.4
                inside = [middle + 0.02 * (corners[t].mean(0) - middle) for t in (one, other)]
                jumps.append(np.abs(at(inside[0], one) - at(inside[1], other)).mean())
                far.append(
                    np.abs(at(inside[0], one) - at(corners[(one + 5) % 12].mean(0), (one + 5) % 12)).mean()
                )
    assert len(jumps) >= 6
    assert np.mean(jumps) < 0.35 * np.mean(far)


def test_its_waves_are_as_long_on_a_large_surface_as_on_a_small_one() -> None:
    """In radii a pattern width is small on a large object: texels per wave are then fewer."""

    def steepness(width: float) -> float:
        image = field(assembled(plane(2.0, 2.0)), stripes(), width, 256)[0]
        return float(np.abs(np.diff(image, axis=1)).mean() / image.std())

    assert steepness(0.25) == pytest.approx(2 * steepness(0.5), rel=0.35)


def test_each_sheet_has_its_own_and_gutters_continue_it() -> None:
    assembly = assembled(box(1.0))
    twice = dataclasses.replace(
        assembly,
        sheets=assembly.sheets * 2,
        sheet_of_triangle=np.arange(len(assembly.mesh.triangles)) % 2,
    )
    images = field(twice, stripes(), 0.5, 64)
    assert images.shape == (2, 64, 64, 3)
    assert (np.abs(images).sum(-1) > 0).mean() > 0.99


@pytest.mark.parametrize(("share", "first"), [(1.0, 0.5), (0.5, 1.0)])
def test_colours_of_one_grey_become_those_of_the_style(share: float, first: float) -> None:
    """A surface of the first stripe's own colour gets both in equal shares, or stays where half is enough."""
    style = stripes()
    assembly = assembled(plane(6.0, 6.0))
    start = start_field(assembly, style, 1.0, 0.1, 128, 0)
    one, other = np.unique(style.primary.pixels.reshape(-1, 3), axis=0)
    bases = torch.from_numpy(one).expand(1, 128, 128, 3).contiguous()
    covered = np.ones((1, 128, 128), bool)
    found = start_colors(assembly, bases, start, covered, style, share, 0)
    colors = (bases + found).numpy().reshape(-1, 3)
    nearer = np.abs(colors - one).sum(1) < np.abs(colors - other).sum(1)
    assert nearer.mean() == pytest.approx(first, abs=0.06)
    again = start_colors(assembly, bases, start, covered, style, share, 0)
    assert torch.equal(found, again)


def test_ink_on_paper_keeps_the_light_and_a_painting_does_not() -> None:
    """A grey surface of a style of black and white stays grey; one of as many greys becomes all of them."""
    assembly = assembled(plane(6.0, 6.0))
    bases = torch.full((1, 64, 64, 3), 0.5)
    covered = np.ones((1, 64, 64), bool)
    levels = {"ink": np.repeat([0.0, 1.0], 2048), "painting": np.linspace(0.2, 0.8, 4096)}
    spread = {}
    for name, values in levels.items():
        pixels = np.repeat(values.reshape(64, 64, 1), 3, axis=2).astype(np.float32)
        style = StyleSet(
            name, (StyleImage(Path(name), pixels, ""),), np.unique(values)[:2, None].repeat(3, 1)
        )
        start = start_field(assembly, style, 1.0, 0.05, 64, 0)
        spread[name] = start_colors(assembly, bases, start, covered, style, 1.0, 0).std() / start.std()
    assert spread["ink"] == pytest.approx(1.0, abs=0.01)
    assert spread["painting"] > 5
