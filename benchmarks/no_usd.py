"""Imported before the product: lets its rooms without USD run where there is no USD.

The package itself imports pxr. Where that is missing, as on a machine that is lent for its GPU,
an empty package of the same name and place stands in, whose modules are imported one by one.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

__all__: list[str] = []

if find_spec("pxr") is None:
    package = ModuleType("usdstylize")
    package.__path__ = [str(Path(__file__).parents[1] / "usdstylize")]
    sys.modules.setdefault("usdstylize", package)
