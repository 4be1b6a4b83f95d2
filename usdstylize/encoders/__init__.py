"""Networks that turn a render into feature maps: CLIP RN50, VGG16 and the draft encoder."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from usdstylize.encoders.loading import Encoder, load_embedding, load_encoder, precision

__all__ = ["Encoder", "load_embedding", "load_encoder", "precision"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for: `encoders.weights` does without (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("usdstylize.encoders.loading"), name)
