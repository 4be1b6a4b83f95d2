"""Opening a stage, and keeping USD's own diagnostics off the terminal."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pxr import Sdf, Tf, Usd, UsdUtils

from usdstylize.errors import StageError
from usdstylize.usd.io.mtlx_layers import open_with_documents

__all__ = ["first_sentence", "open_stage", "quiet", "read_time"]


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps USD from printing to stderr; our own messages name what matters of its diagnostics."""
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        delegate.TakeUncoalescedDiagnostics()
        del delegate


def open_stage(path: Path, only: Sequence[str] = (), heroes: Sequence[str] = ()) -> Usd.Stage:
    """The stage with all payloads; only the prims ``only`` and what they refer to, where given.

    heroes: instances whose `instanceable` is cleared in the session layer, outermost first.
    Raises StageError where the root layer cannot be opened.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        raise StageError(f"Stage {path} is not a file that can be read; check the path.")
    try:
        root, session = Sdf.Layer.FindOrOpen(str(path)), Sdf.Layer.CreateAnonymous(".usda")
        for hero in heroes:
            Sdf.CreatePrimInLayer(session, hero).instanceable = False
        return open_with_documents(lambda: _open(root, session, only))
    except Tf.ErrorException as error:
        raise StageError(
            f"Stage {path} cannot be opened ({first_sentence(error)}); repair or restore it."
        ) from error


def _open(root: Sdf.Layer, session: Sdf.Layer, only: Sequence[str]) -> Usd.Stage:
    if not only:
        return Usd.Stage.Open(root, session)
    mask = Usd.StagePopulationMask([Sdf.Path(prim) for prim in only])
    stage = Usd.Stage.OpenMasked(root, session, mask)
    # Bindings decide which faces belong to which subset, so materials must be there: those of
    # instances and of what only a PointInstancer shows, too.
    try:
        stage.ExpandPopulationMask(Usd.TraverseInstanceProxies(Usd.PrimAllPrimsPredicate))
    except Tf.ErrorException:  # a fault of something that is only near: it must not cost this prim
        return Usd.Stage.Open(root, session)
    return stage


def read_time(stage: Usd.Stage, frame: float | None) -> Usd.TimeCode:
    """The time to read at: the frame, or the stage's start, or the earliest sample there is."""
    if frame is not None:
        return Usd.TimeCode(frame)
    if stage.HasAuthoredTimeCodeRange():
        return Usd.TimeCode(stage.GetStartTimeCode())
    return Usd.TimeCode.EarliestTime()


def first_sentence(error: Tf.ErrorException) -> str:
    """The message of the first of USD's errors, without the place in USD's source."""
    text = str(error).strip()
    message = text.split(" : '", 1)[1] if " : '" in text else text
    return message.splitlines()[0].strip().rstrip("'. ")
