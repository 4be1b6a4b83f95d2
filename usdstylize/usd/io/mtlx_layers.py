"""References to .mtlx documents, where this build of USD has no usdMtlx and they would arrive empty.

A layer in memory takes the document's place: it has the identifier under which USD looks for the
document, so that composition finds it like any layer that is open already, in references of
references, instances and variants alike. It cannot be saved, and it is gone with the last stage
that uses it; nothing that is written depends on it.
"""

import re
from collections.abc import Callable
from pathlib import Path

from pxr import Ar, Sdf, Usd

from usdstylize.usd.io.mtlx_document import MissingMaterialXError, read_document

__all__ = ["included_documents", "open_with_documents", "why_empty"]

_SUFFIX = ".mtlx"
_ARGUMENTS = ":SDF_FORMAT_ARGS:target=usd"
"""USD asks for this with every layer whose format it does not know."""
_AT_MOST = 8
"""Documents behind documents: a stage is opened anew for each level."""


def open_with_documents(open_stage: Callable[[], Usd.Stage]) -> Usd.Stage:
    """The stage, opened as often as it takes until its .mtlx documents are there.

    A document that cannot be read stays empty; `why_empty` gives the reason.
    """
    stage = open_stage()
    for _ in range(_AT_MOST if Sdf.FileFormat.FindByExtension("mtlx") is None else 0):
        layers = _present(stage)  # alive until the stage that needs them holds them
        if not layers:
            break
        stage = open_stage()
        del layers
    return stage


def why_empty(message: str) -> str:
    """Why the document that a composition error names arrives empty; empty where it names none."""
    named = re.search(rf"@([^@]*{re.escape(_SUFFIX)})@", message)
    if named is None:
        return ""
    path = Path(named[1])
    if not path.is_file():
        found = Ar.GetResolver().Resolve(named[1])
        where = (
            "lies where only a resolver reaches; put it into a folder" if found else "is missing; restore it"
        )
        return f"{path.name} {where}"
    try:
        read_document(path, Sdf.Layer.CreateAnonymous(".usda"))
    except MissingMaterialXError:
        return (
            "a MaterialX document arrives empty, as this build of USD has no usdMtlx; install the extra "
            "`mtlx` (pip install 'usdstylize[mtlx]') and it is read"
        )
    except Exception as problem:  # whatever MaterialX finds wrong
        return f"MaterialX cannot read it ({_first_line(problem)})"
    return ""


def included_documents(layer: Sdf.Layer) -> list[str]:
    """The documents that the document behind ``layer`` includes."""
    if not layer.identifier.endswith(_ARGUMENTS):
        return []
    return [str(file) for file in layer.customLayerData.get("includes", [])]


def _present(stage: Usd.Stage) -> list[Sdf.Layer]:
    """Layers in the place of the documents that the stage asks for in vain."""
    if not any(f"{_SUFFIX}@" in str(error) for error in stage.GetCompositionErrors()):
        return []
    found = {}
    with Ar.ResolverContextBinder(stage.GetPathResolverContext()):
        for layer in stage.GetUsedLayers():
            for asset in layer.GetCompositionAssetDependencies():
                identifier = Sdf.ComputeAssetPathRelativeToLayer(layer, asset) if asset else ""
                if not identifier.endswith(_SUFFIX) or identifier in found:
                    continue
                document = _layer(identifier)
                if document is not None:
                    found[identifier] = document
    return list(found.values())


def _layer(identifier: str) -> Sdf.Layer | None:
    """A layer of what the document holds; None where it is open already or cannot be read."""
    path = Path(str(Ar.GetResolver().Resolve(identifier)))
    if Sdf.Layer.Find(identifier + _ARGUMENTS) is not None or not path.is_file():
        return None
    # Arguments can be given to an anonymous layer's identifier only; it then takes the document's.
    layer = Sdf.Layer.CreateAnonymous(_ARGUMENTS, Sdf.FileFormat.FindById("usda"))
    try:
        read_document(path, layer)
        layer.identifier = identifier + _ARGUMENTS
    except Exception:  # `why_empty` gives the reason where an object needs it
        return None
    layer.SetPermissionToSave(False)
    layer.SetPermissionToEdit(False)
    return layer


def _first_line(problem: Exception) -> str:
    text = str(problem).strip()
    return text.splitlines()[0].rstrip(". ") if text else type(problem).__name__
