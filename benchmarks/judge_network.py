"""BVLC GoogLeNet up to inception_3b: an eye that no loss has ever seen.

A result is measured by a network that nothing was optimised for; a loss that used this one
would make the measure void.
"""

import hashlib
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from usdstylize.errors import WeightsError

__all__ = ["DEFAULT_WEIGHTS", "FeatureNetwork", "GoogLeNet"]

DEFAULT_WEIGHTS = Path(__file__).parents[2] / "shared" / "weights" / "googlenet_bvlc_fp16.safetensors"
"""Beside the checkout, where there is one; optional, as nothing in the product needs it."""
SHA256 = "94a5fb4f250fa280c9968ee5acb5603367ce6d3e8ae108622d8fb2e70915195a"

_MEAN_BGR = (104.0, 117.0, 123.0)
_BATCH = 4


class FeatureNetwork(Protocol):
    """Whatever turns images (B, 3, H, W), sRGB-encoded 0..1, into one feature map (B, C, h, w)."""

    device: str

    def __call__(self, images: Tensor) -> Tensor: ...


class GoogLeNet:
    """The frozen trunk of the Caffe release, in float32."""

    def __init__(self, path: Path = DEFAULT_WEIGHTS, device: str = "cpu") -> None:
        """Raises WeightsError where the file is missing or holds other bytes."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise WeightsError(
                f"The judge's weights {path} cannot be read ({error.strerror}); give the file of BVLC "
                "GoogLeNet with --judge-weights."
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if found != SHA256:
            raise WeightsError(
                f"{path} is not the judge's GoogLeNet: its sha256 is {found}, not {SHA256}; restore the file."
            )
        from safetensors.torch import load

        self.device = device
        self._weights = {name: value.float().to(device) for name, value in load(data).items()}
        self._mean = torch.tensor(_MEAN_BGR, device=device).view(1, 3, 1, 1)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """(B, 480, h, w) float32 of (B, 3, H, W), sRGB-encoded 0..1; one position spans 8 pixels."""
        return torch.cat([self.features(part) for part in torch.split(images.to(self.device), _BATCH)])

    def features(self, images: Tensor) -> Tensor:
        """The same with a gradient, for those who attack the measure; no loss of a result may use it."""
        x = images.flip(1) * 255 - self._mean
        x = _normalize_locally(_pool(self._convolve(x, "conv1.7x7_s2", stride=2, padding=3)))
        x = self._convolve(self._convolve(x, "conv2.3x3_reduce"), "conv2.3x3", padding=1)
        x = _pool(_normalize_locally(x))
        return self._inception(self._inception(x, "inception_3a"), "inception_3b")

    def _inception(self, x: Tensor, name: str) -> Tensor:
        return torch.cat(
            [
                self._convolve(x, f"{name}.1x1"),
                self._convolve(self._convolve(x, f"{name}.3x3_reduce"), f"{name}.3x3", padding=1),
                self._convolve(self._convolve(x, f"{name}.5x5_reduce"), f"{name}.5x5", padding=2),
                self._convolve(F.max_pool2d(x, 3, 1, 1), f"{name}.pool_proj"),
            ],
            dim=1,
        )

    def _convolve(self, x: Tensor, name: str, *, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding))


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def _normalize_locally(x: Tensor) -> Tensor:
    return F.local_response_norm(x, 5, 1e-4, 0.75, 1.0)
