"""The peer of the GPU benchmark: the paper's step as one would first write it down, in float32.

Whole feature maps, whole distance matrices, PyTorch's own autograd and Adam; the same views, T
and light as the product's step gets.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usdstylize.config.method import Method
from usdstylize.losses.batch import Target
from usdstylize.render import join, mip_table, shade

__all__ = ["PlainStep"]


class PlainStep:
    """texture: (H, W, 3) float32, T_S."""

    def __init__(
        self, method: Method, style: nn.Module, content: nn.Module, images: Sequence[Tensor], palette: Tensor
    ) -> None:
        """style, content: networks from (B, 3, R, R) to rows of maps, in float32.

        images: (3, R, R), palette: (Q, 3), both sRGB-encoded.
        """
        self._method, self._style, self._content, self._palette = method, style, content, palette
        device = palette.device
        size = method.texture_resolution
        self.texture = torch.zeros(size, size, 3, device=device, requires_grad=True)
        self._adam = torch.optim.Adam([self.texture], lr=method.learning_rate[0])
        self._background = images[0]
        self._grey = torch.full_like(images[0], 0.5)
        with torch.no_grad():
            layers = [style(image[None], _everywhere(style, 1, method, device)) for image in images]
        self._keys = [
            F.normalize(F.softmax(torch.cat(rows), dim=1), dim=1) for rows in zip(*layers, strict=True)
        ]

    def __call__(self, targets: Sequence[Target], originals: Sequence[Tensor]) -> Tensor:
        """One iteration; ``originals`` are the content network's maps of the original, whole."""
        table = mip_table(self.texture)
        device, count = table.device, len(targets)
        nnfm = torch.stack(
            [
                (1 - F.normalize(F.softmax(rows, dim=1), dim=1) @ keys.T).amin(1).mean()
                for rows, keys in zip(
                    self._style(
                        self._paint(targets, table, self._background),
                        _everywhere(self._style, count, self._method, device),
                    ),
                    self._keys,
                    strict=True,
                )
            ]
        ).mean()
        content = sum(
            F.mse_loss(rows, original)
            for rows, original in zip(
                self._content(
                    self._paint(targets, table, self._grey),
                    _everywhere(self._content, count, self._method, device),
                ),
                originals,
                strict=True,
            )
        )
        palette = torch.cdist(self.texture.view(-1, 3), self._palette).amin(1).square().mean()
        method = self._method
        total = (
            method.nnfm_weight * nnfm
            + method.content_weight * content
            + method.palette_weight[0] * palette
        )  # fmt: skip
        self._adam.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        return total.detach()

    @torch.no_grad()
    def originals(self, targets: Sequence[Target]) -> list[Tensor]:
        """The content network's maps of the original, which do not change."""
        where = _everywhere(self._content, len(targets), self._method, self.texture.device)
        found: list[Tensor] = self._content(self._paint(targets, None, self._grey), where)
        return found

    def _paint(self, targets: Sequence[Target], table: Tensor | None, background: Tensor) -> Tensor:
        views = join([target.view for target in targets])
        color = views.base
        if table is not None:
            color = color + (table[views.style.rows.long()] * views.style.weights[..., None]).sum(1)
        lit = shade(color, views.diffuse, views.specular)
        images = (
            background.permute(1, 2, 0).repeat(views.count, 1, 1).view(-1, 3).index_copy(0, views.pixels, lit)
        )
        return images.view(views.count, views.resolution, views.resolution, 3).permute(0, 3, 1, 2)


def _everywhere(network: nn.Module, count: int, method: Method, device: torch.device) -> list[Tensor]:
    """All positions of every map."""
    return [torch.arange(count * (method.resolution // s) ** 2, device=device) for s in network.strides]  # type: ignore[union-attr]
