"""Variants of a written result made anew from the T_S that lie on the disk: nothing is optimised."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from usdstylize import interrupts
from usdstylize.errors import ObjectError, StageError
from usdstylize.model.objects import Skipped, StageContents, StageObject
from usdstylize.usd import read, verify, write
from usdstylize.usd.io.opening import open_stage, quiet

__all__ = ["counted", "packed", "packed_before", "rewrite"]

Change = write.Mixed | write.Dialled
"""What an object's variant becomes."""


def rewrite(
    found: write.Mixable, style: str, changes: Mapping[str, Change], *, strength: float = 1.0, select: bool
) -> tuple[tuple[str, ...], tuple[Skipped, ...]]:
    """Write the variant ``style`` of the objects with these names anew.

    strength: of the dials, where the changes are `Dialled`. select: whether the objects show a mix.
    Returns the paths of those that are written, and what could not be. Raises OutputError.
    """
    failed: list[Skipped] = []
    # By the way they were read: objects may have been stylised at different frames.
    jobs: dict[int, tuple[StageContents, list[tuple[StageObject, Change]]]] = {}
    with quiet():
        stage = open_stage(found.root_layer)
        owners = found.owners
        there = {name: path for name, path in owners.items() if verify.is_on_stage(stage, path)}
        source = verify.Source(found.provenance.source, tuple(there.values()), found.heroes)
        for name, change in changes.items():
            path = owners[name]
            try:
                if name not in there:
                    raise StageError(f"{path} is not on the stage any more; run again.")
                first = change.parts[0].style
                contents = source.contents(found.facts.of(first.name, name), first)
                obj = verify.object_at(contents, path)
            except (ObjectError, StageError) as error:
                failed.append(Skipped(path, str(error), broken=True))
            else:
                jobs.setdefault(id(contents), (contents, []))[1].append((obj, change))
    done: set[str] = set()
    with ExitStack() as stack:
        writers = []
        for read_contents, items in jobs.values():
            contents = replace(read_contents, objects=tuple(obj for obj, _ in items))
            dial = isinstance(items[0][1], write.Dialled)
            output = write.plan(contents, style, output=found.root_layer, force=True, resume=False, dial=dial)
            writer = write.Writer(output, contents, strength=strength, network="both")
            writers.append(stack.enter_context(writer))
            _write_objects(found, writer, items, failed, select=select)
        interrupts.check()
        with interrupts.postponed():
            for writer in writers:
                if writer.finished:
                    writer.commit({"seed": 0})
                    done |= writer.finished
    return tuple(path for name, path in owners.items() if name in done), tuple(failed)


def _write_objects(
    found: write.Mixable,
    writer: write.Writer,
    items: Sequence[tuple[StageObject, Change]],
    failed: list[Skipped],
    *,
    select: bool,
) -> None:
    """Write the variants of objects that were read in one way; reasons into ``failed``."""
    originals: dict[object, str] = {}
    for obj, change in items:
        interrupts.check()
        copy_of = originals.get(change.key, "")
        try:
            data = read.load(writer.contents, obj, at_least=found.facts.resolution(change.parts))
            if isinstance(change, write.Mixed):
                writer.write_mix(obj, data, change, copy_of=copy_of, select=select)
            else:
                writer.write_dialled(obj, data, change, copy_of=copy_of)
            originals.setdefault(change.key, obj.name)
        except ObjectError as error:
            failed.append(Skipped(obj.path, str(error), broken=True))


def packed_before(layout: write.ResultLayout, what: str) -> list[str]:
    """A remark where the result lies there as a package that has not what is done now."""
    if not layout.package.exists():
        return []
    return [f"{layout.package} was packed before {what}; --package packs it anew."]


def packed(found: write.Mixable) -> tuple[Path, tuple[str, ...]]:
    """The result as one .usdz, and what is wrong with that. Raises OutputError."""
    problems = write.write_package(found.root_layer, found.layout.package)
    return found.layout.package, tuple(map(str, problems))


def counted(number: int) -> str:
    """``3 objects``, and ``1 object``."""
    return "1 object" if number == 1 else f"{number} objects"
