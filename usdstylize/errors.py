"""What can go wrong, as a tree.

Every message is one sentence that names the prim or file, says what is wrong and what to do.

    UsdStylizeError
    ├── InputError             nothing can be done at all; the command line exits with 2
    │   ├── OptionsError       options that contradict each other or are out of range
    │   ├── StageError         the stage is missing, unreadable, or holds nothing to stylise
    │   ├── StyleSetError      the style folder is missing, empty, or holds an unreadable image
    │   ├── PaletteError       a palette does not parse
    │   ├── WeightsError       network weights are missing, corrupt, or not the ones expected
    │   ├── OutputError        the result exists already, or cannot be written
    │   └── ProcessGroupError  a process that works on every object is lost
    └── ObjectError            one object cannot be stylised; it costs only itself (exit 1)
        ├── MeshError          no UVs, NaN points, indices out of range, zero area
        ├── MaterialError      no base colour can be traced
        ├── TextureError       a texture does not resolve or does not decode
        ├── SettingsError      StylizeAPI asks for what cannot be done
        ├── StateError         a stopped optimisation cannot be continued
        └── WorkerError        the process that had this object is lost
"""

__all__ = [
    "InputError",
    "MaterialError",
    "MeshError",
    "ObjectError",
    "OptionsError",
    "OutputError",
    "PaletteError",
    "ProcessGroupError",
    "SettingsError",
    "StageError",
    "StateError",
    "StyleSetError",
    "TextureError",
    "UsdStylizeError",
    "WeightsError",
    "WorkerError",
    "one_line",
]


class UsdStylizeError(Exception):
    """Base of every error that this package raises on purpose."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(str(message)))


def one_line(text: str) -> str:
    """``text`` without what would break its line or the terminal: names in a stage may hold anything."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else " " for sign in text)


class InputError(UsdStylizeError):
    """Nothing can be done with what was given."""


class OptionsError(InputError):
    """An option is out of range, or two options contradict each other."""


class StageError(InputError):
    """The stage is missing, unreadable, or holds nothing that can be stylised."""


class StyleSetError(InputError):
    """The style folder is missing, empty, or holds an image that cannot be read."""


class PaletteError(InputError):
    """A palette does not parse."""


class WeightsError(InputError):
    """Network weights are missing, corrupt, or not the ones expected."""


class OutputError(InputError):
    """The result exists already, or cannot be written."""


class ProcessGroupError(InputError):
    """One of the processes that work on every object together is lost."""


class ObjectError(UsdStylizeError):
    """One object cannot be stylised; the others are not affected."""


class MeshError(ObjectError):
    """The geometry or its UVs cannot be used."""


class MaterialError(ObjectError):
    """No base colour can be traced from the bound material."""


class TextureError(ObjectError):
    """A texture does not resolve or does not decode."""


class SettingsError(ObjectError):
    """What the stage asks for an object (StylizeAPI) cannot be done."""


class StateError(ObjectError):
    """What was saved of a stopped optimisation is broken, or of another object or method."""


class WorkerError(ObjectError):
    """The process that optimised the object is lost; another takes its place."""
