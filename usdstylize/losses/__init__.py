"""The losses as plain functions: the paper's three (Eq. 1), and those it compares NNFM with."""

from usdstylize.losses.content import content_loss
from usdstylize.losses.embedding import embedding_loss
from usdstylize.losses.gram import gram_loss, gram_matrix
from usdstylize.losses.nnfm import (
    SearchKeys,
    nearest_keys,
    nnfm_loss,
    prepare_search,
    smooth_features,
    style_keys,
)
from usdstylize.losses.palette import palette_loss

__all__ = [
    "SearchKeys",
    "content_loss",
    "embedding_loss",
    "gram_loss",
    "gram_matrix",
    "nearest_keys",
    "nnfm_loss",
    "palette_loss",
    "prepare_search",
    "smooth_features",
    "style_keys",
]
