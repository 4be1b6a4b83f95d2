"""The Python that renders: one that has bpy, in an environment of its own."""

import os
from pathlib import Path

__all__ = ["HANG_SECONDS", "STORM_PYTHON"]

STORM_PYTHON = Path(
    os.environ.get("USDSTYLIZE_STORM_PYTHON", Path(__file__).parents[2] / ".storm/bin/python")
)
HANG_SECONDS = 1800.0
"""After which a process is taken to hang; a render takes seconds, on a busy machine minutes."""
