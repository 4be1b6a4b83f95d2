"""Texels of several sizes as one stack: each sheet as it would be alone, magnified bilinearly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from usdstylize.optimize.sheet_texels import SheetTexels, shrunk

CLAMP, REPEAT = ("clamp", "clamp"), ("repeat", "repeat")


def made(wrap: tuple[str, str]) -> SheetTexels:
    return SheetTexels([16, 4], [wrap, wrap], np.ones((2, 16, 16), bool), "cpu")  # type: ignore[list-item]


def test_a_sheet_of_fewer_texels_is_magnified_and_one_of_all_is_as_it_is() -> None:
    texels = made(CLAMP)
    values = texels.parameters()
    assert values.shape == (16 * 16 + 4 * 4, 3)
    values[-16:] = torch.arange(16.0).view(4, 4).T.reshape(-1, 1)  # a ramp
    values[:256] = 0.25
    texture = texels.texture(values)
    assert torch.allclose(texture[0], torch.tensor(0.25))
    small = values[-16:].view(1, 4, 4, 3).permute(0, 3, 1, 2)
    padded = F.pad(small, (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor([0.25, 0.5, 0.25])
    blurred = F.conv2d(padded.transpose(0, 1), torch.outer(kernel, kernel)[None, None]).transpose(0, 1)
    expected = F.interpolate(blurred, (16, 16), mode="bilinear")[0].permute(1, 2, 0)
    torch.testing.assert_close(texture[1], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("wrap", [CLAMP, REPEAT])
def test_its_gradient_is_that_of_a_linear_map(wrap: tuple[str, str]) -> None:
    """<A x, y> = <x, A' y>, in float32."""
    texels = made(wrap)
    random = torch.Generator().manual_seed(1)
    x = torch.randn(texels.parameters().shape, generator=random).requires_grad_()
    y = torch.randn(2, 16, 16, 3, generator=random)
    product = (texels.texture(x) * y).sum()
    [gradient] = torch.autograd.grad(product, x)
    assert float((gradient * x.detach()).sum()) == pytest.approx(float(product.detach()), rel=1e-4)


def test_nothing_in_it_is_finer_than_a_sheets_own_texels() -> None:
    """Noise in the texels of the small sheet: none of its energy is above its Nyquist frequency."""
    texels = made(REPEAT)
    values = texels.parameters()
    values[-16:] = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    energy = torch.fft.fft2(texels.texture(values)[1, :, :, 0]).abs().square()
    frequency = torch.fft.fftfreq(16).abs() * 16
    fine = torch.maximum(frequency[:, None], frequency[None]) > 2
    assert float(energy[fine].sum() / energy.sum()) < 0.05


def test_what_is_written_has_a_sheets_own_size() -> None:
    """By hand: means of 2 × 2 texels; a size that does not divide is met, too."""
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    assert shrunk(image, 2)[..., 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert shrunk(image, 3).shape == (3, 3, 1)
    assert shrunk(image, 4) is image
