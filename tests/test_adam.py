"""Our Adam is PyTorch's own."""

import pytest
import torch

from usdstylize.optimize.adam import Adam


@pytest.mark.parametrize("as_tensor", [False, True])
def test_steps_equal_those_of_torch_optim(as_tensor: bool) -> None:
    random = torch.Generator().manual_seed(3)
    ours = torch.randn(17, 5, 3, generator=random).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    adam, peer = Adam(ours), torch.optim.Adam([theirs])
    for number in range(40):
        gradient = torch.randn(17, 5, 3, generator=random) * 10.0 ** (number % 5 - 4)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        rate = 4e-2 * 0.9**number
        adam.step(torch.tensor(rate) if as_tensor else rate)
        peer.param_groups[0]["lr"] = rate
        peer.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
