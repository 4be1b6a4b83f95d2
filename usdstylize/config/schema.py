"""Where StylizeAPI lies, and making it known to USD without loading USD."""

import os
import sys
from pathlib import Path

__all__ = ["FOLDER", "register"]

_PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = _PACKAGE / "schemas" if (_PACKAGE / "schemas").is_dir() else _PACKAGE.parent / "schemas"
"""Inside an installed package, beside the package in a checkout."""

_NAME = "usdstylize"
_VARIABLE = "PXR_PLUGINPATH_NAME"


def register() -> None:
    """Make the schema known to the USD of this process, whether it is loaded already or not yet.

    Where USD's schema registry has been asked for anything before, USD takes no more schemas: then
    other code does not see this one. Reading a stage's settings does not depend on it.
    """
    plug = sys.modules.get("pxr.Plug")
    if plug is not None:
        registry = plug.Registry()
        if registry.GetPluginWithName(_NAME) is None:
            registry.RegisterPlugins(str(FOLDER))
        return
    # USD reads the variable when it is loaded; importing it here would cost `--help` its time.
    known = [path for path in os.environ.get(_VARIABLE, "").split(os.pathsep) if path]
    if str(FOLDER) not in known:
        os.environ[_VARIABLE] = os.pathsep.join([*known, str(FOLDER)])
