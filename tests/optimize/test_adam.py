"""Our Adam is PyTorch's own."""

import pytest
import torch

from usdstylize.optimize.adam import Adam


@pytest.mark.parametrize("as_tensor", [False, True])
def test_steps_equal_those_of_torch_optim_in_float64(as_tensor: bool) -> None:
    random = torch.Generator().manual_seed(3)
    ours = torch.randn(17, 5, 3, generator=random).requires_grad_()
    theirs = ours.detach().double().requires_grad_()
    adam = Adam(ours)
    peer = torch.optim.Adam([theirs], betas=(0.9, 0.999), eps=1e-8, foreach=False, fused=False)
    for number in range(40):
        gradient = torch.randn(17, 5, 3, generator=random) * 10.0 ** (number % 5 - 4)
        ours.grad, theirs.grad = gradient.clone(), gradient.double()
        rate = 4e-2 * 0.9**number
        adam.step(torch.tensor(rate) if as_tensor else rate)
        peer.param_groups[0]["lr"] = rate
        peer.step()
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-6)


def test_the_first_step_is_the_rate_whatever_the_gradients_size() -> None:
    """By hand: its mean over its root mean square is its sign."""
    texels = torch.zeros(3).requires_grad_()
    texels.grad = torch.tensor([1e-3, -5.0, 0.0])
    Adam(texels).step(0.04)
    torch.testing.assert_close(texels.detach(), torch.tensor([-0.04, 0.04, 0.0]), rtol=1e-4, atol=0)
