"""The optimisation of one object, or of a group: random views, a list of loss terms, Adam on T_S.

Paper §3, supplement §1. `optimizer` is the way in; `batches` draws viewpoints, `viewpoints` and `targets`
turn them into what the losses compare, `step` is one iteration, `texels` decides which texels count,
`schedule` how far it has come, `hierarchy` how large T_S is by then, `field` makes T_S where texels are not
optimised themselves, `memory` knows what fits, `state` is what a stopped one continues from. `threads`
optimises several objects at a time, a `process_group` shares the views of each.
"""

from usdstylize.optimize.batches import Share
from usdstylize.optimize.devices import alike_gpus, choose_device, gpu_name
from usdstylize.optimize.framing import iterations_of
from usdstylize.optimize.optimizer import Optimizer
from usdstylize.optimize.process_group import ALONE, ProcessGroup, sendable
from usdstylize.optimize.state import State, load_state, save_state
from usdstylize.optimize.threads import side_by_side, threads_per_object

__all__ = [
    "ALONE",
    "Optimizer",
    "ProcessGroup",
    "Share",
    "State",
    "alike_gpus",
    "choose_device",
    "gpu_name",
    "iterations_of",
    "load_state",
    "save_state",
    "sendable",
    "side_by_side",
    "threads_per_object",
]
