"""The paper's three losses as plain functions (Eq. 1): NNFM, content, palette."""

from usdstylize.losses.content import content_loss
from usdstylize.losses.nnfm import nearest_keys, nnfm_loss, smooth_features, style_keys
from usdstylize.losses.palette import palette_loss

__all__ = [
    "content_loss",
    "nearest_keys",
    "nnfm_loss",
    "palette_loss",
    "smooth_features",
    "style_keys",
]
