"""The real weights of VGG16 and SqueezeNet, where they lie beside this checkout."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
VGG_WEIGHTS = SHARED / "weights" / "vgg16_features_fp16.safetensors"
needs_vgg = pytest.mark.skipif(
    not VGG_WEIGHTS.is_file(), reason="needs the real VGG16 weights, vgg16_features_fp16.safetensors"
)
SQUEEZENET_WEIGHTS = SHARED / "weights" / "squeezenet1_1_fp16.safetensors"
needs_squeezenet = pytest.mark.skipif(
    not SQUEEZENET_WEIGHTS.is_file(),
    reason="needs the real SqueezeNet weights, squeezenet1_1_fp16.safetensors",
)
