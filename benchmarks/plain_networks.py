"""CLIP's and VGG16's trunk in plain PyTorch, the peers of ours, and weights for both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usdstylize.encoders import clip, vgg16

__all__ = ["PlainClip", "PlainVgg16", "clip_weights", "vgg_weights"]


class PlainClip(nn.Module):
    """CLIP's trunk as one would write it down: the peer. Same inputs and outputs as `ClipResNet50`."""

    strides = clip.ClipResNet50.strides

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            if name.endswith("running_mean"):
                norm = name.removesuffix(".running_mean")
                module: nn.Module = nn.BatchNorm2d(len(value))
                module.load_state_dict(
                    {
                        part: state[f"{norm}.{part}"]
                        for part in ("weight", "bias", "running_mean", "running_var")
                    },
                    strict=False,
                )
                self.add_module(norm.replace(".", "_"), module)
            elif value.dim() == 4:
                self.register_buffer(name.replace(".", "_"), value)
        self._names = sorted({name.rsplit(".", 2)[0] for name in state if name.startswith("layer")})
        self.eval().requires_grad_(False)

    def _normed(self, x: Tensor, convolution: str, norm: str, **options: Any) -> Tensor:
        x = F.conv2d(x, self.get_buffer(f"{convolution}_weight".replace(".", "_")), **options)
        return self.get_submodule(norm.replace(".", "_"))(x)  # type: ignore[no-any-return]

    def forward(self, images: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
        mean, deviation = (images.new_tensor(v).view(3, 1, 1) for v in (clip._MEAN, clip._DEVIATION))
        x = ((images - mean) / deviation).to(self.get_buffer("conv1_weight").dtype)
        for number, stride in ((1, 2), (2, 1), (3, 1)):
            x = self._normed(x, f"conv{number}", f"bn{number}", stride=stride, padding=1).relu()
        x = F.avg_pool2d(x, 2)
        features: list[Tensor] = []
        for layer, count in enumerate(clip._BLOCKS, 1):
            for n in range(count):
                name, pools = f"layer{layer}.{n}", n == 0 and layer > 1
                inner = self._normed(x, f"{name}.conv1", f"{name}.bn1").relu()
                middle = F.conv2d(inner, self.get_buffer(f"{name}.conv2_weight".replace(".", "_")), padding=1)
                if layer in clip._FEATURE_LAYERS:
                    flat = middle.permute(0, 2, 3, 1).reshape(-1, middle.shape[1])
                    features.append(flat.index_select(0, rows[len(features)]))
                inner = self.get_submodule(f"{name}.bn2".replace(".", "_"))(middle).relu()
                out = self._normed(F.avg_pool2d(inner, 2) if pools else inner, f"{name}.conv3", f"{name}.bn3")
                if n == 0:
                    x = self._normed(
                        F.avg_pool2d(x, 2) if pools else x, f"{name}.downsample.0", f"{name}.downsample.1"
                    )
                x = (out + x).relu()
        return features


class PlainVgg16(nn.Module):
    """VGG16 to relu3_3 as one would write it down, with torchvision's preprocessing."""

    strides = vgg16.Vgg16.strides

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            self.register_buffer(name.replace(".", "_"), value.float())

    def forward(self, images: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
        mean, deviation = (
            images.new_tensor(v).view(3, 1, 1) for v in (vgg16._IMAGENET_MEAN, vgg16._IMAGENET_STD)
        )
        x = ((images - mean) / deviation).to(self.get_buffer("features_0_weight").dtype)
        features = []
        for numbers in vgg16._STAGES:
            if numbers[0]:
                x = F.max_pool2d(x, 2)
            for number in numbers:
                weight, bias = (self.get_buffer(f"features_{number}_{part}") for part in ("weight", "bias"))
                x = F.conv2d(x, weight, bias, padding=1).relu()
                if numbers is vgg16._STAGES[-1]:
                    flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
                    features.append(flat.index_select(0, rows[len(features)]))
        return features


def clip_weights() -> dict[str, Tensor]:
    """Random, batch norms far from the identity and such that maps keep their size."""
    torch.manual_seed(0)
    state = clip.random_weights()
    for name in [name for name in state if name.endswith("running_mean")]:
        norm = name.removesuffix(".running_mean")
        ends = norm.endswith("bn3") and norm != "bn3"
        state[f"{norm}.weight"] = torch.empty_like(state[name]).uniform_(0.5, 1.5) * (0.3 if ends else 1)
        state[f"{norm}.bias"] = torch.randn_like(state[name]) * 0.3
        state[f"{norm}.running_mean"] = torch.randn_like(state[name]) * 0.3
        state[f"{norm}.running_var"] = torch.empty_like(state[name]).uniform_(0.5, 1.5)
    return state


def vgg_weights(folder: Path | None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    if folder is None:
        return vgg16.random_weights()
    from safetensors.torch import load_file

    return load_file(folder / "vgg16_features_fp16.safetensors")
