"""CLIP RN50's trunk: the outputs of conv2 of every bottleneck in layer3 and layer4 (paper §3).

Fully convolutional: the attention pool at the network's end is never run, images are not
resized to 224, and nothing after the last feature map is computed.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from usdstylize.encoders.first import FirstConvolution
from usdstylize.encoders.frozen import Frozen, FrozenConvolution, exact, fold, scale_and_shift
from usdstylize.encoders.maps import affine_rectify_, mean_pool, mean_pool_gradient, put_rows_, take_rows
from usdstylize.encoders.trunk import Tape, Trunk

__all__ = ["ClipResNet50", "image_tower_state", "random_weights"]

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_BLOCKS = (3, 4, 6, 3)
_WIDTH = 64
_EXPANSION = 4
_FEATURE_LAYERS = (3, 4)


def image_tower_state(path: Path) -> dict[str, Tensor]:
    """The image tower's weights in float32, of OpenAI's ``RN50.pt`` (TorchScript) or a ``.safetensors``.

    The caller has checked the file's sha256: TorchScript runs code from the file.
    """
    if path.suffix == ".safetensors":
        state = load_file(path)
    else:
        # PyTorch calls TorchScript deprecated; OpenAI's file will not change.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            state = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
    prefix = "visual."
    return {name[len(prefix) :]: value.float() for name, value in state.items() if name.startswith(prefix)}


class ClipResNet50(Trunk):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output the rows (K, C) of nine feature maps.

    At 512² the maps are one (B, 256, 64, 64) and five (B, 256, 32, 32) of layer3, one
    (B, 512, 32, 32) and two (B, 512, 16, 16) of layer4. They are the raw convolution outputs,
    before batch norm; with ``bn_relu`` they are taken after batch norm and ReLU.

    ``state`` has open_clip's names below ``visual.``; without it the weights are random.
    """

    smooth = True
    strides = (8, 16, 16, 16, 16, 16, 16, 32, 32)

    def __init__(self, *, bn_relu: bool = False, state: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        state = random_weights() if state is None else state
        stem = [fold(state[f"conv{n}.weight"], _norm(state, f"bn{n}")) for n in (1, 2, 3)]
        weight, bias = stem[0]
        self.first = FirstConvolution(weight / torch.tensor(_DEVIATION).view(3, 1, 1), bias, _MEAN, stride=2)
        self.stem = nn.ModuleList(FrozenConvolution(*each) for each in stem[1:])
        names = [f"layer{layer}.{n}" for layer, count in enumerate(_BLOCKS, 1) for n in range(count)]
        self.blocks = nn.ModuleList(
            _Bottleneck(
                state,
                name,
                tapped=int(name[len("layer")]) in _FEATURE_LAYERS,
                bn_relu=bn_relu,
                pools=name.endswith(".0") and name != names[0],
                last=name == names[-1],
            )
            for name in names
        )

    @classmethod
    def from_file(cls, path: Path, *, bn_relu: bool = False) -> "ClipResNet50":
        """Read OpenAI's ``RN50.pt`` or open_clip's ``.safetensors``; see `image_tower_state`."""
        return cls(bn_relu=bn_relu, state=image_tower_state(path))

    def _features(self, x: Tensor, rows: Sequence[Tensor] | None, tape: Tape | None) -> list[Tensor]:
        for convolution in cast(list[FrozenConvolution], self.stem):
            x = convolution.rectified(x)
            if tape is not None:
                tape.append(x)
        x = mean_pool(x)
        features: list[Tensor] = []
        for block in cast(list[_Bottleneck], self.blocks):
            if block.tapped:
                x, found = block.tap(x, None if rows is None else rows[len(features)], tape)
                features.append(found)
            else:
                x = block(x, tape)
        return features

    def _gradient(
        self, gradients: Sequence[Tensor | None], rows: Sequence[Tensor] | None, tape: Tape
    ) -> Tensor:
        left = len(gradients)
        gradient: Tensor | None = None
        for block in reversed(cast(list[_Bottleneck], self.blocks)):
            if block.tapped:
                left -= 1
                gradient = block.gradient(
                    gradient, tape, gradients[left], None if rows is None else rows[left]
                )
            else:
                gradient = block.gradient(gradient, tape)
        second, third = cast(list[FrozenConvolution], self.stem)
        assert gradient is not None
        gradient = mean_pool_gradient(gradient, cast(Tensor, tape.pop()))
        gradient = third.gradient(gradient, cast(Tensor, tape.pop()))
        return second.gradient(gradient)


class _Bottleneck(nn.Module):
    """open_clip's Bottleneck. All batch norms are folded into convolutions, except that of a tapped conv2.

    Input and output come out of a ReLU, or are means of what does. The gradients that `gradient`
    takes and gives are those of that ReLU's input.
    """

    def __init__(
        self, state: Mapping[str, Tensor], name: str, *, tapped: bool, bn_relu: bool, pools: bool, last: bool
    ) -> None:
        super().__init__()
        self.tapped, self._bn_relu, self._pools = tapped, bn_relu, pools

        def folded(convolution: str, norm: str) -> tuple[Tensor, Tensor]:
            return fold(state[f"{name}.{convolution}.weight"], _norm(state, f"{name}.{norm}"))

        scale = None
        self.conv1 = FrozenConvolution(*folded("conv1", "bn1"))
        if tapped:
            scale, shift = scale_and_shift(_norm(state, f"{name}.bn2"))
            self.affine = _Affine(scale, shift)
            self.conv2 = FrozenConvolution(exact(state[f"{name}.conv2.weight"]))
        else:
            self.conv2 = FrozenConvolution(*folded("conv2", "bn2"))
        self.conv3: FrozenConvolution | None = None
        self.downsample: FrozenConvolution | None = None
        if last:
            return
        weight, bias = folded("conv3", "bn3")
        if f"{name}.downsample.0.weight" in state:
            shortcut, shortcut_bias = folded("downsample.0", "downsample.1")
            self.downsample = FrozenConvolution(shortcut)
            bias = bias + shortcut_bias
        # Between the tapped map and conv3's input are a factor per channel, a shift and a ReLU: the
        # factor is part of conv3's gradient.
        self.conv3 = FrozenConvolution(weight, bias, input_scale=scale)

    def forward(self, x: Tensor, tape: Tape | None) -> Tensor:
        """The block's output. Appends x and the outputs of the two inner ReLUs to ``tape``."""
        inner = self.conv1.rectified(x)
        activated = self.conv2.rectified(inner)
        if tape is not None:
            tape += [x, inner, activated]
        return self._end(x, activated)

    def tap(self, x: Tensor, rows: Tensor | None, tape: Tape | None) -> tuple[Tensor, Tensor]:
        """As `forward`, and the wanted rows of conv2's map; the last block's output has no meaning."""
        inner = self.conv1.rectified(x)
        if tape is not None:
            tape += [x, inner]
        middle = self.conv2(inner)
        found = None if self._bn_relu else take_rows(middle, rows)
        if found is None or self.conv3 is not None:
            affine_rectify_(middle, self.affine.scale, self.affine.shift)
            if tape is not None:
                tape.append(middle)
        if found is None:
            found = take_rows(middle, rows)
        return self._end(x, middle), found

    def _end(self, x: Tensor, activated: Tensor) -> Tensor:
        if self.conv3 is None:
            return activated
        shortcut = x
        if self.downsample is not None:
            shortcut = self.downsample(mean_pool(x) if self._pools else x)
        return self.conv3.rectified(mean_pool(activated) if self._pools else activated, shortcut)

    def gradient(
        self, gradient: Tensor | None, tape: Tape, added: Tensor | None = None, rows: Tensor | None = None
    ) -> Tensor:
        """The gradient of x, from that of the output and that of the tapped rows, ``added``; None means 0."""
        if self.conv3 is None:
            activated = cast(Tensor, tape.pop()) if self._bn_relu else None
            middle = torch.zeros_like(cast(Tensor, tape[-1]))
        else:
            assert gradient is not None
            activated = cast(Tensor, tape.pop())
            if self._pools:
                middle = mean_pool_gradient(self.conv3.gradient(gradient), activated)
            else:
                middle = self.conv3.gradient(gradient, activated)
        if added is not None and self._bn_relu:
            put_rows_(middle, rows, added * self.affine.scale.to(added.dtype), activated)
        elif added is not None:
            put_rows_(middle, rows, added)
        inner = self.conv2.gradient(middle, cast(Tensor, tape.pop()))
        x = cast(Tensor, tape.pop())
        if self.conv3 is None:
            return self.conv1.gradient(inner, x)
        assert gradient is not None
        if self.downsample is None:
            return self.conv1.gradient(inner, x, gradient)
        shortcut = self.downsample.gradient(gradient)
        if self._pools:
            return mean_pool_gradient(shortcut, x, self.conv1.gradient(inner))
        return self.conv1.gradient(inner, x, shortcut)


class _Affine(Frozen):
    """A batch norm that is not folded into a convolution: scale and shift (C,)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)


def _norm(state: Mapping[str, Tensor], name: str) -> list[Tensor]:
    return [state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]


def random_weights() -> dict[str, Tensor]:
    """Random convolutions that keep the magnitude of activations, and batch norms that change nothing."""
    state: dict[str, Tensor] = {}

    def add(convolution: str, norm: str, outputs: int, inputs: int, size: int) -> None:
        deviation = math.sqrt(2 / (inputs * size * size))
        state[f"{convolution}.weight"] = torch.randn(outputs, inputs, size, size) * deviation
        state[f"{norm}.weight"] = state[f"{norm}.running_var"] = torch.ones(outputs)
        state[f"{norm}.bias"] = state[f"{norm}.running_mean"] = torch.zeros(outputs)

    add("conv1", "bn1", _WIDTH // 2, 3, 3)
    add("conv2", "bn2", _WIDTH // 2, _WIDTH // 2, 3)
    add("conv3", "bn3", _WIDTH, _WIDTH // 2, 3)
    inputs = _WIDTH
    for layer, count in enumerate(_BLOCKS, 1):
        planes = _WIDTH * 2 ** (layer - 1)
        for number in range(count):
            name = f"layer{layer}.{number}"
            add(f"{name}.conv1", f"{name}.bn1", planes, inputs, 1)
            add(f"{name}.conv2", f"{name}.bn2", planes, planes, 3)
            add(f"{name}.conv3", f"{name}.bn3", planes * _EXPANSION, planes, 1)
            if number == 0:
                add(f"{name}.downsample.0", f"{name}.downsample.1", planes * _EXPANSION, inputs, 1)
            inputs = planes * _EXPANSION
    return state
