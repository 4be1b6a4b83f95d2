"""The losses as plain functions: the paper's three (Eq. 1), and Gram matrices, NNFM's rival."""

from usdstylize.losses.batch import Batch, Positions, Target, Texels
from usdstylize.losses.content import content_loss
from usdstylize.losses.gradients import backward
from usdstylize.losses.gram import gram_loss, gram_matrix
from usdstylize.losses.nnfm import (
    SearchKeys,
    nearest_keys,
    nnfm_loss,
    prepare_search,
    smooth_features,
    style_keys,
)
from usdstylize.losses.objective import Objective
from usdstylize.losses.palette import palette_loss

__all__ = [
    "Batch",
    "Objective",
    "Positions",
    "SearchKeys",
    "Target",
    "Texels",
    "backward",
    "content_loss",
    "gram_loss",
    "gram_matrix",
    "nearest_keys",
    "nnfm_loss",
    "palette_loss",
    "prepare_search",
    "smooth_features",
    "style_keys",
]
