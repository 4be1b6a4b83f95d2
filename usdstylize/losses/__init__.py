"""The losses as plain functions: the paper's three (Eq. 1), and those it compares NNFM with."""

from usdstylize.losses.content import content_loss
from usdstylize.losses.embedding import embedding_loss
from usdstylize.losses.gram import gram_loss, gram_matrix
from usdstylize.losses.nnfm import nearest_keys, nnfm_loss, smooth_features, style_keys
from usdstylize.losses.palette import palette_loss

__all__ = [
    "content_loss",
    "embedding_loss",
    "gram_loss",
    "gram_matrix",
    "nearest_keys",
    "nnfm_loss",
    "palette_loss",
    "smooth_features",
    "style_keys",
]
