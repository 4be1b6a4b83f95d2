"""The Python that knows MaterialX: one that has usd-exchange, in an environment of its own."""

import os
from pathlib import Path

__all__ = ["USDMTLX_PYTHON"]

USDMTLX_PYTHON = Path(
    os.environ.get("USDSTYLIZE_USDMTLX_PYTHON", Path(__file__).parents[2] / ".validate/bin/python")
)
