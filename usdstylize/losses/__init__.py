"""The losses as plain functions, and the list of terms that an optimisation adds up (paper, Eq. 1)."""

from usdstylize.losses.balance import measure, measured_weights
from usdstylize.losses.batch import Batch, Positions, Target, Texels
from usdstylize.losses.colors import muted
from usdstylize.losses.content import content_loss
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
from usdstylize.losses.terms import Term, TextureTerm, ViewTerm, weighted_sum

__all__ = [
    "Batch",
    "Objective",
    "Positions",
    "SearchKeys",
    "Target",
    "Term",
    "Texels",
    "TextureTerm",
    "ViewTerm",
    "content_loss",
    "gram_loss",
    "gram_matrix",
    "measure",
    "measured_weights",
    "muted",
    "nearest_keys",
    "nnfm_loss",
    "palette_loss",
    "prepare_search",
    "smooth_features",
    "style_keys",
    "weighted_sum",
]
