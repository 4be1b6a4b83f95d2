"""Any network of timm that has feature maps of every picture's size: convolutional ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import timm
import torch
from timm.models import load_state_dict
from torch import Tensor, nn

from usdstylize.encoders.rows import feature_rows
from usdstylize.encoders.standardize import Standardize
from usdstylize.errors import OptionsError, WeightsError

__all__ = ["TimmNetwork"]

# VGG16's maps have stride 4, most of CLIP RN50's 16. Strokes need one of the first two: a network with
# a map at 16 alone is a transformer of large patches.
_STRIDES = (4, 8, 16)
_FINE_STRIDES = (4, 8)
_TRIAL = (96, 160)
"""Height and width of a picture that is no training size and has few divisors but those of 32."""


class TimmNetwork(nn.Module):
    """Input (B, 3, H, W) float, sRGB-encoded 0..1; output per map the rows (K, C) asked for.

    The maps are those of ``features_only``: the deepest at each of the strides 4, 8 and 16 that the network
    has. Mean and deviation are those of its training, as timm's ``pretrained_cfg`` has them. The weights
    are random until `load`.

    name: as timm has it, a known one. Raises OptionsError where the network cannot serve.
    """

    smooth = False

    def __init__(self, name: str) -> None:
        super().__init__()
        with torch.device("meta"):  # no memory and no time: only names, shapes and strides are read
            whole = timm.create_model(name)
        self._name = f"timm:{name}"
        self._whole: dict[str, Tensor] = whole.state_dict()
        indices = self._indices_by_stride(getattr(whole, "feature_info", ()))
        settings = whole.pretrained_cfg
        if settings.get("fixed_input_size"):
            raise self._unsuitable("takes pictures of one size alone")
        self.strides: tuple[int, ...] = tuple(indices)
        self._standardize = Standardize(settings["mean"], settings["std"])
        try:
            self.network = timm.create_model(
                name, features_only=True, out_indices=tuple(indices.values())
            ).eval()
            with torch.no_grad():
                maps = self._maps(torch.zeros(1, 3, *_TRIAL))
        except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            raise self._unsuitable("has no maps of every picture's size") from error
        sizes = [tuple(found.shape[2:]) for found in maps]
        if sizes != [(_TRIAL[0] // stride, _TRIAL[1] // stride) for stride in self.strides]:
            raise self._unsuitable(
                f"has maps whose sizes are not the picture's divided by {', '.join(map(str, self.strides))}"
            )

    @classmethod
    def from_file(cls, path: Path, *, name: str) -> "TimmNetwork":
        """Read a file of the whole network, with timm's names; see `load`."""
        network = cls(name)
        network.load(path)
        return network

    def load(self, path: Path) -> None:
        """Take the weights of a ``.safetensors``, or of a ``.pth`` that holds tensors alone.

        Raises WeightsError where it is neither, or holds the weights of another network.
        """
        try:
            read = load_state_dict(str(path), weights_only=True)
            state = {name: value for name, value in read.items() if isinstance(value, Tensor)}
        except Exception as error:  # whatever safetensors, pickle and zip raise for a broken file
            raise WeightsError(
                f"{path} cannot be read as weights ({type(error).__name__}); give a .safetensors, or a .pth "
                "that holds tensors alone."
            ) from error
        own = {name: self._name_in_file(name) for name in self.network.state_dict()}
        if difference := self._difference(state, set(own.values())):
            raise WeightsError(
                f"{path} holds another network than {self._name}: {difference}; give one with timm's names."
            )
        new = {name: state.get(own[name], value) for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(new)

    def forward(self, images: Tensor, rows: Sequence[Tensor] | None = None) -> list[Tensor]:
        maps = self._maps(images)
        wanted = [None] * len(maps) if rows is None else rows
        return [feature_rows(found, own) for found, own in zip(maps, wanted, strict=True)]

    def _maps(self, images: Tensor) -> list[Tensor]:
        """(B, C, H / stride, W / stride) each."""
        dtype = next(self.network.parameters()).dtype
        x = self._standardize(images).to(dtype).contiguous(memory_format=torch.channels_last)
        last = str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC")
        return [found.permute(0, 3, 1, 2) if last else found for found in self.network(x)]

    def _indices_by_stride(self, listed: Sequence[Mapping[str, int]]) -> dict[int, int]:
        """timm's number of the deepest map at each of our strides.

        Raises OptionsError where all are coarse.
        """
        info = getattr(listed, "info", listed)
        deepest = {each["reduction"]: index for index, each in enumerate(info)}
        if not deepest.keys() & set(_FINE_STRIDES):
            raise self._unsuitable("has no feature maps at a quarter or an eighth of the picture's size")
        return {stride: deepest[stride] for stride in _STRIDES if stride in deepest}

    def _unsuitable(self, why: str) -> OptionsError:
        return OptionsError(f"{self._name} {why}; choose a convolutional network, such as timm:resnet50.")

    def _name_in_file(self, name: str) -> str:
        """Of the whole network, by that of `features_only`, which joins names of nested modules by ``_``."""
        dotted = {each.replace("_", "."): each for each in self._whole}
        name = name.replace("_", ".")
        return dotted.get(name) or dotted[name.removeprefix("model.").removeprefix("body.")]

    def _difference(self, state: Mapping[str, Tensor], needed: set[str]) -> str | None:
        """The first weight that differs from the network's, apart from layers behind the last map."""
        for name, value in self._whole.items():
            if name not in needed or name.endswith("num_batches_tracked"):
                continue
            if name not in state:
                return f"{name} is missing"
            if state[name].shape != value.shape:
                shapes = (" x ".join(map(str, each.shape)) for each in (state[name], value))
                return "{} is {} instead of {}".format(name, *shapes)
        return next((f"{name} is not part of it" for name in state if name not in self._whole), None)
