"""Networks that turn a render into feature maps: CLIP RN50, VGG16 and the draft encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from usdstylize.config.method import EncoderName, Precision
from usdstylize.encoders import weights
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.encoders.draft import Architecture, DraftEncoder
from usdstylize.encoders.embedding import ClipEmbedding
from usdstylize.encoders.vgg16 import Vgg16

__all__ = [
    "Architecture",
    "ClipEmbedding",
    "ClipResNet50",
    "DraftEncoder",
    "Encoder",
    "Vgg16",
    "load_embedding",
    "load_encoder",
    "precision",
]


class Encoder(Protocol):
    """A frozen network.

    Called with (B, 3, H, W) float images, sRGB-encoded 0..1, row 0 the top, H and W multiples
    of 32, it gives one (K, C) tensor per layer: a row for each position in (b, y, x) order,
    or only for the positions in ``rows[layer]`` ((K,) int64, each at most once).
    """

    smooth: bool
    """Whether NNFM smooths its features with a softmax over channels first: CLIP's only."""
    strides: tuple[int, ...]
    """Per layer, how many pixels of the image one position of the map spans."""

    def __call__(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]: ...


def precision(device: str, wanted: Precision = "auto") -> torch.dtype:
    """``auto`` is bfloat16 where the device computes it natively, else float32.

    It depends on the hardware alone, never on a timing, so that a seed gives one result.
    """
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if device.startswith("cuda"):
        return torch.bfloat16
    native = torch.cpu.get_capabilities()
    return torch.bfloat16 if native.get("avx512_bf16") or native.get("amx_bf16") else torch.float32


def load_encoder(
    name: EncoderName, *, device: str, dtype: torch.dtype, folder: Path | None = None, bn_relu: bool = False
) -> Encoder:
    """The encoder ``name`` with its real weights, frozen, on ``device`` in ``dtype``.

    Raises WeightsError where the weights are missing or not the ones expected.
    """
    path = weights.locate(name, folder)
    model: torch.nn.Module
    if name == "clip-rn50":
        model = ClipResNet50.from_file(path, bn_relu=bn_relu)
    elif name == "vgg16":
        model = Vgg16.from_file(path)
    else:
        model = DraftEncoder.from_file(path)
    model = model.eval().requires_grad_(False)
    return model.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def load_embedding(
    resolution: int, *, device: str, dtype: torch.dtype, folder: Path | None = None
) -> ClipEmbedding:
    """CLIP RN50's embedding of resolution² pictures, with its real weights, as `load_encoder`.

    Raises WeightsError where the weights are missing or not the ones expected.
    """
    model = (
        ClipEmbedding.from_file(weights.locate("clip-rn50", folder), resolution).eval().requires_grad_(False)
    )
    return model.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
