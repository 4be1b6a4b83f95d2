"""Strokes with the original's colours."""

import dataclasses

import numpy as np
import pytest
import torch
from balls import METHOD, ball, describe, stripes
from torch.utils._python_dispatch import TorchDispatchMode

from usdstylize import optimize
from usdstylize.losses import muted


def test_by_hand() -> None:
    red = torch.tensor([[1.0, 0.0, 0.0]])
    torch.testing.assert_close(muted(red, 0.0), torch.full((1, 3), 0.299))
    torch.testing.assert_close(muted(red, 0.5), torch.tensor([[0.6495, 0.1495, 0.1495]]))
    assert muted(red, 1.0) is red
    pictures = torch.rand(2, 3, 4, 5)
    across = muted(pictures.permute(0, 2, 3, 1), 0.25)
    torch.testing.assert_close(muted(pictures, 0.25, dim=1).permute(0, 2, 3, 1), across)


@pytest.mark.parametrize("color_start", [0.0, 0.5])
def test_strokes_of_light_and_dark_alone(color_start: float) -> None:
    """Every texel of T_S moves red, green and blue alike: T's chroma stays, and there are strokes."""
    method = dataclasses.replace(METHOD, style_colors=0.0, color_start=color_start)
    found = optimize.Optimizer(stripes(), method, "cpu").optimize([describe()], [ball()])[0].images[0]
    assert np.ptp(found, axis=-1).max() < 1e-5
    assert found.std() > 0.02


def test_nothing_is_copied_from_the_host_once_it_is_there() -> None:
    """A CUDA graph may not be captured while a list becomes a tensor, which PyTorch calls `lift_fresh`."""
    called = []

    class Listening(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            called.append(str(func))
            return func(*args, **(kwargs or {}))

    colors = torch.rand(5, 3)
    muted(colors, 0.5)
    with Listening():
        muted(colors, 0.5)
    assert "aten.lerp.Scalar" in called
    assert not [name for name in called if "lift_fresh" in name]
