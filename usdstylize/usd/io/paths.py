"""Asset paths as a layer must carry them: relative to the layer, anchored, never absolute."""

import os
from pathlib import Path

from pxr import Ar

from usdstylize.errors import OutputError

__all__ = ["anchored", "resolve_anchored"]


def anchored(target: str | Path, layer_folder: Path) -> str:
    """``target`` as seen from a layer in ``layer_folder``: starts with ``./`` or ``../``.

    A path inside a package keeps its inner part (``./a.usdz[tex/T.png]``). A URI that only a
    studio's own resolver knows stays as it is, since no relative path can express it. Raises
    OutputError where the layer lies on another drive of Windows.
    """
    text = str(target)
    if "://" in text:
        return text
    outer, inner = Ar.SplitPackageRelativePathOuter(text)
    # Lexical, as Ar anchors and normalises: resolving symbolic links here would break it.
    try:
        relative = os.path.relpath(os.path.abspath(outer), os.path.abspath(layer_folder))
    except ValueError as problem:
        raise OutputError(
            f"{text} and {layer_folder} lie on different drives, so that no relative path leads there; "
            "choose an --output on the drive of the source."
        ) from problem
    relative = relative.replace(os.sep, "/")
    if not relative.startswith("../"):
        relative = "./" + relative
    return Ar.JoinPackageRelativePath([relative, inner]) if inner else relative


def resolve_anchored(relative: str, layer_folder: Path) -> str:
    """The inverse of `anchored`: an absolute path, inner part of a package kept."""
    if "://" in relative:
        return relative
    outer, inner = Ar.SplitPackageRelativePathOuter(relative)
    absolute = os.path.normpath(os.path.join(os.path.abspath(layer_folder), outer))
    return Ar.JoinPackageRelativePath([absolute, inner]) if inner else absolute
