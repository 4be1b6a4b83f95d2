"""The embedded draft encoder: 0.3 M parameters that imitate VGG16's relu3_1 to relu3_3.

It ships inside the package (604 KB), so that a first look needs neither a GPU nor a download.
Distilled from the original VGG16 with student-in-the-loop NNFM steps; its features have a
cosine of 0.92 to 0.98 with VGG16's on images it has not seen.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usdstylize.encoders.rows import feature_rows

__all__ = ["DraftEncoder"]


class _Block(nn.Module):
    """Depthwise 5 × 5, then a two-layer perceptron per position, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.project(F.relu(self.expand(self.depthwise(x))))
        return x + added


class DraftEncoder(nn.Module):
    """Three feature maps of 256 channels at a quarter of the image's size.

    Input (B, 3, H, W) float, sRGB-encoded 0..1. Output: per map the rows (K, 256) of the
    positions asked for, on the scale of torchvision's VGG16 relu3_1, relu3_2 and relu3_3.
    """

    smooth = False
    strides = (4, 4, 4)

    scale: Tensor

    def __init__(self, stem: int = 24, width: int = 80) -> None:
        super().__init__()
        self.stem_down = nn.Conv2d(3, stem, 6, 2, 2)
        self.stem = nn.Conv2d(stem, stem, 3, padding=1)
        self.down = nn.Conv2d(stem, width, 4, 2, 1)
        self.skip = nn.Conv2d(stem, width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(5))
        self.heads = nn.ModuleList(nn.Conv2d(width, 256, 1) for _ in range(3))
        self.register_buffer("scale", torch.ones(3))

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        x = ((images - 0.45) * 4).to(self.stem.weight.dtype)
        x = F.relu(self.stem(F.relu(self.stem_down(x))))
        x = F.relu(self.down(x) + self.skip(F.max_pool2d(x, 2)))
        x = x + F.relu(self.mix(x))
        features = []
        for index, (head, blocks) in enumerate(zip(self.heads, ((0, 1), (2,), (3, 4)), strict=True)):
            for block in blocks:
                x = self.blocks[block](x)
            # A head works on each position alone, so only the wanted ones are computed.
            wanted = feature_rows(x, rows[index] if rows is not None else None)
            weight, bias = head.get_parameter("weight").flatten(1), head.get_parameter("bias")
            scale = self.scale[index]
            features.append(F.relu(F.linear(wanted, weight * scale, bias * scale)))
        return features
