"""The optimisation of one object, or of a group: random views, three losses, Adam on T_S.

Paper §3, supplement §1. `optimizer` tells it; `batches` draws the views, `step` is one iteration,
`looks` what they show, `texels` which texels count, `schedule` how far it has come, `hierarchy` how large
T_S is by then, `memory` what fits. `spread` says which processes do it: `workers` have an object each, a
`team` shares each object's views.
"""

from usdstylize.optimize.devices import choose_device
from usdstylize.optimize.optimizer import Optimizer

__all__ = ["Optimizer", "choose_device"]
