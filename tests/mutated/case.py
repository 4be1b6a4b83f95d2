"""One stage under mutation: its layers in memory, its files on disk, and what has been touched."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf

__all__ = ["Case", "Fault", "faults", "owner_of", "register"]


class Case:
    """A copy of a good stage in a folder of its own.

    touched: per file (relative to the folder) the prim paths whose specs may differ now; the
        absolute root where the whole file may.
    """

    def __init__(self, scene: Path, folder: Path, rng: np.random.Generator) -> None:
        self.rng = rng
        self.folder = folder
        self.root = scene.name
        self.touched: dict[str, set[Sdf.Path]] = {}
        self.notes: list[str] = []
        self.afterwards: list[Callable[[], None]] = []
        """What is done to the files once the layers are written."""
        self._template = scene.parent
        self._layers: dict[str, Sdf.Layer] = {}
        self.names = _layer_names(scene.parent)
        shutil.copytree(scene.parent, folder, copy_function=os.link)

    @property
    def path(self) -> Path:
        return self.folder / self.root

    def choose(self, items: Sequence[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def layer(self, name: str) -> Sdf.Layer:
        """The layer as it is now; it is written when the case is."""
        if name not in self._layers:
            self._layers[name] = Sdf.Layer.CreateAnonymous()
            self._layers[name].TransferContent(_template_layer(self._template / name))
        return self._layers[name]

    def spec(self, wanted: Callable[[Sdf.Spec], bool]) -> Sdf.Spec | None:
        """A random spec of any layer that is wanted; None where there is none."""
        found = [spec for name in self.names for spec in _specs(self.layer(name), wanted)]
        return self.choose(found) if found else None

    def touch(self, spec: Sdf.Spec, what: str) -> None:
        """Remember that a spec's prim, and so all below it, may have changed."""
        name = next(name for name, layer in self._layers.items() if layer == spec.layer)
        self.touch_path(name, spec.path.GetPrimPath(), f"{spec.path} {what}")

    def touch_path(self, name: str, path: Sdf.Path, what: str) -> None:
        self.touched.setdefault(name, set()).add(path.StripAllVariantSelections())
        self.notes.append(f"{name}: {what}")

    def replace(self, name: str) -> Path:
        """The place of a file of the case that is to be written anew; never the template's own."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        return path

    def write(self) -> None:
        """Put the layers that have changed on the disk."""
        for name, layer in self._layers.items():
            if name in self.touched:
                layer.Export(str(self.replace(name)))
        for act in self.afterwards:
            act()

    @property
    def files(self) -> list[str]:
        """Every file of the scene, relative to the folder, in order."""
        return sorted(
            str(path.relative_to(self._template)) for path in self._template.rglob("*") if path.is_file()
        )


Fault = Callable[[Case], None]
faults: list[Fault] = []


def register(fault: Fault) -> Fault:
    """Add a fault to the list that seeds choose from; the order of definition matters."""
    faults.append(fault)
    return fault


def owner_of(spec: Sdf.PropertySpec) -> Sdf.PrimSpec:
    """The owner as a prim spec, where ``owner`` of a property in a variant is the variant."""
    return spec.layer.GetPrimAtPath(spec.path.GetPrimOrPrimVariantSelectionPath())


def _specs(layer: Sdf.Layer, wanted: Callable[[Sdf.Spec], bool]) -> Iterator[Sdf.Spec]:
    paths: list[Sdf.Path] = []
    layer.Traverse(Sdf.Path.absoluteRootPath, paths.append)
    for path in sorted(paths):
        spec = layer.GetObjectAtPath(path)
        if spec is not None and path != Sdf.Path.absoluteRootPath and wanted(spec):
            yield spec


@cache
def _template_layer(path: Path) -> Sdf.Layer:
    return Sdf.Layer.OpenAsAnonymous(str(path))


@cache
def _layer_names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.usd*") if p.suffix != ".usdz")
