"""An optimisation that was stopped, as a file: it continues with the same bits."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from usdstylize.errors import StateError

__all__ = ["State", "load_state", "save_state"]

State = dict[str, Any]
"""What `Run.state_dict` gives: CPU tensors and JSON's values under names, in nested dicts with keys of
text that hold no dot. Nothing in it changes when the run continues."""


def save_state(path: Path, state: State) -> None:
    """Write a safetensors file, whole or not at all: tensors, and the other values as JSON in its header."""
    tensors: dict[str, Tensor] = {}
    values = _split(state, "", tensors)
    partial = path.with_name(f"{path.name}.partial")
    save_file(tensors, partial, metadata={"state": json.dumps(values)})
    os.replace(partial, path)


def load_state(path: Path) -> State:
    """What `save_state` wrote. Raises StateError where the file is not one of these."""
    try:
        with safe_open(path, framework="pt") as file:
            state: State = json.loads(file.metadata()["state"])
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                *outer, last = name.split(".")
                inner = state
                for key in outer:
                    inner = inner[key]
                inner[last] = file.get_tensor(name)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"{path} is not the state of an optimisation ({type(error).__name__}); delete it and begin anew."
        ) from error
    return state


def _split(state: State, prefix: str, tensors: dict[str, Tensor]) -> State:
    """The state without its tensors, which are put into ``tensors`` by their dotted names."""
    values: State = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            tensors[prefix + key] = value.contiguous()
        elif isinstance(value, dict):
            values[key] = _split(value, f"{prefix}{key}.", tensors)
        else:
            values[key] = value
    return values
