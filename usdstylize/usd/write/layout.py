"""Where everything of a result lies: each name of a file or folder is decided here and nowhere else.

    stage.stylized.usda                                 root: subLayers = [style layer, stage.usda]
    stage.style.usda                                    opinions only
    stage.style/ink/World__Mug/World__Mug.ink.TS.exr    T_S, signed, half float
    stage.style/ink/World__Mug/World__Mug.ink.T.exr     T, where viewers read the source's file otherwise
    stage.style/ink/World__Mug/World__Mug.ink.baked.png clamp(T + TS), 8-bit sRGB (.exr where T is float)
    stage.style/ink/run.json                            settings, seeds, hashes, versions, timings
    stage.style/mix/World__Mug/World__Mug.mix.baked.png clamp(T + Σ s · TS) of several styles
    stage.style/.ink.unfinished-1f0c2a9b/               the same, of a run that has not ended
    stage.style/.ink.dial.unfinished-77b2f1c0/          the same with another strength

A file's name holds object and style: Blender unpacks a package by base names alone.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from usdstylize.errors import OutputError

__all__ = ["ResultLayout"]

_LAYER_SUFFIXES = (".usd", ".usda", ".usdc")


@dataclass(frozen=True)
class ResultLayout:
    """The paths of one result, all absolute."""

    root_layer: Path
    """What an artist opens."""
    stem: str
    """Of the names of everything else."""

    @classmethod
    def of(cls, stage: Path, output: Path | None) -> "ResultLayout":
        """The result of ``stage`` at ``output``: a folder or the root layer; beside the stage when None.

        Raises OutputError for a package, which is never edited.
        """
        if output is None:
            return cls(Path(os.path.abspath(stage.with_name(f"{stage.stem}.stylized.usda"))), stage.stem)
        output = Path(os.path.abspath(output))
        if output.suffix == ".usdz":
            raise OutputError(
                f"{output} cannot be written, a package is never edited; give a folder or a .usda, and "
                "--package for a package beside it."
            )
        if output.suffix in _LAYER_SUFFIXES:
            return cls(output, output.stem.removesuffix(".stylized"))
        return cls(output / f"{stage.stem}.stylized.usda", stage.stem)

    @classmethod
    def of_style_layer(cls, style_layer: Path) -> "ResultLayout":
        """That of a written result, found by its style layer; the root layer is then the usual one."""
        path = Path(os.path.abspath(style_layer))
        stem = path.name.removesuffix(".style.usda")
        return cls(path.with_name(f"{stem}.stylized.usda"), stem)

    @property
    def folder(self) -> Path:
        """Which both layers lie in, and their asset paths are relative to."""
        return self.root_layer.parent

    @property
    def style_layer(self) -> Path:
        """Opinions only; the root layer's first sublayer."""
        return self.folder / f"{self.stem}.style.usda"

    @property
    def package(self) -> Path:
        """The result as one file."""
        return self.root_layer.with_suffix(".usdz")

    @property
    def textures(self) -> Path:
        """Holds a folder for each style."""
        return self.folder / f"{self.stem}.style"

    def style(self, style: str) -> "StyleLayout":
        """Where what belongs to one style lies."""
        return StyleLayout(self.textures / style, style)

    def unfinished(self, style: str, token: str, *, dial: bool = False) -> "StyleLayout":
        """Where a run of this style puts its objects until all are done. token: unlike any other run's.

        dial: they get another strength only, and no run takes them over.
        """
        return StyleLayout(self.textures / f"{_unfinished(style, dial)}{token}", style)

    def all_unfinished(self, style: str, *, dial: bool = False) -> list["StyleLayout"]:
        """Of every run of this style that has not ended, or was killed. dial: as for `unfinished`."""
        start = _unfinished(style, dial)
        if not self.textures.is_dir():
            return []
        found = sorted(path for path in self.textures.iterdir() if path.name.startswith(start))
        return [StyleLayout(path, style) for path in found if path.is_dir() and not path.is_symlink()]


def _unfinished(style: str, dial: bool) -> str:
    return f".{style}{'.dial' if dial else ''}.unfinished-"


@dataclass(frozen=True)
class StyleLayout:
    """The files of one style, in its final folder or in that of a run that has not ended."""

    folder: Path
    name: str
    """The style's, and its variant's."""

    @property
    def run(self) -> Path:
        """Settings, and each object's facts."""
        return self.folder / "run.json"

    @property
    def lock(self) -> Path:
        """Locked by the run that writes into the folder, as long as it lives; no object has such a name."""
        return self.folder / ".lock"

    def object(self, name: str) -> Path:
        """The folder of one object, by its name."""
        return self.folder / name

    def partial(self, name: str) -> Path:
        """The folder of one object while it is being written."""
        return self.folder / f".{name}.partial"

    def style_texture(self, name: str, tile: str = "") -> str:
        """Name of the file of T_S. tile: "", the number of a UDIM tile, or ``<UDIM>``."""
        return self._file(name, "TS", tile, ".exr")

    def style_textures(self, name: str, files: Iterable[str]) -> list[str]:
        """Those of ``files`` that are an object's T_S, of whatever tiles."""
        start = self.style_texture(name).removesuffix(".exr")
        return sorted(file for file in files if file.startswith(f"{start}."))

    def base_texture(self, name: str) -> str:
        """Name of the copy of T's own values."""
        return self._file(name, "T", "", ".exr")

    def baked_texture(self, name: str, tile: str = "", *, linear: bool = False) -> str:
        """Name of the baked sum: sRGB-encoded 8 bit, or linear half floats."""
        return self._file(name, "baked", tile, ".exr" if linear else ".png")

    def opinions(self, name: str) -> str:
        """Name of the layer with one object's opinions, until the style layer has them."""
        return self._file(name, "opinions", "", ".usda")

    def record(self, name: str) -> str:
        """Name of the file with how an object was made, until run.json has it."""
        return self._file(name, "object", "", ".json")

    def _file(self, name: str, kind: str, tile: str, suffix: str) -> str:
        return f"{name}.{self.name}.{kind}{f'.{tile}' if tile else ''}{suffix}"
