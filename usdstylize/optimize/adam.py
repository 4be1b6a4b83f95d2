"""Adam (Kingma & Ba 2015) on one tensor."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

__all__ = ["Adam"]


class Adam:
    """PyTorch's own fused kernel with its default constants, without its `Optimizer` class.

    Making an instance of that imports PyTorch's compiler, which takes longer than a whole object at `draft`.
    """

    def __init__(self, parameter: Tensor) -> None:
        """parameter: a float32 leaf; its ``grad`` is what `step` follows."""
        self._parameter = parameter
        self._mean = torch.zeros_like(parameter, requires_grad=False)
        self._square = torch.zeros_like(parameter, requires_grad=False)
        self._steps = torch.zeros((), device=parameter.device)

    def state_dict(self) -> dict[str, Any]:
        """Both means and the count of steps, copies on the CPU."""
        parts = {"mean": self._mean, "square": self._square, "steps": self._steps}
        return {name: tensor.to("cpu", copy=True) for name, tensor in parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with the means and the count of another's `state_dict`; the parameter is not in it."""
        self._mean.copy_(state["mean"])
        self._square.copy_(state["square"])
        self._steps.copy_(state["steps"])

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """One step, in place. A scalar tensor as ``rate`` may change between replays of a CUDA graph."""
        assert self._parameter.grad is not None
        adam(
            [self._parameter],
            [self._parameter.grad],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
