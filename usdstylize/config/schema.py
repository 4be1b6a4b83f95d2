"""The folder of the StylizeAPI schema, and its registration, which does not load USD."""

import os
import sys
from pathlib import Path

__all__ = ["FOLDER", "register"]

_PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = _PACKAGE / "schemas" if (_PACKAGE / "schemas").is_dir() else _PACKAGE.parent / "schemas"
"""The folder of the schema's files: inside an installed package, beside the package in a checkout."""

_NAME = "usdstylize"
_VARIABLE = "PXR_PLUGINPATH_NAME"


def register() -> None:
    """Register the schema with the USD of this process, whether that is loaded already or not.

    Once anything has used USD's schema registry, USD ignores new schemas, and other code does not
    see this one. Reading a stage's settings does not depend on it.
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
