"""Helpers that let `verify` finish where a result is damaged."""

from collections.abc import Iterator
from contextlib import contextmanager

from pxr import Tf, Usd

from usdstylize.errors import UsdStylizeError, one_line
from usdstylize.model.checks import Check
from usdstylize.usd.io.opening import first_sentence

__all__ = ["errors_as_check", "is_on_stage"]


@contextmanager
def errors_as_check(checks: list[Check], name: str, subject: str) -> Iterator[None]:
    """Adds a failed check where the block raises: what cannot be read is no longer as it was written."""
    try:
        yield
    except (UsdStylizeError, OSError) as problem:
        checks.append(Check(name, subject, False, str(problem)))
    except Exception as problem:
        what = first_sentence(problem) if isinstance(problem, Tf.ErrorException) else str(problem)
        detail = f"It is not as it was written ({one_line(what)}); run again with --force."
        checks.append(Check(name, subject, False, detail))


def is_on_stage(stage: Usd.Stage, path: str) -> bool:
    """Whether an object of a result is still on its stage: a mere opinion of ours has no type.

    A prototype of a point instancer may well be no defined prim.
    """
    prim = stage.GetPrimAtPath(path)
    return bool(prim) and prim.GetTypeName() != ""
