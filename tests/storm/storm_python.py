"""The Python that renders: one that has bpy, in an environment of its own."""

import os
from pathlib import Path

__all__ = ["STORM_PYTHON"]

STORM_PYTHON = Path(
    os.environ.get("USDSTYLIZE_STORM_PYTHON", Path(__file__).parents[2] / ".storm/bin/python")
)
