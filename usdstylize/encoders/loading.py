"""The interface of a network to the losses, and loading one with its real weights."""

from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from usdstylize.config.method import Precision
from usdstylize.encoders import weights
from usdstylize.encoders.registry import ENCODERS, find
from usdstylize.errors import OptionsError

__all__ = ["Encoder", "check_encoder", "load_embedding", "load_encoder", "precision"]


class Encoder(Protocol):
    """A frozen network, whose preprocessing is its own.

    images: (B, 3, H, W) float, sRGB-encoded 0..1, row 0 at the top, H and W multiples of 32. The
    result is one tensor (K, C) per feature map: a row for every position, in (b, y, x) order, or
    for the positions ``rows[map]`` alone ((K,) int64, none of them twice).
    """

    smooth: bool
    """Whether NNFM takes a softmax over the channels of its features first: CLIP's only."""
    strides: tuple[int, ...]
    """Per map, the width in pixels of the image that one position stands for."""

    def __call__(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]: ...


def precision(device: str, wanted: Precision = "auto") -> torch.dtype:
    """The type that networks compute in. ``auto`` is bfloat16 where the device has it natively, else float32.

    It follows from the hardware alone, never from a measured time: a seed gives one result on a device.
    """
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if device.startswith("cuda"):
        return torch.bfloat16
    native = torch.cpu.get_capabilities()
    return torch.bfloat16 if native.get("avx512_bf16") or native.get("amx_bf16") else torch.float32


def load_encoder(
    name: str, *, device: str, dtype: torch.dtype, folder: Path | None = None, bn_relu: bool = False
) -> Encoder:
    """The encoder ``name`` with its real weights, frozen, on ``device`` in ``dtype``.

    folder: where the weights are searched first. bn_relu: maps behind batch norm and ReLU; it
    changes nothing in a network without batch norms.

    Raises OptionsError where there is no such encoder or the network cannot serve as one, and
    WeightsError where its weights are missing or not the ones expected.
    """
    spec = find(name)
    settings = {"bn_relu": bn_relu} if spec.takes_bn_relu else {}
    model = resolve_name(spec.factory)(weights.locate(name, folder), **spec.arguments, **settings)
    return _frozen(model, device, dtype)


def check_encoder(name: str, folder: Path | None = None) -> str | None:
    """The sha256 of the weights, where no entry of `ENCODERS` has it: for a run to record; else None.

    Such a network is loaded, to find out before all else whether it and the file can serve.

    Raises OptionsError and WeightsError as `load_encoder`.
    """
    if not find(name).takes_any_weights:
        return None
    load_encoder(name, device="cpu", dtype=torch.float32, folder=folder)
    return weights.sha256_of(weights.locate(name, folder))


def load_embedding(
    name: str, resolution: int, *, device: str, dtype: torch.dtype, folder: Path | None = None
) -> Encoder:
    """The network that describes a picture of resolution² pixels by one vector, loaded as by `load_encoder`.

    Raises OptionsError where ``name`` has no such thing, and WeightsError as `load_encoder`.
    """
    spec = find(name)
    if spec.embedding is None:
        others = ", ".join(other for other, its in ENCODERS.items() if its.embedding is not None)
        raise OptionsError(f"The encoder {name} has no embedding of a whole picture; choose from {others}.")
    model = resolve_name(spec.embedding)(weights.locate(name, folder), resolution)
    return _frozen(model, device, dtype)


def _frozen(model: nn.Module, device: str, dtype: torch.dtype) -> Encoder:
    model = model.eval().requires_grad_(False)
    return cast(Encoder, model.to(device=device, dtype=dtype, memory_format=torch.channels_last))  # type: ignore[call-overload]
