"""Networks that turn a render into feature maps, by name in `ENCODERS`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from usdstylize.encoders.registry import ENCODERS, Balance, EncoderSpec, WeightFile, find, register

if TYPE_CHECKING:
    from usdstylize.encoders.loading import Encoder, check_encoder, load_embedding, load_encoder, precision

__all__ = [
    "ENCODERS",
    "Balance",
    "Encoder",
    "EncoderSpec",
    "WeightFile",
    "check_encoder",
    "find",
    "load_embedding",
    "load_encoder",
    "precision",
    "register",
]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for: `registry` and `weights` do without (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("usdstylize.encoders.loading"), name)
