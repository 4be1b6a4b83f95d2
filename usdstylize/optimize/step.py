"""One iteration: T_S to its mip table, the losses of a batch, their gradient, Adam."""

from collections.abc import Sequence

import torch
from torch import Tensor

from usdstylize.losses.objective import Objective, Target, Texels
from usdstylize.options import Method
from usdstylize.render import Subject

__all__ = ["Step"]


class Step:
    """Holds T_S, which every call brings nearer to the style.

    texture: (S, H, W, 3) float32, signed offsets to sRGB-encoded values, one per sheet.
    """

    def __init__(self, objective: Objective, subject: Subject, texels: Texels, sheets: int) -> None:
        self._objective = objective
        self._method: Method = objective.method
        self._subject = subject
        self._texels = texels
        height, width = subject.style_size
        self.texture = torch.zeros(sheets, height, width, 3, device=subject.device, requires_grad=True)
        self._adam = torch.optim.Adam([self.texture])

    def __call__(self, targets: Sequence[Target], rate: float, palette_weight: float) -> Tensor:
        """One iteration with Adam's learning rate and the palette loss's weight.

        Returns NNFM, content and palette loss and their weighted sum, (4,), before the change.
        """
        table = self._subject.style_table(self.texture)
        # The losses' gradient ends here, and goes on to the texels once, whatever its parts.
        leaf = table.detach().requires_grad_()
        nnfm, content = self._objective.terms(self._objective.join(targets), leaf)
        palette = self._objective.palette(leaf, self._texels)
        total = (
            self._method.nnfm_weight * nnfm + self._method.content_weight * content + palette_weight * palette
        )
        with torch.backends.cudnn.flags(enabled=True, deterministic=True):
            total.backward()  # type: ignore[no-untyped-call]
        self.texture.grad = None
        table.backward(leaf.grad)  # type: ignore[no-untyped-call]
        self._adam.param_groups[0]["lr"] = rate
        self._adam.step()
        return torch.stack([nnfm, content, palette, total]).detach()
