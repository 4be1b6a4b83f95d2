"""All of CLIP RN50: one vector for a whole picture.

Only the paper's comparison (Figures 3 and S5) needs it; NNFM works on the maps of `clip`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from usdstylize.encoders.clip import image_tower_state
from usdstylize.encoders.standardize import Standardize

__all__ = ["ClipEmbedding"]

_SIDE = 224
"""Pixels: the one size that the attention pool's position embedding fits."""


def _image_tower() -> Any:
    """open_clip's RN50 image tower, with random weights."""
    from open_clip.modified_resnet import ModifiedResNet

    return ModifiedResNet(layers=[3, 4, 6, 3], output_dim=1024, heads=32, width=64).eval()


class ClipEmbedding(nn.Module):
    """An `Encoder` whose only map has a single position: the embedding of the whole picture.

    Input (B, 3, R, R) float, sRGB-encoded 0..1; output one (B, 1024) tensor, not normalised, or only
    the rows asked for. A picture of another size is resized to 224² as CLIP's own preprocessing
    does it, bicubic with antialiasing. NNFM of it is the cosine distance between a render's
    embedding and the nearest style image's.
    """

    smooth = False

    def __init__(self, resolution: int = _SIDE) -> None:
        """resolution: R, and so the stride: the map's one position stands for the whole picture."""
        super().__init__()
        self.strides: tuple[int, ...] = (resolution,)
        from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

        self.visual = _image_tower()
        self.standardize = Standardize(OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)

    @classmethod
    def from_file(cls, path: Path, resolution: int = _SIDE) -> "ClipEmbedding":
        """Read a file as `ClipResNet50.from_file` does; its sha256 must have been checked."""
        model = cls(resolution)
        model.visual.load_state_dict(image_tower_state(path))
        return model

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        if images.shape[-2:] != (_SIDE, _SIDE):
            images = F.interpolate(images, (_SIDE, _SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        found: Tensor = self.visual(self.standardize(images).to(self.visual.conv1.weight.dtype))
        return [found if rows is None else found.index_select(0, rows[0])]
