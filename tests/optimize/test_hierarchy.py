"""Coarse to fine: how large T_S is when, and what it looks like once it has grown."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from balls import METHOD
from scipy import ndimage

from usdstylize.model.base_colors import Wrap
from usdstylize.optimize.hierarchy import magnified, magnifiers, size_at, smoothed


@pytest.mark.parametrize(
    ("hierarchy", "iterations", "sizes"),
    [
        ((8, 16, 64), 10, [8, 8, 8, 8, 16, 16, 16, 64, 64, 64]),
        ((8, 16), 6, [8, 8, 16, 16, 64, 64]),
        ((8, 64, 128), 4, [8, 8, 64, 64]),
        ((16, 32, 64), 2, [16, 32]),
        ((16,), 1, [16]),
        ((), 3, [64, 64, 64]),
    ],
)
def test_each_size_has_its_share_of_the_iterations(
    hierarchy: tuple[int, ...], iterations: int, sizes: list[int]
) -> None:
    method = dataclasses.replace(
        METHOD, texture_resolution=64, texture_hierarchy=hierarchy, iterations=iterations
    )
    assert [size_at(method, number) for number in range(1, iterations + 1)] == sizes


@pytest.mark.parametrize("across", ["repeat", "clamp", "mirror"])
@pytest.mark.parametrize("up", ["repeat", "clamp", "black"])
@pytest.mark.parametrize("size", [4, 6, 13, 24])
def test_a_texture_is_magnified_as_pytorch_does_it_and_wraps_along_each_axis(
    across: Wrap, up: Wrap, size: int
) -> None:
    """``across`` is the wrap in s, along the columns. Two sheets, of which the other one repeats."""
    textures = torch.rand(2, 4, 6, 3, generator=torch.Generator().manual_seed(1))
    found = magnified(textures, magnifiers(textures, size, [(across, up), ("repeat", "repeat")]))
    assert found.shape == (2, size, size, 3)
    for own, (s, t), texture in zip(found, [(across, up), ("repeat", "repeat")], textures, strict=True):
        picture = texture.double().permute(2, 0, 1)[None]
        # one texel more on each side, as it wraps
        picture = F.pad(picture, (1, 1, 0, 0), mode="circular" if s == "repeat" else "replicate")
        picture = F.pad(picture, (0, 0, 1, 1), mode="circular" if t == "repeat" else "replicate")
        rows, columns = _places(4, size), _places(6, size)
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)[None]
        expected = F.grid_sample(picture, grid, mode="bilinear", align_corners=True)[0].permute(1, 2, 0)
        torch.testing.assert_close(own.double(), expected, rtol=0, atol=1e-6)


def _places(small: int, large: int) -> torch.Tensor:
    """(large,) float64, -1 to 1: fine texels' centres on an axis of coarse ones and one more at each end."""
    centres = (torch.arange(large, dtype=torch.float64) + 0.5) * small / large + 0.5
    return centres / (small + 1) * 2 - 1


def test_by_hand_a_texture_of_two_texels_becomes_four() -> None:
    texture = torch.tensor([[0.0, 8.0], [0.0, 8.0]])[None, :, :, None].expand(1, 2, 2, 3)
    clamped = magnified(texture, magnifiers(texture, 4, [("clamp", "repeat")]))
    assert clamped[0, :, :, 0].tolist() == [[0, 2, 6, 8]] * 4
    wrapped = magnified(texture, magnifiers(texture, 4, [("repeat", "clamp")]))
    assert wrapped[0, :, :, 0].tolist() == [[2, 2, 6, 6]] * 4


def test_a_texture_of_full_size_is_left_as_it_is() -> None:
    texture = torch.ones(1, 8, 8, 3)
    assert magnifiers(texture, 8, [("repeat", "repeat")]) == ()
    assert magnified(texture, ()) is texture


@pytest.mark.parametrize("across", ["repeat", "clamp"])
@pytest.mark.parametrize("up", ["repeat", "clamp"])
def test_smoothing_is_1_2_1_along_either_axis_and_wraps(across: Wrap, up: Wrap) -> None:
    texture = torch.rand(1, 7, 5, 3, dtype=torch.float64)
    modes = [{"repeat": "wrap", "clamp": "nearest"}[wrap] for wrap in (up, across)]
    expected = texture[0].numpy()
    for axis, mode in enumerate(modes):
        expected = ndimage.convolve1d(expected, [0.25, 0.5, 0.25], axis=axis, mode=mode)
    found = smoothed(texture, [(across, up)])
    torch.testing.assert_close(found[0], torch.from_numpy(expected))


def test_a_single_texel_is_smoothed_to_a_quarter_and_a_broad_stroke_stays() -> None:
    texel, stroke = torch.zeros(2, 1, 16, 16, 3)
    texel[0, 8, 8] = 1
    stroke[0, 4:12, 4:12] = 1
    clamp: tuple[Wrap, Wrap] = ("clamp", "clamp")
    assert smoothed(texel, [clamp]).max() == 0.25
    assert smoothed(stroke, [clamp])[0, 6:10, 6:10].min() == 1
