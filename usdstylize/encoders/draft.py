"""The embedded draft encoder: a small network that imitates a large one's feature maps.

It is part of the package, so that a first result needs neither a GPU nor a download.
`training/` makes it; the model card beside the weights says from what, and how well.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from usdstylize.encoders.rows import feature_rows

__all__ = ["Architecture", "DraftEncoder"]

_TRUNK_STRIDE = 4


@dataclass(frozen=True)
class Architecture:
    """A student's size, and the shape of its teacher's maps."""

    stem: int = 24
    """Channels at half the image's size."""
    width: int = 64
    """Channels of the trunk, at a quarter of the image's size and below."""
    blocks: tuple[int, ...] = (2, 1, 1)
    """Residual convolutions before each map's head, counted from the map before."""
    channels: tuple[int, ...] = (256, 256, 256)
    """Channels of each map."""
    strides: tuple[int, ...] = (4, 4, 4)
    """Stride of each map, in pixels of the image: powers of two from 4, none smaller than the one before."""
    smooth: bool = False
    """Whether NNFM smooths the teacher's features first (CLIP)."""
    rectified: bool = True
    """Whether the teacher's maps are never negative."""


class DraftEncoder(nn.Module):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output per map the rows (K, C) asked for.

    The maps have the teacher's scale. The trunk has plain 3 × 3 convolutions: on a CPU they are
    faster than depthwise ones with half the arithmetic.
    """

    scale: Tensor

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        stem, width = self.architecture.stem, self.architecture.width
        self.smooth = self.architecture.smooth
        self.strides = self.architecture.strides
        self.stem = nn.Conv2d(3, stem, 3, 2, 1)
        self.down = nn.Conv2d(stem, width, 3, 2, 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(count))
            for count in self.architecture.blocks
        )
        self.heads = nn.ModuleList(nn.Linear(width, channels) for channels in self.architecture.channels)
        self.register_buffer("scale", torch.ones(len(self.heads)))

    @classmethod
    def from_file(cls, path: Path) -> "DraftEncoder":
        """Read a ``.safetensors`` whose header holds what `metadata` gives."""
        with safe_open(path, "pt") as file:
            written = json.loads(file.metadata()["architecture"])
        known = {field.name for field in fields(Architecture)}
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in written.items()
            if key in known
        }
        model = cls(Architecture(**values))
        model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
        return model

    def metadata(self) -> dict[str, str]:
        """What `from_file` needs besides the weights: the architecture, as JSON."""
        return {"architecture": json.dumps(asdict(self.architecture))}

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        x = ((images - 0.45) * 4).to(self.stem.weight.dtype)
        x = F.relu(self.down(F.relu(self.stem(x))))
        at = _TRUNK_STRIDE
        features = []
        for index, (blocks, head, stride) in enumerate(
            zip(self.blocks, self.heads, self.strides, strict=True)
        ):
            if stride > at:
                x, at = F.avg_pool2d(x, stride // at), stride
            for convolution in blocks:  # type: ignore[attr-defined]
                x = x + F.relu(convolution(x))
            # A head works on each position alone, so only the wanted ones are computed.
            wanted = feature_rows(x, rows[index] if rows is not None else None)
            weight, bias = head.get_parameter("weight"), head.get_parameter("bias")
            scale = self.scale[index].to(weight.dtype)
            found = F.linear(wanted, weight * scale, bias * scale)
            features.append(F.relu(found) if self.architecture.rectified else found)
        return features
