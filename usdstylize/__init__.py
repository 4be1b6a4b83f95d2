"""Carry the style of concept art onto the textures of a USD stage, as layers that never touch the source.

>>> import usdstylize
>>> options = usdstylize.Options(preset="draft", iterations=2, texture_resolution=64)  # a smoke test
>>> result = usdstylize.stylize("shot/stage.usda", "concept/gouache", options)
>>> result.root_layer.name, len(result.failed)
('stage.stylized.usda', 0)

Errors are UsdStylizeError: InputError where nothing can be done, ObjectError for one object.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from usdstylize.config import schema
from usdstylize.config.options import Options
from usdstylize.errors import (
    InputError,
    MaterialError,
    MeshError,
    ObjectError,
    OptionsError,
    OutputError,
    PaletteError,
    ProcessGroupError,
    SettingsError,
    StageError,
    StyleSetError,
    TextureError,
    UsdStylizeError,
    WeightsError,
    WorkerError,
)
from usdstylize.model.results import DialResult, MixResult, ObjectResult, Observer, Plan, RunResult

if TYPE_CHECKING:
    from usdstylize.dialling import dial
    from usdstylize.mixing import mix
    from usdstylize.model.checks import VerifyReport
    from usdstylize.model.objects import Skipped, StageContents, StageObject
    from usdstylize.pipeline import inspect, stylize
    from usdstylize.usd.verify import verify
    from usdstylize.usd.write import hide_in_session, select, show_in_session
    from usdstylize.version import __version__

__all__ = [
    "DialResult",
    "InputError",
    "MaterialError",
    "MeshError",
    "MixResult",
    "ObjectError",
    "ObjectResult",
    "Observer",
    "Options",
    "OptionsError",
    "OutputError",
    "PaletteError",
    "Plan",
    "ProcessGroupError",
    "RunResult",
    "SettingsError",
    "Skipped",
    "StageContents",
    "StageError",
    "StageObject",
    "StyleSetError",
    "TextureError",
    "UsdStylizeError",
    "VerifyReport",
    "WeightsError",
    "WorkerError",
    "__version__",
    "dial",
    "hide_in_session",
    "inspect",
    "mix",
    "select",
    "show_in_session",
    "stylize",
    "verify",
]

schema.register()

# torch, open_clip and USD take seconds to import; `--help` and a farm's submitter do without (PEP 562).
_LAZY = {
    "Skipped": "model.objects",
    "StageContents": "model.objects",
    "StageObject": "model.objects",
    "VerifyReport": "model.checks",
    "__version__": "version",
    "dial": "dialling",
    "hide_in_session": "usd.write",
    "inspect": "pipeline",
    "mix": "mixing",
    "select": "usd.write",
    "show_in_session": "usd.write",
    "stylize": "pipeline",
    "verify": "usd.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
