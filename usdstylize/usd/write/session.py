"""A result without files beside the stage: its style layer goes into the session of a live stage."""

import os
import sys
import zlib
from pathlib import Path

from pxr import Usd

from usdstylize.errors import OutputError
from usdstylize.usd.write.provenance import read_layer, read_provenance
from usdstylize.usd.write.selection import find_style_layer

__all__ = ["hide_in_session", "session_folder", "show_in_session"]


def session_folder(stage: Path) -> Path:
    """The folder, in the user's cache, for results of a stage that are not written beside it."""
    home = Path.home()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = home / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    whole = os.path.abspath(stage)
    return cache / "usdstylize" / "sessions" / f"{Path(whole).stem}-{zlib.crc32(whole.encode()):08x}"


def show_in_session(stage: Usd.Stage, root_layer: str | Path) -> None:
    """Lay the style of a result over a live stage, in its session layer alone.

    stage: the source stage of the result, as opened by anyone; none of its layers is edited.
    root_layer: the ``.stylized.usda`` that a run has written, wherever it lies.

    Opinions of a session layer are stronger than the stage's own, and never saved with it. Showing
    a result again changes nothing. Raises OutputError where ``root_layer`` is no result, or is
    the result of another stage.
    """
    style = _style_layer(stage, Path(root_layer))
    session = stage.GetSessionLayer()
    if style not in session.subLayerPaths:
        session.subLayerPaths.insert(0, style)


def hide_in_session(stage: Usd.Stage, root_layer: str | Path) -> None:
    """Take the style of a result out of a live stage's session layer again.

    Raises OutputError where ``root_layer`` is no result, or is the result of another stage.
    """
    style = _style_layer(stage, Path(root_layer))
    session = stage.GetSessionLayer()
    if style in session.subLayerPaths:
        session.subLayerPaths.remove(style)


def _style_layer(stage: Usd.Stage, root_layer: Path) -> str:
    style = find_style_layer(Path(os.path.abspath(root_layer)))
    layer = read_layer(style)
    provenance = read_provenance(layer, style.parent) if layer else None
    here = stage.GetRootLayer().realPath
    if provenance is None or os.path.realpath(provenance.source) != os.path.realpath(here):
        source = provenance.source if provenance else "another stage"
        raise OutputError(
            f"{root_layer} is a look at {source}, not at {here or 'a stage in memory'}; open that stage."
        )
    return str(style)
